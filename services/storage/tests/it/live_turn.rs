//! Where a turn's live parts are: told to those that read them there, and to nobody else.

use tandem_chassis::identity::ServiceName::{Gateway, Orchestrator, ProviderGateway};
use tandem_chassis::identity::{ServiceName, User};
use tandem_proto::common::v1::{InputPart, ModelConfig, input_part};
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::harness::Harness;

const ADDRESS: &str = "http://10.0.0.7:7090";

/// A pending chat.
async fn chat(world: &Harness, admin: &User) -> String {
    let provider_id = Uuid::now_v7().to_string();
    let provider = Provider {
        id: provider_id.clone(),
        r#type: "demo".to_owned(),
        name: "demo".to_owned(),
        is_enabled: true,
        ..Provider::default()
    };
    let message = CreateProviderRequest {
        provider: Some(provider),
    };
    let request = world.by(ProviderGateway, admin, message);
    world.settings.clone().create_provider(request).await.unwrap();
    let model_config = Some(ModelConfig {
        provider_id,
        model: "demo".to_owned(),
        is_enabled: true,
        context_limit: 1_000,
        compression_threshold: 70,
        ..ModelConfig::default()
    });
    let request = world.as_user(admin, CreateModelConfigRequest { model_config });
    world.settings.clone().create_model_config(request).await.unwrap();
    let part = InputPart {
        kind: Some(input_part::Kind::Text("Hello".to_owned())),
    };
    let message = CreateChatRequest {
        organization_id: admin.organization_ids[0].to_string(),
        message: Some(MessageInput {
            parts: vec![part],
            model_config_id: String::new(),
        }),
        ..CreateChatRequest::default()
    };
    let created = world
        .chats
        .clone()
        .create_chat(world.as_user(admin, message))
        .await
        .unwrap();
    created.into_inner().chat.unwrap().id
}

/// What each of the three questions about a chat says to this service.
async fn told(world: &Harness, service: ServiceName, user: &User, chat_id: &str) -> [Option<LiveTurn>; 3] {
    let mut chats = world.chats.clone();
    let chat_id = chat_id.to_owned();
    let get = GetChatRequest {
        chat_id: chat_id.clone(),
    };
    let snapshot = GetChatSnapshotRequest {
        chat_id: chat_id.clone(),
        after_message_id: 0,
    };
    let changes = ListChatChangesRequest {
        chat_id,
        after_version: 1,
        limit: 0,
    };
    let got = chats.get_chat(world.by(service, user, get)).await.unwrap();
    let taken = chats
        .get_chat_snapshot(world.by(service, user, snapshot))
        .await
        .unwrap();
    let listed = chats.list_chat_changes(world.by(service, user, changes)).await.unwrap();
    [
        got.into_inner().live_turn,
        taken.into_inner().live_turn,
        listed.into_inner().live_turn,
    ]
}

#[tokio::test]
async fn orchestrators_are_told_where_a_turn_runs_while_it_runs() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat_id = chat(&world, &admin).await;
    assert_eq!(told(&world, Orchestrator, &admin, &chat_id).await, [None, None, None]);

    let claim = ClaimChatsRequest {
        replica_id: Uuid::now_v7().to_string(),
        limit: 1,
        ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        replica_address: ADDRESS.to_owned(),
        ..ClaimChatsRequest::default()
    };
    let claimed = world
        .turns
        .clone()
        .claim_chats(world.of(Orchestrator, claim))
        .await
        .unwrap();
    let epoch = claimed.into_inner().chats[0].lease.as_ref().unwrap().epoch;
    let turn = LiveTurn {
        epoch,
        replica_address: ADDRESS.to_owned(),
    };
    let expected = [Some(turn.clone()), Some(turn.clone()), Some(turn)];
    assert_eq!(told(&world, Orchestrator, &admin, &chat_id).await, expected);
    assert_eq!(told(&world, Gateway, &admin, &chat_id).await, [None, None, None]);

    let release = ReleaseChatRequest {
        chat_id: chat_id.clone(),
        epoch,
        has_crashed: false,
    };
    world
        .turns
        .clone()
        .release_chat(world.of(Orchestrator, release))
        .await
        .unwrap();
    assert_eq!(told(&world, Orchestrator, &admin, &chat_id).await, [None, None, None]);
}
