//! The wire shapes of everything about git.

use serde::{Deserialize, Serialize};
use tandem_proto::{common::v1 as common, tool::v1 as proto};
use utoipa::ToSchema;

use super::{is_false, some_text, some_time, time};

/// Where the work of a chat stands in git, and in the pull request of its branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ChatDiffStatus {
    #[schema(format = Uuid)]
    pub chat_id: String,
    /// Of the repository last worked in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub git_branch: Option<String>,
    /// Without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub git_remote_origin: Option<String>,
    /// Of the pull request, else of the branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    /// `open`, `closed` or `merged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pull_request_state: Option<String>,
    pub pull_request_title: String,
    pub pull_request_draft: bool,
    pub changes_requested: bool,
    pub additions: i32,
    pub deletions: i32,
    pub changed_files: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub author_login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub author_avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub base_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub head_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pr_number: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub commits: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub approved: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reviewer_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub refreshed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub stale_at: Option<String>,
}

impl ChatDiffStatus {
    /// Of a chat without a repository.
    pub fn none(chat_id: &str) -> Self {
        Self {
            chat_id: chat_id.to_owned(),
            ..Self::default()
        }
    }

    /// As services know it.
    pub fn of(chat_id: &str, status: common::DiffStatus) -> Self {
        Self {
            chat_id: chat_id.to_owned(),
            git_branch: some_text(status.git_branch),
            git_remote_origin: some_text(status.git_remote_origin),
            url: some_text(status.url),
            pull_request_state: some_text(status.pull_request_state),
            pull_request_title: status.pull_request_title,
            pull_request_draft: status.is_draft,
            changes_requested: status.has_changes_requested,
            additions: status.additions,
            deletions: status.deletions,
            changed_files: status.changed_files,
            author_login: some_text(status.author_login),
            author_avatar_url: some_text(status.author_avatar_url),
            base_branch: some_text(status.base_branch),
            head_branch: some_text(status.head_branch),
            pr_number: Some(status.pull_request_number).filter(|number| *number > 0),
            commits: status.commits,
            approved: status.is_approved,
            reviewer_count: status.reviewer_count,
            refreshed_at: some_time(status.refreshed_at.as_ref()),
            stale_at: some_time(status.stale_at.as_ref()),
        }
    }
}

/// The diff of a chat's pull request, or of its branch.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChatDiffContents {
    #[schema(format = Uuid)]
    pub chat_id: String,
    /// `github` or `gitlab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remote_origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pull_request_url: Option<String>,
    /// Unified. Left out where the caller has no credential for the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff: Option<String>,
}

impl ChatDiffContents {
    /// As tool-runner tells it.
    pub fn of(chat_id: String, contents: proto::GetDiffContentsResponse) -> Self {
        Self {
            chat_id,
            provider: some_text(contents.provider),
            remote_origin: some_text(contents.remote_origin),
            branch: some_text(contents.branch),
            pull_request_url: some_text(contents.pull_request_url),
            diff: some_text(contents.diff),
        }
    }
}

/// One frame of a chat's repositories.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ChatGitEvent {
    /// Repositories that differ from what was told before; the first has all of them.
    Changes {
        #[schema(format = DateTime)]
        scanned_at: String,
        repositories: Vec<ChatGitRepository>,
    },
    /// What the reader sent cannot be done.
    Error { message: String },
    /// A sign of life, for those that ask for it.
    Heartbeat {
        #[schema(format = DateTime)]
        server_time: String,
    },
}

/// A repository as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChatGitRepository {
    pub repo_root: String,
    /// Empty when the head is detached.
    pub branch: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remote_origin: Option<String>,
    /// The last commit against the working tree, or a sentence why it is left out; left out when there is no difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unified_diff: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
}

impl From<proto::WatchedRepository> for ChatGitRepository {
    fn from(repository: proto::WatchedRepository) -> Self {
        Self {
            repo_root: repository.root,
            branch: repository.branch,
            remote_origin: some_text(repository.remote_origin),
            unified_diff: some_text(repository.unified_diff),
            removed: repository.is_removed,
        }
    }
}

/// What a reader of a chat's repositories may say.
#[derive(Debug, Deserialize)]
pub struct ChatGitCommand {
    #[serde(rename = "type")]
    pub kind: String,
}

/// A user's credential for a host of repositories, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GitCredential {
    pub host: String,
    pub username: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl From<proto::GitCredentialView> for GitCredential {
    fn from(credential: proto::GitCredentialView) -> Self {
        Self {
            host: credential.host,
            username: credential.username,
            updated_at: time(credential.updated_at.as_ref()),
        }
    }
}

/// A credential as it is typed.
#[derive(Deserialize, ToSchema)]
pub struct PutGitCredentialRequest {
    /// Left out: one that the usual forges accept beside a token.
    #[serde(default)]
    pub username: String,
    pub token: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_leaves_out_what_is_not_known() {
        let status = ChatDiffStatus::of("c", common::DiffStatus::default());
        assert_eq!(status, ChatDiffStatus::none("c"));
        let expected = json!({
            "chat_id": "c", "pull_request_title": "", "pull_request_draft": false, "changes_requested": false,
            "additions": 0, "deletions": 0, "changed_files": 0,
        });
        assert_eq!(serde_json::to_value(status).unwrap(), expected);
    }

    #[test]
    fn frames_name_their_type() {
        let removed = ChatGitRepository::from(proto::WatchedRepository {
            root: "/home/w/r".to_owned(),
            is_removed: true,
            ..proto::WatchedRepository::default()
        });
        let event = ChatGitEvent::Changes {
            scanned_at: "2026-01-01T00:00:00Z".to_owned(),
            repositories: vec![removed],
        };
        let expected = json!({
            "type": "changes", "scanned_at": "2026-01-01T00:00:00Z",
            "repositories": [{ "repo_root": "/home/w/r", "branch": "", "removed": true }],
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    }
}
