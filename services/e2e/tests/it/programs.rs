//! A world for programs: the bridge's own listener, and models of vendors whom the fake stands for.

use serde_json::json;
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{Rest, World, free_address},
};

use crate::Result;

/// A world with the bridge's own listener and a client of it. Beside `fake-model` the fake serves the models of these types of provider,
/// which are registered.
pub async fn world(vendors: &[(&str, &[&str])]) -> Result<(World, Rest)> {
    let address = free_address()?;
    let models = vendors.iter().flat_map(|(_, models)| models.iter().copied());
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
        .fake(FakeLlm::builder().models(["fake-model"].into_iter().chain(models)))
        .start()
        .await?;
    for (kind, models) in vendors {
        register(&world, kind, models).await?;
    }
    let bridge = world.rest().at(format!("http://{address}"));
    Ok((world, bridge))
}

/// A provider of that type at the fake, with models.
pub async fn register(world: &World, kind: &str, models: &[&str]) -> Result {
    let base_url = world.fake().base_url();
    let base_url = match kind {
        "openai" | "openai-compat" => base_url.as_str(),
        _ => base_url.trim_end_matches("/v1"),
    };
    let body = json!({
        "type": kind, "name": format!("{kind}-provider"), "display_name": kind, "enabled": true,
        "base_url": base_url, "api_keys": [world.fake().api_key()],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    for model in models {
        world
            .register_model(provider["id"].as_str().unwrap_or_default(), model)
            .await?;
    }
    Ok(())
}
