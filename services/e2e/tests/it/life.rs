//! The life of the processes: health, orderly stop, start again.

use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{World, id_of},
};

use crate::{LIMIT, Result, settled};

#[tokio::test]
async fn health_is_told_without_authentication() -> Result {
    let world = World::start().await?;
    let nobody = world.rest().without_token();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(nobody.get(path).await?.status, 200, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn an_orderly_stop_ends_well_and_keeps_everything() -> Result {
    let mut world = World::start().await?;
    let chat = world.create_chat("Remember").await?;
    let id = id_of(&chat)?;
    let before = settled(&world, id).await?;
    for status in world.terminate().await? {
        assert!(status.success(), "ended with {status}");
    }
    world.restart().await?;
    assert_eq!(settled(&world, id).await?, before);
    world.send(id, "Back?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Back?"));
    Ok(())
}

#[tokio::test]
async fn a_turn_running_at_an_orderly_stop_is_finished_afterwards() -> Result {
    let mut world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("Cut").gate("never"),
        Reply::text("Finished later."),
    ]));
    let chat = world.create_chat("Long").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("never", LIMIT).await?;
    for status in world.terminate().await? {
        assert!(status.success(), "ended with {status}");
    }
    world.restart().await?;
    assert_eq!(settled(&world, id).await?, ["user: Long", "assistant: Finished later."]);
    Ok(())
}

#[tokio::test]
async fn a_chat_can_be_renamed_archived_and_brought_back() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Old name").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let path = format!("/api/v1/chats/{id}");
    let rest = world.rest();
    rest.patch(&path, &json!({ "title": "New name", "labels": { "team": "blue" } }))
        .await?
        .expect(204)?;
    let renamed = world.chat(id).await?;
    assert_eq!(
        (&renamed["title"], &renamed["labels"]["team"]),
        (&json!("New name"), &json!("blue"))
    );
    rest.patch(&path, &json!({ "archived": true })).await?.expect(204)?;
    let sent = json!({ "content": tandem_e2e::world::text("hi") });
    rest.post(&format!("{path}/messages"), &sent).await?.expect(400)?;
    assert_eq!(rest.get("/api/v1/chats").await?.expect(200)?, json!([]));
    let archived = rest.get("/api/v1/chats?q=archived:true").await?.expect(200)?;
    assert_eq!(archived[0]["id"], id);
    rest.patch(&path, &json!({ "archived": false })).await?.expect(204)?;
    world.send(id, "Back").await?;
    settled(&world, id).await?;
    Ok(())
}
