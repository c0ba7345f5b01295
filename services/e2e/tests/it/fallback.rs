//! Another model answers when the one asked for has no room: as readers, bills and administrators see it.

use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Transcript, World, id_of},
};

use crate::{LIMIT, Result, settled};

const SPARE: &str = "fake-spare";

/// A world whose default model names another one of the same fake for its place, at a provider of its own; the other one's id.
async fn with_spare() -> Result<(World, String)> {
    let fake = tandem_e2e::fake_llm::FakeLlm::builder().models(["fake-model", SPARE]);
    let world = World::builder().fake(fake).start().await?;
    let provider = world
        .register_provider("spare", &world.fake().base_url(), &[world.fake().api_key()])
        .await?;
    let spare = world.register_model(&provider, SPARE).await?;
    let priced = json!({ "model_config": { "cost": { "output_price_per_million_tokens": "1000000" } } });
    let path = format!("/api/v1/chats/model-configs/{spare}");
    world.rest().patch(&path, &priced).await?.expect(200)?;
    let path = format!("/api/v1/chats/model-configs/{}", world.model_config_id());
    let named = json!({ "model_config": { "fallbacks": [spare] } });
    let named = world.rest().patch(&path, &named).await?.expect(200)?;
    assert_eq!(named["model_config"]["fallbacks"], json!([spare]));
    Ok((world, spare))
}

#[tokio::test]
async fn a_turn_of_an_overloaded_model_is_answered_by_its_fallback_at_that_ones_price() -> Result {
    let (world, spare) = with_spare().await?;
    world
        .fake()
        .script(Script::always(Reply::fail(529, "overloaded")).when_model("fake-model"));
    world
        .fake()
        .script(Script::always(Reply::text("From the spare one.").usage(10, 3)).when_model(SPARE));
    let chat = world.create_chat("Who is there?").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Who is there?", "assistant: From the spare one."]);
    let seen = Transcript::of(&stream.settled(LIMIT).await?);
    assert_eq!(seen.retries.len(), 0, "nobody had to wait: {:?}", seen.retries);
    let messages = world.messages(id).await?;
    let said_by: Vec<&str> = messages
        .iter()
        .filter_map(|message| message["model_config_id"].as_str())
        .collect();
    assert_eq!(said_by, [world.model_config_id(), &spare], "{messages:?}");
    let asked = world.fake().completions();
    let models: Vec<&str> = asked
        .iter()
        .filter_map(|request| request.body["model"].as_str())
        .collect();
    assert_eq!(models, ["fake-model", SPARE]);

    // Records are gathered for a while before they are told.
    let started = std::time::Instant::now();
    let path = "/api/v1/chats/cost/me/summary";
    let mut cost = world.rest().get(path).await?.expect(200)?;
    while cost["total_cost_micros"] == json!(0) && started.elapsed() < LIMIT {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        cost = world.rest().get(path).await?.expect(200)?;
    }
    let by_model = &cost["by_model"][0];
    assert_eq!(
        (&by_model["model"], &by_model["total_cost_micros"]),
        (&json!(SPARE), &json!(3_000_000)),
        "{cost}"
    );
    Ok(())
}

#[tokio::test]
async fn a_list_that_makes_no_sense_is_refused_with_its_field() -> Result {
    let (world, spare) = with_spare().await?;
    let own = world.model_config_id();
    let path = format!("/api/v1/chats/model-configs/{own}");
    for bad in [
        json!([own]),
        json!([spare, spare]),
        json!(["x"]),
        json!("x"),
        json!([own, own, own, own, own]),
    ] {
        let body = json!({ "model_config": { "fallbacks": bad } });
        let refused = world.rest().patch(&path, &body).await?.expect(400)?;
        assert_eq!(
            refused["validations"][0]["field"], "model_config.fallbacks",
            "{refused}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_a_hand_ends_the_turn_with_its_reason() -> Result {
    let (world, _) = with_spare().await?;
    world
        .fake()
        .script(Script::always(Reply::fail(401, "invalid_api_key")).when_model("fake-model"));
    let chat = world.create_chat("Who is there?").await?;
    let failed = world.wait_for_status(id_of(&chat)?, "error", LIMIT).await?;
    assert_eq!(failed["last_error"]["kind"], "auth", "{failed}");
    let asked = world.fake().completions();
    assert!(asked.iter().all(|request| request.body["model"] == "fake-model"));
    Ok(())
}
