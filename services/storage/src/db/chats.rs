//! The rows of `chats`, and their meaning to the state machine.

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::approval::ApprovalMode;
use tandem_chat_core::chat::{Lease, Lineage, Progress, State, Status, StatusKind};
use tandem_chat_core::error::ChatError;
use tandem_chat_core::id::{Epoch, ReplicaId, Version};
use time::OffsetDateTime;
use uuid::Uuid;

use super::diff_statuses;
use crate::error::Error;
use crate::turn_facts::{Intent, PendingCall, Sealed};

#[cfg(test)]
mod tests;

/// A chat as it is stored, with what is counted beside it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) parent_chat_id: Option<Uuid>,
    pub(crate) root_chat_id: Uuid,
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) last_model_config_id: Uuid,
    pub(crate) title: String,
    pub(crate) client_type: String,
    pub(crate) plan_mode: Option<String>,
    /// The name of an `ApprovalMode`.
    pub(crate) approval_mode: String,
    pub(crate) labels: Json<std::collections::BTreeMap<String, String>>,
    pub(crate) mcp_server_ids: Vec<Uuid>,
    pub(crate) dynamic_tools: serde_json::Value,
    pub(crate) pin_order: i32,
    pub(crate) last_turn_summary: Option<String>,
    pub(crate) status: String,
    pub(crate) progress: String,
    pub(crate) is_archived: bool,
    pub(crate) epoch: i64,
    pub(crate) version: i64,
    pub(crate) lease_owner: Option<Uuid>,
    pub(crate) lease_expires_at: Option<OffsetDateTime>,
    pub(crate) lease_address: Option<String>,
    pub(crate) action_deadline: Option<OffsetDateTime>,
    pub(crate) last_error: Option<Json<ChatError>>,
    pub(crate) pending_tool_calls: Json<Vec<PendingCall>>,
    pub(crate) intent: Option<Json<Intent>>,
    pub(crate) turn_step: i32,
    pub(crate) sealed: Option<Json<Sealed>>,
    /// The turn to come, or under way, is to compact the history and do nothing else.
    pub(crate) is_compaction_requested: bool,
    /// Since the turn last got anywhere: ends by a crash of its own, and owners that vanished.
    pub(crate) crash_count: i16,
    pub(crate) takeover_count: i16,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) owner_username: String,
    pub(crate) owner_name: String,
    /// On the row itself: after a wait for its lock, nothing else of the statement is read anew.
    pub(crate) queued_count: i16,
    pub(crate) is_parent_archived: bool,
    /// Where its work stands in git.
    pub(crate) diff_status: Option<Json<diff_statuses::Row>>,
    /// An assistant message lies behind the owner's read mark.
    pub(crate) has_unread: bool,
    /// The version at the moment at which what is counted beside the row was read; see [`settled`].
    pub(crate) snapshot_version: i64,
    /// The database's clock.
    pub(crate) now: OffsetDateTime,
}

/// Reads chats: one shape for every question. `$filter` is the rest of the statement; its first parameter is `$1`.
macro_rules! select_chats {
    ($filter:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT c.id, c.organization_id, c.owner_id, c.parent_chat_id, c.root_chat_id, c.workspace_id,
                c.last_model_config_id, c.title, c.client_type, c.plan_mode, c.approval_mode,
                c.labels AS "labels: Json<std::collections::BTreeMap<String, String>>", c.mcp_server_ids, c.dynamic_tools,
                c.pin_order, c.last_turn_summary, c.status, c.progress, c.is_archived, c.epoch, c.version, c.lease_owner,
                c.lease_expires_at, c.lease_address, c.action_deadline, c.last_error AS "last_error: Json<ChatError>",
                c.pending_tool_calls AS "pending_tool_calls: Json<Vec<PendingCall>>", c.intent AS "intent: Json<Intent>",
                c.turn_step, c.sealed AS "sealed: Json<Sealed>", c.is_compaction_requested, c.crash_count, c.takeover_count, c.created_at, c.updated_at,
                u.username AS owner_username, u.name AS owner_name,
                c.queued_count,
                coalesce((SELECT p.is_archived FROM chats p WHERE p.id = c.parent_chat_id), false) AS "is_parent_archived!",
                (SELECT to_jsonb(d) FROM chat_diff_statuses d WHERE d.chat_id = c.id) AS "diff_status: Json<diff_statuses::Row>",
                EXISTS (SELECT 1 FROM chat_messages m WHERE m.chat_id = c.id AND m.role = 'assistant' AND NOT m.is_deleted
                    AND m.id > c.last_read_message_id) AS "has_unread!",
                (SELECT v.version FROM chats v WHERE v.id = c.id) AS "snapshot_version!",
                now() AS "now!"
            FROM chats c JOIN users u ON u.id = c.owner_id "# + $filter,
            $($argument),*
        )
    };
}

/// The chat if this user may see it.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, user: Uuid) -> Result<Option<Row>, sqlx::Error> {
    select_chats!("WHERE c.id = $1 AND c.owner_id = $2", id, user)
        .fetch_optional(conn)
        .await
}

/// The chat if this user may change it, locked until the transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid, user: Uuid) -> Result<Option<Row>, sqlx::Error> {
    let locked = select_chats!("WHERE c.id = $1 AND c.owner_id = $2 FOR UPDATE OF c", id, user)
        .fetch_optional(&mut *conn)
        .await?;
    settled(conn, locked).await
}

/// The chat for the worker that holds its lease, locked until the transaction ends.
pub(crate) async fn lock_for_worker(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    let locked = select_chats!("WHERE c.id = $1 FOR UPDATE OF c", id)
        .fetch_optional(&mut *conn)
        .await?;
    settled(conn, locked).await
}

/// The row as its lock found it. PostgreSQL gives a row that changed while its lock was waited for as it is now, but what is counted
/// beside it, such as its queue, as it was before: then another look, under the lock, sees all of it as it is.
async fn settled(conn: &mut PgConnection, locked: Option<Row>) -> Result<Option<Row>, sqlx::Error> {
    match locked {
        Some(row) if row.snapshot_version != row.version => find_for_worker(conn, row.id).await,
        locked => Ok(locked),
    }
}

/// The chat for the worker that holds its lease.
pub(crate) async fn find_for_worker(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    select_chats!("WHERE c.id = $1", id).fetch_optional(conn).await
}

/// Up to `limit` chats that are due: first those whose owner vanished, so that new ones cannot starve them, then the others, longest
/// waiting first. Nothing is locked: each claim looks again.
pub(crate) async fn due(conn: &mut PgConnection, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM (
            (SELECT id, 0 AS rank, lease_expires_at AS since FROM chats
                WHERE lease_owner IS NOT NULL AND lease_expires_at <= now() ORDER BY lease_expires_at LIMIT $1)
            UNION ALL
            (SELECT id, 1, updated_at FROM chats WHERE status = 'pending' ORDER BY updated_at LIMIT $1)) due
        ORDER BY rank, since LIMIT $1"#,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Up to `limit` chats whose client has not returned in time, longest overdue first.
pub(crate) async fn overdue(conn: &mut PgConnection, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM chats WHERE status = 'requires_action' AND action_deadline <= now() ORDER BY action_deadline LIMIT $1",
        limit
    )
    .fetch_all(conn)
    .await
}

/// Subagent chats of these roots, newest first.
pub(crate) async fn children(conn: &mut PgConnection, roots: &[Uuid], user: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    select_chats!(
        "WHERE c.parent_chat_id = ANY($1) AND c.owner_id = $2 ORDER BY c.created_at DESC, c.id DESC",
        roots,
        user
    )
    .fetch_all(conn)
    .await
}

/// Chats by id, as far as this user may see them.
pub(crate) async fn by_ids(conn: &mut PgConnection, ids: &[Uuid], user: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    select_chats!("WHERE c.id = ANY($1) AND c.owner_id = $2", ids, user)
        .fetch_all(conn)
        .await
}

/// The versions of these chats.
pub(crate) async fn versions(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    let rows = sqlx::query!("SELECT id, version FROM chats WHERE id = ANY($1)", ids)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
}

/// What a page of the list is to show.
pub(crate) struct Page {
    pub(crate) user: Uuid,
    pub(crate) is_archived: bool,
    pub(crate) has_unread: Option<bool>,
    /// An `ILIKE` pattern; empty for all.
    pub(crate) title: String,
    /// An `ILIKE` pattern; empty for all.
    pub(crate) pull_request_title: String,
    /// An `ILIKE` pattern for the address of the remote repository or of the pull request; empty for all.
    pub(crate) repository: String,
    /// 0 for all.
    pub(crate) pull_request_number: i32,
    /// `draft`, `open`, `merged`, `closed`; none for all.
    pub(crate) pull_request_statuses: Vec<String>,
    /// Of the chat's own pull request or a descendant's; empty for all.
    pub(crate) diff_url: String,
    pub(crate) labels: serde_json::Value,
    pub(crate) after: Option<Uuid>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// Root chats: pinned first in their order, then by last activity. What is known of a chat's pull request is looked up chat by chat: no plan
/// can make a pass over everybody's of such a subquery, as it can of `EXISTS`.
pub(crate) async fn list(conn: &mut PgConnection, page: &Page) -> Result<Vec<Row>, sqlx::Error> {
    select_chats!(
        "WHERE c.owner_id = $1 AND c.parent_chat_id IS NULL AND c.is_archived = $2
            AND ($3::boolean IS NULL OR $3 = EXISTS (SELECT 1 FROM chat_messages m WHERE m.chat_id = c.id
                AND m.role = 'assistant' AND NOT m.is_deleted AND m.id > c.last_read_message_id))
            AND ($4 = '' OR c.title ILIKE $4)
            AND c.labels @> $5
            AND ($6::uuid IS NULL OR EXISTS (SELECT 1 FROM chats a WHERE a.id = $6 AND a.owner_id = $1
                AND (((c.pin_order = 0)::int, c.pin_order, -extract(epoch FROM c.updated_at))
                      > ((a.pin_order = 0)::int, a.pin_order, -extract(epoch FROM a.updated_at))
                  OR (c.pin_order = a.pin_order AND c.updated_at = a.updated_at AND c.id < a.id))))
            AND ($9 = '' AND $10 = '' AND $11::integer = 0 AND cardinality($12::text[]) = 0
                OR (SELECT ($9 = '' OR d.pull_request_title ILIKE $9)
                        AND ($10 = '' OR d.git_remote_origin ILIKE $10 OR d.url ILIKE $10)
                        AND ($11 = 0 OR d.pull_request_number = $11)
                        AND (cardinality($12) = 0
                            OR CASE WHEN d.pull_request_state = 'open' AND d.is_draft THEN 'draft' ELSE d.pull_request_state END = ANY($12))
                    FROM chat_diff_statuses d WHERE d.chat_id = c.id))
            AND ($13 = '' OR c.id IN (SELECT m.root_chat_id FROM chat_diff_statuses d JOIN chats m ON m.id = d.chat_id
                WHERE d.url <> '' AND lower(d.url) = lower($13)))
        ORDER BY (c.pin_order = 0)::int, c.pin_order, c.updated_at DESC, c.id DESC
        LIMIT $7 OFFSET $8",
        page.user,
        page.is_archived,
        page.has_unread,
        page.title,
        page.labels,
        page.after,
        page.limit,
        page.offset,
        page.pull_request_title,
        page.repository,
        page.pull_request_number,
        &page.pull_request_statuses[..],
        page.diff_url
    )
    .fetch_all(conn)
    .await
}

/// The latest unarchived chat of each of these workspaces.
pub(crate) async fn latest_by_workspace(
    conn: &mut PgConnection,
    workspaces: &[Uuid],
    user: Uuid,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (workspace_id) workspace_id AS "workspace_id!", id
        FROM chats
        WHERE workspace_id = ANY($1) AND owner_id = $2 AND NOT is_archived
        ORDER BY workspace_id, updated_at DESC"#,
        workspaces,
        user
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.id)).collect())
}

impl Row {
    /// What the state machine decides upon.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a row that breaks the machine's laws.
    pub(crate) fn state(&self) -> Result<State, Error> {
        let damaged = |problem: &dyn std::fmt::Display| Error::damaged("chats", problem);
        let kind: StatusKind = self.status.parse().map_err(|error| damaged(&error))?;
        let progress: Progress = self.progress.parse().map_err(|error| damaged(&error))?;
        let lease = || match (self.lease_owner, self.lease_expires_at) {
            (Some(owner), Some(expires_at)) => Ok(Lease {
                epoch: Epoch(self.epoch),
                owner: ReplicaId::new(owner),
                expires_at,
            }),
            _ => Err(damaged(&"a running chat without a lease")),
        };
        let status = match kind {
            StatusKind::Waiting => Status::Waiting,
            StatusKind::Pending => Status::Pending { progress },
            StatusKind::Running => Status::Running {
                lease: lease()?,
                progress,
            },
            StatusKind::Interrupting => Status::Interrupting {
                lease: lease()?,
                progress,
            },
            StatusKind::RequiresAction => Status::RequiresAction {
                deadline: self.action_deadline.unwrap_or(self.now),
            },
            StatusKind::Error => Status::Error,
        };
        let state = State {
            status,
            queued_count: u8::try_from(self.queued_count).map_err(|error| damaged(&error))?,
            is_archived: self.is_archived,
            lineage: match self.parent_chat_id {
                None => Lineage::Root,
                Some(_) => Lineage::Child {
                    is_parent_archived: self.is_parent_archived,
                },
            },
            epoch: Epoch(self.epoch),
            version: Version(self.version),
        };
        state.check().map_err(|error| damaged(&error))?;
        Ok(state)
    }

    /// What is asked before a tool runs; a text that nobody knows asks for everything.
    pub(crate) fn approval_mode(&self) -> ApprovalMode {
        self.approval_mode.parse().unwrap_or(ApprovalMode::Always)
    }

    /// Takes the next state over into the row's columns.
    pub(crate) fn set_state(&mut self, next: &State) {
        let lease = next.status.lease();
        next.status.kind().as_str().clone_into(&mut self.status);
        next.status.progress().as_str().clone_into(&mut self.progress);
        self.is_archived = next.is_archived;
        self.epoch = next.epoch.0;
        self.version = next.version.0;
        self.lease_owner = lease.map(|lease| lease.owner.uuid());
        self.lease_expires_at = lease.map(|lease| lease.expires_at);
        if lease.is_none() {
            self.lease_address = None;
        }
        self.action_deadline = match next.status {
            Status::RequiresAction { deadline } => Some(deadline),
            _ => None,
        };
        self.queued_count = i16::from(next.queued_count);
    }
}

/// Closes the gap that a chat at this place leaves among its owner's pinned chats.
pub(crate) async fn close_pin_gap(conn: &mut PgConnection, owner: Uuid, place: i32) -> Result<(), sqlx::Error> {
    if place == 0 {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE chats SET pin_order = pin_order - 1 WHERE owner_id = $1 AND pin_order > $2",
        owner,
        place
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes room at a place among the owner's pinned chats, and says how many there are.
pub(crate) async fn open_pin_gap(conn: &mut PgConnection, owner: Uuid, place: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chats SET pin_order = pin_order + 1 WHERE owner_id = $1 AND pin_order >= $2",
        owner,
        place
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Waits for whoever changes the owner's pins now, until the transaction ends. Taken before any chat's row, so that two who pin at once
/// cannot wait for each other.
pub(crate) async fn lock_pins(conn: &mut PgConnection, owner: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('pins:' || $1::text, 0))",
        owner.to_string()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many chats the owner has pinned.
pub(crate) async fn count_pinned(conn: &mut PgConnection, owner: Uuid) -> Result<i32, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*)::int AS "count!" FROM chats WHERE owner_id = $1 AND pin_order > 0"#,
        owner
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// The chat, locked until the transaction ends, unless somebody else holds it.
pub(crate) async fn lock_if_free(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    let locked = select_chats!("WHERE c.id = $1 FOR UPDATE OF c SKIP LOCKED", id)
        .fetch_optional(&mut *conn)
        .await?;
    settled(conn, locked).await
}
