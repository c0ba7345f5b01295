//! `propose_plan`: the chat's plan file, shown to the user for approval. It ends the turn.

use serde_json::{Value, json};
use tandem_proto::workspace::v1::ReadBytes;

use super::arguments::Arguments;
use super::stored::{read_bytes, store};
use super::{Outcome, Stop, plan};
use crate::call::Context;

/// Largest plan, in bytes.
const MAX_BYTES: i64 = 32 * 1024;

/// What plans are.
const MEDIA_TYPE: &str = "text/markdown";

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Shows the chat's plan file to the user and ends the turn. Write the plan with write_file first. The user \
        answers by approving it or by saying what to change.";
    let schema = json!({
        "type": "object",
        "properties": {
            "path": { "type": "string", "description": "Path of the plan file. Default: the chat's own." },
        },
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let asked = arguments
        .optional_text("path")?
        .map(str::trim)
        .filter(|path| !path.is_empty());
    let ready = context.workspace().await?;
    let place = plan::Place::of(context, &ready.connection);
    if let Some(path) = asked.filter(|path| !place.is(path)) {
        return Err(Stop::Failed(format!(
            "{path} is not the chat's plan file. Write the plan to {0} and propose that.",
            place.absolute()
        )));
    }
    let path = place.absolute();
    let request = ReadBytes {
        path: path.to_owned(),
        max_bytes: MAX_BYTES,
    };
    let read = read_bytes(context, &ready.connection, request).await?;
    let read = read.ok_or_else(|| Stop::Failed(format!("{path}: the plan exceeds 32 KiB size limit; shorten it")))?;
    place.must_be(&read.resolved_path)?;
    let Ok(text) = String::from_utf8(read.content) else {
        return Err(Stop::Failed(format!("{path}: the plan is not UTF-8 text")));
    };
    if text.trim().is_empty() {
        return Err(Stop::Failed(format!(
            "{path}: the plan file is empty; write the plan first"
        )));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let file_id = store(context, &ready.workspace_id, name, MEDIA_TYPE, text.into_bytes()).await?;
    Ok(Outcome::Done(json!({
        "ok": true,
        "path": path,
        "kind": "plan",
        "file_id": file_id,
        "media_type": MEDIA_TYPE,
    })))
}
