//! OpenAI Chat Completions, as the vendor and everybody who imitates it speak it.
//!
//! [`convert`] makes the request, [`client`] sends it, [`sse`] cuts the answer into events, [`stream`] understands them; [`wire`] has
//! the vendor's shapes. Responses, embeddings and the like are other protocols.

mod client;
mod convert;
mod options;
pub mod sse;
pub mod stream;
pub mod wire;

pub(crate) use client::authorization;
pub use client::{Client, endpoint};
