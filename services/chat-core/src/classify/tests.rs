//! The table of failures, row by row, and the words for each kind.

use proptest::prelude::*;

use super::*;
use ErrorKind::*;

fn reported(status: impl Into<Option<u16>>, text: &str) -> Classified {
    classify(&Failure {
        status: status.into(),
        text,
        ..Failure::default()
    })
}

fn caused(cause: Cause, text: &str) -> Classified {
    classify(&Failure {
        cause,
        text,
        ..Failure::default()
    })
}

#[test]
fn status_and_words_decide_in_order() {
    let rows: &[(Option<u16>, &str, ErrorKind, bool)] = &[
        (None, "chat interrupted by user", Generic, false),
        (
            Some(400),
            "No tool output found for function call call_7",
            Generic,
            false,
        ),
        (
            Some(400),
            "Item 'ws_1' was provided without its required 'reasoning' item: 'rs_1'",
            Generic,
            false,
        ),
        (None, "anthropic stream closed before message_stop", Timeout, true),
        (Some(400), "Previous response with id 'resp_1' not found", Generic, true),
        (Some(529), "", Overloaded, true),
        (Some(503), "Overloaded: invalid model", Overloaded, true),
        (Some(429), "insufficient_quota: check your billing", UsageLimit, false),
        (Some(429), "you exceeded your current quota per minute", RateLimit, true),
        (Some(402), "", UsageLimit, false),
        (Some(400), "your billing is not active", UsageLimit, false),
        (Some(401), "", Auth, false),
        (None, "invalid_api_key", Auth, false),
        (Some(403), "", Auth, false),
        (Some(403), "unsupported model for this key", Config, false),
        (Some(429), "", RateLimit, true),
        (None, "Too Many Requests", RateLimit, true),
        (Some(429), "maximum context length is 8192", Config, false),
        (Some(503), "provider_disabled", ProviderDisabled, false),
        (Some(408), "", Timeout, true),
        (Some(502), "", Timeout, true),
        (Some(503), "", Timeout, true),
        (Some(504), "", Timeout, true),
        (Some(503), "invalid model", Config, false),
        (None, "dial tcp 10.0.0.1:443: connection refused", Timeout, true),
        (None, "unexpected EOF", Timeout, true),
        (None, "http2: client conn not usable", Timeout, true),
        (None, "stream error: INTERNAL_ERROR; received from peer", Timeout, true),
        (Some(400), "typeof x is not a function", Generic, false),
        (
            Some(404),
            r#"model "llama9" not found, try pulling it first"#,
            Config,
            false,
        ),
        (Some(400), "context_length_exceeded", Config, false),
        (Some(500), "", Generic, true),
        (None, "The server had an error: server_error", Generic, true),
        (None, "context canceled", Generic, false),
        (Some(400), "temperature must be below 2", Generic, false),
        (None, "", Generic, false),
    ];
    for (status, text, kind, is_retryable) in rows {
        let error = reported(*status, text).error;
        assert_eq!(
            (error.kind, error.retryable),
            (*kind, *is_retryable),
            "{status:?} {text}"
        );
    }
}

#[test]
fn a_status_in_the_text_counts_unless_it_is_a_port_or_a_stream() {
    let rows = [
        ("request failed with status code: 503", Some(503)),
        ("status=429", Some(429)),
        ("HTTP 418 teapot", Some(418)),
        ("got 529 from upstream", Some(529)),
        ("status of host:500 unknown", None),
        ("stream ID 503; PROTOCOL_ERROR", None),
        ("took 5000 ms for 401k tokens", None),
        ("error 404", None),
    ];
    for (text, status) in rows {
        assert_eq!(reported(None, text).error.status_code, status, "{text}");
    }
}

#[test]
fn what_the_caller_knows_beats_every_text() {
    let known = caused(Cause::Known(ContentFilter), "503 overloaded");
    assert_eq!((known.error.kind, known.error.retryable), (ContentFilter, false));
    assert!(caused(Cause::Known(StreamSilenceTimeout), "").error.retryable);
    assert!(caused(Cause::Known(StartupTimeout), "").error.retryable);
    assert!(caused(Cause::Cancelled, "overloaded").is_cancelled);
    let deadline = caused(Cause::OwnDeadline, "deadline exceeded").error;
    assert_eq!((deadline.kind, deadline.retryable), (Timeout, false));
    assert!(caused(Cause::Transport, "canceled").error.retryable);
    assert!(caused(Cause::Truncated, "").error.retryable);
}

#[test]
fn only_certain_resets_by_the_peer_are_retried() {
    let retried = |is_by_peer, code| {
        caused(Cause::StreamReset { is_by_peer, code }, "timeout")
            .error
            .retryable
    };
    for code in [0, 2, 7, 8, 11] {
        assert!(retried(true, code), "{code}");
        assert!(!retried(false, code), "{code}");
    }
    assert!(!retried(true, 1), "a protocol error stays one, whatever the text says");
}

#[test]
fn a_forgotten_response_asks_for_the_whole_history() {
    let broken = reported(400, "Previous response with id 'resp_1' not found");
    assert!(broken.is_chain_broken);
    assert!(!reported(400, "not found").is_chain_broken);
}

#[test]
fn diagnostics_never_show_the_vendors_item_ids() {
    let error = reported(400, "No tool output found for function call call_7").error;
    assert_eq!(error.detail.as_str(), "function_call_output_missing");
}

#[test]
fn the_named_provider_beats_the_guessed_one() {
    let failure = Failure {
        status: Some(529),
        text: "claude is busy",
        ..Failure::default()
    };
    assert_eq!(classify(&failure).error.provider, "anthropic");
    let named = classify(&Failure {
        provider: Some("openrouter"),
        ..failure
    });
    assert_eq!(named.error.provider, "openrouter");
    assert_eq!(named.error.message, "OpenRouter is overloaded at the moment.");
}

#[test]
fn the_vendors_wish_to_wait_is_handed_on() {
    let wait = Duration::from_secs(9);
    let failure = Failure {
        status: Some(429),
        retry_after: wait,
        ..Failure::default()
    };
    assert_eq!(classify(&failure).retry_after, wait);
}

/// Terminal texts beside the shorter ones shown while waiting.
#[test]
fn the_words_for_every_kind() {
    let line = |kind| {
        let failure = Failure {
            provider: Some("openai"),
            cause: Cause::Known(kind),
            ..Failure::default()
        };
        let classified = classify(&failure);
        format!("{kind}: {} | {}", classified.error.message, classified.retry_message)
    };
    insta::assert_snapshot!(ErrorKind::ALL.map(line).join("\n"));
}

proptest! {
    #[test]
    fn any_text_can_be_classified(status in proptest::option::of(any::<u16>()), text in any::<String>()) {
        let classified = reported(status, &text);
        prop_assert!(classified.error.detail.as_str().chars().count() <= 500);
        prop_assert!(!classified.error.message.contains("again"));
    }

    /// Text made of the very tokens the rules look for, in any order.
    #[test]
    fn any_mix_of_signals_can_be_classified(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["status ", "503", ":", "http ", "é", "429", "stream id ", "{", "}", "\"error\":", "eof", "<"]),
            0..12,
        ),
    ) {
        let text = words.concat();
        prop_assert_eq!(reported(None, &text), reported(None, &text));
    }
}
