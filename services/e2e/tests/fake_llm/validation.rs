//! What the vendor refuses, and in which words.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tandem_e2e::fake_llm::{FakeLlm, KeyState, Outcome, Reply, Script};

use crate::{fake, post, streamed};

/// Sends a request that must be refused with 400; one line: message | param | code.
async fn refusal(fake: &FakeLlm, body: &Value) -> String {
    let (status, answer) = post(fake, body).await;
    let answer: Value = serde_json::from_str(&answer).expect("a JSON error");
    let error = &answer["error"];
    assert_eq!(status, 400, "{body} was answered {answer}");
    assert_eq!(error["type"], "invalid_request_error");
    let message = error["message"].as_str().expect("a message");
    format!("{message} | {} | {}", error["param"], error["code"])
}

fn with(extra: Value) -> Value {
    let mut request = streamed("hi");
    for (key, value) in extra.as_object().expect("an object") {
        request[key] = value.clone();
    }
    request
}

fn messages(messages: Value) -> Value {
    with(json!({ "messages": messages }))
}

fn tool(name: &str, parameters: Value) -> Value {
    json!({ "tools": [{ "type": "function", "function": { "name": name, "parameters": parameters } }] })
}

fn call(id: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } })
}

#[tokio::test]
async fn messages_are_refused_in_the_vendors_words() {
    let fake = fake().await;
    let user = json!({ "role": "user", "content": "hi" });
    let calls = json!({ "role": "assistant", "tool_calls": [call("call_a"), call("call_b")] });
    let result = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "ok" });
    let image =
        |url: &str| json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }]);
    let cases = [
        json!([]),
        json!("hi"),
        json!(["hi"]),
        json!([{ "content": "hi" }]),
        json!([{ "role": "wizard", "content": "hi" }]),
        json!([{ "role": "user" }]),
        json!([{ "role": "user", "content": 7 }]),
        json!([{ "role": "user", "content": [] }]),
        json!([{ "role": "user", "content": [{ "type": "video" }] }]),
        json!([{ "role": "user", "content": "hi", "id": 3 }]),
        json!([{ "role": "assistant", "content": null }]),
        json!([{ "role": "assistant", "content": "", "tool_calls": [] }]),
        json!([user, result("call_a")]),
        json!([user, calls]),
        json!([user, calls, user]),
        json!([user, calls, result("call_a"), user]),
        json!([user, calls, result("call_a"), result("call_x")]),
        json!([user, calls, result("call_a"), result("call_a")]),
        json!([user, { "role": "assistant", "tool_calls": [call("call_a"), call("call_a")] }]),
        json!([user, calls, { "role": "tool", "content": "ok" }]),
        image("https://example.com/a.png"),
        image("data:image/tiff;base64,AAAA"),
        image("data:image/png;base64,!!!"),
        image("/etc/passwd"),
    ];
    let mut lines = Vec::new();
    for case in cases {
        lines.push(refusal(&fake, &messages(case)).await);
    }
    assert_snapshot!("messages_refused", lines.join("\n"));
}

#[tokio::test]
async fn parameters_and_tools_are_refused_in_the_vendors_words() {
    let fake = fake().await;
    let object = json!({ "type": "object", "properties": {} });
    let cases = [
        with(json!({ "thinking": true })),
        with(json!({ "thinking": true, "top_k": 3 })),
        with(json!({ "model": null })),
        with(json!({ "model": 7 })),
        with(json!({ "stream": "yes" })),
        with(json!({ "stream": false })),
        with(json!({ "stream_options": { "include_usages": true } })),
        with(json!({ "temperature": 2.5 })),
        with(json!({ "temperature": "hot" })),
        with(json!({ "top_p": -0.5 })),
        with(json!({ "max_tokens": 0 })),
        with(json!({ "max_tokens": 10, "max_completion_tokens": 10 })),
        with(json!({ "reasoning_effort": "extreme" })),
        with(json!({ "tool_choice": "auto" })),
        with(json!({ "tools": [] })),
        with(json!({ "tools": [{ "type": "magic" }] })),
        with(tool("read.file", object.clone())),
        with(tool(&"x".repeat(65), object.clone())),
        with(tool("f", json!("none"))),
        with(tool("f", json!({ "type": "string" }))),
        with(tool(
            "f",
            json!({ "type": "object", "properties": { "a": { "type": "array" } } }),
        )),
        with(tool(
            "f",
            json!({ "type": "object", "properties": { "a": { "type": "file" } } }),
        )),
        {
            let mut request = with(tool("f", object));
            request["tool_choice"] = json!({ "type": "function", "function": { "name": "g" } });
            request
        },
    ];
    let mut lines = Vec::new();
    for case in &cases {
        lines.push(refusal(&fake, case).await);
    }
    assert_snapshot!("parameters_refused", lines.join("\n"));
}

#[tokio::test]
async fn a_full_request_of_an_agent_is_accepted() {
    let fake = fake().await;
    let png = "data:image/png;base64,iVBORw0KGgo=";
    let request = json!({
        "model": "gpt-4o-mini",
        "stream": true,
        "stream_options": { "include_usage": true, "include_obfuscation": false },
        "temperature": 0.2,
        "max_completion_tokens": 100,
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "prompt_cache_key": "chat-7",
        "tools": [{ "type": "function", "function": {
            "name": "edit_files", "description": "Edits files.", "strict": false,
            "parameters": { "type": "object", "required": ["files"], "properties": {
                "files": { "type": "array", "items": { "type": "object", "properties": {
                    "path": { "type": ["string", "null"] } } } } } } } }],
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Look: " }, { "type": "image_url", "image_url": { "url": png, "detail": "low" } }] },
            { "role": "assistant", "content": null, "tool_calls": [call("call_a"), call("call_b")] },
            { "role": "tool", "tool_call_id": "call_b", "content": "two" },
            { "role": "tool", "tool_call_id": "call_a", "content": [{ "type": "text", "text": "one" }] },
            { "role": "assistant", "content": "Done." },
            { "role": "user", "content": "Thanks" },
        ],
    });
    let (status, body) = post(&fake, &request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(crate::text(&body), "You said: Thanks");
    let request = &fake.completions()[0];
    assert_eq!(request.conversation, "chat-7");
    assert_eq!(request.tool_names(), ["edit_files"]);
    assert_eq!(
        request.tool_results(),
        [("call_b", "two".to_owned()), ("call_a", "one".to_owned())]
    );
    fake.check_no_rejections().expect("nothing refused");
}

#[tokio::test]
async fn keys_are_checked_and_never_recorded() {
    let fake = FakeLlm::builder().key("sk-second-0123456789").start().await.unwrap();
    let status = async |key: Option<&str>| {
        let mut request = tandem_e2e::http::client()
            .unwrap()
            .post(format!("{}/chat/completions", fake.base_url()))
            .json(&streamed("hi"));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.unwrap();
        let retry = response.headers().get("retry-after").cloned();
        (response.status().as_u16(), retry, response.text().await.unwrap())
    };
    let wrong = status(Some("sk-wrong-0123456789abcdef")).await;
    assert_eq!(wrong.0, 401);
    assert_snapshot!("wrong_key", wrong.2);
    let none = status(None).await;
    assert_eq!(none.0, 401);
    assert!(none.2.contains("You didn't provide an API key"));

    assert_eq!(status(Some("sk-second-0123456789")).await.0, 200);
    fake.set_key("sk-second-0123456789", KeyState::RateLimited { retry_after_s: 3 });
    let limited = status(Some("sk-second-0123456789")).await;
    assert_eq!((limited.0, limited.1.unwrap().to_str().unwrap()), (429, "3"));
    fake.set_key("sk-second-0123456789", KeyState::OutOfQuota);
    let broke = status(Some("sk-second-0123456789")).await;
    assert_eq!(broke.0, 429);
    assert!(broke.2.contains("insufficient_quota"));

    let records = serde_json::to_string(&fake.requests()).unwrap();
    for key in ["sk-second-0", "sk-wrong-0"] {
        assert!(!records.contains(key), "a key was recorded");
    }
    assert_eq!(fake.requests()[2].key_hint, "789");
}

#[tokio::test]
async fn a_refused_request_consumes_no_reply_and_is_recorded() {
    let fake = fake().await;
    fake.script(Script::text("kept"));
    let request = messages(json!([{ "role": "user" }]));
    refusal(&fake, &request).await;
    assert_eq!(fake.scripts_left(), 1);
    let records = fake.requests();
    assert_eq!(records[0].outcome, Outcome::Rejected);
    assert_eq!(records[0].body, request);
    assert!(fake.check_no_rejections().is_err());
    assert_eq!(crate::text(&post(&fake, &streamed("hi")).await.1), "kept");
}

#[tokio::test]
async fn broken_json_is_refused_and_an_unknown_model_is_not_found() {
    let fake = fake().await;
    let send = async |body: &'static [u8]| {
        let response = tandem_e2e::http::client()
            .unwrap()
            .post(format!("{}/chat/completions", fake.base_url()))
            .bearer_auth(fake.api_key())
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for broken in [&b"{"[..], b"[]", b"\xff", b""] {
        let (status, body) = send(broken).await;
        assert_eq!(status, 400);
        assert!(body.contains("could not parse the JSON body"), "{body}");
    }
    let (status, body) = post(&fake, &with(json!({ "model": "gpt-99" }))).await;
    assert_eq!(status, 404);
    assert_snapshot!("unknown_model", body);
}

#[tokio::test]
async fn scripted_failures_have_the_vendors_bodies() {
    let fake = fake().await;
    let failures = [
        Reply::rate_limited(std::time::Duration::from_millis(1500)),
        Reply::fail(429, "insufficient_quota"),
        Reply::fail(500, ""),
        Reply::fail(503, "overloaded"),
        Reply::fail(400, "context_length_exceeded"),
        Reply::fail(418, "teapot").message("short and stout"),
    ];
    let mut bodies = Vec::new();
    for failure in failures {
        fake.script(Script::reply(failure));
        let (status, body) = post(&fake, &streamed("hi")).await;
        bodies.push(format!("{status}\n{body}"));
    }
    assert_snapshot!("scripted_failures", bodies.join("---\n"));
}
