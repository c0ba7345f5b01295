//! Errors of turns, to and from the contracts.

use tandem_proto::common::v1 as wire;

use crate::error::{ChatError, Detail, ErrorKind};

/// An error as the contracts write it.
pub fn chat_error_to_wire(error: &ChatError) -> wire::ChatError {
    wire::ChatError {
        message: error.message.clone(),
        detail: error.detail.as_str().to_owned(),
        kind: error_kind_to_wire(error.kind).into(),
        provider: error.provider.clone(),
        is_retryable: error.retryable,
        status_code: error.status_code.map_or(0, i32::from),
    }
}

/// An error from a contract. Nothing in it can be refused: a kind of the future becomes a generic one.
pub fn chat_error_from_wire(error: &wire::ChatError) -> ChatError {
    ChatError {
        message: error.message.clone(),
        detail: Detail::new(&error.detail),
        kind: kind_from_wire(error.kind()),
        provider: error.provider.clone(),
        retryable: error.is_retryable,
        status_code: u16::try_from(error.status_code).ok().filter(|code| *code != 0),
    }
}

/// A kind of error as the contract writes it.
pub fn error_kind_to_wire(kind: ErrorKind) -> wire::ErrorKind {
    match kind {
        ErrorKind::Generic => wire::ErrorKind::Generic,
        ErrorKind::Overloaded => wire::ErrorKind::Overloaded,
        ErrorKind::RateLimit => wire::ErrorKind::RateLimit,
        ErrorKind::Timeout => wire::ErrorKind::Timeout,
        ErrorKind::StartupTimeout => wire::ErrorKind::StartupTimeout,
        ErrorKind::StreamSilenceTimeout => wire::ErrorKind::StreamSilenceTimeout,
        ErrorKind::Auth => wire::ErrorKind::Auth,
        ErrorKind::Config => wire::ErrorKind::Config,
        ErrorKind::UsageLimit => wire::ErrorKind::UsageLimit,
        ErrorKind::MissingKey => wire::ErrorKind::MissingKey,
        ErrorKind::ProviderDisabled => wire::ErrorKind::ProviderDisabled,
        ErrorKind::ContentFilter => wire::ErrorKind::ContentFilter,
    }
}

fn kind_from_wire(kind: wire::ErrorKind) -> ErrorKind {
    match kind {
        wire::ErrorKind::Unspecified | wire::ErrorKind::Generic => ErrorKind::Generic,
        wire::ErrorKind::Overloaded => ErrorKind::Overloaded,
        wire::ErrorKind::RateLimit => ErrorKind::RateLimit,
        wire::ErrorKind::Timeout => ErrorKind::Timeout,
        wire::ErrorKind::StartupTimeout => ErrorKind::StartupTimeout,
        wire::ErrorKind::StreamSilenceTimeout => ErrorKind::StreamSilenceTimeout,
        wire::ErrorKind::Auth => ErrorKind::Auth,
        wire::ErrorKind::Config => ErrorKind::Config,
        wire::ErrorKind::UsageLimit => ErrorKind::UsageLimit,
        wire::ErrorKind::MissingKey => ErrorKind::MissingKey,
        wire::ErrorKind::ProviderDisabled => ErrorKind::ProviderDisabled,
        wire::ErrorKind::ContentFilter => ErrorKind::ContentFilter,
    }
}
