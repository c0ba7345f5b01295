//! Chats with a provider that speaks Google Gemini. The fake refuses every request that the vendor would refuse, also one in which
//! a signature is missing, altered or on another part than the one it came with.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, KeyState, RecordedRequest, Reply, Script, gemini_signature},
    world::{Builder, Transcript, World, id_of, text},
};

use crate::{LIMIT, Result, settled, vendors};

const MODEL: &str = "gemini-3-test";
const CLAUDE: &str = "claude-test-model";
const PAINTER: &str = "gemini-3-test-image";

/// The fake's address without the version of other protocols.
fn root(world: &World) -> String {
    world.fake().base_url().trim_end_matches("/v1").to_owned()
}

/// Registers the fake as a provider of that type, with a model of these options; the model's id.
async fn register(world: &World, kind: &str, model: &str, base_url: String, options: Value) -> Result<String> {
    let body = json!({
        "type": kind,
        "name": kind,
        "display_name": kind,
        "enabled": true,
        "base_url": base_url,
        "api_keys": [world.fake().api_key()],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    let body = json!({
        "ai_provider_id": provider["id"],
        "model": model,
        "display_name": model,
        "context_limit": 128_000,
        "model_config": { "provider_options": { kind: options } },
    });
    let model = world
        .rest()
        .post("/api/v1/chats/model-configs", &body)
        .await?
        .expect(201)?;
    Ok(id_of(&model)?.to_owned())
}

fn with_models() -> Builder {
    World::builder().fake(FakeLlm::builder().models(["fake-model", MODEL, CLAUDE, PAINTER]))
}

/// A world whose only model is the vendor's, at the address where older versions looked for it.
async fn world() -> Result<World> {
    let world = with_models().without_provider().start().await?;
    let base_url = format!("{}/v1beta/openai", root(&world));
    let options = json!({ "thinking_config": { "thinking_level": "medium" } });
    register(&world, "google", MODEL, base_url, options).await?;
    Ok(world)
}

fn is_google(request: &RecordedRequest) -> bool {
    request.path.starts_with("/v1beta/")
}

/// The requests that came in this dialect.
fn asked(world: &World) -> Vec<RecordedRequest> {
    let mut requests = world.fake().completions();
    requests.retain(is_google);
    requests
}

/// Parts of one kind in a request, in order.
fn parts<'a>(request: &'a RecordedRequest, kind: &str) -> Vec<&'a Value> {
    let turns = request.body["contents"].as_array().into_iter().flatten();
    let parts = turns.filter_map(|turn| turn["parts"].as_array()).flatten();
    parts.filter(|part| !part[kind].is_null()).collect()
}

#[tokio::test]
async fn thinking_and_tools_go_through_every_step_with_their_signatures() -> Result {
    let world = world().await?;
    let step = Reply::new()
        .reasoning("I should look around first.")
        .and_text("Looking.")
        .tool_call_with_id("one", "execute", json!({ "command": "echo one" }))
        .tool_call_with_id("two", "execute", json!({ "command": "echo two; exit 3" }))
        .tool_call_with_id("three", "process_list", json!({}));
    let again = Reply::call("process_list", json!({}));
    let end = Reply::new().reasoning("That is all.").and_text("All done.");
    world
        .fake()
        .script(Script::turn([step, again, end]).when_user_says("Run"));
    let chat = world.create_chat("Run them").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: Run them",
            "assistant: [reasoning] Looking. [tool-call execute] [tool-call execute] [tool-call process_list]",
            "tool: [tool-result execute]",
            "tool: [tool-result execute]",
            "tool: [tool-result process_list]",
            "assistant: [tool-call process_list]",
            "tool: [tool-result process_list]",
            // The last of them is what signs the words.
            "assistant: [reasoning] All done. [reasoning]",
        ]
    );
    assert_eq!(Transcript::of(&stream.settled(LIMIT).await?).lines(), shown);
    world.send(id, "And now?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: And now? [reasoning]")
    );

    let requests = asked(&world);
    assert_eq!(requests.len(), 4);
    let first = &requests[0];
    assert_eq!(first.path, format!("/v1beta/models/{MODEL}:streamGenerateContent"));
    assert_eq!(
        first.headers.get("x-goog-api-key").map(String::as_str),
        Some("[redacted]")
    );
    let thinking = &first.body["generationConfig"]["thinkingConfig"];
    assert_eq!(*thinking, json!({ "includeThoughts": true, "thinkingLevel": "high" }));
    assert!(first.body["systemInstruction"]["parts"][0]["text"].is_string());
    let last = &requests[3];
    let ids: Vec<&str> = parts(last, "functionResponse")
        .iter()
        .filter_map(|part| part["functionResponse"]["id"].as_str())
        .collect();
    assert_eq!(ids[..3], ["one", "two", "three"]);
    let is_signed: Vec<bool> = parts(last, "functionCall")
        .iter()
        .map(|part| part["thoughtSignature"].is_string())
        .collect();
    assert_eq!(is_signed, [true, false, false, true], "the first of each step");
    let words = parts(last, "text");
    let signed: Vec<&&Value> = words
        .iter()
        .filter(|part| part["thoughtSignature"].is_string())
        .collect();
    assert_eq!(signed.len(), 1);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_chat_changes_among_three_vendors_between_turns_and_back() -> Result {
    let world = with_models().start().await?;
    let google = register(&world, "google", MODEL, format!("{}/v1beta", root(&world)), json!({})).await?;
    let claude = register(&world, "anthropic", CLAUDE, root(&world), json!({ "effort": "low" })).await?;
    let other = world.model_config_id().to_owned();
    let turns = [
        ("First", &other),
        ("Second", &google),
        ("Third", &claude),
        ("Fourth", &google),
        ("Fifth", &other),
        ("Sixth", &google),
    ];
    for (message, _) in turns {
        let step = Reply::new()
            .reasoning("Hm.")
            .tool_call("execute", json!({ "command": "true" }));
        world
            .fake()
            .script(Script::turn([step, Reply::text("Done.")]).when_user_says(message));
    }
    let chat = world.create_chat("First").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    for (message, model) in &turns[1..] {
        let body = json!({ "content": text(message), "model_config_id": model });
        let path = format!("/api/v1/chats/{id}/messages");
        world.rest().post(&path, &body).await?.expect(200)?;
        settled(&world, id).await?;
    }
    let requests = asked(&world);
    assert_eq!(requests.len(), 6);
    let last = &requests[5];
    let signatures: Vec<&str> = parts(last, "functionCall")
        .iter()
        .filter_map(|part| part["thoughtSignature"].as_str())
        .collect();
    let is_own: Vec<bool> = signatures.iter().map(|signature| signature.starts_with("Ck")).collect();
    assert_eq!(
        is_own,
        [false, true, false, true, false, true],
        "calls of other vendors have a stand-in"
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends_the_turn_with_its_reason() -> Result {
    let world = world().await?;
    world.fake().script(Script::turn([
        Reply::fail(503, "overloaded"),
        Reply::rate_limited(Duration::from_millis(100)),
        Reply::text("Half an answer that breaks").error_event_at(2, "overloaded"),
        Reply::text("Half an answer without its end").cut_at_byte(700),
        Reply::new().finish("MALFORMED_FUNCTION_CALL"),
        Reply::text("Whole."),
    ]));
    let (id, kinds) = vendors::patient(&world, "Whole. [reasoning]").await?;
    assert_eq!(kinds, ["overloaded", "rate_limit", "overloaded", "timeout", "generic"]);
    for (state, kind, status) in [
        (KeyState::Revoked, "auth", 401),
        (KeyState::OutOfQuota, "usage_limit", 429),
    ] {
        vendors::ends_with(&world, &id, state, kind, status).await?;
        // What failed was not answered, so both messages are one turn of the user.
        let shown = vendors::goes_on(&world, &id).await?;
        assert_eq!(shown, "assistant: You said: And now?Again [reasoning]");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_is_tested_where_models_are_listed() -> Result {
    let world = with_models().without_provider().start().await?;
    let test = async |key: &str| -> Result<Value> {
        let body = json!({ "type": "google", "base_url": format!("{}/v1beta/openai", root(&world)), "api_key": key });
        world.rest().post("/api/v2/ai/providers/test", &body).await?.expect(200)
    };
    let good = test(world.fake().api_key()).await?;
    assert_eq!(
        (&good["ok"], &good["models"]),
        (&json!(true), &json!(["fake-model", MODEL, CLAUDE, PAINTER])),
        "{good}"
    );
    let bad = test("AIza-wrong").await?;
    assert_eq!(bad["ok"], false);
    assert!(
        bad["message"].as_str().unwrap_or_default().contains("does not accept"),
        "{bad}"
    );
    Ok(())
}

/// The smallest picture there is, as base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test]
async fn a_picture_that_the_model_made_is_shown_kept_and_sent_back_with_its_signature() -> Result {
    let world = with_models().without_provider().start().await?;
    register(&world, "google", PAINTER, root(&world), json!({})).await?;
    let proof = gemini_signature(PAINTER, PICTURE);
    let picture = json!({ "inlineData": { "mimeType": "image/png", "data": PICTURE }, "thoughtSignature": proof });
    let chunk = json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": "Here: " }, picture] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295 },
    });
    let raw = format!("data: {chunk}\r\n\r\n").into_bytes();
    world.fake().script(Script::reply(Reply::raw("text/event-stream", raw)));
    let chat = world.create_chat("Paint").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Paint", "assistant: Here:  [file] [reasoning]"]);
    assert_eq!(Transcript::of(&stream.settled(LIMIT).await?).lines(), shown);
    let parts = &world.messages(id).await?[1]["content"];
    assert_eq!(
        (&parts[1]["media_type"], &parts[1]["data"]),
        (&json!("image/png"), &json!(PICTURE))
    );
    world.send(id, "Bluer").await?;
    settled(&world, id).await?;
    let requests = asked(&world);
    let sent = self::parts(&requests[1], "inlineData");
    assert_eq!(sent.len(), 1);
    assert_eq!(*sent[0], picture, "as it came, with what proves it");
    world.fake().check_no_rejections()
}
