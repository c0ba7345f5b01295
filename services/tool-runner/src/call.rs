//! Tool calls as tasks: begun once, joined by whoever asks, recorded before and after their effect.

mod journal;
mod registry;
mod task;

pub(crate) use registry::Registry;
pub(crate) use task::{Context, Input, Shared};

use sha2::{Digest, Sha256};

/// SHA-256 of a call's arguments, which says whether two calls under one id are the same.
pub(crate) fn digest(arguments_json: &str) -> Vec<u8> {
    Sha256::digest(arguments_json.as_bytes()).to_vec()
}
