//! A conversation being put together from a client's messages or items.
//!
//! Owns what a result of a tool becomes, and the bound on pieces. Which result answers which call is [`history::repair`]'s: what no
//! vendor takes is mended here as it is in chats.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tandem_chat_core::{
    history,
    id::ToolCallId,
    message::{Message, Role},
    part::{FilePart, Part, ProviderMetadata, ReasoningPart, ToolCallPart, ToolResultPart},
};

use super::media;
use crate::bridge::translate::{Refused, sealed};

/// Messages and pieces of them in one request.
const MAX_PIECES: usize = 100_000;

/// How much of arguments is kept that are no JSON object.
const MAX_INVALID_BYTES: usize = 16 * 1024;

/// The key under which they travel with the call, as with calls that a vendor's answer has broken.
const INVALID_ARGUMENTS: &str = "invalid_arguments";

/// What a tool returned, as a client sends it back.
#[derive(Default)]
pub(super) struct Output {
    pub(super) texts: Vec<String>,
    pub(super) files: Vec<FilePart>,
    pub(super) is_error: bool,
}

/// What has been read.
#[derive(Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// Which tool each call asked for.
    names: HashMap<ToolCallId, String>,
    /// Files of results beyond the one a result can hold; a user shows them behind the results.
    asides: Vec<Part>,
    pieces: usize,
}

impl Conversation {
    /// Somebody says something.
    ///
    /// * `joins`: to what the same one said just before.
    ///
    /// # Errors
    /// There is too much of it.
    pub(super) fn say(&mut self, role: Role, parts: Vec<Part>, joins: bool) -> Result<(), Refused> {
        self.count(1 + parts.len())?;
        for part in &parts {
            if let Part::ToolCall(call) = part {
                self.names.insert(call.tool_call_id.clone(), call.tool_name.clone());
            }
        }
        let asides = std::mem::take(&mut self.asides);
        if !asides.is_empty() {
            self.messages.push(Message::new(Role::User, asides));
        }
        match self.messages.last_mut() {
            Some(last) if joins && last.role == role => last.parts.extend(parts),
            Some(_) | None => self.messages.push(Message::new(role, parts)),
        }
        Ok(())
    }

    /// A tool returned something. One picture fits a result; other files follow behind the results.
    ///
    /// # Errors
    /// There is too much of it.
    pub(super) fn result(&mut self, id: ToolCallId, output: Output) -> Result<(), Refused> {
        self.count(1 + output.texts.len() + output.files.len())?;
        let name = self.names.get(&id).cloned();
        let tool_name = name.unwrap_or_else(|| "unknown".to_owned());
        let text = output.texts.into_iter().filter(|text| !text.is_empty());
        let text = text.collect::<Vec<_>>().join("\n\n");
        let mut files = output.files.into_iter().peekable();
        // A result that failed has words only.
        let shown = files.next_if(|file| !output.is_error && media::is_image(file));
        let is_media = shown.is_some();
        let result = match shown {
            Some(file) => json!({ "data": STANDARD.encode(&file.data), "mime_type": file.media_type, "text": text }),
            None => Value::String(text),
        };
        for file in files {
            self.asides
                .push(Part::text(format!("[Also returned by the tool {tool_name}:]")));
            self.asides.push(Part::File(file));
        }
        let result = ToolResultPart {
            tool_call_id: id,
            tool_name,
            result,
            is_error: output.is_error,
            is_media,
            provider_executed: false,
            mcp_server_config_id: None,
            created_at: None,
            provider_metadata: ProviderMetadata::new(),
        };
        self.messages
            .push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), Refused> {
        self.pieces += more;
        let text = || format!("The conversation has more than {MAX_PIECES} messages and pieces.");
        if self.pieces > MAX_PIECES {
            return Err(Refused::new("", text()));
        }
        Ok(())
    }

    /// The whole conversation, mended.
    ///
    /// * `field`: where it stood.
    ///
    /// # Errors
    /// Nobody says anything in it.
    pub(super) fn finish(mut self, field: &str) -> Result<Vec<Message>, Refused> {
        if !self.asides.is_empty() {
            self.say(Role::User, Vec::new(), false)?;
        }
        let messages = history::repair(self.messages);
        if messages.is_empty() {
            return Err(Refused::new(field, "There is nothing in it that could be answered."));
        }
        Ok(messages)
    }
}

/// The id of a call.
///
/// # Errors
/// It is empty or too long.
pub(super) fn call_id(text: &str, field: &str) -> Result<ToolCallId, Refused> {
    let text_of = |_| format!("It must be 1 to {} bytes long.", ToolCallId::MAX_BYTES);
    ToolCallId::new(text).map_err(|error| Refused::new(field, text_of(error)))
}

/// A call of a tool of the client's.
pub(super) fn call(tool_call_id: ToolCallId, tool_name: String, arguments: Arguments) -> Part {
    let (args, provider_metadata) = match arguments {
        Arguments::Object(args) => (args, ProviderMetadata::new()),
        Arguments::Text(text) if text.trim().is_empty() => (Map::new(), ProviderMetadata::new()),
        Arguments::Text(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(args)) => (args, ProviderMetadata::new()),
            Ok(_) | Err(_) => {
                let kept = &text[..text.floor_char_boundary(MAX_INVALID_BYTES)];
                let metadata = [(INVALID_ARGUMENTS.to_owned(), Value::from(kept))];
                (Map::new(), ProviderMetadata::from_iter(metadata))
            }
        },
    };
    Part::ToolCall(ToolCallPart {
        tool_call_id,
        tool_name,
        args: Value::Object(args),
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata,
    })
}

/// What a tool was called with.
pub(super) enum Arguments {
    Object(Map<String, Value>),
    /// JSON as text. What is no JSON object travels beside an empty one.
    Text(String),
}

/// A search that a vendor ran, with what came of it.
pub(super) fn search(id: ToolCallId, args: Value, result: Value, metadata: ProviderMetadata) -> [Part; 2] {
    const WEB_SEARCH: &str = "web_search";
    let call = ToolCallPart {
        tool_call_id: id.clone(),
        tool_name: WEB_SEARCH.to_owned(),
        args,
        provider_executed: true,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: ProviderMetadata::new(),
    };
    let result = ToolResultPart {
        tool_call_id: id,
        tool_name: WEB_SEARCH.to_owned(),
        result,
        is_error: false,
        is_media: false,
        provider_executed: true,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: metadata,
    };
    [Part::ToolCall(call), Part::ToolResult(result)]
}

/// Thinking, with what a client brought in the field for what proves it.
///
/// * `bare`: what else is known of it, where the proof was not wrapped here.
pub(super) fn thought(text: String, proof: String, bare: ProviderMetadata) -> Part {
    let (signature, provider_metadata) = sealed::open(&proof).unwrap_or((proof, bare));
    Part::Reasoning(ReasoningPart {
        text,
        signature,
        provider_metadata,
        ..ReasoningPart::default()
    })
}
