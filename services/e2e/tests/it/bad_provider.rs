//! Providers that refuse or cannot be reached: a specific error, nothing lost, the chat still usable.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{KeyState, Reply, Script},
    world::{Transcript, World, free_address, id_of},
};

use crate::{LIMIT, Result, settled};

/// Runs a first turn that must fail; the chat's error. Then the chat must answer again.
async fn fails_and_recovers(
    world: &World,
    what: &str,
    break_it: impl FnOnce(),
    mend_it: impl FnOnce(),
) -> Result<Value> {
    break_it();
    let chat = world.create_chat(what).await?;
    let id = id_of(&chat)?;
    let failed = world.wait_for_status(id, "error", LIMIT).await?;
    let error = failed["last_error"].clone();
    assert!(error["message"].is_string(), "{what}: {failed}");
    let told = serde_json::to_string(&failed)?;
    assert!(!told.contains(world.fake().api_key()), "{what}: the key is told");
    mend_it();
    world.send(id, "Again").await?;
    let shown = settled(world, id).await?;
    assert_eq!(shown.first(), Some(&format!("user: {what}")));
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Again"),
        "{what}"
    );
    Ok(error)
}

#[tokio::test]
async fn a_wrong_key_is_told_as_such_and_can_be_mended() -> Result {
    let world = World::start().await?;
    let key = world.fake().api_key();
    let revoke = || world.fake().set_key(key, KeyState::Revoked);
    let restore = || world.fake().set_key(key, KeyState::Valid);
    let error = fails_and_recovers(&world, "Wrong key", revoke, restore).await?;
    assert_eq!((&error["kind"], &error["status_code"]), (&json!("auth"), &json!(401)));
    assert_eq!(error["retryable"], false);
    Ok(())
}

#[tokio::test]
async fn refusals_that_no_retry_helps_end_the_turn_with_their_kind() -> Result {
    let world = World::start().await?;
    for (status, code, kind) in [
        (429, "insufficient_quota", "usage_limit"),
        (400, "context_length_exceeded", "config"),
        (404, "model_not_found", "config"),
    ] {
        let fail = || world.fake().script(Script::reply(Reply::fail(status, code)));
        let error = fails_and_recovers(&world, code, fail, || {}).await?;
        assert_eq!(error["kind"], kind, "{error}");
        assert_eq!(error["retryable"], false);
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_provider_is_retried_until_stopped() -> Result {
    let world = World::builder().without_provider().start().await?;
    let address = free_address()?;
    let provider = world
        .register_provider("gone", &format!("http://{address}/v1"), &["sk-any"])
        .await?;
    world.register_model(&provider, "fake-model").await?;
    let chat = world.create_chat("Anybody?").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let events = stream
        .wait_until(LIMIT, |events| !Transcript::of(events).retries.is_empty())
        .await?;
    let retry = &Transcript::of(&events).retries[0];
    assert_eq!(retry["kind"], "timeout", "{retry}");
    let stopped = world.interrupt(id).await?;
    assert_eq!(stopped["status"], "waiting");
    let base_url = json!({ "base_url": world.fake().base_url(), "api_keys": [{ "api_key": world.fake().api_key() }] });
    let path = format!("/api/v2/ai/providers/{provider}");
    world.rest().patch(&path, &base_url).await?.expect(200)?;
    world.send(id, "Now?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Now?"));
    Ok(())
}

#[tokio::test]
async fn keys_are_never_shown() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    settled(&world, id_of(&chat)?).await?;
    let listed = world.rest().get("/api/v2/ai/providers").await?;
    assert_eq!(listed.status, 200);
    assert!(listed.json[0]["api_keys"][0]["masked"].is_string(), "{}", listed.text);
    assert!(!listed.text.contains(world.fake().api_key()));
    let logs = world.logs();
    assert!(!logs.contains(world.fake().api_key()), "the key is in a log");
    assert!(
        !logs.contains(world.rest().token().unwrap_or_default()),
        "the token is in a log"
    );
    Ok(())
}
