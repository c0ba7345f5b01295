//! Anthropic's models at AWS: the Messages protocol through `InvokeModelWithResponseStream`.
//!
//! [`client`] sends what the Messages protocol writes to an [`address`], with a bearer token or with a signature ([`sign`]) made from the
//! [`credentials`] of this machine or of its [`role`]; [`frame`] cuts the answer into events, which the Messages protocol understands. Models of other
//! makers, and AWS's own form of conversations, are other protocols.

pub(super) mod address;
mod client;
mod credentials;
pub(super) mod frame;
mod role;
mod sign;

pub(super) use client::open;
pub use credentials::Environment;
