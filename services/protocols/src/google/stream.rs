//! Understands an answer as it comes: pieces in, increments out.
//!
//! Pure: no IO and no clock. It accepts what servers are known to send (see the tests), passes over what it does not know, and turns
//! everything else into a failure that says what was wrong. Reading the socket is [`crate::http`]'s.

mod chunk;
mod sources;

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tandem_chat_core::{
    error::ErrorKind,
    id::{CompletionId, ToolCallId},
    message::Usage,
    part::{FilePart, Part, ReasoningPart, ToolCallPart, ToolResultPart},
};

use self::{chunk::Piece, sources::Sources};
use super::{
    WEB_SEARCH,
    convert::{signature, tools::Names},
    error,
};
use crate::{
    Delta, Failure, Finish,
    body::{self, garbage, truncated},
    call::FinishReason,
    sse::SseEvent,
    tool_call::{CallIds, OpenCall},
};

/// Longest signature that is kept; the vendor's are a few thousand bytes.
const MAX_SIGNATURE_BYTES: usize = 1024 * 1024;

/// Largest piece of the vendor's own tools that is kept.
const MAX_NATIVE_BYTES: usize = 256 * 1024;

/// All pictures of one answer, as base64: what a completion can hold beside its words.
const MAX_FILES_BYTES: usize = 7 * 1024 * 1024;

/// An answer being understood.
pub(super) type Parser = body::Parser<Answer>;

/// What has been understood of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The vendor's model, without which signatures cannot be sent back.
    model: String,
    names: Names,
    ids: CallIds,
    is_reasoning: bool,
    sources: Sources,
    has_calls: bool,
    has_content: bool,
    /// Of pictures so far, as base64.
    files_bytes: usize,
    usage: Usage,
    response_id: String,
    finish: Option<Reason>,
}

/// Why the model stopped, as the vendor says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Known(FinishReason),
    /// It wrote something the vendor cannot read; another try may do better.
    Broken,
    /// Anything else.
    Other,
}

impl Parser {
    /// Ready for the first byte.
    ///
    /// * `model`: as it was asked.
    /// * `names`: what the vendor calls our tools.
    /// * `completion`, `used`: see [`CallIds::new`].
    pub(super) fn new(model: &str, names: Names, completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self::of(Answer {
            model: model.to_owned(),
            names,
            ids: CallIds::new(completion, used),
            is_reasoning: false,
            sources: Sources::default(),
            has_calls: false,
            has_content: false,
            files_bytes: 0,
            usage: Usage::default(),
            response_id: String::new(),
            finish: None,
        })
    }
}

impl body::Answer for Answer {
    const FORMAT: &'static str = "Gemini";

    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        // The end mark of other protocols, which some gateways add.
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        match serde_json::from_str::<Value>(data) {
            Ok(chunk) => self.chunk(&chunk, data, deltas),
            Err(_) if event.name == "error" => Err(error::reported(data)),
            Err(error) if is_whole => Err(garbage::<Self>(&error)),
            // What was cut off is not missed once the model has said that it stopped.
            Err(_) if self.finish.is_some() => Ok(()),
            Err(_) => Err(truncated("the stream was cut off within an event")),
        }
    }

    /// One answer, or a list of its chunks, as servers send it that were not asked for events.
    fn document(&mut self, text: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) if error.is_eof() => return Err(truncated("the answer was cut off")),
            Err(error) => return Err(garbage::<Self>(&error)),
        };
        match &document {
            Value::Array(chunks) => chunks.iter().try_for_each(|chunk| self.chunk(chunk, text, deltas)),
            whole => self.chunk(whole, text, deltas),
        }
    }

    /// The vendor has no end mark.
    fn is_done(&self) -> bool {
        false
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let Some(reason) = self.finish else {
            return Err(truncated("the stream ended before the model had finished"));
        };
        let is_useless = match reason {
            Reason::Known(_) => false,
            Reason::Broken => !self.has_calls,
            Reason::Other => !self.has_calls && !self.has_content,
        };
        if is_useless {
            // In these words it counts as a failure of the vendor's that may pass.
            return Err(error::reported(
                "server error: the model ended without a readable answer",
            ));
        }
        self.end_reasoning(deltas);
        self.sources.hand_out(deltas);
        let said = match reason {
            Reason::Known(reason) => reason,
            Reason::Broken | Reason::Other => FinishReason::Stop,
        };
        deltas.push(Delta::Finish(Finish {
            reason: FinishReason::settled(Some(said), self.has_calls),
            usage: self.usage,
            response_id: self.response_id,
        }));
        Ok(())
    }
}

impl Answer {
    fn chunk(&mut self, chunk: &Value, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if !chunk["error"].is_null() {
            return Err(error::reported(data));
        }
        if !chunk::is_one(chunk) {
            let error = <serde_json::Error as serde::de::Error>::custom("not a chunk of it");
            return Err(garbage::<Self>(&error));
        }
        if let Some(id) = chunk["responseId"].as_str() {
            id.clone_into(&mut self.response_id);
        }
        chunk::measure(&mut self.usage, &chunk["usageMetadata"]);
        if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
            let text = format!("the provider blocked the prompt: {reason}");
            return Err(Failure::known(ErrorKind::ContentFilter, text));
        }
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.piece(part, deltas)?;
        }
        self.sources.add(&candidate["groundingMetadata"]);
        if let Some(reason) = candidate["finishReason"].as_str() {
            self.finish = Some(reason_of(reason));
        }
        Ok(())
    }

    fn piece(&mut self, part: &Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let signature = part["thoughtSignature"].as_str().unwrap_or_default();
        let signature = Some(signature).filter(|signature| signature.len() <= MAX_SIGNATURE_BYTES);
        let signature = signature.unwrap_or_default();
        match Piece::of(part) {
            Piece::Thought(text) => self.think(text, signature, deltas),
            Piece::Text(text) => self.say(text, signature, deltas),
            Piece::Call { id, name, args } => self.call(id, name, args, signature, deltas)?,
            Piece::File { media_type, data } => self.show(media_type, data, signature, deltas),
            Piece::NativeCall(call) => self.native_call(call, part, deltas),
            Piece::NativeResult(result) => self.native_result(result, part, deltas),
            Piece::Unknown => {}
        }
        Ok(())
    }

    fn think(&mut self, text: &str, signature: &str, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.is_reasoning = true;
            deltas.push(Delta::Reasoning(text.to_owned()));
        }
        if !signature.is_empty() && self.is_reasoning {
            self.is_reasoning = false;
            deltas.push(Delta::ReasoningDone(ReasoningPart {
                signature: signature.to_owned(),
                provider_metadata: signature::of_thinking(&self.model),
                ..ReasoningPart::default()
            }));
        }
    }

    /// Words, and behind them what signs them.
    fn say(&mut self, text: &str, signature: &str, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.end_reasoning(deltas);
            self.has_content = true;
            deltas.push(Delta::Text(text.to_owned()));
        }
        // A signature alone, before anything was said, proves nothing that could be sent back.
        if !signature.is_empty() && self.has_content {
            self.end_reasoning(deltas);
            deltas.push(Delta::Reasoning(String::new()));
            let done = signature::of_words(&self.model, signature.to_owned(), text.len());
            deltas.push(Delta::ReasoningDone(done));
        }
    }

    /// A picture, which always comes whole, and behind it what signs it.
    fn show(&mut self, media_type: &str, data: &str, signature: &str, deltas: &mut Vec<Delta>) {
        self.end_reasoning(deltas);
        self.has_content = true;
        let bytes = match data.len() <= MAX_FILES_BYTES.saturating_sub(self.files_bytes) {
            true => STANDARD.decode(data).unwrap_or_default(),
            false => Vec::new(),
        };
        if bytes.is_empty() {
            let text = format!("\n[A file of type {media_type:.80}, which is empty or too large to be kept.]\n");
            deltas.push(Delta::Text(text));
            return;
        }
        self.files_bytes += data.len();
        deltas.push(Delta::Part(Part::File(FilePart {
            media_type: media_type.to_owned(),
            name: String::new(),
            file_id: None,
            data: bytes,
        })));
        if !signature.is_empty() {
            deltas.push(Delta::Reasoning(String::new()));
            let done = signature::of_file(&self.model, signature.to_owned());
            deltas.push(Delta::ReasoningDone(done));
        }
    }

    /// A call, which always comes whole.
    fn call(
        &mut self,
        id: &str,
        name: &str,
        args: &Value,
        signature: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Failure> {
        self.end_reasoning(deltas);
        let mut call = OpenCall::new(self.ids.unique(id)?);
        call.name_once(self.names.ours(name));
        if !args.is_null() {
            call.append(&args.to_string());
        }
        deltas.extend(call.delta());
        let mut part = call.into_part();
        if !signature.is_empty() {
            part.provider_metadata
                .extend(signature::of_call(&self.model, signature));
        }
        self.has_calls = true;
        deltas.push(Delta::Part(Part::ToolCall(part)));
        Ok(())
    }

    /// The vendor calls a tool of its own.
    fn native_call(&mut self, call: &Value, part: &Value, deltas: &mut Vec<Delta>) {
        let Some(id) = own_id(call) else { return };
        self.end_reasoning(deltas);
        self.has_content = true;
        deltas.push(Delta::Part(Part::ToolCall(ToolCallPart {
            tool_call_id: id,
            tool_name: WEB_SEARCH.to_owned(),
            args: Value::Object(call["args"].as_object().cloned().unwrap_or_default()),
            provider_executed: true,
            mcp_server_config_id: None,
            created_at: None,
            provider_metadata: self.native(part),
        })));
    }

    /// What a tool of the vendor's own returned. People see its sources, which come apart.
    fn native_result(&mut self, result: &Value, part: &Value, deltas: &mut Vec<Delta>) {
        let Some(id) = own_id(result) else { return };
        deltas.push(Delta::Part(Part::ToolResult(ToolResultPart {
            tool_call_id: id,
            tool_name: WEB_SEARCH.to_owned(),
            result: serde_json::json!({ "sources": [] }),
            is_error: false,
            is_media: false,
            provider_executed: true,
            mcp_server_config_id: None,
            created_at: None,
            provider_metadata: self.native(part),
        })));
    }

    /// The piece itself, without which neither call nor result can be sent back.
    fn native(&self, part: &Value) -> tandem_chat_core::part::ProviderMetadata {
        if part.to_string().len() > MAX_NATIVE_BYTES {
            return Default::default();
        }
        signature::of_native(&self.model, part)
    }

    fn end_reasoning(&mut self, deltas: &mut Vec<Delta>) {
        if std::mem::take(&mut self.is_reasoning) {
            self.has_content = true;
            deltas.push(Delta::ReasoningDone(ReasoningPart::default()));
        }
    }
}

fn own_id(piece: &Value) -> Option<ToolCallId> {
    ToolCallId::new(piece["id"].as_str()?).ok()
}

fn reason_of(reason: &str) -> Reason {
    match reason {
        "STOP" => Reason::Known(FinishReason::Stop),
        "MAX_TOKENS" => Reason::Known(FinishReason::Length),
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Reason::Known(FinishReason::ContentFilter),
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" => Reason::Broken,
        _ => Reason::Other,
    }
}

#[cfg(test)]
mod tests;
