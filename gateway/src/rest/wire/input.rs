//! What users send: the pieces of a message, and the checks every command on a chat shares. Messages name the field, so
//! that a program's author can find it.

use std::collections::BTreeMap;

use serde::Deserialize;
use tandem_chat_core::{approval::ApprovalMode, wire};
use tandem_proto::common::v1 as proto;
use tandem_proto::storage::v1 as storage;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Raw, id_text, or_default};
use crate::problem::Problem;

/// Pieces of one message.
const MAX_PARTS: usize = 100;

/// Text of one message, in bytes, all pieces together.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Tools a client may bring.
const MAX_DYNAMIC_TOOLS: usize = 250;

/// Labels of one chat and the length of their keys and values, in bytes.
const MAX_LABELS: usize = 50;
const MAX_LABEL_KEY_BYTES: usize = 64;
const MAX_LABEL_VALUE_BYTES: usize = 256;

/// One piece of a message as it is sent.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChatInputPart {
    /// `text`, `file` or `file-reference`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Of a `text`: not empty after trimming.
    #[serde(default, deserialize_with = "or_default")]
    pub text: String,
    /// Of a `file`: one the caller may read.
    pub file_id: Option<Uuid>,
    /// Of a `file-reference`.
    #[serde(default, deserialize_with = "or_default")]
    pub file_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub start_line: i32,
    #[serde(default, deserialize_with = "or_default")]
    pub end_line: i32,
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
}

/// A tool the client runs itself.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DynamicTool {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// A JSON Schema object.
    pub input_schema: Option<Raw>,
}

/// The message of `content`.
///
/// # Errors
/// 400 that names the piece.
pub fn message(content: Vec<ChatInputPart>, model_config_id: Option<Uuid>) -> Result<storage::MessageInput, Problem> {
    if content.is_empty() {
        return Err(Problem::field("content", "must not be empty"));
    }
    if content.len() > MAX_PARTS {
        return Err(Problem::field(
            "content",
            format!("must not have more than {MAX_PARTS} parts"),
        ));
    }
    let text_bytes: usize = content.iter().map(|part| part.text.len() + part.content.len()).sum();
    if text_bytes > MAX_TEXT_BYTES {
        return Err(Problem::field(
            "content",
            format!("must not hold more than {MAX_TEXT_BYTES} bytes of text"),
        ));
    }
    let parts = content
        .into_iter()
        .enumerate()
        .map(|(index, part)| input_part(index, part))
        .collect::<Result<_, _>>()?;
    Ok(storage::MessageInput {
        parts,
        model_config_id: id_text(model("model_config_id", model_config_id)?),
    })
}

fn input_part(index: usize, part: ChatInputPart) -> Result<proto::InputPart, Problem> {
    use proto::input_part::Kind;
    let refuse = |member: &str, problem: &str| Problem::field(format!("content[{index}].{member}"), problem);
    let kind = match part.kind.trim().to_lowercase().as_str() {
        "text" => match part.text.trim() {
            "" => return Err(refuse("text", "must not be empty")),
            text => Kind::Text(text.to_owned()),
        },
        "file" => match part.file_id {
            Some(id) if !id.is_nil() => Kind::FileId(id.to_string()),
            Some(_) | None => return Err(refuse("file_id", "must name a file")),
        },
        "file-reference" => {
            if part.file_name.trim().is_empty() {
                return Err(refuse("file_name", "must not be empty"));
            }
            Kind::FileReference(proto::FileReferencePart {
                file_name: part.file_name,
                start_line: part.start_line,
                end_line: part.end_line,
                content: part.content,
            })
        }
        _ => return Err(refuse("type", "must be text, file or file-reference")),
    };
    Ok(proto::InputPart { kind: Some(kind) })
}

/// A model's id: given, it must be one.
///
/// # Errors
/// 400 for the nil id.
pub fn model(field: &str, id: Option<Uuid>) -> Result<Option<Uuid>, Problem> {
    match id {
        Some(id) if id.is_nil() => Err(Problem::field(field, "must name a model")),
        id => Ok(id),
    }
}

/// `""` and `plan`.
///
/// # Errors
/// 400 for any other word.
pub fn plan_mode(mode: Option<&str>) -> Result<Option<proto::PlanMode>, Problem> {
    match mode {
        None => Ok(None),
        Some("") => Ok(Some(proto::PlanMode::Unspecified)),
        Some("plan") => Ok(Some(proto::PlanMode::Plan)),
        Some(_) => Err(Problem::field("plan_mode", "must be empty or plan")),
    }
}

/// `never`, `risky` and `always`.
///
/// # Errors
/// 400 for any other word.
pub fn approval_mode(mode: Option<&str>) -> Result<Option<proto::ApprovalMode>, Problem> {
    let mode = mode.map(str::parse::<ApprovalMode>).transpose();
    let mode = mode.map_err(|unknown| Problem::field("approval_mode", unknown.to_string()))?;
    Ok(mode.map(wire::approval_mode_to_wire))
}

/// `ui` and `api`, the latter being the default.
///
/// # Errors
/// 400 for any other word.
pub fn client_type(client: Option<&str>) -> Result<proto::ClientType, Problem> {
    match client {
        None | Some("" | "api") => Ok(proto::ClientType::Api),
        Some("ui") => Ok(proto::ClientType::Ui),
        Some(_) => Err(Problem::field("client_type", "must be ui or api")),
    }
}

/// `queue`, the default, and `interrupt`.
///
/// # Errors
/// 400 for any other word.
pub fn busy_behavior(behavior: Option<&str>) -> Result<storage::BusyBehavior, Problem> {
    match behavior {
        None | Some("" | "queue") => Ok(storage::BusyBehavior::Queue),
        Some("interrupt") => Ok(storage::BusyBehavior::Interrupt),
        Some(_) => Err(Problem::field("busy_behavior", "must be queue or interrupt")),
    }
}

/// Checks a full set of labels.
///
/// # Errors
/// 400 that names the label.
pub fn labels(labels: BTreeMap<String, String>) -> Result<std::collections::HashMap<String, String>, Problem> {
    if labels.len() > MAX_LABELS {
        return Err(Problem::field("labels", format!("must not be more than {MAX_LABELS}")));
    }
    for (key, value) in &labels {
        if !is_label_key(key) {
            return Err(Problem::field(
                "labels",
                format!(
                    "key {key:?} must be 1 to {MAX_LABEL_KEY_BYTES} letters, digits, '.', '_', '/' or '-', starting with a letter or digit"
                ),
            ));
        }
        if value.is_empty() || value.len() > MAX_LABEL_VALUE_BYTES {
            return Err(Problem::field(
                "labels",
                format!("value of {key:?} must be 1 to {MAX_LABEL_VALUE_BYTES} bytes"),
            ));
        }
    }
    Ok(labels.into_iter().collect())
}

fn is_label_key(key: &str) -> bool {
    key.len() <= MAX_LABEL_KEY_BYTES
        && key.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._/-".contains(letter))
}

/// Checks the tools a client brings.
///
/// # Errors
/// 400 that names the tool.
pub fn dynamic_tools(tools: Vec<DynamicTool>) -> Result<Vec<proto::DynamicTool>, Problem> {
    if tools.len() > MAX_DYNAMIC_TOOLS {
        return Err(Problem::field(
            "unsafe_dynamic_tools",
            format!("must not be more than {MAX_DYNAMIC_TOOLS}"),
        ));
    }
    let mut names = std::collections::BTreeSet::new();
    tools
        .into_iter()
        .enumerate()
        .map(|(index, tool)| {
            let refuse = |member: &str, problem: &str| {
                Problem::field(format!("unsafe_dynamic_tools[{index}].{member}"), problem)
            };
            let name = tool.name.trim();
            let is_name = (1..=64).contains(&name.len())
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
            if !is_name {
                return Err(refuse("name", "must be 1 to 64 letters, digits, '_' or '-'"));
            }
            if !names.insert(name.to_owned()) {
                return Err(refuse("name", "must be unique"));
            }
            let schema = tool
                .input_schema
                .map_or_else(|| "{}".to_owned(), |raw| raw.text().to_owned());
            if !schema.starts_with('{') {
                return Err(refuse("input_schema", "must be an object"));
            }
            Ok(proto::DynamicTool {
                name: name.to_owned(),
                description: tool.description,
                input_schema_json: schema,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(value: serde_json::Value) -> Result<storage::MessageInput, Problem> {
        message(serde_json::from_value(value).unwrap(), None)
    }

    #[test]
    fn parts_are_read_with_their_quirks() {
        let id = Uuid::from_u128(7);
        let message = content(json!([
            {"type": " TEXT ", "text": " hi "},
            {"type": "file", "file_id": id},
            {"type": "file-reference", "file_name": "a.rs", "start_line": 3, "end_line": null},
        ]))
        .unwrap();
        use proto::input_part::Kind;
        let kinds: Vec<Kind> = message.parts.into_iter().filter_map(|part| part.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Text("hi".into()),
                Kind::FileId(id.to_string()),
                Kind::FileReference(proto::FileReferencePart {
                    file_name: "a.rs".into(),
                    start_line: 3,
                    ..Default::default()
                }),
            ]
        );
    }

    #[test]
    fn bad_parts_are_refused_by_index() {
        let nil = Uuid::nil();
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let table = [
            (json!([]), "\"content\""),
            (
                json!([{"type": "text", "text": "a"}, {"type": "text", "text": " \n"}]),
                "content[1].text",
            ),
            (json!([{"type": "video"}]), "content[0].type"),
            (json!([{}]), "content[0].type"),
            (json!([{"type": "file"}]), "content[0].file_id"),
            (json!([{"type": "file", "file_id": nil}]), "content[0].file_id"),
            (json!([{"type": "file-reference"}]), "content[0].file_name"),
            (json!([{"type": "text", "text": long}]), "\"content\""),
            (
                json!(vec![json!({"type": "text", "text": "a"}); MAX_PARTS + 1]),
                "\"content\"",
            ),
        ];
        for (value, field) in table {
            let problem = content(value).unwrap_err();
            assert_eq!(problem.status(), 400);
            assert!(format!("{problem:?}").contains(field), "{field}");
        }
    }

    #[test]
    fn words_are_checked() {
        assert_eq!(plan_mode(Some("")).unwrap(), Some(proto::PlanMode::Unspecified));
        assert!(plan_mode(Some("maybe")).is_err());
        assert_eq!(client_type(None).unwrap(), proto::ClientType::Api);
        assert!(client_type(Some("tui")).is_err());
        use proto::ApprovalMode;
        let modes = [None, Some("never"), Some("risky"), Some("always")].map(|mode| approval_mode(mode).unwrap());
        let expected = [ApprovalMode::Never, ApprovalMode::Risky, ApprovalMode::Always].map(Some);
        assert_eq!((modes[0], &modes[1..]), (None, &expected[..]));
        for bad in ["", "Never", "sometimes"] {
            let problem = approval_mode(Some(bad)).unwrap_err();
            assert_eq!(problem.status(), 400);
            assert!(format!("{problem:?}").contains("\"approval_mode\""), "{problem:?}");
        }
        assert_eq!(
            busy_behavior(Some("interrupt")).unwrap(),
            storage::BusyBehavior::Interrupt
        );
        assert!(busy_behavior(Some("drop")).is_err());
        assert!(model("m", Some(Uuid::nil())).is_err());
    }

    #[test]
    fn labels_keep_their_limits() {
        let one = |key: &str, value: &str| labels([(key.to_owned(), value.to_owned())].into());
        assert!(one("team/a.b_c-1", "x").is_ok());
        for (key, value) in [
            ("", "x"),
            (".a", "x"),
            ("a b", "x"),
            ("a", ""),
            (&"k".repeat(65), "x"),
            ("a", &"v".repeat(257)),
        ] {
            assert!(one(key, value).is_err(), "{key:?}");
        }
        let many = (0..51).map(|number| (format!("k{number}"), "v".to_owned())).collect();
        assert!(labels(many).is_err());
    }

    #[test]
    fn dynamic_tools_have_unique_names() {
        let tools = |value| dynamic_tools(serde_json::from_value(value).unwrap());
        let read = tools(json!([{"name": "a", "input_schema": {"type": "object"}}, {"name": "b"}])).unwrap();
        assert_eq!(read[0].input_schema_json, "{\"type\":\"object\"}");
        assert_eq!(read[1].input_schema_json, "{}");
        for bad in [
            json!([{"name": ""}]),
            json!([{"name": "a b"}]),
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{"name": "a", "input_schema": []}]),
        ] {
            assert!(tools(bad).is_err());
        }
    }
}
