//! Turns a scripted reply into the vendor's response: status, headers, body bytes and the timeline of the body.
//!
//! Pure: no clock, no socket. [`super::body`] plays the timeline.

mod stream;
mod whole;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    reply::{Fault, FaultKind, Item, Reply, Usage},
    wire::{self, VendorError},
};

/// Characters per delta of a tool call's arguments.
pub(super) const ARGUMENT_DELTA_CHARS: usize = 8;

/// The request's side of a response.
pub(super) struct Context {
    /// The request's number in this server; ids are made from it.
    pub number: u64,
    /// Unix seconds shown as `created`.
    pub created: u64,
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    /// The client allows padding.
    pub may_obfuscate: bool,
    /// Counted from the request.
    pub prompt_tokens: u64,
}

/// A response ready to be played.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What to do in order; the `end`s rise to the length of `body`.
    pub steps: Vec<Step>,
    /// Rising by position.
    pub faults: Vec<Fault>,
    /// The body is announced with its length instead of being sent in chunks.
    pub sized: bool,
    pub write_bytes: Option<usize>,
    /// What the client is told, had it received everything.
    pub usage: Usage,
}

/// One step of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Send the body up to `end`; that carries `tokens` completion tokens.
    Send {
        end: usize,
        tokens: u64,
    },
    Pause(Duration),
    Gate(String),
}

/// A response that is one error.
pub(super) fn error(number: u64, error: &VendorError) -> Response {
    let mut response = plain(number, wire::JSON, error.body());
    response.status = error.status;
    for (name, value) in &error.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            response.headers.insert(name, value);
        }
    }
    response
}

/// A response with a body that needs no timeline.
pub(super) fn plain(number: u64, content_type: &str, body: Vec<u8>) -> Response {
    let steps = vec![Step::Send {
        end: body.len(),
        tokens: 0,
    }];
    Response {
        status: 200,
        headers: wire::headers(number, content_type),
        body: Bytes::from(body),
        steps,
        faults: Vec::new(),
        sized: true,
        write_bytes: None,
        usage: Usage::default(),
    }
}

/// The response for an accepted request.
pub(super) fn reply(context: &Context, reply: &Reply) -> Response {
    let mut response = if let Some(failure) = &reply.failure {
        error(context.number, &VendorError::scripted(failure, &context.model))
    } else if let Some(raw) = &reply.raw {
        plain(context.number, &raw.content_type, raw.body.clone())
    } else if context.stream {
        stream::render(context, reply)
    } else {
        whole::render(context, reply)
    };
    afflict(&mut response, reply);
    response
}

/// Adds what goes wrong with a response on its way.
pub(super) fn afflict(response: &mut Response, reply: &Reply) {
    response.faults = reply.faults.clone();
    response.faults.sort_by_key(|fault| fault.at_byte);
    // Keep-alive comments come on top of the body for as long as anybody listens.
    let pings = |fault: &Fault| matches!(fault.kind, FaultKind::Stall { ping_ms: Some(_) });
    response.sized &= !response.faults.iter().any(pings);
    response.write_bytes = reply.pace.write_bytes;
}

/// Tool calls of a reply: id if given, name, arguments.
fn calls(reply: &Reply) -> impl Iterator<Item = (Option<&String>, &String, &String)> {
    reply.items.iter().filter_map(|item| match item {
        Item::ToolCall { id, name, arguments } => Some((id.as_ref(), name, arguments)),
        _ => None,
    })
}

/// The finish reason: what the script says, else what the reply is.
fn finish(reply: &Reply) -> &str {
    match &reply.finish {
        Some(reason) => reason,
        None if calls(reply).next().is_some() => "tool_calls",
        None => "stop",
    }
}

/// The usage: what the script says, else what was counted.
pub(super) fn usage(context: &Context, reply: &Reply) -> Usage {
    reply.usage.unwrap_or_else(|| {
        let (mut completion, mut reasoning) = (0, 0);
        for item in &reply.items {
            match item {
                Item::Text { text, tokens } => completion += split(text, *tokens).len(),
                Item::Reasoning { text, tokens } => reasoning += split(text, *tokens).len(),
                Item::ToolCall { arguments, .. } => {
                    completion += 1 + pieces(arguments, ARGUMENT_DELTA_CHARS).len();
                }
                Item::Gate(_) | Item::Pause(_) => {}
            }
        }
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Usage {
            prompt_tokens: i64::try_from(context.prompt_tokens).unwrap_or(i64::MAX),
            completion_tokens: signed(completion + reasoning),
            cached_tokens: 0,
            reasoning_tokens: signed(reasoning),
        }
    })
}

/// Splits text into `tokens` deltas of about equal length, or into words that each keep the space before them.
pub(super) fn split(text: &str, tokens: Option<usize>) -> Vec<&str> {
    if let Some(tokens) = tokens {
        return share(text, tokens);
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word_at = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let end = rest[word_at..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |at| word_at + at);
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

/// Splits text into exactly `parts` pieces, or one per character when it has fewer.
fn share(text: &str, parts: usize) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let parts = parts.clamp(1, starts.len().max(1));
    let bound = |part: usize| starts.get(part * starts.len() / parts).copied().unwrap_or(text.len());
    (0..parts)
        .map(|part| &text[bound(part)..bound(part + 1)])
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Splits text into pieces of at most `chars` characters.
pub(super) fn pieces(text: &str, chars: usize) -> Vec<&str> {
    share(text, text.chars().count().div_ceil(chars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_the_space_before_them_and_nothing_is_lost() {
        assert_eq!(split("You said: hi ", None), ["You", " said:", " hi", " "]);
        assert_eq!(split("", None), Vec::<&str>::new());
    }

    #[test]
    fn a_text_is_shared_out_into_exactly_that_many_pieces() {
        assert_eq!(share("abcdef", 4), ["a", "bc", "d", "ef"]);
        assert_eq!(share("äöü", 9), ["ä", "ö", "ü"]);
        assert_eq!(share("", 3), Vec::<&str>::new());
    }
}
