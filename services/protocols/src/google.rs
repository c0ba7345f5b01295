//! Google Gemini in its own protocol, as the vendor and the gateways in front of it speak it.
//!
//! [`options`] and [`convert`] make the request, [`client`] sends it to an [`address`], [`stream`] understands the answer; [`wire`] has
//! the vendor's shapes, [`family`] what is known of its models, [`error`] what its errors say. Pictures go in and come out as
//! they are, within requests and answers; live sessions and files kept at the vendor are other protocols.

pub(super) mod address;
mod client;
mod convert;
mod error;
mod family;
mod options;
mod stream;
mod wire;

pub(super) use client::open;

use crate::Model;

/// Whether a model is of the third generation or later.
pub(super) fn is_third(model: &str) -> bool {
    family::Family::of(model).is_third()
}

/// Whether a model answers behind a prefix that the vendor keeps, beside which no tools of ours are told.
pub(super) fn has_kept_prefix(model: &Model) -> bool {
    options::Settings::read(model, None).is_ok_and(|settings| settings.cached_content.is_some())
}

/// The key under which parts carry what only this vendor understands.
const METADATA: &str = "google";

/// What the vendor's search is called in histories.
const WEB_SEARCH: &str = "web_search";
