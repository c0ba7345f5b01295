//! Takes keys out of texts that came from elsewhere, before anybody sees or logs them.
//!
//! Vendors echo credentials in error messages, in part or whole, and URLs carry them. This is the last filter, not the only one:
//! nothing here writes a key into a text in the first place.

use tandem_protocols::ApiKey;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Own keys from this length on are found anywhere; shorter ones ("none", "ollama") only as whole words.
const MIN_BYTES_ANYWHERE: usize = 8;

/// Words that look like a key from this length on.
const MIN_BYTES_LOOKALIKE: usize = 8;

/// How vendors begin their keys.
const KEY_PREFIXES: [&str; 14] = [
    "sk-", "sk_", "pk-", "rk-", "gsk_", "xai-", "hf_", "AIza", "AKIA", "ghp_", "gho_", "tdm_", "nvapi-", "eyJ",
];

/// Names of query parameters, headers and JSON keys that hold credentials.
const KEY_NAMES: [&str; 9] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "access_token",
    "token",
    "password",
    "secret",
];

/// Words before a credential.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// `text` without `keys` and without anything that looks like one: words with a known prefix, what follows `Bearer`, values of
/// parameters such as `api_key=`, and user names in URLs. Linear in the text for each key.
pub fn redact(text: &str, keys: &[ApiKey]) -> String {
    let mut text = text.to_owned();
    for key in keys {
        text = without(&text, key.expose());
    }
    without_lookalikes(&without_userinfo(&text), keys)
}

fn without(text: &str, key: &str) -> String {
    if key.len() < MIN_BYTES_ANYWHERE {
        return text.to_owned();
    }
    let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let text = text.replace(key, REDACTED);
    if encoded == key {
        text
    } else {
        text.replace(&encoded, REDACTED)
    }
}

/// `https://user:secret@host` becomes `https://[redacted]@host`.
fn without_userinfo(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let authority_end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .unwrap_or(after.len());
        match after[..authority_end].rfind('@') {
            Some(at) => {
                clean.push_str(REDACTED);
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    clean.push_str(rest);
    clean
}

/// Goes through the words; what stands between them is kept.
fn without_lookalikes(text: &str, keys: &[ApiKey]) -> String {
    let mut clean = String::with_capacity(text.len());
    // The word before, lower-case, and what stands between it and the current one.
    let mut previous = String::new();
    let mut gap_start = 0;
    let mut rest_start = 0;
    while let Some(offset) = text[rest_start..].find(is_key_char) {
        let start = rest_start + offset;
        let end = text[start..]
            .find(|c| !is_key_char(c))
            .map_or(text.len(), |length| start + length);
        let (word, gap) = (&text[start..end], &text[gap_start..start]);
        clean.push_str(gap);
        let is_secret = has_key_prefix(word)
            || is_after_scheme(&previous, gap, word)
            || is_named_value(&previous, gap)
            || keys.iter().any(|key| key.expose() == word);
        clean.push_str(if is_secret { REDACTED } else { word });
        previous = word.to_ascii_lowercase();
        gap_start = end;
        rest_start = end;
    }
    clean.push_str(&text[gap_start..]);
    clean
}

/// Characters of keys, and those with which vendors mask them.
fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+' | '~' | '…')
}

fn has_key_prefix(word: &str) -> bool {
    word.len() >= MIN_BYTES_LOOKALIKE && KEY_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// "Bearer abc123def" but not "bearer authentication".
fn is_after_scheme(previous: &str, gap: &str, word: &str) -> bool {
    SCHEMES.contains(&previous)
        && gap.trim().is_empty()
        && word.len() >= MIN_BYTES_LOOKALIKE
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// `api_key=…`, also behind more of a parameter's name.
fn is_named_value(previous: &str, gap: &str) -> bool {
    gap == "=" && KEY_NAMES.contains(&previous)
}

#[cfg(test)]
mod tests {
    use tandem_chat_core::id::KeyId;
    use uuid::Uuid;

    use super::*;

    fn key(text: &str) -> ApiKey {
        ApiKey::new(KeyId::new(Uuid::nil()), text)
    }

    #[test]
    fn an_echoed_key_vanishes_wherever_it_stands() {
        let keys = [key("canary+key/0123456789")];
        for text in [
            "bad key canary+key/0123456789.",
            "{\"error\":\"canary+key/0123456789\"}",
            "https://h/v1?k=canary%2Bkey%2F0123456789&x=1",
            "xxcanary+key/0123456789yy",
        ] {
            let clean = redact(text, &keys);
            assert!(!clean.contains("canary") && clean.contains(REDACTED), "{clean}");
        }
    }

    #[test]
    fn whatever_looks_like_a_key_vanishes() {
        for (text, expected) in [
            (
                "Incorrect API key provided: sk-proj-a***xyz. Find it at",
                "Incorrect API key provided: [redacted] Find it at",
            ),
            ("Authorization: Bearer abc123def456", "Authorization: Bearer [redacted]"),
            ("GET /v1?key=abcd&model=m", "GET /v1?key=[redacted]&model=m"),
            ("https://joe:hunter2@host/path", "https://[redacted]@host/path"),
            ("AIzaSyD-1234567890", "[redacted]"),
        ] {
            assert_eq!(redact(text, &[]), expected);
        }
    }

    #[test]
    fn ordinary_sentences_stay() {
        for text in [
            "Bearer authentication is required",
            "the key is missing; send a token",
            "model gpt-4o-mini does not exist (sk-)",
            "mail joe@example.com about https://host/a@b",
            "größe 5 — ünïcode … 終",
            "",
        ] {
            assert_eq!(redact(text, &[]), text);
        }
    }

    #[test]
    fn short_placeholder_keys_vanish_as_words_only() {
        assert_eq!(
            redact("ollama said: key ollama2", &[key("ollama")]),
            "[redacted] said: key ollama2"
        );
    }
}
