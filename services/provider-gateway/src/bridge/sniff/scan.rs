//! One pass over the JSON of an event: how much it says, and whether it has to be understood.
//!
//! It tells members from the words inside texts, and knows nothing else of JSON. What is no JSON comes out as saying nothing.

use crate::bridge::dialect::Dialect;

/// What one pass finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Bytes of texts and arguments, escapes counted as they stand.
    pub said_bytes: u64,
    /// There is more in it than words.
    pub matters: bool,
}

/// What a member's name says of its value.
enum Member {
    /// A text that counts.
    Said,
    /// A text that counts, and is kept where texts are.
    Kept,
    /// An object or list that matters.
    Matters,
    /// An object or list that matters where texts are kept.
    MattersIfKept,
    /// Nothing.
    Other,
}

fn member(dialect: Dialect, name: &[u8]) -> Member {
    match (dialect, name) {
        (_, b"usage" | b"error") => Member::Matters,
        (Dialect::Responses, b"delta") => Member::Said,
        (Dialect::ChatCompletions, b"content" | b"refusal" | b"arguments" | b"input") => Member::Said,
        (Dialect::ChatCompletions, b"reasoning_content" | b"reasoning") => Member::Kept,
        (Dialect::ChatCompletions, b"tool_calls" | b"function_call") => Member::MattersIfKept,
        (Dialect::Messages, b"text") => Member::Said,
        (Dialect::Messages, b"thinking" | b"partial_json") => Member::Kept,
        (Dialect::Messages, b"content_block") => Member::MattersIfKept,
        _ => Member::Other,
    }
}

/// Goes over an event.
pub fn scan(dialect: Dialect, json: &[u8], keeps_texts: bool) -> Marks {
    let mut marks = Marks::default();
    let mut rest = json;
    while let Some((name, behind)) = next_text(rest) {
        rest = behind;
        let Some(value) = behind.trim_ascii_start().strip_prefix(b":") else {
            continue;
        };
        let value = value.trim_ascii_start();
        rest = value;
        let is_deep = matches!(value.first(), Some(b'{' | b'['));
        let is_text = value.first() == Some(&b'"');
        match member(dialect, name) {
            Member::Matters => marks.matters |= is_deep || is_text,
            Member::MattersIfKept => marks.matters |= is_deep && keeps_texts,
            kind @ (Member::Said | Member::Kept) if is_text => {
                let Some((said, behind)) = next_text(value) else {
                    return marks;
                };
                rest = behind;
                marks.said_bytes += u64::try_from(said.len()).unwrap_or(u64::MAX);
                marks.matters |= keeps_texts && !said.is_empty() && matches!(kind, Member::Kept);
            }
            Member::Said | Member::Kept => {}
            // A value that is a text could look like a name otherwise.
            Member::Other if is_text => match next_text(value) {
                Some((said, behind)) => {
                    // The one event that is known by its name alone.
                    marks.matters |= name == b"type" && said == b"error";
                    rest = behind;
                }
                None => return marks,
            },
            Member::Other => {}
        }
    }
    marks
}

/// The next text, without its quotes, and what is behind it.
fn next_text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = json.iter().position(|byte| *byte == b'"')?;
    let text = &json[open + 1..];
    let mut at = 0;
    loop {
        at += text.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if text[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(said_bytes: u64, matters: bool) -> Marks {
        Marks { said_bytes, matters }
    }

    #[test]
    fn words_are_counted_and_what_matters_is_seen() {
        let chat = Dialect::ChatCompletions;
        for (json, expected) in [
            (
                r#"{"id":"x","choices":[{"delta":{"content":"hello"}}],"usage":null}"#,
                marks(5, false),
            ),
            (
                r#"{"choices":[{"delta":{"content":"a\"usage\":{"}}]}"#,
                marks(12, false),
            ),
            (r#"{"usage" : {"prompt_tokens":1}}"#, marks(0, true)),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#,
                marks(2, true),
            ),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"custom":{"name":"run","input":"ls"}}]}}]}"#,
                marks(2, true),
            ),
            (r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, marks(2, true)),
            (
                r#"{"choices":[{"delta":{"content":"","reasoning_content":null,"tool_calls":null}}]}"#,
                marks(0, false),
            ),
            (r#"{"error":{"message":"x"}}"#, marks(0, true)),
            (r#"{"object":"usage","x":"error"}"#, marks(0, false)),
        ] {
            assert_eq!(scan(chat, json.as_bytes(), true), expected, "{json}");
        }
        let messages = Dialect::Messages;
        let delta = br#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}"#;
        assert_eq!(scan(messages, delta, true), marks(2, false));
        let delta = br#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"a"}}"#;
        assert_eq!(scan(messages, delta, true), marks(4, true));
        assert_eq!(scan(messages, delta, false), marks(4, false), "counted all the same");
        let delta = br#"{"type":"response.output_text.delta","delta":"hi","usage":null}"#;
        assert_eq!(scan(Dialect::Responses, delta, true), marks(2, false));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_gone_over(json in proptest::collection::vec(any::<u8>(), 0..200)) {
            for dialect in Dialect::ALL {
                let marks = scan(dialect, &json, true);
                prop_assert!(marks.said_bytes <= json.len() as u64);
            }
        }

        #[test]
        fn no_text_makes_an_event_matter(text in "\\PC*") {
            let event = serde_json::json!({"choices": [{"delta": {"content": text, "x": text}}], "usage": null});
            let event = event.to_string();
            let found = scan(Dialect::ChatCompletions, event.as_bytes(), true);
            prop_assert!(!found.matters);
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(found.said_bytes, written.len() as u64 - 2);
        }
    }
}
