//! The events of a completion as an answer in a client's dialect, streamed or whole.
//!
//! Owns what all dialects have in common: the end, the failure, and that a client which wants one call at a time gets one. How each
//! dialect looks is in its own module; [`sequence`] puts side by side what came mixed.

mod chat;
mod messages;
mod out;
mod responses;
mod sequence;
mod usage;
mod whole;

use std::collections::BTreeSet;

use bytes::Bytes;
use tandem_chat_core::{error::ChatError, id::ToolCallId};

use crate::{
    bridge::dialect::Dialect,
    completion::{Event, Failed},
};

/// What an answer is called, and how it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    /// As the dialect begins its ids: `chatcmpl-…`, `resp_…`, `msg_…`; letters, digits, `_` and `-`.
    pub id: String,
    /// As the client named it.
    pub model: String,
    /// When it was asked for, in seconds.
    pub created_unix_s: i64,
    /// As events; else as one document.
    pub is_stream: bool,
    /// [`super::Asked::wants_usage`].
    pub wants_usage: bool,
    /// [`super::Asked::is_serial`]: only the first tool call is handed on. The model sees no other in the next request, so it will
    /// never know.
    pub is_serial: bool,
    /// [`super::Asked::free_form`]: calls of these tools are told in the client's own kind, with the text alone.
    pub free_form: BTreeSet<String>,
}

/// Writes one answer.
#[derive(Debug)]
pub struct Encoder {
    form: Form,
    dialect: Dialect,
    is_stream: bool,
    /// Only one call is wanted, and this is it.
    only: Option<Option<ToolCallId>>,
    end: End,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Finished,
    Failed,
}

/// How it is written.
#[derive(Debug)]
enum Form {
    ChatStream(chat::Stream),
    ChatDocument(chat::Document),
    /// Streamed or not: a whole response is what its last event has.
    Responses(responses::Response),
    MessagesStream(messages::Stream),
    MessagesDocument(messages::Document),
}

impl Encoder {
    /// Ready for the first event.
    pub fn new(dialect: Dialect, answering: Answering) -> Self {
        let is_stream = answering.is_stream;
        let only = answering.is_serial.then_some(None);
        let form = match (dialect, is_stream) {
            (Dialect::ChatCompletions, true) => Form::ChatStream(chat::Stream::new(answering)),
            (Dialect::ChatCompletions, false) => Form::ChatDocument(chat::Document::new(answering)),
            (Dialect::Responses, _) => Form::Responses(responses::Response::new(answering)),
            (Dialect::Messages, true) => Form::MessagesStream(messages::Stream::new(answering)),
            (Dialect::Messages, false) => Form::MessagesDocument(messages::Document::new(answering)),
        };
        Self {
            form,
            dialect,
            is_stream,
            only,
            end: End::NotYet,
        }
    }

    /// What an event is to the client: whole frames of server-sent events, often one, sometimes none. For a document always nothing,
    /// but for [`Event::Failed`]. Behind the last event nothing comes.
    pub fn event(&mut self, event: &Event) -> Bytes {
        if self.is_over() || self.is_unwanted(event) {
            return Bytes::new();
        }
        match event {
            Event::Failed(failed) => return self.failed(failed),
            Event::Finished(_) => self.end = End::Finished,
            _ => {}
        }
        match &mut self.form {
            Form::ChatStream(stream) => stream.event(event),
            Form::MessagesStream(stream) => stream.event(event),
            Form::Responses(response) => response.event(event),
            Form::ChatDocument(document) => {
                document.event(event);
                Bytes::new()
            }
            Form::MessagesDocument(document) => {
                document.event(event);
                Bytes::new()
            }
        }
    }

    /// The failure as the stream's last event; for a document the error's own, whose status is [`super::failure_status`]'s.
    pub fn failed(&mut self, failed: &Failed) -> Bytes {
        if self.is_over() {
            return Bytes::new();
        }
        self.end = End::Failed;
        let body = super::failure_body(failed, self.dialect.family());
        match &mut self.form {
            Form::Responses(response) if self.is_stream => response.failed(&body),
            Form::ChatStream(_) => out::data(&body),
            Form::MessagesStream(_) => out::named("error", &body),
            Form::ChatDocument(_) | Form::MessagesDocument(_) | Form::Responses(_) => Bytes::from(body.to_string()),
        }
    }

    /// Whether the last event was there.
    pub fn is_over(&self) -> bool {
        self.end != End::NotYet
    }

    /// The end. For a stream what closes it, for a document all of it; nothing more where it failed. Events that ended without a last
    /// one have failed.
    pub fn finish(mut self) -> Bytes {
        match (self.end, self.form) {
            (End::Failed, _) => Bytes::new(),
            (End::NotYet, form) => {
                self.form = form;
                self.failed(&Failed {
                    error: ChatError::generic("The answer broke off."),
                    retry_after: std::time::Duration::ZERO,
                    is_cancelled: false,
                    is_context_exceeded: false,
                })
            }
            (End::Finished, Form::ChatStream(_)) => Bytes::from_static(b"data: [DONE]\n\n"),
            (End::Finished, Form::MessagesStream(_)) => Bytes::new(),
            (End::Finished, Form::Responses(response)) => response.finish(),
            (End::Finished, Form::ChatDocument(document)) => document.finish(),
            (End::Finished, Form::MessagesDocument(document)) => document.finish(),
        }
    }

    /// Whether an event is about a second call where one is wanted.
    fn is_unwanted(&mut self, event: &Event) -> bool {
        let (Some(only), Some(id)) = (&mut self.only, sequence::call_of(event)) else {
            return false;
        };
        only.get_or_insert_with(|| id.clone()) != id
    }
}

/// A frame that says nothing but that the answer is still coming.
pub fn ping(dialect: Dialect) -> Bytes {
    Bytes::from_static(match dialect {
        Dialect::ChatCompletions | Dialect::Responses => b": still here\n\n",
        Dialect::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
    })
}
