//! How many values a message has, before it is parsed: each takes far more memory than its few bytes on the wire.

/// Values of one message: numbers, texts, lists, objects.
pub(crate) const MAX_VALUES: usize = 65_536;

/// What is said of a message that has more.
pub(crate) fn too_many() -> String {
    format!("the server's answer has more than {MAX_VALUES} values")
}

/// Whether there are more values than a message may have. Every value but the first stands behind a comma or an opening bracket.
pub(crate) fn are_too_many(json: &[u8]) -> bool {
    // Most messages have fewer bytes than that.
    if json.len() <= MAX_VALUES {
        return false;
    }
    let (mut count, mut is_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b',' | b'{' | b'[' if !is_text => count += 1,
            _ => {}
        }
    }
    count > MAX_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_what_stands_in_texts_is_none() {
        let list = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        // The list is a value too, and so is what could stand in it.
        assert!(!are_too_many(list(MAX_VALUES - 1).as_bytes()));
        assert!(are_too_many(list(MAX_VALUES + 1).as_bytes()));
        let text = format!(r#"{{"a":"{}"}}"#, r#"[,{\"\\"#.repeat(MAX_VALUES));
        assert!(!are_too_many(text.as_bytes()));
        assert!(are_too_many("[".repeat(MAX_VALUES + 1).as_bytes()));
        assert!(are_too_many(r#"{"a":{}},"#.repeat(MAX_VALUES).as_bytes()));
    }
}
