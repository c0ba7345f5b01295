use serde_json::json;

use super::{
    super::{
        render::{Context, Step},
        reply::Reply,
        validate::Rules,
    },
    *,
};

fn rules() -> Rules {
    Rules {
        models: vec!["m".to_owned(), "claude-opus-4-1".to_owned()],
        max_messages: 100,
    }
}

fn refusal(request: &Value) -> Option<(u16, String)> {
    let error = check(request.to_string().as_bytes(), &rules(), Version::Of2023, &[]).err()?;
    Some((error.status, error.message))
}

fn asked(messages: Value) -> Value {
    json!({"model": "m", "max_tokens": 2000, "stream": true, "messages": messages})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn context(stream: bool) -> Context {
    Context {
        number: 1,
        created: 0,
        model: "m".to_owned(),
        stream,
        include_usage: true,
        may_obfuscate: false,
        prompt_tokens: 9,
    }
}

/// A reply with everything in it, and the calls it makes.
fn full() -> Reply {
    Reply::new()
        .reasoning("Let me see.")
        .and_text("I ")
        .gate("open")
        .and_text("look.")
        .tool_call_with_id("toolu_a", "execute", json!({"command": "ls"}))
}

#[test]
fn each_mistake_is_refused_in_the_vendors_words() {
    let calls = |ids: &[&str]| {
        let call = |id: &&str| json!({"type": "tool_use", "id": id, "name": "t", "input": {}});
        json!({"role": "assistant", "content": ids.iter().map(call).collect::<Vec<_>>()})
    };
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "x"});
    let says = |blocks: Value| json!({"role": "user", "content": blocks});
    let thinks = |proof: &str| {
        let block = json!({"type": "thinking", "thinking": "Hm.", "signature": proof});
        json!({"role": "assistant", "content": [block, {"type": "text", "text": "x"}]})
    };
    for (messages, words) in [
        (json!([]), "at least one message is required"),
        (json!([user("a"), user("b")]), "roles must alternate"),
        (json!([{"role": "assistant", "content": "a"}]), "roles must alternate"),
        (
            json!([{"role": "system", "content": "a"}]),
            "Input should be 'user' or 'assistant'",
        ),
        (
            json!([user("a"), {"role": "assistant", "content": "b"}]),
            "must end with a user message",
        ),
        (json!([user(" ")]), "non-empty content"),
        (
            json!([says(json!([{"type": "text", "text": " "}]))]),
            "non-whitespace text",
        ),
        (
            json!([user("a"), calls(&["x"]), user("b")]),
            "`tool_use` ids were found without `tool_result` blocks",
        ),
        (
            json!([user("a"), calls(&["x"]), says(json!([result("y")]))]),
            "unexpected `tool_use_id`",
        ),
        (
            json!([user("a"), calls(&["x"]), says(json!([result("x"), result("x")]))]),
            "a single result",
        ),
        (
            json!([
                user("a"),
                calls(&["x"]),
                says(json!([{"type": "text", "text": "b"}, result("x")]))
            ]),
            "must come before other content",
        ),
        (
            json!([user("a"), calls(&["x", "x"]), says(json!([result("x")]))]),
            "ids must be unique",
        ),
        (
            json!([user("a"), calls(&["a b"]), says(json!([result("a b")]))]),
            "should match pattern",
        ),
        (json!([user("a"), thinks("forged"), user("b")]), "Invalid `signature`"),
        (
            json!([user("a"), {"role": "assistant", "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            ]}, user("b")]),
            "without a corresponding",
        ),
        (
            json!([user("a"), {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}, user("b")]),
            "cannot be `thinking`",
        ),
        (
            json!([says(
                json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "/9j/"}}])
            )]),
            "appears to be a image/jpeg image",
        ),
    ] {
        let mut request = asked(messages);
        request["tools"] = json!([{"name": "t", "input_schema": {"type": "object"}}]);
        let (status, message) = refusal(&request).unwrap_or_else(|| panic!("accepted: {request}"));
        assert!(
            status == 400 && message.contains(words),
            "{message} should contain {words}"
        );
    }
    let good = json!([user("a"), thinks(&signature("m", "Hm.")), user("b")]);
    assert_eq!(refusal(&asked(good)), None);
}

#[test]
fn parameters_exclude_each_other_as_they_do_at_the_vendors() {
    for (change, words) in [
        (json!({"max_tokens": null}), "max_tokens"),
        (
            json!({"presence_penalty": 1}),
            "presence_penalty: Extra inputs are not permitted",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1000}}),
            "greater than or equal to 1024",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            "must be greater than",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 1}),
            "when thinking is enabled",
        ),
        (json!({"temperature": 1, "top_p": 1}), "cannot both be specified"),
        (json!({"tool_choice": {"type": "auto"}}), "while providing tools"),
        (
            json!({"tools": [{"name": "t", "input_schema": {"type": "object", "anyOf": []}}]}),
            "at the top level",
        ),
        (json!({"model": "other"}), "model: other"),
        (
            json!({"tools": [{"name": "t", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "u"}}),
            "Tool 'u' not found",
        ),
        (
            json!({"tools": [{"name": "t", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"},
                "thinking": {"type": "adaptive"}}),
            "when tool_choice forces tool use",
        ),
        (
            json!({"model": "claude-opus-4-1", "output_config": {"format": {"type": "json_schema", "schema": {}}}}),
            "does not support output format",
        ),
    ] {
        let mut request = asked(json!([user("a")]));
        for (name, value) in change.as_object().expect("an object") {
            request[name] = value.clone();
        }
        let (_, message) = refusal(&request).unwrap_or_else(|| panic!("accepted: {request}"));
        assert!(message.contains(words), "{message} should contain {words}");
    }
}

#[test]
fn a_stream_has_the_vendors_events_in_their_order() {
    let response = reply(&context(true), &full());
    let text = String::from_utf8(response.body.to_vec()).expect("text");
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").expect("a name and data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap_or_default()));
            data
        })
        .collect();
    let shown: Vec<String> = events
        .iter()
        .filter(|event| event["type"] != "content_block_delta")
        .map(|event| {
            let kind = event["content_block"]["type"].as_str().unwrap_or_default();
            format!("{} {kind}", event["type"].as_str().unwrap_or_default())
                .trim_end()
                .to_owned()
        })
        .collect();
    assert_eq!(
        shown,
        [
            "message_start",
            "content_block_start thinking",
            "ping",
            "content_block_stop",
            "content_block_start text",
            "content_block_stop",
            "content_block_start tool_use",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let proof = events.iter().find(|event| event["delta"]["type"] == "signature_delta");
    let proof = proof.map(|event| event["delta"]["signature"].clone());
    assert_eq!(proof, Some(json!(signature("m", "Let me see."))));
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    assert!(response.steps.contains(&Step::Gate("open".to_owned())));
    let ends: Vec<usize> = response
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Send { end, .. } => Some(*end),
            _ => None,
        })
        .collect();
    assert!(ends.is_sorted() && ends.last() == Some(&text.len()));
}

#[test]
fn an_answer_may_come_whole() {
    let response = reply(&context(false), &full());
    let message: Value = serde_json::from_slice(&response.body).expect("JSON");
    let kinds: Vec<&str> = message["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| block["type"].as_str())
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
    assert_eq!(message["content"][1]["text"], "I look.");
    assert_eq!(message["content"][2]["input"], json!({"command": "ls"}));
}

#[test]
fn errors_have_the_vendors_bodies() {
    let answered = |reply_: &Reply, stream| {
        let response = reply(&context(stream), reply_);
        (
            response.status,
            String::from_utf8(response.body.to_vec()).expect("text"),
        )
    };
    let (status, body) = answered(&Reply::fail(529, "overloaded_error"), true);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["type"]), (529, &json!("error")));
    assert_eq!(
        body["error"],
        json!({"type": "overloaded_error", "message": "Overloaded"})
    );
    let (status, body) = answered(&Reply::text("a b c").error_event_at(4, "overloaded_error"), true);
    assert!(
        status == 200 && body.contains("event: error\n") && !body.contains("message_stop"),
        "{body}"
    );
    let (_, body) = answered(&Reply::text("a").no_done(), true);
    assert!(
        body.contains("message_delta") && !body.contains("message_stop"),
        "{body}"
    );
}

#[test]
fn version_and_key_are_checked() {
    let keys = HashMap::from([("k".to_owned(), KeyState::Valid)]);
    let verdict = |headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        check_caller(&keys, &headers.collect()).err().map(|error| error.status)
    };
    let version = ("anthropic-version", "2023-06-01");
    assert_eq!(verdict(&[version, ("x-api-key", "k")]), None);
    assert_eq!(verdict(&[version, ("authorization", "Bearer k")]), None);
    assert_eq!(
        verdict(&[version, ("authorization", "Bearer other"), ("x-api-key", "k")]),
        Some(401)
    );
    assert_eq!(verdict(&[version, ("x-api-key", "other")]), Some(401));
    assert_eq!(verdict(&[version]), Some(401));
    assert_eq!(verdict(&[("x-api-key", "k")]), Some(400));
}

#[test]
fn the_version_of_2026_takes_no_sampling_parameters() {
    let mut request = asked(json!([user("Hello")]));
    request["temperature"] = json!(1);
    let body = request.to_string().into_bytes();
    assert!(check(&body, &rules(), Version::Of2023, &[]).is_ok());
    let error = check(&body, &rules(), Version::Of2026, &[]).unwrap_err();
    assert_eq!(error.message, "temperature: Extra inputs are not permitted");
}

#[test]
fn tokens_are_counted_without_room_for_an_answer() {
    let messages = json!([user("Hello, how are you?")]);
    let body = json!({"model": "m", "messages": messages}).to_string();
    let told = count(body.as_bytes(), &rules(), Version::Of2026, &[]).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told, json!({"input_tokens": 5}));
    let refused = count(asked(messages).to_string().as_bytes(), &rules(), Version::Of2026, &[]);
    assert_eq!(
        refused.unwrap_err().message,
        "max_tokens: Extra inputs are not permitted"
    );
}

#[test]
fn a_computer_is_offered_in_the_models_version_and_said_to_be_in_trial() {
    let offered = |kind: &str, change: Value| {
        let mut tool = json!({"type": kind, "name": "computer", "display_width_px": 1600, "display_height_px": 900});
        for (name, value) in change.as_object().expect("an object") {
            tool[name] = value.clone();
        }
        tool
    };
    let refusal = |model: &str, tool: Value, betas: &[&str]| {
        let mut request = asked(json!([user("a")]));
        request["model"] = json!(model);
        request["tools"] = json!([tool]);
        let checked = check(request.to_string().as_bytes(), &rules(), Version::Of2023, betas);
        checked.err().map(|error| error.message)
    };
    let (old, new) = ("computer_20250124", "computer_20251124");
    let (said_old, said_new) = (["computer-use-2025-01-24"], ["other", "computer-use-2025-11-24"]);
    let plain = || json!({});
    assert_eq!(refusal("claude-opus-4-1", offered(old, plain()), &said_old), None);
    assert_eq!(refusal("m", offered(new, plain()), &said_new), None);
    for (model, tool, betas, words) in [
        (
            "m",
            offered(new, plain()),
            &[][..],
            "does not match any of the expected tags",
        ),
        (
            "m",
            offered(new, plain()),
            &said_old,
            "does not match any of the expected tags",
        ),
        (
            "m",
            offered("computer_20991231", plain()),
            &said_new,
            "does not match any of the expected tags",
        ),
        (
            "claude-opus-4-1",
            offered(new, plain()),
            &said_new,
            "does not support tool types",
        ),
        (
            "m",
            offered(new, json!({"name": "screen"})),
            &said_new,
            "Input should be 'computer'",
        ),
        (
            "m",
            offered(new, json!({"display_width_px": 0})),
            &said_new,
            "greater than or equal to 1",
        ),
        (
            "m",
            offered(new, json!({"display_height_px": null})),
            &said_new,
            "Field required",
        ),
        (
            "m",
            offered(new, json!({"input_schema": {}})),
            &said_new,
            "Extra inputs are not permitted",
        ),
    ] {
        let message = refusal(model, tool, betas).unwrap_or_default();
        assert!(message.contains(words), "{message} should contain {words}");
    }
}
