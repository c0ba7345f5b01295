//! A user's message, from the request to parts that may be stored: rules proven, files looked up and allowed; and what else requests name.

use sqlx::PgConnection;
use tandem_chat_core::id::ToolCallId;
use tandem_chat_core::input::{self, InputPart, RawInputPart};
use tandem_chat_core::part::{FilePart, Part};
use tandem_proto::common::v1::input_part::Kind;
use tandem_proto::storage::v1::MessageInput;
use uuid::Uuid;

use crate::db::{files, mcp, model_choice};
use crate::error::Error;
use crate::rpc::convert;
use crate::spend;

/// MCP servers a chat can name.
const MAX_MCP_SERVERS: usize = 32;

/// A message that may be stored.
pub(super) struct Input {
    pub(super) parts: Vec<Part>,
    pub(super) files: Vec<Uuid>,
    /// The model asked for.
    pub(super) model: Option<Uuid>,
}

/// Proves a message. Files must be readable by `user`.
pub(super) async fn read(conn: &mut PgConnection, input: Option<MessageInput>, user: Uuid) -> Result<Input, Error> {
    let input = input.unwrap_or_default();
    let raw: Vec<RawInputPart> = input.parts.into_iter().map(|part| raw(part.kind)).collect();
    let proven = input::validate(&raw).map_err(convert::many)?;
    let model = convert::optional_id(&input.model_config_id, "model_config_id")?;
    let mut parts = Vec::with_capacity(proven.len());
    let mut files = Vec::new();
    for (index, part) in proven.into_iter().enumerate() {
        parts.push(match part {
            InputPart::Text(text) => Part::text(text),
            InputPart::FileReference(reference) => Part::FileReference(reference),
            InputPart::File(id) => {
                files.push(id.uuid());
                Part::File(file(conn, id.uuid(), user, index).await?)
            }
        });
    }
    Ok(Input { parts, files, model })
}

/// The model a message is for, see [`model_choice::resolve`]; refused when `user` may not spend more in that organisation.
pub(super) async fn model(
    conn: &mut PgConnection,
    wanted: Option<Uuid>,
    last: Option<Uuid>,
    user: Uuid,
    organization: Uuid,
) -> Result<Uuid, Error> {
    let choice = model_choice::resolve(conn, wanted, last).await?;
    if choice.is_spend_limited {
        spend::check(conn, user, organization).await?;
    }
    Ok(choice.model)
}

/// The MCP servers a chat is to use: at most [`MAX_MCP_SERVERS`], each of them enabled or among those it uses already.
pub(super) async fn mcp_servers(conn: &mut PgConnection, ids: &[String], present: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    const FIELD: &str = "mcp_server_ids";
    let mut wanted: Vec<Uuid> = Vec::with_capacity(ids.len().min(MAX_MCP_SERVERS));
    for id in ids {
        let id = convert::id(id, FIELD)?;
        if !wanted.contains(&id) {
            wanted.push(id);
        }
        if wanted.len() > MAX_MCP_SERVERS {
            return Err(convert::one(FIELD, "must have at most 32 servers"));
        }
    }
    let new: Vec<Uuid> = wanted.iter().copied().filter(|id| !present.contains(id)).collect();
    let found = match new.is_empty() {
        true => 0,
        false => mcp::count_enabled(conn, &new).await?,
    };
    if usize::try_from(found) != Ok(new.len()) {
        return Err(convert::one(FIELD, "names servers that do not exist"));
    }
    Ok(wanted)
}

async fn file(conn: &mut PgConnection, id: Uuid, user: Uuid, index: usize) -> Result<FilePart, Error> {
    let row = sqlx::query!(
        "SELECT name, media_type FROM files f WHERE id = $1 AND (owner_id = $2 OR EXISTS (
            SELECT 1 FROM chat_file_links l JOIN chats c ON c.id = l.chat_id WHERE l.file_id = f.id AND c.owner_id = $2))",
        id,
        user
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or_else(|| convert::one(&format!("content[{index}].file_id"), "names no file you may read"))?;
    Ok(FilePart {
        media_type: row.media_type,
        name: row.name,
        file_id: Some(id.into()),
        data: Vec::new(),
    })
}

/// Lists files with the chat; says what could not be listed.
pub(super) async fn link(conn: &mut PgConnection, chat: Uuid, files: &[Uuid]) -> Result<Vec<String>, Error> {
    if files::link(conn, chat, files).await? {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "The chat lists {} files already; the new ones are not listed.",
        files::MAX_LINKED
    )])
}

fn raw(kind: Option<Kind>) -> RawInputPart {
    match kind {
        Some(Kind::Text(text)) => RawInputPart {
            kind: "text".to_owned(),
            text,
            ..RawInputPart::default()
        },
        Some(Kind::FileId(id)) => RawInputPart {
            kind: "file".to_owned(),
            file_id: Some(id),
            ..RawInputPart::default()
        },
        Some(Kind::FileReference(reference)) => RawInputPart {
            kind: "file-reference".to_owned(),
            file_name: reference.file_name,
            start_line: reference.start_line,
            end_line: reference.end_line,
            content: reference.content,
            ..RawInputPart::default()
        },
        None => RawInputPart::default(),
    }
}

/// The ids of calls in a request's list.
pub(super) fn call_ids<'a>(list: &str, ids: impl Iterator<Item = &'a String>) -> Result<Vec<ToolCallId>, Error> {
    let field = format!("{list}.tool_call_id");
    let id = |id: &String| ToolCallId::new(id.as_str()).map_err(|_| convert::one(&field, "must have 1 to 256 bytes"));
    ids.map(id).collect()
}
