//! Commands that a chat's status does not allow: refused with 409 and what stands in their way, and nothing has changed.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Answer, World, finish, id_of},
};

use crate::{LIMIT, Result, settled};

/// Asks for something as a program does; status and reason of the answer, and all of it.
async fn ask(world: &World, chat_id: &str, command: &str) -> Result<(u16, String, Answer)> {
    let path = format!("/api/v1/chats/{chat_id}/{command}");
    let request = world.rest().request(reqwest::Method::POST, &path);
    let request = request.header("accept", "application/problem+json").json(&json!({}));
    let answer = finish(request, format!("POST {path}")).await?;
    let code = answer.json["code"].as_str().unwrap_or_default().to_owned();
    Ok((answer.status, code, answer))
}

async fn is_refused(world: &World, chat_id: &str, command: &str, status: u16, reason: &str) -> Result {
    let before = world.chat(chat_id).await?;
    let (was, code, answer) = ask(world, chat_id, command).await?;
    assert_eq!((was, code.as_str()), (status, reason), "{command}: {answer:?}");
    let words = answer.json["detail"].as_str().unwrap_or_default();
    assert!(words.len() > 20, "nobody is told what to do: {answer:?}");
    let after = world.chat(chat_id).await?;
    let facts = |chat: &Value| {
        (
            chat["status"].clone(),
            chat["last_error"].clone(),
            chat["archived"].clone(),
        )
    };
    assert_eq!(facts(&after), facts(&before), "{command}");
    Ok(())
}

#[tokio::test]
async fn a_turn_that_has_not_failed_is_not_tried_again_and_one_at_work_is_neither_summarised_nor_forgotten() -> Result {
    let world = World::start().await?;
    let reply = Reply::text("One ").gate("work").and_text("two.");
    world.fake().script(Script::reply(reply).when_user_says("Count"));
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("work", LIMIT).await?;
    // At work.
    is_refused(&world, id, "retry", 409, "NOT_FAILED").await?;
    is_refused(&world, id, "compact", 409, "CHAT_BUSY").await?;
    is_refused(&world, id, "clear", 409, "CHAT_BUSY").await?;
    world.fake().open("work");
    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Count", "assistant: One two."]);
    // At rest, and not failed.
    is_refused(&world, id, "retry", 409, "NOT_FAILED").await?;
    // Archived: what to do first is said, as everywhere.
    let path = format!("/api/v1/chats/{id}");
    world
        .rest()
        .patch(&path, &json!({ "archived": true }))
        .await?
        .expect(204)?;
    for command in ["retry", "compact", "clear"] {
        is_refused(&world, id, command, 400, "CHAT_ARCHIVED").await?;
    }
    assert_eq!(settled(&world, id).await?, shown);
    assert_eq!(world.fake().completions().len(), 1, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn a_chat_that_waits_for_its_client_is_at_work_too() -> Result {
    let world = World::start().await?;
    let ask_client = Reply::text("Which? ").tool_call("pick", json!({}));
    world.fake().script(Script::reply(ask_client));
    let body = json!({
        "organization_id": world.admin().organization_id,
        "content": [{ "type": "text", "text": "Pick one" }],
        "unsafe_dynamic_tools": [{ "name": "pick", "description": "Asks the person.", "input_schema": { "type": "object" } }],
    });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    world.wait_for_status(id, "requires_action", LIMIT).await?;
    is_refused(&world, id, "retry", 409, "NOT_FAILED").await?;
    is_refused(&world, id, "compact", 409, "CHAT_BUSY").await?;
    is_refused(&world, id, "clear", 409, "CHAT_BUSY").await?;
    Ok(())
}
