//! Earlier reasoning: which of it the vendor takes back.
//!
//! The vendor encrypts what a model thought, and only the account and the model it came from can read it, so each part carries both.
//! What cannot be sent back is left out; it is not told in words, since the model would take it for something it said.

use serde_json::{Value, json};
use tandem_chat_core::part::{ProviderMetadata, ReasoningPart};

use crate::responses::{
    METADATA, Origin,
    wire::{Item, Summary},
};

const PROVIDER: &str = "provider";
const MODEL: &str = "model";

/// The vendor's name for the item.
const ITEM_ID: &str = "item_id";

/// What travels with a part of `origin`.
pub(super) fn marked(origin: &Origin) -> Value {
    json!({ PROVIDER: origin.provider, MODEL: origin.model })
}

/// Whether a part's own metadata says that `origin`, or at least its provider, made it.
pub(super) fn is_from(own: &Value, origin: &Origin, of_any_model: bool) -> bool {
    let is = |name: &str, wanted: &str| own.get(name).and_then(Value::as_str) == Some(wanted);
    is(PROVIDER, &origin.provider) && (of_any_model || is(MODEL, &origin.model))
}

/// What travels with reasoning of `origin`.
pub(in crate::responses) fn metadata(origin: &Origin, item_id: &str) -> ProviderMetadata {
    let mut own = marked(origin);
    own[ITEM_ID] = Value::from(item_id);
    ProviderMetadata::from_iter([(METADATA.to_owned(), own)])
}

/// The vendor's name for the item a part was, if it can be sent back to `origin`.
pub(super) fn sendable_id<'a>(part: &'a ReasoningPart, origin: &Origin) -> Option<&'a str> {
    let own = part.provider_metadata.get(METADATA)?;
    let id = own.get(ITEM_ID)?.as_str()?;
    (is_from(own, origin, false) && is_id(id, "rs_") && !part.signature.is_empty()).then_some(id)
}

/// Whether `id` is one of the vendor's for that kind of item.
pub(in crate::responses) fn is_id(id: &str, prefix: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    id.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_plain))
}

/// The item a part was.
pub(super) fn item(part: &ReasoningPart, id: &str) -> Item {
    let text = Some(part.text.clone()).filter(|text| !text.trim().is_empty());
    Item::Reasoning {
        id: id.to_owned(),
        summary: text.map(|text| Summary::SummaryText { text }).into_iter().collect(),
        encrypted_content: part.signature.clone(),
    }
}
