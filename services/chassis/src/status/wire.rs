//! A [`Fault`] as `tonic::Status` with `google.rpc` ErrorInfo, BadRequest and RetryInfo, and back.

use std::{collections::HashMap, error::Error as StdError};

use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::{Code, Fault, INTERNAL_MESSAGE, Violation};

/// `google.rpc.ErrorInfo.domain` of every error Tandem itself raises.
pub const DOMAIN: &str = "tandem";

/// Statuses travel in HTTP/2 headers, base64 included; together these stay well below [`crate::MAX_HEADER_BYTES`].
const MAX_MESSAGE_BYTES: usize = 1024;
const MAX_VIOLATIONS: usize = 16;
const MAX_VIOLATION_BYTES: usize = 256;
const MAX_METADATA: usize = 16;
const MAX_METADATA_BYTES: usize = 256;

impl From<Fault> for Status {
    /// Logs the private detail, then drops it. Over-long texts are cut.
    fn from(mut fault: Fault) -> Self {
        fault.log();
        let metadata: HashMap<_, _> = fault
            .metadata
            .into_iter()
            .take(MAX_METADATA)
            .map(|(key, value)| (cut(key, MAX_METADATA_BYTES), cut(value, MAX_METADATA_BYTES)))
            .collect();
        let mut details = ErrorDetails::with_error_info(fault.reason, DOMAIN, metadata);
        if !fault.violations.is_empty() {
            let violations: Vec<_> = fault
                .violations
                .into_iter()
                .take(MAX_VIOLATIONS)
                .map(|violation| {
                    FieldViolation::new(
                        cut(violation.field, MAX_VIOLATION_BYTES),
                        cut(violation.description, MAX_VIOLATION_BYTES),
                    )
                })
                .collect();
            details.set_bad_request(violations);
        }
        if fault.retry_after.is_some() {
            details.set_retry_info(fault.retry_after);
        }
        Status::with_error_details(fault.code.grpc(), cut(fault.message, MAX_MESSAGE_BYTES), details)
    }
}

impl From<Status> for Fault {
    /// Lossless for statuses made from a [`Fault`]. A foreign status keeps its message where that is safe to repeat,
    /// and a broken connection is [`Code::Unavailable`] whatever the library called it.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        match details.error_info() {
            Some(info) if info.domain == DOMAIN => {
                let mut fault = Fault::new(Code::from_grpc(status.code()), info.reason.clone(), status.message());
                fault.metadata = info.metadata.clone().into_iter().collect();
                fault.violations = violations(&details);
                fault.retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
                fault
            }
            Some(_) | None => {
                let mut fault = foreign(&status);
                fault.violations = violations(&details);
                fault.retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
                fault
            }
        }
    }
}

fn violations(details: &ErrorDetails) -> Vec<Violation> {
    details
        .bad_request()
        .map(|bad_request| {
            bad_request
                .field_violations
                .iter()
                .map(|violation| Violation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect()
        })
        .unwrap_or_default()
}

fn foreign(status: &Status) -> Fault {
    if is_timeout(status) {
        return Fault::deadline("DEADLINE_EXCEEDED", "the service did not answer in time").detail(status);
    }
    if is_transport_failure(status) {
        return Fault::unavailable("UNREACHABLE", "the service cannot be reached").detail(status);
    }
    match status.code() {
        tonic::Code::Unimplemented => Fault::internal("UNIMPLEMENTED", status),
        tonic::Code::Internal | tonic::Code::Unknown | tonic::Code::DataLoss | tonic::Code::Ok => {
            Fault::new(Code::Internal, "UPSTREAM", INTERNAL_MESSAGE).detail(status)
        }
        code => Fault::new(Code::from_grpc(code), "UPSTREAM", status.message()),
    }
}

/// The client library reports its own timeout as "cancelled"; the only sign is the error it carries as source.
fn is_timeout(status: &Status) -> bool {
    status.code() == tonic::Code::Cancelled && sources(status).any(|source| source.is::<tonic::TimeoutExpired>())
}

fn is_transport_failure(status: &Status) -> bool {
    sources(status).any(|source| {
        source.is::<tonic::transport::Error>()
            || source.is::<tonic::ConnectError>()
            || source.is::<hyper::Error>()
            || source.is::<std::io::Error>()
    })
}

fn sources<'a>(status: &'a Status) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    fn next<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        (*error).source()
    }
    std::iter::successors(status.source(), next)
}

fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
