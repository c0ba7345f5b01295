//! S01: twelve keys are planted, and nobody but provider-gateway ever holds one: no other process, no dump, no log, no trace, no answer, no
//! command that a model runs.

use serde_json::json;
use tandem_e2e::{
    fake_llm::{FakeLlm, Reply, Script},
    world::{Service, World, id_of, wait_for_status},
};

use super::{chat_with, register, rested, sinks, traces::Collector};
use crate::{LIMIT, Result, settled, tell, tools::last_request};

/// Part of each planted key, and of nothing else.
const MARKER: &str = "canary-s01-";
/// What somebody says in confidence, which is no secret of the system but nobody's business in logs and traces.
const PROMPT: &str = "canary-prompt-s24";
const PLANTED: usize = 12;

fn key(number: usize) -> String {
    format!("sk-fake-{MARKER}{number:02}-f3a9c27e5b81")
}

/// Models of all vendors, with the keys 0 to 9; the users' are 10 and 11.
async fn plant(world: &World) -> Result<Vec<String>> {
    let (base_url, root) = (world.fake().base_url(), world.fake().base_url().replace("/v1", ""));
    let vendors = [
        // The first is refused, so that it is also in what is told of refusals.
        ("openai-compat", "many", &base_url, "fake-model", vec![0, 1, 2]),
        ("anthropic", "claude", &base_url, "claude-test-model", vec![3, 4]),
        ("openai", "gpt", &base_url, "gpt-4o", vec![5, 6]),
        ("google", "gemini", &root, "gemini-3-test", vec![7]),
        ("openrouter", "router", &base_url, "fake-model", vec![8]),
        ("vercel", "vercel", &base_url, "fake-model", vec![9]),
    ];
    let mut models = Vec::new();
    for (kind, name, base_url, model, keys) in vendors {
        let keys: Vec<String> = keys.into_iter().map(key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let provider = register(world, kind, name, base_url, &keys).await?;
        models.push(world.register_model(&provider, model).await?);
    }
    Ok(models)
}

/// Two users bring their own keys, and use them.
async fn bring_own(world: &World) -> Result {
    let provider = register(world, "openai-compat", "own", &world.fake().base_url(), &[]).await?;
    let model = world.register_model(&provider, "gpt-4o-mini").await?;
    let path = format!("/api/v1/ai/providers/{provider}");
    world
        .rest()
        .patch(&path, &json!({ "allow_user_api_key": true }))
        .await?
        .expect(200)?;
    for (name, number) in [("mia", 10), ("noa", 11)] {
        let user = world.create_user(name).await?;
        let body = json!({ "api_key": key(number) });
        user.rest
            .put("/api/v1/users/me/ai-provider-keys/own", &body)
            .await?
            .expect(200)?;
        let body = json!({
            "organization_id": user.organization_id, "content": tandem_e2e::world::text("Mine"), "model_config_id": model,
        });
        let chat = user.rest.post("/api/v1/chats", &body).await?.expect(201)?;
        wait_for_status(&user.rest, id_of(&chat)?, "waiting", LIMIT).await?;
    }
    Ok(())
}

/// A command that prints what it can see of itself and of others.
async fn look_around(world: &World) -> Result<String> {
    let command =
        "env; for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' <$f; done 2>/dev/null; true";
    let step = Reply::call("execute", json!({ "command": command }));
    world
        .fake()
        .script(Script::turn([step, Reply::text("Seen.")]).when_user_says("Look around"));
    let chat = world.create_chat("Look around").await?;
    settled(world, id_of(&chat)?).await?;
    Ok(last_request(world)
        .tool_results()
        .into_iter()
        .map(|(_, text)| text)
        .collect())
}

#[tokio::test]
async fn s01_nobody_but_the_gateway_to_the_models_ever_holds_a_key() -> Result {
    let collector = Collector::start().await?;
    let models = [
        "fake-model",
        "gpt-4o",
        "gpt-4o-mini",
        "claude-test-model",
        "gemini-3-test",
    ];
    let fake = (1..PLANTED).fold(FakeLlm::builder().models(models), |fake, number| fake.key(key(number)));
    let mut world = World::builder()
        .database()
        .separate_processes()
        .without_provider()
        .env("TANDEM_TELEMETRY__LOG", "debug")
        .env("TANDEM_TELEMETRY__OTLP_ENDPOINT", collector.endpoint())
        .fake(fake)
        .start()
        .await?;
    let models = plant(&world).await?;
    bring_own(&world).await?;
    let gateway = |world: &mut World| {
        world
            .service_process_id(Service::Gateway)
            .ok_or_else(|| anyhow::anyhow!("no gateway"))
    };
    // Keys come in through the gateway, whose freed memory is not wiped; who restarts it has nothing left there.
    let process = gateway(&mut world)?;
    let passed_through = sinks::held(process, MARKER, true)?;
    world.terminate_service(Service::Gateway).await?;
    world.restart().await?;
    for model in &models {
        let id = chat_with(&world, model, &format!("Hello, {PROMPT}")).await?;
        assert_eq!(
            rested(&world, &id).await?["status"],
            "waiting",
            "{}",
            world.chat(&id).await?
        );
    }
    let seen = look_around(&world).await?;
    let listed = world.rest().get("/api/v1/ai/providers").await?.expect(200)?;
    for provider in listed.as_array().into_iter().flatten() {
        let path = format!("/api/v1/ai/providers/{}/health", id_of(provider)?);
        world.rest().get(&path).await?.expect(200)?;
        let test = json!({ "provider_id": provider["id"] });
        world
            .rest()
            .post("/api/v1/ai/providers/test", &test)
            .await?
            .expect(200)?;
    }
    let asked = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "Hi" }] });
    world
        .rest()
        .post("/openai/v1/chat/completions", &asked)
        .await?
        .expect(200)?;

    let mut places = vec![
        (
            "answers".to_owned(),
            sinks::pages(&world).await?.matches(MARKER).count(),
        ),
        (
            "the database's dump".to_owned(),
            sinks::dump(&world).await?.matches(MARKER).count(),
        ),
        ("what a model's command sees".to_owned(), seen.matches(MARKER).count()),
    ];
    for (place, process) in sinks::database_processes(&world)?.into_iter().enumerate() {
        // A backend may end between the list and the look; what they share is looked at once.
        let count = sinks::held(process, MARKER, place == 0).unwrap_or(0);
        places.push((format!("PostgreSQL {process}"), count));
    }
    let mut kept = 0;
    for service in Service::ALL {
        let process = world
            .service_process_id(service)
            .ok_or_else(|| anyhow::anyhow!("no {service:?}"))?;
        match (service, sinks::held(process, MARKER, true)?) {
            (Service::ProviderGateway, count) => kept = count,
            (_, count) => places.push((format!("memory of {service:?}"), count)),
        }
    }
    assert!(seen.contains("PATH="), "the command saw something: {seen}");
    // The last spans leave with their processes.
    world.terminate().await?;
    let (logs, spans) = (world.logs(), collector.taken());
    assert!(
        logs.contains("DEBUG") && spans.contains("gen_ai"),
        "logs and traces are at their most talkative"
    );
    places.push(("logs".to_owned(), logs.matches(MARKER).count()));
    places.push(("traces".to_owned(), spans.matches(MARKER).count()));
    let found: Vec<_> = places.iter().filter(|(_, count)| *count > 0).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(
        kept > 0,
        "keys that are used are in memory where they are used: this would find them"
    );
    // S24: nobody keeps what people write but the chats themselves.
    assert_eq!(
        (logs.matches(PROMPT).count(), spans.matches(PROMPT).count()),
        (0, 0),
        "prompts in logs and traces"
    );
    tell(&format!(
        "S01 {PLANTED} keys: 0 hits in {} places, {kept} in provider-gateway's memory; {passed_through} in the gateway's right after they were entered",
        places.len()
    ));
    Ok(())
}
