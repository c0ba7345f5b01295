//! Personal skills as clients see them: as one Markdown text with front matter, and as its pieces.

use serde::{Deserialize, Serialize};
use tandem_chat_core::context::skill;
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::{or_default, time};

/// A skill of a user, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserSkillMetadata {
    pub name: String,
    /// May be empty.
    pub description: String,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// A skill of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserSkill {
    #[serde(flatten)]
    pub metadata: UserSkillMetadata,
    /// What the model reads.
    pub body: String,
    /// Front matter and body as one text.
    pub content: String,
}

/// A skill to be stored: either `content`, or its pieces.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct UserSkillRequest {
    /// Markdown that begins with front matter, at most 64 KiB; the other fields are passed over then.
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
    /// Words of a-z and 0-9 with single hyphens between them, at most 256 bytes; where the path names it, the same or nothing.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// At most 4,096 bytes. A PATCH without it leaves it as it is.
    #[serde(default)]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// Markdown, at most 64 KiB. A PATCH without it leaves it as it is.
    #[serde(default)]
    #[schema(nullable = false)]
    pub body: Option<String>,
}

impl From<proto::PersonalSkill> for UserSkillMetadata {
    fn from(skill: proto::PersonalSkill) -> Self {
        Self {
            name: skill.name,
            description: skill.description,
            created_at: time(skill.created_at.as_ref()),
            updated_at: time(skill.updated_at.as_ref()),
        }
    }
}

impl From<proto::PersonalSkill> for UserSkill {
    fn from(mut skill: proto::PersonalSkill) -> Self {
        let body = std::mem::take(&mut skill.body);
        Self {
            content: skill::compose(&skill.name, &skill.description, &body),
            metadata: skill.into(),
            body,
        }
    }
}
