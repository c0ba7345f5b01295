use std::error::Error as _;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn full(code: Code) -> Fault {
    Fault::new(code, "SOME_REASON", "something went wrong")
        .violation("parts[2].text", "must not be empty")
        .violation("title", "must be at most 200 characters")
        .with("chat_id", 7)
        .with("epoch", 12)
        .retry_after(Duration::from_millis(1_500))
}

#[test]
fn every_code_survives_the_wire_whole() {
    for code in Code::ALL {
        for fault in [full(code), Fault::new(code, "BARE", "only a message")] {
            let status = Status::from(fault.clone());
            assert_eq!(status.code(), code.grpc());
            assert_eq!(Fault::from(status), fault);
        }
    }
}

#[test]
fn codes_and_grpc_codes_match_one_to_one() {
    for code in Code::ALL {
        assert_eq!(Code::from_grpc(code.grpc()), code);
    }
}

#[test]
fn http_codes_follow_the_table() {
    let table: Vec<_> = Code::ALL.into_iter().map(|code| (code.as_str(), code.http())).collect();
    assert_eq!(
        table,
        [
            ("invalid", 400),
            ("unauthenticated", 401),
            ("forbidden", 403),
            ("not_found", 404),
            ("conflict", 409),
            ("exists", 409),
            ("wrong_state", 409),
            ("rate_limited", 429),
            ("unavailable", 503),
            ("deadline", 504),
            ("cancelled", 499),
            ("internal", 500),
        ]
    );
}

#[test]
fn private_detail_stays_inside() {
    let status = Status::from(Fault::internal("DATABASE", "password=hunter2 refused"));

    let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));

    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(status.message(), "internal error");
    assert_eq!(Fault::from(status).reason, "DATABASE");
}

#[test]
fn detail_is_forgotten_once_logged() {
    let mut fault = Fault::unavailable("DATABASE", "the database does not answer").detail("io");
    fault.log();
    assert_eq!(fault, Fault::unavailable("DATABASE", "the database does not answer"));
}

#[test]
fn over_long_faults_still_fit_into_headers() {
    let long = "ä".repeat(10_000);
    let mut fault = Fault::invalid("LONG", long.clone());
    for index in 0..100 {
        fault = fault
            .violation(long.clone(), long.clone())
            .with(format!("key_{index}"), &long);
    }

    let status = Status::from(fault);

    // Base64 adds a third.
    assert!(status.details().len() * 4 / 3 < crate::MAX_HEADER_BYTES as usize / 2);
    assert_eq!(Fault::from(status).violations.len(), 16);
}

#[test]
fn foreign_statuses_keep_what_is_safe() {
    let cases = [
        (Status::not_found("no such bucket"), Code::NotFound, "no such bucket"),
        (Status::out_of_range("past the end"), Code::Invalid, "past the end"),
        (Status::internal("stack trace"), Code::Internal, "internal error"),
        (Status::unknown("who knows"), Code::Internal, "internal error"),
        (
            Status::unimplemented("no such method"),
            Code::Internal,
            "internal error",
        ),
    ];
    for (status, code, message) in cases {
        let fault = Fault::from(status);
        assert_eq!((fault.code, fault.message.as_str()), (code, message));
    }
}

#[test]
fn foreign_details_are_read_too() {
    let mut details = ErrorDetails::with_bad_request_violation("name", "is taken");
    details.set_retry_info(Some(Duration::from_secs(3)));
    details.set_error_info("THEIRS", "example.com", std::collections::HashMap::new());
    let status = Status::with_error_details(tonic::Code::ResourceExhausted, "slow down", details);

    let fault = Fault::from(status);

    assert_eq!(fault.code, Code::RateLimited);
    assert_eq!(fault.reason, "UPSTREAM");
    assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
    assert_eq!(fault.violations[0].field, "name");
}

#[test]
fn the_librarys_own_timeout_is_a_deadline() {
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(tonic::TimeoutExpired(()));
    let status = Status::from_error(error);
    assert!(status.source().is_some());
    assert_eq!(Fault::from(status).code, Code::Deadline);
}

#[test]
fn a_broken_connection_is_unavailable() {
    let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let status = Status::from_error(Box::new(error));
    assert_eq!(Fault::from(status).code, Code::Unavailable);
}

#[test]
fn display_names_reason_and_fields() {
    let fault = Fault::invalid("BAD_CHAT", "the chat is not valid").violation("title", "is empty");
    assert_eq!(fault.to_string(), "the chat is not valid (BAD_CHAT); title: is empty");
}
