//! Secrets at rest: envelopes that only the room that owns a secret can open.
//!
//! Owns the cipher, the layout and the key-encryption keys. What is sealed, and where the ciphertext is kept, is the room's business.

pub mod envelope;
pub mod keyring;
