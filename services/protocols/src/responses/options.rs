//! What an administrator set for a model, as fields of a Responses request.
//!
//! Owns which settings a model takes: those that reason take none of sampling, the others none of reasoning. Options that this protocol
//! has no field for are checked and passed over; one of the wrong type or of an unknown word is an error that names it.

use serde_json::{Map, Value, json};

use super::{
    METADATA, WIRE_API,
    family::{Computer, Family},
    wire::{Filters, WebSearch},
};
use crate::{
    Model,
    options::{Field, InvalidOption, Shape, checked, copy, own},
};

/// Where the vendor's own options are, for errors. Azure has the same.
const PATH: &str = "provider_options.openai.";

/// The fewest tokens of an answer that the vendor takes as a limit.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// The most alternatives of a token that the vendor names.
const MAX_TOP_LOGPROBS: u64 = 20;

/// Pairs in the metadata of a response.
const MAX_METADATA: usize = 16;

/// Domains a search may be held to.
const MAX_DOMAINS: usize = 100;

const TEMPERATURE: &str = "temperature";
const TOP_P: &str = "top_p";

/// What the model thought, in a form that can be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";
const SOURCES: &str = "web_search_call.action.sources";

/// Everything that can be asked for besides the answer.
const INCLUDES: [&str; 8] = [
    ENCRYPTED,
    LOGPROBS,
    SOURCES,
    "web_search_call.results",
    "file_search_call.results",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

const SAMPLING: [Field; 2] = [(TEMPERATURE, TEMPERATURE, Shape::Number), (TOP_P, TOP_P, Shape::Number)];

const OWN: [Field; 7] = [
    ("instructions", "instructions", Shape::Text),
    ("max_tool_calls", "max_tool_calls", Shape::Integer),
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
    ("user", "user", Shape::Text),
    ("metadata", "metadata", Shape::Object),
    ("prompt_cache_key", "prompt_cache_key", Shape::Text),
    ("safety_identifier", "safety_identifier", Shape::Text),
];

/// Options of Chat Completions that this protocol has no field for.
const PASSED_OVER: [Field; 3] = [
    ("logit_bias", "", Shape::Object),
    ("prediction", "", Shape::Object),
    ("structured_outputs", "", Shape::Boolean),
];

/// An option that is one of a few words.
struct Choice {
    option: &'static str,
    words: &'static [&'static str],
    expected: &'static str,
}

const EFFORT: Choice = Choice {
    option: "reasoning_effort",
    words: &["none", "minimal", "low", "medium", "high", "xhigh"],
    expected: "none, minimal, low, medium, high or xhigh",
};

const SUMMARY: Choice = Choice {
    option: "reasoning_summary",
    words: &["auto", "concise", "detailed"],
    expected: "auto, concise or detailed",
};

const VERBOSITY: Choice = Choice {
    option: "text_verbosity",
    words: &["low", "medium", "high"],
    expected: "low, medium or high",
};

const TIER: Choice = Choice {
    option: "service_tier",
    words: &["auto", "default", "flex", "scale", "priority"],
    expected: "auto, default, flex, scale or priority",
};

const CONTEXT_SIZE: Choice = Choice {
    option: "search_context_size",
    words: &["low", "medium", "high"],
    expected: "low, medium or high",
};

/// For models whose names do not tell, as those of deployments.
const COMPUTER_TOOL: Choice = Choice {
    option: "computer_tool",
    words: &["computer", "computer_use_preview"],
    expected: "computer or computer_use_preview",
};

const TRANSPORT: Choice = Choice {
    option: WIRE_API,
    words: &["responses", "chat_completions"],
    expected: "responses or chat_completions",
};

/// The settings of one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Whether the model reasons: it is told instructions as a developer's, and what it thought is sent back.
    pub(super) reasons: bool,
    /// Whether the vendor keeps the response for some weeks. It does unless an administrator says otherwise.
    pub(super) stores: bool,
    /// Whether schemas of tools that allow it are enforced.
    pub(super) is_strict: bool,
    /// The vendor's search, if the administrator wants it.
    pub(super) web_search: Option<WebSearch>,
    /// The tool with which the model uses a computer.
    pub(super) computer: Option<Computer>,
    include: Vec<String>,
    fields: Map<String, Value>,
}

impl Settings {
    /// Reads the options of a model.
    ///
    /// * `asked_tokens`: the caller's own output limit; wins over the configured one.
    ///
    /// # Errors
    /// [`InvalidOption`] names the first option that cannot be sent.
    pub(super) fn read(model: &Model, asked_tokens: Option<u32>) -> Result<Self, InvalidOption> {
        let nothing = Map::new();
        let own = own(&model.options, METADATA).unwrap_or(&nothing);
        choice(own, &TRANSPORT)?;
        copy(own, PATH, &PASSED_OVER, &mut Map::new())?;
        let (effort, summary) = (choice(own, &EFFORT)?, choice(own, &SUMMARY)?);
        let is_set = effort.is_some() || summary.is_some();
        let reasons = Family::of(&model.model).reasons.unwrap_or(is_set);
        let mut fields = Map::new();
        copy(own, PATH, &OWN, &mut fields)?;
        check_metadata(&fields)?;
        sampling(model, reasons && effort != Some("none"), &mut fields)?;
        if reasons && is_set {
            let set = [("effort", effort), ("summary", summary)];
            fields.insert("reasoning".to_owned(), object(set));
        }
        if let Some(verbosity) = choice(own, &VERBOSITY)? {
            fields.insert("text".to_owned(), json!({ "verbosity": verbosity }));
        }
        if let Some(tier) = choice(own, &TIER)? {
            fields.insert("service_tier".to_owned(), tier.into());
        }
        if let Some(limit) = output_limit(model, own, asked_tokens)? {
            fields.insert("max_output_tokens".to_owned(), limit.into());
        }
        let mut include = include(own)?;
        let logprobs = logprobs(own)?.filter(|_| !reasons);
        if let Some(count) = logprobs {
            fields.insert("top_logprobs".to_owned(), count.into());
            include.push(LOGPROBS.to_owned());
        } else if reasons {
            include.retain(|name| name != LOGPROBS);
        }
        // A model that has nothing encrypted to give refuses to be asked for it.
        match reasons {
            true => include.push(ENCRYPTED.to_owned()),
            false => include.retain(|name| name != ENCRYPTED),
        }
        Ok(Self {
            reasons,
            stores: flag(own, "store")?.unwrap_or(true),
            is_strict: flag(own, "strict_json_schema")?.unwrap_or(false),
            web_search: web_search(own)?,
            computer: computer(model)?,
            include,
            fields,
        })
    }

    /// The request's optional fields, sorted by name.
    pub(super) fn into_fields(self, has_tools: bool, searches: bool) -> Map<String, Value> {
        let mut fields = self.fields;
        if !has_tools {
            fields.remove("parallel_tool_calls");
            fields.remove("max_tool_calls");
        }
        let mut include = self.include;
        if searches {
            include.push(SOURCES.to_owned());
        }
        include.sort();
        include.dedup();
        if !include.is_empty() {
            fields.insert("include".to_owned(), include.into());
        }
        fields.sort_keys();
        fields
    }
}

/// The tool with which a model uses a computer: as the administrator says, else as its name tells.
///
/// # Errors
/// The option is none of its words.
pub(super) fn computer(model: &Model) -> Result<Option<Computer>, InvalidOption> {
    let nothing = Map::new();
    let wanted = choice(own(&model.options, METADATA).unwrap_or(&nothing), &COMPUTER_TOOL)?;
    let known = [Computer::Batches, Computer::Preview];
    let said = wanted.and_then(|wanted| known.into_iter().find(|tool| tool.tool() == wanted));
    Ok(said.or(Family::of(&model.model).computer))
}

fn object<const N: usize>(set: [(&str, Option<&str>); N]) -> Value {
    let set = set
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
    Value::Object(set.collect())
}

/// One of a few words, in lower case; blank counts as not set.
fn choice(own: &Map<String, Value>, choice: &Choice) -> Result<Option<&'static str>, InvalidOption> {
    let Some(text) = checked(own, PATH, choice.option, Shape::Text)?.and_then(Value::as_str) else {
        return Ok(None);
    };
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() {
        return Ok(None);
    }
    let known = choice.words.iter().find(|word| **word == text);
    let invalid = || InvalidOption::new(format!("{PATH}{}", choice.option), choice.expected);
    known.copied().map(Some).ok_or_else(invalid)
}

fn flag(own: &Map<String, Value>, option: &str) -> Result<Option<bool>, InvalidOption> {
    Ok(checked(own, PATH, option, Shape::Boolean)?.and_then(Value::as_bool))
}

fn texts(own: &Map<String, Value>, option: &str) -> Result<Vec<String>, InvalidOption> {
    let texts = checked(own, PATH, option, Shape::Texts)?.and_then(Value::as_array);
    let texts = texts.into_iter().flatten().filter_map(Value::as_str).map(str::trim);
    Ok(texts.filter(|text| !text.is_empty()).map(str::to_owned).collect())
}

/// Settings of sampling. The penalties and `top_k` have no field here.
fn sampling(model: &Model, is_refused: bool, fields: &mut Map<String, Value>) -> Result<(), InvalidOption> {
    let mut sampling = Map::new();
    copy(&model.options, "", &SAMPLING, &mut sampling)?;
    if !is_refused {
        fields.extend(sampling);
    }
    Ok(())
}

fn check_metadata(fields: &Map<String, Value>) -> Result<(), InvalidOption> {
    let metadata = fields.get("metadata").and_then(Value::as_object);
    let fits = metadata.is_none_or(|pairs| pairs.len() <= MAX_METADATA && pairs.values().all(Value::is_string));
    let invalid = || InvalidOption::new(format!("{PATH}metadata"), "an object of at most 16 texts");
    fits.then_some(()).ok_or_else(invalid)
}

fn include(own: &Map<String, Value>) -> Result<Vec<String>, InvalidOption> {
    let include = texts(own, "include")?;
    let is_known = |name: &String| INCLUDES.contains(&name.as_str());
    let invalid = || InvalidOption::new(format!("{PATH}include"), "a list of what the vendor can include");
    include.iter().all(is_known).then_some(()).ok_or_else(invalid)?;
    Ok(include)
}

/// How many alternatives of each token are named: the number if there is one, else as many as there can be.
fn logprobs(own: &Map<String, Value>) -> Result<Option<u64>, InvalidOption> {
    let is_wanted = flag(own, "log_probs")?.unwrap_or(false);
    let Some(count) = checked(own, PATH, "top_log_probs", Shape::Integer)? else {
        return Ok(is_wanted.then_some(MAX_TOP_LOGPROBS));
    };
    let count = count.as_u64().filter(|count| *count <= MAX_TOP_LOGPROBS);
    let invalid = || InvalidOption::new(format!("{PATH}top_log_probs"), "a whole number from 0 to 20");
    count.map(Some).ok_or_else(invalid)
}

/// The caller's limit, else the one under the vendor's own name for it, else the general one.
fn output_limit(
    model: &Model,
    own: &Map<String, Value>,
    asked_tokens: Option<u32>,
) -> Result<Option<u64>, InvalidOption> {
    let specific = checked(own, PATH, "max_completion_tokens", Shape::Integer)?.and_then(Value::as_u64);
    let general = checked(&model.options, "", "max_output_tokens", Shape::Integer)?.and_then(Value::as_u64);
    let configured = specific.or(general).filter(|limit| *limit > 0);
    let limit = asked_tokens.map(u64::from).or(configured);
    Ok(limit.map(|limit| limit.max(MIN_OUTPUT_TOKENS)))
}

fn web_search(own: &Map<String, Value>) -> Result<Option<WebSearch>, InvalidOption> {
    let search_context_size = choice(own, &CONTEXT_SIZE)?;
    let allowed_domains = texts(own, "allowed_domains")?;
    if allowed_domains.len() > MAX_DOMAINS {
        return Err(InvalidOption::new(
            format!("{PATH}allowed_domains"),
            "a list of at most 100 domains",
        ));
    }
    let is_wanted = flag(own, "web_search_enabled")?.unwrap_or(false);
    Ok(is_wanted.then(|| WebSearch {
        search_context_size,
        filters: (!allowed_domains.is_empty()).then_some(Filters { allowed_domains }),
    }))
}

#[cfg(test)]
mod tests;
