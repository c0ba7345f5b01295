//! How a completion's failure looks to a client of each family.

use http::StatusCode;
use serde_json::Value;
use tandem_chat_core::{
    error::ErrorKind,
    refusal::{Family, Reason},
};

use crate::completion::Failed;

/// What the failure is to programs.
fn reason(failed: &Failed) -> Reason {
    if failed.is_context_exceeded {
        return Reason::PromptTooLong;
    }
    match failed.error.kind {
        _ if failed.is_cancelled => Reason::Unavailable,
        ErrorKind::Overloaded => Reason::Unavailable,
        // To chats a timeout like others; clients are told what the vendor said.
        ErrorKind::Timeout if failed.error.status_code == Some(503) => Reason::Unavailable,
        ErrorKind::Timeout if failed.error.status_code == Some(502) => Reason::Upstream,
        ErrorKind::RateLimit => Reason::RateLimited,
        ErrorKind::Timeout | ErrorKind::StartupTimeout | ErrorKind::StreamSilenceTimeout => Reason::TooSlow,
        ErrorKind::Config => Reason::Invalid,
        ErrorKind::ContentFilter => Reason::ContentFilter,
        // Others hold what is left of the limit: it may well be given back.
        ErrorKind::UsageLimit if failed.error.retryable => Reason::RateLimited,
        ErrorKind::UsageLimit => Reason::SpendLimit,
        ErrorKind::ProviderDisabled => Reason::ProviderDisabled,
        // A refused key is the deployment's own: none of the client's business, and no reason to ask it for another.
        ErrorKind::Auth | ErrorKind::MissingKey | ErrorKind::Generic => Reason::Upstream,
    }
}

/// The status of a failure before the first byte.
pub fn status(failed: &Failed) -> StatusCode {
    StatusCode::from_u16(reason(failed).status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The error object as the family writes it, with the codes that clients act on.
pub fn body(failed: &Failed, family: Family) -> Value {
    let message = &failed.error.message;
    let message = match failed.error.detail.as_str() {
        "" => message.clone(),
        detail => format!("{message} ({detail})"),
    };
    reason(failed).body(family, &message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_chat_core::error::{ChatError, Detail};

    use super::*;

    fn failed(kind: ErrorKind) -> Failed {
        Failed {
            error: ChatError {
                kind,
                detail: Detail::new("said so"),
                ..ChatError::generic("It failed.")
            },
            retry_after: Duration::from_secs(3),
            is_cancelled: false,
            is_context_exceeded: false,
        }
    }

    #[test]
    fn each_kind_has_a_status_that_tells_whether_to_come_back() {
        for kind in ErrorKind::ALL {
            let expected = match kind {
                ErrorKind::Overloaded | ErrorKind::ProviderDisabled => 503,
                ErrorKind::RateLimit => 429,
                ErrorKind::Timeout | ErrorKind::StartupTimeout | ErrorKind::StreamSilenceTimeout => 504,
                ErrorKind::Config | ErrorKind::ContentFilter => 400,
                ErrorKind::UsageLimit => 403,
                ErrorKind::Auth | ErrorKind::MissingKey | ErrorKind::Generic => 502,
            };
            assert_eq!(status(&failed(kind)), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_vendor_that_is_away_is_told_apart_from_a_slow_one() {
        for (said, expected) in [(503, 503), (502, 502), (504, 504), (408, 504)] {
            let mut failed = failed(ErrorKind::Timeout);
            failed.error.status_code = Some(said);
            assert_eq!(status(&failed), expected, "{said}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_so_that_clients_shorten_it() {
        let failed = Failed {
            is_context_exceeded: true,
            ..failed(ErrorKind::Generic)
        };
        assert_eq!(status(&failed), 400);
        let openai = body(&failed, Family::OpenAi);
        assert_eq!(openai["error"]["code"], "context_length_exceeded");
        assert_eq!(openai["error"]["message"], "It failed. (said so)");
        let anthropic = body(&failed, Family::Anthropic);
        assert_eq!(anthropic["error"]["type"], "invalid_request_error");
        let said = anthropic["error"]["message"].as_str().unwrap();
        assert_eq!(said, "prompt is too long: It failed. (said so)");
    }

    #[test]
    fn a_provider_that_is_switched_off_is_told_apart_from_a_busy_one() {
        let off = body(&failed(ErrorKind::ProviderDisabled), Family::Anthropic);
        assert_eq!(off["error"]["code"], "provider_disabled");
        assert_eq!(
            body(&failed(ErrorKind::Overloaded), Family::Anthropic)["error"]["code"],
            Value::Null
        );
    }
}
