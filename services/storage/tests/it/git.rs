//! Where chats work in git: the newest sighting counts, forges' answers belong to the branch that was asked for, and credentials to
//! their owners.

use tandem_chassis::clock::{Clock as _, System};
use tandem_chassis::identity::ServiceName::{Gateway, ToolRunner};
use tandem_proto::common::v1::{DiffStatus, WatchKind};
use tandem_proto::storage::v1::*;
use tonic::{Code, Response, Status};

use crate::harness::reason;
use crate::stage::Stage;

const ORIGIN: &str = "https://git.example.com/a/b";

/// A chat with a workspace.
struct Place {
    stage: Stage,
    chat: String,
    workspace: String,
}

impl Place {
    async fn new() -> Self {
        let stage = Stage::start().await;
        let chat = stage.waiting("fix the door").await;
        let message = EnsureChatWorkspaceRequest { chat_id: chat.clone() };
        let request = stage.world.by(ToolRunner, &stage.admin, message);
        let ensured = stage
            .world
            .workspaces
            .clone()
            .ensure_chat_workspace(request)
            .await
            .unwrap();
        let workspace = ensured.into_inner().workspace.unwrap().id;
        Self { stage, chat, workspace }
    }

    /// `seconds` from now.
    async fn saw(&self, branch: &str, seconds: i64) -> Result<bool, Status> {
        self.saw_in(&self.workspace, branch, seconds).await
    }

    async fn saw_in(&self, workspace: &str, branch: &str, seconds: i64) -> Result<bool, Status> {
        let at = System.now().unix_timestamp() + seconds;
        let message = RecordGitHeadRequest {
            chat_id: self.chat.clone(),
            workspace_id: workspace.to_owned(),
            branch: branch.to_owned(),
            remote_origin: ORIGIN.to_owned(),
            observed_at: Some(prost_types::Timestamp { seconds: at, nanos: 0 }),
        };
        let request = self.stage.world.of(ToolRunner, message);
        let recorded = self.stage.world.git.clone().record_git_head(request).await?;
        Ok(recorded.into_inner().is_applied)
    }

    async fn claim(&self) -> Vec<DiffStatusClaim> {
        let request = self.stage.world.of(ToolRunner, ClaimDiffStatusesRequest { limit: 50 });
        let claimed = self.stage.world.git.clone().claim_diff_statuses(request).await.unwrap();
        claimed.into_inner().claims
    }

    async fn put(&self, branch: &str, status: Option<DiffStatus>) -> bool {
        let message = PutDiffStatusRequest {
            chat_id: self.chat.clone(),
            branch: branch.to_owned(),
            remote_origin: ORIGIN.to_owned(),
            status,
            stale_after_seconds: 120,
        };
        let request = self.stage.world.of(ToolRunner, message);
        let put = self.stage.world.git.clone().put_diff_status(request).await.unwrap();
        put.into_inner().is_applied
    }

    async fn version(&self) -> i64 {
        self.stage.get(&self.chat).await.version
    }

    async fn status(&self) -> DiffStatus {
        self.stage.get(&self.chat).await.diff_status.unwrap()
    }
}

fn open(title: &str) -> DiffStatus {
    DiffStatus {
        url: "https://git.example.com/a/b/pull/7".to_owned(),
        pull_request_state: "open".to_owned(),
        pull_request_title: title.to_owned(),
        pull_request_number: 7,
        is_approved: Some(true),
        ..DiffStatus::default()
    }
}

#[tokio::test]
async fn a_branch_is_a_change_of_its_chat_and_the_newest_sighting_counts() {
    let place = Place::new().await;
    let before = place.stage.get(&place.chat).await;
    assert_eq!(before.diff_status, None);
    assert!(place.saw("main", -10).await.unwrap());
    let now = place.stage.get(&place.chat).await;
    assert_eq!((now.version, now.updated_at), (before.version + 1, before.updated_at));
    let status = now.diff_status.unwrap();
    assert_eq!(
        (status.git_branch.as_str(), status.git_remote_origin.as_str()),
        ("main", ORIGIN)
    );
    let change = place.stage.changes(&place.chat).await.pop().unwrap();
    assert_eq!(change.watch_kinds, [i32::from(WatchKind::DiffStatusChange)]);
    // What was seen before comes late.
    assert!(!place.saw("older", -20).await.unwrap());
    // The same again is no change.
    assert!(!place.saw("main", -5).await.unwrap());
    assert_eq!(
        (place.version().await, place.status().await.git_branch),
        (now.version, "main".to_owned())
    );
    // Not even from a clock that is ahead.
    assert!(place.saw("ahead", 3_600).await.unwrap());
    assert!(place.saw("after", 3_600).await.unwrap());
    assert_eq!(place.status().await.git_branch, "after");
}

#[tokio::test]
async fn what_is_seen_in_another_workspace_is_not_recorded() {
    let place = Place::new().await;
    let other = uuid::Uuid::new_v4().to_string();
    assert!(!place.saw_in(&other, "main", 0).await.unwrap());
    assert_eq!(place.stage.get(&place.chat).await.diff_status, None);
    place
        .stage
        .update(&place.chat, |change| change.workspace_id = Some(String::new()))
        .await
        .unwrap();
    assert!(!place.saw("main", 0).await.unwrap());
}

#[tokio::test]
async fn a_forges_answer_belongs_to_the_branch_that_was_asked_for() {
    let place = Place::new().await;
    place.saw("fix", -10).await.unwrap();
    let claims = place.claim().await;
    let claimed: Vec<(&str, &str)> = claims
        .iter()
        .map(|claim| (claim.chat_id.as_str(), claim.branch.as_str()))
        .collect();
    assert_eq!(claimed, [(place.chat.as_str(), "fix")]);
    assert!(claims[0].is_recently_marked);
    // Nobody else takes it meanwhile.
    assert_eq!(place.claim().await, []);

    assert!(place.put("fix", Some(open("Fix the door"))).await);
    let status = place.status().await;
    assert_eq!((status.pull_request_number, status.git_branch.as_str()), (7, "fix"));
    assert!(status.refreshed_at.is_some());
    let version = place.version().await;
    // The same again is no change, and neither is no answer.
    assert!(!place.put("fix", Some(open("Fix the door"))).await);
    assert!(!place.put("fix", None).await);
    assert_eq!(place.version().await, version);

    place.saw("next", 0).await.unwrap();
    let status = place.status().await;
    assert_eq!((status.pull_request_number, status.url.as_str()), (0, ""));
    assert!(!place.put("fix", Some(open("Fix the door"))).await);
    assert_eq!(place.status().await.pull_request_number, 0);
    // Asked for at once.
    assert_eq!(place.claim().await.len(), 1);
}

#[tokio::test]
async fn a_mark_makes_only_its_chat_due() {
    let place = Place::new().await;
    place.saw("fix", -10).await.unwrap();
    place.claim().await;
    place.put("fix", None).await;
    assert_eq!(place.claim().await, []);
    let mark = |chat_id: String| place.stage.world.of(ToolRunner, MarkDiffStatusStaleRequest { chat_id });
    let mut git = place.stage.world.git.clone();
    git.mark_diff_status_stale(mark(uuid::Uuid::new_v4().to_string()))
        .await
        .unwrap();
    assert_eq!(place.claim().await, []);
    git.mark_diff_status_stale(mark(place.chat.clone())).await.unwrap();
    assert_eq!(place.claim().await.len(), 1);
    // A mark that comes while the forge is asked is not lost.
    git.mark_diff_status_stale(mark(place.chat.clone())).await.unwrap();
    place.put("fix", Some(open("Fix the door"))).await;
    assert_eq!(place.claim().await.len(), 1);
}

#[tokio::test]
async fn a_new_credential_makes_the_chats_of_its_host_due() {
    let place = Place::new().await;
    place.saw("fix", -10).await.unwrap();
    place.claim().await;
    place.put("fix", None).await;
    let world = &place.stage.world;
    for (host, count) in [("other.example.com", 0), ("git.example.com", 1)] {
        let request = world.by(ToolRunner, &place.stage.admin, credential(host, b"x"));
        world.git.clone().put_git_credential(request).await.unwrap();
        assert_eq!(place.claim().await.len(), count, "{host}");
    }
}

#[tokio::test]
async fn archived_chats_and_those_without_a_branch_are_not_asked_for() {
    let place = Place::new().await;
    place.saw("", -10).await.unwrap();
    assert_eq!(place.claim().await, []);
    place.saw("fix", -5).await.unwrap();
    place.stage.archive(&place.chat, true).await.unwrap();
    assert_eq!(place.claim().await, []);
}

fn credential(host: &str, sealed: &[u8]) -> PutGitCredentialRequest {
    PutGitCredentialRequest {
        credential: Some(GitCredential {
            host: host.to_owned(),
            username: "ada".to_owned(),
            sealed: sealed.to_vec(),
            ..GitCredential::default()
        }),
    }
}

#[tokio::test]
async fn a_credential_is_found_by_its_owner_and_for_its_owners_chats() {
    let place = Place::new().await;
    let world = &place.stage.world;
    let admin = &place.stage.admin;
    let member = world.member(admin, "grace").await;
    let mut git = world.git.clone();
    for (user, sealed) in [(admin, b"one"), (&member, b"two")] {
        let request = world.by(ToolRunner, user, credential("git.example.com", sealed));
        let stored = git
            .put_git_credential(request)
            .await
            .unwrap()
            .into_inner()
            .credential
            .unwrap();
        assert!(stored.sealed.is_empty());
    }
    let find = |host: &str, workspace: &str| FindGitCredentialRequest {
        host: host.to_owned(),
        chat_id: place.chat.clone(),
        workspace_id: workspace.to_owned(),
    };
    let sealed = |answer: Result<Response<FindGitCredentialResponse>, Status>| {
        answer.map(|found| found.into_inner().credential.unwrap().sealed)
    };
    let own = world.by(ToolRunner, &member, find("git.example.com", ""));
    assert_eq!(sealed(git.find_git_credential(own).await).unwrap(), b"two");
    let of_chat = world.of(ToolRunner, find("git.example.com", &place.workspace));
    assert_eq!(sealed(git.find_git_credential(of_chat).await).unwrap(), b"one");
    let elsewhere = world.of(ToolRunner, find("git.example.com", &uuid::Uuid::new_v4().to_string()));
    assert_eq!(
        reason(git.find_git_credential(elsewhere).await),
        "GIT_CREDENTIAL_NOT_FOUND"
    );
    let other_host = world.of(ToolRunner, find("example.com", &place.workspace));
    assert_eq!(
        reason(git.find_git_credential(other_host).await),
        "GIT_CREDENTIAL_NOT_FOUND"
    );
    // No other service sees a secret, sealed as it is.
    let gateway = world.by(Gateway, admin, find("git.example.com", ""));
    assert_eq!(
        git.find_git_credential(gateway).await.unwrap_err().code(),
        Code::PermissionDenied
    );

    let listed = git
        .list_git_credentials(world.as_user(&member, ListGitCredentialsRequest {}))
        .await
        .unwrap();
    let listed = listed.into_inner().credentials;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].sealed.is_empty());
    let delete = DeleteGitCredentialRequest {
        host: "git.example.com".to_owned(),
    };
    git.delete_git_credential(world.as_user(&member, delete)).await.unwrap();
    let gone = world.by(ToolRunner, &member, find("git.example.com", ""));
    assert_eq!(reason(git.find_git_credential(gone).await), "GIT_CREDENTIAL_NOT_FOUND");
    let of_chat = world.of(ToolRunner, find("git.example.com", ""));
    assert!(git.find_git_credential(of_chat).await.is_ok());
}

#[tokio::test]
async fn strangers_see_nothing_of_a_chats_repository() {
    let place = Place::new().await;
    place.saw("main", 0).await.unwrap();
    let world = &place.stage.world;
    let stranger = world.member(&place.stage.admin, "grace").await;
    let message = GetChatGitRequest {
        chat_id: place.chat.clone(),
    };
    let mut git = world.git.clone();
    assert_eq!(
        reason(git.get_chat_git(world.as_user(&stranger, message.clone())).await),
        "CHAT_NOT_FOUND"
    );
    let own = git
        .get_chat_git(world.as_user(&place.stage.admin, message))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (own.workspace_id, own.is_workspace_readable),
        (place.workspace.clone(), true)
    );
    // Only tool-runner records.
    let message = RecordGitHeadRequest {
        chat_id: place.chat.clone(),
        ..RecordGitHeadRequest::default()
    };
    let refused = git
        .record_git_head(world.as_user(&stranger, message))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
