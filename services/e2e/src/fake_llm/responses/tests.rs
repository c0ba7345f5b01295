use serde_json::{Value, json};

use super::{
    super::{
        render::{Context, Step},
        reply::Reply,
        validate::Rules,
    },
    *,
};

const MODEL: &str = "gpt-5";

fn rules() -> Rules {
    Rules {
        models: vec![MODEL.to_owned(), "gpt-4o".to_owned()],
        max_messages: 100,
    }
}

fn refusal(request: &Value) -> Option<(String, Option<String>)> {
    let error = check(request.to_string().as_bytes(), &rules(), &Kept::default()).err()?;
    assert_eq!(error.status, 400);
    Some((error.message, error.code))
}

fn asked(input: Value) -> Value {
    json!({"model": MODEL, "stream": true, "input": input})
}

fn context(stream: bool) -> Context {
    Context {
        number: 1,
        created: 0,
        model: MODEL.to_owned(),
        stream,
        include_usage: true,
        may_obfuscate: true,
        prompt_tokens: 9,
    }
}

/// A reply with everything in it, and the call it makes.
fn full() -> Reply {
    Reply::new()
        .reasoning("Let me see.")
        .and_text("I ")
        .gate("open")
        .and_text("look.")
        .tool_call_with_id("call_a", "execute", json!({"command": "ls"}))
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "t", "arguments": "{}"})
}

fn came(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "x"})
}

fn thought(id: &str, encrypted: &str) -> Value {
    json!({"type": "reasoning", "id": id, "encrypted_content": encrypted, "summary": [{"type": "summary_text", "text": "Hm."}]})
}

fn proved(id: &str) -> Value {
    thought(id, &encrypted_reasoning(MODEL, id, "Hm."))
}

fn says(role: &str, kind: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

#[test]
fn each_mistake_is_refused_in_the_vendors_words() {
    let reply = says("assistant", "output_text", "x");
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}});
    for (input, words) in [
        (json!([]), "empty array"),
        (Value::Null, "Missing required parameter: 'input'"),
        (json!([call("a")]), "No tool output found for function call a."),
        (
            json!([came("a")]),
            "No tool call found for function call output with call_id a.",
        ),
        (json!([call("a"), came("a"), came("a")]), "No tool call found"),
        (json!([call("a b"), came("a b")]), "does not match pattern"),
        (json!([call(&"x".repeat(65))]), "string too long"),
        (json!([proved("rs_1")]), "without its required following item"),
        (
            json!([proved("rs_1"), says("user", "input_text", "x")]),
            "without its required following item",
        ),
        (json!([thought("rs_1", "forged"), reply]), "could not be verified"),
        (
            json!([proved("rs_1"), reply, proved("rs_1"), reply]),
            "Duplicate item found with id rs_1",
        ),
        (json!([proved("other"), reply]), "begins with 'rs'"),
        (json!([search]), "without its required 'reasoning' item: 'rs_1'"),
        (
            json!([says("user", "output_text", "x")]),
            "Invalid value: 'output_text'",
        ),
        (json!([says("tool", "input_text", "x")]), "Invalid value: 'tool'"),
        (json!([says("system", "input_text", "x")]), "not for this model"),
        (json!([{"role": "user", "content": []}]), "Missing required parameter"),
        (
            json!([{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,eA=="}]}]),
            "not represent a valid image",
        ),
    ] {
        let request = asked(input);
        let (message, _) = refusal(&request).unwrap_or_else(|| panic!("accepted: {request}"));
        assert!(message.contains(words), "{message} should contain {words}");
    }
    let good = json!([
        says("developer", "input_text", "a"),
        proved("rs_1"),
        search,
        call("a"),
        came("a"),
        says("user", "input_text", "b")
    ]);
    assert_eq!(refusal(&asked(good)), None);
    assert_eq!(refusal(&asked(json!("hi"))), None);
}

#[test]
fn parameters_are_checked_as_they_are_at_the_vendors() {
    for (change, words) in [
        (json!({"model": "other"}), "The requested model 'other' does not exist."),
        (json!({"model": null}), "Invalid type for 'model'"),
        (json!({"max_tokens": 1}), "Unknown parameter: 'max_tokens'"),
        (json!({"max_output_tokens": 15}), "integer below minimum value"),
        (
            json!({"temperature": 1}),
            "'temperature' is not supported with this model",
        ),
        (
            json!({"model": "gpt-4o", "reasoning": {"effort": "low"}}),
            "'reasoning.effort' is not supported",
        ),
        (
            json!({"model": "gpt-4o", "include": ["reasoning.encrypted_content"]}),
            "Encrypted content is not supported",
        ),
        (json!({"include": ["all"]}), "Invalid value: 'all'"),
        (json!({"service_tier": "gold"}), "Invalid value: 'gold'"),
        (json!({"store": "yes"}), "Invalid type for 'store'"),
        (json!({"metadata": {"a": 1}}), "Invalid type for 'metadata.a'"),
        (
            json!({"previous_response_id": "resp_1"}),
            "Previous response with id 'resp_1' not found.",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            "Missing required parameter: 'tools[0].name'",
        ),
        (
            json!({"tools": [{"type": "function", "name": "t", "strict": false, "parameters": {"type": "object"}}]}),
            "object schema missing properties",
        ),
        (
            json!({"tools": [{"type": "function", "name": "t", "parameters": {"type": "object", "properties": {}}}]}),
            "'additionalProperties' is required",
        ),
        (json!({"tools": [{"type": "teleport"}]}), "Invalid value: 'teleport'"),
    ] {
        let mut request = asked(json!("hi"));
        for (name, value) in change.as_object().expect("an object") {
            request[name] = value.clone();
        }
        let (message, _) = refusal(&request).unwrap_or_else(|| panic!("accepted: {request}"));
        assert!(message.contains(words), "{message} should contain {words}");
    }
    let mut off = asked(json!("hi"));
    off["reasoning"] = json!({"effort": "none"});
    off["temperature"] = json!(1);
    assert_eq!(refusal(&off), None);
}

/// The events of a stream, whose names are those of their types.
fn events(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).expect("text");
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").expect("a name and data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap_or_default()));
            data
        })
        .collect()
}

#[test]
fn a_stream_has_the_vendors_events_in_their_order() {
    let response = reply(&context(true), &full());
    let events = events(&response.body);
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|event| event["sequence_number"].as_u64())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let is_delta = |event: &&Value| event["delta"].is_string();
    let shown: Vec<&str> = events
        .iter()
        .filter(|event| !is_delta(event))
        .filter_map(|event| event["type"].as_str()?.strip_prefix("response."))
        .collect();
    assert_eq!(
        shown,
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let last = &events[events.len() - 1]["response"];
    let ended: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .collect();
    for (index, event) in ended.iter().enumerate() {
        assert_eq!(
            (&event["item"], &event["output_index"]),
            (&last["output"][index], &json!(index))
        );
    }
    let thought = &last["output"][0];
    let id = thought["id"].as_str().expect("an id");
    assert_eq!(
        thought["encrypted_content"],
        encrypted_reasoning(MODEL, id, "Let me see.")
    );
    for event in events.iter().filter(is_delta) {
        let index = usize::try_from(event["output_index"].as_u64().expect("a place")).expect("a small one");
        assert_eq!(event["item_id"], last["output"][index]["id"]);
    }
    assert_eq!(last["usage"]["input_tokens"], 9);
    assert!(response.steps.contains(&Step::Gate("open".to_owned())));
    let ends = response.steps.iter().filter_map(|step| match step {
        Step::Send { end, .. } => Some(*end),
        _ => None,
    });
    let ends: Vec<usize> = ends.collect();
    assert!(ends.is_sorted() && ends.last() == Some(&response.body.len()));
}

#[test]
fn an_answer_may_come_whole() {
    let response = reply(&context(false), &full());
    let response: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(
        (&response["object"], &response["status"]),
        (&json!("response"), &json!("completed"))
    );
    let output = response["output"].as_array().expect("items");
    let kinds: Vec<&str> = output.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(output[1]["content"][0]["text"], "I look.");
    assert_eq!(output[2]["arguments"], "{\"command\":\"ls\"}");
}

#[test]
fn endings_and_errors_have_the_vendors_forms() {
    let last = |script: &Reply| events(&reply(&context(true), script).body).pop().expect("an event");
    let ended = last(&Reply::text("a").finish("length"));
    assert_eq!(ended["type"], "response.incomplete");
    assert_eq!(ended["response"]["incomplete_details"]["reason"], "max_output_tokens");
    let error = last(&Reply::text("a b c").error_event_at(4, "rate_limit_exceeded"));
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("rate_limit_exceeded"))
    );
    assert_eq!(error["sequence_number"], 4);
    assert_eq!(last(&Reply::text("a").no_done())["type"], "response.output_item.done");
    let padded = reply(&context(true), &Reply::text("a").obfuscated());
    assert!(
        events(&padded.body)
            .iter()
            .any(|event| event["obfuscation"].is_string())
    );
    let refused = reply(&context(true), &Reply::fail(503, "server_is_overloaded"));
    assert_eq!(refused.status, 503);
}

#[test]
fn azure_has_a_key_header_of_its_own() {
    let keys = HashMap::from([
        ("k".to_owned(), KeyState::Valid),
        ("gone".to_owned(), KeyState::Revoked),
    ]);
    let verdict = |path: &str, name: &'static str, key: &'static str| {
        let header = (http::HeaderName::from_static(name), http::HeaderValue::from_static(key));
        let headers = HeaderMap::from_iter([header]);
        check_caller(&keys, path, &headers).err().map(|error| error.status)
    };
    let azure = "/openai/v1/responses";
    assert_eq!(verdict(azure, "api-key", "k"), None);
    assert_eq!(verdict(azure, "api-key", "gone"), Some(401));
    assert_eq!(verdict(azure, "authorization", "Bearer k"), Some(401));
    assert_eq!(verdict("/v1/responses", "authorization", "Bearer k"), None);
    assert_eq!(verdict("/v1/responses", "api-key", "k"), Some(401));
    assert_eq!((path(azure), path(RESPONSES)), (RESPONSES, RESPONSES));
}

#[test]
fn a_request_goes_on_from_what_is_kept_and_from_nothing_else() {
    let mut kept = Kept::default();
    let accepted = |request: &Value, kept: &Kept| check(request.to_string().as_bytes(), &rules(), kept);
    let first = asked(json!("One"));
    let first_accepted = accepted(&first, &kept).unwrap();
    kept.keep(&context(true), first.to_string().as_bytes(), &first_accepted, &full());
    let next = |input: Value| {
        let mut next = asked(input);
        next["previous_response_id"] = json!(id(1));
        next
    };
    let refused = |request: &Value, kept: &Kept| accepted(request, kept).unwrap_err().message;
    let open = refused(&next(json!("Two")), &kept);
    assert!(open.contains("No tool output found for function call call_a"), "{open}");
    let answered = accepted(&next(json!([came("call_a"), says("user", "input_text", "Two")])), &kept).unwrap();
    assert_eq!(
        (answered.conversation.as_str(), answered.last_user.as_str()),
        ("One", "Two")
    );
    assert_eq!(answered.texts, ["One", "Let me see.I look.", "x", "Two"]);
    assert!(answered.prompt_tokens > first_accepted.prompt_tokens);
    kept.forget();
    let forgotten = refused(&next(json!("Two")), &kept);
    assert_eq!(forgotten, format!("Previous response with id '{}' not found.", id(1)));
    let mut secret = first;
    secret["store"] = json!(false);
    kept.keep(&context(true), secret.to_string().as_bytes(), &first_accepted, &full());
    assert!(kept.find(&id(1)).is_none(), "it was not to be kept");
}

fn with_computer(tool: Value, input: Value) -> Value {
    let preview = tool["type"] == "computer_use_preview";
    let model = if preview { "computer-use-preview" } else { "gpt-5.4" };
    json!({"model": model, "input": input, "tools": [tool], "truncation": if preview { "auto" } else { "disabled" }})
}

fn refused(request: &Value) -> Option<String> {
    let rules = Rules {
        models: Vec::new(),
        max_messages: 100,
    };
    let checked = check(request.to_string().as_bytes(), &rules, &Kept::default());
    checked.err().map(|error| error.message)
}

#[test]
fn a_computer_is_offered_to_models_that_have_one() {
    let newer = json!({"type": "computer"});
    let preview = json!({
        "type": "computer_use_preview", "display_width": 1600, "display_height": 900, "environment": "linux",
    });
    let of = |tool: &Value| with_computer(tool.clone(), json!("hi"));
    assert_eq!(refused(&of(&newer)), None);
    assert_eq!(refused(&of(&preview)), None);
    let changed = |tool: &Value, path: &str, value: Value| {
        let mut request = of(tool);
        *request.pointer_mut(path).expect("a field") = value;
        request
    };
    for (request, words) in [
        (
            changed(&newer, "/model", json!("gpt-5.2")),
            "'computer' is not supported with gpt-5.2",
        ),
        (
            changed(&preview, "/model", json!("gpt-5.4")),
            "'computer_use_preview' is not supported",
        ),
        (
            changed(&preview, "/truncation", json!("disabled")),
            "'truncation' to be 'auto'",
        ),
        (
            changed(&preview, "/tools/0/display_width", json!(0)),
            "tools[0].display_width",
        ),
        (
            changed(&preview, "/tools/0/environment", json!("amiga")),
            "Invalid value: 'amiga'",
        ),
        (
            changed(&newer, "/tools/0", json!({"type": "computer", "display_width": 9})),
            "tools[0].display_width",
        ),
    ] {
        let message = refused(&request).unwrap_or_default();
        assert!(message.contains(words), "{message} should contain {words}");
    }
}

#[test]
fn a_call_at_a_computer_is_answered_by_a_picture_and_acknowledged() {
    let checks = json!([{"id": "sc_1", "code": "c", "message": "m"}]);
    let called = |pending: Value| {
        json!({
            "type": "computer_call", "id": "cu_1", "call_id": "a", "status": "completed",
            "actions": [{"type": "wait"}], "pending_safety_checks": pending,
        })
    };
    let shown = |acknowledged: Value| {
        let output = json!({"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="});
        json!({
            "type": "computer_call_output", "call_id": "a", "output": output,
            "acknowledged_safety_checks": acknowledged,
        })
    };
    let of = |items: Value| refused(&with_computer(json!({"type": "computer"}), items));
    assert_eq!(of(json!([called(json!([])), shown(json!([]))])), None);
    assert_eq!(of(json!([called(checks.clone()), shown(checks.clone())])), None);
    let mut blank = shown(json!([]));
    blank["output"] = json!({"type": "input_text", "text": "failed"});
    let mut odd = called(json!([]));
    odd["actions"] = json!([{"type": "left_click"}]);
    let mut both = called(json!([]));
    both["action"] = json!({"type": "wait"});
    for (items, words) in [
        (json!([called(json!([]))]), "No tool output found for computer call a."),
        (json!([shown(json!([]))]), "No tool call found for computer call output"),
        (
            json!([called(json!([])), came("a")]),
            "No tool call found for function call output",
        ),
        (
            json!([call("a"), shown(json!([]))]),
            "No tool call found for computer call output",
        ),
        (json!([called(checks), shown(json!([]))]), "has not been acknowledged"),
        (json!([called(Value::Null), shown(json!([]))]), "pending_safety_checks"),
        (json!([called(json!([])), blank]), "Invalid value: 'input_text'"),
        (json!([odd, shown(json!([]))]), "Invalid value: 'left_click'"),
        (json!([both, shown(json!([]))]), "either action or actions"),
    ] {
        let message = of(items).unwrap_or_default();
        assert!(message.contains(words), "{message} should contain {words}");
    }
}

#[test]
fn a_scripted_call_at_a_computer_has_the_vendors_form() {
    let asked = json!({"actions": [{"type": "wait"}], "pending_safety_checks": []});
    let script = Reply::new()
        .tool_call_with_id("call_a", "computer", asked.clone())
        .tool_call("computer", json!({"action": "screenshot"}));
    let events = events(&reply(&context(true), &script).body);
    let items: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .collect();
    let call = &items[0]["item"];
    assert_eq!(
        (&call["type"], &call["call_id"], &call["actions"]),
        (&json!("computer_call"), &json!("call_a"), &asked["actions"])
    );
    assert_eq!(items[1]["item"]["type"], "function_call", "a tool of ours of that name");
    let begun = events
        .iter()
        .find(|event| event["type"] == "response.output_item.added");
    assert!(begun.expect("an item")["item"]["actions"].is_null());
}
