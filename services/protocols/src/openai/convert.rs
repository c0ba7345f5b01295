//! A neutral request as a Chat Completions request.
//!
//! Owns how each part is said to this vendor. The history comes repaired (each call with its result right behind it); what it means is
//! the orchestrator's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_chat_core::{
    id::ToolCallId,
    message::{Message, Role},
    part::{FilePart, Part, ToolCallPart, ToolResultPart},
};

use super::{
    options,
    wire::{
        Content, ContentPart, FileData, Function, FunctionCall, ImageUrl, Message as WireMessage, Request,
        StreamOptions, Tool, ToolCall,
    },
};
use crate::{
    Kind, Model,
    call::{self, ToolChoice},
    options::InvalidOption,
    output,
    remote::Remote,
    words::{self, IMAGE_TYPES, Media, bare_type, join, text_of},
};

/// Longest id of a tool call the vendor takes.
const MAX_CALL_ID_BYTES: usize = 40;

/// Largest picture the vendor takes, as bytes.
const MAX_IMAGE_BYTES: usize = 20 * 1024 * 1024;

/// The request as the vendor wants it.
///
/// # Errors
/// [`InvalidOption`]: the administrator's call options cannot be sent.
pub fn request(request: &call::Request, model: &Model) -> Result<Request, InvalidOption> {
    let kind = model.provider.kind;
    let tools: Vec<Tool> = request.tools.iter().map(tool).collect();
    let has_tools = !tools.is_empty();
    let mut options = options::fields(kind, &model.options, request.max_output_tokens, has_tools)?;
    if let Some(format) = &request.output {
        options.insert("response_format".to_owned(), output::chat_completions(format));
    }
    Ok(Request {
        model: model.model.clone(),
        messages: messages(&request.messages, kind),
        tools,
        tool_choice: has_tools.then(|| tool_choice(request, kind)),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        options,
    })
}

/// Whether tools may be called. Some servers know no names here; where only one tool is on offer they need none.
fn tool_choice(request: &call::Request, kind: Kind) -> Value {
    match &request.tool_choice {
        ToolChoice::Auto => Value::from("auto"),
        ToolChoice::None => Value::from("none"),
        ToolChoice::Required => Value::from("required"),
        ToolChoice::Named(_) if kind == Kind::OpenAiCompat && request.tools.len() == 1 => Value::from("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn tool(tool: &call::Tool) -> Tool {
    Tool {
        r#type: "function",
        function: Function {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.input_schema.clone(),
        },
    }
}

/// The id of a call as the vendor takes it: its own where that is short enough, else a fixed digest of it.
fn call_id(id: &ToolCallId) -> String {
    if id.as_str().len() <= MAX_CALL_ID_BYTES {
        return id.to_string();
    }
    let digest = Sha256::digest(id.as_str().as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("call_{hex}")
}

fn messages(messages: &[Message], kind: Kind) -> Vec<WireMessage> {
    let mut prompt = Prompt {
        kind,
        written: Vec::with_capacity(messages.len()),
        media: Vec::new(),
    };
    for message in messages {
        match message.role {
            Role::System => prompt.system(&message.parts),
            Role::User => prompt.user(&message.parts),
            Role::Assistant => prompt.assistant(&message.parts),
            Role::Tool => prompt.tool(&message.parts),
        }
    }
    prompt.flush_media();
    prompt.written
}

/// A prompt being written.
struct Prompt {
    kind: Kind,
    written: Vec<WireMessage>,
    /// Pictures from tool results. A tool message takes text only, and nothing may stand between results of one step, so they follow
    /// behind the last of them in a user message.
    media: Vec<ContentPart>,
}

impl Prompt {
    /// Neighbouring instructions become one message: many servers accept only one, at the start.
    fn system(&mut self, parts: &[Part]) {
        self.flush_media();
        let text = join(parts.iter().filter_map(text_of));
        if text.is_empty() {
            return;
        }
        if let Some(WireMessage::System { content }) = self.written.last_mut() {
            content.push_str("\n\n");
            content.push_str(&text);
        } else {
            self.written.push(WireMessage::System { content: text });
        }
    }

    fn user(&mut self, parts: &[Part]) {
        self.flush_media();
        let parts: Vec<ContentPart> = parts.iter().filter_map(|part| self.content_of(part)).collect();
        if !parts.is_empty() {
            self.written.push(WireMessage::User {
                content: content(parts),
            });
        }
    }

    /// Reasoning is not sent back: the vendor has no field for it.
    fn assistant(&mut self, parts: &[Part]) {
        self.flush_media();
        let text = join(parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.text.clone()),
            _ => None,
        }));
        let tool_calls: Vec<ToolCall> = parts.iter().filter_map(tool_call).collect();
        if text.is_empty() && tool_calls.is_empty() {
            return;
        }
        self.written.push(WireMessage::Assistant {
            content: (!text.is_empty()).then_some(text),
            tool_calls,
        });
    }

    fn tool(&mut self, parts: &[Part]) {
        for part in parts {
            if let Part::ToolResult(result) = part {
                let content = self.result_text(result);
                self.written.push(WireMessage::Tool {
                    tool_call_id: call_id(&result.tool_call_id),
                    content,
                });
            }
        }
    }

    fn result_text(&mut self, result: &ToolResultPart) -> String {
        if let Some(media) = Media::of(result) {
            return self.media_text(result, &media);
        }
        let text = match words::result_text(result) {
            text if text.is_empty() => words::no_output(result.is_error).to_owned(),
            text => text,
        };
        if result.is_error {
            format!("Error: {text}")
        } else {
            text
        }
    }

    /// Sets a picture aside and returns what the tool message says instead.
    fn media_text(&mut self, result: &ToolResultPart, media: &Media<'_>) -> String {
        let said = media.text.map(str::to_owned).into_iter();
        // A vendor that cannot read one picture refuses the whole prompt, and every later one with it.
        let is_readable = || {
            STANDARD
                .decode(media.data)
                .is_ok_and(|bytes| is_image_size(bytes.len()))
        };
        if !IMAGE_TYPES.contains(&media.mime_type) || !is_readable() {
            return join(said.chain([media.unseen()]));
        }
        self.media.push(ContentPart::Text {
            text: format!("The image that {} returned:", result.tool_name),
        });
        self.media.push(ContentPart::ImageUrl {
            image_url: ImageUrl {
                url: format!("data:{};base64,{}", media.mime_type, media.data),
            },
        });
        join(said.chain(["(the image follows in the next message)".to_owned()]))
    }

    fn flush_media(&mut self) {
        let media = std::mem::take(&mut self.media);
        if !media.is_empty() {
            self.written.push(WireMessage::User {
                content: Content::Parts(media),
            });
        }
    }

    fn content_of(&self, part: &Part) -> Option<ContentPart> {
        match part {
            Part::File(file) => Some(self.file(file)),
            other => text_of(other).map(note),
        }
    }

    fn file(&self, file: &FilePart) -> ContentPart {
        let media_type = bare_type(&file.media_type);
        if file.data.is_empty() {
            return note(words::missing_file(file));
        }
        if let Some(Remote::Picture(url)) = Remote::of(file) {
            let url = url.to_owned();
            return ContentPart::ImageUrl {
                image_url: ImageUrl { url },
            };
        }
        let url = || format!("data:{media_type};base64,{}", STANDARD.encode(&file.data));
        if IMAGE_TYPES.contains(&media_type) {
            if !is_image_size(file.data.len()) {
                return note(words::large_file(file, MAX_IMAGE_BYTES));
            }
            return ContentPart::ImageUrl {
                image_url: ImageUrl { url: url() },
            };
        }
        if words::is_text(media_type) {
            return note(words::text_file(file));
        }
        if media_type == "application/pdf" && self.kind == Kind::OpenAi {
            let file = FileData {
                filename: words::file_name(file).to_owned(),
                file_data: url(),
            };
            return ContentPart::File { file };
        }
        note(words::unseen_file(file))
    }
}

fn is_image_size(bytes: usize) -> bool {
    (1..=MAX_IMAGE_BYTES).contains(&bytes)
}

fn note(text: String) -> ContentPart {
    ContentPart::Text { text }
}

fn tool_call(part: &Part) -> Option<ToolCall> {
    let Part::ToolCall(
        call @ ToolCallPart {
            provider_executed: false,
            ..
        },
    ) = part
    else {
        return None;
    };
    Some(ToolCall {
        id: call_id(&call.tool_call_id),
        r#type: "function",
        function: FunctionCall {
            name: call.tool_name.clone(),
            arguments: Value::Object(call.arguments()).to_string(),
        },
    })
}

/// A string if everything is text.
fn content(parts: Vec<ContentPart>) -> Content {
    let texts: Option<Vec<String>> = parts
        .iter()
        .map(|part| match part {
            ContentPart::Text { text } => Some(text.clone()),
            ContentPart::ImageUrl { .. } | ContentPart::File { .. } => None,
        })
        .collect();
    match texts {
        Some(texts) => Content::Text(join(texts)),
        None => Content::Parts(parts),
    }
}

#[cfg(test)]
mod tests;
