//! Parts told in words, the same for every vendor: files that are text, what cannot be shown, results of tools.
//!
//! Owns the sentences a model reads in place of what its vendor does not take. Which parts a vendor takes is each protocol's.

use serde_json::Value;
use tandem_chat_core::part::{FilePart, FileReferencePart, Part, ToolResultPart};

/// Pictures that vendors understand.
pub(super) const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Kinds of files, beside `text/*`, that are text.
const TEXT_TYPES: [&str; 12] = [
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/javascript",
    "application/x-javascript",
    "application/typescript",
    "application/sql",
    "application/x-sh",
    "application/x-ndjson",
    "image/svg+xml",
];

/// A media type without its parameters.
pub(super) fn bare_type(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether files of a media type (without parameters) are text.
pub(super) fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || TEXT_TYPES.contains(&media_type) || media_type.ends_with("+json")
}

/// Parts that are words, or can be told in words; `None` also for blank ones.
pub(super) fn text_of(part: &Part) -> Option<String> {
    let text = match part {
        Part::Text(text) => text.text.clone(),
        Part::FileReference(reference) => file_reference(reference),
        Part::ContextFile(file) => inlined("context-file", &file.path, &file.content),
        Part::Skill(skill) => format!("Skill {}: {}", skill.name, skill.description),
        Part::Source(source) => format!("Source: {} {}", source.title, source.url),
        Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::File(_) => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

/// The name of a file, for sentences.
pub(super) fn file_name(file: &FilePart) -> &str {
    if file.name.is_empty() { "file" } else { &file.name }
}

/// A file that is text, as text.
pub(super) fn text_file(file: &FilePart) -> String {
    inlined("file", file_name(file), &String::from_utf8_lossy(&file.data))
}

/// A file without bytes.
pub(super) fn missing_file(file: &FilePart) -> String {
    let (name, media_type) = (file_name(file), bare_type(&file.media_type));
    format!("[The file {name} ({media_type}) is empty or no longer available.]")
}

/// A file that cannot be shown.
pub(super) fn unseen_file(file: &FilePart) -> String {
    let (name, media_type) = (file_name(file), bare_type(&file.media_type));
    let length = file.data.len();
    format!(
        "[The file {name} ({media_type}, {length} bytes) is attached, but this model cannot be shown files of this type.]"
    )
}

/// A file larger than the vendor takes.
pub(super) fn large_file(file: &FilePart, max_bytes: usize) -> String {
    let (name, media_type) = (file_name(file), bare_type(&file.media_type));
    let length = file.data.len();
    format!(
        "[The file {name} ({media_type}, {length} bytes) is attached, but larger than the {max_bytes} bytes that can be shown.]"
    )
}

/// What a tool returned, as text: its own words, else JSON; empty where it returned nothing.
pub(super) fn result_text(result: &ToolResultPart) -> String {
    match &result.result {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What the model reads of a tool that returned nothing.
pub(super) fn no_output(is_error: bool) -> &'static str {
    if is_error {
        "The tool failed without saying why."
    } else {
        "(no output)"
    }
}

/// A file that a tool returned.
pub(super) struct Media<'a> {
    /// Base64.
    pub(super) data: &'a str,
    pub(super) mime_type: &'a str,
    /// What the tool says beside it, if anything.
    pub(super) text: Option<&'a str>,
}

impl<'a> Media<'a> {
    /// The file in a result, if that is what it is.
    pub(super) fn of(result: &'a ToolResultPart) -> Option<Self> {
        if !result.is_media {
            return None;
        }
        let field = |name: &str| result.result.get(name).and_then(Value::as_str);
        Some(Self {
            data: field("data")?,
            mime_type: field("mime_type")?,
            text: field("text").filter(|text| !text.trim().is_empty()),
        })
    }

    /// What is said of a file that cannot be shown.
    pub(super) fn unseen(&self) -> String {
        format!("(a file of type {}, which this model cannot be shown)", self.mime_type)
    }
}

/// Texts with a blank line between them; empty ones left out.
pub(super) fn join(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

fn inlined(tag: &str, name: &str, text: &str) -> String {
    format!("<{tag} name=\"{}\">\n{text}\n</{tag}>", name.replace('"', "'"))
}

fn file_reference(reference: &FileReferencePart) -> String {
    let lines = match (reference.start_line, reference.end_line) {
        (0, _) => String::new(),
        (start, end) if end <= start => format!(":{start}"),
        (start, end) => format!(":{start}-{end}"),
    };
    inlined(
        "file-reference",
        &format!("{}{lines}", reference.file_name),
        &reference.content,
    )
}
