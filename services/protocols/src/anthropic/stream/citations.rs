//! What the model cites, as sources.
//!
//! The vendor cites within running text. Sources are handed out behind it, each once, so that they do not tear the text apart.

use serde_json::Value;
use tandem_chat_core::part::{Part, SourcePart};

use crate::Delta;

/// Sources of one answer.
const MAX_SOURCES: usize = 256;

/// The sources of one answer.
#[derive(Debug, Default)]
pub(super) struct Citations {
    /// All that were cited, in order.
    sources: Vec<SourcePart>,
    /// How many were handed out.
    flushed: usize,
}

impl Citations {
    /// Takes a citation in. Those that lead nowhere are passed over.
    pub(super) fn add(&mut self, citation: &Value) {
        let field = |name: &str| citation.get(name).and_then(Value::as_str);
        let url = field("url").or_else(|| field("source")).filter(|url| !url.is_empty());
        let Some(url) = url.filter(|_| self.sources.len() < MAX_SOURCES) else {
            return;
        };
        if self.sources.iter().all(|source| source.url != url) {
            self.sources.push(SourcePart {
                url: url.to_owned(),
                title: field("title").unwrap_or_default().to_owned(),
                ..SourcePart::default()
            });
        }
    }

    /// Hands out those that have come since the last time.
    pub(super) fn flush(&mut self, deltas: &mut Vec<Delta>) {
        let new = self.sources.iter().skip(self.flushed);
        deltas.extend(new.map(|source| Delta::Part(Part::Source(source.clone()))));
        self.flushed = self.sources.len();
    }
}
