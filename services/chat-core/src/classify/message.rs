//! The words people read about a failure.
//!
//! Owns one fact per kind and, for failures that somebody can mend, what to look at. No text names a status code: that is a field.

use crate::error::ErrorKind;

/// What a text depends on.
pub(super) struct Facts<'a> {
    pub(super) kind: ErrorKind,
    pub(super) is_retryable: bool,
    pub(super) has_status: bool,
    pub(super) provider: &'a str,
    pub(super) is_cancelled: bool,
}

/// The fact and what can be done about it.
pub(super) fn terminal(facts: &Facts<'_>) -> String {
    match remedy(facts.kind) {
        Some(remedy) => format!("{} {remedy}", fact(facts)),
        None => fact(facts),
    }
}

/// The fact alone.
pub(super) fn fact(facts: &Facts<'_>) -> String {
    let subject = subject(facts.provider);
    match facts.kind {
        ErrorKind::Overloaded => format!("{subject} is overloaded at the moment."),
        ErrorKind::RateLimit => format!("{subject} is limiting the rate of requests."),
        ErrorKind::Timeout if facts.is_retryable => format!("{subject} is temporarily unavailable."),
        ErrorKind::Timeout => "The request took longer than it may.".to_owned(),
        ErrorKind::StartupTimeout => format!("{subject} did not begin to answer in time."),
        ErrorKind::StreamSilenceTimeout => format!("{subject} fell silent in the middle of its answer."),
        ErrorKind::Auth => format!("{subject} rejected the credentials."),
        ErrorKind::Config => format!("{subject} rejected the model or its settings."),
        ErrorKind::UsageLimit => format!("{subject} reports that the quota is used up."),
        ErrorKind::MissingKey => format!("{subject} has no API key any more."),
        ErrorKind::ProviderDisabled => format!("{subject} is disabled."),
        ErrorKind::ContentFilter => format!("{subject} blocked the answer under its content policy."),
        ErrorKind::Generic if facts.is_cancelled => "The request was stopped.".to_owned(),
        ErrorKind::Generic if facts.is_retryable => format!("{subject} reported an internal error."),
        ErrorKind::Generic if facts.has_status => format!("{subject} refused the request."),
        ErrorKind::Generic => "The chat failed unexpectedly.".to_owned(),
    }
}

fn remedy(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Auth => Some("Check the API key and its permissions."),
        ErrorKind::Config => Some("Check the model's name, its settings and the length of the conversation."),
        ErrorKind::UsageLimit => Some("Check the plan and its billing."),
        ErrorKind::MissingKey => Some("Add a key, then send the message once more."),
        ErrorKind::ProviderDisabled => Some("An administrator can enable it."),
        ErrorKind::Overloaded
        | ErrorKind::RateLimit
        | ErrorKind::Timeout
        | ErrorKind::StartupTimeout
        | ErrorKind::StreamSilenceTimeout
        | ErrorKind::ContentFilter
        | ErrorKind::Generic => None,
    }
}

/// The provider as the beginning of a sentence.
fn subject(provider: &str) -> &str {
    match provider {
        "" => "The model provider",
        "anthropic" => "Anthropic",
        "azure" => "Azure OpenAI",
        "bedrock" => "Amazon Bedrock",
        "demo" => "The demo model",
        "google" => "Google",
        "openai" => "OpenAI",
        "openai-compat" => "The OpenAI-compatible server",
        "openrouter" => "OpenRouter",
        "vercel" => "Vercel AI Gateway",
        other => other,
    }
}
