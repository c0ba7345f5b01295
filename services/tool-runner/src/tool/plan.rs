//! Plan files: each chat has one of its own, and a planning turn may write nothing else.

use super::Stop;
use crate::agents::Connection;
use crate::call::Context;

/// The name models give a plan by themselves, in any case.
const COMMON_NAME: &str = "plan.md";

/// Refuses plans that chats of one workspace would take from each other; in a planning turn, every path but the chat's plan file.
pub(super) fn check(context: &Context<'_>, connection: &Connection, path: &str) -> Result<(), Stop> {
    let input = context.input();
    let relative = format!(".tandem/plans/PLAN-{}.md", input.chat_id);
    let absolute = format!("{}/{relative}", connection.home());
    if path == relative || path == absolute {
        return Ok(());
    }
    if input.kind.writes_plan_file_only() {
        return Err(Stop::Failed(format!(
            "while planning, only the plan file may be written: {absolute}"
        )));
    }
    if is_shared_plan(path, connection.home()) {
        return Err(Stop::Failed(format!(
            "{path}: every chat of the workspace would share this plan. Use the chat's own: {absolute}"
        )));
    }
    Ok(())
}

/// Whether the path is a plan in the home directory, or a relative one that is likely meant to be.
fn is_shared_plan(path: &str, home: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    if !name.eq_ignore_ascii_case(COMMON_NAME) {
        return false;
    }
    !path.starts_with('/')
        || directory
            .trim_end_matches('/')
            .eq_ignore_ascii_case(home.trim_end_matches('/'))
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
        ] {
            assert!(is_shared_plan(path, "/home/w"), "{path}");
        }
        for path in ["/home/w/docs/plan.md", "plan.txt", "my-plan.md", "/home/w/plan.md/x"] {
            assert!(!is_shared_plan(path, "/home/w"), "{path}");
        }
    }
}
