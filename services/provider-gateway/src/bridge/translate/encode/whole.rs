//! An answer as it has come so far, block by block.

use serde_json::Value;
use tandem_chat_core::part::{ReasoningPart, SourcePart, ToolCallPart, ToolResultPart};

use super::sequence::Step;

/// One block of an answer.
#[derive(Debug)]
pub(super) enum Block {
    Text {
        text: String,
        sources: Vec<SourcePart>,
    },
    /// Its text is in the part.
    Reasoning(Box<ReasoningPart>),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    Searched {
        call: Box<ToolCallPart>,
        result: Box<ToolResultPart>,
    },
}

/// The blocks of an answer, in order.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) blocks: Vec<Block>,
}

impl Whole {
    /// Takes a step in.
    pub(super) fn take(&mut self, step: &Step<'_>) {
        match step {
            Step::Text => self.blocks.push(Block::Text {
                text: String::new(),
                sources: Vec::new(),
            }),
            Step::Reasoning => self.blocks.push(Block::Reasoning(Box::default())),
            Step::Call { id, name } => self.blocks.push(Block::Call {
                id: id.to_string(),
                name: (*name).to_owned(),
                arguments: String::new(),
            }),
            Step::Hidden(part) => self.blocks.push(Block::Reasoning(Box::new((*part).clone()))),
            Step::Searched { call, result } => self.blocks.push(Block::Searched {
                call: Box::new((*call).clone()),
                result: Box::new((*result).clone()),
            }),
            Step::Add(more) => match self.blocks.last_mut() {
                Some(Block::Text { text, .. } | Block::Call { arguments: text, .. }) => text.push_str(more),
                Some(Block::Reasoning(part)) => part.text.push_str(more),
                Some(Block::Searched { .. }) | None => {}
            },
            Step::Cite(source) => {
                if let Some(Block::Text { sources, .. }) = self.blocks.last_mut() {
                    sources.push((*source).clone());
                }
            }
            Step::End(done) => {
                if let (Some(Block::Reasoning(part)), Some(done)) = (self.blocks.last_mut(), done) {
                    part.signature.clone_from(&done.signature);
                    part.provider_metadata.clone_from(&done.provider_metadata);
                }
            }
        }
    }
}

/// The addresses that a search found, with their titles.
pub(super) fn sources(result: &ToolResultPart) -> Vec<(&str, &str)> {
    let sources = result.result.get("sources").and_then(Value::as_array);
    let source = |source| {
        let text = |name: &str| Value::as_str(Value::get(source, name)?);
        Some((text("url")?, text("title").unwrap_or_default()))
    };
    sources.into_iter().flatten().filter_map(source).collect()
}
