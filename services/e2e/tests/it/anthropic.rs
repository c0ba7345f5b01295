//! Chats with a provider that speaks Anthropic Messages. The fake refuses every request that the vendor would refuse.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{KeyState, RecordedRequest, Reply, Script},
    world::{Transcript, World, id_of, text},
};

use crate::{LIMIT, Result, settled, tools::last_request, vendors};

const MODEL: &str = "claude-test-model";

/// Registers the fake as a provider of the type anthropic, with a model of these options; the model's id.
async fn register(world: &World, options: Value) -> Result<String> {
    let body = json!({
        "type": "anthropic",
        "name": "claude",
        "display_name": "Claude",
        "enabled": true,
        // Without the version, as the vendor's own tools write it.
        "base_url": world.fake().base_url().trim_end_matches("/v1"),
        "api_keys": [world.fake().api_key()],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    let body = json!({
        "ai_provider_id": provider["id"],
        "model": MODEL,
        "display_name": MODEL,
        "context_limit": 128_000,
        "model_config": { "provider_options": { "anthropic": options } },
    });
    let model = world
        .rest()
        .post("/api/v1/chats/model-configs", &body)
        .await?
        .expect(201)?;
    Ok(id_of(&model)?.to_owned())
}

fn with_models() -> tandem_e2e::world::Builder {
    let fake = tandem_e2e::fake_llm::FakeLlm::builder().models(["fake-model", MODEL]);
    World::builder().fake(fake)
}

/// A world whose only model has these options.
async fn world(options: Value) -> Result<World> {
    let world = with_models().without_provider().start().await?;
    register(&world, options).await?;
    Ok(world)
}

/// Options of a model that thinks.
fn thinking() -> Value {
    json!({ "effort": "low" })
}

/// The requests that came in this dialect.
fn asked(world: &World) -> Vec<RecordedRequest> {
    let mut requests = world.fake().completions();
    requests.retain(|request| request.path == "/v1/messages");
    requests
}

/// Blocks of one kind in a request, in order.
fn blocks<'a>(request: &'a RecordedRequest, kind: &str) -> Vec<&'a Value> {
    let blocks = request
        .messages()
        .iter()
        .filter_map(|message| message["content"].as_array());
    blocks.flatten().filter(|block| block["type"] == kind).collect()
}

/// Sends a message for a model.
async fn send_to(world: &World, chat_id: &str, message: &str, model: &str) -> Result {
    let body = json!({ "content": text(message), "model_config_id": model });
    let path = format!("/api/v1/chats/{chat_id}/messages");
    world.rest().post(&path, &body).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn thinking_and_tools_go_through_every_step_as_they_came() -> Result {
    let world = world(thinking()).await?;
    let step = Reply::new()
        .reasoning("I should look around first.")
        .and_text("Looking.")
        .tool_call_with_id("toolu_one", "execute", json!({ "command": "echo one" }))
        .tool_call_with_id("toolu_two", "execute", json!({ "command": "echo two; exit 3" }));
    let again = Reply::call("process_list", json!({}));
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
            "assistant: [reasoning] Looking. [tool-call execute] [tool-call execute]",
            "tool: [tool-result execute]",
            "tool: [tool-result execute]",
            "assistant: [tool-call process_list]",
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
    let first = &requests[0];
    assert_eq!(
        first.headers.get("anthropic-version").map(String::as_str),
        Some("2023-06-01")
    );
    assert_eq!(first.headers.get("x-api-key").map(String::as_str), Some("[redacted]"));
    assert_eq!(first.body["thinking"]["type"], "enabled");
    assert_eq!(
        first.body["system"]
            .as_array()
            .and_then(|system| system.last())
            .map(|last| last["cache_control"].clone()),
        Some(json!({"type": "ephemeral"}))
    );
    let last = &requests[3];
    assert_eq!(
        last.roles(),
        ["user", "assistant", "user", "assistant", "user", "assistant", "user"]
    );
    let results: Vec<&str> = blocks(last, "tool_result")
        .iter()
        .filter_map(|block| block["tool_use_id"].as_str())
        .collect();
    assert_eq!(results[..2], ["toolu_one", "toolu_two"]);
    let thoughts: Vec<&str> = blocks(last, "thinking")
        .iter()
        .filter_map(|block| block["thinking"].as_str())
        .collect();
    assert_eq!(
        thoughts,
        ["I should look around first.", "That is all."],
        "with their signatures, or they would be refused"
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_chat_changes_its_provider_between_turns_and_back() -> Result {
    let world = with_models().start().await?;
    let claude = register(&world, thinking()).await?;
    let other = world.model_config_id().to_owned();
    for message in ["First", "Second", "Third"] {
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
    send_to(&world, id, "Second", &claude).await?;
    settled(&world, id).await?;
    send_to(&world, id, "Third", &other).await?;
    settled(&world, id).await?;
    send_to(&world, id, "Fourth", &claude).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Fourth"));
    let paths: Vec<String> = world
        .fake()
        .completions()
        .into_iter()
        .map(|request| request.path)
        .collect();
    let is_claude: Vec<bool> = paths.iter().map(|path| path == "/v1/messages").collect();
    assert_eq!(is_claude, [false, false, true, true, false, false, true]);
    let last = last_request(&world);
    assert_eq!(blocks(&last, "tool_use").len(), 3);
    assert_eq!(blocks(&last, "thinking").len(), 1, "only its own thinking is sent back");
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends_the_turn_with_its_reason() -> Result {
    let world = world(thinking()).await?;
    world.fake().script(Script::turn([
        Reply::fail(529, "overloaded_error"),
        Reply::rate_limited(Duration::from_millis(100)),
        Reply::text("Half an answer that breaks").error_event_at(5, "overloaded_error"),
        Reply::text("Half an answer without its end").cut_at_byte(700),
        Reply::text("Whole."),
    ]));
    let (id, kinds) = vendors::patient(&world, "Whole.").await?;
    assert_eq!(kinds, ["overloaded", "rate_limit", "overloaded", "timeout"]);
    for (state, kind, status) in [
        (KeyState::Revoked, "auth", 401),
        (KeyState::OutOfQuota, "usage_limit", 400),
    ] {
        vendors::ends_with(&world, &id, state, kind, status).await?;
        // What failed was not answered, so both messages are one turn of the user.
        assert_eq!(
            vendors::goes_on(&world, &id).await?,
            "assistant: You said: And now?Again"
        );
    }
    Ok(())
}

/// A stream in which the vendor searches and the model cites what was found.
fn searched() -> Vec<u8> {
    let found =
        json!({ "type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "e" });
    let citation =
        json!({ "type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "x" });
    let start =
        |index: usize, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta = |index: usize, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: usize| json!({ "type": "content_block_stop", "index": index });
    let usage = json!({ "input_tokens": 9, "output_tokens": 7 });
    let events = [
        json!({ "type": "message_start", "message": { "id": "msg_1", "usage": usage } }),
        start(
            0,
            json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {} }),
        ),
        delta(
            0,
            json!({ "type": "input_json_delta", "partial_json": "{\"query\":\"x\"}" }),
        ),
        stop(0),
        start(
            1,
            json!({ "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found] }),
        ),
        stop(1),
        start(2, json!({ "type": "text", "text": "", "citations": [] })),
        delta(2, json!({ "type": "text_delta", "text": "It is so." })),
        delta(2, json!({ "type": "citations_delta", "citation": citation })),
        stop(2),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": usage }),
        json!({ "type": "message_stop" }),
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
async fn what_the_vendor_searched_is_shown_kept_and_sent_back_as_it_came() -> Result {
    let world = world(json!({ "web_search_enabled": true })).await?;
    world
        .fake()
        .script(Script::reply(Reply::raw("text/event-stream", searched())));
    let chat = world.create_chat("Search").await?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    let said = "assistant: [tool-call web_search] [tool-result web_search] It is so. [source]";
    assert_eq!(shown, ["user: Search", said]);
    world.send(id, "And now?").await?;
    settled(&world, id).await?;
    let requests = asked(&world);
    assert_eq!(requests.len(), 2, "nobody here runs the vendor's tool");
    assert_eq!(
        blocks(&requests[1], "server_tool_use")[0]["input"],
        json!({ "query": "x" })
    );
    let found = &blocks(&requests[1], "web_search_tool_result")[0]["content"][0];
    assert_eq!(
        (&found["url"], &found["encrypted_content"]),
        (&json!("https://a.example"), &json!("e"))
    );
    world.fake().check_no_rejections()
}

fn events(events: &[Value]) -> Vec<u8> {
    let event = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    events.iter().map(event).collect::<String>().into_bytes()
}

/// An answer with a first and a last event, and the reason why it stopped.
fn answer(blocks: &[Value], reason: &str) -> Reply {
    let usage = json!({ "input_tokens": 9, "output_tokens": 7 });
    let start = json!({ "type": "message_start", "message": { "id": "msg_1", "usage": usage } });
    let delta = json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": usage });
    let end = json!({ "type": "message_stop" });
    let mut all = vec![start];
    for (index, block) in blocks.iter().enumerate() {
        all.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
        all.push(json!({ "type": "content_block_stop", "index": index }));
    }
    all.extend([delta, end]);
    Reply::raw("text/event-stream", events(&all))
}

#[tokio::test]
async fn an_answer_that_the_vendor_interrupts_goes_on_as_one_answer() -> Result {
    let world = world(json!({ "web_search_enabled": true })).await?;
    let found =
        json!({ "type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "e" });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let search =
        |id: &str| json!({ "type": "server_tool_use", "id": id, "name": "web_search", "input": { "query": id } });
    let result = |id: &str| json!({ "type": "web_search_tool_result", "tool_use_id": id, "content": [found] });
    world.fake().script(Script::turn([
        answer(&[text("I look. "), search("srvtoolu_1")], "pause_turn"),
        answer(&[result("srvtoolu_1"), search("srvtoolu_2")], "pause_turn"),
        answer(&[result("srvtoolu_2"), text("It is so.")], "end_turn"),
    ]));
    let chat = world.create_chat("Search").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    let one = "[tool-call web_search] [tool-result web_search]";
    assert_eq!(
        shown,
        [
            "user: Search".to_owned(),
            format!("assistant: I look.  {one} {one} It is so.")
        ]
    );
    assert_eq!(Transcript::of(&stream.settled(LIMIT).await?).lines(), shown);
    let requests = asked(&world);
    assert_eq!(requests.len(), 3);
    let turns = requests[2].messages();
    assert_eq!(turns.len(), 2, "the user's turn, and what the model has said so far");
    let expected = json!([
        text("I look. "),
        search("srvtoolu_1"),
        result("srvtoolu_1"),
        search("srvtoolu_2")
    ]);
    assert_eq!(turns[1]["content"], expected, "exactly as it came");
    let usage = &world.messages(id).await?[1]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(27), &json!(21)),
        "all of it is paid for"
    );
    world.send(id, "And now?").await?;
    settled(&world, id).await?;
    let last = last_request(&world);
    assert_eq!(blocks(&last, "web_search_tool_result").len(), 2);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_key_is_tested_where_models_are_listed() -> Result {
    let world = with_models().without_provider().start().await?;
    let test = async |key: &str| -> Result<Value> {
        let body = json!({ "type": "anthropic", "base_url": world.fake().base_url(), "api_key": key });
        world.rest().post("/api/v2/ai/providers/test", &body).await?.expect(200)
    };
    let good = test(world.fake().api_key()).await?;
    assert_eq!(
        (&good["ok"], &good["models"]),
        (&json!(true), &json!(["fake-model", MODEL])),
        "{good}"
    );
    let bad = test("sk-ant-wrong").await?;
    assert_eq!(bad["ok"], false);
    assert!(
        bad["message"].as_str().unwrap_or_default().contains("does not accept"),
        "{bad}"
    );
    Ok(())
}
