//! S22: keys are sealed to their rows, and without the key-encryption key there is nothing to be had. Its rotation under load is
//! `crate::sealing`.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{Service, World, id_of, wait_for_status},
};

use super::{chat_with, register, rested};
use crate::{LIMIT, Result};

const KEYS: [&str; 2] = ["sk-fake-canary-0000-one", "sk-fake-canary-0000-two"];
const USERS: [&str; 2] = ["sk-fake-canary-0000-mia", "sk-fake-canary-0000-noa"];

/// Exchanges the envelopes of all rows of a table which has two.
fn swap(table: &str) -> String {
    format!(
        "UPDATE {table} a SET sealed = b.sealed FROM {table} b WHERE a.id <> b.id AND (SELECT count(*) FROM {table}) = 2"
    )
}

async fn world() -> Result<World> {
    let fake = KEYS
        .into_iter()
        .chain(USERS)
        .fold(FakeLlm::builder(), |fake, key| fake.key(key));
    World::builder()
        .database()
        .separate_processes()
        .without_provider()
        .env("TANDEM_PROVIDER_GATEWAY__KEK", "ab".repeat(32))
        // What is kept of opened keys must not hide what can be opened.
        .env("TANDEM_PROVIDER_GATEWAY__CACHE_TTL", "0s")
        .fake(fake)
        .start()
        .await
}

/// Two providers with a key each and a model; the models.
async fn two(world: &World) -> Result<Vec<String>> {
    let mut models = Vec::new();
    for (name, key) in ["one", "two"].into_iter().zip(KEYS) {
        let provider = register(world, "openai-compat", name, &world.fake().base_url(), &[key]).await?;
        models.push(world.register_model(&provider, "fake-model").await?);
    }
    Ok(models)
}

/// What became of a chat with this model.
async fn outcome(world: &World, model: &str) -> Result<Value> {
    let id = chat_with(world, model, "Hello").await?;
    let chat = rested(world, &id).await?;
    Ok(if chat["status"] == "waiting" {
        json!("answered")
    } else {
        chat["last_error"]["message"].clone()
    })
}

#[tokio::test]
async fn s22_envelopes_exchanged_between_rows_open_nowhere() -> Result {
    let world = world().await?;
    let models = two(&world).await?;
    for model in &models {
        assert_eq!(outcome(&world, model).await?, "answered");
    }
    world.sql(&swap("provider_keys")).await?;
    let before = world.fake().requests().len();
    for model in &models {
        let said = outcome(&world, model).await?.to_string();
        assert!(said.contains("cannot be opened") || said.contains("key"), "{said}");
        assert_ne!(said, "\"answered\"");
    }
    assert_eq!(
        world.fake().requests().len(),
        before,
        "nobody is asked with another one's key"
    );
    let listed = world.rest().get("/api/v1/ai/providers").await?.expect(200)?;
    assert_eq!(
        listed.as_array().map(Vec::len),
        Some(2),
        "they are still there, to be mended: {listed}"
    );
    world.sql(&swap("provider_keys")).await?;
    for model in &models {
        assert_eq!(outcome(&world, model).await?, "answered");
    }
    Ok(())
}

#[tokio::test]
async fn s22_users_envelopes_exchanged_open_for_neither_of_them() -> Result {
    let world = world().await?;
    let provider = register(&world, "openai-compat", "own", &world.fake().base_url(), &[]).await?;
    world.register_model(&provider, "fake-model").await?;
    let path = format!("/api/v1/ai/providers/{provider}");
    world
        .rest()
        .patch(&path, &json!({ "allow_user_api_key": true }))
        .await?
        .expect(200)?;
    let mut users = Vec::new();
    for (name, key) in ["mia", "noa"].into_iter().zip(USERS) {
        let user = world.create_user(name).await?;
        user.rest
            .put("/api/v1/users/me/ai-provider-keys/own", &json!({ "api_key": key }))
            .await?
            .expect(200)?;
        users.push(user);
    }
    world.sql(&swap("user_provider_keys")).await?;
    for user in &users {
        let chat = world.create_chat_of(user, "Hello").await?;
        wait_for_status(&user.rest, id_of(&chat)?, "error", LIMIT).await?;
    }
    assert_eq!(
        world.fake().requests().len(),
        0,
        "nobody is asked with another one's key"
    );
    world.sql(&swap("user_provider_keys")).await?;
    for user in &users {
        let chat = world.create_chat_of(user, "Hello").await?;
        wait_for_status(&user.rest, id_of(&chat)?, "waiting", LIMIT).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s22_without_its_key_encryption_key_a_database_is_of_no_use_and_says_what_to_do() -> Result {
    let mut world = world().await?;
    let models = two(&world).await?;
    let dump = super::sinks::dump(&world).await?;
    assert!(
        !dump.contains("canary") && dump.contains("provider_keys"),
        "a dump holds a key in clear"
    );

    world.terminate_service(Service::ProviderGateway).await?;
    let other = "cd".repeat(32);
    world.set_env(Service::ProviderGateway, 0, "TANDEM_PROVIDER_GATEWAY__KEK", &other)?;
    world.restart().await?;
    let said = outcome(&world, &models[0]).await?.to_string();
    assert!(
        said.contains("cannot be opened") && said.contains("key-encryption key"),
        "{said}"
    );
    assert_eq!(world.fake().requests().len(), 0);
    // All else goes on, and a key entered again works.
    let mended = world.rest().get("/api/v1/ai/providers").await?.expect(200)?;
    let path = format!("/api/v1/ai/providers/{}", id_of(&mended[0])?);
    let keys = json!({ "api_keys": KEYS.map(|key| json!({ "api_key": key })) });
    world.rest().patch(&path, &keys).await?.expect(200)?;
    let mut answered = 0;
    for model in &models {
        answered += usize::from(outcome(&world, model).await? == "answered");
    }
    assert_eq!(answered, 1, "the provider whose keys were entered again");
    Ok(())
}
