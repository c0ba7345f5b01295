//! The one sentence of a vendor's answer that is worth showing.
//!
//! Owns finding it. Bodies that are no JSON (a proxy's HTML page, a header dump) are not shown.

use serde_json::Value;

use super::signal;
use crate::error::Detail;

/// `error.message`, `message` or a bare `error` of the JSON in a text; else the text itself if it is plain words.
pub(super) fn of(text: &str) -> Detail {
    let text = signal::head(text).trim();
    match json_in(text) {
        Some(body) => Detail::new(&sentence_of(&body).unwrap_or_default()),
        None if text.starts_with('<') => Detail::default(),
        None => Detail::new(text.lines().next().unwrap_or_default()),
    }
}

/// The JSON object in a text: all of it, or what follows a header dump or a request line.
fn json_in(text: &str) -> Option<Value> {
    let start = text.find('{')?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    values.next()?.ok()
}

fn sentence_of(body: &Value) -> Option<String> {
    let candidates = [
        body.pointer("/error/message"),
        body.get("message"),
        body.get("error"),
        body.get("detail"),
    ];
    let text = candidates.into_iter().flatten().find_map(Value::as_str)?;
    // Gateways wrap the vendor's body as text into their own message.
    let inner = if text.contains('{') {
        json_in(text).and_then(|inner| sentence_of(&inner))
    } else {
        None
    };
    Some(inner.unwrap_or_else(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        of(text).as_str().to_owned()
    }

    #[test]
    fn the_message_is_found_in_every_usual_body() {
        assert_eq!(
            shown(r#"{"error":{"message":"no such model","type":"x"}}"#),
            "no such model"
        );
        assert_eq!(shown(r#"{"message":"slow down"}"#), "slow down");
        assert_eq!(shown(r#"{"error":"model \"x\" not found"}"#), r#"model "x" not found"#);
        assert_eq!(
            shown("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n{\"message\":\"m\"}"),
            "m"
        );
        let wrapped = r#"{"message":"POST \"https://h/v1\": 400 Bad Request {\"error\":{\"message\":\"inner\"}}"}"#;
        assert_eq!(shown(wrapped), "inner");
    }

    #[test]
    fn what_is_no_sentence_is_not_shown() {
        assert_eq!(shown("<html><body>502</body></html>"), "");
        assert_eq!(shown(r#"{"code":7}"#), "");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn plain_words_are_shown_up_to_the_first_line_break() {
        assert_eq!(shown(" connection refused\nsecond"), "connection refused");
        assert_eq!(shown("unfinished {json"), "unfinished {json");
        assert_eq!(of(&"x".repeat(70_000)).as_str().chars().count(), 500);
    }

    #[test]
    fn deep_nesting_is_no_trap() {
        let deep = format!("{{\"message\":{}", "[".repeat(60_000));
        assert_eq!(shown(&deep).chars().count(), 500);
    }
}
