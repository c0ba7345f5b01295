//! Chats with a provider that speaks OpenAI Responses, the vendor's own or Azure's. The fake refuses every request that the vendor
//! would refuse.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, KeyState, RecordedRequest, Reply, Script, encrypted_reasoning, response_id},
    world::{Builder, Transcript, World, id_of, text},
};

use crate::{LIMIT, Result, settled, tools::last_request, vendors};

const MODEL: &str = "gpt-5.2";
const CLAUDE: &str = "claude-test-model";

/// Registers the fake as a provider of that type, with a model of these options; the model's id.
async fn register(world: &World, kind: &str, base_url: &str, model: &str, options: Value) -> Result<String> {
    let body = json!({
        "type": kind,
        "name": format!("{kind}-{}", model.replace('.', "-")),
        "display_name": kind,
        "enabled": true,
        "base_url": base_url,
        "api_keys": [world.fake().api_key()],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    let body = json!({
        "ai_provider_id": provider["id"],
        "model": model,
        "display_name": model,
        "context_limit": 128_000,
        "model_config": { "provider_options": options },
    });
    let model = world
        .rest()
        .post("/api/v1/chats/model-configs", &body)
        .await?
        .expect(201)?;
    Ok(id_of(&model)?.to_owned())
}

async fn register_openai(world: &World, own: Value) -> Result<String> {
    let base_url = world.fake().base_url();
    register(world, "openai", &base_url, MODEL, json!({ "openai": own })).await
}

fn with_models() -> Builder {
    World::builder().fake(FakeLlm::builder().models(["fake-model", MODEL, CLAUDE]))
}

/// A world whose only model has these options.
async fn world(own: Value) -> Result<World> {
    let world = with_models().without_provider().start().await?;
    register_openai(&world, own).await?;
    Ok(world)
}

/// Options of a model that tells what it thinks.
fn thinking() -> Value {
    json!({ "reasoning_effort": "low", "reasoning_summary": "auto" })
}

/// The same of a model whose responses the vendor does not keep, so that each request has the whole conversation.
fn thinking_unkept() -> Value {
    json!({ "reasoning_effort": "low", "reasoning_summary": "auto", "store": false })
}

/// The requests that came in this dialect.
fn asked(world: &World) -> Vec<RecordedRequest> {
    let mut requests = world.fake().completions();
    requests.retain(|request| request.path.ends_with("/v1/responses"));
    requests
}

/// Items of one type in a request, in order.
fn items<'a>(request: &'a RecordedRequest, kind: &str) -> Vec<&'a Value> {
    let input = request.body["input"].as_array();
    input
        .into_iter()
        .flatten()
        .filter(|item| item["type"] == kind)
        .collect()
}

/// One field of items.
fn fields<'a>(items: &[&'a Value], name: &str) -> Vec<&'a str> {
    items.iter().filter_map(|item| item[name].as_str()).collect()
}

/// Sends a message for a model.
async fn send_to(world: &World, chat_id: &str, message: &str, model: &str) -> Result {
    let body = json!({ "content": text(message), "model_config_id": model });
    let path = format!("/api/v1/chats/{chat_id}/messages");
    world.rest().post(&path, &body).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn reasoning_and_tools_go_through_every_step_as_they_came() -> Result {
    let world = world(thinking_unkept()).await?;
    let step = Reply::new()
        .reasoning("I should look around first.")
        .and_text("Looking.")
        .tool_call_with_id("call_one", "execute", json!({ "command": "echo one" }))
        .tool_call_with_id("call_two", "execute", json!({ "command": "echo two; exit 3" }))
        .tool_call_with_id("call_three", "process_list", json!({}));
    let again = Reply::new()
        .reasoning("Once more.")
        .tool_call("process_list", json!({}));
    let end = Reply::new().reasoning("That is all.").and_text("All done.");
    world
        .fake()
        .script(Script::turn([step, again, end]).when_user_says("Run"));
    let chat = world.create_chat("Run them").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: Run them",
            "assistant: [reasoning] Looking. [tool-call execute] [tool-call execute] [tool-call process_list]",
            "tool: [tool-result execute]",
            "tool: [tool-result execute]",
            "tool: [tool-result process_list]",
            "assistant: [reasoning] [tool-call process_list]",
            "tool: [tool-result process_list]",
            "assistant: [reasoning] All done.",
        ]
    );
    assert_eq!(Transcript::of(&stream.settled(LIMIT).await?).lines(), shown);
    world.send(id, "And now?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: And now?"));

    let requests = asked(&world);
    assert_eq!(requests.len(), 4);
    let first = &requests[0].body;
    assert_eq!(first["reasoning"], json!({ "effort": "low", "summary": "auto" }));
    assert_eq!(first["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!((&first["store"], &first["stream"]), (&json!(false), &json!(true)));
    assert!(
        requests
            .iter()
            .all(|request| request.body["previous_response_id"].is_null())
    );
    let last = &requests[3];
    let outputs = items(last, "function_call_output");
    assert_eq!(fields(&outputs, "call_id")[..3], ["call_one", "call_two", "call_three"]);
    let thoughts = items(last, "reasoning");
    let told: Vec<&str> = thoughts
        .iter()
        .filter_map(|item| item["summary"][0]["text"].as_str())
        .collect();
    assert_eq!(
        told,
        ["I should look around first.", "Once more.", "That is all."],
        "as they were encrypted, or they would be refused"
    );
    world.fake().check_no_rejections()
}

/// What users say in a request, and whether it has anything of the model's.
fn said(request: &RecordedRequest) -> (Vec<&str>, bool) {
    let items = request.body["input"].as_array().map_or(&[][..], Vec::as_slice);
    let of_users = items.iter().filter(|item| item["role"] == "user");
    let texts = of_users
        .filter_map(|item| item["content"][0]["text"].as_str())
        .collect();
    let is_models = |item: &Value| item["role"] == "assistant" || item["type"] != "message";
    (texts, items.iter().any(is_models))
}

/// The response that a request goes on from.
fn goes_on_from(request: &RecordedRequest) -> Option<&str> {
    request.body["previous_response_id"].as_str()
}

#[tokio::test]
async fn a_turn_goes_on_from_the_response_that_the_vendor_keeps() -> Result {
    let world = world(thinking()).await?;
    let step = || {
        Reply::new()
            .reasoning("Hm.")
            .tool_call("execute", json!({ "command": "true" }))
    };
    for message in ["First", "Third"] {
        let turn = [step(), Reply::text(format!("{message} done."))];
        world.fake().script(Script::turn(turn).when_user_says(message));
    }
    let chat = world.create_chat("First").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    for message in ["Second", "Third", "Fourth"] {
        world.send(id, message).await?;
        settled(&world, id).await?;
    }
    let requests = asked(&world);
    assert_eq!(requests.len(), 6);
    let ids: Vec<String> = requests.iter().map(|request| response_id(request.number)).collect();
    let from: Vec<Option<&str>> = requests.iter().map(goes_on_from).collect();
    assert_eq!(
        from,
        [
            None,
            None,
            Some(ids[1].as_str()),
            Some(ids[2].as_str()),
            None,
            Some(ids[4].as_str())
        ],
        "the first step of each turn but the first"
    );
    for (place, message) in [(2, "Second"), (3, "Third"), (5, "Fourth")] {
        assert_eq!(said(&requests[place]), (vec![message], false));
    }
    assert_eq!(
        said(&requests[4]),
        (vec!["First", "Second", "Third"], true),
        "what tools returned goes with everything"
    );
    assert_eq!(items(&requests[4], "function_call_output").len(), 2);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_response_that_the_vendor_has_forgotten_costs_a_request_and_nothing_else() -> Result {
    let world = world(thinking()).await?;
    let chat = world.create_chat("First").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.fake().forget_responses();
    let stream = world.stream(id).await?;
    world.send(id, "Second").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Second"));
    let told = Transcript::of(&stream.settled(LIMIT).await?);
    assert!(told.retries.is_empty() && told.errors.is_empty(), "nobody hears of it");
    let requests = world.fake().requests();
    let refused: Vec<&RecordedRequest> = requests.iter().filter(|request| request.rejection.is_some()).collect();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0]
            .rejection
            .as_deref()
            .is_some_and(|why| why.contains("not found"))
    );
    let whole = asked(&world).pop().expect("it was asked again");
    assert_eq!(
        (goes_on_from(&whole), said(&whole)),
        (None, (vec!["First", "Second"], true))
    );

    // A server that says so within its stream.
    let error = json!({
        "type": "error", "code": "previous_response_not_found", "param": "previous_response_id",
        "message": format!("Previous response with id '{}' not found.", response_id(whole.number)),
    });
    let raw = format!("event: error\ndata: {error}\n\n").into_bytes();
    world.fake().script(Script::reply(Reply::raw("text/event-stream", raw)));
    world.send(id, "Third").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Third"));
    let requests = asked(&world);
    let [.., short, whole] = &requests[..] else {
        anyhow::bail!("two requests for one turn")
    };
    assert!(goes_on_from(short).is_some());
    assert_eq!(
        (goes_on_from(whole), said(whole)),
        (None, (vec!["First", "Second", "Third"], true))
    );
    Ok(())
}

#[tokio::test]
async fn a_chat_changes_its_provider_between_turns_and_back() -> Result {
    let world = with_models().start().await?;
    let other = world.model_config_id().to_owned();
    let openai = register_openai(&world, thinking()).await?;
    let base_url = world.fake().base_url();
    let claude = register(
        &world,
        "anthropic",
        &base_url,
        CLAUDE,
        json!({ "anthropic": { "effort": "low" } }),
    )
    .await?;
    for message in ["First", "Second", "Third", "Fourth"] {
        let step = Reply::new()
            .reasoning("Hm.")
            .tool_call("execute", json!({ "command": "true" }));
        world
            .fake()
            .script(Script::turn([step, Reply::text("Done.")]).when_user_says(message));
    }
    let chat = world.create_chat("First").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    for (message, model) in [
        ("Second", &openai),
        ("Third", &claude),
        ("Fourth", &other),
        ("Fifth", &openai),
    ] {
        send_to(&world, id, message, model).await?;
        settled(&world, id).await?;
    }
    let paths: Vec<String> = world
        .fake()
        .completions()
        .into_iter()
        .map(|request| request.path)
        .collect();
    let (compatible, own, claudes) = ("/v1/chat/completions", "/v1/responses", "/v1/messages");
    assert_eq!(
        paths,
        [
            compatible, compatible, own, own, claudes, claudes, compatible, compatible, own
        ]
    );
    let last = last_request(&world);
    assert_eq!(items(&last, "function_call").len(), 4);
    assert_eq!(items(&last, "function_call_output").len(), 4);
    assert_eq!(
        items(&last, "reasoning").len(),
        1,
        "only its own reasoning is sent back"
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends_the_turn_with_its_reason() -> Result {
    let world = world(thinking()).await?;
    world.fake().script(Script::turn([
        Reply::fail(503, "overloaded"),
        Reply::rate_limited(Duration::from_millis(100)),
        Reply::text("Half an answer that breaks").error_event_at(6, "server_error"),
        Reply::text("Half an answer without its end").cut_at_byte(2500),
        Reply::text("Whole but for its end").no_done(),
        Reply::text("Whole."),
    ]));
    let (id, kinds) = vendors::patient(&world, "Whole.").await?;
    assert_eq!(kinds, ["overloaded", "rate_limit", "generic", "timeout", "timeout"]);
    for (state, kind, status) in [
        (KeyState::Revoked, "auth", 401),
        (KeyState::OutOfQuota, "usage_limit", 429),
    ] {
        vendors::ends_with(&world, &id, state, kind, status).await?;
        assert_eq!(vendors::goes_on(&world, &id).await?, "assistant: You said: Again");
    }
    Ok(())
}

/// A stream in which the model reasons, the vendor searches, and the model cites what was found.
fn searched() -> Vec<u8> {
    let summary = json!([{ "type": "summary_text", "text": "Hm." }]);
    let encrypted = encrypted_reasoning(MODEL, "rs_1", "Hm.");
    let action = json!({ "type": "search", "query": "x", "sources": [{ "type": "url", "url": "https://a.example" }] });
    let citation =
        json!({ "type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5 });
    let usage = json!({ "input_tokens": 9, "output_tokens": 7, "total_tokens": 16 });
    let added = |index: usize, item: Value| json!({ "type": "response.output_item.added", "output_index": index, "item": item });
    let done =
        |index: usize, item: Value| json!({ "type": "response.output_item.done", "output_index": index, "item": item });
    let response = |status: &str| json!({ "id": "resp_1", "status": status, "output": [], "usage": usage });
    let events = [
        json!({ "type": "response.created", "response": response("in_progress") }),
        added(0, json!({ "type": "reasoning", "id": "rs_1", "summary": [] })),
        done(
            0,
            json!({ "type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": encrypted }),
        ),
        added(
            1,
            json!({ "type": "web_search_call", "id": "ws_1", "status": "in_progress" }),
        ),
        json!({ "type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1" }),
        done(
            1,
            json!({ "type": "web_search_call", "id": "ws_1", "status": "completed", "action": action }),
        ),
        added(2, json!({ "type": "message", "id": "msg_1", "content": [] })),
        json!({ "type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "It is so." }),
        json!({ "type": "response.output_text.annotation.added", "output_index": 2, "annotation": citation }),
        done(
            2,
            json!({ "type": "message", "id": "msg_1", "content": [{ "type": "output_text", "text": "It is so." }] }),
        ),
        json!({ "type": "response.completed", "response": response("completed") }),
    ];
    let event = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap_or_default()
        )
    };
    events.iter().map(event).collect::<String>().into_bytes()
}

#[tokio::test]
async fn what_the_vendor_searched_is_shown_kept_and_sent_back_with_its_reasoning() -> Result {
    let world = world(json!({ "web_search_enabled": true, "allowed_domains": ["a.example"], "store": false })).await?;
    world
        .fake()
        .script(Script::reply(Reply::raw("text/event-stream", searched())));
    let chat = world.create_chat("Search").await?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    let said = "assistant: [reasoning] [tool-call web_search] [tool-result web_search] It is so. [source]";
    assert_eq!(shown, ["user: Search", said]);
    world.send(id, "And now?").await?;
    settled(&world, id).await?;
    let requests = asked(&world);
    assert_eq!(requests.len(), 2, "nobody here runs the vendor's tool");
    let last = &requests[1];
    let offered = last.body["tools"].as_array().and_then(|tools| tools.last());
    let expected = json!({ "type": "web_search", "filters": { "allowed_domains": ["a.example"] } });
    assert_eq!(offered, Some(&expected));
    assert_eq!(items(last, "reasoning").len(), 1);
    let search = items(last, "web_search_call");
    assert_eq!(
        (&search[0]["id"], &search[0]["action"]),
        (&json!("ws_1"), &json!({ "type": "search", "query": "x" }))
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn an_administrator_chooses_how_a_model_is_asked() -> Result {
    let world = world(json!({ "wire_api": "chat_completions" })).await?;
    let base_url = world.fake().base_url();
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    assert_eq!(last_request(&world).path, "/v1/chat/completions");
    let own = json!({ "openai": { "wire_api": "responses" } });
    let unknown = register(
        &world,
        "azure",
        &format!("{}/", base_url.trim_end_matches("/v1")),
        "fake-model",
        own,
    )
    .await?;
    send_to(&world, id, "Two", &unknown).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Two"));
    assert_eq!(last_request(&world).path, "/openai/v1/responses");
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn an_option_of_no_meaning_ends_the_turn_by_name() -> Result {
    let world = world(json!({ "wire_api": "soap" })).await?;
    let chat = world.create_chat("One").await?;
    let failed = world.wait_for_status(id_of(&chat)?, "error", LIMIT).await?;
    let error = &failed["last_error"];
    assert_eq!(error["kind"], "config", "{error}");
    assert!(error.to_string().contains("wire_api"), "{error}");
    assert!(world.fake().completions().is_empty());
    Ok(())
}

#[tokio::test]
async fn azure_is_asked_below_its_resource_with_a_key_header_of_its_own() -> Result {
    let world = with_models().without_provider().start().await?;
    let resource = world.fake().base_url().trim_end_matches("/v1").to_owned();
    register(&world, "azure", &resource, MODEL, json!({ "openai": thinking() })).await?;
    let unknown = register(&world, "azure", &resource, "fake-model", json!({})).await?;
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    send_to(&world, id, "Two", &unknown).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Two"));
    let requests = world.fake().completions();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/openai/v1/responses", "/openai/v1/chat/completions"]);
    for request in &requests {
        assert!(request.headers.contains_key("api-key") && !request.headers.contains_key("authorization"));
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn keys_are_tested_where_models_are_listed() -> Result {
    let world = with_models().without_provider().start().await?;
    let test = async |kind: &str, base_url: &str, key: &str| -> Result<Value> {
        let body = json!({ "type": kind, "base_url": base_url, "api_key": key });
        world.rest().post("/api/v2/ai/providers/test", &body).await?.expect(200)
    };
    let base_url = world.fake().base_url();
    let resource = base_url.trim_end_matches("/v1");
    for (kind, base_url) in [
        ("openai", base_url.clone()),
        ("azure", resource.to_owned()),
        ("azure", format!("{resource}/openai/v1/")),
    ] {
        let good = test(kind, &base_url, world.fake().api_key()).await?;
        assert_eq!(
            (&good["ok"], &good["models"]),
            (&json!(true), &json!(["fake-model", MODEL, CLAUDE])),
            "{good}"
        );
        let bad = test(kind, &base_url, "sk-wrong").await?;
        assert_eq!(bad["ok"], false);
        let told = bad["message"].as_str().unwrap_or_default();
        assert!(told.contains("does not accept") && !told.contains("sk-wrong"), "{bad}");
    }
    Ok(())
}
