//! Bad requests: each a specific error, nothing lost, the chat still usable.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::world::{Answer, Stream, World, id_of, text};

use crate::{Result, settled};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// The error of the plain shape: a message, and where the mistake is.
fn is_error(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let message = answer.json["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "no message in {}", answer.text);
    let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    assert!(
        content_type.is_some_and(|value| value.starts_with("application/json")),
        "{content_type:?}"
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_and_change_nothing() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    let before = settled(&world, id).await?;
    let organization = &world.admin().organization_id;
    let long = "x".repeat(300 << 10);
    let cases: Vec<(u16, Vec<u8>)> = [
        json!({}),
        json!({ "organization_id": organization }),
        json!({ "organization_id": organization, "content": [] }),
        json!({ "organization_id": organization, "content": text("   \n\t ") }),
        json!({ "organization_id": organization, "content": text("") }),
        json!({ "organization_id": organization, "content": [{ "type": "video" }] }),
        json!({ "organization_id": organization, "content": [{ "type": "file", "file_id": UNKNOWN }] }),
        json!({ "organization_id": organization, "content": "just text" }),
        json!({ "organization_id": "not-a-uuid", "content": text("hi") }),
        json!({ "organization_id": organization, "content": text("hi"), "model_config_id": UNKNOWN }),
        json!({ "organization_id": organization, "content": text("hi"), "plan_mode": "maybe" }),
        json!({ "organization_id": organization, "content": text(&long) }),
    ]
    .into_iter()
    .map(|body| (400, body.to_string().into_bytes()))
    .chain([
        (400, b"{\"content\": ".to_vec()),
        (400, b"".to_vec()),
        (400, b"[]".to_vec()),
        (400, b"\xff\xfe{}".to_vec()),
        (
            400,
            [
                br#"{"content":[{"type":"text","text":""#.as_slice(),
                b"\xff",
                br#""}]}"#,
            ]
            .concat(),
        ),
        (400, br#"{"content":[{"type":"text","text":"\ud800"}]}"#.to_vec()),
        (400, [b"[".repeat(10_000), b"]".repeat(10_000)].concat()),
    ])
    .collect();
    for (status, body) in cases {
        let answer = world.rest().raw(Method::POST, "/api/v1/chats", body.clone()).await?;
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!(answer.status, status, "{shown} was answered {}", answer.text);
        is_error(&answer, status);
    }
    let foreign = json!({ "organization_id": UNKNOWN, "content": text("hi") });
    is_error(&world.rest().post("/api/v1/chats", &foreign).await?, 403);

    let list = world.rest().get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "a refused request left a chat");
    assert_eq!(settled(&world, id).await?, before);
    world.send(id, "Still there?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Still there?")
    );
    Ok(())
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_told_apart() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let rest = world.rest();
    let message = json!({ "content": text("hi") });
    for (path, status) in [
        (format!("/api/v1/chats/{UNKNOWN}"), 404),
        ("/api/v1/chats/nonsense".to_owned(), 400),
        (format!("/api/v1/chats/{UNKNOWN}/messages"), 404),
        (format!("/api/v1/chats/{id}/messages?limit=0"), 400),
        (format!("/api/v1/chats/{id}/messages?limit=201"), 400),
        (format!("/api/v1/chats/{id}/messages?before_id=x"), 400),
        (format!("/api/v1/chats/files/{UNKNOWN}"), 404),
        ("/api/v1/no/such/route".to_owned(), 404),
    ] {
        is_error(&rest.get(&path).await?, status);
    }
    is_error(
        &rest
            .post(&format!("/api/v1/chats/{UNKNOWN}/messages"), &message)
            .await?,
        404,
    );
    is_error(
        &rest
            .post(&format!("/api/v1/chats/{UNKNOWN}/interrupt"), &json!({}))
            .await?,
        404,
    );
    is_error(
        &rest
            .patch(&format!("/api/v1/chats/{id}"), &json!({ "title": "" }))
            .await?,
        400,
    );
    for path in [
        format!("/api/v1/chats/{UNKNOWN}/stream"),
        format!("/api/v1/chats/{id}/stream?after_id=x"),
        format!("/api/v1/chats/{id}/stream?after_cursor=nonsense"),
    ] {
        let opened = Stream::open(rest.base(), &path, rest.token()).await;
        assert!(opened.is_err(), "{path} was opened");
    }
    Ok(())
}

#[tokio::test]
async fn control_characters_and_every_script_survive_the_round_trip() -> Result {
    let world = World::start().await?;
    let said = "nul \u{0} bell \u{7} tab\tline\nsnowman ☃ flag 🏳️‍🌈 rtl \u{202e}abc html <b>&amp;</b> quote \" \\ end";
    let chat = world.create_chat(said).await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let messages = world.messages(id).await?;
    assert_eq!(messages[0]["content"][0]["text"], said);
    assert_eq!(messages[1]["content"][0]["text"], format!("You said: {said}"));
    Ok(())
}

#[tokio::test]
async fn foreign_missing_and_broken_tokens_are_unauthorised() -> Result {
    let world = World::start().await?;
    let nobody = world.rest().without_token();
    let token = world.rest().token().unwrap_or_default();
    let almost = token.split_at(token.len() - 1).0.to_owned();
    for rest in [
        nobody.clone(),
        nobody.with_token("tdm_0123456789_0123456789012345678901"),
        nobody.with_token(almost),
        nobody.with_token("x".repeat(10_000)),
    ] {
        is_error(&rest.get("/api/v1/chats").await?, 401);
        is_error(&rest.post("/api/v1/chats", &json!({})).await?, 401);
        let opened = Stream::open(rest.base(), "/api/v1/chats/watch", rest.token()).await;
        assert!(opened.is_err(), "the watch feed was opened");
    }
    Ok(())
}

#[tokio::test]
async fn errors_come_as_problem_documents_when_asked_for() -> Result {
    let world = World::start().await?;
    let path = format!("/api/v1/chats/{UNKNOWN}");
    let request = world.rest().request(Method::GET, &path);
    let request = request.header("accept", "application/problem+json");
    let answer = tandem_e2e::world::finish(request, path.clone()).await?;
    assert_eq!(answer.status, 404);
    let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    assert!(
        content_type.is_some_and(|value| value.starts_with("application/problem+json")),
        "{content_type:?}"
    );
    for member in ["type", "title", "status", "instance", "code"] {
        assert_ne!(answer.json[member], Value::Null, "no {member} in {}", answer.text);
    }
    assert_eq!(answer.json["status"], 404);
    Ok(())
}
