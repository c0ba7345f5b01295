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

use crate::call::Request;

/// Whether a model can be held to a JSON Schema.
pub(super) fn enforces_schemas(model: &str) -> bool {
    family::Family::of(model).enforces_schemas
}

/// Whether a model can think before it answers.
pub(super) fn thinks(model: &str) -> bool {
    family::Family::of(model).thinks != family::Thinks::Never
}

/// Whether a request may leave a model no choice but to call a tool.
pub(super) fn can_be_made_to_call(model: &str) -> bool {
    family::Family::of(model).can_be_made_to_call
}

/// Whether a model has a tool for using a computer.
pub(super) fn uses_computers(model: &str) -> bool {
    family::Family::of(model).computer.is_some()
}

/// What a request must say that it uses of what is in trial at the vendor.
pub(super) fn beta(request: &Request, model: &str) -> Option<&'static str> {
    let computer = family::Family::of(model)
        .computer
        .filter(|_| request.computer().is_some())?;
    Some(computer.beta())
}

/// The key under which parts carry what only this vendor understands.
const METADATA: &str = "anthropic";

/// The one tool that the vendor runs itself and that is used.
const WEB_SEARCH: &str = "web_search";
