//! What chats are told of their workspaces: whose word counts, what the newest replaces, and how far a workspace reaches.

use tandem_chassis::identity::ServiceName::{Gateway, Orchestrator, ToolRunner};
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{ChatMessage, ContextFilePart, Part, Role, SkillPart};
use tandem_proto::storage::v1::chat_context_service_client::ChatContextServiceClient;
use tandem_proto::storage::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, Turn, says};

const AGENT: &str = "01890000-0000-7000-8000-000000000000";

fn part(kind: Kind) -> Part {
    Part {
        kind: Some(kind),
        provider_metadata_json: String::new(),
    }
}

fn file(path: &str, content: &str) -> Part {
    part(Kind::ContextFile(ContextFilePart {
        path: path.to_owned(),
        content: content.to_owned(),
        ..ContextFilePart::default()
    }))
}

fn found(path: &str, content: &str) -> Part {
    part(Kind::ContextFile(ContextFilePart {
        path: path.to_owned(),
        content: content.to_owned(),
        agent_id: AGENT.to_owned(),
        ..ContextFilePart::default()
    }))
}

fn skill(name: &str) -> Part {
    part(Kind::Skill(SkillPart {
        name: name.to_owned(),
        description: "D".to_owned(),
        directory: "/d".to_owned(),
        meta_file: "SKILL.md".to_owned(),
    }))
}

fn paths(parts: &[Part]) -> Vec<String> {
    parts
        .iter()
        .map(|part| match &part.kind {
            Some(Kind::ContextFile(file)) => file.path.clone(),
            Some(Kind::Skill(skill)) => skill.name.clone(),
            _ => "?".to_owned(),
        })
        .collect()
}

/// Messages that are no instructions.
fn said(loaded: &LoadTurnResponse) -> usize {
    let is_said = |message: &&ChatMessage| message.role() != Role::System;
    loaded.messages.iter().filter(is_said).count()
}

struct Contexts<'a> {
    stage: &'a Stage,
    client: ChatContextServiceClient<Channel>,
}

impl<'a> Contexts<'a> {
    fn of(stage: &'a Stage) -> Self {
        let client = stage.world.contexts.clone();
        Self { stage, client }
    }

    async fn store(&self, turn: &Turn, parts: Vec<Part>) -> Result<StoreFoundContextResponse, Status> {
        let message = StoreFoundContextRequest {
            chat_id: turn.chat.clone(),
            epoch: turn.epoch,
            parts,
        };
        let request = self.stage.world.of(Orchestrator, message);
        self.client
            .clone()
            .store_found_context(request)
            .await
            .map(Response::into_inner)
    }

    async fn load(&self, turn: &Turn) -> LoadTurnResponse {
        let message = LoadTurnRequest {
            chat_id: turn.chat.clone(),
            epoch: turn.epoch,
        };
        self.stage.load_turn(message).await.unwrap()
    }

    async fn add(&self, workspace: &str, chat: &str, parts: Vec<Part>) -> Result<AddWorkspaceContextResponse, Status> {
        let message = AddWorkspaceContextRequest {
            workspace_id: workspace.to_owned(),
            chat_id: chat.to_owned(),
            parts,
        };
        let request = self.stage.world.of(ToolRunner, message);
        self.client
            .clone()
            .add_workspace_context(request)
            .await
            .map(Response::into_inner)
    }

    async fn clear(&self, workspace: &str, chat: &str) -> Result<ClearWorkspaceContextResponse, Status> {
        let message = ClearWorkspaceContextRequest {
            workspace_id: workspace.to_owned(),
            chat_id: chat.to_owned(),
        };
        let request = self.stage.world.of(ToolRunner, message);
        self.client
            .clone()
            .clear_workspace_context(request)
            .await
            .map(Response::into_inner)
    }

    async fn shown(&self, workspace: &str, chat: &str) -> Vec<String> {
        let message = ShowWorkspaceContextRequest {
            workspace_id: workspace.to_owned(),
            chat_id: chat.to_owned(),
        };
        let request = self.stage.world.of(ToolRunner, message);
        let shown = self.client.clone().show_workspace_context(request).await.unwrap();
        paths(&shown.into_inner().parts)
    }
}

/// A workspace of the administrator's that this chat uses.
async fn bind(stage: &Stage, chat: &str) -> String {
    let message = EnsureChatWorkspaceRequest {
        chat_id: chat.to_owned(),
    };
    let request = stage.world.by(ToolRunner, &stage.admin, message);
    let answer = stage.world.workspaces.clone().ensure_chat_workspace(request).await;
    answer.unwrap().into_inner().workspace.unwrap().id
}

#[tokio::test]
async fn only_the_newest_that_was_found_counts_and_it_is_no_speech() {
    let stage = Stage::start().await;
    let contexts = Contexts::of(&stage);
    let turn = stage.running("Hello").await;
    let before = stage.get(&turn.chat).await.version;
    contexts
        .store(&turn, vec![found("a", "one"), skill("s")])
        .await
        .unwrap();
    let stored = contexts
        .store(&turn, vec![found("a", "two"), found("b", "three")])
        .await
        .unwrap();
    assert_eq!(stored.version, before + 2);
    let change = stored.change.unwrap();
    assert_eq!(change.messages.len(), 1, "people see it");
    let loaded = contexts.load(&turn).await;
    assert_eq!((said(&loaded), loaded.context.len()), (1, 1));
    assert_eq!(paths(&loaded.context[0].parts), ["a", "b"]);
    stage.finish(&turn, "Done.").await;

    let chat = stage.get(&turn.chat).await;
    assert_eq!(paths(&chat.last_injected_context), ["a", "b"]);
    let Some(Kind::ContextFile(first)) = &chat.last_injected_context[0].kind else {
        panic!("a context file expected");
    };
    assert_eq!(first.content, "");
    let edit = EditMessageRequest {
        chat_id: turn.chat.clone(),
        message_id: loaded.context[0].id,
        message: says("Mine now"),
    };
    assert_eq!(reason(stage.edit_message(&stage.admin, edit).await), "INVALID_REQUEST");
    let prompts = ListPromptsRequest {
        chat_id: turn.chat.clone(),
        limit: 0,
    };
    let prompts = stage.list_prompts(&stage.admin, prompts).await.unwrap().prompts;
    assert_eq!(prompts.len(), 1);
}

#[tokio::test]
async fn context_outlives_the_memory_of_the_model() {
    let stage = Stage::start().await;
    let contexts = Contexts::of(&stage);
    let turn = stage.running("Hello").await;
    contexts.store(&turn, vec![found("a", "one")]).await.unwrap();
    stage.finish(&turn, "Done.").await;
    let clear = ClearChatContextRequest {
        chat_id: turn.chat.clone(),
    };
    stage.clear_chat_context(&stage.admin, clear).await.unwrap();
    stage.send(&turn.chat, "Again").await.unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    let loaded = contexts.load(&turn).await;
    assert_eq!(said(&loaded), 2, "the line and the new message: {:?}", loaded.messages);
    assert_eq!(paths(&loaded.context[0].parts), ["a"]);
}

#[tokio::test]
async fn what_was_not_found_by_the_holder_is_refused() {
    let stage = Stage::start().await;
    let contexts = Contexts::of(&stage);
    let turn = stage.running("Hello").await;
    let stale = Turn {
        epoch: turn.epoch - 1,
        ..turn.clone()
    };
    assert_eq!(
        reason(contexts.store(&stale, vec![found("a", "b")]).await),
        "STALE_EPOCH"
    );
    for parts in [vec![], vec![file("a", "b")], vec![skill("s")]] {
        assert_eq!(reason(contexts.store(&turn, parts).await), "INVALID_REQUEST");
    }
    let huge = (0..40)
        .map(|n| found(&format!("f{n}"), &"x".repeat(64 * 1024)))
        .collect();
    assert_eq!(reason(contexts.store(&turn, huge).await), "INVALID_REQUEST");
    let message = StoreFoundContextRequest::default();
    let request = stage.world.as_user(&stage.admin, message);
    let refused = contexts.client.clone().store_found_context(request).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let request = stage.world.of(Gateway, AddWorkspaceContextRequest::default());
    let refused = contexts.client.clone().add_workspace_context(request).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    stage.finish(&turn, "Done.").await;
    assert_eq!(
        reason(contexts.store(&turn, vec![found("a", "b")]).await),
        "STALE_EPOCH"
    );
}

#[tokio::test]
async fn a_workspace_adds_to_its_chat_until_it_takes_all_back() {
    let stage = Stage::start().await;
    let contexts = Contexts::of(&stage);
    let turn = stage.running("Hello").await;
    let workspace = bind(&stage, &turn.chat).await;
    contexts.store(&turn, vec![found("a", "found")]).await.unwrap();
    let added = contexts
        .add(&workspace, "", vec![file("n", "<!-- x -->one\r\n"), skill("s")])
        .await
        .unwrap();
    assert_eq!((added.chat_id, added.count), (turn.chat.clone(), 2));
    contexts
        .add(&workspace, &turn.chat, vec![file("n", "two"), file("m", " ")])
        .await
        .unwrap();
    let loaded = contexts.load(&turn).await;
    let all: Vec<_> = loaded.context.iter().map(|message| paths(&message.parts)).collect();
    assert_eq!(all, [vec!["a"], vec!["n", "s"]]);
    let Some(Kind::ContextFile(file)) = &loaded.context[1].parts[0].kind else {
        panic!("a context file expected");
    };
    assert_eq!((file.content.as_str(), file.agent_id.as_str()), ("two", ""));
    assert_eq!(contexts.shown(&workspace, "").await, ["a", "n", "s"]);

    let version = stage.get(&turn.chat).await.version;
    let again = loaded.context[1].parts[0].clone();
    contexts.add(&workspace, "", vec![again]).await.unwrap();
    assert_eq!(stage.get(&turn.chat).await.version, version, "nothing new is no change");
    contexts.clear(&workspace, &turn.chat).await.unwrap();
    contexts.clear(&workspace, &turn.chat).await.unwrap();
    assert_eq!(stage.get(&turn.chat).await.version, version + 1);
    assert_eq!(contexts.shown(&workspace, "").await, ["a"]);
    // The turn goes on as if nothing had happened.
    stage.finish(&turn, "Done.").await;
}

#[tokio::test]
async fn a_workspace_reaches_its_own_chats_and_no_more_than_their_bounds() {
    let stage = Stage::start().await;
    let contexts = Contexts::of(&stage);
    let (chat, other) = (stage.waiting("Mine").await, stage.waiting("Another's").await);
    let (workspace, _) = (bind(&stage, &chat).await, bind(&stage, &other).await);
    let one = || vec![file("n", "x")];
    assert_eq!(reason(contexts.add(&workspace, &other, one()).await), "CHAT_NOT_FOUND");
    let nobody = Uuid::now_v7().to_string();
    assert_eq!(reason(contexts.add(&nobody, "", one()).await), "CHAT_NOT_FOUND");
    assert_eq!(
        reason(contexts.add(&workspace, "", vec![file("n", " ")]).await),
        "INVALID_REQUEST"
    );
    let many = (0..101).map(|n| file(&format!("f{n}"), "x")).collect();
    assert_eq!(reason(contexts.add(&workspace, "", many).await), "INVALID_REQUEST");

    let hundred = (0..100).map(|n| file(&format!("f{n}"), "x")).collect();
    contexts.add(&workspace, "", hundred).await.unwrap();
    assert_eq!(reason(contexts.add(&workspace, "", one()).await), "CONTEXT_FULL");
    contexts.clear(&workspace, "").await.unwrap();
    contexts
        .add(&workspace, "", vec![file("big", &"x".repeat(100 * 1024))])
        .await
        .unwrap();
    let shown = stage.get(&chat).await.last_injected_context;
    assert!(matches!(&shown[0].kind, Some(Kind::ContextFile(file)) if file.is_truncated));

    stage
        .execute("UPDATE chats SET workspace_id = (SELECT workspace_id FROM chats WHERE workspace_id IS NOT NULL AND id <> $1) WHERE id = $1", &other)
        .await;
    assert_eq!(reason(contexts.add(&workspace, "", one()).await), "CHAT_AMBIGUOUS");
    stage.archive(&other, true).await.unwrap();
    contexts.add(&workspace, "", one()).await.unwrap();
    assert_eq!(reason(contexts.add(&workspace, &other, one()).await), "CHAT_INACTIVE");
}
