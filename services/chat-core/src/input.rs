//! What people and programs may put into a message.
//!
//! Owns the rules for input parts and proves them once. It does not know whether a file exists or may be read (storage does), nor
//! where the parts come from (JSON or gRPC).

use serde::{Deserialize, Serialize};

use crate::id::FileId;
use crate::part::FileReferencePart;
use crate::violation::Violation;

/// Parts one message may have.
pub const MAX_PARTS: usize = 100;
/// Text of all parts of one message together.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// The longest name of a referenced file.
pub const MAX_FILE_NAME_BYTES: usize = 4096;

/// A part as it arrived, nothing proven. Fields of other kinds are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawInputPart {
    /// `text`, `file` or `file-reference`, in any case, blanks around it allowed.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `text`.
    pub text: String,
    /// For `file`: the id of an uploaded file.
    pub file_id: Option<String>,
    /// For `file-reference`.
    pub file_name: String,
    /// For `file-reference`; 0 when no lines are meant.
    pub start_line: i32,
    /// For `file-reference`; 0 when no lines are meant.
    pub end_line: i32,
    /// For `file-reference`; may be empty.
    pub content: String,
}

/// A part that keeps every rule.
#[derive(Clone, Debug, PartialEq)]
pub enum InputPart {
    /// Words, trimmed and not empty. May contain U+0000.
    Text(String),
    /// A file, not yet known to exist.
    File(FileId),
    /// Lines of a file.
    FileReference(FileReferencePart),
}

/// Proves a message's content.
///
/// # Errors
/// One [`Violation`] per bad part, with a path such as `content[0].text`; or one for `content` if the list itself is bad.
pub fn validate(raw: &[RawInputPart]) -> Result<Vec<InputPart>, Vec<Violation>> {
    if raw.is_empty() {
        return Err(vec![Violation::new("content", "must not be empty")]);
    }
    if raw.len() > MAX_PARTS {
        return Err(vec![Violation::new(
            "content",
            format!("must have at most {MAX_PARTS} parts"),
        )]);
    }
    let text_bytes = raw
        .iter()
        .map(|part| part.text.len() + part.content.len())
        .sum::<usize>();
    if text_bytes > MAX_TEXT_BYTES {
        return Err(vec![Violation::new(
            "content",
            format!("must have at most {MAX_TEXT_BYTES} bytes of text"),
        )]);
    }

    let mut parts = Vec::with_capacity(raw.len());
    let mut violations = Vec::new();
    for (index, part) in raw.iter().enumerate() {
        match input_part(part) {
            Ok(part) => parts.push(part),
            Err((field, rule)) => violations.push(Violation::new(format!("content[{index}].{field}"), rule)),
        }
    }
    if violations.is_empty() {
        Ok(parts)
    } else {
        Err(violations)
    }
}

/// The field that breaks a rule, and the rule.
type Broken = (&'static str, &'static str);

fn input_part(raw: &RawInputPart) -> Result<InputPart, Broken> {
    match raw.kind.trim().to_ascii_lowercase().as_str() {
        "text" => text(raw),
        "file" => file(raw),
        "file-reference" => file_reference(raw),
        _ => Err(("type", "must be text, file or file-reference")),
    }
}

fn text(raw: &RawInputPart) -> Result<InputPart, Broken> {
    match raw.text.trim() {
        "" => Err(("text", "must not be empty")),
        text => Ok(InputPart::Text(text.to_owned())),
    }
}

fn file(raw: &RawInputPart) -> Result<InputPart, Broken> {
    let id: FileId = raw
        .file_id
        .as_deref()
        .ok_or(("file_id", "must be given"))?
        .parse()
        .map_err(|_| ("file_id", "must be a uuid"))?;
    if id.uuid().is_nil() {
        return Err(("file_id", "must not be the nil uuid"));
    }
    Ok(InputPart::File(id))
}

fn file_reference(raw: &RawInputPart) -> Result<InputPart, Broken> {
    let file_name = raw.file_name.trim();
    if file_name.is_empty() {
        return Err(("file_name", "must not be empty"));
    }
    if file_name.len() > MAX_FILE_NAME_BYTES {
        return Err(("file_name", "must have at most 4096 bytes"));
    }
    if raw.start_line < 0 {
        return Err(("start_line", "must not be negative"));
    }
    if raw.end_line < 0 || (raw.end_line > 0 && raw.end_line < raw.start_line) {
        return Err(("end_line", "must be 0 or not before start_line"));
    }
    Ok(InputPart::FileReference(FileReferencePart {
        file_name: file_name.to_owned(),
        start_line: raw.start_line,
        end_line: raw.end_line,
        content: raw.content.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(content: serde_json::Value) -> Result<Vec<InputPart>, Vec<String>> {
        let raw: Vec<RawInputPart> = serde_json::from_value(content).unwrap();
        validate(&raw).map_err(|violations| violations.iter().map(Violation::to_string).collect())
    }

    #[test]
    fn every_kind_is_accepted_in_any_case() {
        let parts = check(json!([
            {"type": " TEXT ", "text": " a\0b\n"},
            {"type": "File", "file_id": "0198a3a4-5d1c-7f6e-8a57-2f6a0c9d4b11"},
            {"type": "file-reference", "file_name": "a.rs", "start_line": 3},
        ]));
        let id = "0198a3a4-5d1c-7f6e-8a57-2f6a0c9d4b11".parse().unwrap();
        let reference = FileReferencePart {
            file_name: "a.rs".into(),
            start_line: 3,
            ..FileReferencePart::default()
        };
        let expected = vec![
            InputPart::Text("a\0b".into()),
            InputPart::File(id),
            InputPart::FileReference(reference),
        ];
        assert_eq!(parts, Ok(expected));
    }

    #[test]
    fn each_bad_part_is_named_by_its_path() {
        let violations = check(json!([
            {"type": "text", "text": " \n"},
            {"type": "text", "text": "fine"},
            {"type": "image"},
            {"type": "file"},
            {"type": "file", "file_id": "x"},
            {"type": "file", "file_id": "00000000-0000-0000-0000-000000000000"},
            {"type": "file-reference", "file_name": " "},
            {"type": "file-reference", "file_name": "a", "start_line": 9, "end_line": 3},
        ]))
        .unwrap_err();
        insta::assert_snapshot!(violations.join("\n"), @r"
        content[0].text must not be empty
        content[2].type must be text, file or file-reference
        content[3].file_id must be given
        content[4].file_id must be a uuid
        content[5].file_id must not be the nil uuid
        content[6].file_name must not be empty
        content[7].end_line must be 0 or not before start_line
        ");
    }

    #[test]
    fn the_list_is_bounded() {
        assert_eq!(check(json!([])), Err(vec!["content must not be empty".to_owned()]));
        let many = vec![
            RawInputPart {
                kind: "text".into(),
                text: "x".into(),
                ..RawInputPart::default()
            };
            101
        ];
        assert_eq!(validate(&many[..100]).unwrap().len(), 100);
        assert!(validate(&many).is_err());
        let half = RawInputPart {
            kind: "text".into(),
            text: "x".repeat(1 << 19),
            ..RawInputPart::default()
        };
        assert!(validate(&[half.clone(), half.clone()]).is_ok());
        assert!(validate(&[half.clone(), half, many[0].clone()]).is_err());
    }
}
