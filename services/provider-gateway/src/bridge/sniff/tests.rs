use serde_json::{Value, json};
use tandem_chat_core::message::Usage;

use super::*;

const CHAT: &str = concat!(
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hall\u{f6} \\\"usage\\\":{\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",",
    "\"function\":{\"name\":\"run\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n",
    ": ping\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":7,\"total_tokens\":107,",
    "\"prompt_tokens_details\":{\"cached_tokens\":60},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n",
    "data: [DONE]\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hello\"}\n\n",
    "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"hello\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[",
    "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"one\"},{\"type\":\"summary_text\",\"text\":\"two\"}]},",
    "{\"type\":\"message\",\"phase\":\"commentary\",\"content\":[{\"type\":\"output_text\",\"text\":\"Looking.\"}]},",
    "{\"type\":\"function_call\",\"call_id\":\"t1\",\"name\":\"run\",\"arguments\":\"{}\"}],",
    "\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"cached_tokens\":20},\"output_tokens\":9,",
    "\"output_tokens_details\":{\"reasoning_tokens\":4},\"total_tokens\":59}}}\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":10,",
    "\"cache_creation_input_tokens\":200,\"cache_read_input_tokens\":3000,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",",
    "\"name\":\"run\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":40}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// What went on, and what was heard.
fn listen(mut sniffer: Sniffer, pieces: &[&[u8]]) -> (Vec<u8>, Heard) {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&sniffer.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&sniffer.finish());
    (out, sniffer.heard().clone())
}

fn streamed(dialect: Dialect, text: &str, strips: bool) -> (Vec<u8>, Heard) {
    listen(Sniffer::events(dialect, true, strips), &[text.as_bytes()])
}

fn document_of(dialect: Dialect, body: &Value) -> Heard {
    listen(Sniffer::document(dialect, true), &[body.to_string().as_bytes()]).1
}

fn calls(heard: &Heard) -> Vec<(&str, &str, &str)> {
    let calls = heard.calls.iter();
    calls
        .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
        .collect()
}

fn thoughts(heard: &Heard) -> Vec<(&str, &str)> {
    let thoughts = heard.thoughts.iter();
    thoughts
        .map(|thought| (thought.source, thought.content.as_str()))
        .collect()
}

#[test]
fn a_chat_stream_tells_its_usage_calls_and_thoughts() {
    let (out, heard) = streamed(Dialect::ChatCompletions, CHAT, false);
    assert_eq!(out, CHAT.as_bytes(), "byte for byte");
    let usage = Usage {
        input_tokens: Some(40),
        output_tokens: Some(7),
        total_tokens: Some(107),
        reasoning_tokens: Some(2),
        cache_read_tokens: Some(60),
        ..Usage::default()
    };
    assert_eq!(heard.usage, usage);
    assert_eq!(heard.extra, [("prompt_cached", 60), ("completion_reasoning", 2)]);
    assert_eq!(calls(&heard), [("t1", "run", "{}")]);
    assert_eq!(thoughts(&heard), [("thinking", "hm")]);
    assert_eq!(
        (heard.message_id.as_str(), heard.is_complete, heard.has_failed),
        ("c1", true, false)
    );
}

#[test]
fn a_client_that_did_not_ask_for_the_usage_does_not_see_it() {
    let (out, heard) = streamed(Dialect::ChatCompletions, CHAT, true);
    let (before, rest) = CHAT.split_once("data: {\"id\":\"c1\",\"choices\":[],").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{before}{after}"));
    assert_eq!(heard.usage.output_tokens, Some(7));
}

#[test]
fn a_responses_stream_is_told_by_its_last_event() {
    let (out, heard) = streamed(Dialect::Responses, RESPONSES, false);
    assert_eq!(out, RESPONSES.as_bytes());
    assert_eq!(
        (heard.usage.input_tokens, heard.usage.output_tokens),
        (Some(30), Some(9))
    );
    assert_eq!(
        (heard.usage.cache_read_tokens, heard.usage.reasoning_tokens),
        (Some(20), Some(4))
    );
    assert_eq!(calls(&heard), [("t1", "run", "{}")]);
    assert_eq!(
        thoughts(&heard),
        [("reasoning_summary", "one\n\ntwo"), ("commentary", "Looking.")]
    );
    assert_eq!((heard.message_id.as_str(), heard.said_bytes), ("resp_1", 5));
}

#[test]
fn calls_of_tools_of_a_free_form_are_heard_with_their_text() {
    let piece = |call: Value| {
        format!(
            "data: {}\n\n",
            json!({"id": "c1", "choices": [{"delta": {"tool_calls": [call]}}]})
        )
    };
    let text = [
        piece(json!({"index": 0, "id": "t1", "type": "custom", "custom": {"name": "patch", "input": ""}})),
        piece(json!({"index": 0, "custom": {"input": "*** Be"}})),
        piece(json!({"index": 0, "custom": {"input": "gin\n"}})),
    ];
    let expected = [("t1", "patch", "*** Begin\n")];
    let (_, heard) = streamed(Dialect::ChatCompletions, &text.concat(), false);
    assert_eq!((calls(&heard).as_slice(), heard.said_bytes), (&expected[..], 11));

    let call = json!({"id": "t1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin\n"}});
    let chat = json!({"id": "c1", "choices": [{"message": {"content": null, "tool_calls": [call]}}]});
    assert_eq!(calls(&document_of(Dialect::ChatCompletions, &chat)), expected);

    let item = json!({"type": "custom_tool_call", "call_id": "t1", "name": "patch", "input": "*** Begin\n"});
    let response = json!({"id": "r1", "status": "completed", "output": [item]});
    assert_eq!(calls(&document_of(Dialect::Responses, &response)), expected);
    let ended = json!({"type": "response.completed", "response": response, "usage": {}});
    let (_, heard) = streamed(Dialect::Responses, &format!("data: {ended}\n\n"), false);
    assert_eq!(calls(&heard), expected);
}

#[test]
fn a_messages_stream_adds_up() {
    let (_, heard) = streamed(Dialect::Messages, MESSAGES, false);
    let usage = Usage {
        input_tokens: Some(10),
        output_tokens: Some(40),
        cache_creation_tokens: Some(200),
        cache_read_tokens: Some(3000),
        ..Usage::default()
    };
    assert_eq!(heard.usage, usage);
    assert_eq!(calls(&heard), [("t1", "run", "{\"a\":1}")]);
    assert_eq!(thoughts(&heard), [("thinking", "Hm")]);
    assert!(heard.is_complete);
}

#[test]
fn where_an_answer_is_cut_makes_no_difference() {
    for (dialect, text) in [
        (Dialect::ChatCompletions, CHAT),
        (Dialect::Responses, RESPONSES),
        (Dialect::Messages, MESSAGES),
    ] {
        for strips in [false, true] {
            let whole = streamed(dialect, text, strips);
            for place in 0..=text.len() {
                let (first, second) = text.as_bytes().split_at(place);
                let cut = listen(Sniffer::events(dialect, true, strips), &[first, second]);
                assert_eq!(cut, whole, "{dialect:?} at {place}");
            }
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(listen(Sniffer::events(dialect, true, strips), &bytes), whole);
        }
    }
}

#[test]
fn a_stream_cut_off_anywhere_tells_what_it_has_said() {
    let said = "x".repeat(50);
    let event = format!("data: {{\"id\":\"c\",\"choices\":[{{\"delta\":{{\"content\":\"{said}\"}}}}]}}\n\n");
    let (_, heard) = streamed(Dialect::ChatCompletions, &event.repeat(3), false);
    assert!(heard.usage.is_empty() && !heard.is_complete);
    assert_eq!(heard.said_bytes, 150);
}

#[test]
fn documents_tell_the_same_as_streams() {
    let chat = json!({
        "id": "c1", "choices": [{"message": {"content": "x", "reasoning_content": "hm", "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "run", "arguments": "{}"}},
            {"id": "t2", "type": "function", "function": {"name": "look", "arguments": "[]"}}]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    });
    let heard = document_of(Dialect::ChatCompletions, &chat);
    assert_eq!(calls(&heard), [("t1", "run", "{}"), ("t2", "look", "[]")]);
    assert_eq!(
        (heard.usage.input_tokens, heard.usage.output_tokens),
        (Some(3), Some(4))
    );
    let message = json!({
        "id": "m1", "type": "message",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "id": "t1", "name": "run", "input": {"a": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "server_tool_use": {"web_search_requests": 2}},
    });
    let heard = document_of(Dialect::Messages, &message);
    assert_eq!(calls(&heard), [("t1", "run", "{\"a\":1}")]);
    assert_eq!(heard.extra, [("web_search_requests", 2)]);
    let failed = document_of(
        Dialect::Messages,
        &json!({"type": "error", "error": {"type": "api_error"}}),
    );
    assert!(failed.has_failed && !failed.is_complete);
}

#[test]
fn what_is_not_understood_is_counted_by_its_length() {
    for body in [
        "{oops",
        "[]",
        "",
        "\u{1f600}",
        "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}",
    ] {
        for dialect in Dialect::ALL {
            let (out, heard) = listen(Sniffer::document(dialect, true), &[body.as_bytes()]);
            assert_eq!(out, body.as_bytes());
            assert!(heard.usage.is_empty());
            assert_eq!(heard.said_bytes, body.len() as u64);
        }
    }
    let (_, heard) = listen(Sniffer::opaque(Dialect::Messages), &[&[0x1f, 0x8b, 8], &[0; 97]]);
    assert_eq!(heard.said_bytes, 100);
}

#[test]
fn a_document_without_end_is_handed_on_and_not_kept() {
    let mut sniffer = Sniffer::document(Dialect::ChatCompletions, true);
    let piece = Bytes::from(vec![b' '; 1024 * 1024]);
    for _ in 0..20 {
        assert_eq!(sniffer.push(piece.clone()).len(), piece.len());
    }
    let Form::Document { pieces, .. } = &sniffer.form else {
        panic!("is a document")
    };
    assert!(pieces.is_empty());
}

#[test]
fn an_error_within_a_stream_is_noticed() {
    for (dialect, text) in [
        (
            Dialect::ChatCompletions,
            "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
        ),
        (
            Dialect::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
        ),
        (
            Dialect::Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"x\",\"message\":\"y\"}\n\n",
        ),
    ] {
        let (_, heard) = streamed(dialect, text, false);
        assert!(heard.has_failed, "{dialect:?}");
    }
}
