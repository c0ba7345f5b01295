//! Programs that speak to OpenAI or Anthropic, at the bridge's own listener, with the real storage behind it.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, KeyState, Reply, Script},
    world::{Answer, Rest, World, finish, free_address},
};

use crate::{Result, programs};

const CLAUDE: &str = "claude-test-model";

/// A world with the bridge's own listener, and a client of it.
async fn world() -> Result<(World, Rest)> {
    let address = free_address()?;
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
        .fake(FakeLlm::builder().models(["fake-model", "gpt-4o", CLAUDE]))
        .start()
        .await?;
    let bridge = world.rest().at(format!("http://{address}"));
    Ok((world, bridge))
}

fn chat(text: &str) -> Value {
    json!({ "model": "fake-model", "messages": [{ "role": "user", "content": text }] })
}

/// The texts of a stream of Chat Completions.
fn said(answer: &Answer) -> String {
    let events = answer
        .text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    let chunks = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_program_needs_only_another_address_and_a_token() -> Result {
    let (world, bridge) = world().await?;
    let answer = bridge
        .post("/openai/v1/chat/completions", &chat("Hello"))
        .await?
        .expect(200)?;
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: Hello");
    let mut body = chat("Again");
    body["stream"] = json!(true);
    let answer = bridge.post("/openai/v1/chat/completions", &body).await?;
    assert_eq!((answer.status, said(&answer).as_str()), (200, "You said: Again"));
    assert!(answer.text.ends_with("data: [DONE]\n\n"), "{}", answer.text);
    let request = world.fake().completions().pop().expect("it was asked");
    assert_eq!(request.body["stream_options"]["include_usage"], true);
    assert!(
        !request
            .headers
            .keys()
            .any(|name| name.starts_with("x-coder") || name.starts_with("x-tandem"))
    );
    bridge
        .without_token()
        .post("/openai/v1/chat/completions", &chat("x"))
        .await?
        .expect(401)?;
    bridge
        .with_token("tdm_wrong")
        .post("/openai/v1/chat/completions", &chat("x"))
        .await?
        .expect(401)?;
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn members_may_ask_and_every_dialect_is_served() -> Result {
    let (world, bridge) = world().await?;
    programs::register(&world, "anthropic", &[CLAUDE]).await?;
    programs::register(&world, "openai", &["gpt-4o"]).await?;
    let member = world.create_user("grace").await?;
    let bridge = bridge.with_token(member.rest.token().unwrap_or_default());
    let body = json!({ "model": CLAUDE, "max_tokens": 100, "messages": [{ "role": "user", "content": "Hi" }] });
    let request = bridge
        .without_token()
        .request(Method::POST, "/anthropic/v1/messages")
        .json(&body);
    let request = request
        .header("x-api-key", bridge.token().unwrap_or_default())
        .header("anthropic-version", "2023-06-01");
    let answer = finish(request, "messages".to_owned()).await?.expect(200)?;
    assert_eq!(answer["content"][0]["text"], "You said: Hi");
    let body = json!({ "model": "gpt-4o", "input": "Hi" });
    let answer = bridge.post("/openai/v1/responses", &body).await?.expect(200)?;
    assert_eq!(answer["status"], "completed");
    let list = bridge.get("/openai/v1/models").await?.expect(200)?;
    let ids: Vec<&str> = list["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|model| model["id"].as_str())
        .collect();
    for model in ["fake-model", CLAUDE, "gpt-4o"] {
        assert!(ids.contains(&model), "{ids:?}");
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_program_of_one_dialect_is_answered_by_a_model_of_another() -> Result {
    let (world, bridge) = world().await?;
    programs::register(&world, "anthropic", &[CLAUDE]).await?;
    let call = Reply::text("Let me look.").tool_call_with_id("toolu_1", "look", json!({ "path": "." }));
    world.fake().script(Script::turn([call]).when_user_says("Look"));
    let mut body = chat("Look");
    body["model"] = json!(CLAUDE);
    body["tools"] = json!([{ "type": "function", "function": { "name": "look", "parameters": { "type": "object" } } }]);
    let answer = bridge.post("/openai/v1/chat/completions", &body).await?.expect(200)?;
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], "Let me look.");
    assert_eq!(message["tool_calls"][0]["function"]["name"], "look");
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn errors_of_the_vendor_keep_their_meaning() -> Result {
    let (world, bridge) = world().await?;
    for (reply, status) in [
        (Reply::fail(400, "context_length_exceeded"), 400),
        (Reply::fail(500, "server_error"), 500),
        (Reply::rate_limited(std::time::Duration::from_secs(7)), 429),
    ] {
        world.fake().script(Script::turn([reply]));
        bridge
            .post("/openai/v1/chat/completions", &chat("x"))
            .await?
            .expect(status)?;
    }
    world.fake().set_key(world.fake().api_key(), KeyState::Revoked);
    let answer = bridge.post("/openai/v1/chat/completions", &chat("x")).await?;
    assert_eq!(
        answer.status, 502,
        "our key is none of the client's business: {}",
        answer.text
    );
    assert!(!answer.text.contains(world.fake().api_key()));
    Ok(())
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_ends_with_an_error_or_not_at_all() -> Result {
    let (world, bridge) = world().await?;
    let mut body = chat("x");
    body["stream"] = json!(true);
    for place in (0..900).step_by(61) {
        world
            .fake()
            .script(Script::turn([Reply::text("one two three four").cut_at_byte(place)]));
        let answer = bridge.post("/openai/v1/chat/completions", &body).await?;
        let is_told = answer.status != 200 || answer.text.contains("\"error\"");
        assert!(
            is_told || answer.text.contains("[DONE]"),
            "cut at {place}: {} {}",
            answer.status,
            answer.text
        );
    }
    Ok(())
}
