//! `read_skill`: the instructions of a skill, the workspace's or the user's own.

use serde_json::{Value, json};
use tandem_chat_core::context::skill;
use tandem_proto::storage::v1::PersonalSkill;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ReadSkill, ReadSkillResult};

use super::arguments::Arguments;
use super::read_file::FILE_TIME;
use super::{Outcome, Stop};
use crate::agents::{Connection, Refusal};
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Reads the instructions of a skill that is listed as available. Call it before you do work that the skill is \
        for, and follow what it says. Answers with the instructions and the names of the files beside them, which read_skill_file reads.";
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "Name of the skill as it is listed." },
        },
        "required": ["name"],
    });
    (description, schema)
}

/// A skill's name as the model writes it.
pub(super) struct Wanted<'a> {
    pub(super) owner: Option<Owner>,
    pub(super) name: &'a str,
}

/// Whose skill is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Workspace,
    Personal,
}

impl<'a> Wanted<'a> {
    /// Reads `name`, `workspace/name` or `personal/name`.
    ///
    /// # Errors
    /// Nothing could have this name.
    pub(super) fn parse(text: &'a str) -> Result<Self, Stop> {
        let text = text.trim();
        let (owner, name) = match text.split_once('/') {
            Some(("workspace", name)) => (Some(Owner::Workspace), name),
            Some(("personal", name)) => (Some(Owner::Personal), name),
            Some(_) | None => (None, text),
        };
        match skill::is_name(name) {
            true => Ok(Self { owner, name }),
            false => Err(not_found(text)),
        }
    }
}

pub(super) fn not_found(name: &str) -> Stop {
    let shown: String = name.chars().take(64).collect();
    Stop::Failed(format!("skill {shown:?} not found"))
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let wanted = Wanted::parse(arguments.text("name")?)?;
    if wanted.owner == Some(Owner::Workspace) {
        return workspace(context, wanted.name).await;
    }
    // The user's own first: for those no workspace has to be started.
    match (context.personal_skill(wanted.name).await?, wanted.owner) {
        (Some(skill), Some(_)) => Ok(personal(skill)),
        (None, Some(_)) => Err(not_found(wanted.name)),
        (None, None) => workspace(context, wanted.name).await,
        (Some(skill), None) => match context.connected() {
            Some(connection) if read(context, &connection, wanted.name).await.is_ok() => {
                let name = wanted.name;
                let text = format!("there are two skills {name:?}; call it workspace/{name} or personal/{name}");
                Err(Stop::Failed(text))
            }
            Some(_) | None => Ok(personal(skill)),
        },
    }
}

fn personal(skill: PersonalSkill) -> Outcome {
    let files: [&str; 0] = [];
    Outcome::Done(json!({ "name": skill.name, "body": skill.body, "files": files }))
}

async fn workspace(context: &Context<'_>, name: &str) -> Result<Outcome, Stop> {
    let ready = context.workspace().await?;
    let mut result = read(context, &ready.connection, name).await;
    if matches!(result, Err(Refusal::Broken)) {
        // The agent may be back, or be started again; reading twice does no harm.
        result = read(context, &context.workspace().await?.connection, name).await;
    }
    let skill = result.map_err(Stop::reading)?;
    Ok(Outcome::Done(json!({
        "name": skill.name,
        "body": skill.body,
        "files": skill.files,
        "dir": skill.directory,
    })))
}

async fn read(context: &Context<'_>, connection: &Connection, name: &str) -> Result<ReadSkillResult, Refusal> {
    let operation = Operation::ReadSkill(ReadSkill { name: name.to_owned() });
    let answer = connection
        .call(&context.input().chat_id, operation, FILE_TIME, None)
        .await?;
    match answer {
        Answer::ReadSkill(result) => Ok(result),
        _ => Err(Refusal::Late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_whose_skill_is_meant() {
        let parsed = |text: &'static str| Wanted::parse(text).map(|wanted| (wanted.owner, wanted.name));
        assert_eq!(parsed("notes"), Ok((None, "notes")));
        assert_eq!(parsed(" personal/notes "), Ok((Some(Owner::Personal), "notes")));
        assert_eq!(parsed("workspace/notes"), Ok((Some(Owner::Workspace), "notes")));
        for hostile in ["", "../notes", "other/notes", "personal/../x", "workspace/", "Notes"] {
            assert!(parsed(hostile).is_err(), "{hostile}");
        }
    }
}
