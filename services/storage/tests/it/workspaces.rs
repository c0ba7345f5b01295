//! Workspaces: whose they are, what builds make of them, quotas, idleness, agents' tokens. Templates have a file of their own.

use std::collections::HashMap;

use tandem_chassis::identity::ServiceName::ToolRunner;
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use tonic::Status;
use uuid::Uuid;

use crate::harness::{Harness, reason};
use crate::tools::running_chat;

mod bounds;
mod builds;
mod of_chats;
mod templates;
mod versions;

fn local_spec() -> TemplateSpec {
    TemplateSpec {
        backend: TemplateBackend::Local.into(),
        ..TemplateSpec::default()
    }
}

/// A new template.
async fn template(world: &Harness, admin: &User, name: &str, spec: TemplateSpec) -> Template {
    let message = CreateTemplateRequest {
        name: name.to_owned(),
        spec: Some(spec),
        ..CreateTemplateRequest::default()
    };
    let made = world
        .templates
        .clone()
        .create_template(world.as_user(admin, message))
        .await;
    made.unwrap().into_inner().template.unwrap()
}

async fn create(world: &Harness, user: &User, message: CreateWorkspaceRequest) -> Result<Workspace, Status> {
    let made = world
        .workspaces
        .clone()
        .create_workspace(world.by(ToolRunner, user, message))
        .await?;
    Ok(made.into_inner().workspace.unwrap())
}

fn of(template: &Template) -> CreateWorkspaceRequest {
    CreateWorkspaceRequest {
        template_id: template.id.clone(),
        ..CreateWorkspaceRequest::default()
    }
}

async fn build(
    world: &Harness,
    user: &User,
    workspace: &Workspace,
    transition: WorkspaceTransition,
) -> Result<CreateWorkspaceBuildResponse, Status> {
    let message = CreateWorkspaceBuildRequest {
        workspace_id: workspace.id.clone(),
        transition: transition.into(),
        ..CreateWorkspaceBuildRequest::default()
    };
    let made = world
        .workspaces
        .clone()
        .create_workspace_build(world.by(ToolRunner, user, message))
        .await?;
    Ok(made.into_inner())
}

async fn claim(world: &Harness, runner: Uuid) -> ClaimWorkspaceBuildResponse {
    let message = ClaimWorkspaceBuildRequest {
        runner_id: runner.to_string(),
        build_id: String::new(),
    };
    let claimed = world
        .workspaces
        .clone()
        .claim_workspace_build(world.of(ToolRunner, message))
        .await;
    claimed.unwrap().into_inner()
}

fn end(build: &WorkspaceBuild, runner: Uuid, status: BuildStatus) -> FinishWorkspaceBuildRequest {
    FinishWorkspaceBuildRequest {
        build_id: build.id.clone(),
        runner_id: runner.to_string(),
        attempt: build.attempt,
        status: status.into(),
        log: "done\n".to_owned(),
        ..FinishWorkspaceBuildRequest::default()
    }
}

async fn finish(world: &Harness, message: FinishWorkspaceBuildRequest) -> Result<Workspace, Status> {
    let finished = world
        .workspaces
        .clone()
        .finish_workspace_build(world.of(ToolRunner, message))
        .await?;
    Ok(finished.into_inner().workspace.unwrap())
}

/// Runs the next build to a good end.
async fn succeed(world: &Harness) -> Workspace {
    let runner = Uuid::now_v7();
    let claimed = claim(world, runner).await.build.unwrap();
    finish(world, end(&claimed, runner, BuildStatus::Succeeded))
        .await
        .unwrap()
}

async fn set(world: &Harness, admin: &User, key: &str, value_json: &str) {
    let message = SetSettingRequest {
        scope: SettingScope::Deployment.into(),
        key: key.to_owned(),
        value_json: value_json.to_owned(),
    };
    world
        .settings
        .clone()
        .set_setting(world.as_user(admin, message))
        .await
        .unwrap();
}

async fn ensure(world: &Harness, user: &User, chat: &str) -> Result<EnsureChatWorkspaceResponse, Status> {
    let message = EnsureChatWorkspaceRequest {
        chat_id: chat.to_owned(),
    };
    let ensured = world
        .workspaces
        .clone()
        .ensure_chat_workspace(world.by(ToolRunner, user, message))
        .await?;
    Ok(ensured.into_inner())
}

async fn seen(world: &Harness, user: &User, workspace: &Workspace) -> Result<Workspace, Status> {
    let workspace_id = workspace.id.clone();
    let message = GetWorkspaceRequest { workspace_id };
    let found = world
        .workspaces
        .clone()
        .get_workspace(world.as_user(user, message))
        .await?;
    Ok(found.into_inner().workspace.unwrap())
}

/// What becomes of a workspace's agent.
async fn agent(world: &Harness, workspace: &Workspace, change: AgentChange) {
    let message = RecordWorkspaceUseRequest {
        workspace_id: workspace.id.clone(),
        change: change.into(),
    };
    let request = world.of(ToolRunner, message);
    world.workspaces.clone().record_workspace_use(request).await.unwrap();
}

#[tokio::test]
async fn owners_see_their_workspaces_and_administrators_all() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (mia, leo) = (world.member(&admin, "mia").await, world.member(&admin, "leo").await);
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let mias = create(&world, &mia, of(&rust)).await.unwrap();
    create(&world, &leo, of(&rust)).await.unwrap();
    assert_eq!(reason(seen(&world, &leo, &mias).await), "WORKSPACE_NOT_FOUND");
    assert_eq!(
        reason(build(&world, &leo, &mias, WorkspaceTransition::Stop).await),
        "WORKSPACE_NOT_FOUND"
    );
    assert_eq!(seen(&world, &admin, &mias).await.unwrap().owner_username, "mia");
    let count = async |user: &User, query: &str| {
        let message = ListWorkspacesRequest {
            query: query.to_owned(),
            ..ListWorkspacesRequest::default()
        };
        let listed = world
            .workspaces
            .clone()
            .list_workspaces(world.as_user(user, message))
            .await;
        listed.unwrap().into_inner().total_count
    };
    assert_eq!(count(&mia, "").await, 1);
    assert_eq!(count(&admin, "").await, 2);
    assert_eq!(count(&admin, "owner:me").await, 0);
    assert_eq!(count(&admin, "owner:leo status:starting").await, 1);
    assert_eq!(count(&mia, "owner:leo").await, 0);
    let gateway = create_as_gateway(&world, &mia, of(&rust)).await;
    assert_eq!(reason(gateway), "SERVICE_NOT_ALLOWED");
}

async fn create_as_gateway(world: &Harness, user: &User, message: CreateWorkspaceRequest) -> Result<(), Status> {
    let request = world.as_user(user, message);
    world.workspaces.clone().create_workspace(request).await.map(|_| ())
}

#[tokio::test]
async fn a_workspace_gets_its_name_its_parameters_and_its_time_to_live() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let parameter = TemplateParameter {
        name: "size".to_owned(),
        r#type: ParameterType::Number.into(),
        is_mutable: true,
        default_value: Some("2".to_owned()),
        validation_max: Some(8.0),
        ..TemplateParameter::default()
    };
    let preset = TemplatePreset {
        name: "large".to_owned(),
        parameters: HashMap::from([("size".to_owned(), "8".to_owned())]),
        ..TemplatePreset::default()
    };
    let spec = TemplateSpec {
        parameters: vec![parameter],
        presets: vec![preset],
        default_ttl_ms: 60_000,
        ..local_spec()
    };
    let rust = template(&world, &admin, "rust", spec).await;
    let plain = create(&world, &admin, of(&rust)).await.unwrap();
    assert!(plain.name.starts_with("rust-"), "{}", plain.name);
    assert_eq!((plain.parameters["size"].as_str(), plain.ttl_ms), ("2", 60_000));
    let large = CreateWorkspaceRequest {
        preset_id: rust.spec.clone().unwrap().presets[0].id.clone(),
        name: "big".to_owned(),
        ttl_ms: Some(0),
        ..of(&rust)
    };
    let made = create(&world, &admin, large.clone()).await.unwrap();
    assert_eq!((made.parameters["size"].as_str(), made.ttl_ms), ("8", 0));
    assert_eq!(reason(create(&world, &admin, large).await), "WORKSPACE_NAME_TAKEN");
    let wrong = CreateWorkspaceRequest {
        parameters: HashMap::from([("size".to_owned(), "9".to_owned())]),
        ..of(&rust)
    };
    assert_eq!(reason(create(&world, &admin, wrong).await), "INVALID_REQUEST");
    let short = CreateWorkspaceRequest {
        ttl_ms: Some(5),
        ..of(&rust)
    };
    assert_eq!(reason(create(&world, &admin, short).await), "INVALID_REQUEST");
}

#[tokio::test]
async fn of_many_starts_at_once_no_more_succeed_than_the_quota_allows() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    set(&world, &admin, "max_running_workspaces", "2").await;
    let starts = (0..8).map(|_| create(&world, &mia, of(&rust)));
    let made = futures::future::join_all(starts).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2);
    for refused in made.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), "INSUFFICIENT_QUOTA");
    }
    // Others have their own.
    create(&world, &admin, of(&rust)).await.unwrap();
    let stopped = loop {
        let up = succeed(&world).await;
        if up.owner_username == "mia" {
            break up;
        }
    };
    build(&world, &mia, &stopped, WorkspaceTransition::Stop).await.unwrap();
    create(&world, &mia, of(&rust)).await.expect("one has stopped");
}

#[tokio::test]
async fn a_chat_gets_one_workspace_unless_the_deployment_forbids_it() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    set(&world, &admin, "chats_get_workspaces", "false").await;
    assert_eq!(reason(ensure(&world, &admin, &chat).await), "NO_WORKSPACE");
    set(&world, &admin, "chats_get_workspaces", "true").await;
    let made = ensure(&world, &admin, &chat).await.unwrap();
    let workspace = made.workspace.unwrap();
    assert!(made.is_created && workspace.status() == WorkspaceStatus::Starting);
    assert_eq!(
        (workspace.template_name.as_str(), workspace.backend()),
        ("local", TemplateBackend::Local)
    );
    let again = ensure(&world, &admin, &chat).await.unwrap();
    assert_eq!(
        (again.is_created, again.workspace.unwrap().id),
        (false, workspace.id.clone())
    );
    succeed(&world).await;
    build(&world, &admin, &workspace, WorkspaceTransition::Delete)
        .await
        .unwrap();
    assert_eq!(succeed(&world).await.status(), WorkspaceStatus::Deleted);
    // Its files are gone, so another one in its place would be a lie.
    assert_eq!(reason(ensure(&world, &admin, &chat).await), "NO_WORKSPACE");
    assert_eq!(reason(seen(&world, &admin, &workspace).await), "WORKSPACE_NOT_FOUND");
}

#[tokio::test]
async fn a_workspace_that_nobody_uses_is_stopped() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let message = CreateWorkspaceRequest {
        ttl_ms: Some(60_000),
        ..of(&rust)
    };
    let workspace = create(&world, &admin, message).await.unwrap();
    succeed(&world).await;
    let age = async |seconds: i32| {
        let statement = "UPDATE workspaces SET last_used_at = now() - make_interval(secs => $1)";
        sqlx::query(statement)
            .bind(f64::from(seconds))
            .execute(&world.pool)
            .await
            .unwrap();
    };
    age(50).await;
    assert!(claim(&world, Uuid::now_v7()).await.build.is_none());
    age(61).await;
    let used = RecordWorkspaceUseRequest {
        workspace_id: workspace.id.clone(),
        ..RecordWorkspaceUseRequest::default()
    };
    world
        .workspaces
        .clone()
        .record_workspace_use(world.of(ToolRunner, used))
        .await
        .unwrap();
    assert!(
        claim(&world, Uuid::now_v7()).await.build.is_none(),
        "it was used just now"
    );
    age(61).await;
    let stop = claim(&world, Uuid::now_v7()).await.build.unwrap();
    assert_eq!(
        (stop.transition(), stop.reason()),
        (WorkspaceTransition::Stop, BuildReason::Idle)
    );
    assert_eq!(stop.initiator_id, "");
}

#[tokio::test]
async fn a_stopped_workspace_has_no_agent() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let spec = TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    };
    let host = template(&world, &admin, "host", spec).await;
    let workspace = create(&world, &admin, of(&host)).await.unwrap();
    succeed(&world).await;
    agent(&world, &workspace, AgentChange::Connected).await;
    let state = async || seen(&world, &admin, &workspace).await.unwrap().agent.unwrap();
    assert!(state().await.is_connected);
    // Whoever held its link has crashed, and nobody tells that it went.
    build(&world, &admin, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    succeed(&world).await;
    let gone = state().await;
    assert!(!gone.is_connected && gone.disconnected_at.is_some());
    agent(&world, &workspace, AgentChange::Connected).await;
    assert!(!state().await.is_connected, "the news is late");
    build(&world, &admin, &workspace, WorkspaceTransition::Start)
        .await
        .unwrap();
    succeed(&world).await;
    assert!(!state().await.is_connected, "it has not come yet");
    agent(&world, &workspace, AgentChange::Connected).await;
    assert!(state().await.is_connected);
}

#[tokio::test]
async fn an_agents_token_is_good_until_the_next_and_while_the_workspace_is_up() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let spec = TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    };
    let host = template(&world, &admin, "host", spec).await;
    let workspace = create(&world, &mia, of(&host)).await.unwrap();
    succeed(&world).await;
    let issue = async |user: &User, token: u8| {
        let message = SetAgentTokenRequest {
            workspace_id: workspace.id.clone(),
            token_hash: vec![token; 32],
        };
        world
            .workspaces
            .clone()
            .set_agent_token(world.by(ToolRunner, user, message))
            .await
    };
    let is_let_in = async |token: u8| {
        let message = AuthenticateAgentRequest {
            workspace_id: workspace.id.clone(),
            token_hash: vec![token; 32],
        };
        let answer = world
            .workspaces
            .clone()
            .authenticate_agent(world.of(ToolRunner, message))
            .await;
        answer.is_ok()
    };
    assert!(!is_let_in(0).await);
    assert_eq!(
        reason(issue(&admin, 1).await),
        "WORKSPACE_NOT_FOUND",
        "the host is its owner's"
    );
    issue(&mia, 1).await.unwrap();
    assert!(is_let_in(1).await && !is_let_in(2).await);
    issue(&mia, 2).await.unwrap();
    assert!(is_let_in(2).await && !is_let_in(1).await);
    build(&world, &mia, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    assert!(!is_let_in(2).await);
    let local = template(&world, &admin, "rust", local_spec()).await;
    let local = create(&world, &mia, of(&local)).await.unwrap();
    let message = SetAgentTokenRequest {
        workspace_id: local.id,
        token_hash: vec![1; 32],
    };
    let refused = world
        .workspaces
        .clone()
        .set_agent_token(world.by(ToolRunner, &mia, message))
        .await;
    assert_eq!(reason(refused), "NOT_EXTERNAL");
}

#[tokio::test]
async fn a_pods_token_is_tool_runners_to_set_and_no_users() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let spec = TemplateSpec {
        backend: TemplateBackend::Kubernetes.into(),
        kubernetes: Some(KubernetesSettings {
            image: "shell:1".to_owned(),
            home_size: "2Gi".to_owned(),
            ..KubernetesSettings::default()
        }),
        ..TemplateSpec::default()
    };
    let pod = template(&world, &admin, "pod", spec.clone()).await;
    assert_eq!(pod.spec, Some(spec));
    let workspace = create(&world, &mia, of(&pod)).await.unwrap();
    let message = SetAgentTokenRequest {
        workspace_id: workspace.id,
        token_hash: vec![1; 32],
    };
    let mut workspaces = world.workspaces.clone();
    let refused = workspaces
        .set_agent_token(world.by(ToolRunner, &mia, message.clone()))
        .await;
    assert_eq!(reason(refused), "NOT_EXTERNAL");
    let set = workspaces.set_agent_token(world.of(ToolRunner, message.clone())).await;
    assert!(set.unwrap().into_inner().workspace.unwrap().agent.unwrap().has_token);
    let local = template(&world, &admin, "rust", local_spec()).await;
    let local = create(&world, &mia, of(&local)).await.unwrap();
    let message = SetAgentTokenRequest {
        workspace_id: local.id,
        ..message
    };
    assert_eq!(
        reason(workspaces.set_agent_token(world.of(ToolRunner, message)).await),
        "NO_POD"
    );
}
