//! What the model cites, as sources.
//!
//! The vendor cites while the text still runs. Sources are handed out behind it, each once, so that they do not tear the text apart.

use serde_json::Value;
use tandem_chat_core::part::{Part, SourcePart};

use crate::Delta;

/// Sources of one answer.
const MAX_SOURCES: usize = 256;

/// The sources of one answer.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Addresses of all that were cited.
    known: Vec<String>,
    /// Those not handed out yet, in order.
    waiting: Vec<SourcePart>,
}

impl Sources {
    /// Takes an annotation in. Those that lead nowhere are passed over.
    pub(super) fn add(&mut self, annotation: &Value) {
        let field = |name: &str| annotation.get(name).and_then(Value::as_str).unwrap_or_default();
        let url = field("url");
        if field("type") != "url_citation" || url.is_empty() || self.known.len() >= MAX_SOURCES {
            return;
        }
        if self.known.iter().all(|known| known != url) {
            self.known.push(url.to_owned());
            self.waiting.push(SourcePart {
                url: url.to_owned(),
                title: field("title").to_owned(),
                ..SourcePart::default()
            });
        }
    }

    /// Hands out those that have come since the last time.
    pub(super) fn flush(&mut self, deltas: &mut Vec<Delta>) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        deltas.extend(waiting.map(|source| Delta::Part(Part::Source(source))));
    }
}
