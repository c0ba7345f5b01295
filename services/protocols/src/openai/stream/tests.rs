use serde_json::json;
use tandem_chat_core::{
    error::ErrorKind,
    part::{Part, ToolCallPart},
};

use super::*;
use crate::{
    call::ToolCallDelta,
    test_support::{self, COMPLETION, Understood},
};

fn parse(pieces: &[&[u8]]) -> Understood {
    test_support::parse(Parser::new(COMPLETION, HashSet::new()), pieces)
}

fn ok(text: &str) -> Vec<Delta> {
    test_support::succeeds(parse, text)
}

fn fails(text: &str) -> Failure {
    test_support::fails(parse, text)
}

fn kind_of(failure: &Failure) -> (ErrorKind, bool) {
    test_support::kind_of(failure, "openai-compat")
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(delta: Value) -> String {
    event(&json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
}

fn stop(reason: &str) -> String {
    event(&json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn finish(reason: FinishReason, usage: Usage) -> Delta {
    Delta::Finish(Finish {
        reason,
        usage,
        response_id: "chatcmpl-1".to_owned(),
    })
}

fn call_delta(id: &str, name: &str, arguments: &str) -> Delta {
    Delta::ToolCall(ToolCallDelta {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn call(id: &str, name: &str, args: Value) -> Delta {
    Delta::Part(Part::ToolCall(ToolCallPart {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: name.to_owned(),
        args,
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: serde_json::Map::new(),
    }))
}

/// A stream as the vendor sends it, with everything in it.
fn recorded() -> String {
    [
        ": keep-alive\r\n\r\n".to_owned(),
        delta(json!({"role": "assistant", "content": "", "refusal": null})),
        delta(json!({"reasoning_content": "Hm. "})),
        delta(json!({"reasoning_content": "Grüße."})),
        delta(json!({"content": "Größe 終 "})).replace("\n\n", "\r\n\r\n"),
        delta(json!({"content": "ok."})),
        delta(json!({"tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "execute", "arguments": ""}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"command\":"}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"ls\"}"}}]})),
        delta(json!({"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}]})),
        stop("tool_calls"),
        event(&json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}})),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

fn recorded_usage() -> Usage {
    Usage {
        input_tokens: Some(9),
        output_tokens: Some(7),
        total_tokens: Some(16),
        ..Usage::default()
    }
}

fn recorded_deltas() -> Vec<Delta> {
    vec![
        Delta::Reasoning("Hm. ".to_owned()),
        Delta::Reasoning("Grüße.".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        text("Größe 終 "),
        text("ok."),
        call_delta("call_a", "execute", ""),
        call_delta("call_a", "execute", "{\"command\":"),
        call_delta("call_a", "execute", "\"ls\"}"),
        call_delta("call_b", "read_file", "{}"),
        call("call_a", "execute", json!({"command": "ls"})),
        call("call_b", "read_file", json!({})),
        finish(FinishReason::ToolCalls, recorded_usage()),
    ]
}

#[test]
fn a_whole_stream_is_understood() {
    assert_eq!(ok(&recorded()), recorded_deltas());
}

#[test]
fn what_is_an_answer_of_nobody_is_told_apart() {
    test_support::check_garbage(parse, "openai");
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    test_support::check_noise(parse, "openai", &[recorded().as_bytes()]);
}

#[test]
fn a_stream_split_at_any_byte_says_the_same() {
    test_support::check_splits(parse, &recorded(), &recorded_deltas());
}

#[test]
fn a_stream_cut_at_any_byte_is_finished_or_worth_another_try() {
    let recorded = recorded();
    let bytes = recorded.as_bytes();
    let mut finished = 0;
    for place in 0..bytes.len() {
        let (deltas, failure) = parse(&[&bytes[..place]]);
        match failure {
            None => {
                assert!(matches!(deltas.last(), Some(Delta::Finish(_))), "cut at {place}");
                finished += 1;
            }
            Some(failure) => {
                assert_eq!(
                    kind_of(&failure),
                    (ErrorKind::Timeout, true),
                    "cut at {place}: {failure:?}"
                );
                assert!(
                    !deltas
                        .iter()
                        .any(|delta| matches!(delta, Delta::Finish(_) | Delta::Part(_)))
                );
            }
        }
    }
    assert!(finished > 0, "the end can be cut without harm");
}

#[test]
fn a_stream_without_its_end_mark_or_usage_is_complete_once_the_model_has_finished() {
    let stream = delta(json!({"content": "hi"})) + &stop("stop");
    assert_eq!(ok(&stream), [text("hi"), finish(FinishReason::Stop, Usage::default())]);
}

#[test]
fn usage_may_come_with_the_last_chunk_and_an_end_mark_without_a_reason_will_do() {
    let stream = delta(json!({"content": "hi"}))
        + &event(
            &json!({"choices": [{"delta": {}, "finish_reason": ""}], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}}),
        )
        + "data: [DONE]";
    assert_eq!(ok(&stream), [text("hi"), finish(FinishReason::Stop, recorded_usage())]);
}

#[test]
fn an_answer_that_was_not_streamed_is_an_answer() {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "hi", "reasoning": "hm",
            "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "t", "arguments": "{\"a\":1}"}}],
        }}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
    });
    let expected = [
        Delta::Reasoning("hm".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        text("hi"),
        call_delta("call_a", "t", "{\"a\":1}"),
        call("call_a", "t", json!({"a": 1})),
        finish(FinishReason::ToolCalls, recorded_usage()),
    ];
    assert_eq!(ok(&body.to_string()), expected);
    assert_eq!(
        ok(&format!("\u{feff}\n {}", serde_json::to_string_pretty(&body).unwrap())),
        expected
    );
    let half = &body.to_string()[..60];
    assert_eq!(kind_of(&fails(half)), (ErrorKind::Timeout, true));
}

#[test]
fn content_may_come_in_pieces() {
    let stream =
        delta(json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})) + &stop("stop");
    assert_eq!(ok(&stream)[0], text("ab"));
    let refusal = delta(json!({"content": null, "refusal": "no"})) + &stop("stop");
    assert_eq!(ok(&refusal)[0], text("no"));
}

#[test]
fn whole_calls_without_ids_get_ids_of_their_own() {
    let made = |place| format!("call_{}_{place}", &COMPLETION.uuid().simple().to_string()[8..]);
    let stream = delta(json!({"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}))
        + &delta(json!({"tool_calls": [{"function": {"name": "b", "arguments": {"x": 1}}}]}))
        + &stop("stop");
    assert_eq!(
        ok(&stream),
        [
            call_delta(&made(0), "a", "{}"),
            call_delta(&made(1), "b", "{\"x\":1}"),
            call(&made(0), "a", json!({})),
            call(&made(1), "b", json!({"x": 1})),
            finish(FinishReason::ToolCalls, Usage::default()),
        ]
    );
}

#[test]
fn calls_that_share_an_index_are_told_apart_by_their_ids() {
    let stream = delta(json!({"tool_calls": [
        {"index": 0, "id": "call_a", "function": {"name": "a", "arguments": "{}"}},
        {"index": 0, "id": "call_b", "function": {"name": "b", "arguments": "{\"x\":"}},
    ]})) + &delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}))
        + &stop("tool_calls");
    let parts: Vec<Delta> = ok(&stream)
        .into_iter()
        .filter(|delta| matches!(delta, Delta::Part(_)))
        .collect();
    assert_eq!(
        parts,
        [call("call_a", "a", json!({})), call("call_b", "b", json!({"x": 1}))]
    );
}

#[test]
fn an_id_the_prompt_has_already_is_not_used_again() {
    let used = HashSet::from([ToolCallId::new("call_0").unwrap()]);
    let mut parser = Parser::new(COMPLETION, used);
    let mut deltas = Vec::new();
    let stream =
        delta(json!({"tool_calls": [{"index": 0, "id": "call_0", "function": {"name": "a", "arguments": "{}"}}]}));
    parser.push(stream.as_bytes(), &mut deltas).unwrap();
    let Delta::ToolCall(call) = &deltas[0] else {
        panic!("{deltas:?}")
    };
    assert_ne!(call.tool_call_id.as_str(), "call_0");
}

#[test]
fn odd_indexes_and_late_names_are_followed() {
    let stream = delta(json!({"tool_calls": [{"index": -7, "id": "call_a", "function": {"arguments": "{\"x\":"}}]}))
        + &delta(json!({"tool_calls": [{"index": "-7", "function": {"name": "a"}}]}))
        + &delta(
            json!({"tool_calls": [{"index": 9_000_000_000_i64, "id": "call_z", "function": {"name": "z", "arguments": ""}}]}),
        )
        + &delta(json!({"tool_calls": [{"index": -7, "function": {"arguments": "1}"}}]}))
        + &stop("tool_calls");
    let deltas = ok(&stream);
    assert_eq!(deltas[0], call_delta("call_a", "a", "{\"x\":"));
    assert_eq!(deltas[3], call("call_a", "a", json!({"x": 1})));
    assert_eq!(deltas[4], call("call_z", "z", json!({})));
}

#[test]
fn arguments_that_are_no_object_travel_beside_an_empty_one() {
    for broken in ["{\"a\":", "[1]", "\"text\"", "null", "{} trailing"] {
        let stream = delta(
            json!({"tool_calls": [{"index": 0, "id": "call_a", "function": {"name": "t", "arguments": broken}}]}),
        ) + &stop("tool_calls");
        let deltas = ok(&stream);
        assert_eq!(deltas[0], call_delta("call_a", "t", broken));
        let Delta::Part(Part::ToolCall(call)) = &deltas[1] else {
            panic!("{deltas:?}")
        };
        assert_eq!(call.args, json!({}));
        assert_eq!(call.provider_metadata["invalid_arguments"], broken);
    }
}

#[test]
fn endless_arguments_and_endless_calls_are_bounded() {
    let piece = delta(
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "t", "arguments": "x".repeat(400_000)}}]}),
    );
    let deltas = ok(&(piece.repeat(4) + &stop("tool_calls")));
    let Some(Delta::Part(Part::ToolCall(call))) = deltas.get(deltas.len() - 2) else {
        panic!("no call")
    };
    assert!(
        call.provider_metadata["invalid_arguments"]
            .as_str()
            .unwrap()
            .contains("longer than")
    );

    let many: String = (0..200)
        .map(|index| delta(json!({"tool_calls": [{"index": index, "function": {"name": "t", "arguments": "{}"}}]})))
        .collect();
    assert_eq!(kind_of(&fails(&many)), (ErrorKind::Generic, false));
}

#[test]
fn an_error_inside_a_stream_is_classified_like_its_status() {
    for (error, expected) in [
        (
            json!({"message": "Overloaded", "type": "overloaded_error"}),
            (ErrorKind::Overloaded, true),
        ),
        (
            json!({"message": "slow down", "code": 429}),
            (ErrorKind::RateLimit, true),
        ),
        (
            json!({"message": "slow down", "code": "429"}),
            (ErrorKind::RateLimit, true),
        ),
        (
            json!({"message": "Rate limit reached", "code": "rate_limit_exceeded"}),
            (ErrorKind::RateLimit, true),
        ),
        (
            json!({"message": "You exceeded your current quota", "code": "insufficient_quota"}),
            (ErrorKind::UsageLimit, false),
        ),
        (
            json!({"message": "The server had an error", "type": "server_error", "code": 500}),
            (ErrorKind::Generic, true),
        ),
        (json!("model not found"), (ErrorKind::Config, false)),
    ] {
        for before in ["", &delta(json!({"content": "par"}))] {
            let failure = fails(&(before.to_owned() + &event(&json!({ "error": error }))));
            assert_eq!(kind_of(&failure), expected, "{error}");
        }
        let document = fails(&json!({ "error": error }).to_string());
        assert_eq!(kind_of(&document), expected, "not streamed: {error}");
    }
    for stream in [
        "event: error\ndata: {\"message\":\"Overloaded\"}\n\n",
        "event: error\ndata: overloaded\n\n",
        "data: {\"object\":\"error\",\"message\":\"overloaded\",\"code\":529}\n\n",
    ] {
        assert_eq!(kind_of(&fails(stream)), (ErrorKind::Overloaded, true), "{stream}");
    }
}

#[test]
fn what_is_no_answer_says_so() {
    let page = fails("<!doctype html><html><title> Sign in </title></html>");
    assert_eq!(kind_of(&page), (ErrorKind::Config, false));
    assert!(
        page.text.contains("Sign in") && page.text.contains("base URL"),
        "{}",
        page.text
    );

    for empty in [
        "",
        " \r\n",
        ": ping\n\n: ping\n\n",
        "data: [DONE]\n\n",
        "data:\n\n",
        "event: x\n\n",
    ] {
        assert_eq!(kind_of(&fails(empty)), (ErrorKind::Timeout, true), "{empty:?}");
    }
    for garbage in [
        "data: {\"choices\": 7}\n\n",
        "data: hello\n\n",
        "data: {\"choices\": [{\"delta\": []}]}\n\n",
        "data: {broken\n\n",
        "[1, 2",
        "{\"models\": []}",
        "{not json}",
    ] {
        let failure = fails(garbage);
        assert!(!failure.text.is_empty(), "{garbage}");
    }
}

#[test]
fn negative_usage_and_other_choices_are_passed_over() {
    let stream = event(&json!({"id": "chatcmpl-1", "choices": [{"index": 1, "delta": {"content": "other"}}]}))
        + &delta(json!({"content": "hi"}))
        + &event(
            &json!({"choices": [{"delta": null, "finish_reason": "length"}], "usage": {"prompt_tokens": -1, "completion_tokens": -2}}),
        )
        + &event(&json!({"choices": null, "usage": null}));
    assert_eq!(
        ok(&stream),
        [text("hi"), finish(FinishReason::Length, Usage::default())]
    );
}

#[test]
fn two_documents_in_one_event_are_two_chunks() {
    let stream = delta(json!({"content": "a"})).trim_end().to_owned()
        + "\n"
        + delta(json!({"content": "b"})).trim_end()
        + "\n\n"
        + &stop("stop");
    assert_eq!(ok(&stream)[..2], [text("a"), text("b")]);
}

#[test]
fn the_older_form_of_a_call_is_a_call() {
    let stream = delta(json!({"function_call": {"name": "t", "arguments": "{\"a\""}}))
        + &delta(json!({"function_call": {"arguments": ":1}"}}))
        + &stop("function_call");
    let deltas = ok(&stream);
    let Some(Delta::Part(Part::ToolCall(call))) = deltas.get(2) else {
        panic!("{deltas:?}")
    };
    assert_eq!(call.args, json!({"a": 1}));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
        parse(&[&bytes]);
        parse(&[b"data: ", &bytes, b"\n\n"]);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(place in 0_usize..2_000, byte in proptest::prelude::any::<u8>()) {
        let mut bytes = recorded().into_bytes();
        let place = place % bytes.len();
        bytes[place] = byte;
        parse(&[&bytes]);
    }
}
