//! What was measured, as each dialect counts it. What was not reported is zero where a number must be.

use serde_json::{Value, json};
use tandem_chat_core::message::Usage;

/// Tokens of the whole prompt: the OpenAI dialects count what a cache served among them.
fn prompt_tokens(usage: &Usage) -> i64 {
    let counted = [usage.input_tokens, usage.cache_read_tokens, usage.cache_creation_tokens];
    counted.into_iter().flatten().fold(0, i64::saturating_add)
}

fn total_tokens(usage: &Usage) -> i64 {
    let sum = prompt_tokens(usage).saturating_add(usage.output_tokens.unwrap_or(0));
    usage.total_tokens.unwrap_or(sum)
}

/// As Chat Completions has it; `None` where nothing was reported.
pub(super) fn chat(usage: &Usage) -> Option<Value> {
    (!is_unknown(usage)).then(|| {
        json!({
            "prompt_tokens": prompt_tokens(usage),
            "completion_tokens": usage.output_tokens.unwrap_or(0),
            "total_tokens": total_tokens(usage),
            "prompt_tokens_details": { "cached_tokens": usage.cache_read_tokens.unwrap_or(0) },
            "completion_tokens_details": { "reasoning_tokens": usage.reasoning_tokens.unwrap_or(0) },
        })
    })
}

/// As Responses has it; `None` where nothing was reported.
pub(super) fn responses(usage: &Usage) -> Option<Value> {
    (!is_unknown(usage)).then(|| {
        json!({
            "input_tokens": prompt_tokens(usage),
            "input_tokens_details": { "cached_tokens": usage.cache_read_tokens.unwrap_or(0) },
            "output_tokens": usage.output_tokens.unwrap_or(0),
            "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens.unwrap_or(0) },
            "total_tokens": total_tokens(usage),
        })
    })
}

/// As Messages has it.
pub(super) fn messages(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens.unwrap_or(0),
        "cache_creation_input_tokens": usage.cache_creation_tokens.unwrap_or(0),
        "cache_read_input_tokens": usage.cache_read_tokens.unwrap_or(0),
        "output_tokens": usage.output_tokens.unwrap_or(0),
    })
}

/// Whether nothing was measured. The window is none of it.
fn is_unknown(usage: &Usage) -> bool {
    Usage {
        context_limit: None,
        context_tokens: None,
        ..*usage
    }
    .is_empty()
}
