//! `read_file`: lines of a text file.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ReadFile, ReadFileResult};

use super::arguments::Arguments;
use super::{Outcome, Stop};
use crate::agents::{Connection, Refusal};
use crate::call::Context;

/// Time for one file operation.
pub(super) const FILE_TIME: Duration = Duration::from_secs(30);

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Reads a text file of the workspace. Lines come numbered, as the number, a tab and the text. At most 2,000 \
        lines and 32 KiB at a time; read larger files in parts with offset and limit. Lines longer than 1,024 bytes are cut.";
    let schema = json!({
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "Path of the file, absolute or relative to the workspace's home directory.",
            },
            "offset": { "type": "integer", "description": "First line to read, counted from 1. Default 1." },
            "limit": { "type": "integer", "description": "Most lines to read. Default 2000." },
        },
        "required": ["path"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let request = ReadFile {
        path: arguments.text("path")?.to_owned(),
        offset: arguments.optional_integer("offset")?.unwrap_or(1),
        limit: arguments.optional_integer("limit")?.unwrap_or(0),
    };
    let ready = context.workspace().await?;
    let result = read(context, &ready.connection, request).await?;
    Ok(Outcome::Done(json!({
        "content": result.content,
        "file_size": result.file_size,
        "lines_read": result.lines_read,
        "total_lines": result.total_lines,
    })))
}

pub(super) async fn read(
    context: &Context<'_>,
    connection: &Connection,
    request: ReadFile,
) -> Result<ReadFileResult, Stop> {
    let chat_id = &context.input().chat_id;
    let again = request.clone();
    let mut answer = connection
        .call(chat_id, Operation::ReadFile(request), FILE_TIME, None)
        .await;
    if answer == Err(Refusal::Broken) {
        // The agent may be back, or be started again; reading twice does no harm.
        let ready = context.workspace().await?;
        answer = ready
            .connection
            .call(chat_id, Operation::ReadFile(again), FILE_TIME, None)
            .await;
    }
    match answer.map_err(Stop::reading)? {
        Answer::ReadFile(result) => Ok(result),
        other => Err(Stop::unexpected(other)),
    }
}
