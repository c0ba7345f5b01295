//! Anthropic Messages, as the vendor and the gateways in front of it speak it.
//!
//! [`options`] and [`convert`] make the request, [`client`] sends it to an [`address`], [`stream`] understands the answer; [`wire`] has
//! the vendor's shapes, [`family`] what is known of its models, [`pause`] goes on where the vendor interrupts itself. Text completions, batches and files kept at the vendor are other
//! protocols.

pub(super) mod address;
mod client;
mod convert;
mod family;
mod options;
mod pause;
mod stream;
mod wire;

pub(super) use client::{body, open, parser};

/// Whether a model can be held to a JSON Schema.
pub(super) fn enforces_schemas(model: &str) -> bool {
    family::Family::of(model).enforces_schemas
}

/// The key under which parts carry what only this vendor understands.
const METADATA: &str = "anthropic";

/// The one tool of the vendor's own that is used.
const WEB_SEARCH: &str = "web_search";
