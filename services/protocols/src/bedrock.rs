//! Anthropic's models at AWS: the Messages protocol through `InvokeModelWithResponseStream`.
//!
//! [`client`] sends what the Messages protocol writes to an [`address`], with a bearer token or with a signature ([`sign`]) made from the
//! [`credentials`] of this machine, which variables, a [`profile`] or a [`role`] give; [`frame`] cuts the answer into events, which the
//! Messages protocol understands. Models of other makers, and AWS's own form of conversations, are other protocols.

pub(super) mod address;
mod client;
mod credentials;
pub(super) mod frame;
mod profile;
mod role;
mod sign;

pub(super) use client::open;
pub use credentials::Environment;

/// Models for which AWS documents that it takes the form of answers. It documents Claude Haiku 4.5 as well, whose form many accounts are
/// refused all the same; a tool takes its answers.
const ENFORCING: [&str; 3] = ["claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-6"];

/// Whether AWS holds a model to a JSON Schema.
pub(super) fn enforces_schemas(model: &str) -> bool {
    ENFORCING.iter().any(|known| model.contains(known))
}
