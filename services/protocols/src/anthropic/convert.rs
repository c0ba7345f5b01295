//! A neutral request as a Messages request.
//!
//! Whatever history comes, a request comes out that the vendor accepts, or a sentence that says what of the newest message it cannot
//! take. [`prompt`] puts the conversation into turns, [`media`] shows files, [`search`] replays the vendor's own tools, [`cache`] marks
//! what the vendor shall keep. What the history means is the orchestrator's.

mod cache;
mod media;
mod prompt;
mod schema;
pub(super) mod search;
pub(super) mod thinking;
mod tools;

use super::{
    options::Settings,
    wire::{self, OutputConfig, Request},
};
use crate::{Model, call, options::InvalidOption};

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// The administrator's call options cannot be sent.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// A file of the newest message is larger than the vendor takes.
    #[error(transparent)]
    File(#[from] media::Oversized),
}

/// The request as the vendor wants it. Linear in the history.
///
/// # Errors
/// [`Invalid`]: nothing can be sent.
pub(super) fn request(request: &call::Request, model: &Model) -> Result<Request, Invalid> {
    let settings = Settings::read(model, request.max_output_tokens)?;
    let web_search = tools::offered_search(request, &settings);
    let target = prompt::Target {
        model: &model.model,
        context_limit: model.context_limit,
        sends_reasoning: settings.sends_reasoning,
        offers_search: web_search.is_some(),
    };
    let mut prompt = prompt::write(&request.messages, &target)?;
    media::limit_images(&mut prompt.turns);
    let tools = tools::offered(request, &model.model, web_search, &prompt.turns);
    let tool_choice = tools::choice(request, &settings, &tools);
    let mut settings = thinking::fitting(settings, &prompt.turns);
    if tools::is_forced(tool_choice.as_ref()) {
        settings.thinking = None;
    }
    cache::mark(&mut prompt);
    let output_config = OutputConfig {
        effort: settings.effort,
        format: request.output.as_ref().and_then(output_format),
    };
    Ok(Request {
        model: model.model.clone(),
        max_tokens: settings.max_tokens,
        sampling: settings.sampling(),
        system: prompt.system,
        messages: prompt.turns,
        tools,
        tool_choice,
        thinking: settings.thinking,
        output_config: Some(output_config).filter(|config| *config != OutputConfig::default()),
        stream: true,
    })
}

/// The form of the answer, where the vendor has a word for it.
fn output_format(format: &call::OutputFormat) -> Option<wire::OutputFormat> {
    match format {
        call::OutputFormat::Json => None,
        call::OutputFormat::Schema(schema) => Some(wire::OutputFormat::JsonSchema {
            schema: schema::closed(schema.schema.clone()),
        }),
    }
}

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
