//! How long a request may take, from its headers.

use std::time::Duration;

use http::HeaderMap;

use super::Limits;
use crate::client::{DEADLINE_SCOPE, DEADLINE_SCOPE_OPENING};

/// The time a request has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Allowance {
    pub(super) time: Duration,
    /// Whether the time covers the response stream too, or only the wait for its opening.
    pub(super) covers_stream: bool,
}

/// A named deadline covers the whole call, as gRPC defines it, unless the caller says it is for the opening. Without
/// one the default bounds the wait for an answer, but a stream, once open, may be meant to stay.
pub(super) fn allowance(headers: &HeaderMap, limits: &Limits) -> Allowance {
    let named = headers
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(parse_timeout);
    let is_for_opening = headers
        .get(DEADLINE_SCOPE)
        .is_some_and(|scope| scope == DEADLINE_SCOPE_OPENING);
    match named {
        Some(time) => Allowance {
            time: time.min(limits.max_deadline),
            covers_stream: !is_for_opening,
        },
        None => Allowance {
            time: limits.default_deadline,
            covers_stream: false,
        },
    }
}

/// Source: gRPC over HTTP/2, "Timeout": at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    const MAX_DIGITS: usize = 8;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1ß", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn named_deadline_covers_the_stream_and_is_capped() {
        let limits = Limits::default();
        assert_eq!(
            allowance(&headers(&[("grpc-timeout", "100H")]), &limits),
            Allowance {
                time: limits.max_deadline,
                covers_stream: true
            }
        );
    }

    #[test]
    fn opening_deadline_and_default_leave_the_stream_open() {
        let limits = Limits::default();
        let opening = [("grpc-timeout", "5S"), (DEADLINE_SCOPE, DEADLINE_SCOPE_OPENING)];
        assert_eq!(
            allowance(&headers(&opening), &limits),
            Allowance {
                time: Duration::from_secs(5),
                covers_stream: false
            }
        );
        assert_eq!(
            allowance(&headers(&[]), &limits),
            Allowance {
                time: limits.default_deadline,
                covers_stream: false
            }
        );
    }
}
