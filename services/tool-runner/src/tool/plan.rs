//! Plan files: each chat has one of its own, and a planning turn may write nothing else.

use std::time::Duration;

use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ListDirectory, OperationErrorKind, ReadBytes};

use super::Stop;
use super::stored::read_bytes;
use crate::agents::{Connection, Refusal};
use crate::call::Context;

/// The name models give a plan by themselves, in any case.
const COMMON_NAME: &str = "plan.md";

/// Where plans are, below the home directory.
const DIRECTORY: &str = ".tandem/plans";

/// Time to look where the plan file really is.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// A chat's plan file.
pub(super) struct Place {
    home: String,
    relative: String,
    absolute: String,
}

impl Place {
    pub(super) fn of(context: &Context<'_>, connection: &Connection) -> Self {
        Self::new(connection.home(), &context.input().chat_id)
    }

    fn new(home: &str, chat_id: &str) -> Self {
        let home = home.trim_end_matches('/').to_owned();
        let relative = format!("{DIRECTORY}/PLAN-{chat_id}.md");
        let absolute = format!("{home}/{relative}");
        Self {
            home,
            relative,
            absolute,
        }
    }

    /// The path as the model is told it.
    pub(super) fn absolute(&self) -> &str {
        &self.absolute
    }

    /// Whether `path` names the plan file, to the letter.
    pub(super) fn is(&self, path: &str) -> bool {
        path == self.relative || path == self.absolute || path.strip_prefix("~/") == Some(self.relative.as_str())
    }

    /// Refuses a plan file that is really somewhere else.
    pub(super) fn must_be(&self, resolved: &str) -> Result<(), Stop> {
        if resolved == self.absolute {
            return Ok(());
        }
        Err(Stop::Failed(format!(
            "{} leads to {resolved} through a symbolic link. Remove the link first.",
            self.absolute
        )))
    }

    /// Refuses a plan file, or a directory above it, that is a link.
    async fn must_be_itself(&self, context: &Context<'_>, connection: &Connection) -> Result<(), Stop> {
        for directory in [DIRECTORY, ".tandem"] {
            let operation = Operation::ListDirectory(ListDirectory {
                path: directory.to_owned(),
            });
            match connection
                .call(&context.input().chat_id, operation, LOOK_TIME, None)
                .await
            {
                Ok(Answer::ListDirectory(listed)) => {
                    let expected = format!("{}/{directory}", self.home);
                    if listed.absolute_path != expected {
                        return Err(Stop::Failed(format!(
                            "{expected} leads to {} through a symbolic link. Remove the link first.",
                            listed.absolute_path
                        )));
                    }
                    break;
                }
                // It will be made, and the one above it is looked at next.
                Err(Refusal::Failed(error)) if error.kind() == OperationErrorKind::NotFound => {}
                Err(refusal) => return Err(Stop::reading(refusal)),
                Ok(other) => return Err(Stop::unexpected(other)),
            }
        }
        let request = ReadBytes {
            path: self.absolute.clone(),
            max_bytes: 0,
        };
        match read_bytes(context, connection, request).await {
            Ok(Some(read)) => self.must_be(&read.resolved_path),
            // Nothing is there yet, or nothing that could be a plan: writing says what is wrong.
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

/// Refuses plans that chats of one workspace would take from each other; in a planning turn, every path but the chat's plan file.
pub(super) async fn check(context: &Context<'_>, connection: &Connection, path: &str) -> Result<(), Stop> {
    let place = Place::of(context, connection);
    if place.is(path) {
        if context.input().kind.writes_plan_file_only() {
            place.must_be_itself(context, connection).await?;
        }
        return Ok(());
    }
    if context.input().kind.writes_plan_file_only() {
        return Err(Stop::Failed(format!(
            "while planning, only the plan file may be written: {}",
            place.absolute
        )));
    }
    if is_shared_plan(path, &place.home) {
        return Err(Stop::Failed(format!(
            "{path}: every chat of the workspace would share this plan. Use the chat's own: {}",
            place.absolute
        )));
    }
    Ok(())
}

/// Whether the path is a plan in the home directory, or a relative one that is likely meant to be.
fn is_shared_plan(path: &str, home: &str) -> bool {
    let path = path.trim();
    let name = path.rsplit('/').next().unwrap_or(path);
    if !name.eq_ignore_ascii_case(COMMON_NAME) {
        return false;
    }
    !path.starts_with('/') || directory(path).eq_ignore_ascii_case(&directory(&format!("{home}/x")))
}

/// The directory of an absolute path, without `.`, `..` and empty parts.
fn directory(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let (above, _) = path.rsplit_once('/').unwrap_or_default();
    for part in above.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_in_the_home_directory_is_shared_whatever_its_case() {
        for path in [
            "plan.md",
            "PLAN.md",
            "docs/Plan.md",
            "~/plan.md",
            "/home/w/PLAN.md",
            "/HOME/W//plan.md",
            "/home/w/./plan.md",
            "/home/w/docs/../plan.md",
            "/home/../home/w/plan.md",
            " plan.md ",
        ] {
            assert!(is_shared_plan(path, "/home/w"), "{path}");
        }
        for path in [
            "/home/w/docs/plan.md",
            "/home/plan.md",
            "plan.txt",
            "my-plan.md",
            "/home/w/plan.md/x",
        ] {
            assert!(!is_shared_plan(path, "/home/w"), "{path}");
        }
    }

    #[test]
    fn the_plan_file_is_known_by_its_three_names() {
        let place = Place::new("/home/w", "c");
        for path in [
            ".tandem/plans/PLAN-c.md",
            "/home/w/.tandem/plans/PLAN-c.md",
            "~/.tandem/plans/PLAN-c.md",
        ] {
            assert!(place.is(path), "{path}");
        }
        for path in [
            "",
            "/home/w/.tandem/plans/PLAN-d.md",
            "./.tandem/plans/PLAN-c.md",
            "/home/w/.tandem/plans/plan-c.md",
        ] {
            assert!(!place.is(path), "{path}");
        }
        assert!(place.must_be("/home/w/.tandem/plans/PLAN-c.md").is_ok());
        assert!(place.must_be("/home/w/src/main.rs").is_err());
    }
}
