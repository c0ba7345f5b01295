//! Tools of MCP servers in programs' requests: put in, run here, hidden from the program.

use std::sync::Arc;

use serde_json::{Value, json};
use tandem_chassis::{status::Fault, transport::Address};
use tandem_proto::storage::v1::ToolUsage;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Answer, Bridged, KEYS, LIMIT, chat, completion, streamed, upstream::Reply};
use crate::storage::GOOD_TOKEN;

mod paying;

const READ: &str = "bmcp_files_read";

/// A bridge that gives programs a tool.
async fn bridged(kind: &str) -> Bridged {
    let bridged = Bridged::start_with(kind, &KEYS, |config| config.bridge.inject_mcp_tools = true).await;
    bridged.world.tool_runner.offer(READ);
    bridged
}

fn used() -> Value {
    json!({ "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12 })
}

/// A whole answer in Chat Completions that calls a tool.
fn calls(id: &str, name: &str) -> Value {
    let call = json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{\"path\":\"a\"}" } });
    json!({
        "id": "chatcmpl-0", "choices": [{ "index": 0, "finish_reason": "tool_calls",
            "message": { "role": "assistant", "content": null, "tool_calls": [call] } }], "usage": used(),
    })
}

/// The same as a stream.
fn calls_streamed(id: &str, name: &str) -> Reply {
    let call = json!({ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": "{\"path\":\"a\"}" } });
    let chunk = |choices: Value, usage: Value| json!({ "id": "chatcmpl-0", "choices": choices, "usage": usage });
    let events = [
        chunk(
            json!([{ "index": 0, "delta": { "role": "assistant", "content": "" } }]),
            Value::Null,
        ),
        chunk(json!([{ "index": 0, "delta": { "tool_calls": [call] } }]), Value::Null),
        chunk(
            json!([{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }]),
            Value::Null,
        ),
        chunk(json!([]), used()),
    ];
    events_of(&events, "data: [DONE]\n\n")
}

fn events_of(events: &[Value], end: &str) -> Reply {
    let named = |event: &Value| match event["type"].as_str() {
        Some(kind) => format!("event: {kind}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    let stream: String = events.iter().map(named).collect();
    Reply::new(200, "text/event-stream", stream + end)
}

/// The events of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    let data = answer.text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

impl Bridged {
    /// What was recorded of tools, when the exchange has ended.
    async fn tools(&self) -> Vec<ToolUsage> {
        self.recorded(|recorded| !recorded.ends.is_empty()).await;
        self.world.storage.recorded.lock().unwrap().tool_usages.clone()
    }

    /// Waits for so many records in the ledger: output tokens of each.
    async fn paid_each(&self, count: usize) -> Vec<i64> {
        let storage = &self.world.storage;
        super::until(&storage.told, || storage.ledger.lock().unwrap().records.len() >= count).await;
        let ledger = storage.ledger.lock().unwrap();
        let output = |usage: &tandem_proto::storage::v1::UsageRecord| usage.usage.unwrap_or_default().output_tokens();
        ledger.records.iter().map(output).collect()
    }
}

#[tokio::test]
async fn a_tool_is_run_for_a_program_that_sees_only_the_answer() {
    let bridged = bridged("openai").await;
    bridged.world.tool_runner.answer("forty-two", false);
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    bridged.upstream.reply(Reply::json(&completion()));
    let answer = bridged.chat().await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["choices"][0]["message"]["content"]),
        (200, &json!("hello"))
    );
    assert_eq!(
        (&body["id"], &body["usage"]["completion_tokens"]),
        (&json!("chatcmpl-0"), &json!(5)),
        "of both rounds"
    );
    assert!(!answer.text.contains("bmcp"), "{}", answer.text);

    let asked = bridged.upstream.asked();
    let first = asked[0].json();
    assert_eq!(first["tools"][0]["function"]["name"], READ);
    assert_eq!(
        first["tools"][0]["function"]["parameters"]["properties"]["path"]["type"],
        "string"
    );
    assert_eq!(first["parallel_tool_calls"], false);
    let second = asked[1].json();
    assert_eq!(second["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        second["messages"][2],
        json!({ "role": "tool", "tool_call_id": "c1", "content": "forty-two" })
    );
    bridged.check_nothing_leaked();

    let (user, call) = bridged.world.tool_runner.calls.lock().unwrap()[0].clone();
    assert_eq!(
        (user, call.arguments_json.as_str()),
        (Uuid::from_u128(1), r#"{"path":"a"}"#)
    );
    assert_eq!(bridged.paid_each(2).await, [2, 3], "each round by itself");
    let tools = bridged.tools().await;
    let tool = &tools[0];
    assert_eq!(
        (
            tool.tool_name.as_str(),
            tool.is_injected,
            tool.invocation_error.as_str()
        ),
        (READ, true, "")
    );
    assert_eq!(tool.server_url, "https://mcp.example/files");
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    assert_eq!((recorded.starts.len(), recorded.token_usages[0].output_tokens), (1, 5));
    let metrics = bridged.world.metrics();
    let counted = r#"tandem_bridge_injected_tool_invocations_total{server="files",outcome="ok"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_stream_has_one_beginning_and_one_end() {
    let bridged = bridged("openai").await;
    let last = || {
        let chunk = |delta: Value, reason: Value| json!({ "id": "chatcmpl-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] });
        let events = [
            chunk(json!({ "role": "assistant", "content": "hel" }), Value::Null),
            chunk(json!({ "content": "lo" }), Value::Null),
            chunk(json!({}), json!("stop")),
            json!({ "id": "chatcmpl-1", "choices": [], "usage": used() }),
        ];
        events_of(&events, "data: [DONE]\n\n")
    };
    for wants_usage in [false, true] {
        bridged.upstream.reply(calls_streamed("c1", READ).cut(7));
        bridged.upstream.reply(last().cut(13));
        let mut body = streamed(chat("m-1"));
        if wants_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body)).await;
        assert!(
            answer.text.ends_with("data: [DONE]\n\n") && !answer.text.contains("bmcp"),
            "{}",
            answer.text
        );
        assert_eq!(answer.headers["x-accel-buffering"], "no");
        let events = events(&answer);
        let said: String = events
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(said, "hello");
        assert!(events.iter().all(|event| event["id"] == "chatcmpl-0"), "{events:?}");
        let used: Vec<&Value> = events
            .iter()
            .map(|event| &event["usage"]["completion_tokens"])
            .collect();
        let used: Vec<i64> = used.into_iter().filter_map(Value::as_i64).collect();
        assert_eq!(used, if wants_usage { vec![4] } else { vec![] });
    }
    bridged.recorded(|recorded| recorded.ends.len() == 2).await;
    assert_eq!(bridged.world.tool_runner.ran().len(), 2);
    assert_eq!(
        *bridged.world.tool_runner.listings.lock().unwrap(),
        1,
        "what there is, is remembered"
    );
}

#[tokio::test]
async fn messages_and_responses_are_served_the_same() {
    let bridged = Bridged::start_with("copilot", &[], |config| config.bridge.inject_mcp_tools = true).await;
    bridged.world.tool_runner.offer(READ);
    let tool = json!({ "type": "tool_use", "id": "t1", "name": READ, "input": { "path": "a" } });
    let text = json!({ "type": "text", "text": "hello" });
    let message = |content: &Value, reason: &str| {
        json!({ "id": "msg_1", "type": "message", "content": [content], "stop_reason": reason,
            "usage": { "input_tokens": 10, "output_tokens": 2 } })
    };
    bridged.upstream.reply(Reply::json(&message(&tool, "tool_use")));
    bridged.upstream.reply(Reply::json(&message(&text, "end_turn")));
    let own = |path: &str, body: Value| {
        let request = super::byok::own(&bridged, path).bearer_auth(super::byok::OWN);
        Answer::of(request.json(&body))
    };
    let prompt = json!([{ "role": "user", "content": "hi" }]);
    let answer = own(
        "/api/v2/aibridge/p0/v1/messages",
        json!({ "model": "m-1", "max_tokens": 9, "messages": prompt }),
    )
    .await;
    let body = answer.json();
    assert_eq!(
        (&body["content"], &body["stop_reason"]),
        (&json!([text]), &json!("end_turn"))
    );
    assert_eq!(body["usage"], json!({ "input_tokens": 20, "output_tokens": 4 }));
    let asked = bridged.upstream.last().json();
    assert_eq!(asked["messages"][2]["content"][0]["content"], "done");
    assert_eq!(
        asked["tool_choice"],
        json!({ "type": "auto", "disable_parallel_tool_use": true })
    );

    let call = json!({ "type": "function_call", "call_id": "c1", "name": READ, "arguments": "{}" });
    let said = json!({ "type": "message", "content": [{ "type": "output_text", "text": "hello" }] });
    let response = |id: &str, item: &Value| json!({ "id": id, "status": "completed", "output": [item], "usage": { "input_tokens": 10, "output_tokens": 2 } });
    bridged.upstream.reply(Reply::json(&response("resp_1", &call)));
    bridged.upstream.reply(Reply::json(&response("resp_2", &said)));
    let body = own(
        "/api/v2/aibridge/p0/responses",
        json!({ "model": "m-1", "input": "hi" }),
    )
    .await
    .json();
    assert_eq!((&body["id"], &body["output"]), (&json!("resp_2"), &json!([said])));
    assert_eq!(body["usage"]["output_tokens"], 4);
    let asked = bridged.upstream.last().json();
    let kinds: Vec<&Value> = asked["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(kinds, ["message", "function_call", "function_call_output"]);
    bridged.check_nothing_leaked();
}

#[tokio::test]
async fn a_model_of_another_dialect_uses_the_same_tools() {
    let bridged = bridged("openai-compat").await;
    for wants_stream in [false, true] {
        bridged.upstream.reply(calls_streamed("c1", READ));
        bridged.upstream.reply(Reply::stream(concat!(
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n",
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n",
            "data: [DONE]\n\n",
        )));
        let mut body = json!({ "model": "m-1", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
        body["stream"] = json!(wants_stream);
        let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(
            answer.text.contains("hello") && !answer.text.contains("bmcp"),
            "{}",
            answer.text
        );
        assert!(
            answer.text.contains(r#""output_tokens":6"#),
            "of both rounds: {}",
            answer.text
        );
        assert!(answer.text.contains("end_turn"), "{}", answer.text);
        let asked = bridged.upstream.last().json();
        assert_eq!(asked["messages"][2]["content"], "done", "{asked}");
    }
    assert_eq!(bridged.paid_each(4).await, [2, 4, 2, 4]);
    let tools = bridged.tools().await;
    assert!(
        tools
            .iter()
            .all(|tool| tool.is_injected && tool.invocation_error.is_empty()),
        "{tools:?}"
    );
}

#[tokio::test]
async fn a_programs_own_tools_are_its_own_also_beside_ours_and_under_the_same_name() {
    let bridged = bridged("openai").await;
    bridged.world.tool_runner.offer("bmcp_files_list");
    let mut body = chat("m-1");
    body["tools"] = json!([{ "type": "function", "function": { "name": READ, "parameters": {} } }]);
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body))
        .await
        .json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["id"], "c1");
    let names: Vec<Value> = bridged.upstream.last().json()["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].clone())
        .collect();
    assert_eq!(names, [READ, "bmcp_files_list"]);

    let mut both = calls("c2", "bmcp_files_list");
    let own = calls("c3", READ)["choices"][0]["message"]["tool_calls"][0].clone();
    both["choices"][0]["message"]["tool_calls"]
        .as_array_mut()
        .unwrap()
        .push(own);
    bridged.upstream.reply(Reply::json(&both));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body))
        .await
        .json();
    let shown = answer["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!((shown.len(), &shown[0]["id"]), (1, &json!("c3")));
    assert!(bridged.world.tool_runner.ran().is_empty());
    bridged.recorded(|recorded| recorded.ends.len() == 2).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let noted: Vec<_> = recorded
        .tool_usages
        .iter()
        .map(|tool| {
            (
                tool.tool_call_id.as_str(),
                tool.is_injected,
                tool.invocation_error.is_empty(),
            )
        })
        .collect();
    assert_eq!(noted, [("c1", false, true), ("c2", true, false), ("c3", false, true)]);
}

#[tokio::test]
async fn what_goes_wrong_with_a_tool_is_the_models_to_hear() {
    let bridged = bridged("openai").await;
    bridged.world.tool_runner.answer("no such file", true);
    let away = Fault::unavailable("AWAY", "secret detail");
    bridged.world.tool_runner.outcomes.lock().unwrap().push_back(Err(away));
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    bridged.upstream.reply(Reply::json(&calls("c2", READ)));
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    let asked = bridged.upstream.last().json();
    assert_eq!(asked["messages"][2]["content"], "no such file");
    let said = asked["messages"][4]["content"].as_str().unwrap();
    assert!(
        said.starts_with("The tool gave no answer") && !said.contains("secret"),
        "{said}"
    );
    let tools = bridged.tools().await;
    let errors: Vec<bool> = tools.iter().map(|tool| tool.invocation_error.is_empty()).collect();
    assert_eq!(errors, [true, false], "the one was run");
}

#[tokio::test]
async fn a_tool_runner_that_is_away_takes_nothing_but_the_tools() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| {
        config.bridge.inject_mcp_tools = true;
        config.peers.tool_runner = Address::Memory("nobody at all".to_owned());
    })
    .await;
    for _ in 0..2 {
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.json(), completion());
    }
    assert!(bridged.upstream.last().json().get("tools").is_none());
    assert!(bridged.world.metrics().contains("tandem_bridge_without_tools_total 2"));
}

#[tokio::test]
async fn no_place_at_a_provider_is_held_while_a_tool_runs() {
    let bridged = bridged("openai").await;
    bridged.narrow().await;
    let gate = Arc::new(Semaphore::new(0));
    *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    let waiting = tokio::spawn(Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-1"))));
    bridged.world.tool_runner.called.notified().await;
    for _ in 0..2 {
        bridged.upstream.reply(Reply::json(&completion()));
    }
    let other = tokio::time::timeout(LIMIT, bridged.chat()).await;
    assert_eq!(other.expect("there is room").status, 200);
    gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_vendor_of_another_dialect_that_does_not_take_tools_is_asked_without() {
    let bridged = bridged("openai-compat").await;
    for wants_stream in [false, true] {
        let refusal = r#"{"error":{"message":"this model does not support tools"}}"#;
        bridged.upstream.reply(Reply::new(400, "application/json", refusal));
        bridged.upstream.reply(Reply::stream(concat!(
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n",
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        )));
        let mut body = json!({ "model": "m-1", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
        body["stream"] = json!(wants_stream);
        let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
        assert!(answer.status == 200 && answer.text.contains("hello"), "{}", answer.text);
        assert!(bridged.upstream.last().json().get("tools").is_none());
    }
    let refusal = r#"{"error":{"message":"no"}}"#;
    for _ in 0..2 {
        bridged.upstream.reply(Reply::new(400, "application/json", refusal));
    }
    let body = json!({ "model": "m-1", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
    assert_eq!(answer.status, 502, "as without us: {}", answer.text);
    assert_eq!(bridged.upstream.asked().len(), 6);
}

#[tokio::test]
async fn a_vendor_that_does_not_take_tools_is_asked_without() {
    let bridged = bridged("openai").await;
    bridged.upstream.reply(Reply::new(
        400,
        "application/json",
        r#"{"error":{"message":"no tools"}}"#,
    ));
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.json(), completion());
    let asked = bridged.upstream.asked();
    assert!(asked[0].json().get("tools").is_some() && asked[1].json() == chat("m-1"));
    assert_eq!(asked[1].header("authorization"), format!("Bearer {}", KEYS[0]));
    assert_eq!(bridged.paid_each(1).await, [3]);
}

#[tokio::test]
async fn nothing_is_put_into_requests_that_want_no_tools_or_where_it_is_off() {
    let bridged = bridged("openai").await;
    bridged.add_model("claude-haiku-x");
    let mut none = chat("m-1");
    none["tool_choice"] = json!("none");
    for body in [none, chat("claude-haiku-x")] {
        bridged.upstream.reply(Reply::json(&completion()));
        let request = bridged
            .client
            .post(format!("{}/openai/v1/chat/completions", bridged.base));
        let answer = Answer::of(request.bearer_auth(GOOD_TOKEN).body(body.to_string())).await;
        assert_eq!(answer.json(), completion());
        assert_eq!(bridged.upstream.last().body, body.to_string(), "to the byte");
    }
    let off = Bridged::start("openai").await;
    off.world.tool_runner.offer(READ);
    off.upstream.reply(Reply::json(&completion()));
    assert_eq!(off.chat().await.status, 200);
    assert!(off.upstream.last().json().get("tools").is_none());
    assert_eq!(*off.world.tool_runner.listings.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_model_that_calls_for_ever_is_told_to_answer() {
    let bridged = bridged("openai").await;
    for round in 0..20 {
        bridged.upstream.reply(Reply::json(&calls(&format!("c{round}"), READ)));
    }
    let answer = bridged.chat().await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["choices"][0]["finish_reason"]),
        (200, &json!("stop"))
    );
    assert!(!answer.text.contains("bmcp"), "{}", answer.text);
    let asked = bridged.upstream.asked();
    assert_eq!(asked.len(), 16);
    assert_eq!(
        (&asked[14].json()["tool_choice"], &asked[15].json()["tool_choice"]),
        (&Value::Null, &json!("none"))
    );
    assert_eq!(bridged.world.tool_runner.ran().len(), 15);
}

/// An answer in words, for a vendor of another dialect.
fn hello() -> Reply {
    Reply::stream(concat!(
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n",
    ))
}

/// A request in another dialect than that of `openai-compat`.
fn message() -> Value {
    json!({ "model": "m-1", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] })
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_middle_is_not_begun_again() {
    let bridged = bridged("openai-compat").await;
    bridged.upstream.reply(Reply::stream(concat!(
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n",
        "data: {\"error\":{\"message\":\"broke\",\"code\":400}}\n\n",
    )));
    bridged.upstream.reply(hello());
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &message())).await;
    assert!(answer.status >= 400, "{} {}", answer.status, answer.text);
    assert_eq!(bridged.upstream.asked().len(), 1);
}

#[tokio::test]
async fn a_request_for_several_answers_goes_on_for_one_with_tools() {
    let bridged = bridged("openai").await;
    let mut body = chat("m-1");
    body["n"] = json!(2);
    bridged.upstream.reply(Reply::json(&completion()));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body)).await;
    assert_eq!(answer.json(), completion());
    let asked = bridged.upstream.last().json();
    assert_eq!((&asked["n"], asked["tools"].as_array().unwrap().len()), (&json!(1), 1));
}
