//! Storing a chat together with the record of what changed: one statement, so that no change goes unrecorded.

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::error::ChatError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::chats;
use crate::error::Error;
use crate::turn_facts::{PendingCall, Sealed};

/// What one transaction does to a chat, beyond the row itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) first_message_id: Option<i64>,
    pub(crate) last_message_id: Option<i64>,
    pub(crate) sealed: Option<Sealed>,
    pub(crate) is_queue_changed: bool,
    pub(crate) error: Option<ChatError>,
    pub(crate) history_reset_from_id: Option<i64>,
    pub(crate) is_preview_reset: bool,
    pub(crate) action_required: Option<Vec<PendingCall>>,
    /// Numbers of `WatchKind`.
    pub(crate) watch_kinds: Vec<i32>,
}

/// A change as it was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) version: i64,
    pub(crate) status: String,
    pub(crate) previous_status: String,
    pub(crate) epoch: i64,
    pub(crate) first_message_id: Option<i64>,
    pub(crate) last_message_id: Option<i64>,
    pub(crate) sealed: Option<Json<Sealed>>,
    pub(crate) is_queue_changed: bool,
    pub(crate) error: Option<Json<ChatError>>,
    pub(crate) history_reset_from_id: Option<i64>,
    pub(crate) is_preview_reset: bool,
    pub(crate) action_required: Option<Json<Vec<PendingCall>>>,
    pub(crate) watch_kinds: Vec<i32>,
    pub(crate) created_at: OffsetDateTime,
}

impl Change {
    /// As [`save`] records it.
    pub(crate) fn recorded(self, from: &chats::Row, to: &chats::Row) -> Row {
        Row {
            version: to.version,
            status: to.status.clone(),
            previous_status: from.status.clone(),
            epoch: to.epoch,
            first_message_id: self.first_message_id,
            last_message_id: self.last_message_id,
            sealed: self.sealed.map(Json),
            is_queue_changed: self.is_queue_changed,
            error: self.error.map(Json),
            history_reset_from_id: self.history_reset_from_id,
            is_preview_reset: self.is_preview_reset,
            action_required: self.action_required.map(Json),
            watch_kinds: self.watch_kinds,
            created_at: to.now,
        }
    }
}

/// A new chat with its first change.
pub(crate) async fn create(conn: &mut PgConnection, row: &chats::Row, change: &Change) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO chats (id, organization_id, owner_id, parent_chat_id, root_chat_id, workspace_id, last_model_config_id,
            title, client_type, plan_mode, labels, mcp_server_ids, dynamic_tools, status, progress, epoch, version,
            approval_mode)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        row.id,
        row.organization_id,
        row.owner_id,
        row.parent_chat_id,
        row.root_chat_id,
        row.workspace_id,
        row.last_model_config_id,
        row.title,
        row.client_type,
        row.plan_mode,
        serde_json::json!(row.labels.0),
        &row.mcp_server_ids,
        row.dynamic_tools,
        row.status,
        row.progress,
        row.epoch,
        row.version,
        row.approval_mode
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO chat_changes (chat_id, version, owner_id, status, previous_status, epoch, watch_kinds)
        VALUES ($1, $2, $3, $4, $4, $5, $6)",
        row.id,
        row.version,
        row.owner_id,
        row.status,
        row.epoch,
        &change.watch_kinds
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the row and records the change. `from` is the row as it was locked; its version fences the write.
pub(crate) async fn save(
    conn: &mut PgConnection,
    from: &chats::Row,
    to: &chats::Row,
    change: &Change,
    is_activity: bool,
) -> Result<(), Error> {
    let stored = sqlx::query!(
        "WITH saved AS (
            UPDATE chats SET
                workspace_id = $3, last_model_config_id = $4, title = $5, plan_mode = $6, labels = $7, mcp_server_ids = $8,
                pin_order = $9, status = $10, progress = $11, is_archived = $12, epoch = $13, version = $14,
                lease_owner = $15, lease_expires_at = $16, lease_address = $17, action_deadline = $18, last_error = $19,
                pending_tool_calls = $20, intent = $21, turn_step = $22, sealed = $23,
                is_compaction_requested = $35, crash_count = $36, takeover_count = $37,
                queued_count = $38, last_turn_summary = $39, approval_mode = $40,
                updated_at = CASE WHEN $24 THEN now() ELSE updated_at END
            WHERE id = $1 AND version = $2
            RETURNING id, owner_id)
        INSERT INTO chat_changes (chat_id, version, owner_id, status, previous_status, epoch, first_message_id,
            last_message_id, sealed, is_queue_changed, error, history_reset_from_id, is_preview_reset, action_required,
            watch_kinds)
        SELECT id, $14, owner_id, $10, $25, $13, $26, $27, $28, $29, $30, $31, $32, $33, $34 FROM saved",
        from.id,
        from.version,
        to.workspace_id,
        to.last_model_config_id,
        to.title,
        to.plan_mode,
        serde_json::json!(to.labels.0),
        &to.mcp_server_ids,
        to.pin_order,
        to.status,
        to.progress,
        to.is_archived,
        to.epoch,
        to.version,
        to.lease_owner,
        to.lease_expires_at,
        to.lease_address,
        to.action_deadline,
        to.last_error.as_ref().map(|error| serde_json::json!(error.0)),
        serde_json::json!(to.pending_tool_calls.0),
        to.intent.as_ref().map(|intent| serde_json::json!(intent.0)),
        to.turn_step,
        to.sealed.as_ref().map(|sealed| serde_json::json!(sealed.0)),
        is_activity,
        from.status,
        change.first_message_id,
        change.last_message_id,
        change.sealed.map(|sealed| serde_json::json!(sealed)),
        change.is_queue_changed,
        change.error.as_ref().map(|error| serde_json::json!(error)),
        change.history_reset_from_id,
        change.is_preview_reset,
        change.action_required.as_ref().map(|calls| serde_json::json!(calls)),
        &change.watch_kinds,
        to.is_compaction_requested,
        to.crash_count,
        to.takeover_count,
        to.queued_count,
        to.last_turn_summary,
        to.approval_mode
    )
    .execute(conn)
    .await?;
    if stored.rows_affected() != 1 {
        return Err(Error::damaged("chats", "the locked row changed under the lock"));
    }
    Ok(())
}

/// Changes behind a version, in order.
pub(crate) async fn list(conn: &mut PgConnection, chat: Uuid, after: i64, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT version, status, previous_status, epoch, first_message_id, last_message_id,
            sealed AS "sealed: Json<Sealed>", is_queue_changed, error AS "error: Json<ChatError>", history_reset_from_id,
            is_preview_reset, action_required AS "action_required: Json<Vec<PendingCall>>", watch_kinds, created_at
        FROM chat_changes WHERE chat_id = $1 AND version > $2 ORDER BY version LIMIT $3"#,
        chat,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// A place in a user's feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedPosition {
    pub(crate) xid: i64,
    pub(crate) seq: i64,
}

/// One line of a user's feed.
pub(crate) struct FeedRow {
    pub(crate) chat_id: Uuid,
    pub(crate) position: FeedPosition,
    pub(crate) watch_kinds: Vec<i32>,
}

/// The feed as of now.
pub(crate) struct FeedEnd {
    /// Nothing behind it has been committed that could be read before it.
    pub(crate) position: FeedPosition,
    /// No transaction from here on has ended, so no reader has heard of one.
    pub(crate) first_unheard: i64,
    /// The database's clock.
    pub(crate) now: OffsetDateTime,
}

/// Where the feed ends.
pub(crate) async fn feed_end(conn: &mut PgConnection) -> Result<FeedEnd, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "oldest_running!",
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "first_unheard!", now() AS "now!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(FeedEnd {
        position: FeedPosition {
            xid: row.oldest_running - 1,
            seq: i64::MAX,
        },
        first_unheard: row.first_unheard,
        now: row.now,
    })
}

/// A user's changes behind a place, none of which an older transaction can still precede.
pub(crate) async fn feed(
    conn: &mut PgConnection,
    user: Uuid,
    after: FeedPosition,
    limit: i64,
) -> Result<Vec<FeedRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT chat_id, xid::text::bigint AS "xid!", seq, watch_kinds
        FROM chat_changes
        WHERE owner_id = $1 AND watch_kinds <> '{}'
            AND (xid, seq) > ($2::text::xid8, $3)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, seq
        LIMIT $4"#,
        user,
        after.xid.to_string(),
        after.seq,
        limit
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| FeedRow {
        chat_id: row.chat_id,
        position: FeedPosition {
            xid: row.xid,
            seq: row.seq,
        },
        watch_kinds: row.watch_kinds,
    });
    Ok(rows.collect())
}

/// Drops records older than `days`, at most `limit` at once; says how many.
pub(crate) async fn prune(conn: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM chat_changes WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM chat_changes WHERE created_at < now() - make_interval(days => $1) LIMIT $2))",
        days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
