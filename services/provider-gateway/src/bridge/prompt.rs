//! What a request's last message says: a person's words, and which tool call it answers. Only that is looked at, since everything
//! before it was there in the request before.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dialect::Dialect;

/// Longest prompt kept.
const MAX_PROMPT_BYTES: usize = 64 * 1024;

/// Longest id of a call kept.
const MAX_ID_BYTES: usize = 256;

/// What the last message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// A person's words, cut at 64 KiB; `None` where the last message is none of theirs or has no words.
    pub prompt: Option<String>,
    /// The last tool call it brings a result of; empty without.
    pub answered_call: String,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    call_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_use_id: Option<Cow<'a, str>>,
}

impl Last {
    /// Looks at the end of a conversation, as JSON. What is not understood says nothing.
    pub fn of(dialect: Dialect, conversation: &RawValue) -> Self {
        Self::find(dialect, conversation.get()).unwrap_or_default()
    }

    fn find(dialect: Dialect, conversation: &str) -> Option<Self> {
        if conversation.starts_with('"') {
            let prompt = serde_json::from_str::<Cow<'_, str>>(conversation).ok()?;
            return Some(Self {
                prompt: said(&prompt),
                ..Self::default()
            });
        }
        let items: Vec<&RawValue> = serde_json::from_str(conversation).ok()?;
        let item: Item<'_> = serde_json::from_str(items.last()?.get()).ok()?;
        let mut last = Self::default();
        let answered = match (dialect, item.role.as_deref(), item.kind.as_deref()) {
            (Dialect::ChatCompletions, Some("tool"), _) => item.tool_call_id,
            (Dialect::Responses, _, Some(kind)) if kind.ends_with("_call_output") => item.call_id,
            _ => None,
        };
        last.answer(answered.as_deref());
        if item.role.as_deref() == Some("user")
            && let Some(content) = item.content
        {
            last.read(content.get());
        }
        Some(last)
    }

    fn read(&mut self, content: &str) {
        if content.starts_with('"') {
            self.prompt = serde_json::from_str::<Cow<'_, str>>(content)
                .ok()
                .and_then(|text| said(&text));
            return;
        }
        let parts: Vec<Part<'_>> = serde_json::from_str(content).unwrap_or_default();
        let mut words = String::new();
        for part in parts {
            match part.kind.as_deref() {
                Some("tool_result") => self.answer(part.tool_use_id.as_deref()),
                Some("text" | "input_text") => {
                    let text = part.text.unwrap_or_default();
                    if !words.is_empty() && !text.is_empty() && words.len() < MAX_PROMPT_BYTES {
                        words.push('\n');
                    }
                    let room = MAX_PROMPT_BYTES.saturating_sub(words.len());
                    words.push_str(&text[..text.floor_char_boundary(room)]);
                }
                _ => {}
            }
        }
        self.prompt = said(&words);
    }

    fn answer(&mut self, call: Option<&str>) {
        if let Some(call) = call.filter(|call| call.len() <= MAX_ID_BYTES) {
            call.clone_into(&mut self.answered_call);
        }
    }
}

fn said(text: &str) -> Option<String> {
    let cut = &text[..text.floor_char_boundary(MAX_PROMPT_BYTES)];
    (!cut.trim().is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn last(dialect: Dialect, conversation: &Value) -> (Option<String>, String) {
        let raw = RawValue::from_string(conversation.to_string()).unwrap();
        let Last { prompt, answered_call } = Last::of(dialect, &raw);
        (prompt, answered_call)
    }

    #[test]
    fn a_persons_last_words_are_found_in_every_dialect() {
        let (chat, responses, messages) = (Dialect::ChatCompletions, Dialect::Responses, Dialect::Messages);
        for (dialect, conversation, prompt, call) in [
            (chat, json!([{"role": "user", "content": "hi"}]), Some("hi"), ""),
            (
                chat,
                json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]}]),
                Some("a\nb"),
                "",
            ),
            (
                chat,
                json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}]),
                None,
                "",
            ),
            (
                chat,
                json!([{"role": "tool", "tool_call_id": "c1", "content": "x"}]),
                None,
                "c1",
            ),
            (chat, json!([{"role": "user", "content": "  "}]), None, ""),
            (responses, json!("hi"), Some("hi"), ""),
            (
                responses,
                json!([{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]),
                Some("a"),
                "",
            ),
            (
                responses,
                json!([{"type": "function_call_output", "call_id": "c1", "output": "x"}]),
                None,
                "c1",
            ),
            (
                responses,
                json!([{"type": "custom_tool_call_output", "call_id": "c2", "output": "x"}]),
                None,
                "c2",
            ),
            (
                messages,
                json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"},
                    {"type": "tool_result", "tool_use_id": "b"}]}]),
                None,
                "b",
            ),
            (
                messages,
                json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}, {"type": "text", "text": "go on"}]}]),
                Some("go on"),
                "a",
            ),
            (messages, json!([]), None, ""),
            (messages, json!({}), None, ""),
            (messages, json!([7]), None, ""),
        ] {
            let expected = (prompt.map(str::to_owned), call.to_owned());
            assert_eq!(last(dialect, &conversation), expected, "{conversation}");
        }
    }

    #[test]
    fn long_prompts_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_PROMPT_BYTES);
        for content in [json!(long), json!([{"type": "text", "text": long}])] {
            let (prompt, _) = last(Dialect::Messages, &json!([{"role": "user", "content": content}]));
            assert_eq!(prompt.unwrap().len(), MAX_PROMPT_BYTES);
        }
    }
}
