//! Chats with Anthropic's models at AWS, asked with a bearer token. The fake refuses what AWS would refuse and answers in its frames.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{DEFAULT_KEY, FakeLlm, KeyState, ROLE_TOKEN, Reply, Script},
    world::{Builder, World, free_address, id_of},
};

use crate::{Result, settled, vendors};

const MODEL: &str = "us.anthropic.claude-opus-4-1-20250805-v1:0";

/// A world whose only model is AWS's.
async fn world() -> Result<World> {
    let world = World::builder().fake(FakeLlm::builder().models([MODEL]));
    of(world, &[DEFAULT_KEY]).await
}

/// That world, asked with these keys or with what the machine has.
async fn of(world: Builder, keys: &[&str]) -> Result<World> {
    let world = world.without_provider().start().await?;
    let body = json!({
        "type": "bedrock",
        "name": "aws",
        "display_name": "AWS",
        "enabled": true,
        "base_url": world.fake().base_url().trim_end_matches("/v1"),
        "api_keys": keys,
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    let body = json!({
        "ai_provider_id": provider["id"],
        "model": MODEL,
        "display_name": "Claude",
        "context_limit": 200_000,
        "model_config": { "provider_options": { "bedrock": { "effort": "low" } } },
    });
    world
        .rest()
        .post("/api/v1/chats/model-configs", &body)
        .await?
        .expect(201)?;
    Ok(world)
}

#[tokio::test]
async fn thinking_and_tools_go_through_every_step_as_they_came() -> Result {
    let world = world().await?;
    let step = Reply::new()
        .reasoning("I should look around first.")
        .tool_call_with_id("toolu_one", "execute", json!({ "command": "echo one" }))
        .tool_call_with_id("toolu_two", "process_list", json!({}));
    world
        .fake()
        .script(Script::turn([step, Reply::text("All done.")]).when_user_says("Run"));
    let chat = world.create_chat("Run them").await?;
    let shown = settled(&world, id_of(&chat)?).await?;
    assert_eq!(
        shown,
        [
            "user: Run them",
            "assistant: [reasoning] [tool-call execute] [tool-call process_list]",
            "tool: [tool-result execute]",
            "tool: [tool-result process_list]",
            "assistant: All done.",
        ]
    );
    let requests = world.fake().completions();
    assert_eq!(requests.len(), 2);
    let path = "/model/us.anthropic.claude-opus-4-1-20250805-v1%3A0/invoke-with-response-stream";
    assert_eq!(requests[1].path, path);
    let accept = requests[1].headers.get("accept").map(String::as_str);
    assert_eq!(accept, Some("application/vnd.amazon.eventstream"));
    let first = &requests[1].messages()[1]["content"][0];
    assert_eq!(
        (&first["type"], &first["thinking"]),
        (&json!("thinking"), &json!("I should look around first."))
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends_the_turn_with_its_reason() -> Result {
    let world = world().await?;
    world.fake().script(Script::turn([
        Reply::rate_limited(Duration::from_millis(100)),
        Reply::text("Half an answer that breaks").error_event_at(5, "internal"),
        Reply::text("Half an answer without its end").cut_at_byte(700),
        Reply::text("An answer that is damaged on its way").garbage_at_byte(300, "x"),
        Reply::text("Whole."),
    ]));
    let (id, kinds) = vendors::patient(&world, "Whole.").await?;
    assert_eq!(kinds, ["rate_limit", "generic", "timeout", "timeout"]);
    vendors::ends_with(&world, &id, KeyState::Revoked, "auth", 403).await
}

#[tokio::test]
async fn a_key_is_tested_where_models_are_listed() -> Result {
    let world = world().await?;
    let test = async |key: &str| -> Result<Value> {
        let base_url = world.fake().base_url();
        let base_url = base_url.trim_end_matches("/v1");
        let body = json!({ "type": "bedrock", "base_url": base_url, "api_key": key });
        world.rest().post("/api/v2/ai/providers/test", &body).await?.expect(200)
    };
    let good = test(world.fake().api_key()).await?;
    assert_eq!(
        (&good["ok"], &good["models"]),
        (&json!(true), &json!([MODEL])),
        "{good}"
    );
    let bad = test("wrong").await?;
    assert_eq!(bad["ok"], false, "{bad}");
    Ok(())
}

#[tokio::test]
async fn the_role_of_a_container_signs_what_has_no_key_and_is_asked_once() -> Result {
    let address = free_address()?;
    let (_, port) = address.rsplit_once(':').unwrap_or_default();
    let world = World::builder()
        .fake(FakeLlm::builder().models([MODEL]).port(port.parse()?))
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{address}/aws/role"),
        )
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", ROLE_TOKEN)
        .env("AWS_REGION", "eu-west-1")
        // Whoever runs the tests may have credentials of their own.
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_BEARER_TOKEN_BEDROCK", "")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_CONFIG_FILE", "/nonexistent");
    let world = of(world, &[]).await?;
    assert_eq!(
        world.fake().role_credentials_given(),
        0,
        "nobody asks before there is something to sign"
    );
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "Two").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Two"));
    assert_eq!(world.fake().role_credentials_given(), 1);
    assert_eq!(world.fake().completions().len(), 2);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn what_a_program_of_the_profile_prints_signs_and_it_is_run_once() -> Result {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let world = World::builder()
        .fake(FakeLlm::builder().models([MODEL]))
        .env("AWS_CONFIG_FILE", path("config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_PROFILE", "of-a-program")
        // Whoever runs the tests may have credentials, and a region, of their own.
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_BEARER_TOKEN_BEDROCK", "")
        .env("AWS_REGION", "")
        .env("AWS_DEFAULT_REGION", "");
    let world = of(world, &[]).await?;
    // What the fake gives is what it takes; the program hands it on in its own words.
    let address = world.fake().base_url().trim_end_matches("/v1").to_owned() + "/aws/role";
    let client = reqwest::Client::builder().no_proxy().build()?;
    let asking = client.get(address).header("authorization", ROLE_TOKEN).send();
    let given: Value = serde_json::from_slice(&asking.await?.error_for_status()?.bytes().await?)?;
    let printed = json!({
        "Version": 1,
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "SessionToken": given["Token"],
        "Expiration": given["Expiration"],
    });
    std::fs::write(path("printed"), printed.to_string())?;
    std::fs::write(path("script"), "echo run >> \"$1/runs\"\nexec cat \"$1/printed\"\n")?;
    let line = format!("sh \"{}\" \"{}\"", path("script"), folder.path().display());
    let config = format!("[profile of-a-program]\nregion = eu-west-1\ncredential_process = {line}\n");
    std::fs::write(path("config"), config)?;
    let chat = world.create_chat("One").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "Two").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Two"));
    assert_eq!(std::fs::read_to_string(path("runs"))?, "run\n");
    assert_eq!(world.fake().completions().len(), 2);
    world.fake().check_no_rejections()
}
