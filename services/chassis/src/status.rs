//! The error every service speaks: a [`Fault`] here, a `tonic::Status` with `google.rpc` details on the wire, a
//! [`Fault`] again at the caller. Which inner error becomes which fault is each service's own `error.rs`; how a fault
//! looks over HTTP beyond its status code is the gateway's.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

mod code;
mod wire;

pub use code::Code;
pub use wire::DOMAIN;

/// What went wrong, as a caller may see it.
///
/// * `reason`: stable `SCREAMING_SNAKE` word for programs, e.g. `CHAT_NOT_FOUND`.
/// * `message`: one sentence for people; never a vendor body, SQL, path or secret.
/// * `violations`: what to fix, for [`Code::Invalid`].
/// * `metadata`: small facts for programs (`chat_id`, `epoch`); keys in `snake_case`.
/// * `retry_after`: when a retry can help, if known.
///
/// A private detail ([`Fault::detail`]) stays in this process: it is logged once, when the fault leaves it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    pub code: Code,
    pub reason: Cow<'static, str>,
    pub message: String,
    pub violations: Vec<Violation>,
    pub metadata: BTreeMap<String, String>,
    pub retry_after: Option<Duration>,
    detail: Option<String>,
}

/// One field of a request that cannot be accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Path of the field in the request, e.g. `parts[2].text`.
    pub field: String,
    /// What the field must be, as a sentence fragment: `must not be empty`.
    pub description: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Fault {
            $(
                $(#[$doc])*
                pub fn $name(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
                    Self::new(Code::$code, reason, message)
                }
            )*
        }
    };
}

constructors! {
    /// The request itself is wrong; add a [`Fault::violation`] for each field.
    invalid => Invalid;
    /// Nobody proved who is calling.
    unauthenticated => Unauthenticated;
    /// The caller is known and may not do this.
    forbidden => Forbidden;
    /// There is no such thing, or the caller may not know of it.
    not_found => NotFound;
    /// Somebody else changed it first; read again, then retry.
    conflict => Conflict;
    /// It is already there.
    exists => Exists;
    /// The thing exists and is not in a state that allows this.
    wrong_state => WrongState;
    /// Too much, too fast; set [`Fault::retry_after`] unless a budget is spent.
    rate_limited => RateLimited;
    /// Something needed is not there right now; a retry with backoff may succeed.
    unavailable => Unavailable;
    /// The time given was not enough. What happened is unknown to the caller.
    deadline => Deadline;
    /// The caller went away or asked to stop.
    cancelled => Cancelled;
}

impl Fault {
    /// A fault with any code. Prefer the named constructors.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
            detail: None,
        }
    }

    /// A fault of ours. `detail` is for the log only; outside it reads "internal error".
    pub fn internal(reason: impl Into<Cow<'static, str>>, detail: impl fmt::Display) -> Self {
        Self::new(Code::Internal, reason, INTERNAL_MESSAGE).detail(detail)
    }

    /// Adds one field that cannot be accepted.
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push(Violation {
            field: field.into(),
            description: description.into(),
        });
        self
    }

    /// Adds one fact for programs. A repeated key replaces the earlier value.
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Says when a retry can help.
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Keeps the cause for the log. It never leaves this process.
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Logs the private detail, if any, and forgets it, so that it is logged once. Conversion to `tonic::Status` does
    /// this; call it where a fault leaves by another door (HTTP, a task's end).
    pub fn log(&mut self) {
        let Some(detail) = self.detail.take() else {
            return;
        };
        let (code, reason) = (self.code.as_str(), &*self.reason);
        if self.code == Code::Internal {
            tracing::error!(code, reason, error = detail, "request failed");
        } else {
            tracing::warn!(code, reason, error = detail, "request failed");
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.reason)?;
        for violation in &self.violations {
            write!(f, "; {}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

const INTERNAL_MESSAGE: &str = "internal error";

#[cfg(test)]
mod tests;
