//! What people have accepted of MCP servers, and what chats have found.

use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{McpToolPin, WorkspaceMcpApproval};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Mcp, not_found};
use crate::db::mcp::accepted::{self, Approval, Pin};
use crate::db::{chats, mcp, workspaces};
use crate::error::{Error, chat_not_found};
use crate::rpc::convert;
use crate::rpc::workspaces::not_found as workspace_not_found;

/// Definitions recorded of one server.
const MAX_PINS: i64 = 1_024;

/// Definitions in one request, and the bytes they take.
const MAX_PINS_AT_ONCE: usize = 128;
const MAX_PIN_BYTES: usize = 1024 * 1024;

/// Approvals of one workspace.
const MAX_APPROVALS: i64 = 64;

/// Tools one chat has found.
const MAX_FOUND: i64 = 64;

/// Length of a SHA-256.
const DIGEST_BYTES: usize = 32;

impl Mcp {
    pub(super) async fn pins(&self, server: &str) -> Result<Vec<McpToolPin>, Error> {
        let server = convert::id(server, "server_id")?;
        let pins = accepted::pins(&mut *self.pool.acquire().await?, server, MAX_PINS).await?;
        Ok(pins.into_iter().map(Pin::into_wire).collect())
    }

    /// Records definitions; those in `pins` replace others when somebody approves them.
    pub(super) async fn put_pins(
        &self,
        server: &str,
        pins: Vec<McpToolPin>,
        approver: Option<Uuid>,
    ) -> Result<Vec<McpToolPin>, Error> {
        let server = convert::id(server, "server_id")?;
        let bytes: usize = pins
            .iter()
            .map(|pin| pin.name.len() + pin.description.len() + pin.input_schema_json.len())
            .sum();
        let is_fine = |pin: &McpToolPin| {
            (1..=256).contains(&pin.name.len())
                && pin.digest.len() == DIGEST_BYTES
                && pin.description.len() <= 16 * 1024
                && pin.input_schema_json.len() <= 128 * 1024
        };
        if pins.len() > MAX_PINS_AT_ONCE || bytes > MAX_PIN_BYTES || !pins.iter().all(is_fine) {
            return Err(convert::one("pins", "must be at most 128 sound definitions"));
        }
        let mut tx = self.pool.begin().await?;
        mcp::find(&mut tx, server, true).await?.ok_or_else(not_found)?;
        let known = accepted::lock_and_count_pins(&mut tx, server).await?;
        if known + i64::try_from(pins.len()).unwrap_or(MAX_PINS) > MAX_PINS && approver.is_none() {
            let text = format!("The MCP server has shown more than {MAX_PINS} different tools.");
            return Err(Fault::wrong_state("TOO_MANY_MCP_TOOLS", text).into());
        }
        for pin in pins {
            let pin = Pin {
                name: pin.name,
                digest: pin.digest,
                description: pin.description,
                input_schema: pin.input_schema_json,
                approved_by: approver,
            };
            accepted::put_pin(&mut tx, server, &pin).await?;
        }
        let all = accepted::pins(&mut tx, server, MAX_PINS).await?;
        tx.commit().await?;
        Ok(all.into_iter().map(Pin::into_wire).collect())
    }

    pub(super) async fn approvals(&self, user: Uuid, workspace: &str) -> Result<Vec<WorkspaceMcpApproval>, Error> {
        let mut conn = self.pool.acquire().await?;
        let workspace = own_workspace(&mut conn, user, workspace).await?;
        let approvals = accepted::approvals(&mut conn, workspace, MAX_APPROVALS).await?;
        Ok(approvals.into_iter().map(Approval::into_wire).collect())
    }

    pub(super) async fn approve(
        &self,
        user: Uuid,
        workspace: &str,
        approval: WorkspaceMcpApproval,
    ) -> Result<(), Error> {
        check_digest(&approval.digest)?;
        if approval.name.len() > 256 || approval.shown.len() > 4_096 {
            return Err(convert::one("approval", "must be at most 4 KiB"));
        }
        let mut tx = self.pool.begin().await?;
        let workspace = own_workspace(&mut tx, user, workspace).await?;
        let approval = Approval {
            digest: approval.digest,
            name: approval.name,
            shown: approval.shown,
            created_at: OffsetDateTime::UNIX_EPOCH,
        };
        accepted::put_approval(&mut tx, workspace, user, &approval, MAX_APPROVALS).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn take_back(&self, user: Uuid, workspace: &str, digest: &[u8]) -> Result<(), Error> {
        check_digest(digest)?;
        let mut conn = self.pool.acquire().await?;
        let workspace = own_workspace(&mut conn, user, workspace).await?;
        Ok(accepted::delete_approval(&mut conn, workspace, digest).await?)
    }

    pub(super) async fn found(&self, user: Uuid, chat: &str) -> Result<Vec<String>, Error> {
        let chat = convert::id(chat, "chat_id")?;
        let mut conn = self.pool.acquire().await?;
        chats::find(&mut conn, chat, user).await?.ok_or_else(chat_not_found)?;
        Ok(accepted::found(&mut conn, chat, MAX_FOUND).await?)
    }

    pub(super) async fn put_found(&self, user: Uuid, chat: &str, names: Vec<String>) -> Result<(), Error> {
        let chat = convert::id(chat, "chat_id")?;
        let is_fine = |name: &String| (1..=64).contains(&name.len());
        let has_room = i64::try_from(names.len()).is_ok_and(|count| (1..=MAX_FOUND).contains(&count));
        if !has_room || !names.iter().all(is_fine) {
            return Err(convert::one("names", "must be 1 to 64 names of 1 to 64 bytes"));
        }
        let mut tx = self.pool.begin().await?;
        chats::find(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
        accepted::put_found(&mut tx, chat, &names, MAX_FOUND).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The workspace, if it is the user's.
async fn own_workspace(conn: &mut sqlx::PgConnection, user: Uuid, workspace: &str) -> Result<Uuid, Error> {
    let id = convert::id(workspace, "workspace_id")?;
    let found = workspaces::find(conn, id, Some(user)).await?;
    found.map(|row| row.id).ok_or_else(workspace_not_found)
}

fn check_digest(digest: &[u8]) -> Result<(), Error> {
    if digest.len() == DIGEST_BYTES {
        Ok(())
    } else {
        Err(convert::one("digest", "must have 32 bytes"))
    }
}
