//! How a completion's failure looks to a client of each family.

use http::StatusCode;
use serde_json::{Value, json};
use tandem_chat_core::error::ErrorKind;

use crate::{bridge::dialect::Family, completion::Failed};

/// With what clients that shorten a conversation recognise that they should.
const TOO_LONG: &str = "prompt is too long: ";

/// Status, OpenAI's type and code, Anthropic's type.
type Forms = (StatusCode, &'static str, Option<&'static str>, &'static str);

fn forms(failed: &Failed) -> Forms {
    const INVALID: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    const LIMIT: &str = "rate_limit_error";
    const QUOTA: &str = "insufficient_quota";
    if failed.is_context_exceeded {
        return (
            StatusCode::BAD_REQUEST,
            INVALID,
            Some("context_length_exceeded"),
            INVALID,
        );
    }
    let busy = (
        StatusCode::SERVICE_UNAVAILABLE,
        SERVER,
        Some("service_unavailable"),
        "overloaded_error",
    );
    match failed.error.kind {
        _ if failed.is_cancelled => busy,
        ErrorKind::Overloaded => busy,
        // To chats a timeout like others; clients are told what the vendor said.
        ErrorKind::Timeout if failed.error.status_code == Some(503) => busy,
        ErrorKind::Timeout if failed.error.status_code == Some(502) => {
            (StatusCode::BAD_GATEWAY, SERVER, Some("bad_gateway"), "api_error")
        }
        ErrorKind::RateLimit => (StatusCode::TOO_MANY_REQUESTS, LIMIT, Some("rate_limit_exceeded"), LIMIT),
        ErrorKind::Timeout | ErrorKind::StartupTimeout | ErrorKind::StreamSilenceTimeout => {
            (StatusCode::GATEWAY_TIMEOUT, SERVER, Some("timeout"), "timeout_error")
        }
        ErrorKind::Config => (StatusCode::BAD_REQUEST, INVALID, None, INVALID),
        ErrorKind::ContentFilter => (StatusCode::BAD_REQUEST, INVALID, Some("content_filter"), INVALID),
        ErrorKind::UsageLimit => (StatusCode::FORBIDDEN, QUOTA, Some(QUOTA), "permission_error"),
        ErrorKind::ProviderDisabled => (
            StatusCode::SERVICE_UNAVAILABLE,
            SERVER,
            Some("provider_disabled"),
            "api_error",
        ),
        // A refused key is the deployment's own: none of the client's business, and no reason to ask it for another.
        ErrorKind::Auth | ErrorKind::MissingKey | ErrorKind::Generic => {
            (StatusCode::BAD_GATEWAY, SERVER, Some("bad_gateway"), "api_error")
        }
    }
}

/// The status of a failure before the first byte.
pub fn status(failed: &Failed) -> StatusCode {
    forms(failed).0
}

/// The error object as the family writes it, with the codes that clients act on.
pub fn body(failed: &Failed, family: Family) -> Value {
    let (_, openai, code, anthropic) = forms(failed);
    let message = &failed.error.message;
    let message = match failed.error.detail.as_str() {
        "" => message.clone(),
        detail => format!("{message} ({detail})"),
    };
    match family {
        Family::OpenAi => json!({ "error": { "message": message, "type": openai, "param": null, "code": code } }),
        Family::Anthropic => {
            let start = if failed.is_context_exceeded { TOO_LONG } else { "" };
            let mut error = json!({ "type": anthropic, "message": format!("{start}{message}") });
            // The one of which a client must know that trying again does not help.
            if failed.error.kind == ErrorKind::ProviderDisabled {
                error["code"] = json!(code);
            }
            json!({ "type": "error", "error": error })
        }
    }
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
