use serde_json::json;

use super::{
    super::{
        render::{Context, Step},
        reply::Reply,
        validate::Rules,
    },
    *,
};

const THIRD: &str = "gemini-3-pro";
const OLDER: &str = "gemini-2.5-pro";

fn refusal_by(model: &str, request: &Value) -> Option<(u16, String)> {
    let rules = Rules {
        models: vec![THIRD.to_owned(), OLDER.to_owned()],
        max_messages: 100,
    };
    let path = format!("{MODELS}/{model}:streamGenerateContent");
    let error = check(&path, "alt=sse", request.to_string().as_bytes(), &rules).err()?;
    Some((error.status, error.message))
}

fn refusal(contents: Value) -> Option<String> {
    let (status, message) = refusal_by(THIRD, &json!({ "contents": contents }))?;
    assert_eq!(status, 400, "{message}");
    Some(message)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "parts": [{"text": text}]})
}

fn model(parts: Value) -> Value {
    json!({"role": "model", "parts": parts})
}

fn call(id: &str, proof: Option<&str>) -> Value {
    let mut part = json!({"functionCall": {"id": id, "name": "t", "args": {}}});
    if let Some(proof) = proof {
        part["thoughtSignature"] = json!(proof);
    }
    part
}

fn results(ids: &[&str]) -> Value {
    let result = |id: &&str| json!({"functionResponse": {"id": id, "name": "t", "response": {"output": "x"}}});
    json!({"role": "user", "parts": ids.iter().map(result).collect::<Vec<_>>()})
}

fn context(stream: bool, model: &str) -> Context {
    Context {
        number: 1,
        created: 0,
        model: model.to_owned(),
        stream,
        include_usage: true,
        may_obfuscate: false,
        prompt_tokens: 9,
    }
}

fn full() -> Reply {
    Reply::new()
        .reasoning("Let me see.")
        .and_text("I ")
        .gate("open")
        .and_text("look.")
        .tool_call_with_id("a", "execute", json!({"command": "ls"}))
        .tool_call_with_id("b", "execute", json!({}))
}

#[test]
fn each_mistake_is_refused_in_the_vendors_words() {
    let proof = signature(THIRD, &call_text(&json!("t"), &json!({})));
    let calls = |id| model(json!([call(id, Some(&proof))]));
    for (contents, words) in [
        (json!([]), "contents is not specified"),
        (json!([{"role": "assistant", "parts": [{"text": "a"}]}]), "valid role"),
        (json!([model(json!([{"text": "a"}]))]), "immediately after a user turn"),
        (json!([user("a"), model(json!([{"text": "a"}]))]), "last turn"),
        (json!([{"role": "user", "parts": []}]), "must not be empty"),
        (json!([user(" ")]), "empty text parameter"),
        (json!([{"role": "user", "parts": [{}]}]), "one initialized field"),
        (
            json!([user("a"), calls("x"), user("b")]),
            "function response turn comes immediately",
        ),
        (
            json!([user("a"), calls("x"), results(&["x", "y"])]),
            "number of function response parts",
        ),
        (json!([user("a"), calls("x"), results(&["y"])]), "ids and names"),
        (
            json!([user("a"), model(json!([call("x", None)])), results(&["x"])]),
            "missing a `thought_signature`",
        ),
        (
            json!([user("a"), model(json!([call("x", Some("forged"))])), results(&["x"])]),
            "Thought signature is not valid",
        ),
        (
            json!([
                user("a"),
                model(json!([{"text": "b", "thoughtSignature": "forged"}])),
                user("c")
            ]),
            "Thought signature is not valid",
        ),
        (
            json!([{"role": "user", "parts": [call("x", None)]}]),
            "not allowed for this role",
        ),
        (
            json!([{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "/9j/"}}]}]),
            "Unable to process input image",
        ),
    ] {
        let message = refusal(contents.clone()).unwrap_or_else(|| panic!("accepted: {contents}"));
        assert!(message.contains(words), "{message} should contain {words}");
    }
    let signed = json!({"text": "", "thoughtSignature": signature(THIRD, "b")});
    for contents in [
        json!([user("a"), calls("x"), results(&["x"]), user("b")]),
        json!([
            user("a"),
            model(json!([call("x", Some(STAND_IN)), call("y", None)])),
            results(&["x", "y"])
        ]),
        json!([user("a"), model(json!([{"text": "b"}, signed])), user("c")]),
    ] {
        assert_eq!(refusal(contents), None);
    }
}

#[test]
fn settings_and_tools_exclude_each_other_as_they_do_at_the_vendors() {
    let function = |name: &str| json!({"name": name, "parametersJsonSchema": {"type": "object"}});
    let both = json!([{"functionDeclarations": [function("t")], "googleSearch": {}}]);
    for (model, change, words) in [
        (THIRD, json!({"model": "x"}), "Unknown name \"model\""),
        (
            THIRD,
            json!({"generationConfig": {"max_tokens": 1}}),
            "Unknown name \"max_tokens\"",
        ),
        (
            THIRD,
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "low"}}}),
            "only one of",
        ),
        (
            OLDER,
            json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}),
            "not supported",
        ),
        (
            THIRD,
            json!({"tools": [{"functionDeclarations": [function("1t")]}]}),
            "Invalid function name",
        ),
        (
            THIRD,
            json!({"tools": [{"functionDeclarations": [function("t"), function("t")]}]}),
            "Duplicate function",
        ),
        (OLDER, json!({"tools": both}), "unsupported"),
        (THIRD, json!({"tools": both}), "include_server_side_tool_invocations"),
        (THIRD, json!({"cachedContent": "c", "tools": both}), "CachedContent"),
        ("gemini-9", json!({}), "is not found"),
    ] {
        let mut request = json!({"contents": [user("a")]});
        for (name, value) in change.as_object().expect("an object") {
            request[name] = value.clone();
        }
        let (_, message) = refusal_by(model, &request).unwrap_or_else(|| panic!("accepted: {request}"));
        assert!(message.contains(words), "{message} should contain {words}");
    }
}

#[test]
fn a_stream_has_whole_calls_of_which_the_first_is_signed() {
    let chunks = |model: &str| -> Vec<Value> {
        let response = reply(&context(true, model), &full());
        let text = String::from_utf8(response.body.to_vec()).expect("text");
        assert!(response.steps.contains(&Step::Gate("open".to_owned())));
        let events = text.split_terminator("\r\n\r\n").map(|event| {
            let data = event.strip_prefix("data: ").expect("data");
            serde_json::from_str(data).expect("JSON")
        });
        events.collect()
    };
    let third = chunks(THIRD);
    let end = &third[third.len() - 1];
    assert_eq!(end["candidates"][0]["finishReason"], "STOP");
    assert_eq!(end["usageMetadata"]["thoughtsTokenCount"], 3);
    let part = |chunk: &Value| chunk["candidates"][0]["content"]["parts"][0].clone();
    assert_eq!(part(&third[0]), json!({"text": "Let", "thought": true}));
    let proof = signature(THIRD, &call_text(&json!("execute"), &json!({"command": "ls"})));
    assert_eq!(part(&third[third.len() - 2])["thoughtSignature"], json!(proof));
    assert_eq!(part(end)["thoughtSignature"], Value::Null);
    let signed = |chunks: &[Value]| {
        chunks
            .iter()
            .filter(|chunk| part(chunk)["thoughtSignature"].is_string())
            .count()
    };
    assert_eq!((signed(&third), signed(&chunks(OLDER))), (1, 0));
}

#[test]
fn an_answer_may_come_whole() {
    let response = reply(&context(false, THIRD), &Reply::text("I look."));
    let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
    let parts = answer["candidates"][0]["content"]["parts"].as_array().expect("parts");
    assert_eq!(
        parts[2],
        json!({"text": "", "thoughtSignature": signature(THIRD, "I look.")})
    );
}

#[test]
fn errors_have_the_vendors_bodies() {
    let answered = |reply_: &Reply| {
        let response = reply(&context(true, THIRD), reply_);
        let body = String::from_utf8(response.body.to_vec()).expect("text");
        (response.status, body)
    };
    let (status, body) = answered(&Reply::rate_limited(std::time::Duration::from_millis(1500)));
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(body["error"]["details"][0]["retryDelay"], "1.5s");
    let (status, body) = answered(&Reply::text("a b c").error_event_at(1, "overloaded"));
    assert!(
        status == 200 && body.contains("\"UNAVAILABLE\"") && !body.contains("finishReason"),
        "{body}"
    );
}

#[test]
fn the_key_is_checked() {
    let keys = HashMap::from([
        ("k".to_owned(), KeyState::Valid),
        ("spent".to_owned(), KeyState::OutOfQuota),
    ]);
    let verdict = |headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        let refused = check_caller(&keys, &headers.collect()).err()?;
        Some((refused.status, error_value(&refused)["error"]["details"].to_string()))
    };
    assert_eq!(verdict(&[("x-goog-api-key", "k")]), None);
    assert_eq!(verdict(&[("authorization", "Bearer k")]), None);
    for wrong in [
        &[("x-goog-api-key", "other")][..],
        &[("x-goog-api-key", "k"), ("authorization", "Bearer other")],
    ] {
        let (status, details) = verdict(wrong).expect("refused");
        assert!(status == 400 && details.contains("API_KEY_INVALID"), "{details}");
    }
    assert_eq!(verdict(&[]).map(|(status, _)| status), Some(403));
    let (status, details) = verdict(&[("x-goog-api-key", "spent")]).expect("refused");
    assert!(status == 429 && details.contains("PerDay"), "{details}");
}
