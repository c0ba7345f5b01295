//! Files as the vendor can be shown them: pictures and PDF documents as they are, text as text, of the rest that they are there.
//!
//! Owns the vendor's bounds. The type of a picture is read off its first bytes, since the vendor refuses what is no picture. Pictures
//! are never decoded.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tandem_chat_core::part::{FilePart, ToolResultPart};

use super::computer;
use crate::{
    remote::Remote,
    responses::wire::{Item, Output, Piece},
    words::{self, IMAGE_TYPES, Media, bare_type, join},
};

/// Pictures in one request.
pub(super) const MAX_IMAGES: usize = 500;

/// Said in the place of a picture.
const NO_LONGER_SHOWN: &str = "[An earlier image, which is no longer shown.]";

const PDF: &str = "application/pdf";

/// An attachment as a piece of a message.
pub(super) fn file(file: &FilePart) -> Piece {
    let media_type = bare_type(&file.media_type);
    if file.data.is_empty() {
        return Piece::told(words::missing_file(file));
    }
    match Remote::of(file) {
        None => {}
        Some(Remote::Picture(url)) => {
            return Piece::InputImage {
                image_url: url.to_owned(),
                detail: "auto",
            };
        }
        Some(Remote::Document(url)) => {
            return Piece::RemoteFile {
                file_url: url.to_owned(),
            };
        }
    }
    if words::is_text(media_type) {
        return Piece::told(words::text_file(file));
    }
    if let Some(image_type) = image_type(&file.data).filter(|_| media_type.starts_with("image/")) {
        return image(address(image_type, &STANDARD.encode(&file.data)));
    }
    if media_type == PDF && file.data.starts_with(b"%PDF-") {
        return Piece::InputFile {
            filename: words::file_name(file).to_owned(),
            file_data: format!("data:{PDF};base64,{}", STANDARD.encode(&file.data)),
        };
    }
    Piece::told(words::unseen_file(file))
}

/// What a tool returned, as the output of its call; never blank.
pub(super) fn output(result: &ToolResultPart) -> Output {
    let Some(media) = Media::of(result) else {
        return Output::Text(outcome(result.is_error, &words::result_text(result)));
    };
    let said = media.text.map(str::to_owned);
    match returned_picture(&media).map(image) {
        Some(shown) if !result.is_error => Output::Pieces(said.map(Piece::told).into_iter().chain([shown]).collect()),
        Some(_) | None => {
            let text = join(said.into_iter().chain([media.unseen()]));
            Output::Text(outcome(result.is_error, &text))
        }
    }
}

/// The output of a call as text. The protocol has no field for failures.
pub(super) fn outcome(is_error: bool, text: &str) -> String {
    let text = if text.trim().is_empty() {
        words::no_output(is_error)
    } else {
        text
    };
    if is_error {
        format!("Error: {text}")
    } else {
        text.to_owned()
    }
}

/// A picture that a tool returned as a `data:` address, if the vendor takes it.
pub(super) fn returned_picture(media: &Media<'_>) -> Option<String> {
    if !IMAGE_TYPES.contains(&bare_type(media.mime_type)) {
        return None;
    }
    let bytes = STANDARD.decode(media.data).ok()?;
    Some(address(image_type(&bytes)?, media.data))
}

fn address(image_type: &str, base64: &str) -> String {
    format!("data:{image_type};base64,{base64}")
}

fn image(image_url: String) -> Piece {
    Piece::InputImage {
        image_url,
        detail: "auto",
    }
}

/// The type of a picture the vendor understands, by the marks with which such files begin.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let is_webp = || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let marks: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    ];
    let known = marks.into_iter().find(|(mark, _)| bytes.starts_with(mark));
    known
        .map(|(_, name)| name)
        .or_else(|| is_webp().then_some("image/webp"))
}

/// Puts words in the place of the oldest pictures when there are more than the vendor takes.
pub(super) fn limit_images(input: &mut [Item]) {
    let mut left = MAX_IMAGES;
    // Calls at a computer whose pictures are gone. Each stands before its picture.
    let mut unseen = HashSet::new();
    for item in input.iter_mut().rev() {
        let pieces = match item {
            Item::ComputerCallOutput { .. } if left > 0 => {
                left -= 1;
                continue;
            }
            Item::ComputerCallOutput { call_id, .. } => {
                let call_id = std::mem::take(call_id);
                unseen.insert(call_id.clone());
                *item = Item::FunctionCallOutput {
                    call_id,
                    output: Output::Text(NO_LONGER_SHOWN.to_owned()),
                };
                continue;
            }
            Item::ComputerCall { call_id, arguments, .. } => {
                if unseen.contains(call_id) {
                    *item = computer::unseen(call_id, arguments);
                }
                continue;
            }
            Item::Message { content, .. } => content,
            Item::FunctionCallOutput {
                output: Output::Pieces(pieces),
                ..
            } => pieces,
            Item::Reasoning { .. }
            | Item::FunctionCall { .. }
            | Item::FunctionCallOutput { .. }
            | Item::WebSearchCall { .. } => continue,
        };
        for piece in pieces.iter_mut().rev() {
            match piece {
                Piece::InputImage { .. } if left > 0 => left -= 1,
                Piece::InputImage { .. } => *piece = Piece::told(NO_LONGER_SHOWN),
                Piece::InputText { .. }
                | Piece::OutputText { .. }
                | Piece::InputFile { .. }
                | Piece::RemoteFile { .. } => {}
            }
        }
    }
}
