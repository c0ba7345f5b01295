//! The tool-call journal.

use tandem_chassis::identity::ServiceName::ToolRunner;
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::harness::{Harness, reason};

/// A chat in the middle of its turn number 3.
pub async fn running_chat(world: &Harness, owner: &User) -> String {
    let (chat, provider, model) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    sqlx::query("INSERT INTO providers (id, type, name) VALUES ($1, 'demo', $2)")
        .bind(provider)
        .bind(provider.to_string())
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO model_configs (id, provider_id, model, context_limit) VALUES ($1, $2, 'm', 1000)")
        .bind(model)
        .bind(provider)
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO chats (id, organization_id, owner_id, root_chat_id, last_model_config_id, title, client_type, status,
            progress, epoch, lease_owner, lease_expires_at)
        VALUES ($1, $2, $3, $1, $4, 't', 'ui', 'running', 'calling', 3, $5, now() + interval '1 minute')",
    )
    .bind(chat)
    .bind(owner.organization_ids[0])
    .bind(owner.id)
    .bind(model)
    .bind(Uuid::new_v4())
    .execute(&world.pool)
    .await
    .unwrap();
    chat.to_string()
}

fn begin(chat: &str, epoch: i64, digest: u8) -> BeginToolCallRequest {
    BeginToolCallRequest {
        attempt_id: String::new(),
        chat_id: chat.to_owned(),
        epoch,
        tool_call_id: "call_1".to_owned(),
        tool_name: "execute".to_owned(),
        input_digest: vec![digest; 32],
        ..BeginToolCallRequest::default()
    }
}

fn finish(chat: &str, result: &str) -> FinishToolCallRequest {
    FinishToolCallRequest {
        chat_id: chat.to_owned(),
        tool_call_id: "call_1".to_owned(),
        result_json: result.to_owned(),
        is_error: false,
        state: ToolCallState::Finished.into(),
    }
}

#[tokio::test]
async fn a_call_starts_once_and_its_first_result_stays() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let mut tools = world.tools.clone();
    let mut states = Vec::new();
    for _ in 0..2 {
        let begun = tools
            .begin_tool_call(world.by(ToolRunner, &admin, begin(&chat, 3, 1)))
            .await
            .unwrap();
        states.push(begun.into_inner().call.unwrap().state());
    }
    assert_eq!(states, [ToolCallState::Starting, ToolCallState::Started]);
    for result in [r#"{"text":"a\u0000b"}"#, r#"{"text":"late"}"#] {
        let ended = tools
            .finish_tool_call(world.by(ToolRunner, &admin, finish(&chat, result)))
            .await
            .unwrap();
        let ended = ended.into_inner().call.unwrap();
        let result: serde_json::Value = serde_json::from_str(&ended.result_json).unwrap();
        assert_eq!(result, serde_json::json!({ "text": "a\0b" }));
    }
    let known = tools
        .begin_tool_call(world.by(ToolRunner, &admin, begin(&chat, 3, 1)))
        .await
        .unwrap();
    assert_eq!(known.into_inner().call.unwrap().state(), ToolCallState::Finished);
}

#[tokio::test]
async fn calls_of_other_turns_inputs_and_people_are_refused() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let chat = running_chat(&world, &mia).await;
    let mut tools = world.tools.clone();
    tools
        .begin_tool_call(world.by(ToolRunner, &mia, begin(&chat, 3, 1)))
        .await
        .unwrap();
    let stale = tools
        .begin_tool_call(world.by(ToolRunner, &mia, begin(&chat, 2, 1)))
        .await;
    assert_eq!(reason(stale), "STALE_EPOCH");
    let other = tools
        .begin_tool_call(world.by(ToolRunner, &mia, begin(&chat, 3, 2)))
        .await;
    assert_eq!(reason(other), "INPUT_MISMATCH");
    let foreign = tools
        .begin_tool_call(world.by(ToolRunner, &admin, begin(&chat, 3, 1)))
        .await;
    assert_eq!(reason(foreign), "CHAT_NOT_FOUND");
    let gateway = tools.begin_tool_call(world.as_user(&mia, begin(&chat, 3, 1))).await;
    assert_eq!(reason(gateway), "SERVICE_NOT_ALLOWED");
}

#[tokio::test]
async fn only_one_of_many_at_once_starts_a_call_and_makes_a_workspace() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let tries = (0..8).map(|_| async {
        let (mut tools, mut workspaces) = (world.tools.clone(), world.workspaces.clone());
        let begun = tools
            .begin_tool_call(world.by(ToolRunner, &admin, begin(&chat, 3, 1)))
            .await
            .unwrap();
        let ensure = EnsureChatWorkspaceRequest { chat_id: chat.clone() };
        let ensured = workspaces
            .ensure_chat_workspace(world.by(ToolRunner, &admin, ensure))
            .await
            .unwrap()
            .into_inner();
        let is_starting = begun.into_inner().call.unwrap().state() == ToolCallState::Starting;
        (is_starting, ensured.is_created, ensured.workspace.unwrap().id)
    });
    let done = futures::future::join_all(tries).await;
    assert_eq!(done.iter().filter(|(is_starting, _, _)| *is_starting).count(), 1);
    assert_eq!(done.iter().filter(|(_, is_created, _)| *is_created).count(), 1);
    assert!(done.iter().all(|(_, _, id)| *id == done[0].2));
}
