//! A neutral request as a request of the vendor's.
//!
//! Whatever history comes, a request comes out that the vendor accepts. [`prompt`] puts the conversation into turns, [`media`] shows
//! files, [`signature`] sends back what proves thinking, [`tools`] and [`schema`] say what may be called. What the history means is the
//! orchestrator's.

mod media;
mod prompt;
mod schema;
pub(super) mod signature;
pub(super) mod tools;

use serde_json::Value;

use super::{
    family::Family,
    options::Settings,
    wire::{CallingConfig, Empty, Instruction, Request, ToolConfig, Tools},
};
use crate::{
    Model,
    call::{self, OutputFormat, ToolChoice},
    options::InvalidOption,
};

/// The request as the vendor wants it, and the names it has for our tools. Linear in the history.
///
/// # Errors
/// [`InvalidOption`]: the administrator's call options cannot be sent.
pub(super) fn request(request: &call::Request, model: &Model) -> Result<(Request, tools::Names), InvalidOption> {
    let mut settings = Settings::read(model, request.max_output_tokens)?;
    if let Some(format) = &request.output {
        settings.generation.extend(form(format));
    }
    let family = Family::of(&model.model);
    let names = tools::Names::of(&request.tools);
    // A kept prefix has its own instructions and tools; the vendor refuses others beside it.
    let is_cached = settings.cached_content.is_some();
    let target = prompt::Target {
        model: &model.model,
        family,
        names: &names,
        takes_instructions: !is_cached,
    };
    let prompt = prompt::write(&request.messages, &target);
    let (tools, tool_config) = if is_cached {
        (Vec::new(), None)
    } else {
        offered(request, &settings, family, &names)
    };
    let written = Request {
        system_instruction: (!prompt.system.is_empty()).then_some(Instruction { parts: prompt.system }),
        contents: prompt.turns,
        tools,
        tool_config,
        safety_settings: settings.safety,
        generation_config: settings.generation,
        cached_content: settings.cached_content,
    };
    Ok((written, names))
}

/// The form of the answer.
fn form(format: &OutputFormat) -> impl Iterator<Item = (String, Value)> {
    let schema = match format {
        OutputFormat::Json => None,
        OutputFormat::Schema(wanted) => Some(("responseJsonSchema".to_owned(), schema::answer(&wanted.schema))),
    };
    let media_type = ("responseMimeType".to_owned(), Value::from("application/json"));
    [media_type].into_iter().chain(schema)
}

/// What may be called. Models before the third generation search only where no tool of ours is on offer, and where the answer has no
/// form.
fn offered(
    request: &call::Request,
    settings: &Settings,
    family: Family,
    names: &tools::Names,
) -> (Vec<Tools>, Option<ToolConfig>) {
    let functions = tools::functions(&request.tools, names);
    let has_functions = !functions.is_empty();
    let is_taken = request.tools.iter().any(|tool| tool.name == super::WEB_SEARCH);
    let searches =
        settings.wants_search && !is_taken && ((!has_functions && request.output.is_none()) || family.is_third());
    if !has_functions && !searches {
        return (Vec::new(), None);
    }
    let calling = |mode, allowed: Option<&String>| CallingConfig {
        mode,
        allowed_function_names: allowed.map(|name| names.sent(name)).into_iter().collect(),
    };
    let calling = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(calling("NONE", None)),
        ToolChoice::Required => Some(calling("ANY", None)),
        ToolChoice::Named(name) => Some(calling("ANY", Some(name))),
    };
    let config = ToolConfig {
        function_calling_config: calling.filter(|_| has_functions),
        include_server_side_tool_invocations: has_functions && searches,
    };
    let offered = Tools {
        function_declarations: functions,
        google_search: searches.then_some(Empty {}),
    };
    (
        vec![offered],
        Some(config).filter(|config| *config != ToolConfig::default()),
    )
}

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
