use tandem_proto::common::v1::{ToolCallDelta, ToolCallPart};
use tandem_proto::provider::v1::CompletionStarted;

use super::*;

fn now() -> Timestamp {
    Timestamp { seconds: 1, nanos: 0 }
}

fn call(id: &str, provider_executed: bool, metadata: &str) -> Part {
    let call = ToolCallPart {
        tool_call_id: id.to_owned(),
        tool_name: "execute".to_owned(),
        arguments_json: "{}".to_owned(),
        provider_executed,
        ..ToolCallPart::default()
    };
    Part {
        kind: Some(Kind::ToolCall(call)),
        provider_metadata_json: metadata.to_owned(),
    }
}

#[test]
fn neighbouring_deltas_become_one_part_and_every_delta_is_shown() {
    let mut answer = Answer::default();
    let shown = ["Hel", "lo"].map(|delta| answer.apply(Event::TextDelta(delta.to_owned()), now()));
    assert!(shown.iter().all(Option::is_some));
    answer.apply(Event::ReasoningDelta("hm".to_owned()), now());
    answer.apply(Event::TextDelta("!".to_owned()), now());
    answer.apply(Event::Finished(CompletionFinished::default()), now());

    let parts = answer.into_message(&ModelConfig::default()).parts;
    assert_eq!(parts.len(), 3);
    assert_eq!(
        parts[0].kind,
        Some(Kind::Text(TextPart {
            text: "Hello".to_owned()
        }))
    );
    let Some(Kind::Reasoning(reasoning)) = &parts[1].kind else {
        panic!("expected reasoning, got {parts:?}")
    };
    assert!(
        reasoning.completed_at.is_some(),
        "reasoning is closed when the answer ends"
    );
}

#[test]
fn an_answer_is_of_the_model_that_gave_it() {
    let asked = ModelConfig {
        id: "asked".to_owned(),
        ..ModelConfig::default()
    };
    let mut answer = Answer::default();
    answer.apply(Event::TextDelta("Hello".to_owned()), now());
    assert_eq!(answer.into_message(&asked).model_config_id, "asked");

    let mut answer = Answer::default();
    let started = CompletionStarted {
        model_config_id: "spare".to_owned(),
        ..CompletionStarted::default()
    };
    assert!(answer.apply(Event::Started(started), now()).is_none());
    answer.apply(Event::TextDelta("Hello".to_owned()), now());
    assert_eq!(answer.into_message(&asked).model_config_id, "spare");
}

#[test]
fn only_calls_of_ours_are_run_and_broken_arguments_travel_along() {
    let mut answer = Answer::default();
    let delta = ToolCallDelta {
        tool_call_id: "a".to_owned(),
        ..ToolCallDelta::default()
    };
    answer.apply(Event::ToolCallDelta(delta), now());
    answer.apply(Event::Part(call("a", false, "")), now());
    answer.apply(Event::Part(call("b", true, "")), now());
    answer.apply(Event::Part(call("c", false, r#"{"invalid_arguments":"{oops"}"#)), now());

    let calls = answer.local_calls();
    let ids: Vec<_> = calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(calls[1].invalid_arguments.as_deref(), Some("{oops"));
}

#[test]
fn an_answer_cut_off_before_it_said_anything_leaves_nothing() {
    let mut answer = Answer::default();
    answer.apply(Event::TextDelta(" \n".to_owned()), now());
    assert!(answer.into_partial(&ModelConfig::default(), now()).is_none());
}

#[test]
fn the_context_limit_of_the_model_fills_in_for_a_silent_vendor() {
    let mut answer = Answer::default();
    let finished = CompletionFinished {
        usage: Some(Usage::default()),
        ..CompletionFinished::default()
    };
    answer.apply(Event::Finished(finished), now());
    let model = ModelConfig {
        context_limit: 8_192,
        ..ModelConfig::default()
    };
    assert_eq!(
        answer.into_message(&model).usage.and_then(|usage| usage.context_limit),
        Some(8_192)
    );
}
