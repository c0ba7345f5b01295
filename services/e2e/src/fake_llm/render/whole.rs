//! The answer in one piece, for requests without `stream`.

use std::time::Duration;

use serde::Serialize;

use super::{
    super::{
        reply::{Item, Reply, Usage},
        wire,
    },
    Context, Response, Step, calls, finish, plain, usage,
};

// Field order is the wire order.
#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Counts,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    refusal: Option<()>,
    annotations: [(); 0],
}

#[derive(Serialize)]
struct Call<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    prompt_tokens_details: PromptCounts,
    completion_tokens_details: CompletionCounts,
}

#[derive(Serialize)]
struct PromptCounts {
    cached_tokens: i64,
    audio_tokens: i64,
}

#[derive(Serialize)]
struct CompletionCounts {
    reasoning_tokens: i64,
    audio_tokens: i64,
    accepted_prediction_tokens: i64,
    rejected_prediction_tokens: i64,
}

pub(super) fn render(context: &Context, reply: &Reply) -> Response {
    let usage = usage(context, reply);
    let tool_calls: Vec<Call<'_>> = calls(reply)
        .enumerate()
        .map(|(index, (id, name, arguments))| Call {
            id: id.cloned().unwrap_or_else(|| wire::call_id(context.number, index)),
            kind: "function",
            function: Function { name, arguments },
        })
        .collect();
    let text = joined(reply, |item| match item {
        Item::Text { text, .. } => Some(text),
        _ => None,
    });
    let reasoning = joined(reply, |item| match item {
        Item::Reasoning { text, .. } => Some(text),
        _ => None,
    });
    let completion = Completion {
        id: wire::completion_id(context.number),
        object: "chat.completion",
        created: context.created,
        model: &context.model,
        choices: [Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: (!text.is_empty() || tool_calls.is_empty()).then_some(text),
                reasoning_content: (!reasoning.is_empty()).then_some(reasoning),
                tool_calls,
                refusal: None,
                annotations: [],
            },
            logprobs: None,
            finish_reason: finish(reply),
        }],
        usage: counts(&usage),
        service_tier: "default",
        system_fingerprint: wire::FINGERPRINT,
    };
    let mut response = plain(context.number, wire::JSON, wire::pretty(&completion, b"  "));
    response.steps = waits(reply)
        .chain([Step::Send {
            end: response.body.len(),
            tokens: u64::try_from(usage.completion_tokens).unwrap_or(0),
        }])
        .collect();
    response.usage = usage;
    response
}

fn joined<'a>(reply: &'a Reply, text: impl Fn(&'a Item) -> Option<&'a String>) -> String {
    reply.items.iter().filter_map(text).map(String::as_str).collect()
}

/// The waits of the reply, all before its one piece.
fn waits(reply: &Reply) -> impl Iterator<Item = Step> {
    reply.items.iter().filter_map(|item| match item {
        Item::Gate(name) => Some(Step::Gate(name.clone())),
        Item::Pause(ms) => Some(Step::Pause(Duration::from_millis(*ms))),
        Item::Text { .. } | Item::Reasoning { .. } | Item::ToolCall { .. } => None,
    })
}

fn counts(usage: &Usage) -> Counts {
    Counts {
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
        prompt_tokens_details: PromptCounts {
            cached_tokens: usage.cached_tokens,
            audio_tokens: 0,
        },
        completion_tokens_details: CompletionCounts {
            reasoning_tokens: usage.reasoning_tokens,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
        },
    }
}
