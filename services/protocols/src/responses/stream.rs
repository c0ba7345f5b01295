//! Understands a Responses answer as it comes: events in, increments out.
//!
//! Pure: no IO and no clock. It accepts what servers are known to send (see the tests), passes over what it does not know, and turns
//! everything else into a failure that says what was wrong. [`item`] has one item's life; reading the socket is
//! [`crate::http`]'s.

mod item;
mod sources;

use std::collections::HashSet;

use serde_json::{Value, json};
use tandem_chat_core::{
    classify::Cause,
    error::ErrorKind,
    id::{CompletionId, ToolCallId},
    message::Usage,
};

use self::item::{Open, Shared};
use super::{
    Origin,
    wire::event::{self, Event, Response, measured},
};
use crate::{
    Delta, Failure, Finish,
    body::{self, garbage, truncated},
    call::FinishReason,
    sse::SseEvent,
    tool_call::CallIds,
};

/// Items of one answer.
const MAX_ITEMS: usize = 1024;

/// An answer being understood.
pub(super) type Parser = body::Parser<Answer>;

/// What has been understood of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    shared: Shared,
    /// By index.
    open: Vec<(u64, Open)>,
    /// Indices of items that are complete.
    done: HashSet<u64>,
    usage: Usage,
    response_id: String,
    /// Whether the vendor keeps the response, without which its id is of no use to anybody.
    is_kept: bool,
    finish: Option<FinishReason>,
}

impl Parser {
    /// Ready for the first byte.
    ///
    /// * `origin`: who is asked, without which reasoning cannot be sent back.
    /// * `is_kept`: whether the vendor was asked to keep the response.
    /// * `completion`, `used`: see [`CallIds::new`].
    pub(super) fn new(origin: Origin, is_kept: bool, completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self::of(Answer {
            shared: Shared::new(origin, CallIds::new(completion, used)),
            open: Vec::new(),
            done: HashSet::new(),
            usage: Usage::default(),
            response_id: String::new(),
            is_kept,
            finish: None,
        })
    }
}

impl body::Answer for Answer {
    const FORMAT: &'static str = "Responses";

    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.finish.is_some() || data.is_empty() {
            return Ok(());
        }
        match serde_json::from_str::<Event>(data) {
            Ok(understood) => self.understood(understood, &event.name, data, deltas),
            Err(_) if event.name == "error" => Err(reported(data, &Value::Null)),
            // The end mark of other protocols, which some gateways add.
            Err(_) if data == "[DONE]" => Ok(()),
            Err(error) if is_whole => Err(garbage::<Self>(&error)),
            Err(_) => Err(truncated("the stream was cut off within an event")),
        }
    }

    fn document(&mut self, text: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let whole: Response = match serde_json::from_str(text) {
            Ok(whole) => whole,
            Err(error) if error.is_eof() => return Err(truncated("the answer was cut off")),
            Err(error) => return Err(garbage::<Self>(&error)),
        };
        if whole.output.is_none() || !whole.error.is_null() {
            return Err(reported(text, &whole.error));
        }
        self.end(whole, None, deltas)
    }

    fn is_done(&self) -> bool {
        self.finish.is_some()
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let Some(reason) = self.finish else {
            return Err(truncated("the stream closed before terminal event"));
        };
        while let Some((_, open)) = self.open.pop() {
            open.stop(None, &mut self.shared, deltas);
        }
        self.shared.sources.flush(deltas);
        let has_calls = self.shared.has_calls;
        deltas.push(Delta::Finish(Finish {
            reason: FinishReason::settled(Some(reason), has_calls),
            usage: self.usage,
            response_id: Some(self.response_id).filter(|_| self.is_kept).unwrap_or_default(),
        }));
        Ok(())
    }
}

impl Answer {
    fn understood(&mut self, event: Event, name: &str, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let kind = event.kind.as_deref().unwrap_or(name);
        if kind == "error" || !event.error.is_null() {
            return Err(reported(data, &event.error));
        }
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = event.response {
                    self.name(&response);
                }
            }
            "response.output_item.added" => {
                let index = event.output_index.unwrap_or(self.done.len() as u64);
                self.start(index, event.item.unwrap_or_default(), deltas)?;
            }
            "response.output_item.done" => {
                let item = event.item.unwrap_or_default();
                let index = event
                    .output_index
                    .or_else(|| self.last())
                    .unwrap_or(self.done.len() as u64);
                self.whole(index, item, deltas)?;
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let ending = kind.strip_prefix("response.");
                self.end(event.response.unwrap_or_default(), ending, deltas)?;
            }
            "" => return Err(no_event()),
            // What is added to items, and whatever the vendor adds to the protocol.
            other => {
                if let Some(added) = other.strip_prefix("response.") {
                    self.add(added, &event, deltas)?;
                }
            }
        }
        Ok(())
    }

    fn name(&mut self, response: &Response) {
        if let Some(id) = response.id.as_str() {
            id.clone_into(&mut self.response_id);
        }
    }

    /// The index of the item that began last.
    fn last(&self) -> Option<u64> {
        self.open.last().map(|(index, _)| *index)
    }

    fn start(&mut self, index: u64, item: event::Item, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if self.done.contains(&index) || self.open.iter().any(|(place, _)| *place == index) {
            return Ok(());
        }
        if self.open.len() + self.done.len() >= MAX_ITEMS {
            let text = format!("the answer has more than {MAX_ITEMS} items");
            return Err(Failure::known(ErrorKind::Generic, text));
        }
        let open = Open::start(&item, &mut self.shared, deltas)?;
        self.open.push((index, open));
        Ok(())
    }

    fn add(&mut self, added: &str, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let Some(kind) = item::kind_of(added) else {
            return Ok(());
        };
        let index = event.output_index.or_else(|| self.last()).unwrap_or(0);
        // Some servers stream text without saying that it begins. A call without its beginning has no name yet; its end has one.
        if kind != "function_call" {
            let begins = event::Item {
                kind: kind.to_owned(),
                ..event::Item::default()
            };
            self.start(index, begins, deltas)?;
        }
        if let Some((_, open)) = self.open.iter_mut().find(|(place, _)| *place == index) {
            open.add(added, event, &mut self.shared, deltas);
        }
        Ok(())
    }

    /// An item is complete, whether it was streamed before or not.
    fn whole(&mut self, index: u64, item: event::Item, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        self.start(index, item.clone(), deltas)?;
        let Some(place) = self.open.iter().position(|(place, _)| *place == index) else {
            return Ok(());
        };
        let (_, open) = self.open.remove(place);
        self.done.insert(index);
        open.stop(Some(item), &mut self.shared, deltas);
        Ok(())
    }

    /// The response ended.
    ///
    /// * `ending`: what the event calls it; `None` where the answer was not streamed.
    fn end(&mut self, response: Response, ending: Option<&str>, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        self.name(&response);
        self.usage = measured(&response.usage);
        let ending = response.status.as_deref().or(ending).unwrap_or_default();
        let reason = match ending {
            "failed" | "cancelled" => {
                let error = json!({ "error": response.error });
                return Err(match response.error {
                    Value::Null => truncated("the vendor gave the response up"),
                    _ => reported(&error.to_string(), &response.error),
                });
            }
            "incomplete" => match response.incomplete_details.get("reason").and_then(Value::as_str) {
                Some("content_filter") => FinishReason::ContentFilter,
                Some(_) | None => FinishReason::Length,
            },
            _ => FinishReason::Stop,
        };
        for (index, item) in (0..).zip(response.output.into_iter().flatten()) {
            self.whole(index, item, deltas)?;
        }
        self.finish = Some(reason);
        Ok(())
    }
}

/// JSON that is none of the vendor's events.
fn no_event() -> Failure {
    let error = <serde_json::Error as serde::de::Error>::custom("not an event of it");
    garbage::<Answer>(&error)
}

/// An error the vendor reports inside a successful answer, with the status it stands for.
///
/// * `error`: the vendor's object, where it is wrapped; else `data` is it.
fn reported(data: &str, error: &Value) -> Failure {
    let bare = || serde_json::from_str(data).unwrap_or_default();
    let error = if error.is_object() { error.clone() } else { bare() };
    let word = |name: &str| error.get(name).and_then(Value::as_str).and_then(status);
    Failure {
        status: word("code").or_else(|| word("type")),
        ..Failure::new(Cause::Reported, data)
    }
}

/// The status that a code, or a type of errors, stands for.
fn status(word: &str) -> Option<u16> {
    let status = match word {
        "invalid_request_error" | "invalid_prompt" | "context_length_exceeded" | "invalid_value" => 400,
        "invalid_api_key" | "authentication_error" => 401,
        "permission_error" => 403,
        "model_not_found" | "not_found_error" => 404,
        "rate_limit_exceeded" | "insufficient_quota" | "rate_limit_error" | "tokens" | "requests" => 429,
        "server_error" | "internal_error" => 500,
        "server_is_overloaded" | "slow_down" | "overloaded_error" | "service_unavailable_error" => 503,
        "vector_store_timeout" | "timeout" => 504,
        _ => return None,
    };
    Some(status)
}

#[cfg(test)]
mod tests;
