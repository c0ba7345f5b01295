//! OpenAI Chat Completions, as the vendor and everybody who imitates it speak it.
//!
//! [`convert`] makes the request, [`cache`] marks what is kept of it, [`client`] sends it, [`stream`] understands the answer; [`wire`] has
//! the vendor's shapes. Responses, embeddings and the like are other protocols.

mod cache;
mod client;
mod convert;
mod options;
mod stream;
mod wire;

pub(super) use client::open;
#[cfg(any(test, feature = "test-support"))]
pub(super) use client::{body, parser};
