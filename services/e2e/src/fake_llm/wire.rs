//! The vendor's bytes that do not depend on a reply's content: errors, headers, ids, usage, chunk frames.
//!
//! Field order and spacing are the vendor's. What a reply says is put together in [`super::render`].

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};

use super::reply::{Failure, Usage};

/// The fingerprint every answer carries.
pub(super) const FINGERPRINT: &str = "fp_tandemfake";
/// Content type of streamed answers.
pub(super) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// Content type of everything else.
pub(super) const JSON: &str = "application/json";

/// An error response: `{"error":{"message","type","param","code"}}` with its status and headers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct VendorError {
    pub status: u16,
    pub message: String,
    pub kind: String,
    pub param: Option<String>,
    pub code: Option<String>,
    pub headers: Vec<(String, String)>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl VendorError {
    /// A refused request. `param` and `code` are what the vendor names for this mistake.
    pub fn invalid(message: impl Into<String>, param: Option<&str>, code: Option<&str>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            kind: "invalid_request_error".into(),
            param: param.map(str::to_owned),
            code: code.map(str::to_owned),
            headers: Vec::new(),
        }
    }

    /// The same mistake under another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The error the vendor sends for a failure's code, with the failure's own message and headers on top.
    pub fn scripted(failure: &Failure, model: &str) -> Self {
        let mut error = Self::of_code(&failure.code, failure.status, model);
        if let Some(message) = &failure.message {
            error.message.clone_from(message);
        }
        error.headers = failure
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        error
    }

    /// Type and message that go with a code.
    pub fn of_code(code: &str, status: u16, model: &str) -> Self {
        let (kind, message, param) = match code {
            "rate_limit_exceeded" => (
                "requests",
                format!(
                    "Rate limit reached for {model} in organization org-tandemfake on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more."
                ),
                None,
            ),
            "insufficient_quota" => (
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.".to_owned(),
                None,
            ),
            "invalid_api_key" => (
                "invalid_request_error",
                "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.".to_owned(),
                None,
            ),
            "model_not_found" => (
                "invalid_request_error",
                format!("The model `{model}` does not exist or you do not have access to it."),
                None,
            ),
            "context_length_exceeded" => (
                "invalid_request_error",
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 128001 tokens. Please reduce the length of the messages.".to_owned(),
                Some("messages".to_owned()),
            ),
            "overloaded" | "engine_overloaded" => (
                "server_error",
                "The engine is currently overloaded, please try again later".to_owned(),
                None,
            ),
            _ if status >= 500 => (
                "server_error",
                "The server had an error while processing your request. Sorry about that!".to_owned(),
                None,
            ),
            other => ("invalid_request_error", format!("Request failed: {other}."), None),
        };
        Self {
            status,
            message,
            kind: kind.to_owned(),
            param,
            code: (!code.is_empty()).then(|| code.to_owned()),
            headers: Vec::new(),
        }
    }

    fn fields(&self) -> ErrorBody<'_> {
        ErrorBody {
            error: ErrorFields {
                message: &self.message,
                kind: &self.kind,
                param: self.param.as_deref(),
                code: self.code.as_deref(),
            },
        }
    }

    /// The response body. The vendor's door, which checks keys, indents by four; the model servers by two.
    pub fn body(&self) -> Vec<u8> {
        let indent: &[u8] = if self.status == 401 { b"    " } else { b"  " };
        pretty(&self.fields(), indent)
    }

    /// The error as one event of a stream.
    pub fn event(&self) -> Vec<u8> {
        let mut event = b"data: ".to_vec();
        event.extend(serde_json::to_vec(&self.fields()).expect("strings always serialise"));
        event.extend(b"\n\n");
        event
    }
}

/// JSON indented as the vendor does, with a final newline.
pub(super) fn pretty(value: &impl Serialize, indent: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    value
        .serialize(&mut serializer)
        .expect("values built here always serialise");
    out.push(b'\n');
    out
}

/// The headers of every answer below `/v1`.
pub(super) fn headers(number: u64, content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("content-type", content_type);
    put("openai-organization", "tandem-fake");
    put("openai-processing-ms", "7");
    put("openai-version", "2020-10-01");
    put("x-ratelimit-limit-requests", "500");
    put("x-ratelimit-limit-tokens", "200000");
    put("x-ratelimit-remaining-requests", "499");
    put("x-ratelimit-remaining-tokens", "199984");
    put("x-ratelimit-reset-requests", "120ms");
    put("x-ratelimit-reset-tokens", "4ms");
    put("x-request-id", &request_id(number));
    headers
}

/// The id in `x-request-id`, made from the request's number.
pub(super) fn request_id(number: u64) -> String {
    format!("req_{:016x}{:016x}", scatter(number), scatter(!number))
}

/// The id of a completion, made from the request's number.
pub(super) fn completion_id(number: u64) -> String {
    format!("chatcmpl-{}", letters(number, 29))
}

/// The id of a tool call, made from the request's number and the call's place in it.
pub(super) fn call_id(number: u64, index: usize) -> String {
    let seed = scatter(number).wrapping_add(index as u64 + 1);
    format!("call_{}", letters(seed, 24))
}

/// `len` letters and digits that depend on `seed` alone.
pub(super) fn letters(seed: u64, len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            char::from(ALPHABET[(scatter(state) % 62) as usize])
        })
        .collect()
}

/// Spreads consecutive numbers over all values, one to one.
///
/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn scatter(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The usage object, compact, in the vendor's field order.
pub(super) fn usage_json(usage: &Usage) -> String {
    format!(
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens.saturating_add(usage.completion_tokens),
        usage.cached_tokens,
        usage.reasoning_tokens,
    )
}

/// The bytes around each delta of one stream, made once per stream.
pub(super) struct Frame {
    head: String,
    tail: &'static str,
}

impl Frame {
    pub fn new(id: &str, created: u64, model: &str, with_usage: bool) -> Self {
        let model = Value::from(model);
        let head = format!(
            r#"data: {{"id":"{id}","object":"chat.completion.chunk","created":{created},"model":{model},"service_tier":"default","system_fingerprint":"{FINGERPRINT}","choices":["#
        );
        let tail = if with_usage { r#","usage":null"# } else { "" };
        Self { head, tail }
    }

    /// One chunk with a delta. `finish` is the finish reason, if this is the last.
    pub fn chunk(&self, out: &mut Vec<u8>, delta: &str, finish: Option<&str>, padding: &str) {
        out.extend(self.head.as_bytes());
        out.extend(br#"{"index":0,"delta":"#);
        out.extend(delta.as_bytes());
        out.extend(br#","logprobs":null,"finish_reason":"#);
        match finish {
            Some(reason) => out.extend(json!(reason).to_string().as_bytes()),
            None => out.extend(b"null"),
        }
        out.extend(b"}]");
        out.extend(self.tail.as_bytes());
        close(out, padding);
    }

    /// The last chunk: no choices, the usage.
    pub fn usage(&self, out: &mut Vec<u8>, usage: &Usage, padding: &str) {
        out.extend(self.head.as_bytes());
        out.extend(br#"],"usage":"#);
        out.extend(usage_json(usage).as_bytes());
        close(out, padding);
    }
}

fn close(out: &mut Vec<u8>, padding: &str) {
    if !padding.is_empty() {
        out.extend(br#","obfuscation":""#);
        out.extend(padding.as_bytes());
        out.push(b'"');
    }
    out.extend(b"}\n\n");
}
