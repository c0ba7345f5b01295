//! How a refusal looks to programs that speak to OpenAI or Anthropic: status, type and code, in the words of either.
//!
//! One table for all who refuse such a program: the front that it reached, the bridge behind it, and what a vendor's failure becomes.
//! Why something is refused is theirs to say.

use serde_json::{Value, json};

/// Begins what is said of a prompt that is too long: by these words Anthropic's programs know that they should shorten it.
const TOO_LONG: &str = "prompt is too long: ";

/// What went wrong, as far as programs go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request cannot be understood.
    Invalid,
    /// Its body is longer than anybody reads.
    TooLarge,
    /// Its headers are.
    HeadersTooLarge,
    /// Its body did not come in time.
    SlowBody,
    /// Nobody proved who is calling.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The caller has spent what they may.
    SpendLimit,
    /// Nothing is answered at that path.
    NoRoute,
    /// There is no such model or provider for the caller.
    UnknownModel,
    /// This is not done here.
    NotDone,
    /// The prompt is longer than the model reads.
    PromptTooLong,
    /// The vendor does not answer this.
    ContentFilter,
    /// There are too many requests, here or at the vendor.
    RateLimited,
    /// The provider is switched off.
    ProviderDisabled,
    /// The vendor is left alone for a while, or there is no room here.
    Unavailable,
    /// The vendor failed.
    Upstream,
    /// The vendor took too long.
    TooSlow,
    /// A service of ours failed.
    Internal,
}

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI, and everybody who imitates it.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

/// A reason in the words of both.
struct Forms {
    status: u16,
    openai_type: &'static str,
    openai_code: Option<&'static str>,
    anthropic_type: &'static str,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::Invalid,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::SlowBody,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::SpendLimit,
        Self::NoRoute,
        Self::UnknownModel,
        Self::NotDone,
        Self::PromptTooLong,
        Self::ContentFilter,
        Self::RateLimited,
        Self::ProviderDisabled,
        Self::Unavailable,
        Self::Upstream,
        Self::TooSlow,
        Self::Internal,
    ];

    fn forms(self) -> Forms {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        const API: &str = "api_error";
        const LIMIT: &str = "rate_limit_error";
        const PERMISSION: &str = "permission_error";
        const QUOTA: &str = "insufficient_quota";
        let (status, openai_type, openai_code, anthropic_type) = match self {
            Self::Invalid => (400, INVALID, None, INVALID),
            Self::PromptTooLong => (400, INVALID, Some("context_length_exceeded"), INVALID),
            Self::ContentFilter => (400, INVALID, Some("content_filter"), INVALID),
            Self::Unauthenticated => (401, INVALID, Some("invalid_api_key"), "authentication_error"),
            Self::Forbidden => (403, PERMISSION, Some("forbidden"), PERMISSION),
            Self::SpendLimit => (403, QUOTA, Some(QUOTA), PERMISSION),
            Self::NoRoute => (404, INVALID, Some("unknown_url"), "not_found_error"),
            Self::UnknownModel => (404, INVALID, Some("model_not_found"), "not_found_error"),
            Self::SlowBody => (408, INVALID, Some("timeout"), "timeout_error"),
            Self::TooLarge => (413, INVALID, Some("request_too_large"), "request_too_large"),
            Self::RateLimited => (429, LIMIT, Some("rate_limit_exceeded"), LIMIT),
            Self::HeadersTooLarge => (431, INVALID, Some("headers_too_large"), INVALID),
            Self::Internal => (500, SERVER, Some("internal_error"), API),
            Self::NotDone => (501, INVALID, Some("not_supported"), INVALID),
            Self::Upstream => (502, SERVER, Some("bad_gateway"), API),
            Self::ProviderDisabled => (503, SERVER, Some("provider_disabled"), API),
            Self::Unavailable => (503, SERVER, Some("service_unavailable"), "overloaded_error"),
            Self::TooSlow => (504, SERVER, Some("timeout"), "timeout_error"),
        };
        Forms {
            status,
            openai_type,
            openai_code,
            anthropic_type,
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.forms().status
    }

    /// OpenAI's code, where it has one.
    pub fn code(self) -> Option<&'static str> {
        self.forms().openai_code
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::SlowBody => "slow_body",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::SpendLimit => "spend_limit",
            Self::NoRoute => "no_route",
            Self::UnknownModel => "unknown_model",
            Self::NotDone => "not_done",
            Self::PromptTooLong => "prompt_too_long",
            Self::ContentFilter => "content_filter",
            Self::RateLimited => "rate_limited",
            Self::ProviderDisabled => "provider_disabled",
            Self::Unavailable => "unavailable",
            Self::Upstream => "upstream",
            Self::TooSlow => "too_slow",
            Self::Internal => "internal",
        }
    }

    /// The error object as a family writes it, with the codes that its programs act on.
    ///
    /// * `message`: for people; without secrets.
    pub fn body(self, family: Family, message: &str) -> Value {
        let forms = self.forms();
        match family {
            Family::OpenAi => json!({
                "error": {"message": message, "type": forms.openai_type, "param": null, "code": forms.openai_code}
            }),
            Family::Anthropic => {
                let start = if self == Self::PromptTooLong { TOO_LONG } else { "" };
                let mut error = json!({"type": forms.anthropic_type, "message": format!("{start}{message}")});
                // The one of which a program must know that trying again does not help.
                if self == Self::ProviderDisabled {
                    error["code"] = json!(forms.openai_code);
                }
                json!({"type": "error", "error": error})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_family_has_its_own_words() {
        assert_eq!(
            Reason::UnknownModel.body(Family::OpenAi, "no"),
            json!({"error": {"message": "no", "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
        );
        assert_eq!(
            Reason::UnknownModel.body(Family::Anthropic, "no"),
            json!({"type": "error", "error": {"type": "not_found_error", "message": "no"}})
        );
    }

    #[test]
    fn a_body_that_did_not_come_in_time_is_408_in_either_words() {
        assert_eq!(Reason::SlowBody.status(), 408);
        assert_eq!(Reason::SlowBody.body(Family::OpenAi, "x")["error"]["code"], "timeout");
        assert_eq!(
            Reason::SlowBody.body(Family::Anthropic, "x")["error"]["type"],
            "timeout_error"
        );
    }

    #[test]
    fn a_provider_that_is_switched_off_is_told_apart_from_a_busy_one() {
        for family in [Family::OpenAi, Family::Anthropic] {
            let off = Reason::ProviderDisabled.body(family, "off");
            assert_eq!(off["error"]["code"], "provider_disabled");
        }
        assert_eq!(
            Reason::Unavailable.body(Family::Anthropic, "busy")["error"]["code"],
            Value::Null
        );
        assert_eq!(Reason::ProviderDisabled.status(), Reason::Unavailable.status());
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_so_that_programs_shorten_it() {
        let openai = Reason::PromptTooLong.body(Family::OpenAi, "It failed.");
        assert_eq!(
            (&openai["error"]["code"], &openai["error"]["message"]),
            (&json!("context_length_exceeded"), &json!("It failed."))
        );
        let anthropic = Reason::PromptTooLong.body(Family::Anthropic, "It failed.");
        assert_eq!(anthropic["error"]["message"], "prompt is too long: It failed.");
    }

    #[test]
    fn every_reason_is_an_error_with_a_name_of_its_own() {
        let names: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!((400..600).contains(&reason.status()), "{reason:?}");
        }
    }
}
