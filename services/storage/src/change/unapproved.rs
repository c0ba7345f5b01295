//! Calls that end without a result because nobody has allowed them, or because they have not started since.

use std::collections::HashSet;

use sqlx::PgConnection;
use tandem_chat_core::approval::ApprovalMode;
use tandem_chat_core::id::ToolCallId;
use tandem_chat_core::part::ToolCallPart;

use crate::db::{approvals, chats, tool_calls};
use crate::error::Error;

/// Whether people are asked in this chat, or were when it began to wait.
fn is_asking(chat: &chats::Row) -> bool {
    let waits = chat.pending_tool_calls.iter().any(|call| call.approval.is_some());
    waits || chat.approval_mode() != ApprovalMode::Never
}

/// Those of the open calls that have certainly not run; none where nobody is asked.
pub(super) async fn among(
    tx: &mut PgConnection,
    chat: &chats::Row,
    open: &[ToolCallPart],
) -> Result<HashSet<ToolCallId>, Error> {
    if !is_asking(chat) {
        return Ok(HashSet::new());
    }
    // The client's own calls are never journalled.
    let tools = chat.dynamic_tools.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |call: &&ToolCallPart| !tools.iter().any(|tool| tool["name"] == call.tool_name.as_str());
    let ours: Vec<&ToolCallPart> = open.iter().filter(is_ours).collect();
    let ids: Vec<String> = ours.iter().map(|call| call.tool_call_id.as_str().to_owned()).collect();
    let started = tool_calls::started(tx, chat.id, &ids).await?;
    let is_started = |call: &ToolCallPart| started.iter().any(|id| id == call.tool_call_id.as_str());
    let unapproved = ours.into_iter().filter(|call| !is_started(call));
    Ok(unapproved.map(|call| call.tool_call_id.clone()).collect())
}

/// Forgets what was said of calls that are not going to start any more.
pub(super) async fn withdraw(tx: &mut PgConnection, chat: &chats::Row) -> Result<(), Error> {
    if is_asking(chat) {
        approvals::withdraw(tx, chat.id).await?;
    }
    Ok(())
}
