//! What the vendor's errors say beyond their status: keys it refuses as malformed requests, and when to come back.

use std::time::Duration;

use serde_json::Value;
use tandem_chat_core::{classify::Cause, error::ErrorKind};

use crate::Failure;

/// The longest wait that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A refusal with what its body says of it. Anything but the vendor's error stays as it is.
pub(super) fn understood(failure: Failure) -> Failure {
    let Some(error) = body(&failure.text) else {
        return failure;
    };
    let status = status(&error).or(failure.status);
    let is_spent = status == Some(429) && is_spent(&error);
    Failure {
        status,
        retry_after: failure.retry_after.max(retry_after(&error)),
        cause: if is_spent {
            Cause::Known(ErrorKind::UsageLimit)
        } else {
            failure.cause
        },
        ..failure
    }
}

/// An error the vendor reports inside a successful answer.
pub(super) fn reported(data: &str) -> Failure {
    understood(Failure::new(Cause::Reported, data))
}

/// The error in a body, which may be a list of one.
fn body(text: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(text.trim()).ok()?;
    let error = body.get("error").or_else(|| body.get(0)?.get("error"))?;
    error.is_object().then(|| error.clone())
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

/// The status an error stands for. A wrong key is called a malformed request.
fn status(error: &Value) -> Option<u16> {
    let is_key = |detail: &Value| detail["reason"] == "API_KEY_INVALID";
    if details(error).any(is_key) {
        return Some(401);
    }
    let code = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    code.filter(|code| (400..600).contains(code))
        .or(match error["status"].as_str()? {
            "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Some(400),
            "UNAUTHENTICATED" => Some(401),
            "PERMISSION_DENIED" => Some(403),
            "NOT_FOUND" => Some(404),
            "RESOURCE_EXHAUSTED" => Some(429),
            "INTERNAL" | "UNKNOWN" => Some(500),
            "UNAVAILABLE" => Some(503),
            "DEADLINE_EXCEEDED" => Some(504),
            _ => None,
        })
}

/// Whether what is used up comes back only with the next day, so that trying again is of no use.
fn is_spent(error: &Value) -> bool {
    let violations = details(error)
        .filter_map(|detail| detail["violations"].as_array())
        .flatten();
    violations
        .filter_map(|violation| violation["quotaId"].as_str())
        .any(|quota| quota.contains("PerDay"))
}

/// The vendor's wish, such as `"17.2s"`; zero if it has none.
fn retry_after(error: &Value) -> Duration {
    let wish = details(error).find_map(|detail| detail["retryDelay"].as_str());
    let seconds = wish.and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| *seconds > 0.0).unwrap_or(0.0);
    Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_chat_core::classify::{Classified, Failure as Report, classify};

    use super::*;

    fn refused(status: u16, body: &Value) -> Classified {
        let failure = understood(Failure {
            status: Some(status),
            ..Failure::new(Cause::Reported, body.to_string())
        });
        classify(&Report {
            status: failure.status,
            text: &failure.text,
            provider: Some("google"),
            retry_after: failure.retry_after,
            cause: failure.cause,
        })
    }

    fn error(code: u16, status: &str, message: &str, details: Value) -> Value {
        json!({"error": {"code": code, "message": message, "status": status, "details": details}})
    }

    #[test]
    fn each_error_of_the_vendors_has_its_kind() {
        let key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
        let day = json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
             "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"},
        ]);
        let exceeded = "You exceeded your current quota, please check your plan and billing details.";
        for (body, kind, is_retryable) in [
            (
                error(
                    400,
                    "INVALID_ARGUMENT",
                    "API key not valid. Please pass a valid API key.",
                    key,
                ),
                ErrorKind::Auth,
                false,
            ),
            (
                error(
                    403,
                    "PERMISSION_DENIED",
                    "Your API key was reported as leaked.",
                    json!([]),
                ),
                ErrorKind::Auth,
                false,
            ),
            (
                error(429, "RESOURCE_EXHAUSTED", exceeded, json!([])),
                ErrorKind::RateLimit,
                true,
            ),
            (
                error(429, "RESOURCE_EXHAUSTED", exceeded, day),
                ErrorKind::UsageLimit,
                false,
            ),
            (
                error(
                    503,
                    "UNAVAILABLE",
                    "The model is overloaded. Please try again later.",
                    json!([]),
                ),
                ErrorKind::Overloaded,
                true,
            ),
            (
                error(500, "INTERNAL", "An internal error has occurred.", json!([])),
                ErrorKind::Generic,
                true,
            ),
            (
                error(504, "DEADLINE_EXCEEDED", "Deadline expired.", json!([])),
                ErrorKind::Timeout,
                true,
            ),
            (
                error(
                    404,
                    "NOT_FOUND",
                    "models/gemini-9 is not found for API version v1beta",
                    json!([]),
                ),
                ErrorKind::Config,
                false,
            ),
            (
                error(400, "INVALID_ARGUMENT", "Invalid value at 'contents'", json!([])),
                ErrorKind::Generic,
                false,
            ),
        ] {
            let status = u16::try_from(body["error"]["code"].as_u64().unwrap()).unwrap();
            for body in [body.clone(), json!([body])] {
                let understood = refused(status, &body);
                assert_eq!(
                    (understood.error.kind, understood.error.retryable),
                    (kind, is_retryable),
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_known_as_such() {
        let message = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).";
        assert!(refused(400, &error(400, "INVALID_ARGUMENT", message, json!([]))).is_context_exceeded);
    }

    #[test]
    fn the_vendors_wish_to_wait_is_read() {
        let wish = |delay: Value| {
            let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
            refused(429, &error(429, "RESOURCE_EXHAUSTED", "Slow down.", details)).retry_after
        };
        assert_eq!(wish(json!("17s")), Duration::from_secs(17));
        assert_eq!(wish(json!("1.5s")), Duration::from_millis(1500));
        assert_eq!(wish(json!("1e99s")), MAX_RETRY_AFTER);
        for nonsense in [json!("-3s"), json!("NaNs"), json!("soon"), json!(7), Value::Null] {
            assert_eq!(wish(nonsense), Duration::ZERO);
        }
    }

    #[test]
    fn what_is_no_error_of_the_vendors_stays_as_it_is() {
        for text in ["", "<html>", "{}", "[]", "[7]", "{\"error\": \"x\"}"] {
            let failure = Failure::new(Cause::Reported, text);
            assert_eq!(understood(failure.clone()), failure);
        }
    }
}
