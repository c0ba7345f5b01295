//! `write_file`: a whole file replaced.

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ReadFile, WriteFile};

use super::arguments::{Arguments, must_be};
use super::read_file::{FILE_TIME, read};
use super::{Outcome, Stop, plan};
use crate::agents::Connection;
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Writes a file of the workspace, replacing all of it if it exists. Parent directories are made. To change \
        parts of a file use edit_files.";
    let schema = json!({
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "Path of the file, absolute or relative to the workspace's home directory.",
            },
            "content": { "type": "string", "description": "The file's whole new content." },
        },
        "required": ["path", "content"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let path = arguments.text("path")?;
    let content = arguments
        .optional_text("content")?
        .ok_or_else(|| must_be("content", "given; it may be empty text"))?;
    let ready = context.workspace().await?;
    plan::check(context, &ready.connection, path).await?;
    if context.is_resumed {
        // Writing again could undo what somebody wrote since.
        let is_there = holds(context, &ready.connection, path, content).await?;
        return if is_there { Ok(done()) } else { Err(Stop::Unknown) };
    }
    let request = WriteFile {
        path: path.to_owned(),
        content: content.as_bytes().to_vec(),
    };
    let chat_id = &context.input().chat_id;
    let answer = ready
        .connection
        .call(chat_id, Operation::WriteFile(request), FILE_TIME, None)
        .await;
    match answer.map_err(Stop::writing)? {
        Answer::WriteFile(_) => Ok(done()),
        other => Err(Stop::unexpected(other)),
    }
}

fn done() -> Outcome {
    Outcome::Done(json!({ "ok": true }))
}

/// Whether the file has exactly this content, as far as reading can tell.
async fn holds(context: &Context<'_>, connection: &Connection, path: &str, content: &str) -> Result<bool, Stop> {
    let request = ReadFile {
        path: path.to_owned(),
        offset: 1,
        limit: 0,
    };
    let Ok(read) = read(context, connection, request).await else {
        return Ok(false);
    };
    Ok(usize::try_from(read.file_size) == Ok(content.len()) && read.content == numbered(content))
}

/// `content` as `read_file` shows it. A file that is shown cut never equals it, which errs on the side of not knowing.
fn numbered(content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = content
        .split('\n')
        .enumerate()
        .map(|(index, line)| format!("{}\t{line}", index + 1))
        .collect();
    lines.join("\n")
}
