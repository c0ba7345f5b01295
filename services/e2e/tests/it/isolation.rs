//! Two users never see each other's chats; whoever asks is told that there is nothing.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::world::{Stream, User, World, id_of, text, wait_for_status};

use crate::{LIMIT, Result};

#[tokio::test]
async fn a_chat_exists_for_its_owner_only() -> Result {
    let world = World::start().await?;
    let (ada, bob) = (world.create_user("ada").await?, world.create_user("bob").await?);
    let chat = world.create_chat_of(&ada, "Ada's secret").await?;
    let id = id_of(&chat)?;
    wait_for_status(&ada.rest, id, "waiting", LIMIT).await?;
    for stranger in [&bob, world.admin()] {
        sees_nothing(stranger, id).await?;
    }
    let own = ada
        .rest
        .get(&format!("/api/v1/chats/{id}/messages"))
        .await?
        .expect(200)?;
    assert_eq!(
        own["messages"].as_array().map(Vec::len),
        Some(2),
        "a stranger changed the chat: {own}"
    );
    Ok(())
}

async fn sees_nothing(stranger: &User, id: &str) -> Result {
    let message = json!({ "content": text("mine now") });
    let results = json!({ "results": [{ "tool_call_id": "call_1", "output": "mine now", "is_error": false }] });
    let decision = json!({ "tool_call_id": "call_1", "digest": "0".repeat(64), "decision": "approve" });
    let decisions = json!({ "decisions": [decision] });
    for (method, path, body) in [
        (Method::GET, String::new(), None),
        (Method::PATCH, String::new(), Some(json!({ "title": "stolen" }))),
        (Method::PATCH, String::new(), Some(json!({ "approval_mode": "never" }))),
        (Method::POST, "/tool-results".to_owned(), Some(results)),
        (Method::POST, "/approvals".to_owned(), Some(decisions)),
        (Method::GET, "/messages".to_owned(), None),
        (Method::GET, "/prompts".to_owned(), None),
        (Method::POST, "/messages".to_owned(), Some(message.clone())),
        (Method::PATCH, "/messages/1".to_owned(), Some(message)),
        (Method::POST, "/interrupt".to_owned(), Some(json!({}))),
        (Method::DELETE, "/queue/1".to_owned(), None),
        (Method::POST, "/queue/1/promote".to_owned(), Some(json!({}))),
    ] {
        let path = format!("/api/v1/chats/{id}{path}");
        let mut request = stranger.rest.request(method.clone(), &path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = tandem_e2e::world::finish(request, path.clone()).await?;
        assert_eq!(answer.status, 404, "{method} {path} was answered {}", answer.text);
    }
    let path = format!("/api/v1/chats/{id}/stream");
    let stream = Stream::open(stranger.rest.base(), &path, stranger.rest.token()).await;
    assert!(stream.is_err(), "a stranger reads the stream");
    let list = stranger.rest.get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(list, json!([]));
    Ok(())
}

#[tokio::test]
async fn the_watch_feed_tells_of_own_chats_only() -> Result {
    let world = World::start().await?;
    let (ada, bob) = (world.create_user("ada").await?, world.create_user("bob").await?);
    let open = |user: &User| {
        let (base, token) = (user.rest.base().to_owned(), user.rest.token().map(str::to_owned));
        async move { Stream::open(&base, "/api/v1/chats/watch", token.as_deref()).await }
    };
    let (adas, bobs) = (open(&ada).await?, open(&bob).await?);
    let chat = world.create_chat_of(&ada, "Ada's").await?;
    let bobs_chat = world.create_chat_of(&bob, "Bob's").await?;
    let waiting = |id: Value| move |event: &Value| event["chat"]["id"] == id && event["chat"]["status"] == "waiting";
    adas.wait_until(LIMIT, |events| events.iter().any(waiting(chat["id"].clone())))
        .await?;
    let seen = bobs
        .wait_until(LIMIT, |events| events.iter().any(waiting(bobs_chat["id"].clone())))
        .await?;
    assert!(
        seen.iter().all(|event| event["chat"]["id"] == bobs_chat["id"]),
        "{seen:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_plain_user_administers_nothing() -> Result {
    let world = World::start().await?;
    let ada = world.create_user("ada").await?;
    let provider =
        json!({ "type": "openai-compat", "name": "mine", "base_url": "http://127.0.0.1:1/v1", "enabled": true });
    let model = json!({ "ai_provider_id": world.provider_id(), "model": "gpt-4o", "context_limit": 1000 });
    let user = json!({ "username": "eve", "email": "eve@example.com", "password": "long enough 123" });
    for (path, body) in [
        ("/api/v2/ai/providers", provider),
        ("/api/v1/chats/model-configs", model),
        ("/api/v2/users", user),
    ] {
        let answer = ada.rest.post(path, &body).await?;
        assert_eq!(answer.status, 403, "{path} was answered {}", answer.text);
    }
    Ok(())
}
