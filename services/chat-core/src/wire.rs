//! The one place where domain values change into the contracts' messages and back: parts, roles, usage, errors, times.
//!
//! It owns no meaning: what a part may contain is decided in `part`, what a message may say in `input`.

mod error;
mod part;

pub use error::{chat_error_from_wire, chat_error_to_wire, error_kind_to_wire};
pub use part::{part_from_wire, part_to_wire, parts_from_wire, parts_to_wire};

use prost_types::Timestamp;
use tandem_proto::common::v1 as wire;
use time::OffsetDateTime;

use crate::approval::{ApprovalMode, ToolRisk};
use crate::chat::StatusKind;
use crate::message::{Role, Usage, Visibility};

/// Why a message of a contract is no value of the domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidWire {
    /// Path of the field, for example `parts[2].tool_call.arguments_json`.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl InvalidWire {
    pub(crate) fn new(field: impl Into<String>, problem: &'static str) -> Self {
        Self {
            field: field.into(),
            problem,
        }
    }

    /// The same error, seen from a message that holds `field` under `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// A time as the contracts write it.
pub fn time_to_wire(time: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: time.unix_timestamp(),
        // Below one billion by definition.
        nanos: i32::try_from(time.nanosecond()).unwrap_or(0),
    }
}

/// A time from a contract; `None` for one outside the calendar.
pub fn time_from_wire(time: &Timestamp) -> Option<OffsetDateTime> {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

/// An approval mode's number in the contracts.
pub fn approval_mode_to_wire(mode: ApprovalMode) -> wire::ApprovalMode {
    match mode {
        ApprovalMode::Never => wire::ApprovalMode::Never,
        ApprovalMode::Risky => wire::ApprovalMode::Risky,
        ApprovalMode::Always => wire::ApprovalMode::Always,
    }
}

/// The mode of a number; none is the most lenient.
pub fn approval_mode_from_wire(mode: wire::ApprovalMode) -> ApprovalMode {
    match mode {
        wire::ApprovalMode::Unspecified | wire::ApprovalMode::Never => ApprovalMode::Never,
        wire::ApprovalMode::Risky => ApprovalMode::Risky,
        wire::ApprovalMode::Always => ApprovalMode::Always,
    }
}

/// A risk's number in the contracts.
pub fn tool_risk_to_wire(risk: ToolRisk) -> wire::ToolRisk {
    match risk {
        ToolRisk::None => wire::ToolRisk::None,
        ToolRisk::Changes => wire::ToolRisk::Changes,
        ToolRisk::Unknown => wire::ToolRisk::Unknown,
        ToolRisk::Forbidden => wire::ToolRisk::Forbidden,
    }
}

/// The risk of a number; none is one that nobody can tell.
pub fn tool_risk_from_wire(risk: wire::ToolRisk) -> ToolRisk {
    match risk {
        wire::ToolRisk::None => ToolRisk::None,
        wire::ToolRisk::Changes => ToolRisk::Changes,
        wire::ToolRisk::Unspecified | wire::ToolRisk::Unknown => ToolRisk::Unknown,
        wire::ToolRisk::Forbidden => ToolRisk::Forbidden,
    }
}

/// A role's number in the contracts.
pub fn role_to_wire(role: Role) -> wire::Role {
    match role {
        Role::System => wire::Role::System,
        Role::User => wire::Role::User,
        Role::Assistant => wire::Role::Assistant,
        Role::Tool => wire::Role::Tool,
    }
}

/// A role by its number; `None` for an unknown or unspecified one.
pub fn role_from_wire(role: i32) -> Option<Role> {
    match wire::Role::try_from(role).ok()? {
        wire::Role::System => Some(Role::System),
        wire::Role::User => Some(Role::User),
        wire::Role::Assistant => Some(Role::Assistant),
        wire::Role::Tool => Some(Role::Tool),
        wire::Role::Unspecified => None,
    }
}

/// A visibility's number in the contracts.
pub fn visibility_to_wire(visibility: Visibility) -> wire::MessageVisibility {
    match visibility {
        Visibility::Both => wire::MessageVisibility::Both,
        Visibility::User => wire::MessageVisibility::User,
        Visibility::Model => wire::MessageVisibility::Model,
    }
}

/// A visibility by its number; what is not said is visible to both.
pub fn visibility_from_wire(visibility: i32) -> Visibility {
    match wire::MessageVisibility::try_from(visibility) {
        Ok(wire::MessageVisibility::User) => Visibility::User,
        Ok(wire::MessageVisibility::Model) => Visibility::Model,
        Ok(wire::MessageVisibility::Both | wire::MessageVisibility::Unspecified) | Err(_) => Visibility::Both,
    }
}

/// A status' number in the contracts.
pub fn status_to_wire(status: StatusKind) -> wire::ChatStatus {
    match status {
        StatusKind::Waiting => wire::ChatStatus::Waiting,
        StatusKind::Pending => wire::ChatStatus::Pending,
        StatusKind::Running => wire::ChatStatus::Running,
        StatusKind::Interrupting => wire::ChatStatus::Interrupting,
        StatusKind::RequiresAction => wire::ChatStatus::RequiresAction,
        StatusKind::Error => wire::ChatStatus::Error,
    }
}

/// A status by its number; `None` for an unknown or unspecified one.
pub fn status_from_wire(status: i32) -> Option<StatusKind> {
    match wire::ChatStatus::try_from(status).ok()? {
        wire::ChatStatus::Waiting => Some(StatusKind::Waiting),
        wire::ChatStatus::Pending => Some(StatusKind::Pending),
        wire::ChatStatus::Running => Some(StatusKind::Running),
        wire::ChatStatus::Interrupting => Some(StatusKind::Interrupting),
        wire::ChatStatus::RequiresAction => Some(StatusKind::RequiresAction),
        wire::ChatStatus::Error => Some(StatusKind::Error),
        wire::ChatStatus::Unspecified => None,
    }
}

/// Usage as the contracts write it; `None` where nothing was measured.
pub fn usage_to_wire(usage: &Usage) -> Option<wire::Usage> {
    let written = wire::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cache_creation_tokens: usage.cache_creation_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        context_limit: usage.context_limit,
        context_tokens: usage.context_tokens,
    };
    (!usage.is_empty()).then_some(written)
}

/// Usage from a contract.
pub fn usage_from_wire(usage: Option<&wire::Usage>) -> Usage {
    let Some(usage) = usage else { return Usage::default() };
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cache_creation_tokens: usage.cache_creation_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        context_limit: usage.context_limit,
        context_tokens: usage.context_tokens,
    }
}

#[cfg(test)]
mod tests;
