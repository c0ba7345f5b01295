//! The official SDKs for Node.js and Python, unchanged: against the fake LLM itself, and against Tandem's endpoints for them in front of
//! vendors that speak the same dialect and others.
//!
//! The cases are in `services/e2e/sdk`; here is what they are run against. `make sdk-test` installs the SDKs (`.ci/sdk`).

mod suite;

use serde_json::json;
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{World, id_of},
};

use self::suite::{Language, Models, Server, Suite, run_all};

type Result<T = ()> = anyhow::Result<T>;

/// Models of the fake and of every vendor here. The second reasons, as its name says to those who know such names.
const MODELS: [&str; 2] = ["gpt-4o", "o4-mini"];

#[tokio::test]
async fn the_fake_itself_is_what_the_sdks_expect() -> Result {
    let fake = FakeLlm::builder().models(MODELS).start().await?;
    let root = format!("http://{}", fake.address());
    let mut runs = Vec::new();
    for (suite, path) in [
        (Suite::OpenAi, "/v1"),
        (Suite::Responses, "/v1"),
        (Suite::Anthropic, ""),
    ] {
        for language in Language::ALL {
            let server = Server {
                base_url: format!("{root}{path}"),
                token: fake.api_key().to_owned(),
                fake: root.clone(),
                is_translated: false,
                models: Models::plain(MODELS[0], MODELS[1]),
            };
            runs.push((suite, language, server));
        }
    }
    run_all(runs).await
}

#[tokio::test]
async fn a_vendor_of_chat_completions_serves_all_sdks() -> Result {
    through_tandem("openai-compat").await
}

#[tokio::test]
async fn a_vendor_of_responses_serves_all_sdks() -> Result {
    through_tandem("openai").await
}

#[tokio::test]
async fn a_vendor_of_messages_serves_all_sdks() -> Result {
    through_tandem("anthropic").await
}

/// Runs every suite against Tandem before a vendor of that type.
async fn through_tandem(kind: &str) -> Result {
    let world = World::builder()
        .fake(FakeLlm::builder().models(MODELS))
        .without_provider()
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "1000000")
        .start()
        .await?;
    let root = format!("http://{}", world.fake().address());
    let token = world.rest().token().unwrap_or_default().to_owned();
    register(&world, kind, "vendor").await?;
    let mut runs = Vec::new();
    for (suite, path) in [
        (Suite::OpenAi, "/openai/v1"),
        (Suite::Responses, "/openai/v1"),
        (Suite::Anthropic, "/anthropic"),
    ] {
        for language in Language::ALL {
            // What one run does to a key or a breaker must not trouble another.
            let (limited, failing) = (format!("limited-{}", runs.len()), format!("failing-{}", runs.len()));
            register(&world, kind, &limited).await?;
            register(&world, kind, &failing).await?;
            let server = Server {
                base_url: format!("{}{path}", world.rest().base()),
                token: token.clone(),
                fake: root.clone(),
                is_translated: !speaks(kind, suite),
                models: Models {
                    limited: format!("{limited}/{}", MODELS[0]),
                    failing: format!("{failing}/{}", MODELS[0]),
                    ..Models::plain(MODELS[0], MODELS[1])
                },
            };
            runs.push((suite, language, server));
        }
    }
    run_all(runs).await?;
    let stray = |name: &&String| name.starts_with("x-coder-") || name.starts_with("x-tandem-");
    for request in world.fake().requests() {
        let found: Vec<_> = request.headers.keys().filter(stray).collect();
        anyhow::ensure!(found.is_empty(), "{} carried {found:?}", request.path);
        anyhow::ensure!(
            !request.headers.values().any(|value| value.contains(&token)),
            "{} carried the caller's token",
            request.path
        );
    }
    Ok(())
}

/// Whether a vendor of that type is asked in the SDK's own dialect.
fn speaks(kind: &str, suite: Suite) -> bool {
    match suite {
        Suite::OpenAi => matches!(kind, "openai" | "openai-compat"),
        Suite::Responses => kind == "openai",
        Suite::Anthropic => kind == "anthropic",
    }
}

/// Registers the fake as a vendor of that type, with all its models.
async fn register(world: &World, kind: &str, name: &str) -> Result {
    let with_version = world.fake().base_url();
    let base_url = match kind {
        "anthropic" => with_version.trim_end_matches("/v1"),
        _ => &with_version,
    };
    let body = json!({
        "type": kind,
        "name": name,
        "display_name": name,
        "enabled": true,
        "base_url": base_url,
        "api_keys": [world.fake().api_key()],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    for model in MODELS {
        let body = json!({
            "ai_provider_id": id_of(&provider)?,
            "model": model,
            "display_name": model,
            "context_limit": 128_000,
        });
        world
            .rest()
            .post("/api/v1/chats/model-configs", &body)
            .await?
            .expect(201)?;
    }
    Ok(())
}
