//! How the last connection to a server went, for the people who look after it.

use std::sync::Arc;
use std::time::Duration;

use tandem_chat_core::wire::time_to_wire;
use tandem_mcp::Failure;
use tandem_proto::tool::v1::{McpHealth, McpOutcome};
use time::OffsetDateTime;

use super::listing::Listing;

/// One connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Health {
    pub(crate) outcome: McpOutcome,
    pub(crate) duration: Duration,
    pub(crate) tool_count: usize,
    /// Without secrets, at most 512 bytes.
    pub(crate) error: String,
    pub(crate) checked_at: OffsetDateTime,
    /// What the tools chats may use take of a model's context.
    pub(crate) estimated_tokens: i64,
    /// Tools that are not what was accepted, and therefore not offered.
    pub(crate) changed_tool_count: usize,
}

impl Health {
    /// What a connection that took `duration` tells.
    pub(super) fn of(listed: &Result<Arc<Listing>, Failure>, duration: Duration, now: OffsetDateTime) -> Self {
        let (outcome, tool_count, error) = match listed {
            Ok(listing) => {
                let count = listing.allowed().count();
                let outcome = if count == 0 {
                    McpOutcome::NoTools
                } else {
                    McpOutcome::Connected
                };
                (outcome, count, listing.left_out.clone())
            }
            Err(Failure::Timeout(limit)) => {
                let text = format!("no answer within {} s", limit.as_secs_f32());
                (McpOutcome::Timeout, 0, text)
            }
            Err(Failure::Refused(text) | Failure::NoAnswer(text)) => (McpOutcome::Error, 0, text.clone()),
        };
        Self {
            outcome,
            duration,
            tool_count,
            error,
            checked_at: now,
            estimated_tokens: listed.as_ref().map_or(0, |listing| {
                listing.allowed().map(|(_, tool)| tool.estimated_tokens()).sum()
            }),
            changed_tool_count: 0,
        }
    }

    /// The same as a message of the contract.
    pub(crate) fn to_wire(&self) -> McpHealth {
        McpHealth {
            outcome: self.outcome.into(),
            duration: prost_types::Duration::try_from(self.duration).ok(),
            tool_count: i32::try_from(self.tool_count).unwrap_or(i32::MAX),
            error: self.error.clone(),
            checked_at: Some(time_to_wire(self.checked_at)),
            estimated_tokens: self.estimated_tokens,
            changed_tool_count: i32::try_from(self.changed_tool_count).unwrap_or(i32::MAX),
        }
    }
}
