//! One scripted reply: what it says, how fast, and what goes wrong with it.
//!
//! Replies are plain data (they also travel as JSON over the control endpoints). Turning them into the vendor's
//! bytes is [`super::render`]; making faults happen on the socket is [`super::body`].

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One answer to one request. Start with [`Reply::text`], [`Reply::call`] or [`Reply::new`] and add to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// What is streamed, in this order.
    pub items: Vec<Item>,
    /// Overrides the finish reason; without it `tool_calls` when a tool is called, else `stop`.
    pub finish: Option<String>,
    /// Overrides the counted usage.
    pub usage: Option<Usage>,
    /// How the reply is spread over time.
    pub pace: Pace,
    /// Answer with this error instead of the items.
    pub failure: Option<Failure>,
    /// Close the connection without any answer: `true` by RST, `false` in an orderly way.
    pub hang_up: Option<bool>,
    /// What goes wrong on the way, in any order of position; the first one reached counts.
    pub faults: Vec<Fault>,
    /// Answer with these bytes and this content type instead of the items, with status 200.
    pub raw: Option<Raw>,
    /// After this many chunks send an error event instead of the rest.
    pub error_event: Option<ErrorEvent>,
    /// Leave out the closing `data: [DONE]`.
    pub no_done: bool,
    /// Pad chunks with the vendor's `obfuscation` field, as its servers do unless told not to.
    pub obfuscated: bool,
}

/// One piece of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Item {
    /// Answer text. `tokens` is the number of deltas (at least 1); without it one delta per word.
    Text {
        text: String,
        #[serde(default)]
        tokens: Option<usize>,
    },
    /// Reasoning text in `reasoning_content` deltas, as compatible servers stream it.
    Reasoning {
        text: String,
        #[serde(default)]
        tokens: Option<usize>,
    },
    /// A tool call. `arguments` is sent exactly as it stands, valid JSON or not.
    ToolCall {
        /// Made up when absent, unique in the process.
        #[serde(default)]
        id: Option<String>,
        name: String,
        arguments: String,
    },
    /// Nothing more is sent until the test opens this gate.
    Gate(String),
    /// A pause of this many milliseconds.
    Pause(u64),
}

/// Token counts as reported to the client. Signed, because a lying provider may report anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    pub reasoning_tokens: i64,
}

/// Delays, all in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Before the response headers: the vendor sends them with the first token.
    pub first_ms: u64,
    /// Before every chunk but the first.
    pub between_ms: u64,
    /// Hold the response headers until the test opens this gate.
    pub headers_gate: Option<String>,
    /// Hand the body to the socket in flushed writes of at most this many bytes.
    pub write_bytes: Option<usize>,
}

/// An error response in the vendor's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub status: u16,
    /// The vendor's error code, such as `rate_limit_exceeded`; known codes bring their usual type and message.
    pub code: String,
    #[serde(default)]
    pub message: Option<String>,
    /// Extra response headers, such as `retry-after`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A body of any bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub content_type: String,
    pub body: Vec<u8>,
}

/// An error sent inside a stream that began with status 200.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorEvent {
    /// Chunks sent before it; 0 is straight after the headers.
    pub after_chunks: usize,
    pub code: String,
}

/// Something that happens at a byte of the response body (HTTP framing not counted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Bytes of the body that arrive before it. A position past the end never happens.
    pub at_byte: usize,
    pub kind: FaultKind,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The connection ends: `reset` by RST, else an orderly close in the middle of the body.
    Cut { reset: bool },
    /// Silence until the client goes away or the gate `stalls` is opened; with `ping_ms`, only SSE comments arrive.
    Stall {
        #[serde(default)]
        ping_ms: Option<u64>,
    },
    /// These bytes are put in; the body goes on after them.
    Garbage { bytes: Vec<u8> },
}

impl Reply {
    /// A reply that says nothing and finishes with `stop`.
    pub fn new() -> Self {
        Self::default()
    }

    /// An answer streamed word by word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().and_text(text)
    }

    /// An answer streamed in exactly `tokens` deltas (fewer when it has fewer characters).
    pub fn text_in(text: impl Into<String>, tokens: usize) -> Self {
        let (text, tokens) = (text.into(), Some(tokens));
        Self::new().and(Item::Text { text, tokens })
    }

    /// One tool call with arguments as JSON.
    pub fn call(name: impl Into<String>, arguments: Value) -> Self {
        Self::new().tool_call(name, arguments)
    }

    /// The vendor's error with this status and code.
    pub fn fail(status: u16, code: impl Into<String>) -> Self {
        let failure = Failure {
            status,
            code: code.into(),
            message: None,
            headers: BTreeMap::new(),
        };
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// 429 `rate_limit_exceeded` with `retry-after` in seconds and `retry-after-ms`.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let seconds = retry_after.as_millis().div_ceil(1000);
        Self::fail(429, "rate_limit_exceeded")
            .header("retry-after", seconds.to_string())
            .header("retry-after-ms", retry_after.as_millis().to_string())
    }

    /// No answer at all: the connection is reset once the request has been read.
    pub fn reset() -> Self {
        Self {
            hang_up: Some(true),
            ..Self::default()
        }
    }

    /// No answer at all: the connection is closed once the request has been read.
    pub fn hang_up() -> Self {
        Self {
            hang_up: Some(false),
            ..Self::default()
        }
    }

    /// Status 200 with an HTML page, as a captive portal or a wrong address gives.
    pub fn html_200() -> Self {
        let page = "<!doctype html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n";
        Self::raw("text/html; charset=utf-8", page)
    }

    /// Status 200, event stream, no bytes.
    pub fn empty_200() -> Self {
        Self::raw("text/event-stream; charset=utf-8", "")
    }

    /// Status 200 with any content type and bytes.
    pub fn raw(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let raw = Raw {
            content_type: content_type.into(),
            body: body.into(),
        };
        Self {
            raw: Some(raw),
            ..Self::default()
        }
    }

    /// Adds any item.
    pub fn and(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    /// Adds text, one delta per word.
    pub fn and_text(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.and(Item::Text { text, tokens: None })
    }

    /// Adds reasoning, one delta per word.
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.and(Item::Reasoning { text, tokens: None })
    }

    /// Adds a tool call with a made-up id.
    pub fn tool_call(self, name: impl Into<String>, arguments: Value) -> Self {
        self.tool_call_raw(None, name, arguments.to_string())
    }

    /// Adds a tool call with this id.
    pub fn tool_call_with_id(self, id: impl Into<String>, name: impl Into<String>, arguments: Value) -> Self {
        self.tool_call_raw(Some(id.into()), name, arguments.to_string())
    }

    /// Adds a tool call whose arguments need not be JSON.
    pub fn tool_call_raw(self, id: Option<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        self.and(Item::ToolCall {
            id,
            name: name.into(),
            arguments: arguments.into(),
        })
    }

    /// Nothing after this point is sent until the test opens the gate.
    pub fn gate(self, name: impl Into<String>) -> Self {
        self.and(Item::Gate(name.into()))
    }

    /// Holds even the response headers until the test opens the gate.
    pub fn headers_gate(mut self, name: impl Into<String>) -> Self {
        self.pace.headers_gate = Some(name.into());
        self
    }

    /// Waits before the response headers.
    pub fn delay_first(mut self, delay: Duration) -> Self {
        self.pace.first_ms = millis(delay);
        self
    }

    /// Waits before every chunk but the first.
    pub fn delay_between(mut self, delay: Duration) -> Self {
        self.pace.between_ms = millis(delay);
        self
    }

    /// Flushes the body in writes of at most `bytes`, so that a reader sees every possible split.
    pub fn write_bytes(mut self, bytes: usize) -> Self {
        self.pace.write_bytes = Some(bytes.max(1));
        self
    }

    /// Reports this usage instead of the counted one.
    pub fn usage(mut self, prompt_tokens: i64, completion_tokens: i64) -> Self {
        self.usage = Some(Usage {
            prompt_tokens,
            completion_tokens,
            ..Usage::default()
        });
        self
    }

    /// Reports exactly this usage, with cached and reasoning tokens.
    pub fn usage_detailed(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Finishes with this reason.
    pub fn finish(mut self, reason: impl Into<String>) -> Self {
        self.finish = Some(reason.into());
        self
    }

    /// Adds a header to a failure; no effect on other replies.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.headers.insert(name.into(), value.into());
        }
        self
    }

    /// Replaces the message of a failure; no effect on other replies.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.message = Some(message.into());
        }
        self
    }

    /// Closes the connection in an orderly way after `at_byte` bytes of the body.
    pub fn cut_at_byte(self, at_byte: usize) -> Self {
        self.fault(at_byte, FaultKind::Cut { reset: false })
    }

    /// Resets the connection after `at_byte` bytes of the body.
    pub fn reset_at_byte(self, at_byte: usize) -> Self {
        self.fault(at_byte, FaultKind::Cut { reset: true })
    }

    /// Falls silent after `at_byte` bytes of the body, with the connection open.
    pub fn stall_at_byte(self, at_byte: usize) -> Self {
        self.fault(at_byte, FaultKind::Stall { ping_ms: None })
    }

    /// Sends only keep-alive comments after `at_byte` bytes of the body, one per `every`.
    pub fn pings_at_byte(self, at_byte: usize, every: Duration) -> Self {
        let ping_ms = Some(millis(every).max(1));
        self.fault(at_byte, FaultKind::Stall { ping_ms })
    }

    /// Puts bytes into the body after `at_byte` of its own.
    pub fn garbage_at_byte(self, at_byte: usize, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.fault(at_byte, FaultKind::Garbage { bytes })
    }

    /// Sends an error event after `after_chunks` chunks and ends the stream there, without `[DONE]`.
    pub fn error_event_at(mut self, after_chunks: usize, code: impl Into<String>) -> Self {
        self.error_event = Some(ErrorEvent {
            after_chunks,
            code: code.into(),
        });
        self
    }

    /// Ends the stream without `data: [DONE]`.
    pub fn no_done(mut self) -> Self {
        self.no_done = true;
        self
    }

    /// Pads the chunks with `obfuscation`.
    pub fn obfuscated(mut self) -> Self {
        self.obfuscated = true;
        self
    }

    fn fault(mut self, at_byte: usize, kind: FaultKind) -> Self {
        self.faults.push(Fault { at_byte, kind });
        self
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
