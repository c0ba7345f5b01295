//! Files as the vendor can be shown them: pictures and PDF documents as they are, text as text, of the rest that they are there.
//!
//! Owns the vendor's bounds. The type of a picture is read off its first bytes, since the vendor refuses one that is named wrongly.
//! Pictures are never decoded.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tandem_chat_core::part::{FilePart, ToolResultPart};

use crate::{
    anthropic::wire::{Block, Content, Message, Source},
    remote::Remote,
    words::{self, IMAGE_TYPES, Media, bare_type},
};

/// Largest picture, as bytes.
pub(super) const MAX_IMAGE_BYTES: usize = 5_242_880;

/// Pictures in one request.
const MAX_IMAGES: usize = 100;

/// Pages of one PDF document.
const MAX_PAGES: usize = 100;

/// Pages of one PDF document for models with a window beyond [`LARGE_CONTEXT`].
const MAX_PAGES_LARGE: usize = 600;

/// Tokens.
const LARGE_CONTEXT: i64 = 200_000;

/// What is looked at to tell a picture's type.
const MAGIC_BYTES: usize = 12;

const PDF: &str = "application/pdf";

/// A file of the newest message that the vendor does not take. Older ones are told in words instead, so that a conversation that began
/// with another vendor can go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file {name} is too large for this model: {size}, at most {limit} are possible")]
pub(in crate::anthropic) struct Oversized {
    name: String,
    size: String,
    limit: usize,
}

/// An attachment as a block.
///
/// * `is_new`: it belongs to the message that is to be answered.
///
/// # Errors
/// [`Oversized`]: it is new and larger than the vendor takes.
pub(super) fn file(file: &FilePart, is_new: bool, context_limit: Option<i64>) -> Result<Block, Oversized> {
    let media_type = bare_type(&file.media_type);
    if file.data.is_empty() {
        return Ok(Block::text(words::missing_file(file)));
    }
    if words::is_text(media_type) {
        return Ok(Block::text(words::text_file(file)));
    }
    if let Some(remote) = Remote::of(file) {
        return Ok(Block::new(match remote {
            Remote::Picture(url) => Content::Image {
                source: Source::url(url),
            },
            Remote::Document(url) => Content::Document {
                source: Source::url(url),
                title: String::new(),
            },
        }));
    }
    let (size, limit, block) =
        if let Some(image_type) = image_type(&file.data).filter(|_| media_type.starts_with("image/")) {
            let image = || Content::Image {
                source: Source::base64(image_type, STANDARD.encode(&file.data)),
            };
            let length = file.data.len();
            let fits = (length <= MAX_IMAGE_BYTES).then(image);
            (format!("{length} bytes"), MAX_IMAGE_BYTES, fits)
        } else if media_type == PDF && file.data.starts_with(b"%PDF-") {
            let document = || Content::Document {
                source: Source::base64(PDF, STANDARD.encode(&file.data)),
                title: file.name.clone(),
            };
            let limit = match context_limit {
                Some(tokens) if tokens > LARGE_CONTEXT => MAX_PAGES_LARGE,
                Some(_) | None => MAX_PAGES,
            };
            let pages = pages(&file.data);
            (format!("{pages} pages"), limit, (pages <= limit).then(document))
        } else {
            return Ok(Block::text(words::unseen_file(file)));
        };
    match block {
        Some(content) => Ok(Block::new(content)),
        None if is_new => Err(Oversized {
            name: words::file_name(file).to_owned(),
            size,
            limit,
        }),
        None => Ok(Block::text(format!(
            "[The file {} ({media_type}, {size}) is too large to be shown to this model.]",
            words::file_name(file)
        ))),
    }
}

/// What a tool returned, as blocks; at least one.
pub(super) fn result(result: &ToolResultPart) -> Vec<Block> {
    let Some(media) = Media::of(result) else {
        let text = words::result_text(result);
        let is_blank = text.trim().is_empty();
        let said = if is_blank {
            words::no_output(result.is_error)
        } else {
            &text
        };
        return vec![Block::text(said)];
    };
    let shown = match image(&media) {
        // A failed result takes words only.
        Some(source) if !result.is_error => Block::new(Content::Image { source }),
        Some(_) | None => Block::text(media.unseen()),
    };
    media.text.map(Block::text).into_iter().chain([shown]).collect()
}

/// A picture that a tool returned, if the vendor takes it.
fn image(media: &Media<'_>) -> Option<Source> {
    if !IMAGE_TYPES.contains(&bare_type(media.mime_type)) {
        return None;
    }
    let bytes = STANDARD.decode(media.data).ok()?;
    let image_type = image_type(&bytes).filter(|_| bytes.len() <= MAX_IMAGE_BYTES)?;
    Some(Source::base64(image_type, media.data.to_owned()))
}

/// The type of a picture the vendor understands.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(MAGIC_BYTES)];
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("image/webp"),
        _ => None,
    }
}

/// Page objects in a PDF document. Those in compressed streams are not seen, so this is the least there are.
fn pages(bytes: &[u8]) -> usize {
    const TYPE: &[u8] = b"/Type";
    const PAGE: &[u8] = b"/Page";
    let is_page = |rest: &[u8]| {
        let value = rest.trim_ascii_start();
        value.starts_with(PAGE) && !value.get(PAGE.len()).is_some_and(u8::is_ascii_alphanumeric)
    };
    let mut count = 0;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
        rest = &rest[at..];
        if let Some(value) = rest.strip_prefix(TYPE)
            && is_page(value)
        {
            count += 1;
        }
        rest = &rest[1..];
    }
    count
}

/// Puts words in the place of the oldest pictures when there are more than the vendor takes.
pub(super) fn limit_images(turns: &mut [Message]) {
    let mut left = MAX_IMAGES;
    for turn in turns.iter_mut().rev() {
        for block in turn.content.iter_mut().rev() {
            limit(block, &mut left);
        }
    }
}

fn limit(block: &mut Block, left: &mut usize) {
    match &mut block.content {
        Content::Image { .. } if *left > 0 => *left -= 1,
        Content::Image { .. } => *block = Block::text("[An earlier image, which is no longer shown.]"),
        Content::ToolResult { content, .. } => content.iter_mut().rev().for_each(|block| limit(block, left)),
        Content::Text { .. }
        | Content::Document { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::ToolUse { .. }
        | Content::ServerToolUse { .. }
        | Content::WebSearchToolResult { .. } => {}
    }
}
