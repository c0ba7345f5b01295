//! What workspaces tell the model, asked of real agents; and what their processes ask of storage.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tandem_proto::common::v1::part::Kind;
use tandem_proto::storage::v1::chat_context_service_server::ChatContextService;
use tandem_proto::storage::v1::personal_skill_service_server::PersonalSkillService;
use tandem_proto::storage::v1::*;
use tandem_proto::tool::v1::{DiscoverContextRequest, DiscoverContextResponse};
use tonic::{Request, Response, Status};

use crate::harness::Harness;

/// Storage's side: one personal skill, and a list of what workspaces have added.
#[derive(Clone, Default)]
pub struct Stub {
    added: Arc<Mutex<Vec<AddWorkspaceContextRequest>>>,
}

#[tonic::async_trait]
impl ChatContextService for Stub {
    async fn store_found_context(
        &self,
        _: Request<StoreFoundContextRequest>,
    ) -> Result<Response<StoreFoundContextResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn get_chat_context(
        &self,
        _: Request<GetChatContextRequest>,
    ) -> Result<Response<GetChatContextResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn add_workspace_context(
        &self,
        request: Request<AddWorkspaceContextRequest>,
    ) -> Result<Response<AddWorkspaceContextResponse>, Status> {
        let request = request.into_inner();
        let answer = AddWorkspaceContextResponse {
            chat_id: request.chat_id.clone(),
            count: i32::try_from(request.parts.len()).unwrap(),
        };
        self.added.lock().unwrap().push(request);
        Ok(Response::new(answer))
    }

    async fn clear_workspace_context(
        &self,
        _: Request<ClearWorkspaceContextRequest>,
    ) -> Result<Response<ClearWorkspaceContextResponse>, Status> {
        Err(Status::not_found("there is no such chat"))
    }

    async fn show_workspace_context(
        &self,
        _: Request<ShowWorkspaceContextRequest>,
    ) -> Result<Response<ShowWorkspaceContextResponse>, Status> {
        Ok(Response::new(ShowWorkspaceContextResponse::default()))
    }
}

#[tonic::async_trait]
impl PersonalSkillService for Stub {
    async fn list_personal_skills(
        &self,
        _: Request<ListPersonalSkillsRequest>,
    ) -> Result<Response<ListPersonalSkillsResponse>, Status> {
        Ok(Response::new(ListPersonalSkillsResponse::default()))
    }

    async fn get_personal_skill(
        &self,
        request: Request<GetPersonalSkillRequest>,
    ) -> Result<Response<GetPersonalSkillResponse>, Status> {
        let name = request.into_inner().name;
        if name != "mine" {
            return Err(Status::not_found("there is no such skill"));
        }
        let skill = PersonalSkill {
            name,
            body: "My way.".to_owned(),
            ..PersonalSkill::default()
        };
        Ok(Response::new(GetPersonalSkillResponse { skill: Some(skill) }))
    }

    async fn put_personal_skill(
        &self,
        _: Request<PutPersonalSkillRequest>,
    ) -> Result<Response<PutPersonalSkillResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn delete_personal_skill(
        &self,
        _: Request<DeletePersonalSkillRequest>,
    ) -> Result<Response<DeletePersonalSkillResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

async fn discover(world: &Harness, workspace_id: &str) -> DiscoverContextResponse {
    let message = DiscoverContextRequest {
        chat_id: "chat".to_owned(),
        workspace_id: workspace_id.to_owned(),
    };
    let request = world
        .outbound
        .request(Some(&world.user), std::time::Duration::from_secs(20), message);
    world
        .contexts
        .clone()
        .discover_context(request)
        .await
        .unwrap()
        .into_inner()
}

/// Runs a command in the chat's workspace; what it printed.
async fn shell(world: &Harness, call_id: &str, command: &str) -> String {
    let arguments = json!({ "command": command });
    let answer = world.call("chat", call_id, "execute", arguments).await.unwrap();
    answer.value()["output"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_workspace_that_is_away_tells_nothing_and_is_not_started() {
    let world = Harness::start().await;
    assert!(!discover(&world, "").await.is_found);
    let id = uuid::Uuid::new_v4().to_string();
    assert!(!discover(&world, &id).await.is_found);
    let home = world.directory.path().join("workspaces").join(&id);
    assert!(!home.exists());
}

#[tokio::test]
async fn only_the_orchestrator_may_name_a_workspace_to_be_asked() {
    let world = Harness::start().await;
    shell(&world, "one", "echo 'Be brief.' > AGENTS.md").await;
    let message = DiscoverContextRequest {
        chat_id: "chat".to_owned(),
        workspace_id: world.storage.workspaces.lock().unwrap()["chat"].id.clone(),
    };
    let limit = std::time::Duration::from_secs(20);
    // Another of the services, in the name of the same user.
    let request = world.bridge_outbound.request(Some(&world.user), limit, message.clone());
    let refused = world.contexts.clone().discover_context(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let request = world.outbound.request(Some(&world.user), limit, message);
    let found = world.contexts.clone().discover_context(request).await.unwrap();
    assert!(found.into_inner().is_found);
}

#[tokio::test]
async fn a_running_workspace_tells_its_instructions_and_skills() {
    let world = Harness::start().await;
    let skill = "mkdir -p .agents/skills/notes && printf -- '---\\nname: notes\\n---\\nTake notes.' > .agents/skills/notes/SKILL.md && \
        echo 'Be brief.' > AGENTS.md && echo T > .agents/skills/notes/t.md";
    shell(&world, "one", skill).await;
    let id = world.storage.workspaces.lock().unwrap()["chat"].id.clone();
    let found = discover(&world, &id).await;
    assert!(found.is_found);
    let kinds: Vec<_> = found.parts.into_iter().filter_map(|part| part.kind).collect();
    let [Kind::ContextFile(file), Kind::Skill(skill)] = kinds.as_slice() else {
        panic!("a file and a skill expected: {kinds:?}");
    };
    assert_eq!(
        (file.content.as_str(), file.agent_id.as_str(), file.os.as_str()),
        ("Be brief.", id.as_str(), "linux")
    );
    assert_eq!(skill.name, "notes");

    let read = world
        .call("chat", "two", "read_skill", json!({ "name": "notes" }))
        .await
        .unwrap();
    assert_eq!(
        (&read.value()["body"], &read.value()["files"]),
        (&json!("Take notes."), &json!(["t.md"]))
    );
    let file = json!({ "name": "workspace/notes", "path": "t.md" });
    let read = world.call("chat", "three", "read_skill_file", file).await.unwrap();
    assert_eq!(read.value(), json!({ "content": "T\n" }));
}

#[tokio::test]
async fn personal_skills_and_refused_paths_start_no_workspace() {
    let world = Harness::start().await;
    let read = world
        .call("chat", "one", "read_skill", json!({ "name": "mine" }))
        .await
        .unwrap();
    assert_eq!(read.value(), json!({ "name": "mine", "body": "My way.", "files": [] }));
    let refused = [
        ("read_skill", json!({ "name": "../x" })),
        ("read_skill", json!({ "name": "personal/other" })),
        ("read_skill_file", json!({ "name": "personal/mine", "path": "a" })),
        ("read_skill_file", json!({ "name": "notes", "path": "/etc/passwd" })),
        ("read_skill_file", json!({ "name": "notes", "path": "a/../../b" })),
    ];
    for (number, (tool, arguments)) in refused.into_iter().enumerate() {
        let answer = world
            .call("chat", &format!("call-{number}"), tool, arguments.clone())
            .await
            .unwrap();
        assert!(answer.outcome.is_error, "{tool} {arguments}");
    }
    assert!(world.storage.workspaces.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_process_says_on_the_socket_goes_to_its_own_workspace() {
    let world = Harness::start().await;
    let script = r#"
import json, os, socket
def ask(line):
    link = socket.socket(socket.AF_UNIX)
    link.connect(os.environ["TANDEM_AGENT_SOCKET"])
    link.sendall(line.encode() + b"\n")
    return link.makefile().readline().strip()
home = os.environ["HOME"]
open(home + "/n.md", "w").write("Notes")
print(ask(json.dumps({"command": "add", "chat_id": "chat", "paths": [home + "/n.md"]})))
print(ask(json.dumps({"command": "add", "paths": ["/etc/passwd"]})))
print(ask(json.dumps({"command": "add", "paths": [home + "/none"]})))
print(ask(json.dumps({"command": "clear"})))
print(ask("[" * 100000))
print(ask(json.dumps({"command": "run", "paths": []})))
"#;
    let quoted = script.replace('\'', "'\\''");
    let output = shell(&world, "one", &format!("python3 -c '{quoted}'")).await;
    let answers: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 6, "{output}");
    assert_eq!(
        (&answers[0]["chat_id"], &answers[0]["count"]),
        (&json!("chat"), &json!(1)),
        "{output}"
    );
    for (answer, expected) in answers[1..].iter().zip([
        "outside",
        "does not exist",
        "no such chat",
        "cannot be read",
        "cannot be read",
    ]) {
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {answer}");
    }
    let id = world.storage.workspaces.lock().unwrap()["chat"].id.clone();
    let added = world.context.added.lock().unwrap();
    assert_eq!(added.len(), 1);
    assert_eq!(added[0].workspace_id, id);
    let Some(Kind::ContextFile(file)) = &added[0].parts[0].kind else {
        panic!("a file expected");
    };
    assert!(file.path.ends_with("/n.md") && file.content == "Notes");
}
