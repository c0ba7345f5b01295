//! The rows of `tool_call_approvals`: what people have said of calls that waited for their word.

use sqlx::PgConnection;
use tandem_chat_core::approval::{ApprovalMode, VALID_FOR};
use time::OffsetDateTime;
use uuid::Uuid;

/// A person's word on one call.
pub(crate) struct Row {
    pub(crate) tool_name: String,
    pub(crate) digest: Vec<u8>,
    /// Where the call was to run; `None` where the chat had no workspace yet.
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) is_approved: bool,
    pub(crate) reason: String,
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) used_at: Option<OffsetDateTime>,
}

/// One decision to be kept.
pub(crate) struct New<'a> {
    pub(crate) tool_call_id: &'a str,
    pub(crate) tool_name: &'a str,
    pub(crate) digest: &'a [u8],
    pub(crate) is_approved: bool,
    pub(crate) reason: &'a str,
}

/// Keeps decisions; a later one on the same call replaces the earlier one, which was not of use any more or it would not be asked again.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    chat: Uuid,
    workspace: Option<Uuid>,
    user: Uuid,
    decisions: &[New<'_>],
) -> Result<(), sqlx::Error> {
    for decision in decisions {
        sqlx::query!(
            "INSERT INTO tool_call_approvals
                (chat_id, tool_call_id, digest, workspace_id, is_approved, reason, decided_by, expires_at, tool_name)
            VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), $9)
            ON CONFLICT (chat_id, tool_call_id) DO UPDATE SET
                tool_name = excluded.tool_name, digest = excluded.digest, workspace_id = excluded.workspace_id, is_approved = excluded.is_approved,
                reason = excluded.reason, decided_by = excluded.decided_by, decided_at = now(),
                expires_at = excluded.expires_at, used_at = NULL",
            chat,
            decision.tool_call_id,
            decision.digest,
            workspace,
            decision.is_approved,
            decision.reason,
            user,
            VALID_FOR.as_secs_f64(),
            decision.tool_name
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// What was said of a call.
pub(crate) async fn find(conn: &mut PgConnection, chat: Uuid, tool_call_id: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT tool_name, digest, workspace_id, is_approved, reason, expires_at, used_at FROM tool_call_approvals
        WHERE chat_id = $1 AND tool_call_id = $2",
        chat,
        tool_call_id
    )
    .fetch_optional(conn)
    .await
}

/// Marks an approval as used up.
pub(crate) async fn spend(conn: &mut PgConnection, chat: Uuid, tool_call_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE tool_call_approvals SET used_at = now() WHERE chat_id = $1 AND tool_call_id = $2",
        chat,
        tool_call_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what was said of calls that have not started: they are withdrawn, or have been answered otherwise.
pub(crate) async fn withdraw(conn: &mut PgConnection, chat: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM tool_call_approvals WHERE chat_id = $1 AND used_at IS NULL",
        chat
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes up to `limit` chats that ask for less ask for this; how many there were.
pub(crate) async fn raise(conn: &mut PgConnection, minimum: ApprovalMode, limit: i64) -> Result<u64, sqlx::Error> {
    let lenient: Vec<String> = ApprovalMode::ALL
        .iter()
        .filter(|mode| **mode < minimum)
        .map(ToString::to_string)
        .collect();
    let done = sqlx::query!(
        "UPDATE chats SET approval_mode = $1
        WHERE id IN (SELECT id FROM chats WHERE approval_mode = ANY ($2) ORDER BY id LIMIT $3 FOR UPDATE)",
        minimum.as_str(),
        &lenient,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

impl Row {
    /// Whether this is about that input of that tool in that workspace. A chat that had none may have got one by another call of the
    /// same step.
    pub(crate) fn is_about(&self, tool_name: &str, digest: &[u8], workspace: Option<Uuid>) -> bool {
        let is_there = self.workspace_id.is_none() || self.workspace_id == workspace;
        self.tool_name == tool_name && self.digest == digest && is_there
    }

    /// Whether a call can be started by it.
    pub(crate) fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.is_approved && self.used_at.is_none() && now < self.expires_at
    }
}
