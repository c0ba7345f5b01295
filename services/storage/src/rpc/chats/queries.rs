//! Questions about chats. Each reads one snapshot of the database.

use prost::Message as _;
use sqlx::PgConnection;
use tandem_chat_core::{part, wire as core};
use tandem_proto::common::v1::{Chat, FileMetadata};
use tandem_proto::storage::v1::{
    GetChatRequest, GetChatResponse, GetChatSnapshotRequest, GetChatSnapshotResponse, ListChatChangesRequest,
    ListChatChangesResponse, ListChatsByWorkspaceRequest, ListChatsByWorkspaceResponse, ListChatsRequest,
    ListChatsResponse, ListMessagesRequest, ListMessagesResponse, ListPromptsRequest, ListPromptsResponse, LiveTurn,
    MarkChatReadRequest, MarkChatReadResponse, Prompt, StepPosition,
};
use uuid::Uuid;

use super::{Asker, Chats};
use crate::db::{changes, chats, context, messages, queue};
use crate::error::{Error, chat_not_found};
use crate::rpc::convert;

const DEFAULT_CHATS: i32 = 50;
const MAX_CHATS: i32 = 1_000;
const DEFAULT_MESSAGES: i32 = 50;
const MAX_MESSAGES: i32 = 200;
const DEFAULT_PROMPTS: i32 = 500;
const MAX_PROMPTS: i32 = 2_000;
const MAX_CHANGES: i32 = 256;
const MAX_WORKSPACES: usize = 25;
/// Messages in one snapshot; longer histories are paged by the caller.
const MAX_SNAPSHOT: i64 = 20_000;

impl Chats {
    pub(super) async fn get_chat(&self, asker: &Asker, request: GetChatRequest) -> Result<GetChatResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let mut tx = self.pool.begin().await?;
        let row = chats::find(&mut tx, id, asker.user).await?.ok_or_else(chat_not_found)?;
        let mut chat = convert::chat(&row);
        chat.files = files(&mut tx, id).await?;
        chat.last_injected_context = crate::rpc::context::shown(&context::newest(&mut tx, id).await?);
        if row.parent_chat_id.is_none() {
            let children = chats::children(&mut tx, &[id], asker.user).await?;
            chat.children = children
                .iter()
                .filter(|child| child.is_archived == row.is_archived)
                .map(convert::chat)
                .collect();
        }
        tx.commit().await?;
        Ok(GetChatResponse {
            chat: Some(chat),
            live_turn: live_turn(asker, &row),
        })
    }

    pub(super) async fn list_chats(
        &self,
        asker: &Asker,
        request: ListChatsRequest,
    ) -> Result<ListChatsResponse, Error> {
        let filter = request.filter.unwrap_or_default();
        let is_archived = filter.archived.unwrap_or(false);
        let page = chats::Page {
            user: asker.user,
            is_archived,
            has_unread: filter.has_unread,
            title: substring(&filter.title),
            pull_request_title: substring(&filter.pull_request_title),
            repository: substring(&filter.repository),
            pull_request_number: filter.pull_request_number,
            pull_request_statuses: filter.pull_request_statuses,
            diff_url: filter.diff_url,
            labels: serde_json::json!(filter.labels),
            after: convert::optional_id(&request.after_id, "after_id")?,
            limit: i64::from(convert::limit(request.limit, DEFAULT_CHATS, MAX_CHATS)?),
            offset: convert::offset(request.offset)?,
        };
        let mut tx = self.pool.begin().await?;
        let rows = chats::list(&mut tx, &page).await?;
        let roots: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let children = chats::children(&mut tx, &roots, asker.user).await?;
        tx.commit().await?;
        let with_children = |row: &chats::Row| {
            let mut chat = convert::chat(row);
            let own = children
                .iter()
                .filter(|child| child.parent_chat_id == Some(row.id) && child.is_archived == is_archived);
            chat.children = own.map(convert::chat).collect();
            chat
        };
        Ok(ListChatsResponse {
            chats: rows.iter().map(with_children).collect::<Vec<Chat>>(),
        })
    }

    pub(super) async fn list_chats_by_workspace(
        &self,
        asker: &Asker,
        request: ListChatsByWorkspaceRequest,
    ) -> Result<ListChatsByWorkspaceResponse, Error> {
        if request.workspace_ids.len() > MAX_WORKSPACES {
            return Err(convert::one("workspace_ids", "must not hold more than 25"));
        }
        let ids = request.workspace_ids.iter().map(|id| convert::id(id, "workspace_ids"));
        let ids: Vec<Uuid> = ids.collect::<Result<_, _>>()?;
        let mut conn = self.pool.acquire().await?;
        let pairs = chats::latest_by_workspace(&mut conn, &ids, asker.user).await?;
        let chat_ids = pairs
            .into_iter()
            .map(|(workspace, chat)| (workspace.to_string(), chat.to_string()))
            .collect();
        Ok(ListChatsByWorkspaceResponse { chat_ids })
    }

    pub(super) async fn mark_chat_read(
        &self,
        asker: &Asker,
        request: MarkChatReadRequest,
    ) -> Result<MarkChatReadResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let mut conn = self.pool.acquire().await?;
        // Reading is nobody else's news: no version, no event.
        if messages::mark_read(&mut conn, id, asker.user).await? {
            Ok(MarkChatReadResponse {})
        } else {
            Err(chat_not_found())
        }
    }

    pub(super) async fn list_messages(
        &self,
        asker: &Asker,
        request: ListMessagesRequest,
    ) -> Result<ListMessagesResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let (before, after) = (request.before_id, request.after_id);
        if before < 0 || after < 0 {
            return Err(convert::one(
                if before < 0 { "before_id" } else { "after_id" },
                "must not be negative",
            ));
        }
        if before > 0 && after > 0 && after >= before {
            return Err(convert::one("after_id", "must be below before_id"));
        }
        let limit = convert::limit(request.limit, DEFAULT_MESSAGES, MAX_MESSAGES)?;
        let is_ascending = after > 0 && before == 0;
        let end = if before > 0 { before } else { i64::MAX };
        let mut tx = self.pool.begin().await?;
        chats::find(&mut tx, id, asker.user).await?.ok_or_else(chat_not_found)?;
        let mut rows = messages::page(&mut tx, id, after, end, i64::from(limit) + 1, is_ascending).await?;
        let queue = if before == 0 && after == 0 {
            queue::list(&mut tx, id).await?
        } else {
            Vec::new()
        };
        tx.commit().await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let (messages, is_whole) = convert::page_that_fits(&rows)?;
        Ok(ListMessagesResponse {
            messages,
            queued_messages: convert::queue(&queue)?,
            has_more: has_more || !is_whole,
        })
    }

    pub(super) async fn list_prompts(
        &self,
        asker: &Asker,
        request: ListPromptsRequest,
    ) -> Result<ListPromptsResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let limit = convert::limit(request.limit, DEFAULT_PROMPTS, MAX_PROMPTS)?;
        let mut tx = self.pool.begin().await?;
        chats::find(&mut tx, id, asker.user).await?.ok_or_else(chat_not_found)?;
        let rows = messages::prompts(&mut tx, id, i64::from(limit)).await?;
        tx.commit().await?;
        let mut prompts = Vec::with_capacity(rows.len());
        for row in rows {
            let text: String = row.parts().iter().filter_map(text).collect();
            if !text.trim().is_empty() {
                prompts.push(Prompt {
                    message_id: row.id,
                    text,
                });
            }
        }
        Ok(ListPromptsResponse { prompts })
    }

    pub(super) async fn get_chat_snapshot(
        &self,
        asker: &Asker,
        request: GetChatSnapshotRequest,
    ) -> Result<GetChatSnapshotResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let mut tx = self.pool.begin().await?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *tx)
            .await?;
        let row = chats::find(&mut tx, id, asker.user).await?.ok_or_else(chat_not_found)?;
        let after = request.after_message_id.max(0);
        let messages = messages::page(&mut tx, id, after, i64::MAX, MAX_SNAPSHOT, true).await?;
        let queue = queue::list(&mut tx, id).await?;
        tx.commit().await?;
        Ok(GetChatSnapshotResponse {
            chat: Some(convert::chat(&row)),
            messages: convert::messages_that_fit(&messages)?,
            queue: convert::queue(&queue)?,
            sealed: row.sealed.as_ref().map(|sealed| StepPosition::from(&sealed.0)),
            live_turn: live_turn(asker, &row),
        })
    }

    pub(super) async fn list_chat_changes(
        &self,
        asker: &Asker,
        request: ListChatChangesRequest,
    ) -> Result<ListChatChangesResponse, Error> {
        let id = convert::id(&request.chat_id, "chat_id")?;
        let limit = convert::limit(request.limit, MAX_CHANGES, MAX_CHANGES)?;
        let mut tx = self.pool.begin().await?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *tx)
            .await?;
        let chat = chats::find(&mut tx, id, asker.user).await?.ok_or_else(chat_not_found)?;
        let mut rows = changes::list(&mut tx, id, request.after_version, i64::from(limit) + 1).await?;
        let expected = request.after_version.saturating_add(1);
        let is_ahead = request.after_version > chat.version;
        let is_pruned = request.after_version < chat.version && rows.first().is_none_or(|row| row.version != expected);
        if is_ahead || is_pruned {
            return Ok(ListChatChangesResponse {
                is_expired: true,
                ..ListChatChangesResponse::default()
            });
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut has_more = rows.len() > limit;
        rows.truncate(limit);

        let first = rows.iter().filter_map(|row| row.first_message_id).min();
        let last = rows.iter().filter_map(|row| row.last_message_id).max();
        let messages = match (first, last) {
            (Some(first), Some(last)) => messages::page(&mut tx, id, first - 1, last + 1, MAX_SNAPSHOT, true).await?,
            _ => Vec::new(),
        };
        let queue_version = rows
            .iter()
            .rev()
            .find(|row| row.is_queue_changed)
            .map(|row| row.version);
        let queue = if queue_version.is_some() {
            queue::list(&mut tx, id).await?
        } else {
            Vec::new()
        };
        tx.commit().await?;

        let mut answers = Vec::with_capacity(rows.len());
        let mut left = convert::MAX_ANSWER_BYTES;
        for row in &rows {
            let mut change = convert::change(id, row);
            if let (Some(first), Some(last)) = (row.first_message_id, row.last_message_id) {
                let own = messages.iter().filter(|message| (first..=last).contains(&message.id));
                change.messages = own.map(convert::message).collect::<Result<_, _>>()?;
            }
            if queue_version == Some(row.version) {
                change.queue = convert::queue(&queue)?;
            }
            let bytes = change.encoded_len();
            if bytes > left && !answers.is_empty() {
                has_more = true;
                break;
            }
            left = left.saturating_sub(bytes);
            answers.push(change);
        }
        Ok(ListChatChangesResponse {
            changes: answers,
            has_more,
            is_expired: false,
            live_turn: live_turn(asker, &chat),
        })
    }
}

/// An `ILIKE` pattern for what contains this text; empty for all.
fn substring(text: &str) -> String {
    match text {
        "" => String::new(),
        // A backslash is a letter like any other; `%` and `_` are wildcards.
        text => format!("%{}%", text.replace('\\', "\\\\")),
    }
}

/// Files listed with a chat, oldest first.
pub(super) async fn files(conn: &mut PgConnection, chat: Uuid) -> Result<Vec<FileMetadata>, Error> {
    let rows = sqlx::query!(
        "SELECT f.id, f.owner_id, f.organization_id, f.name, f.media_type, f.created_at, f.size_bytes
        FROM chat_file_links l JOIN files f ON f.id = l.file_id
        WHERE l.chat_id = $1 ORDER BY f.created_at, f.id",
        chat
    )
    .fetch_all(conn)
    .await?;
    let files = rows.into_iter().map(|row| FileMetadata {
        id: row.id.to_string(),
        owner_id: row.owner_id.to_string(),
        organization_id: row.organization_id.to_string(),
        name: row.name,
        media_type: row.media_type,
        created_at: Some(core::time_to_wire(row.created_at)),
        size_bytes: row.size_bytes,
    });
    Ok(files.collect())
}

/// Where the chat's turn runs, for the service that reads its live parts there.
fn live_turn(asker: &Asker, row: &chats::Row) -> Option<LiveTurn> {
    let is_running = asker.is_orchestrator && row.lease_owner.is_some();
    is_running.then(|| LiveTurn {
        epoch: row.epoch,
        replica_address: row.lease_address.clone().unwrap_or_default(),
    })
}

fn text(part: &part::Part) -> Option<&str> {
    match part {
        part::Part::Text(text) => Some(&text.text),
        _ => None,
    }
}
