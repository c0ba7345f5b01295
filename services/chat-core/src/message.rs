//! What a message says, by whom and for whom.
//!
//! Owns roles, visibility and token counts. Ids, authors and times are columns of storage's row and the wire's business.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::part::Part;

/// One entry of a conversation, reduced to what prompts and titles need.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Who gets to see it.
    pub visibility: Visibility,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message for user and model alike.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            visibility: Visibility::Both,
            parts,
        }
    }
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// A person or program.
    User,
    /// The model.
    Assistant,
    /// Results of tool calls.
    Tool,
}

/// Who gets to see a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// User and model.
    #[default]
    Both,
    /// The user only; never part of a prompt.
    User,
    /// The model only; never shown.
    Model,
}

impl Visibility {
    /// Whether the message belongs in a prompt.
    pub fn is_for_model(self) -> bool {
        match self {
            Self::Both | Self::Model => true,
            Self::User => false,
        }
    }

    /// Whether the message is shown to clients.
    pub fn is_for_user(self) -> bool {
        match self {
            Self::Both | Self::User => true,
            Self::Model => false,
        }
    }

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::User => "user",
            Self::Model => "model",
        }
    }
}

impl Role {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tokens of one step. `None` was not reported, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt that no cache served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<i64>,
    /// Tokens of the answer, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<i64>,
    /// The vendor's own sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<i64>,
    /// Tokens of the reasoning alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// Tokens written to the vendor's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<i64>,
    /// Tokens read from the vendor's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<i64>,
    /// The model's context window at that step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_limit: Option<i64>,
    /// Tokens of that window behind the step, where it took several requests and the others are their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<i64>,
}

impl Usage {
    /// Tokens of the window behind the step: its prompt and its answer. `None` where nothing was reported.
    pub fn window_tokens(&self) -> Option<i64> {
        let prompt = [self.input_tokens, self.cache_read_tokens, self.cache_creation_tokens];
        let prompt = prompt.into_iter().flatten().fold(0, i64::saturating_add);
        let last = match prompt {
            0 => self.total_tokens.unwrap_or(0),
            prompt => prompt.saturating_add(self.output_tokens.unwrap_or(0)),
        };
        self.context_tokens.or(Some(last)).filter(|tokens| *tokens > 0)
    }

    /// Whether nothing was reported at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_rows_never_reach_a_prompt_and_hidden_rows_never_reach_a_client() {
        assert!(!Visibility::User.is_for_model());
        assert!(!Visibility::Model.is_for_user());
        assert!(Visibility::Both.is_for_model() && Visibility::Both.is_for_user());
    }

    #[test]
    fn the_window_holds_a_prompt_and_its_answer_and_of_several_requests_the_last() {
        let usage = Usage {
            input_tokens: Some(10),
            output_tokens: Some(5),
            cache_read_tokens: Some(100),
            cache_creation_tokens: Some(20),
            total_tokens: Some(1_000),
            ..Usage::default()
        };
        assert_eq!(usage.window_tokens(), Some(135));
        let several = Usage {
            context_tokens: Some(70),
            ..usage
        };
        assert_eq!(several.window_tokens(), Some(70));
        let only_sum = Usage {
            total_tokens: Some(7),
            ..Usage::default()
        };
        assert_eq!(only_sum.window_tokens(), Some(7));
        assert_eq!(Usage::default().window_tokens(), None);
    }

    #[test]
    fn usage_leaves_out_what_was_not_reported() {
        let usage = Usage {
            input_tokens: Some(0),
            ..Usage::default()
        };
        assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"input_tokens":0}"#);
        assert!(!usage.is_empty());
    }
}
