//! A neutral request as a Responses request.
//!
//! Whatever history comes, a request comes out that the vendor accepts. [`prompt`] puts the conversation into items, [`media`] shows
//! files, [`thinking`] sends reasoning back, [`search`] the vendor's own searches, [`tools`] has what is on offer. What the history
//! means is the orchestrator's.

mod media;
mod prompt;
pub(super) mod search;
pub(super) mod thinking;
mod tools;

use super::{Origin, options::Settings, wire::Request};
use crate::{catalog::Model, completion, provider::options::InvalidOption};

/// The request as the vendor wants it. Linear in the history.
///
/// # Errors
/// [`InvalidOption`]: the administrator's call options cannot be sent.
pub(super) fn request(request: &completion::Request, model: &Model) -> Result<Request, InvalidOption> {
    let settings = Settings::read(model, request.max_output_tokens)?;
    let tools = tools::offered(request, &settings);
    let searches = tools::searches(&tools);
    let target = prompt::Target {
        origin: Origin::of(model),
        reasons: settings.reasons,
        offers_search: searches,
    };
    let mut input = prompt::write(&request.messages, &target);
    media::limit_images(&mut input);
    Ok(Request {
        model: model.model.clone(),
        input,
        tool_choice: tools::choice(request, &tools),
        stream: true,
        store: settings.stores,
        options: settings.into_fields(!tools.is_empty(), searches),
        tools,
    })
}

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
