//! The rows of `chat_diff_statuses`. Whoever changes what one says holds the lock of its chat's row; when it is due is anybody's to move.

use serde::Deserialize;
use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::common::v1::DiffStatus;
use time::OffsetDateTime;
use uuid::Uuid;

/// How long a claim keeps others away; longer than any question to a forge takes.
const CLAIM_SECONDS: f64 = 300.0;

/// A mark this young means that somebody expects news.
const MARK_SECONDS: f64 = 120.0;

/// Where a chat's work stands, as it is stored and as the database tells it in JSON.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Row {
    pub(crate) git_branch: String,
    pub(crate) git_remote_origin: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) observed_at: OffsetDateTime,
    pub(crate) url: String,
    pub(crate) pull_request_state: String,
    pub(crate) pull_request_title: String,
    pub(crate) is_draft: bool,
    pub(crate) has_changes_requested: bool,
    pub(crate) additions: i32,
    pub(crate) deletions: i32,
    pub(crate) changed_files: i32,
    pub(crate) author_login: String,
    pub(crate) author_avatar_url: String,
    pub(crate) base_branch: String,
    pub(crate) head_branch: String,
    pub(crate) pull_request_number: i32,
    pub(crate) commits: Option<i32>,
    pub(crate) is_approved: Option<bool>,
    pub(crate) reviewer_count: Option<i32>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) refreshed_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) stale_at: OffsetDateTime,
}

/// A chat that was claimed.
pub(crate) struct Claim {
    pub(crate) chat_id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) git_branch: String,
    pub(crate) git_remote_origin: String,
    pub(crate) is_recently_marked: bool,
}

/// What is known of a chat.
pub(crate) async fn find(conn: &mut PgConnection, chat: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT git_branch, git_remote_origin, observed_at, url, pull_request_state, pull_request_title, is_draft,
            has_changes_requested, additions, deletions, changed_files, author_login, author_avatar_url, base_branch, head_branch,
            pull_request_number, commits, is_approved, reviewer_count, refreshed_at, stale_at
        FROM chat_diff_statuses WHERE chat_id = $1",
        chat
    )
    .fetch_optional(conn)
    .await
}

/// Stores where a chat works now. What was known of another branch is forgotten, and asked for at once.
pub(crate) async fn move_to(
    conn: &mut PgConnection,
    chat: Uuid,
    branch: &str,
    origin: &str,
    observed_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO chat_diff_statuses (chat_id, git_branch, git_remote_origin, observed_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (chat_id) DO UPDATE SET git_branch = $2, git_remote_origin = $3, observed_at = $4, url = '',
            pull_request_state = '', pull_request_title = '', is_draft = false, has_changes_requested = false, additions = 0,
            deletions = 0, changed_files = 0, author_login = '', author_avatar_url = '', base_branch = '', head_branch = '',
            pull_request_number = 0, commits = NULL, is_approved = NULL, reviewer_count = NULL, refreshed_at = NULL,
            stale_at = now(), marked_at = now()",
        chat,
        branch,
        origin,
        observed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The chat still works where it did.
pub(crate) async fn see_again(
    conn: &mut PgConnection,
    chat: Uuid,
    observed_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_diff_statuses SET observed_at = $2 WHERE chat_id = $1 AND observed_at < $2",
        chat,
        observed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is known of the chat's pull request may have changed.
pub(crate) async fn mark_stale(conn: &mut PgConnection, chat: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_diff_statuses SET stale_at = least(stale_at, now()), marked_at = now() WHERE chat_id = $1",
        chat
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes up to `limit` chats that are due, longest waiting first.
pub(crate) async fn claim(conn: &mut PgConnection, limit: i64) -> Result<Vec<Claim>, sqlx::Error> {
    sqlx::query_as!(
        Claim,
        r#"WITH due AS (
            SELECT d.chat_id FROM chat_diff_statuses d JOIN chats c ON c.id = d.chat_id
            WHERE d.stale_at <= now() AND d.git_branch <> '' AND d.git_remote_origin <> '' AND NOT c.is_archived
            ORDER BY d.stale_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED)
        UPDATE chat_diff_statuses d SET stale_at = now() + make_interval(secs => $2)
        FROM due, chats c
        WHERE d.chat_id = due.chat_id AND c.id = d.chat_id
        RETURNING d.chat_id, c.owner_id, d.git_branch, d.git_remote_origin,
            d.marked_at > now() - make_interval(secs => $3) AS "is_recently_marked!""#,
        limit,
        CLAIM_SECONDS,
        MARK_SECONDS
    )
    .fetch_all(conn)
    .await
}

/// Puts a chat back without news. One that was marked meanwhile stays due.
pub(crate) async fn put_back(conn: &mut PgConnection, chat: Uuid, seconds: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_diff_statuses
        SET stale_at = CASE WHEN stale_at <= now() THEN stale_at ELSE now() + make_interval(secs => $2) END
        WHERE chat_id = $1",
        chat,
        f64::from(seconds)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All of a user's chats with repositories of this host may be asked for now.
pub(crate) async fn mark_host_stale(conn: &mut PgConnection, owner: Uuid, host: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_diff_statuses d SET stale_at = least(d.stale_at, now())
        FROM chats c WHERE c.id = d.chat_id AND c.owner_id = $1 AND position($2 IN d.git_remote_origin) > 0",
        owner,
        host
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what a forge said; what was marked meanwhile stays due. Branch, origin and times of `row` are ignored.
pub(crate) async fn refresh(conn: &mut PgConnection, chat: Uuid, row: &Row, seconds: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_diff_statuses SET url = $2, pull_request_state = $3, pull_request_title = $4, is_draft = $5,
            has_changes_requested = $6, additions = $7, deletions = $8, changed_files = $9, author_login = $10,
            author_avatar_url = $11, base_branch = $12, head_branch = $13, pull_request_number = $14, commits = $15,
            is_approved = $16, reviewer_count = $17, refreshed_at = now(),
            stale_at = CASE WHEN stale_at <= now() THEN stale_at ELSE now() + make_interval(secs => $18) END
        WHERE chat_id = $1",
        chat,
        row.url,
        row.pull_request_state,
        row.pull_request_title,
        row.is_draft,
        row.has_changes_requested,
        row.additions,
        row.deletions,
        row.changed_files,
        row.author_login,
        row.author_avatar_url,
        row.base_branch,
        row.head_branch,
        row.pull_request_number,
        row.commits,
        row.is_approved,
        row.reviewer_count,
        f64::from(seconds)
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    /// This row with what a forge said in place of what it said before.
    pub(crate) fn with(&self, status: DiffStatus) -> Self {
        Self {
            git_branch: self.git_branch.clone(),
            git_remote_origin: self.git_remote_origin.clone(),
            observed_at: self.observed_at,
            refreshed_at: self.refreshed_at,
            stale_at: self.stale_at,
            url: status.url,
            pull_request_state: status.pull_request_state,
            pull_request_title: status.pull_request_title,
            is_draft: status.is_draft,
            has_changes_requested: status.has_changes_requested,
            additions: status.additions,
            deletions: status.deletions,
            changed_files: status.changed_files,
            author_login: status.author_login,
            author_avatar_url: status.author_avatar_url,
            base_branch: status.base_branch,
            head_branch: status.head_branch,
            pull_request_number: status.pull_request_number,
            commits: status.commits,
            is_approved: status.is_approved,
            reviewer_count: status.reviewer_count,
        }
    }

    /// The row as a message of the contract.
    pub(crate) fn to_wire(&self) -> DiffStatus {
        DiffStatus {
            git_branch: self.git_branch.clone(),
            git_remote_origin: self.git_remote_origin.clone(),
            url: self.url.clone(),
            pull_request_state: self.pull_request_state.clone(),
            pull_request_title: self.pull_request_title.clone(),
            is_draft: self.is_draft,
            has_changes_requested: self.has_changes_requested,
            additions: self.additions,
            deletions: self.deletions,
            changed_files: self.changed_files,
            author_login: self.author_login.clone(),
            author_avatar_url: self.author_avatar_url.clone(),
            base_branch: self.base_branch.clone(),
            head_branch: self.head_branch.clone(),
            pull_request_number: self.pull_request_number,
            commits: self.commits,
            is_approved: self.is_approved,
            reviewer_count: self.reviewer_count,
            refreshed_at: self.refreshed_at.map(time_to_wire),
            stale_at: Some(time_to_wire(self.stale_at)),
        }
    }
}
