//! Files as the vendor can be shown them: pictures, documents, sound and films as they are, text as text, of the rest that they are
//! there.
//!
//! The type of a picture is read off its first bytes, since the vendor cannot read one that is named wrongly. Nothing is decoded.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use tandem_chat_core::part::{FilePart, ToolResultPart};

use crate::{
    google::wire::{Blob, Data, Inline, Part},
    words::{self, Media, bare_type},
};

/// What is looked at to tell a file's type.
const MAGIC_BYTES: usize = 12;

const PDF: &str = "application/pdf";

/// Types the vendor takes by their name alone.
const NAMED_TYPES: [&str; 18] = [
    "audio/wav",
    "audio/x-wav",
    "audio/mp3",
    "audio/mpeg",
    "audio/aiff",
    "audio/aac",
    "audio/ogg",
    "audio/flac",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/x-msvideo",
    "video/x-flv",
    "video/webm",
    "video/x-ms-wmv",
    "video/3gpp",
    "image/heic",
    "image/heif",
];

/// An attachment as a piece of a turn.
pub(super) fn file(file: &FilePart) -> Part {
    let media_type = bare_type(&file.media_type);
    if file.data.is_empty() {
        return Part::text(words::missing_file(file));
    }
    if words::is_text(media_type) {
        return Part::text(words::text_file(file));
    }
    match shown_type(media_type, &file.data) {
        Some(mime_type) => Part::new(Data::Inline(Blob {
            mime_type: mime_type.to_owned(),
            data: STANDARD.encode(&file.data),
        })),
        None => Part::text(words::unseen_file(file)),
    }
}

/// A picture that the model made, as it said it; `None` for what the vendor could not read again.
pub(super) fn made(file: &FilePart) -> Option<Part> {
    let mime_type = sniffed(bare_type(&file.media_type), &file.data)?;
    Some(Part::new(Data::Inline(Blob {
        mime_type: mime_type.to_owned(),
        data: STANDARD.encode(&file.data),
    })))
}

/// What a tool returned.
pub(super) struct Outcome {
    /// `{"output": …}` or `{"error": …}`.
    pub(super) response: Map<String, Value>,
    /// A picture or document beside it.
    pub(super) media: Option<Inline>,
}

/// What a tool returned, as the vendor takes it.
pub(super) fn outcome(result: &ToolResultPart) -> Outcome {
    let mut media = None;
    let said = match Media::of(result) {
        Some(file) => {
            media = inline(&file).filter(|_| !result.is_error);
            let unseen = media.is_none().then(|| file.unseen());
            let text = words::join(file.text.map(str::to_owned).into_iter().chain(unseen));
            Value::from(text)
        }
        // Objects and lists keep their form, so that the model need not read JSON within a text.
        None if matches!(result.result, Value::Object(_) | Value::Array(_)) && !result.is_error => {
            result.result.clone()
        }
        None => Value::from(words::result_text(result)),
    };
    let is_blank = said.as_str().is_some_and(|text| text.trim().is_empty());
    let said = match is_blank {
        true if media.is_some() => Value::from("(the file follows)"),
        true => Value::from(words::no_output(result.is_error)),
        false => said,
    };
    let field = if result.is_error { "error" } else { "output" };
    Outcome {
        response: Map::from_iter([(field.to_owned(), said)]),
        media,
    }
}

/// A file that a tool returned, if the vendor takes it.
fn inline(media: &Media<'_>) -> Option<Inline> {
    let bytes = STANDARD.decode(media.data).ok()?;
    let mime_type = sniffed(bare_type(media.mime_type), &bytes)?;
    let inline_data = Blob {
        mime_type: mime_type.to_owned(),
        data: media.data.to_owned(),
    };
    Some(Inline { inline_data })
}

fn shown_type(media_type: &str, bytes: &[u8]) -> Option<&'static str> {
    let named = NAMED_TYPES.into_iter().find(|known| *known == media_type);
    sniffed(media_type, bytes).or(named)
}

/// The type of a picture or document the vendor understands.
fn sniffed(media_type: &str, bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(MAGIC_BYTES)];
    let is_image = media_type.starts_with("image/");
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] if is_image => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] if is_image => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] if is_image => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] if media_type == PDF => Some(PDF),
        _ => None,
    }
}
