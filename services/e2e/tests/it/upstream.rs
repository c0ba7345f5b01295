//! An existing client of the upstream API needs only a new base URL: paths, header, shapes.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::world::{Rest, Stream, Transcript, World, finish, text};

use crate::{LIMIT, Result};

/// Calls with the upstream header instead of `Authorization`.
async fn call(rest: &Rest, method: Method, path: &str, body: Option<Value>, status: u16) -> Result<Value> {
    let token = rest.token().unwrap_or_default();
    let mut request = rest
        .without_token()
        .request(method.clone(), path)
        .header("Coder-Session-Token", token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    finish(request, format!("{method} {path}")).await?.expect(status)
}

#[tokio::test]
async fn a_chat_works_at_the_upstream_paths() -> Result {
    let world = World::start().await?;
    let rest = world.rest();
    let me = call(rest, Method::GET, "/api/v2/users/me", None, 200).await?;
    let organization = me["organization_ids"][0].clone();
    let body = json!({ "organization_id": organization, "content": text("Hello upstream") });
    let chat = call(rest, Method::POST, "/api/experimental/chats", Some(body), 201).await?;
    let id = chat["id"].as_str().unwrap_or_default();
    let path = format!("/api/experimental/chats/{id}");
    let stream = Stream::open(rest.base(), &format!("{path}/stream"), rest.token()).await?;
    let events = stream.settled(LIMIT).await?;
    assert_eq!(
        Transcript::of(&events).lines(),
        ["user: Hello upstream", "assistant: You said: Hello upstream"]
    );
    let page = call(rest, Method::GET, &format!("{path}/messages"), None, 200).await?;
    assert_eq!(page["messages"][0]["role"], "assistant", "newest first");
    assert_eq!(
        (&page["queued_messages"], &page["has_more"]),
        (&json!([]), &json!(false))
    );
    let listed = call(rest, Method::GET, "/api/experimental/chats", None, 200).await?;
    assert_eq!(listed[0]["id"], id);
    call(rest, Method::PATCH, &path, Some(json!({ "title": "Renamed" })), 204).await?;
    let chat = call(rest, Method::GET, &path, None, 200).await?;
    assert_eq!(chat["title"], "Renamed");
    Ok(())
}

#[tokio::test]
async fn chats_and_parts_have_every_key_a_client_may_read() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Shapes").await?;
    let id = chat["id"].as_str().unwrap_or_default();
    let chat = world.wait_for_status(id, "waiting", LIMIT).await?;
    for key in [
        "id",
        "organization_id",
        "owner_id",
        "last_model_config_id",
        "title",
        "status",
        "last_turn_summary",
        "created_at",
        "updated_at",
        "archived",
        "pin_order",
        "mcp_server_ids",
        "labels",
        "has_unread",
        "client_type",
        "children",
    ] {
        assert!(chat.get(key).is_some(), "a chat has no {key}: {chat}");
    }
    assert_eq!(chat["last_model_config_id"], world.model_config_id());
    let messages = world.messages(id).await?;
    let part = &messages[0]["content"][0];
    let mut keys: Vec<&str> = part
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "content",
            "context_file_agent_id",
            "context_file_path",
            "end_line",
            "file_id",
            "file_name",
            "mcp_server_config_id",
            "media_type",
            "skill_name",
            "start_line",
            "text",
            "type",
            "url",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn providers_and_models_have_the_upstream_shapes() -> Result {
    let world = World::start().await?;
    let rest = world.rest();
    let providers = call(rest, Method::GET, "/api/v2/ai/providers", None, 200).await?;
    let provider = &providers[0];
    assert_eq!(
        (&provider["type"], &provider["name"], &provider["enabled"]),
        (&json!("openai-compat"), &json!("fake"), &json!(true))
    );
    let models = call(rest, Method::GET, "/api/experimental/chats/models", None, 200).await?;
    let listed = &models["providers"][0];
    assert_eq!(
        (&listed["provider"], &listed["available"]),
        (&json!("openai-compat"), &json!(true))
    );
    assert_eq!(listed["models"][0]["model"], "fake-model");
    let configs = call(rest, Method::GET, "/api/experimental/chats/model-configs", None, 200).await?;
    assert_eq!(
        (&configs[0]["is_default"], &configs[0]["context_limit"]),
        (&json!(true), &json!(128_000))
    );
    let missing = json!({ "ai_provider_id": "00000000-0000-4000-8000-000000000000", "model": "m", "context_limit": 1 });
    call(
        rest,
        Method::POST,
        "/api/experimental/chats/model-configs",
        Some(missing),
        412,
    )
    .await?;
    let duplicate = json!({ "type": "openai-compat", "name": "fake", "base_url": "http://127.0.0.1:1/v1" });
    call(rest, Method::POST, "/api/v2/ai/providers", Some(duplicate), 409).await?;
    Ok(())
}
