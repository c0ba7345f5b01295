//! What only a vendor understands of thinking, wrapped so that a client can carry it there and back.
//!
//! A dialect has one field for it, which clients return unread; a part has a signature and whatever its protocol keeps with it. Both go
//! into that field. What a client brings that was not wrapped here stays as it is: some other vendor's, or the same one's by another
//! way. Nothing is proved by the wrapping; vendors prove their own.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tandem_chat_core::part::{ProviderMetadata, ReasoningPart};

/// How a wrapped text begins. No vendor's begins so: theirs are plain base64, which has no full stop.
const MARK: &str = "tdm1.";

#[derive(Serialize, Deserialize)]
struct Content {
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    signature: String,
    #[serde(rename = "m")]
    metadata: ProviderMetadata,
}

/// The one text for what travels with thinking; the bare signature where there is nothing else, empty where there is nothing.
pub(super) fn seal(part: &ReasoningPart) -> String {
    if part.provider_metadata.is_empty() {
        return part.signature.clone();
    }
    let content = Content {
        signature: part.signature.clone(),
        metadata: part.provider_metadata.clone(),
    };
    // Texts and JSON are JSON; said instead of assumed.
    serde_json::to_vec(&content).map_or_else(
        |_| part.signature.clone(),
        |json| format!("{MARK}{}", URL_SAFE_NO_PAD.encode(json)),
    )
}

/// Signature and metadata as they were before [`seal`]; `None` if `text` was not wrapped here.
pub(super) fn open(text: &str) -> Option<(String, ProviderMetadata)> {
    let json = URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?;
    let content: Content = serde_json::from_slice(&json).ok()?;
    Some((content.signature, content.metadata))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(signature: &str, metadata: serde_json::Value) -> ReasoningPart {
        ReasoningPart {
            signature: signature.to_owned(),
            provider_metadata: metadata.as_object().unwrap().clone(),
            ..ReasoningPart::default()
        }
    }

    #[test]
    fn what_was_wrapped_comes_out_as_it_was() {
        for part in [
            part("s", json!({"anthropic": {"model": "m"}})),
            part("", json!({"anthropic": {"redacted_data": "ü\u{0}"}})),
        ] {
            let expected = (part.signature.clone(), part.provider_metadata.clone());
            assert_eq!(open(&seal(&part)), Some(expected));
        }
    }

    #[test]
    fn a_bare_signature_stays_bare_and_others_are_not_opened() {
        assert_eq!(seal(&part("abc==", json!({}))), "abc==");
        for text in ["", "abc==", "tdm1.", "tdm1.%%", "tdm1.e30"] {
            assert_eq!(open(text), None, "{text}");
        }
    }
}
