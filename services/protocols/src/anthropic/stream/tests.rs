use serde_json::json;
use tandem_chat_core::{
    classify::Classified,
    error::ErrorKind,
    part::{Part, ReasoningPart, SourcePart, ToolCallPart},
};

use super::*;
use crate::{
    anthropic::convert::{search, thinking},
    call::ToolCallDelta,
    test_support::{self, COMPLETION, Understood},
};

const MODEL: &str = "claude-opus-4-1";

fn parse(pieces: &[&[u8]]) -> Understood {
    test_support::parse(Parser::new(MODEL, COMPLETION, HashSet::new(), None), pieces)
}

fn ok(text: &str) -> Vec<Delta> {
    test_support::succeeds(parse, text)
}

fn fails(text: &str) -> Failure {
    test_support::fails(parse, text)
}

fn understood(failure: &Failure) -> Classified {
    test_support::classified(failure, "anthropic")
}

fn kind_of(failure: &Failure) -> (ErrorKind, bool) {
    test_support::kind_of(failure, "anthropic")
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap())
}

fn start() -> String {
    event(&json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": MODEL, "stop_reason": null,
        "usage": {"input_tokens": 9, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1},
    }}))
}

/// A block of one start, some deltas and one stop.
fn block(index: u64, begins: Value, deltas: &[Value]) -> String {
    let mut text = event(&json!({"type": "content_block_start", "index": index, "content_block": begins}));
    for delta in deltas {
        text += &event(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }
    text + &event(&json!({"type": "content_block_stop", "index": index}))
}

fn said(index: u64, words: &str) -> String {
    block(
        index,
        json!({"type": "text", "text": ""}),
        &[json!({"type": "text_delta", "text": words})],
    )
}

fn end(reason: &str) -> String {
    event(
        &json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 7}}),
    ) + &event(&json!({"type": "message_stop"}))
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn finish(reason: FinishReason) -> Delta {
    Delta::Finish(Finish {
        reason,
        usage: Usage {
            input_tokens: Some(9),
            output_tokens: Some(7),
            cache_creation_tokens: Some(5),
            cache_read_tokens: Some(100),
            ..Usage::default()
        },
        response_id: "msg_1".to_owned(),
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
    Delta::Part(test_support::call(id, name, args))
}

fn thought(signature: &str, redacted: Option<&str>) -> Delta {
    Delta::ReasoningDone(ReasoningPart {
        signature: signature.to_owned(),
        provider_metadata: thinking::metadata(MODEL, redacted),
        ..ReasoningPart::default()
    })
}

fn json_delta(text: &str) -> Value {
    json!({"type": "input_json_delta", "partial_json": text})
}

fn tool_use(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {}})
}

/// A stream as the vendor sends it, with thinking and calls in it.
fn recorded() -> String {
    let thinks = |text: &str| json!({"type": "thinking_delta", "thinking": text});
    [
        start(),
        event(&json!({"type": "ping"})),
        block(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            &[
                thinks("Hm. "),
                thinks("Grüße."),
                json!({"type": "signature_delta", "signature": "sig"}),
            ],
        ),
        block(1, json!({"type": "redacted_thinking", "data": "hidden"}), &[]),
        block(
            2,
            json!({"type": "text", "text": ""}),
            &[
                json!({"type": "text_delta", "text": "Größe 終 "}),
                json!({"type": "text_delta", "text": "ok."}),
            ],
        )
        .replace("\n\n", "\r\n\r\n"),
        block(
            3,
            tool_use("toolu_a", "execute"),
            &[json_delta(""), json_delta("{\"command\":"), json_delta("\"ls\"}")],
        ),
        ": comment\n\n".to_owned(),
        block(4, tool_use("toolu_b", "read_file"), &[json_delta("")]),
        end("tool_use"),
    ]
    .concat()
}

fn recorded_deltas() -> Vec<Delta> {
    vec![
        Delta::Reasoning("Hm. ".to_owned()),
        Delta::Reasoning("Grüße.".to_owned()),
        thought("sig", None),
        Delta::Reasoning(String::new()),
        thought("", Some("hidden")),
        text("Größe 終 "),
        text("ok."),
        call_delta("toolu_a", "execute", ""),
        call_delta("toolu_a", "execute", "{\"command\":"),
        call_delta("toolu_a", "execute", "\"ls\"}"),
        call("toolu_a", "execute", json!({"command": "ls"})),
        call_delta("toolu_b", "read_file", ""),
        call("toolu_b", "read_file", json!({})),
        finish(FinishReason::ToolCalls),
    ]
}

/// A stream with a search of the vendor's and citations.
fn searching() -> String {
    let cite = |url: &str, title: &str| {
        json!({"type": "citations_delta", "citation": {
            "type": "web_search_result_location", "url": url, "title": title, "cited_text": "x", "encrypted_index": "e",
        }})
    };
    [
        start(),
        block(
            0,
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
            &[json_delta("{\"query\":"), json_delta("\"x\"}")],
        ),
        block(
            1,
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found()]}),
            &[],
        ),
        said(2, "It is "),
        block(
            3,
            json!({"type": "text", "text": "", "citations": []}),
            &[
                cite("https://a.org", "A"),
                json!({"type": "text_delta", "text": "so"}),
                cite("https://a.org", "A"),
                cite("https://b.org", "B"),
            ],
        ),
        said(4, "."),
        end("end_turn"),
    ]
    .concat()
}

fn found() -> Value {
    json!({"type": "web_search_result", "url": "https://a.org", "title": "A", "encrypted_content": "x", "page_age": null})
}

#[test]
fn a_whole_stream_is_understood() {
    assert_eq!(ok(&recorded()), recorded_deltas());
}

#[test]
fn a_search_of_the_vendors_is_kept_whole_and_its_citations_become_sources() {
    let source = |url: &str, title: &str| {
        Delta::Part(Part::Source(SourcePart {
            url: url.to_owned(),
            title: title.to_owned(),
            ..SourcePart::default()
        }))
    };
    let Part::ToolCall(asked) = test_support::call("srvtoolu_1", "web_search", json!({"query": "x"})) else {
        panic!("a call")
    };
    let content = json!([found()]);
    let result = tandem_chat_core::part::ToolResultPart {
        provider_executed: true,
        provider_metadata: search::metadata(&content),
        ..test_support::result(
            "srvtoolu_1",
            "web_search",
            json!({"sources": [{"url": "https://a.org", "title": "A"}]}),
        )
    };
    let expected = [
        Delta::Part(Part::ToolCall(ToolCallPart {
            provider_executed: true,
            ..asked
        })),
        Delta::Part(Part::ToolResult(result)),
        text("It is "),
        text("so"),
        text("."),
        source("https://a.org", "A"),
        source("https://b.org", "B"),
        finish(FinishReason::Stop),
    ];
    assert_eq!(ok(&searching()), expected);
}

#[test]
fn a_search_that_failed_is_an_error_result() {
    let failed = json!({"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"});
    let stream = start()
        + &block(
            0,
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": failed}),
            &[],
        )
        + &end("end_turn");
    let Delta::Part(Part::ToolResult(result)) = &ok(&stream)[0] else {
        panic!("a result")
    };
    assert!(result.is_error);
    assert_eq!(result.result, json!({"error": "max_uses_exceeded"}));
}

#[test]
fn what_is_an_answer_of_nobody_is_told_apart() {
    test_support::check_garbage(parse, "anthropic");
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    let (recorded, searching) = (recorded(), searching());
    test_support::check_noise(parse, "anthropic", &[recorded.as_bytes(), searching.as_bytes()]);
}

#[test]
fn a_stream_split_at_any_byte_says_the_same() {
    test_support::check_splits(parse, &recorded(), &recorded_deltas());
    test_support::check_splits(parse, &searching(), &ok(&searching()));
}

#[test]
fn a_stream_cut_at_any_byte_is_finished_or_worth_another_try() {
    for recorded in [recorded(), searching()] {
        let end = recorded.find("stop_sequence").unwrap();
        test_support::check_cuts(parse, "anthropic", &recorded, end);
    }
}

#[test]
fn an_answer_that_was_not_streamed_is_an_answer() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "toolu_a", "name": "t", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 7},
    });
    let expected = [
        Delta::Reasoning("Hm.".to_owned()),
        thought("sig", None),
        text("hi"),
        call_delta("toolu_a", "t", ""),
        call_delta("toolu_a", "t", "{\"a\":1}"),
        call("toolu_a", "t", json!({"a": 1})),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(ok(&body.to_string()), expected);
    assert_eq!(kind_of(&fails(&body.to_string()[..60])), (ErrorKind::Timeout, true));
}

#[test]
fn what_servers_leave_out_is_done_without() {
    let stream = [
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"name\":\"t\",\"input\":{\"x\":1}}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":null}\n\n",
        "data: [DONE]\n\n",
    ]
    .concat();
    let made = format!("call_{}_0", &COMPLETION.uuid().simple().to_string()[8..]);
    let last = Delta::Finish(Finish {
        reason: FinishReason::ToolCalls,
        usage: Usage::default(),
        response_id: String::new(),
    });
    assert_eq!(
        ok(&stream),
        [
            text("a"),
            text("b"),
            call_delta(&made, "t", ""),
            call_delta(&made, "t", "{\"x\":1}"),
            call(&made, "t", json!({"x": 1})),
            last,
        ]
    );
}

#[test]
fn what_is_unknown_is_passed_over() {
    let stream = start()
        + &block(
            0,
            json!({"type": "mcp_tool_use", "id": "x", "name": "y", "input": {}}),
            &[json_delta("{}")],
        )
        + &event(&json!({"type": "something_new", "index": 0}))
        + &block(
            1,
            json!({"type": "text", "text": ""}),
            &[json!({"type": "new_delta"}), json_delta("{")],
        )
        + &event(&json!({"type": "content_block_stop", "index": 9}))
        + &said(2, "hi")
        + &end("end_turn");
    assert_eq!(ok(&stream), [text("hi"), finish(FinishReason::Stop)]);
}

#[test]
fn every_reason_to_stop_has_its_meaning() {
    for (reason, expected) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("tool_use", FinishReason::Stop),
    ] {
        assert_eq!(ok(&(start() + &end(reason))), [finish(expected)], "{reason}");
    }
}

#[test]
fn arguments_that_are_no_object_travel_beside_an_empty_one() {
    for broken in ["{\"a\":", "[1]", "\"text\""] {
        let stream = start() + &block(0, tool_use("toolu_a", "t"), &[json_delta(broken)]) + &end("max_tokens");
        let Delta::Part(Part::ToolCall(call)) = &ok(&stream)[2] else {
            panic!("a call")
        };
        assert_eq!(call.args, json!({}));
        assert_eq!(call.provider_metadata["invalid_arguments"], broken);
    }
}

#[test]
fn endless_calls_signatures_and_blocks_are_bounded() {
    let calls: String = (0..200)
        .map(|index| block(index, tool_use("toolu_a", "t"), &[]))
        .collect();
    assert_eq!(kind_of(&fails(&(start() + &calls))), (ErrorKind::Generic, false));
    let starts: String = (0..200)
        .map(|index| event(&json!({"type": "content_block_start", "index": index, "content_block": {"type": "text"}})))
        .collect();
    assert_eq!(kind_of(&fails(&(start() + &starts))), (ErrorKind::Generic, false));
    let piece = json!({"type": "signature_delta", "signature": "x".repeat(400_000)});
    let stream =
        start() + &block(0, json!({"type": "thinking"}), &[piece.clone(), piece.clone(), piece]) + &end("end_turn");
    let Delta::ReasoningDone(done) = &ok(&stream)[1] else {
        panic!("thinking")
    };
    assert_eq!(done.signature.len(), 800_000);
}

#[test]
fn an_error_inside_a_stream_is_classified_like_its_status() {
    for (kind, message, expected) in [
        ("overloaded_error", "Overloaded", (ErrorKind::Overloaded, true)),
        (
            "rate_limit_error",
            "Number of requests exceeded",
            (ErrorKind::RateLimit, true),
        ),
        ("api_error", "Internal server error", (ErrorKind::Generic, true)),
        ("timeout_error", "Request timed out", (ErrorKind::Timeout, true)),
        ("authentication_error", "invalid x-api-key", (ErrorKind::Auth, false)),
        ("permission_error", "not allowed", (ErrorKind::Auth, false)),
        ("billing_error", "pay first", (ErrorKind::UsageLimit, false)),
        ("not_found_error", "model: claude-9", (ErrorKind::Config, false)),
        ("invalid_request_error", "messages: bad", (ErrorKind::Generic, false)),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
        for before in [String::new(), start() + &said(0, "par")] {
            let failure = fails(&(before + &event(&error)));
            assert_eq!(kind_of(&failure), expected, "{kind}");
        }
        assert_eq!(kind_of(&fails(&error.to_string())), expected, "not streamed: {kind}");
    }
    for stream in [
        "event: error\ndata: overloaded\n\n",
        "event: error\ndata: {\"message\":\"Overloaded\"}\n\n",
        "data: {\"error\":\"overloaded\"}\n\n",
    ] {
        assert_eq!(kind_of(&fails(stream)), (ErrorKind::Overloaded, true), "{stream}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_known_as_such() {
    for message in [
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
    ] {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
        let understood = understood(&fails(&event(&error)));
        assert!(understood.is_context_exceeded, "{message}");
        assert_eq!(understood.error.kind, ErrorKind::Config);
    }
}

#[test]
fn what_is_no_answer_says_so() {
    let page = fails("<!doctype html><html><title> Sign in </title></html>");
    assert_eq!(kind_of(&page), (ErrorKind::Config, false));
    assert!(page.text.contains("Messages API"), "{}", page.text);
    for empty in [
        "",
        " \r\n",
        ": ping\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "data: [DONE]\n\n",
    ] {
        assert_eq!(kind_of(&fails(empty)), (ErrorKind::Timeout, true), "{empty:?}");
    }
    let nothing = event(&json!({"type": "message_stop"}));
    assert_eq!(kind_of(&fails(&nothing)), (ErrorKind::Timeout, true));
    for garbage in [
        "data: {\"choices\": [{\"delta\": {\"content\": \"hi\"}}]}\n\n",
        "data: hello\n\n",
        "data: {\"type\": 7}\n\n",
        "data: {broken\n\n",
        "[1, 2",
        "{\"models\": []}",
        "{not json}",
    ] {
        assert!(!fails(garbage).text.is_empty(), "{garbage}");
    }
}

#[test]
fn nonsense_is_not_counted() {
    let stream = event(
        &json!({"type": "message_start", "message": {"id": 7, "usage": {"input_tokens": -1, "output_tokens": 1.5}}}),
    ) + &event(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": "many"}}),
    );
    let Some(Delta::Finish(finish)) = ok(&stream).pop() else {
        panic!("an end")
    };
    assert_eq!(finish.usage, Usage::default());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
        parse(&[&bytes]);
        parse(&[b"data: ", &bytes, b"\n\n"]);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(place in 0_usize..4_000, byte in proptest::prelude::any::<u8>()) {
        for recorded in [recorded(), searching()] {
            let mut bytes = recorded.into_bytes();
            let place = place % bytes.len();
            bytes[place] = byte;
            parse(&[&bytes]);
        }
    }

    #[test]
    fn no_order_of_events_makes_it_panic(order in proptest::collection::vec(0_usize..24, 0..40)) {
        let recorded = recorded() + &searching();
        let events: Vec<&str> = recorded.split_inclusive("\n\n").collect();
        let shuffled: String = order.iter().map(|place| events[place % events.len()]).collect();
        parse(&[shuffled.as_bytes()]);
    }
}
