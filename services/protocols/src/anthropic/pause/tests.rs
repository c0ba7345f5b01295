use std::collections::{HashSet, VecDeque};

use tandem_chat_core::{classify::Cause, id::ToolCallId, message::Usage};

use super::*;
use crate::{
    Finish,
    anthropic::stream::Parser,
    call::FinishReason,
    test_support::{self, COMPLETION},
};

const MODEL: &str = "claude-opus-4-1";

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap())
}

fn used(input_tokens: i64, output_tokens: i64) -> Usage {
    Usage {
        input_tokens: Some(input_tokens),
        output_tokens: Some(output_tokens),
        ..Usage::default()
    }
}

fn stream_of(events: &[Value], reason: &str, output_tokens: u64) -> String {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 10}}});
    let end =
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": output_tokens}});
    let all = [&[start], events, &[end, json!({"type": "message_stop"})]].concat();
    all.iter().map(event).collect()
}

fn started(index: u64, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn added(index: u64, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

/// Thinking, words with a source, and a search that has no result yet.
fn interrupted() -> Vec<Value> {
    let source = json!({"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": "x"});
    vec![
        started(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        added(0, &json!({"type": "thinking_delta", "thinking": "Hm."})),
        added(0, &json!({"type": "signature_delta", "signature": "sig"})),
        json!({"type": "content_block_stop", "index": 0}),
        started(1, &json!({"type": "text", "text": "", "citations": null})),
        added(1, &json!({"type": "citations_delta", "citation": source})),
        added(1, &json!({"type": "text_delta", "text": "It is "})),
        added(1, &json!({"type": "text_delta", "text": "so."})),
        json!({"type": "content_block_stop", "index": 1}),
        started(2, &json!({"type": "text", "text": ""})),
        json!({"type": "content_block_stop", "index": 2}),
        started(
            3,
            &json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        ),
        added(3, &json!({"type": "input_json_delta", "partial_json": "{\"query\":"})),
        added(3, &json!({"type": "input_json_delta", "partial_json": "\"x\"}"})),
        json!({"type": "content_block_stop", "index": 3}),
    ]
}

fn sent_back() -> Value {
    let source = json!({"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": "x"});
    json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "It is so.", "citations": [source]},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    ])
}

fn read(text: &str, paused: &Paused) -> Vec<Result<Delta, Failure>> {
    let record = Record::new(paused.clone());
    let parser = Parser::new(MODEL, COMPLETION, HashSet::new(), Some(record));
    let (deltas, failure) = test_support::parse(parser, &[text.as_bytes()]);
    deltas.into_iter().map(Ok).chain(failure.map(Err)).collect()
}

/// What came of an answer in several pieces, and what was asked for each but the first.
async fn whole_of(pieces: &[String]) -> (Vec<Result<Delta, Failure>>, Vec<Value>) {
    let paused = Paused::default();
    let mut answers: VecDeque<Vec<Result<Delta, Failure>>> = VecDeque::new();
    // Each piece is understood when it is asked for, as on a connection.
    let texts: Arc<Mutex<VecDeque<String>>> = Arc::new(Mutex::new(pieces.iter().cloned().collect()));
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let first = texts.lock().unwrap().pop_front().unwrap();
    answers.push_back(read(&first, &paused));
    let body = json!({"messages": [{"role": "user", "content": "Hi"}]})
        .as_object()
        .unwrap()
        .clone();
    let ask: Ask = Box::new({
        let (texts, asked, paused) = (Arc::clone(&texts), Arc::clone(&asked), paused.clone());
        move |body| {
            asked.lock().unwrap().push(body["messages"].clone());
            let next = match texts.lock().unwrap().pop_front() {
                Some(text) => Ok(stream::iter(read(&text, &paused)).boxed()),
                None => Err(Failure::new(Cause::Transport, "gone")),
            };
            Box::pin(async move { next })
        }
    });
    let first = stream::iter(answers.pop_front().unwrap()).boxed();
    let deltas = resumed(first, paused, body, ask).collect().await;
    let asked = asked.lock().unwrap().clone();
    (deltas, asked)
}

fn found() -> Vec<Value> {
    let result =
        json!({"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "e"});
    let block = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [result]});
    vec![
        started(0, &block),
        json!({"type": "content_block_stop", "index": 0}),
        started(1, &json!({"type": "text", "text": ""})),
        added(1, &json!({"type": "text_delta", "text": "Done."})),
        json!({"type": "content_block_stop", "index": 1}),
    ]
}

#[tokio::test]
async fn an_interrupted_answer_is_one_answer_and_tells_what_each_request_used() {
    let pieces = [
        stream_of(&interrupted(), "pause_turn", 5),
        stream_of(&found(), "end_turn", 7),
    ];
    let (deltas, asked) = whole_of(&pieces).await;
    let expected = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": sent_back()}]);
    assert_eq!(asked, [expected], "exactly as it came, without blanks");
    let deltas: Vec<Delta> = deltas.into_iter().collect::<Result<_, _>>().unwrap();
    let bills: Vec<&Delta> = deltas
        .iter()
        .filter(|delta| matches!(delta, Delta::Finish(_) | Delta::Spent(_) | Delta::Resumed))
        .collect();
    let finish = Finish {
        reason: FinishReason::Stop,
        usage: used(10, 7),
        response_id: "msg_1".to_owned(),
    };
    let expected = [Delta::Spent(used(10, 5)), Delta::Resumed, Delta::Finish(finish)];
    assert_eq!(bills, expected.iter().collect::<Vec<_>>(), "each request once");
    let ids: Vec<&ToolCallId> = deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Part(tandem_chat_core::part::Part::ToolCall(call)) => Some(&call.tool_call_id),
            Delta::Part(tandem_chat_core::part::Part::ToolResult(result)) => Some(&result.tool_call_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2, "the search of the first and its result in the second");
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn what_comes_between_two_interruptions_is_added_to_the_same_turn() {
    let again = vec![
        started(0, &json!({"type": "text", "text": "More. "})),
        json!({"type": "content_block_stop", "index": 0}),
    ];
    let pieces = [
        stream_of(&interrupted(), "pause_turn", 1),
        stream_of(&again, "pause_turn", 1),
        stream_of(&found(), "end_turn", 1),
    ];
    let (deltas, asked) = whole_of(&pieces).await;
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[1].as_array().unwrap().len(),
        2,
        "one turn of the user, one of the model"
    );
    let last = asked[1][1]["content"].as_array().unwrap().last().unwrap();
    assert_eq!(
        *last,
        json!({"type": "text", "text": "More."}),
        "without blanks at its end"
    );
    assert!(matches!(deltas.last(), Some(Ok(Delta::Finish(_)))));
}

#[tokio::test]
async fn a_vendor_that_interrupts_for_ever_is_not_asked_for_ever() {
    let pieces = vec![stream_of(&interrupted(), "pause_turn", 1); MAX_PAUSES + 5];
    let (deltas, asked) = whole_of(&pieces).await;
    assert_eq!(asked.len(), MAX_PAUSES);
    assert!(matches!(deltas.last(), Some(Ok(Delta::Finish(_)))), "what came stands");
}

#[tokio::test]
async fn a_failure_behind_an_interruption_is_the_answers_and_what_was_used_before_it_is_told() {
    let (deltas, _) = whole_of(&[stream_of(&interrupted(), "pause_turn", 1)]).await;
    let spent = Ok(Delta::Spent(used(10, 1)));
    assert_eq!(
        deltas[deltas.len() - 2],
        spent,
        "and no more is on the bill: nothing was accepted"
    );
    let failures = deltas.iter().filter(|delta| delta.is_err()).count();
    assert_eq!(failures, 1);
    assert!(deltas.last().unwrap().is_err(), "nothing follows");
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_sent_back_ends_where_it_was_interrupted() {
    let mut events = interrupted();
    let long = "x".repeat(MAX_RECORDED_BYTES / 4);
    events.extend((0..5).map(|_| added(1, &json!({"type": "text_delta", "text": long}))));
    let (deltas, asked) = whole_of(&[stream_of(&events, "pause_turn", 1)]).await;
    assert_eq!(asked, [] as [Value; 0]);
    assert!(matches!(deltas.last(), Some(Ok(Delta::Finish(_)))));
}

#[tokio::test]
async fn an_answer_that_was_not_streamed_goes_on_too() {
    let whole = json!({
        "type": "message", "id": "msg_1", "content": sent_back(), "stop_reason": "pause_turn", "usage": {"input_tokens": 1},
    });
    let (_, asked) = whole_of(&[whole.to_string(), stream_of(&found(), "end_turn", 7)]).await;
    assert_eq!(asked[0][1]["content"], sent_back());
}
