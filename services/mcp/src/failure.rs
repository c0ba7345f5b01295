//! Why a server did not do what it was asked, told apart by whether it may have acted.

use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::ErrorCode;
use tandem_chassis::outbound;

use crate::http::{NO_ANSWER, NOT_SENT, REFUSED};

/// Errors by which the protocol says that a request was not begun.
const NOT_BEGUN: [ErrorCode; 4] = [
    ErrorCode::PARSE_ERROR,
    ErrorCode::INVALID_REQUEST,
    ErrorCode::METHOD_NOT_FOUND,
    ErrorCode::INVALID_PARAMS,
];

/// Why a server did not do what it was asked. Texts are the server's own and may repeat what is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It took longer than this, and may have acted.
    Timeout(Duration),
    /// It has not acted.
    Refused(String),
    /// It may have acted.
    NoAnswer(String),
}

impl Failure {
    /// The same with another text.
    #[must_use]
    pub fn map(self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Timeout(limit) => Self::Timeout(limit),
            Self::Refused(text) => Self::Refused(change(&text)),
            Self::NoAnswer(text) => Self::NoAnswer(change(&text)),
        }
    }

    /// Whether the server may have acted.
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// The failure as a sentence about the server of that name.
    pub fn describe(&self, server: &str) -> String {
        match self {
            Self::Timeout(limit) => format!(
                "The MCP server {server} did not answer within {} s.",
                limit.as_secs_f32()
            ),
            Self::Refused(text) => format!("The MCP server {server} could not run the tool: {text}"),
            Self::NoAnswer(text) => format!("The MCP server {server} gave no usable answer: {text}"),
        }
    }

    /// What an error of a request tells; `ended` is why the connection is no more, where that is known.
    pub(crate) fn of(error: ServiceError, ended: Option<&str>) -> Self {
        match error {
            ServiceError::McpError(error) => {
                let words = error.message.into_owned();
                match error.code {
                    NOT_SENT | REFUSED => Self::Refused(words),
                    NO_ANSWER => Self::NoAnswer(words),
                    code if NOT_BEGUN.contains(&code) => Self::Refused(format!("{words} (code {})", code.0)),
                    // It broke while it was at it.
                    ErrorCode(code) => Self::NoAnswer(format!("{words} (code {code})")),
                }
            }
            other => Self::NoAnswer(match ended {
                Some(why) => why.to_owned(),
                None => outbound::chain(&other),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rmcp::ErrorData;

    use super::*;

    fn of(code: i32) -> Failure {
        let error = ErrorData::new(ErrorCode(code), "words", None);
        Failure::of(ServiceError::McpError(error), None)
    }

    #[test]
    fn only_errors_from_before_the_beginning_say_that_nothing_was_done() {
        for code in [-32_700, -32_600, -32_601, -32_602, REFUSED.0, NOT_SENT.0] {
            assert!(!of(code).is_unknown(), "{code}");
        }
        for code in [-32_603, -32_000, -32_001, 1, 0, NO_ANSWER.0] {
            assert!(of(code).is_unknown(), "{code}");
        }
    }

    #[test]
    fn a_connection_that_is_no_more_says_why() {
        let failure = Failure::of(ServiceError::TransportClosed, Some("the line was too long"));
        assert_eq!(failure, Failure::NoAnswer("the line was too long".to_owned()));
    }
}
