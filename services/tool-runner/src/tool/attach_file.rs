//! `attach_file`: a file of the workspace kept with the chat, where its reader can open it.

use serde_json::{Value, json};
use tandem_chassis::sniff;
use tandem_proto::workspace::v1::ReadBytes;

use super::arguments::Arguments;
use super::stored::{read_bytes, store};
use super::{Outcome, Stop};
use crate::call::Context;

/// Largest file that is attached, in bytes.
const MAX_BYTES: i64 = 10 * 1024 * 1024;

/// What a file is called that has no name.
const NAMELESS: &str = "attachment";

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Attaches a file of the workspace to the chat, so that the user can see and download it: a picture, a \
        document, a table. At most 10 MiB; text, CSV, JSON, Markdown, PDF, PNG, JPEG, GIF and WebP.";
    let schema = json!({
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "Path of the file, absolute or relative to the workspace's home directory.",
            },
            "name": { "type": "string", "description": "Name to show. Default: the last part of the path." },
        },
        "required": ["path"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let path = arguments.text("path")?;
    let asked = arguments.optional_text("name")?;
    let name = asked.and_then(last_part).or_else(|| last_part(path));
    let name = name.unwrap_or_else(|| NAMELESS.to_owned());
    let ready = context.workspace().await?;
    let request = ReadBytes {
        path: path.to_owned(),
        max_bytes: MAX_BYTES,
    };
    let read = read_bytes(context, &ready.connection, request).await?;
    let read = read.ok_or_else(|| Stop::Failed(format!("{path}: the attachment exceeds the size limit of 10 MiB")))?;
    if read.content.is_empty() {
        return Err(Stop::Failed(format!("{path}: the attachment is empty")));
    }
    let size = read.content.len();
    let media_type = media_type(&read.content, &name)?;
    let file_id = store(context, &ready.workspace_id, &name, media_type, read.content).await?;
    Ok(Outcome::Done(json!({
        "ok": true,
        "path": path,
        "file_id": file_id,
        "name": name,
        "media_type": media_type,
        "size": size,
    })))
}

/// What the bytes are, if such files are kept.
fn media_type(content: &[u8], name: &str) -> Result<&'static str, Stop> {
    sniff::check(content, name, "").map_err(|refusal| {
        let found = match refusal {
            sniff::Refusal::Detected(found) => found.to_owned(),
            sniff::Refusal::Declared(declared) | sniff::Refusal::Mismatch { declared, .. } => declared,
        };
        Stop::Failed(format!(
            "files of type {found} cannot be attached. These can: {}",
            sniff::ALLOWED.join(", ")
        ))
    })
}

/// The last part of a path of any system that is a name: whoever saves the file under it stays in his folder.
fn last_part(path: &str) -> Option<String> {
    let names = path.rsplit(['/', '\\']).map(sniff::normal_name);
    names
        .into_iter()
        .find(|name| !name.is_empty() && name.chars().any(|letter| letter != '.'))
}

#[cfg(test)]
mod polyglots;

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(path: &str) -> String {
        last_part(path).unwrap_or_else(|| NAMELESS.to_owned())
    }

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        for (path, name) in [
            ("/home/w/a.png", "a.png"),
            ("a.png", "a.png"),
            ("C:\\w\\b.txt", "b.txt"),
            ("dir/", "dir"),
            ("/", "attachment"),
            ("\u{7}\n", "attachment"),
            ("../..", "attachment"),
        ] {
            assert_eq!(name_of(path), name, "{path:?}");
        }
        assert!(name_of(&"n".repeat(500)).len() <= 255);
    }

    #[test]
    fn what_browsers_would_run_is_refused_or_plain_text() {
        assert_eq!(
            media_type(b"<html><script>alert(1)</script>", "a.png"),
            Ok("text/plain")
        );
        for content in [
            &b"<svg onload=alert(1)>"[..],
            b"<?xml version=\"1.0\"?><x/>",
            b"PK\x03\x04",
            b"\x7fELF\0",
        ] {
            let Err(Stop::Failed(message)) = media_type(content, "a.png") else {
                panic!("{content:?} was accepted");
            };
            assert!(message.contains("cannot be attached"), "{message}");
        }
    }
}
