//! `edit_files`: replacements in files, all or none.

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{Edit, EditFiles, FileEdits};

use super::arguments::{Arguments, must_be};
use super::read_file::FILE_TIME;
use super::{Outcome, Stop, plan};
use crate::call::Context;

/// Most bytes of diffs in one result; later ones are left out.
const MAX_DIFFS_BYTES: usize = 512 * 1024;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Edits files of the workspace by replacing text. Each search must match exactly once, indentation \
        included, unless replace_all is set. The edits of one file are applied in order, each to the outcome of the one \
        before. Either all edits of all files are applied or none is. Answers with a diff of each file.";
    let edit = json!({
        "type": "object",
        "properties": {
            "search": { "type": "string", "description": "The text to find, with enough around it to be unique." },
            "replace": { "type": "string", "description": "The text to put in its place; may be empty." },
            "replace_all": { "type": "boolean", "description": "Replace every occurrence. Default false." },
        },
        "required": ["search", "replace"],
    });
    let file = json!({
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "Path of the file, absolute or relative to the workspace's home directory.",
            },
            "edits": { "type": "array", "items": edit, "minItems": 1, "maxItems": 100 },
        },
        "required": ["path", "edits"],
    });
    let schema = json!({
        "type": "object",
        "properties": { "files": { "type": "array", "items": file, "minItems": 1, "maxItems": 100 } },
        "required": ["files"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let files = list(arguments, "files", "")?
        .into_iter()
        .map(|(at, file)| file_edits(&at, &file));
    let files: Vec<FileEdits> = files.collect::<Result<_, _>>()?;
    let ready = context.workspace().await?;
    for file in &files {
        plan::check(context, &ready.connection, &file.path)?;
    }
    if context.is_resumed {
        return Err(Stop::Unknown);
    }
    let chat_id = &context.input().chat_id;
    let operation = Operation::EditFiles(EditFiles { files });
    let answer = ready.connection.call(chat_id, operation, FILE_TIME, None).await;
    let result = match answer.map_err(Stop::writing)? {
        Answer::EditFiles(result) => result,
        other => return Err(Stop::unexpected(other)),
    };
    let mut room = MAX_DIFFS_BYTES;
    let shown = result.files.into_iter().map(|file| {
        let fits = file.diff.len() <= room;
        let diff = if fits {
            file.diff
        } else {
            "... [diff left out]".to_owned()
        };
        room = room.saturating_sub(diff.len());
        json!({ "path": file.path, "diff": diff })
    });
    let shown: Vec<Value> = shown.collect();
    Ok(Outcome::Done(json!({ "ok": true, "files": shown })))
}

fn file_edits(at: &str, file: &Arguments) -> Result<FileEdits, Stop> {
    let path = file.text("path").map_err(|stop| within(at, stop))?.trim().to_owned();
    let edits = list(file, "edits", at)?
        .into_iter()
        .map(|(at, edit)| one_edit(&edit).map_err(|stop| within(&at, stop)));
    Ok(FileEdits {
        path,
        edits: edits.collect::<Result<_, _>>()?,
    })
}

fn one_edit(edit: &Arguments) -> Result<Edit, Stop> {
    let text = |name| {
        edit.optional_text(name)?
            .map(str::to_owned)
            .ok_or_else(|| must_be(name, "given"))
    };
    Ok(Edit {
        search: text("search")?,
        replace: text("replace")?,
        replace_all: edit.flag("replace_all")?,
    })
}

/// A list of objects, each with its place. Some models send the list as JSON inside text.
fn list(arguments: &Arguments, name: &str, at: &str) -> Result<Vec<(String, Arguments)>, Stop> {
    let wrong = || within(at, must_be(name, "a list of objects with at least one entry"));
    let items = match arguments.get(name) {
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
        Some(_) | None => return Err(wrong()),
    };
    if items.is_empty() {
        return Err(wrong());
    }
    let prefix = if at.is_empty() { String::new() } else { format!("{at}.") };
    let entry = |(index, item): (usize, Value)| match item {
        Value::Object(fields) => Ok((format!("{prefix}{name}[{index}]"), Arguments::from_object(fields))),
        _ => Err(wrong()),
    };
    items.into_iter().enumerate().map(entry).collect()
}

fn within(at: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Failed(message) if !at.is_empty() => Stop::Failed(format!("{at}.{message}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<FileEdits>, Stop> {
        let arguments = Arguments::parse(text)?;
        list(&arguments, "files", "")?
            .iter()
            .map(|(at, file)| file_edits(at, file))
            .collect()
    }

    #[test]
    fn edits_are_taken_in_order() {
        let files = parse(
            r#"{"files":[{"path":" a ","edits":[{"search":"x","replace":""},{"search":"y","replace":"z","replace_all":true}]}]}"#,
        );
        let files = files.unwrap();
        assert_eq!(files[0].path, "a");
        assert_eq!(files[0].edits.len(), 2);
        assert!(files[0].edits[1].replace_all);
    }

    #[test]
    fn a_list_inside_text_is_understood() {
        let files =
            parse(r#"{"files":"[{\"path\":\"a\",\"edits\":[{\"search\":\"x\",\"replace\":\"y\"}]}]"}"#).unwrap();
        assert_eq!(files.len(), 1);
    }

    #[test]
    fn errors_name_the_place() {
        let failed = |text: &str| match parse(text).unwrap_err() {
            Stop::Failed(message) => message,
            Stop::Unknown => String::new(),
        };
        assert!(failed("{}").starts_with("files must be"));
        assert!(failed(r#"{"files":[{"edits":[]}]}"#).starts_with("files[0].path is required"));
        assert!(failed(r#"{"files":[{"path":"a","edits":[]}]}"#).starts_with("files[0].edits must be"));
        let text = r#"{"files":[{"path":"a","edits":[{"search":"x"}]}]}"#;
        assert!(failed(text).starts_with("files[0].edits[0].replace must be given"));
    }
}
