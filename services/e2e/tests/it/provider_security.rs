//! What keeps credentials where they belong: looked for in memory, dumps, logs, traces and answers; sent nowhere else; sealed to their rows.
//! `docs/security.md` says which test holds which promise.

mod addresses;
mod bound_keys;
mod custody;
mod limits;
mod redaction;
mod sealed;
mod sinks;
mod traces;

use serde_json::Value;
use tandem_e2e::world::{World, id_of};

use crate::Result;

/// Registers a provider of any type; its id.
async fn register(world: &World, kind: &str, name: &str, base_url: &str, keys: &[&str]) -> Result<String> {
    let body = serde_json::json!({
        "type": kind, "name": name, "display_name": name, "enabled": true, "base_url": base_url, "api_keys": keys,
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    Ok(id_of(&provider)?.to_owned())
}

/// A chat of the administrator with this model; its id.
async fn chat_with(world: &World, model: &str, message: &str) -> Result<String> {
    let body = serde_json::json!({
        "organization_id": world.admin().organization_id, "content": tandem_e2e::world::text(message), "model_config_id": model,
    });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    Ok(id_of(&chat)?.to_owned())
}

/// Waits until a chat rests, answered or not; the chat.
async fn rested(world: &World, id: &str) -> Result<Value> {
    let started = std::time::Instant::now();
    loop {
        let chat = world.chat(id).await?;
        if chat["status"] == "waiting" || chat["status"] == "error" {
            return Ok(chat);
        }
        anyhow::ensure!(started.elapsed() < crate::LIMIT, "the chat does not rest: {chat}");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}
