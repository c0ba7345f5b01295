//! Rows into messages of the contract, and requests into proven values with the field's path in the error.

use prost::Message as _;
use tandem_chassis::status::Violation;
use tandem_chat_core::chat::StatusKind;
use tandem_chat_core::part::Part;
use tandem_chat_core::wire as core;
use tandem_proto::common::v1 as wire;
use tandem_proto::storage::v1::{ChatChange, NewMessage, StepPosition};
use uuid::Uuid;

use crate::change::Done;
use crate::db::{changes, chats, messages, queue};
use crate::error::{Error, violations};
use crate::turn_facts::Sealed;

/// Bytes of messages in one answer: what a connection carries, less room for what goes with them.
pub(super) const MAX_ANSWER_BYTES: usize = tandem_chassis::MAX_MESSAGE_BYTES - 4 * 1024 * 1024;

/// A uuid in a request.
pub(super) fn id(text: &str, field: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| one(field, "must be a uuid"))
}

/// A uuid that may be left out.
pub(super) fn optional_id(text: &str, field: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        id(text, field).map(Some)
    }
}

/// A page size: 0 means the default, more than the most is refused.
pub(super) fn limit(asked: i32, default: i32, most: i32) -> Result<i32, Error> {
    match asked {
        0 => Ok(default),
        asked if (1..=most).contains(&asked) => Ok(asked),
        _ => Err(one("limit", &format!("must be 1 to {most}"))),
    }
}

/// How many rows a page leaves out.
pub(super) fn offset(asked: i32) -> Result<i64, Error> {
    match asked {
        0.. => Ok(asked.into()),
        _ => Err(one("offset", "must not be negative")),
    }
}

/// As many as fit in one answer, from the first on and at least that one.
pub(super) fn that_fit<T: prost::Message>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut left = MAX_ANSWER_BYTES;
    let mut page = Vec::new();
    for message in all {
        match left.checked_sub(message.encoded_len()) {
            Some(rest) => left = rest,
            None if page.is_empty() => left = 0,
            None => break,
        }
        page.push(message);
    }
    page
}

/// Refuses a text that is too long, or that the database cannot store.
pub(super) fn bounded(field: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        return Err(one(field, &format!("must have at most {max} bytes")));
    }
    if text.contains('\0') {
        return Err(one(field, "must not contain NUL characters"));
    }
    Ok(())
}

/// A request that breaks one rule.
pub(super) fn one(field: &str, rule: &str) -> Error {
    let violation = Violation {
        field: field.to_owned(),
        description: rule.to_owned(),
    };
    violations(&format!("{field} {rule}"), vec![violation])
}

/// A request that breaks the domain's rules.
pub(super) fn many(broken: Vec<tandem_chat_core::violation::Violation>) -> Error {
    let text = broken.first().map(ToString::to_string).unwrap_or_default();
    let broken = broken.into_iter().map(|broken| Violation {
        field: broken.field,
        description: broken.rule,
    });
    violations(&text, broken.collect())
}

pub(super) fn chat(row: &chats::Row) -> wire::Chat {
    let status: StatusKind = row.status.parse().unwrap_or(StatusKind::Error);
    wire::Chat {
        id: row.id.to_string(),
        organization_id: row.organization_id.to_string(),
        owner_id: row.owner_id.to_string(),
        owner_username: row.owner_username.clone(),
        owner_name: row.owner_name.clone(),
        workspace_id: row.workspace_id.map(|id| id.to_string()).unwrap_or_default(),
        parent_chat_id: row.parent_chat_id.map(|id| id.to_string()).unwrap_or_default(),
        root_chat_id: row.root_chat_id.to_string(),
        last_model_config_id: row.last_model_config_id.to_string(),
        title: row.title.clone(),
        status: core::status_to_wire(status).into(),
        plan_mode: match row.plan_mode.as_deref() {
            Some("plan") => wire::PlanMode::Plan.into(),
            Some(_) | None => wire::PlanMode::Unspecified.into(),
        },
        last_error: row.last_error.as_ref().map(|error| core::chat_error_to_wire(&error.0)),
        last_turn_summary: row.last_turn_summary.clone().unwrap_or_default(),
        created_at: Some(core::time_to_wire(row.created_at)),
        updated_at: Some(core::time_to_wire(row.updated_at)),
        is_archived: row.is_archived,
        pin_order: row.pin_order,
        mcp_server_ids: row.mcp_server_ids.iter().map(ToString::to_string).collect(),
        labels: row.labels.0.clone().into_iter().collect(),
        has_unread: row.has_unread,
        client_type: match row.client_type.as_str() {
            "ui" => wire::ClientType::Ui.into(),
            _ => wire::ClientType::Api.into(),
        },
        children: Vec::new(),
        version: row.version,
        epoch: row.epoch,
        files: Vec::new(),
        pending_tool_calls: row.pending_tool_calls.iter().map(Into::into).collect(),
        last_injected_context: Vec::new(),
        diff_status: row.diff_status.as_ref().map(|status| status.0.to_wire()),
        approval_mode: core::approval_mode_to_wire(row.approval_mode()).into(),
        action_expires_at: row.action_deadline.map(core::time_to_wire),
    }
}

pub(super) fn message(row: &messages::Row) -> Result<wire::ChatMessage, Error> {
    Ok(wire::ChatMessage {
        id: row.id,
        chat_id: row.chat_id.to_string(),
        created_by: row.created_by.map(|id| id.to_string()).unwrap_or_default(),
        model_config_id: row.model_config_id.map(|id| id.to_string()).unwrap_or_default(),
        created_at: Some(core::time_to_wire(row.created_at)),
        role: core::role_to_wire(row.role()?).into(),
        parts: core::parts_to_wire(&row.parts()),
        usage: row.usage.as_ref().and_then(|usage| core::usage_to_wire(&usage.0)),
        visibility: core::visibility_to_wire(row.visibility()).into(),
        provider_response_id: row.provider_response_id.clone().unwrap_or_default(),
        is_compressed: row.is_compressed,
    })
}

pub(super) fn messages(rows: &[messages::Row]) -> Result<Vec<wire::ChatMessage>, Error> {
    rows.iter().map(message).collect()
}

/// All of them in one answer: where that would be too large, the oldest large ones leave a note in the place of what they said.
pub(super) fn messages_that_fit(rows: &[messages::Row]) -> Result<Vec<wire::ChatMessage>, Error> {
    let mut all = messages(rows)?;
    let mut left = MAX_ANSWER_BYTES;
    for message in all.iter_mut().rev() {
        if message.encoded_len() > left {
            leave_a_note(message);
        }
        left = left.saturating_sub(message.encoded_len());
    }
    Ok(all)
}

/// As many as fit in one answer, from the first on and at least that one; whether these are all.
pub(super) fn page_that_fits(rows: &[messages::Row]) -> Result<(Vec<wire::ChatMessage>, bool), Error> {
    let mut page = Vec::with_capacity(rows.len());
    let mut left = MAX_ANSWER_BYTES;
    for row in rows {
        let mut message = message(row)?;
        if message.encoded_len() > MAX_ANSWER_BYTES {
            leave_a_note(&mut message);
        }
        let Some(rest) = left.checked_sub(message.encoded_len()) else {
            return Ok((page, false));
        };
        left = rest;
        page.push(message);
    }
    Ok((page, true))
}

fn leave_a_note(message: &mut wire::ChatMessage) {
    tracing::warn!(
        chat_id = message.chat_id,
        message_id = message.id,
        bytes = message.encoded_len(),
        "a message is too large to be passed on with the others"
    );
    message.parts = core::parts_to_wire(&[Part::text(
        "[What was said here is too large to be shown with the rest.]",
    )]);
}

pub(super) fn queued(row: &queue::Row) -> Result<wire::QueuedMessage, Error> {
    Ok(wire::QueuedMessage {
        id: row.id,
        chat_id: row.chat_id.to_string(),
        model_config_id: row.model_config_id.to_string(),
        parts: core::parts_to_wire(&row.parts()?),
        created_at: Some(core::time_to_wire(row.created_at)),
        created_by: row.created_by.map(|id| id.to_string()).unwrap_or_default(),
    })
}

pub(super) fn queue(rows: &[queue::Row]) -> Result<Vec<wire::QueuedMessage>, Error> {
    rows.iter().map(queued).collect()
}

/// A change without its messages and queue, which are looked up as they are now.
pub(super) fn change(chat: Uuid, row: &changes::Row) -> ChatChange {
    let status = |text: &str| -> i32 { core::status_to_wire(text.parse().unwrap_or(StatusKind::Error)).into() };
    ChatChange {
        chat_id: chat.to_string(),
        version: row.version,
        created_at: Some(core::time_to_wire(row.created_at)),
        status: status(&row.status),
        previous_status: status(&row.previous_status),
        epoch: row.epoch,
        messages: Vec::new(),
        sealed: row.sealed.as_ref().map(|sealed| StepPosition::from(&sealed.0)),
        is_queue_changed: row.is_queue_changed,
        queue: Vec::new(),
        error: row.error.as_ref().map(|error| core::chat_error_to_wire(&error.0)),
        history_reset_from_id: row.history_reset_from_id.unwrap_or(0),
        is_preview_reset: row.is_preview_reset,
        action_required: row
            .action_required
            .iter()
            .flat_map(|calls| calls.iter().map(Into::into))
            .collect(),
        watch_kinds: row.watch_kinds.clone(),
    }
}

/// A change for those who have heard of it from its own answer. `None` where nothing changed, and where the queue did, which the answer
/// does not hold.
pub(super) fn own_change(done: &Done) -> Result<Option<ChatChange>, Error> {
    let Some(row) = done.change.as_ref().filter(|row| !row.is_queue_changed) else {
        return Ok(None);
    };
    let shown = done.inserted.iter().filter(|message| message.is_shown());
    Ok(Some(ChatChange {
        messages: shown.map(message).collect::<Result<_, _>>()?,
        ..change(done.row.id, row)
    }))
}

/// A message a worker produced.
pub(super) fn new_message(message: &NewMessage) -> Result<messages::New, Error> {
    let role = core::role_from_wire(message.role).ok_or_else(|| one("messages.role", "must be set"))?;
    let runtime = message
        .runtime
        .and_then(|runtime| std::time::Duration::try_from(runtime).ok());
    Ok(messages::New {
        role,
        visibility: core::visibility_from_wire(message.visibility),
        parts: core::parts_from_wire(&message.parts)?,
        created_by: None,
        model_config_id: optional_id(&message.model_config_id, "messages.model_config_id")?,
        usage: core::usage_from_wire(message.usage.as_ref()),
        cost_micros: message.cost_micros,
        runtime_ms: runtime.and_then(|runtime| i64::try_from(runtime.as_millis()).ok()),
        provider_response_id: message.provider_response_id.clone(),
        is_compressed: message.is_compressed,
        completion_id: None,
    })
}

pub(super) fn new_messages(messages: &[NewMessage]) -> Result<Vec<messages::New>, Error> {
    messages.iter().map(new_message).collect()
}

/// Whether any of these parts is a call that is ours to answer and has no result among them.
pub(super) fn has_open_calls(messages: &[messages::New]) -> bool {
    let parts = || messages.iter().flat_map(|message| &message.parts);
    parts().any(|part| match part {
        Part::ToolCall(call) if !call.provider_executed => {
            !parts().any(|other| matches!(other, Part::ToolResult(result) if result.tool_call_id == call.tool_call_id))
        }
        _ => false,
    })
}

pub(super) fn sealed(epoch: i64, step: i32, attempt: i32, part_count: i64) -> Option<Sealed> {
    let sealed = Sealed {
        epoch,
        step,
        attempt,
        part_count,
    };
    (!tandem_chassis::fault::is_off("seal")).then_some(sealed)
}
