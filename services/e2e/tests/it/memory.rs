//! What the model remembers: compaction at the threshold, over the limit and on request; forgetting; the words of settings.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Service, Transcript, World, id_of},
};

use crate::{LIMIT, Result, conversation, settled};

/// Beyond 70 percent of the 128,000 tokens every model of a world has.
const FULL: i64 = 100_000;

/// What the card of a compaction says.
fn card(messages: &[Value]) -> Option<Value> {
    let parts = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten();
    let mut results = parts.filter(|part| part["type"] == "tool-result" && part["tool_name"] == "chat_summarized");
    results.next_back().map(|part| part["result"].clone())
}

/// The conversation of the last request that reached the model, as one text.
fn last_request(world: &World) -> String {
    let requests = world.fake().completions();
    let last = conversation(requests.last().expect("the model was asked"));
    let lines: Vec<String> = last.iter().map(|(role, text)| format!("{role}: {text}")).collect();
    lines.join("\n")
}

#[tokio::test]
async fn d54_a_full_window_is_summarised_at_the_end_of_the_turn() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("A very long answer.").usage(FULL, 5),
        Reply::text("They talked about whales.").gate("summary"),
        Reply::text("Whales, you said.").usage(50, 5),
    ]));
    let chat = world.create_chat("Tell me of whales").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    world.fake().wait_at_gate("summary", LIMIT).await?;
    let events = stream
        .wait_until(LIMIT, |events| {
            events
                .iter()
                .any(|event| event["message_part"]["part"]["tool_name"] == "chat_summarized")
        })
        .await?;
    assert_eq!(Transcript::of(&events).status(), "running", "visible while it runs");
    world.fake().open("summary");
    settled(&world, id).await?;

    let messages = world.messages(id).await?;
    let shown = card(&messages).expect("a card");
    assert_eq!(shown["summary"], "They talked about whales.");
    assert_eq!(
        (&shown["source"], &shown["threshold_percent"]),
        (&json!("automatic"), &json!(70))
    );
    assert_eq!(
        (&shown["context_tokens"], &shown["context_limit_tokens"]),
        (&json!(FULL + 5), &json!(128_000))
    );
    let summary_request = last_request(&world);
    assert!(summary_request.contains("A very long answer."), "{summary_request}");
    assert_eq!(
        stream
            .settled(LIMIT)
            .await
            .map(|events| Transcript::of(&events).repeated)?,
        [0_i64; 0]
    );

    world.send(id, "What did we talk about?").await?;
    settled(&world, id).await?;
    let request = last_request(&world);
    assert!(request.contains("They talked about whales."), "{request}");
    assert!(
        !request.contains("A very long answer."),
        "what was summarised is not sent again: {request}"
    );
    assert!(request.ends_with("user: What did we talk about?"), "{request}");
    let lines = tandem_e2e::world::lines(&world.messages(id).await?);
    assert!(
        lines.contains(&"assistant: A very long answer.".to_owned()),
        "people still see all of it: {lines:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn d54_a_long_turn_is_summarised_in_the_middle_and_goes_on() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("I look.")
            .tool_call("execute", json!({ "command": "echo marker-7" }))
            .usage(FULL, 5),
        Reply::text("The command printed marker-7; report it next."),
        Reply::text("It was marker-7.").usage(60, 5),
    ]));
    let chat = world.create_chat("What does it print?").await?;
    let id = id_of(&chat)?;
    let lines = settled(&world, id).await?;
    assert_eq!(lines.last().map(String::as_str), Some("assistant: It was marker-7."));
    let request = last_request(&world);
    assert!(
        request.contains("report it next") && !request.contains("What does it print?"),
        "{request}"
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn d54_a_prompt_the_vendor_refuses_as_too_long_is_summarised_piece_by_piece() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("First answer."),
        Reply::fail(400, "context_length_exceeded"),
        Reply::text("A short story of what was said."),
        Reply::text("Second answer."),
    ]));
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "Two").await?;
    let lines = settled(&world, id).await?;
    assert_eq!(lines.last().map(String::as_str), Some("assistant: Second answer."));
    let request = last_request(&world);
    assert!(request.contains("A short story"), "{request}");
    assert!(
        request.ends_with("user: Two"),
        "what waits for its answer is sent word for word: {request}"
    );
    Ok(())
}

#[tokio::test]
async fn d54_when_even_the_summary_fails_the_last_words_are_kept_and_the_chat_goes_on() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("First answer."),
        Reply::fail(400, "context_length_exceeded"),
        Reply::fail(400, "context_length_exceeded"),
        Reply::text("Second answer."),
    ]));
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "Two").await?;
    let lines = settled(&world, id).await?;
    assert_eq!(lines.last().map(String::as_str), Some("assistant: Second answer."));
    let shown = card(&world.messages(id).await?).expect("a card");
    assert!(
        shown["summary"]
            .as_str()
            .is_some_and(|text| text.contains("could not be summarised")),
        "{shown}"
    );
    assert!(
        last_request(&world).contains("First answer."),
        "its last words are kept"
    );
    Ok(())
}

#[tokio::test]
async fn d54_a_prompt_that_stays_too_long_ends_the_turn_with_its_reason() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::always(Reply::fail(400, "context_length_exceeded")));
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    let chat = world.wait_for_status(id, "error", LIMIT).await?;
    assert_eq!(chat["last_error"]["kind"], "config");
    Ok(())
}

#[tokio::test]
async fn d54_a_summary_that_fails_is_shown_and_changes_nothing_else() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("A very long answer.").usage(FULL, 5),
        Reply::fail(401, "invalid_api_key"),
        Reply::text("Still here.").usage(50, 5),
    ]));
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let shown = card(&world.messages(id).await?).expect("a card");
    assert!(shown["error"].is_string(), "{shown}");
    world.send(id, "Two").await?;
    let lines = settled(&world, id).await?;
    assert!(lines.contains(&"user: Two".to_owned()), "{lines:#?}");
    Ok(())
}

#[tokio::test]
async fn a_person_asks_for_a_summary_and_for_forgetting() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("I remember 42.").gate("answer"),
        Reply::text("The number is 42."),
        Reply::text("It is 42."),
        Reply::text("I know nothing."),
    ]));
    let chat = world.create_chat("Remember 42").await?;
    let id = id_of(&chat)?;
    let path = |what: &str| format!("/api/v1/chats/{id}/{what}");
    world.fake().wait_at_gate("answer", LIMIT).await?;
    for what in ["compact", "clear"] {
        let busy = world.rest().post(&path(what), &json!({})).await?.expect(409)?;
        assert!(
            busy["message"].as_str().is_some_and(|text| text.contains("at work")),
            "{busy}"
        );
    }
    world.rest().post(&path("retry"), &json!({})).await?.expect(409)?;
    world.fake().open("answer");
    settled(&world, id).await?;

    let asked = world.rest().post(&path("compact"), &json!({})).await?.expect(200)?;
    assert_eq!(asked["status"], "pending");
    settled(&world, id).await?;
    let shown = card(&world.messages(id).await?).expect("a card");
    assert_eq!(
        (&shown["source"], &shown["summary"]),
        (&json!("manual"), &json!("The number is 42."))
    );
    world.send(id, "Which number?").await?;
    settled(&world, id).await?;
    assert!(last_request(&world).contains("The number is 42."));

    let cleared = world.rest().post(&path("clear"), &json!({})).await?.expect(200)?;
    assert_eq!(cleared["status"], "waiting");
    world.send(id, "And now?").await?;
    let lines = settled(&world, id).await?;
    assert!(!last_request(&world).contains("42"), "{}", last_request(&world));
    assert!(
        lines.contains(&"assistant: It is 42.".to_owned()),
        "people still see all of it: {lines:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_summary_of_nothing_is_refused_in_the_card() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([Reply::text("Hello.")]));
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world
        .rest()
        .post(&format!("/api/v1/chats/{id}/clear"), &json!({}))
        .await?
        .expect(200)?;
    world
        .rest()
        .post(&format!("/api/v1/chats/{id}/compact"), &json!({}))
        .await?
        .expect(200)?;
    settled(&world, id).await?;
    assert_eq!(world.fake().completions().len(), 1, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn a_person_sets_their_own_threshold() -> Result {
    let world = World::start().await?;
    let path = format!(
        "/api/v1/chats/config/user-compaction-thresholds/{}",
        world.model_config_id()
    );
    world
        .rest()
        .put(&path, &json!({ "threshold_percent": 101 }))
        .await?
        .expect(400)?;
    let other = format!(
        "/api/v1/chats/config/user-compaction-thresholds/{}",
        world.provider_id()
    );
    world
        .rest()
        .put(&other, &json!({ "threshold_percent": 50 }))
        .await?
        .expect(404)?;
    world
        .rest()
        .put(&path, &json!({ "threshold_percent": 100 }))
        .await?
        .expect(200)?;
    let known = world
        .rest()
        .get("/api/v1/chats/config/user-compaction-thresholds")
        .await?
        .expect(200)?;
    assert_eq!(
        known,
        json!({ "thresholds": [{ "model_config_id": world.model_config_id(), "threshold_percent": 100 }] })
    );
    world.fake().script(Script::reply(Reply::text("Long.").usage(FULL, 5)));
    let chat = world.create_chat("One").await?;
    settled(&world, id_of(&chat)?).await?;
    assert_eq!(world.fake().completions().len(), 1, "100 percent switches it off");
    world.rest().delete(&path).await?.expect(204)?;
    Ok(())
}

#[tokio::test]
async fn a_failed_turn_is_tried_again_as_it_stands() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::fail(401, "invalid_api_key"),
        Reply::text("Now it works."),
    ]));
    let chat = world.create_chat("Try").await?;
    let id = id_of(&chat)?;
    world.wait_for_status(id, "error", LIMIT).await?;
    // A refused key rests for a moment; the second try may find it still resting, which is an error of its own.
    let limit = std::time::Instant::now() + LIMIT;
    loop {
        let chat = world
            .rest()
            .post(&format!("/api/v1/chats/{id}/retry"), &json!({}))
            .await?
            .expect(200)?;
        assert_eq!(
            (&chat["status"], &chat["last_error"]),
            (&json!("pending"), &Value::Null)
        );
        let stream = world.stream(id).await?;
        let events = stream
            .wait_until(LIMIT, |events| {
                ["waiting", "error"].contains(&Transcript::of(events).status())
            })
            .await?;
        if Transcript::of(&events).status() == "waiting" || std::time::Instant::now() > limit {
            break;
        }
    }
    let lines = settled(&world, id).await?;
    assert_eq!(lines, ["user: Try", "assistant: Now it works."]);
    Ok(())
}

#[tokio::test]
async fn d54_a_summary_survives_its_orchestrator_and_is_paid_once() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    world.fake().script(Script::turn([
        Reply::text("A very long answer.").usage(FULL, 5),
        Reply::text("They talked ").gate("summary").and_text("about whales."),
    ]));
    let chat = world.create_chat("Tell me of whales").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("summary", LIMIT).await?;
    world.kill9_service(Service::Orchestrator).await?;
    world.restart().await?;
    world.fake().open("summary");
    settled(&world, id).await?;
    let shown = card(&world.messages(id).await?).expect("a card");
    assert_eq!(shown["summary"], "They talked about whales.");
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn the_words_of_settings_reach_the_model() -> Result {
    let world = World::start().await?;
    let config = "/api/v1/chats/config";
    let own = json!({ "custom_prompt": "Call me Ada." });
    world
        .rest()
        .put(&format!("{config}/user-prompt"), &own)
        .await?
        .expect(200)?;
    let operator = json!({ "system_prompt": "Speak of ships only." });
    world
        .rest()
        .put(&format!("{config}/system-prompt"), &operator)
        .await?
        .expect(204)?;
    let shown = world
        .rest()
        .get(&format!("{config}/system-prompt"))
        .await?
        .expect(200)?;
    let built_in = &shown["default_system_prompt"];
    assert!(built_in.as_str().is_some_and(|text| !text.is_empty()), "{shown}");
    let chat = world.create_chat("Hello").await?;
    settled(&world, id_of(&chat)?).await?;
    let requests = world.fake().completions();
    let text = serde_json::to_string(&requests[0].body["messages"])?;
    assert!(text.contains(built_in.to_string().trim_matches('"')), "{text}");
    assert!(text.contains("Call me Ada."), "{text}");
    assert!(text.contains("Speak of ships only."), "{text}");
    Ok(())
}
