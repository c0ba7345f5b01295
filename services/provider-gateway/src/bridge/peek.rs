//! What has to be known of a request's body, and the few places in which it is changed before it is handed on.
//!
//! The body is gone through once, without making anything of what is not needed; what is changed is cut out and put in, and every
//! other byte stays as it came. What it means as a conversation is the translation's business.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    dialect::Dialect,
    refusal::{Reason, Refusal},
};

/// Longest name of a model.
const MAX_MODEL_BYTES: usize = 512;

/// The members that matter. Each may be there once: of two, the vendor might go by the other.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    /// Also where it is null, since that too has a place in which another value comes.
    #[serde(borrow, default, deserialize_with = "as_it_stands")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    #[serde(borrow, default)]
    background: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// A body, gone through.
pub struct Peek<'a> {
    body: &'a [u8],
    /// The model as asked for.
    pub model: Cow<'a, str>,
    model_at: Range<usize>,
    /// The answer is wanted as a stream.
    pub is_stream: bool,
    stream_options: Option<&'a RawValue>,
    /// A stream's usage is wanted by the client itself.
    pub wants_usage: bool,
    several: Option<&'a RawValue>,
    is_background: bool,
    /// The longest answer wanted.
    pub max_output_tokens: Option<u32>,
    /// The conversation: a list, or in Responses also a text.
    pub conversation: Option<&'a RawValue>,
    /// The client's own words about the request.
    pub metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

impl<'a> Peek<'a> {
    /// Goes through a body.
    ///
    /// # Errors
    /// It is no JSON object, names no model, or asks for what is not done here.
    pub fn of(dialect: Dialect, body: &'a [u8]) -> Result<Self, Refusal> {
        let members: Members<'a> = serde_json::from_slice(body).map_err(|error| {
            let text = format!("The request body is not the JSON object it should be: {error}.");
            Refusal::new(Reason::Invalid, text)
        })?;
        let raw = members
            .model
            .ok_or_else(|| invalid("The request names no model (`model`)."))?;
        let model: Cow<'a, str> = text(raw).ok_or_else(|| invalid("`model` must be a text."))?;
        if model.is_empty() || model.len() > MAX_MODEL_BYTES {
            return Err(invalid("`model` must have 1 to 512 bytes."));
        }
        let is_stream = flag(members.stream).ok_or_else(|| invalid("`stream` must be true or false."))?;
        let is_background = dialect == Dialect::Responses
            && flag(members.background).ok_or_else(|| invalid("`background` must be true or false."))?;
        if is_background {
            let text = "Background responses are not done here: leave out `background`.";
            return Err(Refusal::new(Reason::NotDone, text));
        }
        let options = members.stream_options.filter(|_| dialect == Dialect::ChatCompletions);
        let wants_usage = match options.filter(|options| options.get() != "null") {
            None => false,
            Some(options) => serde_json::from_str::<StreamOptions>(options.get())
                .map_err(|_| invalid("`stream_options` must be an object, and its `include_usage` true or false."))?
                .include_usage
                .unwrap_or(false),
        };
        let several = members
            .n
            .filter(|n| dialect == Dialect::ChatCompletions && n.get() != "1");
        let limit = match dialect {
            Dialect::ChatCompletions => members.max_completion_tokens.or(members.max_tokens),
            Dialect::Responses => members.max_output_tokens,
            Dialect::Messages => members.max_tokens,
        };
        let conversation = match dialect {
            Dialect::Responses => members.input,
            Dialect::ChatCompletions | Dialect::Messages => members.messages,
        };
        Ok(Self {
            body,
            model,
            model_at: place(body, raw),
            is_stream,
            stream_options: options,
            wants_usage,
            several,
            is_background,
            max_output_tokens: limit.and_then(|limit| limit.get().parse().ok()),
            conversation,
            metadata: members.metadata,
        })
    }

    /// Whether a stream would not tell its usage by itself, so that it is asked for and then taken out of the answer again.
    pub fn adds_usage(&self, dialect: Dialect) -> bool {
        dialect == Dialect::ChatCompletions && self.is_stream && !self.wants_usage
    }

    /// The body for the vendor: with its name for the model, one answer only, and a stream that tells its usage.
    pub fn for_vendor(&self, dialect: Dialect, model: &str, body: &Bytes) -> Bytes {
        debug_assert!(!self.is_background, "refused before");
        let mut edits = Edits::default();
        if self.model != model {
            edits.add(self.model_at.clone(), Value::from(model).to_string());
        }
        if let Some(several) = self.several {
            edits.add(place(self.body, several), "1".to_owned());
        }
        if self.adds_usage(dialect) {
            match self.stream_options {
                Some(options) => edits.add(place(self.body, options), with_usage(options)),
                None => {
                    let start = self.body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
                    edits.add(start..start, r#""stream_options":{"include_usage":true},"#.to_owned());
                }
            }
        }
        edits.apply(body)
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(Reason::Invalid, message)
}

fn as_it_stands<'de: 'a, 'a, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn flag(member: Option<&RawValue>) -> Option<bool> {
    match member.map(RawValue::get) {
        None | Some("false") => Some(false),
        Some("true") => Some(true),
        Some(_) => None,
    }
}

/// A JSON text; borrowed unless something in it is escaped.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let bare = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if bare.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(bare))
    }
}

/// Where a value stands in the body it was borrowed from.
fn place(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start + raw.get().len()
}

/// Options of a stream that ask for its usage as well.
fn with_usage(options: &RawValue) -> String {
    let mut options: Value = serde_json::from_str(options.get()).unwrap_or_default();
    options["include_usage"] = Value::Bool(true);
    options.to_string()
}

/// Pieces of a text and what comes in their places.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    fn add(&mut self, place: Range<usize>, new: String) {
        self.0.push((place, new));
    }

    fn apply(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        self.0.sort_unstable_by_key(|(place, _)| place.start);
        let added: usize = self.0.iter().map(|(_, new)| new.len()).sum();
        let mut edited = Vec::with_capacity(body.len() + added);
        let mut done = 0;
        for (place, new) in &self.0 {
            edited.extend_from_slice(&body[done..place.start]);
            edited.extend_from_slice(new.as_bytes());
            done = place.end;
        }
        edited.extend_from_slice(&body[done..]);
        Bytes::from(edited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(dialect: Dialect, body: &str, model: &str) -> String {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let peek = Peek::of(dialect, &bytes).unwrap();
        String::from_utf8(peek.for_vendor(dialect, model, &bytes).to_vec()).unwrap()
    }

    fn refused(dialect: Dialect, body: &str) -> Reason {
        Peek::of(dialect, body.as_bytes()).err().expect("refused").reason
    }

    #[test]
    fn a_body_that_needs_no_change_is_the_very_same() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[],"n":1}"#);
        let peek = Peek::of(Dialect::ChatCompletions, &body).unwrap();
        let sent = peek.for_vendor(Dialect::ChatCompletions, "m", &body);
        assert_eq!(sent.as_ptr(), body.as_ptr());
    }

    #[test]
    fn only_what_has_to_change_changes() {
        let chat = Dialect::ChatCompletions;
        assert_eq!(
            edited(chat, r#" { "x" : 1.0, "model":"p/m" , "y":"\u00e4" } "#, "m"),
            r#" { "x" : 1.0, "model":"m" , "y":"\u00e4" } "#
        );
        assert_eq!(
            edited(chat, r#"{"model":"m","stream":true}"#, "m"),
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
        );
        assert_eq!(
            edited(
                chat,
                r#"{"stream_options":{"include_usage":false,"z":1},"stream":true,"n":3,"model":"p:m"}"#,
                "m"
            ),
            r#"{"stream_options":{"include_usage":true,"z":1},"stream":true,"n":1,"model":"m"}"#
        );
        assert_eq!(
            edited(chat, r#"{"stream_options":null,"stream":true,"model":"m"}"#, "m"),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"m"}"#
        );
        let asked = r#"{"stream_options":{"include_usage":true},"stream":true,"model":"m"}"#;
        assert_eq!(edited(chat, asked, "m"), asked);
        for dialect in [Dialect::Responses, Dialect::Messages] {
            let asked = r#"{"model":"m","stream":true,"n":2}"#;
            assert_eq!(edited(dialect, asked, "m"), asked);
        }
    }

    #[test]
    fn what_a_name_is_made_of_stays_text() {
        assert_eq!(
            edited(Dialect::Messages, r#"{"model":"a"}"#, "x\",\"y\":\""),
            r#"{"model":"x\",\"y\":\""}"#
        );
        let peek = Peek::of(Dialect::Messages, br#"{"model":"caf\u00e9"}"#).unwrap();
        assert_eq!(peek.model, "café");
    }

    #[test]
    fn limits_and_conversations_are_found_where_each_dialect_has_them() {
        let body = br#"{"model":"m","max_tokens":1,"max_completion_tokens":2,"max_output_tokens":3,"messages":[],"input":"x"}"#;
        let found = |dialect| {
            let peek = Peek::of(dialect, body).unwrap();
            (peek.max_output_tokens, peek.conversation.unwrap().get().to_owned())
        };
        assert_eq!(found(Dialect::ChatCompletions), (Some(2), "[]".to_owned()));
        assert_eq!(found(Dialect::Responses), (Some(3), "\"x\"".to_owned()));
        assert_eq!(found(Dialect::Messages), (Some(1), "[]".to_owned()));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let chat = Dialect::ChatCompletions;
        for body in [
            "",
            "[]",
            "{",
            "{}",
            r#"{"model":7}"#,
            r#"{"model":""}"#,
            r#"{"model":null}"#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","stream":"yes"}"#,
            r#"{"model":"a","stream_options":7,"stream":true}"#,
        ] {
            assert_eq!(refused(chat, body), Reason::Invalid, "{body}");
        }
        assert_eq!(
            refused(Dialect::Responses, r#"{"model":"a","background":true}"#),
            Reason::NotDone
        );
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_MODEL_BYTES + 1));
        assert_eq!(refused(chat, &long), Reason::Invalid);
    }
}
