//! What kind of failure a failed model call is, and whether trying again can help.
//!
//! Owns the ordered rules and the words people read. It does not wait (`retry`), and it trusts its caller to have removed secrets
//! from the text.

mod detail;
mod message;
mod signal;

use std::time::Duration;

use crate::error::{ChatError, Detail, ErrorKind};

/// All that is known of a failed model call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failure<'a> {
    /// The vendor's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The vendor's body, or the chain of error texts. Only its first 64 KiB count.
    pub text: &'a str,
    /// The provider's type such as `anthropic`; guessed from the text if `None`.
    pub provider: Option<&'a str>,
    /// The wait the vendor asked for; zero if none.
    pub retry_after: Duration,
    /// What the caller knows better than any text.
    pub cause: Cause,
}

/// What the caller knows of a failure by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing: status and text decide.
    #[default]
    Reported,
    /// The caller itself stopped the call.
    Cancelled,
    /// The caller's own deadline ran out, so there is no time for another attempt.
    OwnDeadline,
    /// The connection broke before an answer, or under it.
    Transport,
    /// The stream ended without its terminal event.
    Truncated,
    /// An HTTP/2 stream error. The type decides, whatever the text says.
    StreamReset {
        /// The vendor's side reset the stream; otherwise ours did, over a protocol error.
        is_by_peer: bool,
        /// The HTTP/2 error code.
        code: u32,
    },
    /// Classified where it happened.
    Known(ErrorKind),
}

/// A failure understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What is shown and stored if the call is not tried again.
    pub error: ChatError,
    /// What is shown while waiting for the next attempt: the bare fact, no advice.
    pub retry_message: String,
    /// The floor of the next delay; zero if the vendor named none.
    pub retry_after: Duration,
    /// The vendor has forgotten the response this request built on: the next attempt must send the whole history.
    pub is_chain_broken: bool,
    /// The prompt is longer than the model can take; a shorter one may succeed.
    pub is_context_exceeded: bool,
    /// Nothing failed: the call was stopped.
    pub is_cancelled: bool,
}

/// Finds the kind of a failure. The first rule that matches decides. Pure; cost is linear in the text.
pub fn classify(failure: &Failure<'_>) -> Classified {
    let text = signal::head(failure.text).to_lowercase();
    let status = failure.status.or_else(|| signal::status_in(&text));
    let provider = failure.provider.unwrap_or_else(|| signal::provider_in(&text));
    let verdict = judge(failure.cause, status, &text);
    let is_context_exceeded = verdict.kind == ErrorKind::Config && signal::is_context_exceeded(&text);
    Classified {
        is_context_exceeded,
        ..build(failure, verdict, status, provider)
    }
}

/// What a rule decides.
#[derive(Clone, Copy)]
struct Verdict {
    kind: ErrorKind,
    is_retryable: bool,
    note: Note,
}

/// What sets a failure apart beyond its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    None,
    Cancelled,
    ChainBroken,
    /// A detail that is safe to show instead of the vendor's, which names internal items.
    SafeDetail(&'static str),
}

const fn verdict(kind: ErrorKind, is_retryable: bool) -> Verdict {
    Verdict {
        kind,
        is_retryable,
        note: Note::None,
    }
}

const CANCELLED: Verdict = Verdict {
    kind: ErrorKind::Generic,
    is_retryable: false,
    note: Note::Cancelled,
};

fn judge(cause: Cause, status: Option<u16>, text: &str) -> Verdict {
    match cause {
        Cause::Known(kind) => return verdict(kind, is_worth_a_retry(kind)),
        Cause::Cancelled => return CANCELLED,
        Cause::Truncated => return verdict(ErrorKind::Timeout, true),
        Cause::Reported | Cause::OwnDeadline | Cause::Transport | Cause::StreamReset { .. } => {}
    }
    diagnosis(text).unwrap_or_else(|| by_signals(cause, status, text))
}

/// Kinds that the place of failure names itself.
fn is_worth_a_retry(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Overloaded
        | ErrorKind::RateLimit
        | ErrorKind::Timeout
        | ErrorKind::StartupTimeout
        | ErrorKind::StreamSilenceTimeout => true,
        ErrorKind::Generic
        | ErrorKind::Auth
        | ErrorKind::Config
        | ErrorKind::UsageLimit
        | ErrorKind::MissingKey
        | ErrorKind::ProviderDisabled
        | ErrorKind::ContentFilter => false,
    }
}

/// Texts so specific that they come before every status.
fn diagnosis(text: &str) -> Option<Verdict> {
    let has = |words: &str| text.contains(words);
    if ["chat interrupted", "request interrupted", "operation interrupted"]
        .into_iter()
        .any(has)
    {
        return Some(CANCELLED);
    }
    if has("no tool output found for function call") {
        return Some(unrepeatable("function_call_output_missing"));
    }
    if has("was provided without its required 'reasoning' item") {
        return Some(unrepeatable("web_search_reasoning_missing"));
    }
    if has("stream closed before message_stop") || has("stream closed before terminal event") {
        return Some(verdict(ErrorKind::Timeout, true));
    }
    if has("previous response with id") && has("not found") {
        return Some(Verdict {
            kind: ErrorKind::Generic,
            is_retryable: true,
            note: Note::ChainBroken,
        });
    }
    None
}

/// The history itself is what the vendor refuses, so sending it again cannot help.
const fn unrepeatable(detail: &'static str) -> Verdict {
    Verdict {
        kind: ErrorKind::Generic,
        is_retryable: false,
        note: Note::SafeDetail(detail),
    }
}

/// The ordered rules over status and words. A refused configuration beats transient wrappers around it ("503 invalid model"), but not
/// an overloaded vendor, a spent quota or a refused key.
fn by_signals(cause: Cause, status: Option<u16>, text: &str) -> Verdict {
    let is = |code: u16| status == Some(code);
    let is_config = signal::is_config(status, text);
    let is_forbidden = is(403) || text.contains("forbidden");
    let is_refused_key = is(401) || signal::is_auth(text) || (is_forbidden && !is_config);
    if is(529) || text.contains("overloaded") {
        verdict(ErrorKind::Overloaded, true)
    } else if signal::is_usage_limit(status, text) {
        verdict(ErrorKind::UsageLimit, false)
    } else if is_refused_key {
        verdict(ErrorKind::Auth, false)
    } else if (is(429) || signal::is_rate_limit(text)) && !is_config {
        verdict(ErrorKind::RateLimit, true)
    } else if signal::is_provider_disabled(text) {
        verdict(ErrorKind::ProviderDisabled, false)
    } else if is_transient(cause, status, text) && !is_config {
        verdict(ErrorKind::Timeout, cause != Cause::OwnDeadline)
    } else if is_config {
        verdict(ErrorKind::Config, false)
    } else if is(500) || signal::is_server_error(text) {
        verdict(ErrorKind::Generic, true)
    } else if signal::is_bare_cancellation(text) {
        CANCELLED
    } else {
        verdict(ErrorKind::Generic, false)
    }
}

fn is_transient(cause: Cause, status: Option<u16>, text: &str) -> bool {
    if matches!(status, Some(408 | 502 | 503 | 504)) {
        return true;
    }
    match cause {
        Cause::OwnDeadline | Cause::Transport => true,
        Cause::StreamReset { is_by_peer, code } => is_by_peer && RETRYABLE_RESETS.contains(&code),
        Cause::Reported => signal::is_timeout(text),
        // Decided before any signal is looked at.
        Cause::Cancelled | Cause::Truncated | Cause::Known(_) => false,
    }
}

/// `NO_ERROR`, `INTERNAL_ERROR`, `REFUSED_STREAM`, `CANCEL`, `ENHANCE_YOUR_CALM` of RFC 9113, section 7.
const RETRYABLE_RESETS: [u32; 5] = [0x0, 0x2, 0x7, 0x8, 0xb];

fn build(failure: &Failure<'_>, verdict: Verdict, status: Option<u16>, provider: &str) -> Classified {
    let facts = message::Facts {
        kind: verdict.kind,
        is_retryable: verdict.is_retryable,
        has_status: status.is_some(),
        provider,
        is_cancelled: verdict.note == Note::Cancelled,
    };
    let detail = match verdict.note {
        Note::SafeDetail(detail) => Detail::new(detail),
        Note::Cancelled => Detail::default(),
        Note::None | Note::ChainBroken => detail::of(failure.text),
    };
    Classified {
        error: ChatError {
            message: message::terminal(&facts),
            detail,
            kind: verdict.kind,
            provider: provider.to_owned(),
            retryable: verdict.is_retryable,
            status_code: status,
        },
        retry_message: message::fact(&facts),
        retry_after: failure.retry_after,
        is_chain_broken: verdict.note == Note::ChainBroken,
        is_context_exceeded: false,
        is_cancelled: verdict.note == Note::Cancelled,
    }
}

#[cfg(test)]
mod tests;
