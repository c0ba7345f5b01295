//! A neutral request as a Responses request.
//!
//! Whatever history comes, a request comes out that the vendor accepts. [`prompt`] puts the conversation into items, [`media`] shows
//! files, [`thinking`] sends reasoning back, [`search`] the vendor's own searches, [`computer`] what it did at a display, [`tools`] has
//! what is on offer. What the history means is the orchestrator's.

pub(super) mod computer;
mod media;
mod prompt;
pub(super) mod search;
pub(super) mod thinking;
mod tools;

use serde_json::json;
use tandem_chat_core::message::Message;

use super::{
    Origin,
    chain::{self, Chained},
    family::Computer,
    options::Settings,
    wire::Request,
};
use crate::{Model, call, options::InvalidOption, output};

/// The request as the vendor wants it, with its whole conversation. Linear in the history.
///
/// # Errors
/// [`InvalidOption`]: the administrator's call options cannot be sent.
pub(super) fn request(request: &call::Request, model: &Model) -> Result<Request, InvalidOption> {
    written(request, &request.messages, None, model)
}

/// The request that goes on from a response the vendor keeps; `None` where it has to be sent whole.
///
/// # Errors
/// As [`request`].
pub(super) fn chained(request: &call::Request, model: &Model) -> Result<Option<Request>, InvalidOption> {
    let Some(Chained { id, messages }) = chain::of(request, model) else {
        return Ok(None);
    };
    let written = written(request, &messages, Some(id), model)?;
    // What is not to be kept is not gone on from either.
    Ok(Some(written).filter(|written| written.store))
}

fn written(
    request: &call::Request,
    messages: &[Message],
    previous_response_id: Option<String>,
    model: &Model,
) -> Result<Request, InvalidOption> {
    let settings = Settings::read(model, request.max_output_tokens)?;
    let tools = tools::offered(request, &settings);
    let searches = tools::searches(&tools);
    let target = prompt::Target {
        origin: Origin::of(model),
        reasons: settings.reasons,
        offers_search: searches,
        computer: settings.computer.filter(|_| request.computer().is_some()),
    };
    let mut input = prompt::write(messages, &target);
    media::limit_images(&mut input);
    let store = settings.stores;
    let mut options = settings.into_fields(!tools.is_empty(), searches);
    if let Some(format) = &request.output {
        let text = options.entry("text").or_insert_with(|| json!({}));
        text["format"] = output::responses(format);
        options.sort_keys();
    }
    if target.computer == Some(Computer::Preview) {
        options.insert("truncation".to_owned(), "auto".into());
        options.sort_keys();
    }
    Ok(Request {
        model: model.model.clone(),
        previous_response_id,
        input,
        tool_choice: tools::choice(request, &tools),
        stream: true,
        store,
        options,
        tools,
    })
}

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
