//! The identities of the house: uuids that cannot be mixed up, and the numbers that order a chat's life.
//!
//! Owns their text and JSON forms. It does not make new ids: that takes randomness or a database, and this crate has neither.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares uuid newtypes: plain uuid as text, in JSON and in the database.
macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Names the thing that has this uuid.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare uuid, for a database row.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { kind: stringify!($name) })
            }
        }
    )*};
}

uuid_ids! {
    /// A conversation.
    ChatId;
    /// A person or program that signs in.
    UserId;
    /// A tenant: users, settings and chats that belong together.
    OrganizationId;
    /// An API token or session of a user.
    TokenId;
    /// A model as the administrator configured it.
    ModelConfigId;
    /// A configured vendor API.
    ProviderId;
    /// One credential in a provider's pool.
    KeyId;
    /// A running instance of a template.
    WorkspaceId;
    /// What a workspace is made from.
    TemplateId;
    /// The program inside a workspace.
    AgentId;
    /// A configured MCP server.
    McpServerId;
    /// An uploaded or produced file.
    FileId;
    /// One model call.
    CompletionId;
    /// One running process of a service; new at each start.
    ReplicaId;
}

/// Declares numbers the database hands out.
macro_rules! number_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// The number itself, for a database row.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self).map_err(|_| InvalidId { kind: stringify!($name) })
            }
        }
    )*};
}

number_ids! {
    /// A message; grows in conversation order and is unique over all chats.
    MessageId;
    /// A queued message; a sequence of its own, so a promoted message gets a new [`MessageId`].
    QueuedId;
    /// The fencing number of a lease; 0 before the first claim.
    Epoch;
    /// How many changes of a chat were committed; gapless from 1.
    Version;
}

impl Epoch {
    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Version {
    /// The version after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A vendor's name for one tool call, unique within a chat.
///
/// 1 to [`ToolCallId::MAX_BYTES`] bytes; the vendor chooses the characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolCallId(String);

impl ToolCallId {
    /// The longest id accepted.
    pub const MAX_BYTES: usize = 256;

    /// Checks the length of a vendor's id.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(InvalidId { kind: "ToolCallId" });
        }
        Ok(Self(text))
    }

    /// The vendor's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolCallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ToolCallId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

impl From<ToolCallId> for String {
    fn from(id: ToolCallId) -> Self {
        id.0
    }
}

impl FromStr for ToolCallId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

/// The text is no id of that kind. The text itself is not repeated: it comes from outside and may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct InvalidId {
    /// The type that was wanted.
    pub kind: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_id_is_shown_and_parsed_as_a_plain_uuid() {
        let text = "0198a3a4-5d1c-7f6e-8a57-2f6a0c9d4b11";
        let id: ChatId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!("x".parse::<ChatId>(), Err(InvalidId { kind: "ChatId" }));
    }

    #[test]
    fn a_tool_call_id_is_bounded() {
        assert!(ToolCallId::new("").is_err());
        assert!(ToolCallId::new("x".repeat(256)).is_ok());
        assert!(ToolCallId::new("x".repeat(257)).is_err());
        assert!(serde_json::from_str::<ToolCallId>("\"\"").is_err());
    }
}
