//! What proves earlier thinking, kept with exactly the piece the vendor gave it with and sent back with it.
//!
//! A signature that came with a call travels with the call. One that came with words travels in a reasoning part of its own right
//! behind them, since words have no place for it while they are streamed. Each names the model it came from; no other model gets it.

use serde_json::{Value, json};
use tandem_chat_core::part::{ProviderMetadata, ReasoningPart};

use crate::google::{
    METADATA,
    wire::{Data, OwnPart, Part},
};

/// The model it came from.
const MODEL: &str = "model";

/// What came with a call.
const SIGNATURE: &str = "signature";

/// How many bytes of the words before it were in the signed piece.
const SIGNED_BYTES: &str = "signed_bytes";

/// It came with the picture before it.
const SIGNS_FILE: &str = "signs_file";

/// A piece of the vendor's own tools.
const PIECE: &str = "piece";

/// Stands for a signature where a call comes from elsewhere; the vendor has reserved it for that.
pub(in crate::google) const FOREIGN: &str = "skip_thought_signature_validator";

/// What travels with a call.
pub(in crate::google) fn of_call(model: &str, signature: &str) -> ProviderMetadata {
    metadata(json!({ MODEL: model, SIGNATURE: signature }))
}

/// What travels with thinking that was signed itself.
pub(in crate::google) fn of_thinking(model: &str) -> ProviderMetadata {
    metadata(json!({ MODEL: model }))
}

/// The part that travels behind signed words.
///
/// * `bytes`: of the signed piece; what was said before it is not part of it.
pub(in crate::google) fn of_words(model: &str, signature: String, bytes: usize) -> ReasoningPart {
    ReasoningPart {
        signature,
        provider_metadata: metadata(json!({ MODEL: model, SIGNED_BYTES: bytes })),
        ..ReasoningPart::default()
    }
}

/// The part that travels behind a signed picture.
pub(in crate::google) fn of_file(model: &str, signature: String) -> ReasoningPart {
    ReasoningPart {
        signature,
        provider_metadata: metadata(json!({ MODEL: model, SIGNS_FILE: true })),
        ..ReasoningPart::default()
    }
}

/// What travels with a call or a result of a tool of the vendor's own.
pub(in crate::google) fn of_native(model: &str, piece: &Value) -> ProviderMetadata {
    metadata(json!({ MODEL: model, PIECE: piece }))
}

fn metadata(own: Value) -> ProviderMetadata {
    ProviderMetadata::from_iter([(METADATA.to_owned(), own)])
}

/// What `model` left with a part, if it was that model.
fn own<'a>(kept: &'a ProviderMetadata, model: &str) -> Option<&'a Value> {
    let own = kept.get(METADATA)?;
    (own.get(MODEL)?.as_str()? == model).then_some(own)
}

/// The signature that came with a call of `model`; empty if there is none.
pub(super) fn call<'a>(kept: &'a ProviderMetadata, model: &str) -> &'a str {
    let signature = own(kept, model).and_then(|own| own.get(SIGNATURE)?.as_str());
    signature.unwrap_or_default()
}

/// The vendor's own piece behind a part, if it came from `model` and is of that kind.
pub(super) fn native<'a>(kept: &'a ProviderMetadata, model: &str, kind: &str) -> Option<&'a Value> {
    own(kept, model)?.get(PIECE).filter(|piece| piece[kind].is_object())
}

/// Puts a reasoning part back: thinking where it stood, a signature onto the words before it. What `model` did not sign is left out.
pub(super) fn put_back(part: &ReasoningPart, model: &str, parts: &mut Vec<Part>) {
    let Some(own) = own(&part.provider_metadata, model).filter(|_| !part.signature.is_empty()) else {
        return;
    };
    if own.get(SIGNS_FILE).is_some() {
        sign_file(parts, &part.signature);
        return;
    }
    match own.get(SIGNED_BYTES).and_then(Value::as_u64) {
        Some(bytes) => sign(parts, usize::try_from(bytes).unwrap_or(usize::MAX), &part.signature),
        None if part.text.trim().is_empty() => sign(parts, 0, &part.signature),
        None => parts.push(Part::Own(OwnPart {
            thought: true,
            data: Data::Text(part.text.clone()),
            thought_signature: part.signature.clone(),
        })),
    }
}

/// Signs the picture at the end. Where it is not sent back, its signature proves nothing.
fn sign_file(parts: &mut [Part], signature: &str) {
    if let Some(Part::Own(last)) = parts.last_mut()
        && let Data::Inline(_) = last.data
    {
        signature.clone_into(&mut last.thought_signature);
    }
}

/// Signs the last `bytes` of the words at the end; words before those stay unsigned. Where there are no such words, the signature
/// stands alone.
fn sign(parts: &mut Vec<Part>, bytes: usize, signature: &str) {
    let mut signed = String::new();
    if bytes > 0
        && let Some(Part::Own(last)) = parts.last_mut()
        && last.thought_signature.is_empty()
        && !last.thought
        && let Data::Text(text) = &mut last.data
    {
        let start = text.floor_char_boundary(text.len().saturating_sub(bytes));
        signed = text.split_off(start);
        if text.is_empty() {
            parts.pop();
        }
    }
    parts.push(Part::Own(OwnPart {
        thought: false,
        data: Data::Text(signed),
        thought_signature: signature.to_owned(),
    }));
}
