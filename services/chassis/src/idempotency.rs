//! The mark of a request that its sender may send again: a key, and a fingerprint of what was asked under it. Both travel as metadata
//! from the gateway to storage, past services that pass them on untouched; the answer says whether it is a stored one.
//!
//! What the key protects, and for how long, is storage's business.

use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use crate::status::Fault;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;

/// Longest fingerprint, in bytes. Ours have 43.
const MAX_FINGERPRINT_BYTES: usize = 64;

const KEY: &str = "tandem-idempotency-key";
const FINGERPRINT: &str = "tandem-idempotency-fingerprint";
const REPLAYED: &str = "tandem-idempotency-replayed";

/// The text is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an idempotency key must be 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

/// One of possibly several attempts at the same request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    key: MetadataValue<Ascii>,
    fingerprint: MetadataValue<Ascii>,
}

impl Attempt {
    /// An attempt under `key` (1 to [`MAX_KEY_BYTES`] bytes of visible ASCII). Two attempts are at the same request if their
    /// fingerprints are equal: see [`crate::client::Outbound::fingerprint`].
    ///
    /// # Errors
    /// [`InvalidKey`], also for a fingerprint that is none.
    pub fn new(key: &str, fingerprint: &str) -> Result<Self, InvalidKey> {
        Ok(Self {
            key: visible(key, MAX_KEY_BYTES)?,
            fingerprint: visible(fingerprint, MAX_FINGERPRINT_BYTES)?,
        })
    }

    /// The attempt a request says it is; `None` for one that is sent only once.
    ///
    /// # Errors
    /// `InvalidArgument` when only half of it is there, or it is malformed.
    pub fn of<T>(request: &Request<T>) -> Result<Option<Self>, Status> {
        Self::read(request.metadata()).map_err(Status::from)
    }

    fn read(metadata: &MetadataMap) -> Result<Option<Self>, Fault> {
        let text = |name: &str| metadata.get(name).map(|value| value.to_str().unwrap_or_default());
        match (text(KEY), text(FINGERPRINT)) {
            (None, None) => Ok(None),
            (key, fingerprint) => Self::new(key.unwrap_or_default(), fingerprint.unwrap_or_default())
                .map(Some)
                .map_err(|error| Fault::invalid("IDEMPOTENCY_KEY_INVALID", error.to_string())),
        }
    }

    /// Marks an outgoing request as this attempt: the first one, or one that passes it on.
    pub fn attach<T>(&self, request: &mut Request<T>) {
        let metadata = request.metadata_mut();
        metadata.insert(KEY, self.key.clone());
        metadata.insert(FINGERPRINT, self.fingerprint.clone());
    }

    /// The key, chosen by whoever sends the request; unique within one user at most.
    pub fn key(&self) -> &str {
        text(&self.key)
    }

    /// What was asked, as text without meaning.
    pub fn fingerprint(&self) -> &str {
        text(&self.fingerprint)
    }
}

/// An answer, and whether it is the stored one of an earlier attempt.
pub fn answer<T>(message: T, is_replayed: bool) -> Response<T> {
    let mut response = Response::new(message);
    if is_replayed {
        let value = MetadataValue::from_static("true");
        response.metadata_mut().insert(REPLAYED, value);
    }
    response
}

/// Whether an answer is the stored one of an earlier attempt.
pub fn is_replayed<T>(response: &Response<T>) -> bool {
    response.metadata().contains_key(REPLAYED)
}

fn visible(text: &str, max_bytes: usize) -> Result<MetadataValue<Ascii>, InvalidKey> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > max_bytes || !is_visible {
        return Err(InvalidKey);
    }
    text.parse().map_err(|_| InvalidKey)
}

/// Made from text that was checked.
fn text(value: &MetadataValue<Ascii>) -> &str {
    value.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_text_of_a_bounded_length() {
        let longest = "k".repeat(MAX_KEY_BYTES);
        for key in ["a", "!~", "8e03978e-40d5-43e8-bc93-6894a57f9324", &longest] {
            assert_eq!(
                Attempt::new(key, "f").map(|attempt| attempt.key().to_owned()),
                Ok(key.to_owned())
            );
        }
        for key in ["", "a b", "a\tb", "ä", "\u{7f}", &format!("{longest}k")] {
            assert_eq!(Attempt::new(key, "f"), Err(InvalidKey), "{key:?}");
        }
        assert_eq!(Attempt::new("k", ""), Err(InvalidKey));
    }

    #[test]
    fn an_attempt_is_read_as_it_was_attached() {
        let attempt = Attempt::new("key", "fingerprint").unwrap();
        let mut request = Request::new(());
        assert_eq!(Attempt::of(&request).unwrap(), None);
        attempt.attach(&mut request);
        assert_eq!(Attempt::of(&request).unwrap(), Some(attempt));
    }

    #[test]
    fn half_an_attempt_is_refused() {
        let mut request = Request::new(());
        request.metadata_mut().insert(KEY, MetadataValue::from_static("key"));
        let refused = Attempt::of(&request).unwrap_err();
        assert_eq!(Fault::from(refused).reason, "IDEMPOTENCY_KEY_INVALID");
    }

    #[test]
    fn only_a_stored_answer_says_so() {
        assert!(is_replayed(&answer((), true)));
        assert!(!is_replayed(&answer((), false)));
    }
}
