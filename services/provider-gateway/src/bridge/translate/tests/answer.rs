//! An answer written here, and understood by the protocol that reads such answers at vendors, is the same answer.
//!
//! What a dialect cannot say is left out: in Chat Completions what proves thinking, thinking of which nothing can be read, the places of
//! calls among words, and searches that a vendor ran; in the OpenAI dialects what a cache was given (it counts as input); in Messages
//! the vendor's sum and the tokens of thinking.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};
use tandem_chat_core::{
    error::{ChatError, ErrorKind},
    message::Usage,
    part::SourcePart,
};
use tandem_protocols::{
    Delta,
    call::{FinishReason, ToolCallDelta},
    vendor_side,
};

use super::*;
use crate::completion::{Event, Failed, Finished, Started};

/// A block of an answer, and how it comes.
#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<String>),
    Reasoning(Vec<String>, ReasoningPart),
    /// Calls side by side: arguments, in how many pieces they come, and whether each ends at once or all together at the end.
    Calls(Vec<(Value, usize)>, Timing),
    Source(usize),
    Search(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Timing {
    OneByOne,
    /// Pieces in turns, ends last.
    Mixed,
    /// One after the other, ends with the whole answer.
    EndsLast,
    /// Without pieces.
    Whole,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![5 => "[a-zäé\"\\\\ \n]{1,6}", 1 => Just("\u{0}\u{2028}𝄞".to_owned()), 1 => Just(String::new())]
}

fn done() -> impl Strategy<Value = ReasoningPart> {
    select(vec![
        reasoning("", "", json!({})),
        reasoning("", "sig+/=", json!({})),
        reasoning("", "sig", json!({"anthropic": {"model": "m"}})),
        reasoning("", "", json!({"anthropic": {"model": "m", "redacted_data": "ü"}})),
    ])
}

fn piece() -> impl Strategy<Value = Piece> {
    let args = select(vec![
        json!({}),
        json!({"path": "a\"\\b", "n": [1, {"x": null}]}),
        json!({"t": "𝄞\u{0}"}),
    ]);
    let timing = select(vec![Timing::OneByOne, Timing::Mixed, Timing::EndsLast, Timing::Whole]);
    prop_oneof![
        4 => vec(text(), 1..4).prop_map(Piece::Text),
        3 => (vec(text(), 0..3), done()).prop_map(|(texts, done)| Piece::Reasoning(texts, done)),
        3 => (vec((args, 1..5_usize), 1..4), timing).prop_map(|(calls, timing)| Piece::Calls(calls, timing)),
        1 => (0..3_usize).prop_map(Piece::Source),
        1 => any::<bool>().prop_map(Piece::Search),
    ]
}

fn source(number: usize) -> SourcePart {
    SourcePart {
        url: format!("https://{number}.org"),
        title: format!("Title {number}"),
        ..SourcePart::default()
    }
}

fn search(id: &str, is_native: bool) -> [Part; 2] {
    let mut asked = tool_call(id, "web_search", json!({"type": "search", "query": "x"}));
    let mut found = tool_result(
        id,
        "web_search",
        json!({"sources": [{"url": "https://9.org", "title": "Nine"}]}),
    );
    (asked.provider_executed, found.provider_executed) = (true, true);
    if is_native {
        let content =
            json!([{"type": "web_search_result", "url": "https://9.org", "title": "Nine", "encrypted_content": "e"}]);
        found
            .provider_metadata
            .insert("anthropic".to_owned(), json!({ "content": content }));
    }
    [Part::ToolCall(asked), Part::ToolResult(found)]
}

/// A text in so many pieces, or fewer.
fn split(text: &str, count: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars
        .chunks(chars.len().div_ceil(count).max(1))
        .map(|chunk| chunk.iter().collect())
        .collect()
}

fn part(part: Part) -> Event {
    Event::Part(Box::new(part))
}

/// The events of an answer. Calls that end last end behind everything.
fn events(pieces: &[Piece], finished: &Finished) -> Vec<Event> {
    let started = Started {
        provider_type: "demo".to_owned(),
        model: "m".to_owned(),
        model_config_id: ModelConfigId::new(Uuid::nil()),
        fallback: None,
    };
    let mut events = vec![Event::Started(Box::new(started))];
    let mut ends = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(texts) => events.extend(texts.iter().cloned().map(Event::TextDelta)),
            Piece::Reasoning(texts, done) => {
                events.extend(texts.iter().cloned().map(Event::ReasoningDelta));
                if texts.is_empty() {
                    events.push(Event::ReasoningDelta(String::new()));
                }
                events.push(Event::ReasoningDone(Box::new(done.clone())));
            }
            Piece::Source(number) => events.push(part(Part::Source(source(*number)))),
            Piece::Search(is_native) => events.extend(search(&format!("srvtoolu_{place}"), *is_native).map(part)),
            Piece::Calls(calls, timing) => {
                let mut streams = Vec::new();
                for (number, (args, count)) in calls.iter().enumerate() {
                    let id = format!("call_{place}_{number}");
                    let text = if args == &json!({}) {
                        String::new()
                    } else {
                        args.to_string()
                    };
                    let mut deltas = vec![String::new()];
                    deltas.extend(split(&text, *count));
                    let delta = |arguments: String| {
                        Event::ToolCallDelta(Box::new(ToolCallDelta {
                            tool_call_id: ToolCallId::new(id.as_str()).unwrap(),
                            tool_name: "look".to_owned(),
                            arguments,
                        }))
                    };
                    let deltas: Vec<Event> = deltas.into_iter().map(delta).collect();
                    streams.push((deltas, part(call(&id, "look", args.clone()))));
                }
                match timing {
                    Timing::Whole => events.extend(streams.into_iter().map(|(_, end)| end)),
                    Timing::OneByOne => {
                        for (deltas, end) in streams {
                            events.extend(deltas);
                            events.push(end);
                        }
                    }
                    Timing::EndsLast => {
                        for (deltas, end) in streams {
                            events.extend(deltas);
                            ends.push(end);
                        }
                    }
                    Timing::Mixed => {
                        let longest = streams.iter().map(|(deltas, _)| deltas.len()).max().unwrap_or(0);
                        for turn in 0..longest {
                            events.extend(streams.iter().filter_map(|(deltas, _)| deltas.get(turn).cloned()));
                        }
                        ends.extend(streams.into_iter().map(|(_, end)| end));
                    }
                }
            }
        }
    }
    events.extend(ends);
    events.push(Event::Finished(Box::new(finished.clone())));
    events
}

/// What was said, however it was cut.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Text(String),
    Thought(String, String, Value),
    Call(String, Value),
    Search(String, Value, Vec<String>),
}

fn say(said: &mut Vec<Said>, text: &str) {
    match said.last_mut() {
        _ if text.is_empty() => {}
        Some(Said::Text(known)) => known.push_str(text),
        _ => said.push(Said::Text(text.to_owned())),
    }
}

fn addresses(result: &Value) -> Vec<String> {
    let sources = result["sources"].as_array().into_iter().flatten();
    sources
        .map(|source| source["url"].as_str().unwrap().to_owned())
        .collect()
}

/// What the pieces say in a dialect, and the sources that are named.
fn expected(dialect: Dialect, pieces: &[Piece]) -> (Vec<Said>, Vec<String>) {
    let (mut said, mut calls, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    let is_chat = dialect == Dialect::ChatCompletions;
    // Calls end thinking, also where they are told apart from it.
    let mut is_ended = false;
    for (place, piece) in pieces.iter().enumerate() {
        is_ended |= matches!(piece, Piece::Calls(..));
        match piece {
            Piece::Text(texts) => say(&mut said, &texts.concat()),
            Piece::Reasoning(texts, done) => {
                let text = texts.concat();
                let has_text = !text.is_empty();
                let is_nothing = text.is_empty() && done.signature.is_empty() && done.provider_metadata.is_empty();
                match said.last_mut() {
                    _ if is_nothing || is_chat && text.is_empty() => {}
                    Some(Said::Thought(known, ..)) if is_chat && !is_ended => known.push_str(&text),
                    _ if is_chat => said.push(Said::Thought(text, String::new(), json!({}))),
                    _ => said.push(Said::Thought(
                        text,
                        done.signature.clone(),
                        Value::Object(done.provider_metadata.clone()),
                    )),
                }
                is_ended &= !has_text;
            }
            Piece::Calls(asked, _) => {
                let list = if is_chat { &mut calls } else { &mut said };
                for (number, (args, _)) in asked.iter().enumerate() {
                    list.push(Said::Call(format!("call_{place}_{number}"), args.clone()));
                }
            }
            Piece::Source(number) => urls.push(source(*number).url),
            Piece::Search(_) if is_chat => {}
            Piece::Search(_) => {
                let asked = json!({"type": "search", "query": "x"});
                said.push(Said::Search(
                    format!("srvtoolu_{place}"),
                    asked,
                    vec!["https://9.org".to_owned()],
                ));
            }
        }
    }
    said.extend(calls);
    urls.sort();
    urls.dedup();
    (said, if is_chat { Vec::new() } else { urls })
}

/// What a protocol has understood, in the same words. Sealed thinking is opened as it is when a client sends it back.
fn folded(deltas: &[Delta]) -> (Vec<Said>, Vec<String>, Option<tandem_protocols::Finish>) {
    let (mut said, mut thought, mut urls, mut finish) = (Vec::new(), String::new(), Vec::new(), None);
    let mut streamed: BTreeMap<String, String> = BTreeMap::new();
    let mut searches: BTreeMap<String, Value> = BTreeMap::new();
    for delta in deltas {
        match delta {
            Delta::Text(text) => say(&mut said, text),
            Delta::Reasoning(text) => thought.push_str(text),
            Delta::ReasoningDone(done) => {
                let proof = match done
                    .provider_metadata
                    .get("anthropic")
                    .and_then(|own| own.get("redacted_data"))
                {
                    Some(data) => data.as_str().unwrap().to_owned(),
                    None => done.signature.clone(),
                };
                let (signature, metadata) = sealed::open(&proof).unwrap_or((proof, Default::default()));
                said.push(Said::Thought(
                    std::mem::take(&mut thought),
                    signature,
                    Value::Object(metadata),
                ));
            }
            Delta::ToolCall(delta) => {
                streamed
                    .entry(delta.tool_call_id.to_string())
                    .or_default()
                    .push_str(&delta.arguments);
            }
            Delta::Part(Part::ToolCall(call)) if call.provider_executed => {
                searches.insert(call.tool_call_id.to_string(), call.args.clone());
            }
            Delta::Part(Part::ToolCall(call)) => {
                let id = call.tool_call_id.to_string();
                let text = streamed.remove(&id).filter(|text| !text.is_empty());
                let text = text.unwrap_or_else(|| "{}".to_owned());
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), call.args, "as streamed");
                said.push(Said::Call(id, call.args.clone()));
            }
            Delta::Part(Part::ToolResult(result)) => {
                let id = result.tool_call_id.to_string();
                let asked = searches.remove(&id).unwrap();
                said.push(Said::Search(id, asked, addresses(&result.result)));
            }
            Delta::Part(Part::Source(source)) => urls.push(source.url.clone()),
            Delta::Part(other) => panic!("{other:?}"),
            Delta::Spent(_) | Delta::Resumed => panic!("an answer of one request"),
            Delta::Finish(last) => finish = Some(last.clone()),
        }
    }
    urls.sort();
    (said, urls, finish)
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || 0..1_000_000_i64;
    let known =
        (count(), count(), count(), count(), count()).prop_map(|(input, output, reasoning, written, read)| Usage {
            input_tokens: Some(input),
            output_tokens: Some(output),
            total_tokens: Some(input + output + written + read),
            reasoning_tokens: Some(reasoning),
            cache_creation_tokens: Some(written),
            cache_read_tokens: Some(read),
            context_limit: None,
            context_tokens: None,
        });
    prop_oneof![4 => known, 1 => Just(Usage::default())]
}

/// What was measured, as far as a dialect says it.
fn measured(dialect: Dialect, usage: &Usage) -> Usage {
    if dialect == Dialect::Messages {
        let zero = |count: Option<i64>| Some(count.unwrap_or(0));
        return Usage {
            input_tokens: zero(usage.input_tokens),
            output_tokens: zero(usage.output_tokens),
            total_tokens: None,
            reasoning_tokens: None,
            cache_creation_tokens: zero(usage.cache_creation_tokens),
            cache_read_tokens: zero(usage.cache_read_tokens),
            context_limit: None,
            context_tokens: None,
        };
    }
    Usage {
        input_tokens: usage
            .input_tokens
            .map(|input| input + usage.cache_creation_tokens.unwrap_or(0)),
        cache_creation_tokens: None,
        ..*usage
    }
}

fn answering(dialect: Dialect, is_stream: bool) -> Answering {
    let id = match dialect {
        Dialect::ChatCompletions => "chatcmpl-1",
        Dialect::Responses => "resp_1",
        Dialect::Messages => "msg_1",
    };
    Answering {
        id: id.to_owned(),
        model: "a \"model\"".to_owned(),
        created_unix_s: 1_700_000_000,
        is_stream,
        wants_usage: true,
        is_serial: false,
        free_form: Default::default(),
    }
}

fn encoded(dialect: Dialect, answering: Answering, events: &[Event]) -> Vec<u8> {
    let mut encoder = Encoder::new(dialect, answering);
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend_from_slice(&encoder.event(event));
    }
    bytes.extend_from_slice(&encoder.finish());
    bytes
}

fn parsed(dialect: Dialect, bytes: &[u8]) -> (Vec<Delta>, Option<tandem_protocols::Failure>) {
    let request = request(vec![user("Hi")], vec![tool("look")]);
    vendor_side::understood(protocol(dialect), &request, &model(dialect, json!({})), bytes)
}

fn finished() -> impl Strategy<Value = Finished> {
    let reason = select(vec![
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::ContentFilter,
    ]);
    (reason, usage()).prop_map(|(reason, usage)| Finished {
        reason,
        usage,
        response_id: "theirs".to_owned(),
        cost_usd_micros: Some(1),
    })
}

fn has_calls(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| matches!(piece, Piece::Calls(..)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_answer_is_understood_as_it_was_meant(
        pieces in vec(piece(), 1..7),
        mut finished in finished(),
        is_stream in any::<bool>(),
    ) {
        finished.reason = FinishReason::settled(Some(finished.reason), has_calls(&pieces));
        let events = events(&pieces, &finished);
        for dialect in Dialect::ALL {
            let bytes = encoded(dialect, answering(dialect, is_stream), &events);
            let text = String::from_utf8_lossy(&bytes);
            if is_stream {
                lawful::check(dialect, &text);
            }
            let (deltas, failure) = parsed(dialect, &bytes);
            let (said, urls) = expected(dialect, &pieces);
            // An answer that says nothing at all is one that broke off, for those who read Chat Completions.
            if failure.is_some() && said.is_empty() {
                continue;
            }
            prop_assert_eq!(failure, None, "{:?} {}", dialect, text);
            let (found, sources, finish) = folded(&deltas);
            let mut found = found;
            if dialect == Dialect::ChatCompletions && !is_stream {
                // In a document thinking stands before all words.
                let order = |said: &Said| match said { Said::Thought(..) => 0, Said::Text(_) => 1, _ => 2 };
                let mut merged: Vec<Said> = Vec::new();
                let mut sorted = said.clone();
                sorted.sort_by_key(order);
                for one in sorted {
                    match (merged.last_mut(), one) {
                        (Some(Said::Thought(known, ..)), Said::Thought(more, ..)) => known.push_str(&more),
                        (Some(Said::Text(known)), Said::Text(more)) => known.push_str(&more),
                        (_, one) => merged.push(one),
                    }
                }
                prop_assert_eq!(&found, &merged, "{}", text);
                found = said.clone();
            }
            prop_assert_eq!(found, said, "{:?} {}", dialect, text);
            prop_assert_eq!(sources, urls, "{:?} {}", dialect, text);
            let finish = finish.unwrap();
            prop_assert_eq!(finish.reason, finished.reason);
            prop_assert_eq!(finish.usage, measured(dialect, &finished.usage));
            prop_assert_eq!(finish.response_id, answering(dialect, true).id);
        }
    }

    #[test]
    fn what_a_client_sends_back_is_what_was_said(pieces in vec(piece(), 1..7), mut finished in finished()) {
        finished.reason = FinishReason::settled(Some(finished.reason), has_calls(&pieces));
        let events = events(&pieces, &finished);
        for dialect in [Dialect::Responses, Dialect::Messages] {
            let bytes = encoded(dialect, answering(dialect, false), &events);
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            let question = json!({"role": "user", "content": "Hi"});
            let (said, _) = expected(dialect, &pieces);
            let body = if dialect == Dialect::Messages {
                let answer = json!({"role": "assistant", "content": answer["content"]});
                json!({"model": "m", "messages": [question, answer, question]})
            } else {
                let items = answer["output"].as_array().unwrap().clone();
                let items: Vec<Value> = [vec![question.clone()], items, vec![question]].concat();
                json!({"model": "m", "input": items})
            };
            let asked = understood(dialect, &body);
            let answer = asked.messages.iter().find(|message| message.role == Role::Assistant);
            let parts = answer.map(|message| message.parts.clone()).unwrap_or_default();
            let mut again = Vec::new();
            let mut searches: BTreeMap<String, Value> = BTreeMap::new();
            for part in parts {
                match part {
                    Part::Text(text) => say(&mut again, &text.text),
                    Part::Reasoning(mut part) => {
                        // The name of an item that was not wrapped here; nobody can prove whose it is.
                        part.provider_metadata.remove("openai");
                        again.push(Said::Thought(part.text, part.signature, Value::Object(part.provider_metadata)));
                    }
                    Part::ToolCall(call) if call.provider_executed => {
                        searches.insert(call.tool_call_id.to_string(), call.args);
                    }
                    Part::ToolCall(call) => again.push(Said::Call(call.tool_call_id.to_string(), call.args)),
                    Part::ToolResult(result) => {
                        let id = result.tool_call_id.to_string();
                        let asked = searches.remove(&id).unwrap();
                        again.push(Said::Search(id, asked, addresses(&result.result)));
                    }
                    other => panic!("{other:?}"),
                }
            }
            prop_assert_eq!(again, sendable(&said), "{:?} {}", dialect, body);
        }
    }

    #[test]
    fn one_call_is_handed_on_where_one_is_wanted(pieces in vec(piece(), 1..5), mut finished in finished()) {
        finished.reason = FinishReason::settled(Some(finished.reason), has_calls(&pieces));
        for (dialect, is_stream) in Dialect::ALL.into_iter().flat_map(|dialect| [(dialect, true), (dialect, false)]) {
            let answering = Answering { is_serial: true, ..answering(dialect, is_stream) };
            let bytes = encoded(dialect, answering, &events(&pieces, &finished));
            let (deltas, _) = parsed(dialect, &bytes);
            let is_call = |delta: &&Delta| matches!(delta, Delta::Part(Part::ToolCall(call)) if !call.provider_executed);
            prop_assert_eq!(deltas.iter().filter(is_call).count(), usize::from(has_calls(&pieces)));
        }
    }

    #[test]
    fn an_answer_that_fails_is_understood_as_failed(pieces in vec(piece(), 0..5), place in any::<prop::sample::Index>(), says_so in any::<bool>()) {
        let finished = Finished { reason: FinishReason::Stop, usage: Usage::default(), response_id: String::new(), cost_usd_micros: None };
        let mut events = events(&pieces, &finished);
        events.truncate(1 + place.index(events.len() - 1));
        if says_so {
            events.push(Event::Failed(Box::new(Failed {
                error: ChatError { kind: ErrorKind::RateLimit, ..ChatError::generic("Too many requests.") },
                retry_after: std::time::Duration::ZERO,
                is_cancelled: false,
                is_context_exceeded: false,
            })));
        }
        for dialect in Dialect::ALL {
            let bytes = encoded(dialect, answering(dialect, true), &events);
            let (deltas, failure) = parsed(dialect, &bytes);
            let failure = failure.expect("it has failed");
            let expected = if says_so { "Too many requests." } else { "The answer broke off." };
            prop_assert!(failure.text.contains(expected), "{:?}", failure);
            prop_assert!(!deltas.iter().any(|delta| matches!(delta, Delta::Finish(_))));
            let whole = encoded(dialect, answering(dialect, false), &events);
            let error: Value = serde_json::from_slice(&whole).unwrap();
            prop_assert!(error["error"]["message"].as_str().unwrap().contains(expected), "{}", error);
        }
    }
}

/// What of an answer is kept when it is sent back: words that are not blank, thinking that is proved, and nothing where that is all.
fn sendable(said: &[Said]) -> Vec<Said> {
    let kept = said.iter().filter(|said| match said {
        Said::Text(text) => !text.trim().is_empty(),
        Said::Thought(_, signature, metadata) => !signature.is_empty() || *metadata != json!({}),
        Said::Call(..) | Said::Search(..) => true,
    });
    let mut merged: Vec<Said> = Vec::new();
    for one in kept.cloned() {
        match (merged.last_mut(), one) {
            (Some(Said::Text(known)), Said::Text(more)) => known.push_str(&more),
            (_, one) => merged.push(one),
        }
    }
    let is_thought = |said: &Said| matches!(said, Said::Thought(..));
    if merged.iter().all(is_thought) {
        Vec::new()
    } else {
        merged
    }
}
