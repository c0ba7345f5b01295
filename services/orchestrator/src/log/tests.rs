use tandem_proto::common::v1::{Role, ToolCallDelta};

use super::*;

fn text(text: &str) -> LivePart {
    LivePart {
        role: Role::Assistant.into(),
        content: Some(Content::TextDelta(text.to_owned())),
        created_at: None,
    }
}

fn call(id: &str, arguments: &str) -> LivePart {
    let delta = ToolCallDelta {
        tool_call_id: id.to_owned(),
        tool_name: "execute".to_owned(),
        arguments_delta: arguments.to_owned(),
    };
    LivePart {
        role: Role::Assistant.into(),
        content: Some(Content::ToolCallDelta(delta)),
        created_at: None,
    }
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match &entry.event {
            Event::Part(LivePart {
                content: Some(Content::TextDelta(text)),
                ..
            }) => text.clone(),
            Event::Part(LivePart {
                content: Some(Content::ToolCallDelta(delta)),
                ..
            }) => delta.arguments_delta.clone(),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
        })
        .collect()
}

fn log() -> Log {
    let log = Log::new(1, 5);
    log.begin(0, 0);
    log
}

#[test]
fn a_reader_at_any_place_sees_the_rest_once() {
    let log = log();
    for word in ["a", "b", "c", "d"] {
        log.push(text(word)).unwrap();
    }
    let first = log.read(None, 5, 10);
    assert_eq!(texts(&first), ["abcd"]);
    let place = Position {
        step: 0,
        attempt: 0,
        index: 3,
    };
    assert_eq!(texts(&log.read(Some(place), 5, 10)), ["d"]);
    assert_eq!(log.read(Some(log.position()), 5, 10), []);
}

#[test]
fn deltas_of_different_parts_stay_apart() {
    let log = log();
    for part in [text("x"), call("1", "{"), call("1", "}"), call("2", "{}"), text("y")] {
        log.push(part).unwrap();
    }
    assert_eq!(texts(&log.read(None, 5, 10)), ["x", "{}", "{}", "y"]);
    assert_eq!(texts(&log.read(None, 5, 2)), ["x", "{}"]);
}

#[test]
fn entries_wait_for_the_version_they_follow() {
    let log = log();
    log.push(text("step 0")).unwrap();
    log.seal(log.position(), 7);
    log.begin(1, 0);
    log.push(text("step 1")).unwrap();

    assert_eq!(texts(&log.read(None, 5, 10)), ["step 0"]);
    assert_eq!(texts(&log.read(None, 7, 10)), ["step 0", "step 1"]);
}

#[test]
fn durable_steps_are_dropped_one_step_late() {
    let log = log();
    for step in 0..3 {
        log.begin(step, 0);
        log.push(text(&step.to_string())).unwrap();
        log.seal(log.position(), i64::from(step) + 6);
    }
    assert_eq!(
        texts(&log.read(None, 99, 10)),
        ["2"],
        "only the last sealed step is still there for a reader that lags"
    );
}

#[test]
fn a_late_joiner_sees_neither_durable_nor_withdrawn_parts() {
    let log = log();
    log.push(text("durable")).unwrap();
    let sealed = log.position();
    log.seal(sealed, 6);
    log.begin(1, 0);
    log.push(text("withdrawn")).unwrap();
    log.withdraw(
        1,
        Some(RetryEvent {
            attempt: 1,
            ..RetryEvent::default()
        }),
    );

    let start = log.snapshot_start(Some(sealed), 6);
    assert_eq!(
        texts(&log.read(start, 6, 10)),
        ["Retry"],
        "while waiting, the retry is what there is to see"
    );

    log.push(text("second try")).unwrap();
    let start = log.snapshot_start(Some(sealed), 6);
    assert_eq!(
        texts(&log.read(start, 6, 10)),
        ["second try"],
        "the retry is over once a part has come"
    );
}

#[test]
fn a_reader_that_saw_the_failed_attempt_sees_its_withdrawal() {
    let log = log();
    log.push(text("a")).unwrap();
    let seen = log.position();
    log.withdraw(1, None);
    log.push(text("b")).unwrap();
    assert_eq!(texts(&log.read(Some(seen), 5, 10)), ["Reset", "b"]);
}

#[test]
fn a_full_log_refuses_and_keeps_what_it_has() {
    let log = log();
    let big = "x".repeat(MAX_LOG_BYTES / 2);
    log.push(text(&big)).unwrap();
    assert!(log.push(text(&big)).is_err());
    log.push(text("small")).unwrap();
    assert_eq!(log.position().index, 2);
}

#[test]
fn an_attempt_that_a_later_owner_goes_on_with_withdraws_those_it_never_saw() {
    let log = log();
    log.begin(0, 2);
    log.push(text("third try")).unwrap();
    let seen_in_another_log = Position {
        step: 0,
        attempt: 1,
        index: 4,
    };
    assert_eq!(
        texts(&log.read(Some(seen_in_another_log), 5, 10)),
        ["Reset", "third try"]
    );
    let start = log.snapshot_start(None, 5);
    assert_eq!(texts(&log.read(start, 5, 10)), ["third try"]);
}

#[test]
fn an_attempt_is_withdrawn_once() {
    let log = log();
    log.push(text("a")).unwrap();
    log.withdraw(1, None);
    log.begin(0, 1);
    log.withdraw(1, None);
    assert_eq!(texts(&log.read(None, 5, 10)), ["a", "Reset"]);
}
