use serde_json::json;
use tandem_chat_core::{
    classify::Classified,
    error::ErrorKind,
    part::{Part, ReasoningPart, SourcePart, ToolCallPart, ToolResultPart},
};

use super::*;
use crate::{
    call::ToolCallDelta,
    responses::convert::{search, thinking},
    test_support::{self, COMPLETION, Understood},
};

mod computer;
mod odd;

fn origin() -> Origin {
    Origin {
        provider: "p".to_owned(),
        model: "gpt-5".to_owned(),
    }
}

fn parse(pieces: &[&[u8]]) -> Understood {
    test_support::parse(Parser::new(origin(), true, COMPLETION, HashSet::new()), pieces)
}

fn ok(text: &str) -> Vec<Delta> {
    test_support::succeeds(parse, text)
}

fn fails(text: &str) -> Failure {
    test_support::fails(parse, text)
}

fn understood(failure: &Failure) -> Classified {
    test_support::classified(failure, "openai")
}

fn kind_of(failure: &Failure) -> (ErrorKind, bool) {
    test_support::kind_of(failure, "openai")
}

fn event(kind: &str, mut fields: Value) -> String {
    fields["type"] = json!(kind);
    format!("event: {kind}\ndata: {fields}\n\n")
}

fn start() -> String {
    let response = json!({"id": "resp_1", "object": "response", "status": "in_progress", "output": [], "usage": null});
    event("response.created", json!({ "response": response }))
        + &event("response.in_progress", json!({ "response": response }))
}

/// An item of one start, some events and one end.
fn item(index: u64, mut begins: Value, events: &[(&str, Value)], ends: Value) -> String {
    begins["status"] = json!("in_progress");
    let at = |mut fields: Value| {
        fields["output_index"] = json!(index);
        fields
    };
    let mut text = event("response.output_item.added", at(json!({ "item": begins })));
    for (kind, fields) in events {
        text += &event(&format!("response.{kind}"), at(fields.clone()));
    }
    text + &event("response.output_item.done", at(json!({ "item": ends })))
}

fn said(index: u64, pieces: &[&str]) -> String {
    let whole = pieces.concat();
    let mut events = vec![(
        "content_part.added",
        json!({"content_index": 0, "part": {"type": "output_text", "text": ""}}),
    )];
    events.extend(
        pieces
            .iter()
            .map(|piece| ("output_text.delta", json!({"content_index": 0, "delta": piece}))),
    );
    events.push(("output_text.done", json!({"content_index": 0, "text": whole})));
    events.push((
        "content_part.done",
        json!({"content_index": 0, "part": {"type": "output_text", "text": whole}}),
    ));
    let content = json!([{"type": "output_text", "text": whole, "annotations": []}]);
    item(
        index,
        json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []}),
        &events,
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}),
    )
}

fn called(index: u64, call_id: &str, name: &str, pieces: &[&str]) -> String {
    let whole = pieces.concat();
    let deltas = pieces
        .iter()
        .map(|piece| ("function_call_arguments.delta", json!({ "delta": piece })));
    let events: Vec<_> = deltas
        .chain([("function_call_arguments.done", json!({ "arguments": whole }))])
        .collect();
    let call = |arguments: &str| json!({"type": "function_call", "id": format!("fc_{call_id}"), "call_id": call_id, "name": name, "arguments": arguments});
    item(index, call(""), &events, call(&whole))
}

fn usage() -> Value {
    json!({
        "input_tokens": 109, "input_tokens_details": {"cached_tokens": 100}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 116,
    })
}

fn end() -> String {
    let response =
        json!({"id": "resp_1", "status": "completed", "usage": usage(), "error": null, "incomplete_details": null});
    event("response.completed", json!({ "response": response }))
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn thinks(text: &str) -> Delta {
    Delta::Reasoning(text.to_owned())
}

fn finish(reason: FinishReason) -> Delta {
    Delta::Finish(Finish {
        reason,
        usage: Usage {
            input_tokens: Some(9),
            output_tokens: Some(7),
            total_tokens: Some(116),
            reasoning_tokens: Some(3),
            cache_read_tokens: Some(100),
            ..Usage::default()
        },
        response_id: "resp_1".to_owned(),
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

fn thought(id: &str, encrypted: &str) -> Delta {
    Delta::ReasoningDone(ReasoningPart {
        signature: encrypted.to_owned(),
        provider_metadata: thinking::metadata(&origin(), id),
        ..ReasoningPart::default()
    })
}

fn source(url: &str, title: &str) -> Delta {
    Delta::Part(Part::Source(SourcePart {
        url: url.to_owned(),
        title: title.to_owned(),
        ..SourcePart::default()
    }))
}

/// A reasoning item with two parts of a summary, and one without any.
fn reasoned() -> String {
    let part = |index: u64| {
        (
            "reasoning_summary_part.added",
            json!({"summary_index": index, "part": {"type": "summary_text", "text": ""}}),
        )
    };
    let delta = |index: u64, text: &str| {
        (
            "reasoning_summary_text.delta",
            json!({"summary_index": index, "delta": text}),
        )
    };
    let done = |index: u64| {
        (
            "reasoning_summary_text.done",
            json!({"summary_index": index, "text": "x"}),
        )
    };
    let events = [
        part(0),
        delta(0, "Hm. "),
        delta(0, "Grüße."),
        done(0),
        part(1),
        delta(1, "So."),
        done(1),
    ];
    let summary = json!([{"type": "summary_text", "text": "Hm. Grüße."}, {"type": "summary_text", "text": "So."}]);
    item(
        0,
        json!({"type": "reasoning", "id": "rs_1", "summary": []}),
        &events,
        json!({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "enc1"}),
    ) + &item(
        1,
        json!({"type": "reasoning", "id": "rs_2", "summary": []}),
        &[],
        json!({"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "enc2"}),
    )
}

/// A stream as the vendor sends it, with reasoning and calls in it.
fn recorded() -> String {
    [
        start(),
        reasoned(),
        said(2, &["Größe 終 ", "ok."]).replace("\n\n", "\r\n\r\n"),
        called(3, "call_a", "execute", &["{\"command\":", "\"ls\"}"]),
        ": comment\n\n".to_owned(),
        called(4, "call_b", "read_file", &["{}"]),
        end(),
    ]
    .concat()
}

fn recorded_deltas() -> Vec<Delta> {
    vec![
        thinks("Hm. "),
        thinks("Grüße."),
        thinks("\n\n"),
        thinks("So."),
        thought("rs_1", "enc1"),
        thinks(""),
        thought("rs_2", "enc2"),
        text("Größe 終 "),
        text("ok."),
        call_delta("call_a", "execute", ""),
        call_delta("call_a", "execute", "{\"command\":"),
        call_delta("call_a", "execute", "\"ls\"}"),
        call("call_a", "execute", json!({"command": "ls"})),
        call_delta("call_b", "read_file", ""),
        call_delta("call_b", "read_file", "{}"),
        call("call_b", "read_file", json!({})),
        finish(FinishReason::ToolCalls),
    ]
}

fn action() -> Value {
    json!({"type": "search", "query": "x", "sources": [{"type": "url", "url": "https://a.org"}, {"type": "api"}]})
}

fn search(index: u64, id: &str, status: &str) -> String {
    item(
        index,
        json!({"type": "web_search_call", "id": id}),
        &[
            ("web_search_call.in_progress", json!({"item_id": id})),
            ("web_search_call.searching", json!({"item_id": id})),
            ("web_search_call.completed", json!({"item_id": id})),
        ],
        json!({"type": "web_search_call", "id": id, "status": status, "action": action()}),
    )
}

/// A stream with a search of the vendor's and citations.
fn searching() -> String {
    let cite = |url: &str, title: &str| json!({"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 2});
    let cited = |annotation: Value| {
        (
            "output_text.annotation.added",
            json!({"annotation_index": 0, "annotation": annotation}),
        )
    };
    let delta = |text: &str| ("output_text.delta", json!({ "delta": text }));
    let events = [
        delta("It is "),
        cited(cite("https://a.org", "A")),
        cited(cite("https://a.org", "A")),
        delta("so."),
        cited(cite("https://b.org", "B")),
        cited(json!({"type": "file_citation", "file_id": "f"})),
    ];
    let annotations = json!([cite("https://a.org", "A"), cite("https://c.org", "C")]);
    [
        start(),
        reasoned(),
        search(2, "ws_1", "completed"),
        item(
            3,
            json!({"type": "message", "content": []}),
            &events,
            json!({"type": "message", "content": [{"type": "output_text", "text": "It is so.", "annotations": annotations}]}),
        ),
        end(),
    ]
    .concat()
}

#[test]
fn a_whole_stream_is_understood() {
    assert_eq!(ok(&recorded()), recorded_deltas());
}

#[test]
fn a_search_of_the_vendors_is_kept_whole_and_its_citations_become_sources() {
    let asked = json!({"type": "search", "query": "x"});
    let Part::ToolCall(made) = test_support::call("ws_1", "web_search", asked.clone()) else {
        panic!("a call")
    };
    let made = ToolCallPart {
        provider_executed: true,
        provider_metadata: search::metadata(&origin(), "completed", &asked, Some("rs_2")),
        ..made
    };
    let found = ToolResultPart {
        provider_executed: true,
        ..test_support::result("ws_1", "web_search", json!({"sources": [{"url": "https://a.org"}]}))
    };
    let mut expected = recorded_deltas()[..7].to_vec();
    expected.extend([
        Delta::Part(Part::ToolCall(made)),
        Delta::Part(Part::ToolResult(found)),
        text("It is "),
        text("so."),
        source("https://a.org", "A"),
        source("https://b.org", "B"),
        source("https://c.org", "C"),
        finish(FinishReason::Stop),
    ]);
    assert_eq!(ok(&searching()), expected);
}

#[test]
fn a_search_that_failed_is_an_error_result() {
    let deltas = ok(&(start() + &search(0, "ws_1", "failed") + &end()));
    let Delta::Part(Part::ToolResult(result)) = &deltas[1] else {
        panic!("a result")
    };
    assert!(result.is_error && result.provider_executed);
}

#[test]
fn what_is_an_answer_of_nobody_is_told_apart() {
    test_support::check_garbage(parse, "openai");
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    let (recorded, searching) = (recorded(), searching());
    test_support::check_noise(parse, "openai", &[recorded.as_bytes(), searching.as_bytes()]);
}

#[test]
fn a_stream_split_at_any_byte_says_the_same() {
    test_support::check_splits(parse, &recorded(), &recorded_deltas());
    test_support::check_splits(parse, &searching(), &ok(&searching()));
}

#[test]
fn a_stream_cut_at_any_byte_is_finished_or_worth_another_try() {
    for recorded in [recorded(), searching()] {
        let end = recorded.find("event: response.completed").unwrap();
        test_support::check_cuts(parse, "openai", &recorded, end);
    }
}

#[test]
fn an_answer_that_was_not_streamed_is_an_answer() {
    let body = json!({
        "id": "resp_1", "object": "response", "status": "completed", "error": null, "usage": usage(),
        "output": [
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "enc1",
             "summary": [{"type": "summary_text", "text": "Hm."}, {"type": "summary_text", "text": "So."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
            {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]},
            {"type": "function_call", "call_id": "call_a", "name": "t", "arguments": "{\"a\":1}"},
        ],
    });
    let expected = [
        thinks("Hm."),
        thinks("\n\n"),
        thinks("So."),
        thought("rs_1", "enc1"),
        text("hi"),
        text("\n\n"),
        text("No."),
        call_delta("call_a", "t", ""),
        call_delta("call_a", "t", "{\"a\":1}"),
        call("call_a", "t", json!({"a": 1})),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(ok(&body.to_string()), expected);
    assert_eq!(kind_of(&fails(&body.to_string()[..60])), (ErrorKind::Timeout, true));
}

#[test]
fn every_ending_has_its_meaning() {
    let ended = |kind: &str, status: Value, details: Value| {
        let response = json!({"id": "resp_1", "status": status, "usage": usage(), "incomplete_details": details});
        ok(&(start() + &said(0, &["hi"]) + &event(kind, json!({ "response": response }))))
            .pop()
            .unwrap()
    };
    for (kind, status, details, expected) in [
        (
            "response.completed",
            json!("completed"),
            Value::Null,
            FinishReason::Stop,
        ),
        ("response.completed", Value::Null, Value::Null, FinishReason::Stop),
        (
            "response.incomplete",
            json!("incomplete"),
            json!({"reason": "max_output_tokens"}),
            FinishReason::Length,
        ),
        (
            "response.incomplete",
            Value::Null,
            json!({"reason": "content_filter"}),
            FinishReason::ContentFilter,
        ),
        (
            "response.incomplete",
            json!("incomplete"),
            Value::Null,
            FinishReason::Length,
        ),
    ] {
        assert_eq!(ended(kind, status, details), finish(expected), "{kind}");
    }
}

#[test]
fn an_error_inside_a_stream_is_classified_like_its_status() {
    for (code, message, expected) in [
        ("server_error", "The server had an error", (ErrorKind::Generic, true)),
        (
            "rate_limit_exceeded",
            "Rate limit reached",
            (ErrorKind::RateLimit, true),
        ),
        (
            "insufficient_quota",
            "You exceeded your current quota",
            (ErrorKind::UsageLimit, false),
        ),
        (
            "server_is_overloaded",
            "Our servers are currently overloaded.",
            (ErrorKind::Overloaded, true),
        ),
        ("invalid_prompt", "The prompt was refused", (ErrorKind::Generic, false)),
        (
            "invalid_api_key",
            "Incorrect API key provided",
            (ErrorKind::Auth, false),
        ),
        (
            "model_not_found",
            "The model does not exist",
            (ErrorKind::Config, false),
        ),
    ] {
        let bare = event(
            "error",
            json!({"code": code, "message": message, "param": null, "sequence_number": 3}),
        );
        let wrapped = event(
            "error",
            json!({"error": {"type": "x", "code": code, "message": message}}),
        );
        let response =
            json!({"id": "resp_1", "status": "failed", "error": {"code": code, "message": message}, "output": []});
        let failed = event("response.failed", json!({ "response": response }));
        for error in [bare, wrapped, failed] {
            for before in [String::new(), start() + &said(0, &["par"])] {
                assert_eq!(kind_of(&fails(&(before + &error))), expected, "{error}");
            }
        }
        assert_eq!(kind_of(&fails(&response.to_string())), expected, "not streamed: {code}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_known_as_such() {
    let message = "Your input exceeds the context window of this model. Please adjust your input and try again.";
    let error = event("error", json!({"code": "context_length_exceeded", "message": message}));
    let understood = understood(&fails(&error));
    assert!(understood.is_context_exceeded);
    assert_eq!(understood.error.kind, ErrorKind::Config);
}
