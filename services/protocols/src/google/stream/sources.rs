//! What the vendor's search found, as sources, each once, handed out behind the words.

use serde_json::Value;
use tandem_chat_core::part::{Part, SourcePart};

use crate::Delta;

/// Sources of one answer.
const MAX_SOURCES: usize = 256;

/// The sources of one answer.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<SourcePart>);

impl Sources {
    /// Takes in what a chunk says the answer is grounded on. What leads nowhere is passed over.
    pub(super) fn add(&mut self, grounding: &Value) {
        let chunks = grounding["groundingChunks"].as_array().into_iter().flatten();
        for chunk in chunks {
            let place = ["web", "retrievedContext", "maps"]
                .into_iter()
                .map(|kind| &chunk[kind])
                .find(|place| place.is_object());
            let field = |name: &str| place.and_then(|place| place[name].as_str()).unwrap_or_default();
            let url = field("uri");
            let is_known = self.0.iter().any(|source| source.url == url);
            if !url.is_empty() && !is_known && self.0.len() < MAX_SOURCES {
                self.0.push(SourcePart {
                    url: url.to_owned(),
                    title: field("title").to_owned(),
                    ..SourcePart::default()
                });
            }
        }
    }

    /// Hands them out.
    pub(super) fn hand_out(&mut self, deltas: &mut Vec<Delta>) {
        let sources = std::mem::take(&mut self.0);
        deltas.extend(sources.into_iter().map(|source| Delta::Part(Part::Source(source))));
    }
}
