//! What a server answers to a call, as a result the model and its reader can use: text, and at most one piece of media.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tandem_mcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// Longest text of a result, in bytes; more is cut.
const MAX_TEXT_BYTES: usize = 256 * 1024;

/// Largest media of a result, in bytes of base64: with the text it fits into what is stored of a call.
const MAX_MEDIA_BYTES: usize = 700 * 1024;

const NOTHING: &str = "The tool answered without saying anything.";

/// A result, and whether the tool calls it an error.
#[derive(Debug, PartialEq)]
pub(crate) struct Converted {
    /// Text, or `{data, mime_type, text}`.
    pub(crate) value: Value,
    pub(crate) is_error: bool,
}

/// Converts an answer. Texts are joined by line breaks; the first usable media is kept.
pub(crate) fn convert(result: CallToolResult) -> Converted {
    let mut lines: Vec<String> = Vec::new();
    let mut media = None;
    for block in result.content {
        match block {
            ContentBlock::Text(text) => lines.push(text.text),
            ContentBlock::Image(image) => keep(&mut media, &mut lines, image.data, &image.mime_type, "image"),
            ContentBlock::Audio(audio) => keep(&mut media, &mut lines, audio.data, &audio.mime_type, "audio"),
            ContentBlock::Resource(resource) => match resource.resource {
                ResourceContents::TextResourceContents { text, .. } => lines.push(text),
                ResourceContents::BlobResourceContents {
                    blob, mime_type, uri, ..
                } => {
                    let mime_type = mime_type.unwrap_or_default();
                    keep(&mut media, &mut lines, blob, &mime_type, &format!("resource {uri}"));
                }
                _ => lines.push("[a resource of an unknown kind was left out]".to_owned()),
            },
            ContentBlock::ResourceLink(link) => {
                let description = link.description.map(|text| format!(": {text}")).unwrap_or_default();
                lines.push(format!("[resource: {} ({}){description}]", link.name, link.uri));
            }
            _ => lines.push("[content of an unknown kind was left out]".to_owned()),
        }
    }
    if let Some(structured) = result.structured_content {
        // Servers say the same as text, for clients that know no structured content.
        let is_said = lines
            .iter()
            .any(|line| serde_json::from_str::<Value>(line).is_ok_and(|value| value == structured));
        if !is_said {
            lines.push(structured.to_string());
        }
    }
    let is_error = result.is_error.unwrap_or(false);
    let text = cut(lines.join("\n"), MAX_TEXT_BYTES);
    let value = match media {
        Some((data, mime_type)) if !is_error => json!({"data": data, "mime_type": mime_type, "text": text}),
        _ if text.trim().is_empty() => NOTHING.into(),
        _ => text.into(),
    };
    Converted { value, is_error }
}

/// Whether a stored result of a foreign tool is media: it is told by its shape, which no text has.
pub(crate) fn is_media(result_json: &str) -> bool {
    let value: Value = serde_json::from_str(result_json).unwrap_or_default();
    value.as_object().is_some_and(|fields| {
        fields.len() == 3
            && ["data", "mime_type", "text"]
                .iter()
                .all(|name| fields.get(*name).is_some_and(Value::is_string))
    })
}

/// Keeps the first media that is good for something, and says of others why they are not there.
fn keep(media: &mut Option<(String, String)>, lines: &mut Vec<String>, data: String, mime_type: &str, what: &str) {
    if data.is_empty() {
        return;
    }
    let problem = if data.len() > MAX_MEDIA_BYTES {
        format!(
            "it has {} bytes, and at most {MAX_MEDIA_BYTES} can be shown",
            data.len()
        )
    } else if media.is_some() {
        "only the first of a result is shown".to_owned()
    } else if !is_mime_type(mime_type) {
        "its type is not valid".to_owned()
    } else if STANDARD.decode(&data).is_err() {
        // Sent on as it is, it would make every later request to the model fail.
        "it is not valid base64".to_owned()
    } else {
        *media = Some((data, mime_type.to_ascii_lowercase()));
        return;
    };
    lines.push(format!("[{} left out: {problem}]", cut(what.to_owned(), 256)));
}

fn is_mime_type(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.len() <= 127
        && text
            .split_once('/')
            .is_some_and(|(kind, sort)| is_word(kind) && is_word(sort))
}

/// The text up to `max` bytes, with a note on what is missing. NUL cannot be stored and is left out.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    text.retain(|c| c != '\0');
    if text.len() <= max {
        return text;
    }
    let whole = text.len();
    text.truncate(text.floor_char_boundary(max));
    text.push_str(&format!("\n[cut: {whole} bytes in all]"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(result: Value) -> Converted {
        convert(serde_json::from_value(result).unwrap())
    }

    fn text(result: Value) -> String {
        converted(result).value.as_str().unwrap().to_owned()
    }

    #[test]
    fn texts_links_and_resources_become_lines() {
        let result = json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "resource", "resource": {"uri": "f:///a", "text": "two"}},
            {"type": "resource_link", "uri": "f:///b", "name": "b", "description": "more"},
        ]});
        assert_eq!(text(result), "one\ntwo\n[resource: b (f:///b): more]");
        assert_eq!(text(json!({"content": []})), NOTHING);
    }

    #[test]
    fn structured_content_is_said_once() {
        let result = json!({"content": [{"type": "text", "text": "{\"a\": 1}"}], "structuredContent": {"a": 1}});
        assert_eq!(text(result), "{\"a\": 1}");
        let result = json!({"content": [{"type": "text", "text": "see"}], "structuredContent": {"a": 1}});
        assert_eq!(text(result), "see\n{\"a\":1}");
    }

    #[test]
    fn the_first_image_is_kept_with_its_text_and_others_are_named() {
        let image = |data: &str| json!({"type": "image", "data": data, "mimeType": "image/PNG"});
        let result = json!({"content": [{"type": "text", "text": "a"}, image("aGk="), image("aGk=")]});
        let value = converted(result).value;
        assert_eq!(value["data"], "aGk=");
        assert_eq!(value["mime_type"], "image/png");
        assert_eq!(
            value["text"],
            "a\n[image left out: only the first of a result is shown]"
        );
        assert!(is_media(&value.to_string()) && !is_media("\"text\"") && !is_media("{\"data\":\"x\"}"));
    }

    #[test]
    fn media_that_would_break_the_chat_is_left_out_with_the_reason() {
        let image = |data: String, kind: &str| json!({"content": [{"type": "image", "data": data, "mimeType": kind}]});
        for (result, reason) in [
            (
                image("A".repeat(MAX_MEDIA_BYTES + 4), "image/png"),
                "bytes, and at most",
            ),
            (image("not base64!".to_owned(), "image/png"), "not valid base64"),
            (image("aGk=".to_owned(), "image/png\r\nx"), "type is not valid"),
        ] {
            let text = text(result);
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn an_error_is_text_and_long_text_is_cut() {
        let result = json!({"content": [{"type": "text", "text": "no\u{0}pe"}], "isError": true});
        let answer = converted(result);
        assert!(answer.is_error);
        assert_eq!(answer.value, "nope");
        let long = text(json!({"content": [{"type": "text", "text": "ä".repeat(MAX_TEXT_BYTES)}]}));
        assert!(long.len() < MAX_TEXT_BYTES + 64 && long.contains("[cut: 524288 bytes in all]"));
    }
}
