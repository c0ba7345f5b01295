//! What describes a chat: title, labels, pin, archive, workspace, plan mode. All fields of one request, or none.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::approval::ApprovalMode;
use tandem_chat_core::chat::Command;
use tandem_chat_core::{label, title};
use tandem_proto::common::v1::{PlanMode, WatchKind};
use tandem_proto::storage::v1::{UpdateChatRequest, UpdateChatResponse};
use uuid::Uuid;

use super::{Asker, Chats};
use crate::change::{Open, Payload};
use crate::db::chats;
use crate::error::Error;
use crate::hints::Hint;
use crate::idempotency::Tx;
use crate::rpc::convert;

impl Chats {
    pub(super) async fn update_chat(
        &self,
        asker: &Asker,
        request: UpdateChatRequest,
    ) -> Result<UpdateChatResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut tx = asker.begin(&self.pool).await?;
        if request.pin_order.is_some() || request.archived.is_some() {
            // This also keeps a child from coming back to a parent that is on its way out.
            chats::lock_pins(&mut tx, asker.user).await?;
        }
        let mut open = Open::for_user(tx, chat, asker.user).await?;
        if let Some(archived) = request.archived
            && archived == open.row.is_archived
        {
            let rule = if archived {
                "is true already"
            } else {
                "is false already"
            };
            return Err(convert::one("archived", rule));
        }
        let mut commands = Vec::new();
        if describe(&mut open, asker, &request, self.minimum).await? {
            let is_pinning = request.pin_order.is_some_and(|place| place > 0);
            commands.push(Command::UpdateMetadata { is_pinning });
        }
        match request.archived {
            Some(true) => commands.push(Command::Archive),
            Some(false) => commands.push(Command::Unarchive),
            None => {}
        }
        open.apply(&commands, Payload::default()).await?;
        if let Some(archived) = request.archived {
            open.watch(if archived {
                WatchKind::Deleted
            } else {
                WatchKind::Created
            });
        }
        let is_root = open.row.parent_chat_id.is_none();
        let (mut tx, done) = open.leave_open().await?;
        let answer = UpdateChatResponse {
            chat: Some(convert::chat(&done.row)),
        };
        let mut changed = vec![done.row];
        if let Some(archived) = request.archived.filter(|_| is_root) {
            tx = archive_family(tx, asker, chat, archived, &mut changed).await?;
        }
        tx.answer(&answer).await?;
        for row in &changed {
            self.hints.send(Hint::of(row));
        }
        Ok(answer)
    }
}

/// The members follow their root in its transaction, each with a change of its own. They are locked after it, so that two commands on one
/// family wait for each other and never in a circle.
async fn archive_family(
    mut tx: Tx,
    asker: &Asker,
    root: Uuid,
    archived: bool,
    changed: &mut Vec<chats::Row>,
) -> Result<Tx, Error> {
    let family = chats::children(&mut tx, &[root], asker.user).await?;
    for member in family.iter().filter(|member| member.is_archived != archived) {
        let mut open = Open::for_user(tx, member.id, asker.user).await?;
        // It may have gone ahead by itself before it was locked.
        if open.row.is_archived != archived {
            let command = if archived { Command::Archive } else { Command::Unarchive };
            open.apply(&[command], Payload::default()).await?;
            open.watch(if archived {
                WatchKind::Deleted
            } else {
                WatchKind::Created
            });
        }
        let (next, done) = open.leave_open().await?;
        tx = next;
        changed.push(done.row);
    }
    Ok(tx)
}

/// Writes the given fields into the row; says whether one of them changes anything.
async fn describe(
    open: &mut Open,
    asker: &Asker,
    request: &UpdateChatRequest,
    minimum: ApprovalMode,
) -> Result<bool, Error> {
    let mut is_change = false;
    if let Some(text) = &request.title {
        let text = title::validate(text).map_err(|error| convert::one("title", &error.to_string()))?;
        if text != open.row.title {
            open.row.title = text;
            open.watch(WatchKind::TitleChange);
            is_change = true;
        }
    }
    if let Some(set) = &request.labels {
        let labels: BTreeMap<String, String> = set.labels.clone().into_iter().collect();
        label::validate(&labels).map_err(convert::many)?;
        open.row.labels = Json(labels);
        is_change = true;
    }
    if request.plan_mode.is_some() {
        open.row.plan_mode = (request.plan_mode() == PlanMode::Plan).then(|| "plan".to_owned());
        is_change = true;
    }
    if request.approval_mode.is_some() {
        let mode = super::approvals::mode(request.approval_mode(), minimum)?;
        mode.as_str().clone_into(&mut open.row.approval_mode);
        is_change = true;
    }
    if let Some(id) = &request.workspace_id {
        let workspace = convert::optional_id(id, "workspace_id")?.filter(|id| !id.is_nil());
        if let Some(workspace) = workspace {
            check_workspace(open.conn(), workspace, asker.user).await?;
        }
        open.row.workspace_id = workspace;
        open.touch();
        is_change = true;
    }
    if let Some(place) = request.pin_order {
        pin(open, place).await?;
        is_change = true;
    }
    Ok(is_change)
}

/// Moves the chat among its owner's pinned ones: 0 unpins, a first pin goes to the end, others to the place asked for.
async fn pin(open: &mut Open, wanted: i32) -> Result<(), Error> {
    if wanted < 0 {
        return Err(convert::one("pin_order", "must not be negative"));
    }
    let (owner, present) = (open.row.owner_id, open.row.pin_order);
    let pinned = chats::count_pinned(open.conn(), owner).await?;
    let place = match (wanted, present) {
        (0, _) => 0,
        (_, 0) => pinned + 1,
        (wanted, _) => wanted.min(pinned),
    };
    if place != present {
        chats::close_pin_gap(open.conn(), owner, present).await?;
        if place > 0 {
            chats::open_pin_gap(open.conn(), owner, place).await?;
        }
        open.row.pin_order = place;
    }
    Ok(())
}

/// A chat may only be bound to a workspace of its owner.
pub(super) async fn check_workspace(conn: &mut PgConnection, id: Uuid, user: Uuid) -> Result<(), Error> {
    let is_there = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM workspaces WHERE id = $1 AND owner_id = $2 AND status <> 'deleted') AS "is_there!""#,
        id,
        user
    )
    .fetch_one(conn)
    .await?;
    if is_there {
        Ok(())
    } else {
        Err(convert::one("workspace_id", "names no workspace of yours"))
    }
}
