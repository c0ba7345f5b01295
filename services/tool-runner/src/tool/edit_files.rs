//! `edit_files`: replacements in files, all or none.

use std::collections::HashMap;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{Edit, EditFiles, FileEdits};

use super::arguments::{Arguments, list, must_be, within};
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
    let files = parse(arguments)?;
    let ready = context.workspace().await?;
    for file in &files {
        plan::check(context, &ready.connection, &file.path).await?;
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

/// The edits of each file. Models send them grouped by file, or as one list in which each edit names its file.
fn parse(arguments: &Arguments) -> Result<Vec<FileEdits>, Stop> {
    match (arguments.get("files"), arguments.get("edits")) {
        (Some(_), Some(_)) => {
            let problem = "give either files or edits, not both. No edits were applied.";
            Err(Stop::Failed(problem.to_owned()))
        }
        (None, Some(_)) => flat(arguments),
        (Some(_), None) | (None, None) => {
            let files = list(arguments, "files", "")?;
            files.iter().map(|(at, file)| file_edits(at, file)).collect()
        }
    }
}

/// One list of edits, grouped by path: files in the order in which they are first named, the edits of each in theirs.
fn flat(arguments: &Arguments) -> Result<Vec<FileEdits>, Stop> {
    let mut files: Vec<FileEdits> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, edit) in list(arguments, "edits", "")? {
        let path = edit.text("path").map_err(|stop| within(&at, stop))?.trim().to_owned();
        let edit = one_edit(&edit).map_err(|stop| within(&at, stop))?;
        let place = *places.entry(path.clone()).or_insert(files.len());
        match files.get_mut(place) {
            Some(file) => file.edits.push(edit),
            None => files.push(FileEdits {
                path,
                edits: vec![edit],
            }),
        }
    }
    Ok(files)
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

/// An edit under either pair of names.
fn one_edit(edit: &Arguments) -> Result<Edit, Stop> {
    let text = |name, other| {
        let found = match (edit.optional_text(name)?, edit.optional_text(other)?) {
            (Some(_), Some(_)) => {
                return Err(Stop::Failed(format!(
                    "{name} and {other} are the same; give one of them"
                )));
            }
            (found, None) | (None, found) => found,
        };
        found.map(str::to_owned).ok_or_else(|| must_be(name, "given"))
    };
    Ok(Edit {
        search: text("search", "old_text")?,
        replace: text("replace", "new_text")?,
        replace_all: edit.flag("replace_all")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<FileEdits>, Stop> {
        super::parse(&Arguments::parse_unambiguous(text)?)
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
    fn a_flat_list_is_grouped_by_file() {
        let edit = |path: &str, old: &str, new: &str| json!({"path": path, "old_text": old, "new_text": new});
        let sent = json!({"edits": [edit("b", "1", "2"), edit(" a", "x", "y"), edit("b ", "2", "3")]});
        let expected = |path: &str, edits: &[(&str, &str)]| FileEdits {
            path: path.to_owned(),
            edits: edits
                .iter()
                .map(|(search, replace)| Edit {
                    search: (*search).to_owned(),
                    replace: (*replace).to_owned(),
                    replace_all: false,
                })
                .collect(),
        };
        let files = vec![expected("b", &[("1", "2"), ("2", "3")]), expected("a", &[("x", "y")])];
        assert_eq!(parse(&sent.to_string()).unwrap(), files);
        // The list as text, and the other names.
        let text = json!({"edits": sent["edits"].to_string()}).to_string();
        assert_eq!(parse(&text).unwrap(), files);
        assert_eq!(
            parse(&text.replace("old_text", "search").replace("new_text", "replace")).unwrap(),
            files
        );
    }

    #[test]
    fn a_list_that_says_two_things_is_refused() {
        for text in [
            r#"{"files":[{"path":"a","edits":[{"search":"x","replace":"y"}]}],"edits":[{"path":"a","search":"x","replace":"y"}]}"#,
            r#"{"edits":[{"path":"a","search":"x","old_text":"z","replace":"y"}]}"#,
            r#"{"edits":[{"path":"a","search":"x","replace":"y","replace":"z"}]}"#,
            r#"{"edits":"[{\"path\":\"a\",\"search\":\"x\",\"Search\":\"x\",\"replace\":\"z\"}]"}"#,
            r#"{"edits":"no list"}"#,
            r#"{"edits":[1]}"#,
        ] {
            assert!(matches!(parse(text), Err(Stop::Failed(_))), "{text}");
        }
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
