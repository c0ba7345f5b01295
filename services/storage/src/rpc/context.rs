//! `ChatContextService`: what chats were told of their workspaces.
//!
//! Context only grows: what counts is the newest message of each kind as a whole, so that what was said to the model stays to be seen.

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::chat::Command;
use tandem_chat_core::context as core;
use tandem_chat_core::context::{clean, skill};
use tandem_chat_core::message::{Role, Visibility};
use tandem_chat_core::part::{self, ContextFilePart, Part};
use tandem_chat_core::wire;
use tandem_proto::common::v1 as common;
use tandem_proto::storage::v1::chat_context_service_server::ChatContextService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::change::{Done, Open, Payload};
use crate::db::{Pool, chats, context, messages};
use crate::error::{Error, chat_not_found, stale_epoch};
use crate::hints::Hints;

/// Chats of one workspace that are looked at for the one that is meant.
const MAX_CANDIDATES: i64 = 64;

/// Parts of one request of a workspace, and of all that was added to a chat.
const MAX_ADDED: usize = 100;

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 4_096;

/// Serves [`ChatContextService`].
pub(crate) struct Contexts {
    pool: Pool,
    hints: Hints,
}

impl Contexts {
    pub(crate) fn new(pool: Pool, hints: Hints) -> Self {
        Self { pool, hints }
    }

    async fn store_found(&self, message: StoreFoundContextRequest) -> Result<Done, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let parts = wire::parts_from_wire(&message.parts)?;
        let is_bounded =
            parts.len() <= core::MAX_FILES + core::MAX_SKILLS + 1 && bytes(&parts) <= core::MAX_TOTAL_BYTES;
        if !core::is_found(&parts) || !is_bounded {
            return Err(convert::one("parts", "must be what an agent has found"));
        }
        let open = Open::for_worker(&self.pool, chat).await?;
        if open.row.epoch != message.epoch || open.row.lease_owner.is_none() {
            return Err(stale_epoch(message.epoch, open.row.epoch));
        }
        self.store(open, parts).await
    }

    /// Stores context as a message. One that says that there is none is not for people to see.
    async fn store(&self, mut open: Open, parts: Vec<Part>) -> Result<Done, Error> {
        open.apply(&[Command::UpdateMetadata { is_pinning: false }], Payload::default())
            .await?;
        let visibility = if core::is_empty(&parts) {
            Visibility::Model
        } else {
            Visibility::Both
        };
        open.insert_context(messages::New::plain(Role::User, visibility, parts))
            .await?;
        open.commit(&self.hints).await
    }

    async fn get(&self, message: GetChatContextRequest) -> Result<Vec<messages::Row>, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        Ok(context::newest(&mut *self.pool.acquire().await?, chat).await?)
    }

    async fn add(&self, message: AddWorkspaceContextRequest) -> Result<AddWorkspaceContextResponse, Error> {
        let new = proven(&message.parts)?;
        let mut open = self.open(&message.workspace_id, &message.chat_id).await?;
        let chat_id = open.row.id;
        let before = added(&context::newest(open.conn(), chat_id).await?);
        let count = new.len();
        let parts = merged(before.clone(), new);
        if parts.len() > MAX_ADDED || bytes(&parts) > core::MAX_TOTAL_BYTES {
            let text = format!("A chat takes {MAX_ADDED} files and skills of 2 MiB together. Clear its context first.");
            return Err(Fault::wrong_state("CONTEXT_FULL", text).into());
        }
        if parts != before {
            self.store(open, parts).await?;
        }
        Ok(AddWorkspaceContextResponse {
            chat_id: chat_id.to_string(),
            count: i32::try_from(count).unwrap_or(i32::MAX),
        })
    }

    async fn clear(&self, message: ClearWorkspaceContextRequest) -> Result<ClearWorkspaceContextResponse, Error> {
        let mut open = self.open(&message.workspace_id, &message.chat_id).await?;
        let chat_id = open.row.id;
        if !added(&context::newest(open.conn(), chat_id).await?).is_empty() {
            self.store(open, core::nothing_added()).await?;
        }
        Ok(ClearWorkspaceContextResponse {
            chat_id: chat_id.to_string(),
        })
    }

    async fn show(&self, message: ShowWorkspaceContextRequest) -> Result<ShowWorkspaceContextResponse, Error> {
        let mut conn = self.pool.acquire().await?;
        let chat = resolve(&mut conn, &message.workspace_id, &message.chat_id).await?;
        let newest = context::newest(&mut conn, chat).await?;
        Ok(ShowWorkspaceContextResponse {
            chat_id: chat.to_string(),
            parts: shown(&newest),
        })
    }

    /// The chat that a process in this workspace means, locked.
    async fn open(&self, workspace_id: &str, chat_id: &str) -> Result<Open, Error> {
        let workspace = convert::id(workspace_id, "workspace_id")?;
        let mut conn = self.pool.acquire().await?;
        let chat = resolve(&mut conn, workspace_id, chat_id).await?;
        drop(conn);
        let open = Open::for_worker(&self.pool, chat).await?;
        // It may have been bound to another one meanwhile.
        if open.row.workspace_id != Some(workspace) {
            return Err(chat_not_found());
        }
        Ok(open)
    }
}

/// What counts of these messages, as people may see it.
pub(crate) fn shown(newest: &[messages::Row]) -> Vec<common::Part> {
    let found = newest
        .iter()
        .map(messages::Row::parts)
        .find(|parts| core::is_found(parts));
    let mut parts: Vec<Part> = Vec::new();
    // An equal path or name is told once, as it was found.
    for part in found.into_iter().flatten().chain(added(newest)) {
        let is_header = matches!(&part, Part::ContextFile(file) if file.path.is_empty());
        if !is_header && !parts.iter().any(|known| is_same(known, &part)) {
            parts.push(part);
        }
    }
    part::strip_internal(&mut parts);
    wire::parts_to_wire(&parts)
}

/// The chat that is named, if it uses the workspace; else the only one that does, or the only root among them.
async fn resolve(conn: &mut sqlx::PgConnection, workspace_id: &str, chat_id: &str) -> Result<Uuid, Error> {
    let workspace = convert::id(workspace_id, "workspace_id")?;
    if !chat_id.is_empty() {
        let chat = convert::id(chat_id, "chat_id")?;
        let row = chats::find_for_worker(conn, chat).await?;
        let row = row
            .filter(|row| row.workspace_id == Some(workspace))
            .ok_or_else(chat_not_found)?;
        if row.is_archived || row.status == "error" {
            return Err(Fault::wrong_state("CHAT_INACTIVE", "The chat is archived, or its last turn failed.").into());
        }
        return Ok(chat);
    }
    let candidates = context::active(conn, workspace, MAX_CANDIDATES).await?;
    let mut roots = candidates.iter().filter(|chat| chat.is_root);
    match (candidates.as_slice(), roots.next(), roots.next()) {
        ([], ..) => Err(chat_not_found()),
        ([only], ..) => Ok(only.id),
        (_, Some(only), None) => Ok(only.id),
        _ => {
            let text = "Several chats use this workspace. Name the one that is meant.";
            Err(Fault::wrong_state("CHAT_AMBIGUOUS", text).into())
        }
    }
}

/// What was added by hand and still counts.
fn added(newest: &[messages::Row]) -> Vec<Part> {
    let parts = newest.iter().map(messages::Row::parts);
    let mut parts = parts.filter(|parts| core::is_context(parts) && !core::is_found(parts));
    parts
        .next_back()
        .filter(|parts| !core::is_empty(parts))
        .unwrap_or_default()
}

/// An equal path or name is replaced where it stands.
fn merged(mut parts: Vec<Part>, new: Vec<Part>) -> Vec<Part> {
    for part in new {
        match parts.iter_mut().find(|known| is_same(known, &part)) {
            Some(known) => *known = part,
            None => parts.push(part),
        }
    }
    parts
}

fn is_same(one: &Part, other: &Part) -> bool {
    match (one, other) {
        (Part::ContextFile(one), Part::ContextFile(other)) => one.path == other.path,
        (Part::Skill(one), Part::Skill(other)) => one.name == other.name,
        _ => false,
    }
}

/// What of a workspace's request is kept: files with something in them, cleaned and cut, and skills with proper names.
fn proven(parts: &[common::Part]) -> Result<Vec<Part>, Error> {
    if parts.is_empty() || parts.len() > MAX_ADDED {
        return Err(convert::one("parts", "must be 1 to 100 files and skills"));
    }
    let proven: Vec<Part> = wire::parts_from_wire(parts)?
        .into_iter()
        .filter_map(|part| match part {
            Part::ContextFile(file) => context_file(file).map(Part::ContextFile),
            Part::Skill(skill) if skill::is_name(&skill.name) => {
                let description = clean::line(&skill.description, skill::MAX_DESCRIPTION_BYTES);
                Some(Part::Skill(part::SkillPart { description, ..skill }))
            }
            _ => None,
        })
        .collect();
    match proven.is_empty() {
        true => Err(convert::one("parts", "must hold a file with content, or a skill")),
        false => Ok(proven),
    }
}

fn context_file(file: ContextFilePart) -> Option<ContextFilePart> {
    let path = clean::line(&file.path, MAX_PATH_BYTES);
    let text = clean::text(&file.content);
    let (content, is_cut) = clean::cut(&text, core::MAX_FILE_BYTES);
    (!path.is_empty() && !content.is_empty()).then(|| ContextFilePart {
        path,
        content: content.to_owned(),
        is_truncated: file.is_truncated || is_cut,
        // Only what an agent found bears one.
        agent_id: None,
        ..ContextFilePart::default()
    })
}

fn bytes(parts: &[Part]) -> usize {
    let bytes = parts.iter().map(|part| match part {
        Part::ContextFile(file) => file.path.len() + file.content.len(),
        Part::Skill(skill) => skill.name.len() + skill.description.len() + skill.directory.len(),
        _ => 0,
    });
    bytes.sum()
}

fn tool_runner<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?
        .require_service(&[ServiceName::ToolRunner])
        .map(|_| ())
}

#[tonic::async_trait]
impl ChatContextService for Contexts {
    async fn store_found_context(
        &self,
        request: Request<StoreFoundContextRequest>,
    ) -> Result<Response<StoreFoundContextResponse>, Status> {
        authz::orchestrator(&request)?;
        let done = self.store_found(request.into_inner()).await?;
        Ok(Response::new(StoreFoundContextResponse {
            version: done.row.version,
            change: convert::own_change(&done)?,
        }))
    }

    async fn get_chat_context(
        &self,
        request: Request<GetChatContextRequest>,
    ) -> Result<Response<GetChatContextResponse>, Status> {
        authz::orchestrator(&request)?;
        let rows = self.get(request.into_inner()).await?;
        let messages = convert::messages(&rows)?;
        Ok(Response::new(GetChatContextResponse { messages }))
    }

    async fn add_workspace_context(
        &self,
        request: Request<AddWorkspaceContextRequest>,
    ) -> Result<Response<AddWorkspaceContextResponse>, Status> {
        tool_runner(&request)?;
        Ok(Response::new(self.add(request.into_inner()).await?))
    }

    async fn clear_workspace_context(
        &self,
        request: Request<ClearWorkspaceContextRequest>,
    ) -> Result<Response<ClearWorkspaceContextResponse>, Status> {
        tool_runner(&request)?;
        Ok(Response::new(self.clear(request.into_inner()).await?))
    }

    async fn show_workspace_context(
        &self,
        request: Request<ShowWorkspaceContextRequest>,
    ) -> Result<Response<ShowWorkspaceContextResponse>, Status> {
        tool_runner(&request)?;
        Ok(Response::new(self.show(request.into_inner()).await?))
    }
}
