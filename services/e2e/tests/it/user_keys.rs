//! Users' own keys of providers: brought, used, shown, and asked for where they are missing.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{User, World, id_of, lines, wait_for_status},
};

use crate::{LIMIT, Result};

const OWN: &str = "sk-fake-canary-0000-mia";

/// A provider that is called with users' own keys, and somebody who may use it.
async fn with_mia() -> Result<(World, User)> {
    let world = World::builder().fake(FakeLlm::builder().key(OWN)).start().await?;
    let mia = world.create_user("mia").await?;
    policy(&world, json!({ "allow_user_api_key": true })).await?;
    Ok((world, mia))
}

async fn policy(world: &World, change: Value) -> Result<Value> {
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    world.rest().patch(&path, &change).await?.expect(200)
}

async fn own_keys(user: &User) -> Result<Value> {
    user.rest.get("/api/v2/users/me/ai-provider-keys").await?.expect(200)
}

#[tokio::test]
async fn a_chat_without_a_key_says_so_and_goes_on_with_the_users_own() -> Result {
    let (world, mia) = with_mia().await?;
    let models = mia.rest.get("/api/v1/chats/models").await?.expect(200)?;
    assert_eq!(
        models["providers"][0]["unavailable_reason"], "user_api_key_required",
        "{models}"
    );
    let chat = world.create_chat_of(&mia, "Anybody?").await?;
    let id = id_of(&chat)?;
    let failed = wait_for_status(&mia.rest, id, "error", LIMIT).await?;
    assert_eq!(failed["last_error"]["kind"], "missing_key", "{failed}");
    assert_eq!(world.fake().completions().len(), 0);

    let path = "/api/v2/users/me/ai-provider-keys/fake";
    let stored = mia.rest.put(path, &json!({ "api_key": OWN })).await?.expect(200)?;
    let expected = json!({
        "provider": {
            "id": world.provider_id(), "type": "openai-compat", "name": "fake", "display_name": "fake",
            "enabled": true, "deleted": false,
        },
        "has_user_api_key": true, "has_provider_api_key": false, "byok_enabled": true, "masked": "sk-…-mia",
    });
    assert_eq!(stored, expected);
    assert_eq!(own_keys(&mia).await?, json!([expected]));
    assert!(!world.logs().contains("canary"));

    let path = format!("/api/v1/chats/{id}/messages");
    let message = json!({ "content": [{ "type": "text", "text": "And now?" }] });
    mia.rest.post(&path, &message).await?.expect(200)?;
    wait_for_status(&mia.rest, id, "waiting", LIMIT).await?;
    let page = mia.rest.get(&path).await?.expect(200)?;
    let newest = page["messages"].as_array().and_then(|messages| messages.first());
    assert_eq!(lines(newest), ["assistant: You said: And now?"]);
    let asked = world.fake().completions();
    assert_eq!(asked.last().map(|request| request.key_hint.as_str()), Some("mia"));
    Ok(())
}

#[tokio::test]
async fn without_an_own_key_the_providers_is_used_where_that_is_allowed() -> Result {
    let (world, mia) = with_mia().await?;
    let changed = policy(&world, json!({ "allow_central_api_key_fallback": true })).await?;
    assert_eq!(
        (
            &changed["central_api_key_enabled"],
            &changed["allow_user_api_key"],
            &changed["allow_central_api_key_fallback"]
        ),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(own_keys(&mia).await?[0]["has_provider_api_key"], true);
    let chat = world.create_chat_of(&mia, "Hello").await?;
    wait_for_status(&mia.rest, id_of(&chat)?, "waiting", LIMIT).await?;
    assert_ne!(world.fake().completions()[0].key_hint, "mia");
    let refused = json!({ "central_api_key_enabled": false });
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let refused = world.rest().patch(&path, &refused).await?.expect(400)?;
    assert_eq!(
        refused["validations"][0]["field"], "allow_central_api_key_fallback",
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn who_may_not_or_cannot_bring_a_key_is_told_why() -> Result {
    let (world, mia) = with_mia().await?;
    let at = |provider: &str| format!("/api/v1/users/me/ai-provider-keys/{provider}");
    let key = |key: &str| json!({ "api_key": key });
    for bad in ["", " x", "x ", &"x".repeat(10_241)] {
        mia.rest.put(&at("fake"), &key(bad)).await?.expect(400)?;
    }
    mia.rest.put(&at("nobody"), &key(OWN)).await?.expect(404)?;
    mia.rest.put(&at("No Name"), &key(OWN)).await?.expect(400)?;
    for _ in 0..2 {
        mia.rest.delete(&at("fake")).await?.expect(204)?;
    }
    // Other people's keys are not there; for administrators they are.
    let others = format!("/api/v1/users/{}/ai-provider-keys", world.admin().id);
    mia.rest.get(&others).await?.expect(404)?;
    let hers = format!("/api/v1/users/{}/ai-provider-keys", mia.id);
    world.rest().get(&hers).await?.expect(200)?;

    policy(&world, json!({ "allow_user_api_key": false })).await?;
    let refused = mia.rest.put(&at("fake"), &key(OWN)).await?.expect(403)?;
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|message| message.contains("fake")),
        "{refused}"
    );
    assert_eq!(own_keys(&mia).await?[0]["byok_enabled"], false);
    policy(&world, json!({ "allow_user_api_key": true, "enabled": false })).await?;
    mia.rest.put(&at("fake"), &key(OWN)).await?.expect(412)?;
    assert_eq!(own_keys(&mia).await?, json!([]), "disabled, and she has no key for it");
    Ok(())
}
