//! Parts as the database holds them: one JSON array per message, with a version, and without U+0000, which `jsonb` refuses.
//!
//! Owns the escaping and the content version. The JSON of each part is `part`'s; columns are storage's.
//!
//! U+E000 is the escape character: U+0000 becomes U+E000 U+E001, and a literal U+E000 becomes U+E000 U+E000. Both are private-use
//! characters that hardly occur, so almost every text is stored as it is.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::part::Part;

/// The version written today: an array of parts.
pub const CONTENT_VERSION: i16 = 1;

/// Stands for what cannot be read.
const UNREADABLE: &str = "[Something here cannot be read by this version of Tandem.]";

const ESCAPE: char = '\u{E000}';
const NUL_MARK: char = '\u{E001}';

/// The JSON to store for a message, of [`CONTENT_VERSION`].
///
/// # Errors
/// [`Error::Encode`] if a part has no JSON form, such as a time outside the years 0 to 9999.
pub fn encode(parts: &[Part]) -> Result<Value, Error> {
    serde_json::to_value(parts).map(escape_value).map_err(Error::Encode)
}

/// The parts of a stored message.
///
/// # Errors
/// [`Error::UnknownVersion`] for content of a later release, [`Error::Decode`] for JSON that is no list of parts.
pub fn decode(content: Value, version: i16) -> Result<Vec<Part>, Error> {
    if version != CONTENT_VERSION {
        return Err(Error::UnknownVersion(version));
    }
    serde_json::from_value(unescape_value(content)).map_err(Error::Decode)
}

/// The parts of a stored message as far as they can be read, a note in the place of the others, and why the first of these could not
/// be. One bad part does not take its conversation away.
pub fn salvage(content: Value, version: i16) -> (Vec<Part>, Option<Error>) {
    let note = || Part::text(UNREADABLE);
    if version != CONTENT_VERSION {
        return (vec![note()], Some(Error::UnknownVersion(version)));
    }
    let content = unescape_value(content);
    let error = match Vec::<Part>::deserialize(&content) {
        Ok(parts) => return (parts, None),
        Err(error) => Error::Decode(error),
    };
    let parts = match content {
        Value::Array(parts) => parts
            .into_iter()
            .map(|part| serde_json::from_value(part).unwrap_or_else(|_| note()))
            .collect(),
        _ => vec![note()],
    };
    (parts, Some(error))
}

/// A stored message that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Written by a release that this one does not know.
    #[error("content version {0} is unknown")]
    UnknownVersion(i16),
    /// A part without a JSON form.
    #[error("could not encode message parts")]
    Encode(#[source] serde_json::Error),
    /// JSON that is no list of parts.
    #[error("could not decode message parts")]
    Decode(#[source] serde_json::Error),
}

/// Makes any JSON value fit for `jsonb`; keys are escaped like texts.
pub fn escape_value(value: Value) -> Value {
    map_texts(value, &|text| escape(&text).into_owned())
}

/// Undoes [`escape_value`].
pub fn unescape_value(value: Value) -> Value {
    map_texts(value, &|text| unescape(&text).into_owned())
}

/// Makes a text fit for a `text` or `jsonb` column.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, NUL_MARK]),
            ESCAPE => escaped.extend([ESCAPE, ESCAPE]),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Undoes [`escape`]. A lone U+E000, which `escape` never writes, stands for itself.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let decoded = match (character, characters.peek()) {
            (ESCAPE, Some(&NUL_MARK)) => '\0',
            (ESCAPE, Some(&ESCAPE)) => ESCAPE,
            (other, _) => {
                plain.push(other);
                continue;
            }
        };
        characters.next();
        plain.push(decoded);
    }
    Cow::Owned(plain)
}

fn map_texts(value: Value, map: &impl Fn(String) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(map(text)),
        Value::Array(items) => items.into_iter().map(|item| map_texts(item, map)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, field)| (map(key), map_texts(field, map)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Texts in which the special characters meet often.
    fn texts() -> impl Strategy<Value = String> {
        let special = prop_oneof![Just('\0'), Just(ESCAPE), Just(NUL_MARK), any::<char>()];
        proptest::collection::vec(special, 0..12).prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn any_text_survives_and_loses_its_nul(text in texts()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains('\0'));
            prop_assert_eq!(unescape(&escaped), text.as_str());
        }

        #[test]
        fn any_text_can_be_unescaped(text in texts()) {
            prop_assert!(unescape(&text).len() <= text.len());
        }

        #[test]
        fn parts_survive_the_database(words in texts(), key in texts(), value in texts()) {
            let mut metadata = Map::new();
            metadata.insert(key, json!([{"deep": value}]));
            let mut part = crate::part::TextPart { text: words, ..Default::default() };
            part.provider_metadata = metadata;
            let parts = vec![Part::Text(part)];
            let stored = encode(&parts).unwrap();
            prop_assert!(!stored.to_string().contains("\\u0000"));
            prop_assert_eq!(decode(stored, CONTENT_VERSION).unwrap(), parts);
        }
    }

    #[test]
    fn ordinary_text_is_stored_as_it_is() {
        assert!(matches!(escape("häß\u{E001}lich"), Cow::Borrowed(_)));
        assert_eq!(escape("a\0b"), "a\u{E000}\u{E001}b");
    }

    #[test]
    fn what_cannot_be_read_leaves_a_note_among_the_rest() {
        let (hello, note) = (Part::text("Hello"), Part::text(UNREADABLE));
        let content = json!([{"type": "text", "text": "Hello"}, {"type": "hologram"}]);
        let (parts, error) = salvage(content.clone(), CONTENT_VERSION);
        assert_eq!(parts, [hello, note.clone()]);
        assert!(matches!(error, Some(Error::Decode(_))));
        assert_eq!(salvage(json!("text"), CONTENT_VERSION).0, std::slice::from_ref(&note));
        assert_eq!(salvage(content, CONTENT_VERSION + 1).0, [note]);
        assert!(salvage(json!([]), CONTENT_VERSION).1.is_none());
    }

    #[test]
    fn content_of_a_later_release_is_refused() {
        assert!(matches!(decode(json!([]), 2), Err(Error::UnknownVersion(2))));
        assert!(matches!(decode(json!("text"), 1), Err(Error::Decode(_))));
    }
}
