//! Earlier thinking: which of it the vendor takes back, and whether the model may think in this request.
//!
//! The vendor proves thinking by a signature that only the model it came from understands, so each part carries its model's name. What
//! cannot be proved is left out; it is not told in words, since the model would take it for something it said.

use serde_json::{Value, json};
use tandem_chat_core::part::{ProviderMetadata, ReasoningPart};

use crate::anthropic::{
    METADATA,
    options::Settings,
    wire::{Block, Content, Message, Role, Thinking},
};

/// The model that thought.
const MODEL: &str = "model";

/// Thinking that only the vendor can read.
const REDACTED: &str = "redacted_data";

/// What travels with thinking of `model`.
///
/// * `redacted`: the thinking itself, where only the vendor can read it.
pub(in crate::anthropic) fn metadata(model: &str, redacted: Option<&str>) -> ProviderMetadata {
    let mut own = json!({ MODEL: model });
    if let Some(data) = redacted {
        own[REDACTED] = Value::from(data);
    }
    ProviderMetadata::from_iter([(METADATA.to_owned(), own)])
}

/// Earlier thinking as `model` takes it back; `None` if it does not.
pub(super) fn replayed(part: &ReasoningPart, model: &str) -> Option<Block> {
    let own = part.provider_metadata.get(METADATA)?;
    if own.get(MODEL)?.as_str()? != model {
        return None;
    }
    let redacted = own
        .get(REDACTED)
        .and_then(Value::as_str)
        .filter(|data| !data.is_empty());
    let content = match redacted {
        Some(data) => Content::RedactedThinking { data: data.to_owned() },
        None if part.signature.is_empty() => return None,
        None => Content::Thinking {
            thinking: part.text.clone(),
            signature: part.signature.clone(),
        },
    };
    Some(Block::new(content))
}

/// The settings, without thinking where the turns forbid it. While tools run, a model that thinks within a budget must have begun to
/// think before it called the first of them; it has not if another model called them, or thinking was off then.
pub(super) fn fitting(mut settings: Settings, turns: &[Message]) -> Settings {
    let is_budgeted = matches!(settings.thinking, Some(Thinking::Enabled { .. }));
    if is_budgeted && first_of_loop(turns).is_some_and(|turn| !turn.content.first().is_some_and(Block::is_thinking)) {
        settings.thinking = None;
    }
    settings
}

/// The turn with which the model began what the tool results at the end continue.
fn first_of_loop(turns: &[Message]) -> Option<&Message> {
    let is_result = |block: &Block| matches!(block.content, Content::ToolResult { .. });
    let mut first = None;
    for turn in turns.iter().rev() {
        match turn.role {
            Role::User if !turn.content.iter().any(is_result) => break,
            Role::User => {}
            Role::Assistant => first = Some(turn),
        }
    }
    first
}
