//! The twelve kinds of failure and their names in gRPC and HTTP. One table, both directions.

use std::fmt;

/// The kind of a failure: what a caller does about it.
///
/// | code | gRPC | HTTP | does a retry help? |
/// |---|---|---|---|
/// | invalid | InvalidArgument | 400 | no |
/// | unauthenticated | Unauthenticated | 401 | no |
/// | forbidden | PermissionDenied | 403 | no |
/// | not_found | NotFound | 404 | no |
/// | conflict | Aborted | 409 | after reading again |
/// | exists | AlreadyExists | 409 | no |
/// | wrong_state | FailedPrecondition | 409 | no |
/// | rate_limited | ResourceExhausted | 429 | after `retry_after` |
/// | unavailable | Unavailable | 503 | yes, with backoff |
/// | deadline | DeadlineExceeded | 504 | yes, with backoff |
/// | cancelled | Cancelled | 499 | no |
/// | internal | Internal | 500 | no |
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Code {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    Exists,
    WrongState,
    RateLimited,
    Unavailable,
    Deadline,
    Cancelled,
    Internal,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Exists,
        Self::WrongState,
        Self::RateLimited,
        Self::Unavailable,
        Self::Deadline,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The word of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Exists => "exists",
            Self::WrongState => "wrong_state",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The gRPC code. No two codes share one.
    pub fn grpc(self) -> tonic::Code {
        match self {
            Self::Invalid => tonic::Code::InvalidArgument,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::Forbidden => tonic::Code::PermissionDenied,
            Self::NotFound => tonic::Code::NotFound,
            Self::Conflict => tonic::Code::Aborted,
            Self::Exists => tonic::Code::AlreadyExists,
            Self::WrongState => tonic::Code::FailedPrecondition,
            Self::RateLimited => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::Deadline => tonic::Code::DeadlineExceeded,
            Self::Cancelled => tonic::Code::Cancelled,
            Self::Internal => tonic::Code::Internal,
        }
    }

    /// The HTTP status code.
    pub fn http(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::Exists | Self::WrongState => 409,
            Self::RateLimited => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// The code for a gRPC code, also for those Tandem itself never sends.
    pub fn from_grpc(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Self::Invalid,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::PermissionDenied => Self::Forbidden,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::Aborted => Self::Conflict,
            tonic::Code::AlreadyExists => Self::Exists,
            tonic::Code::FailedPrecondition => Self::WrongState,
            tonic::Code::ResourceExhausted => Self::RateLimited,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::DeadlineExceeded => Self::Deadline,
            tonic::Code::Cancelled => Self::Cancelled,
            tonic::Code::Internal
            | tonic::Code::Ok
            | tonic::Code::Unknown
            | tonic::Code::Unimplemented
            | tonic::Code::DataLoss => Self::Internal,
        }
    }

    /// Whether trying the same again, later, can succeed.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::RateLimited | Self::Unavailable | Self::Deadline => true,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::Exists
            | Self::WrongState
            | Self::Cancelled
            | Self::Internal => false,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
