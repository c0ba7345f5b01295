//! What an administrator set for a model, as settings of a Messages request.
//!
//! Owns which settings exclude each other: thinking and sampling, a budget and the room for the answer. Options of other vendors are
//! passed over; one of the wrong type is an error that names it.

use serde_json::{Map, Value};

use super::{
    family::{Family, Thinks},
    wire::{Thinking, WebSearch},
};
use crate::{
    Model,
    options::{Field, InvalidOption, Shape, checked, copy, own},
};

/// Where the vendor's own options are, for errors.
const PATH: &str = "provider_options.anthropic.";

/// The fewest tokens the vendor lets a model think with.
const MIN_BUDGET_TOKENS: u64 = 1024;

/// What a budget leaves for the answer, where nobody set a limit.
const ANSWER_TOKENS: u64 = 4096;

/// The share of a small context window that an answer may take if nobody says.
const CONTEXT_SHARE: u64 = 4;

const TEMPERATURE: &str = "temperature";
const TOP_P: &str = "top_p";
const TOP_K: &str = "top_k";
const STOP_SEQUENCES: &str = "stop_sequences";

const SAMPLING: [Field; 4] = [
    (TEMPERATURE, TEMPERATURE, Shape::Number),
    (TOP_P, TOP_P, Shape::Number),
    (TOP_K, TOP_K, Shape::Integer),
    (STOP_SEQUENCES, STOP_SEQUENCES, Shape::Texts),
];

/// The least `top_p` a thinking model takes.
const MIN_TOP_P_THINKING: f64 = 0.95;

/// How hard a model tries: name, and the share in hundredths of an answer's tokens that it may think with.
const EFFORTS: [(&str, u64); 5] = [("low", 20), ("medium", 50), ("high", 80), ("xhigh", 90), ("max", 95)];

/// The settings of one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// At least 1.
    pub(super) max_tokens: u64,
    pub(super) thinking: Option<Thinking>,
    pub(super) effort: Option<&'static str>,
    /// What was set of sampling, whether the model takes it or not; see [`Settings::sampling`].
    sampling: Map<String, Value>,
    thinks: Thinks,
    /// Whether earlier thinking is sent back.
    pub(super) sends_reasoning: bool,
    pub(super) is_parallel_disabled: bool,
    /// The vendor's search, if the administrator wants it.
    pub(super) web_search: Option<WebSearch>,
}

impl Settings {
    /// Reads the options of a model.
    ///
    /// * `asked_tokens`: the caller's own output limit; wins over the configured one.
    ///
    /// # Errors
    /// [`InvalidOption`] names the first option of the wrong type.
    pub(super) fn read(model: &Model, asked_tokens: Option<u32>) -> Result<Self, InvalidOption> {
        let nothing = Map::new();
        let options = &model.options;
        let own = own(options, "anthropic").unwrap_or(&nothing);
        let family = Family::of(&model.model);
        let mut sampling = Map::new();
        copy(options, "", &SAMPLING, &mut sampling)?;
        let effort = effort(own)?;
        let budget = budget(own)?;
        let max_tokens = max_tokens(model, family, asked_tokens, budget)?;
        Ok(Self {
            max_tokens,
            thinking: thinking(family.thinks, max_tokens, budget, effort),
            effort: effort.and_then(|(name, _)| sendable_effort(family.thinks, name)),
            sampling,
            thinks: family.thinks,
            sends_reasoning: flag(own, "send_reasoning")?.unwrap_or(true),
            is_parallel_disabled: flag(own, "disable_parallel_tool_use")?.unwrap_or(false),
            web_search: web_search(own)?,
        })
    }

    /// What is sent of sampling, and what ends an answer. Of sampling a thinking model takes next to nothing, the newest ones nothing at
    /// all, and the others either a temperature or `top_p`.
    pub(super) fn sampling(&self) -> Map<String, Value> {
        let mut sampling = self.sampling.clone();
        if self.thinks == Thinks::Adaptive {
            sampling.retain(|name, _| name == STOP_SEQUENCES);
        }
        if self.thinking.is_some() {
            sampling.remove(TEMPERATURE);
            sampling.remove(TOP_K);
            let is_low = |top_p: &Value| top_p.as_f64().is_none_or(|top_p| top_p < MIN_TOP_P_THINKING);
            if sampling.get(TOP_P).is_some_and(is_low) {
                sampling.remove(TOP_P);
            }
        } else if sampling.contains_key(TEMPERATURE) {
            sampling.remove(TOP_P);
        }
        sampling
    }
}

fn flag(own: &Map<String, Value>, option: &str) -> Result<Option<bool>, InvalidOption> {
    Ok(checked(own, PATH, option, Shape::Boolean)?.and_then(Value::as_bool))
}

fn texts(own: &Map<String, Value>, option: &str) -> Result<Vec<String>, InvalidOption> {
    let texts = checked(own, PATH, option, Shape::Texts)?.and_then(Value::as_array);
    let texts = texts.into_iter().flatten().filter_map(Value::as_str);
    Ok(texts
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
        .collect())
}

fn effort(own: &Map<String, Value>) -> Result<Option<(&'static str, u64)>, InvalidOption> {
    let Some(text) = checked(own, PATH, "effort", Shape::Text)?.and_then(Value::as_str) else {
        return Ok(None);
    };
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() || text == "none" {
        return Ok(None);
    }
    let known = EFFORTS.into_iter().find(|(name, _)| *name == text);
    let invalid = || InvalidOption::new(format!("{PATH}effort"), "low, medium, high, xhigh or max");
    known.map(Some).ok_or_else(invalid)
}

fn budget(own: &Map<String, Value>) -> Result<Option<u64>, InvalidOption> {
    let Some(thinking) = checked(own, PATH, "thinking", Shape::Object)?.and_then(Value::as_object) else {
        return Ok(None);
    };
    let budget = checked(thinking, &format!("{PATH}thinking."), "budget_tokens", Shape::Integer)?;
    Ok(budget.and_then(Value::as_u64).filter(|budget| *budget > 0))
}

fn max_tokens(model: &Model, family: Family, asked: Option<u32>, budget: Option<u64>) -> Result<u64, InvalidOption> {
    let configured = checked(&model.options, "", "max_output_tokens", Shape::Integer)?;
    let configured = configured.and_then(Value::as_u64).filter(|limit| *limit > 0);
    if let Some(limit) = asked.map(u64::from).or(configured) {
        return Ok(limit.max(1));
    }
    let default = match budget {
        Some(budget) if family.thinks != Thinks::Never => family.max_tokens.max(budget.saturating_add(ANSWER_TOKENS)),
        Some(_) | None => family.max_tokens,
    };
    let share = model.context_limit.and_then(|limit| u64::try_from(limit).ok());
    let share = share.map_or(default, |limit| limit / CONTEXT_SHARE);
    Ok(default.min(share).max(1))
}

/// Thinking, if the model can and its room suffices.
fn thinking(
    thinks: Thinks,
    max_tokens: u64,
    budget: Option<u64>,
    effort: Option<(&'static str, u64)>,
) -> Option<Thinking> {
    let share = effort.map(|(_, hundredths)| max_tokens.saturating_mul(hundredths) / 100);
    let wanted = budget.or(share)?.min(max_tokens.saturating_sub(1));
    if wanted < MIN_BUDGET_TOKENS {
        return None;
    }
    let enabled = Thinking::Enabled { budget_tokens: wanted };
    match thinks {
        Thinks::Never => None,
        Thinks::Budget => Some(enabled),
        Thinks::Either if budget.is_some() => Some(enabled),
        Thinks::Either => Some(Thinking::Adaptive { display: None }),
        Thinks::Adaptive => Some(Thinking::Adaptive {
            display: Some("summarized"),
        }),
    }
}

/// Only models that think as they see fit know efforts; the first of them knew one fewer.
fn sendable_effort(thinks: Thinks, effort: &'static str) -> Option<&'static str> {
    match thinks {
        Thinks::Never | Thinks::Budget => None,
        Thinks::Either if effort == "xhigh" => Some("high"),
        Thinks::Either | Thinks::Adaptive => Some(effort),
    }
}

/// The vendor takes one list of domains; the stricter one wins.
fn web_search(own: &Map<String, Value>) -> Result<Option<WebSearch>, InvalidOption> {
    let (allowed_domains, blocked_domains) = (texts(own, "allowed_domains")?, texts(own, "blocked_domains")?);
    let is_wanted = flag(own, "web_search_enabled")?.unwrap_or(false);
    Ok(is_wanted.then(|| WebSearch {
        r#type: "web_search_20250305",
        name: super::WEB_SEARCH,
        blocked_domains: if allowed_domains.is_empty() {
            blocked_domains
        } else {
            Vec::new()
        },
        allowed_domains,
    }))
}

#[cfg(test)]
mod tests;
