//! `read_skill_file`: a file beside a skill's instructions. Only skills of workspaces have files.

use serde_json::{Value, json};
use tandem_chat_core::context::skill;
use tandem_proto::workspace::v1::ReadSkillFile;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;

use super::arguments::Arguments;
use super::read_file::FILE_TIME;
use super::read_skill::{Owner, Wanted};
use super::{Outcome, Stop};
use crate::agents::Refusal;
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Reads a file that belongs to a skill of the workspace, at most 512 KiB of it. Call read_skill first: it lists \
        the files.";
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "Name of the skill as it is listed." },
            "path": { "type": "string", "description": "Path of the file, relative to the skill's directory." },
        },
        "required": ["name", "path"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let wanted = Wanted::parse(arguments.text("name")?)?;
    let path = arguments.text("path")?;
    // Before anything is started for it.
    if !skill::is_file_path(path) {
        let text = "path must be relative, without .. and without names that begin with a dot";
        return Err(Stop::Failed(text.to_owned()));
    }
    if wanted.owner == Some(Owner::Personal) {
        return Err(Stop::Failed("personal skills have no files".to_owned()));
    }
    let request = ReadSkillFile {
        name: wanted.name.to_owned(),
        path: path.to_owned(),
    };
    let chat_id = &context.input().chat_id;
    let ready = context.workspace().await?;
    let operation = Operation::ReadSkillFile(request.clone());
    let mut answer = ready.connection.call(chat_id, operation, FILE_TIME, None).await;
    if answer == Err(Refusal::Broken) {
        // The agent may be back, or be started again; reading twice does no harm.
        let ready = context.workspace().await?;
        let operation = Operation::ReadSkillFile(request);
        answer = ready.connection.call(chat_id, operation, FILE_TIME, None).await;
    }
    match answer.map_err(Stop::reading)? {
        Answer::ReadSkillFile(file) => Ok(Outcome::Done(json!({ "content": file.content }))),
        other => Err(Stop::unexpected(other)),
    }
}
