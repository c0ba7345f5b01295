//! What was heard of an answer.

use serde_json::Value;
use tandem_chat_core::{message::Usage, part::ToolCallPart};

use crate::meter;

/// Longest text that is kept of one thing.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Calls, and thoughts, kept of one answer.
const MAX_KEPT: usize = 64;

/// What all texts of one answer may come to.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Whether texts are kept beside counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Only what is needed to bill.
    #[default]
    Counts,
    /// Calls and thoughts as well.
    Texts,
}

impl Keep {
    /// By whether texts are wanted.
    pub fn of(keeps_texts: bool) -> Self {
        if keeps_texts { Self::Texts } else { Self::Counts }
    }
}

/// A tool call of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Its place in the vendor's counting, where calls come in pieces.
    pub index: i64,
    /// The vendor's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON text, or the input of a tool that takes a text of a free form; cut at 64 KiB.
    pub arguments: String,
    /// Where the tool lives, if we put it into the request.
    pub server_url: Option<String>,
    /// Why we did not run such a tool; empty if we did.
    pub not_run: String,
}

/// What a model lets see of its reasoning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    /// Its place in the vendor's counting, where thoughts come in pieces.
    pub index: i64,
    /// Cut at 64 KiB.
    pub content: String,
    /// `thinking`, `reasoning_summary` or `commentary`.
    pub source: &'static str,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    keep: Keep,
    kept_bytes: usize,
    /// The vendor's name for the answer; may be empty.
    pub message_id: String,
    /// What the vendor measured.
    pub usage: Usage,
    /// Counts only one vendor has.
    pub extra: Vec<(&'static str, i64)>,
    /// In order.
    pub calls: Vec<Call>,
    /// In order.
    pub thoughts: Vec<Thought>,
    /// Bytes of texts and arguments that came, for an estimate.
    pub said_bytes: u64,
    /// The vendor says that it failed.
    pub has_failed: bool,
    /// The vendor has said that nothing follows.
    pub is_complete: bool,
}

impl Heard {
    /// Nothing yet.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// Whether texts are kept.
    pub fn keeps(&self) -> bool {
        self.keep == Keep::Texts
    }

    /// Whether the answer's name is known.
    pub fn is_named(&self) -> bool {
        !self.message_id.is_empty()
    }

    /// The answer's name; the first one counts.
    pub fn name(&mut self, id: Option<&str>) {
        const MAX_NAME_BYTES: usize = 256;
        if let Some(id) = id.filter(|id| !self.is_named() && id.len() <= MAX_NAME_BYTES) {
            id.clone_into(&mut self.message_id);
        }
    }

    /// Counts what only one vendor has; zeros are not worth telling.
    pub fn count(&mut self, name: &'static str, count: Option<i64>) {
        let Some(count) = count.filter(|count| *count > 0) else {
            return;
        };
        match self.extra.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = count,
            None => self.extra.push((name, count)),
        }
    }

    /// A call that comes whole.
    pub fn whole_call(&mut self, call: &ToolCallPart) {
        let index = i64::try_from(self.calls.len()).unwrap_or(i64::MAX);
        let (id, arguments) = (call.tool_call_id.as_str(), call.args.to_string());
        self.call(index, Some(id), Some(&call.tool_name), Some(&arguments));
    }

    /// Adds to the call at that place, or begins it.
    pub fn call(&mut self, index: i64, id: Option<&str>, name: Option<&str>, arguments: Option<&str>) {
        if !self.keeps() {
            return;
        }
        let place = match self.calls.iter().rposition(|call| call.index == index) {
            Some(place) => place,
            None if self.calls.len() < MAX_KEPT => {
                let call = Call {
                    index,
                    ..Call::default()
                };
                self.calls.push(call);
                self.calls.len() - 1
            }
            None => return,
        };
        let mut left = MAX_KEPT_BYTES.saturating_sub(self.kept_bytes);
        let call = &mut self.calls[place];
        for (kept, text) in [
            (&mut call.id, id),
            (&mut call.name, name),
            (&mut call.arguments, arguments),
        ] {
            let Some(text) = text else { continue };
            let added = append(kept, text, left);
            left -= added;
            self.kept_bytes += added;
        }
    }

    /// Puts what was heard earlier in the same exchange in front of this: counts are added up, what is kept stays within its bounds.
    pub fn follow(&mut self, mut earlier: Self) {
        let room = |kept: usize| MAX_KEPT.saturating_sub(kept);
        self.calls.truncate(room(earlier.calls.len()));
        self.thoughts.truncate(room(earlier.thoughts.len()));
        let mut left = MAX_KEPT_BYTES.saturating_sub(earlier.kept_bytes);
        let mut keep = |text: &mut String| {
            text.truncate(cut(text, left).len());
            left -= text.len();
        };
        self.calls.iter_mut().for_each(|call| keep(&mut call.arguments));
        self.thoughts.iter_mut().for_each(|thought| keep(&mut thought.content));
        self.kept_bytes = MAX_KEPT_BYTES - left;
        earlier.calls.append(&mut self.calls);
        earlier.thoughts.append(&mut self.thoughts);
        (self.calls, self.thoughts) = (earlier.calls, earlier.thoughts);
        meter::add(&mut self.usage, &earlier.usage);
        for (name, count) in earlier.extra {
            match self.extra.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.saturating_add(count),
                None => self.extra.push((name, count)),
            }
        }
        if !earlier.message_id.is_empty() {
            self.message_id = earlier.message_id;
        }
    }

    /// Adds to the thought at that place, or begins it.
    pub fn thought(&mut self, index: i64, source: &'static str, text: Option<&str>) {
        let Some(text) = text.filter(|text| self.keeps() && !text.is_empty()) else {
            return;
        };
        let place = match self.thoughts.iter().rposition(|thought| thought.index == index) {
            Some(place) => place,
            None if self.thoughts.len() < MAX_KEPT => {
                let content = String::new();
                self.thoughts.push(Thought { index, content, source });
                self.thoughts.len() - 1
            }
            None => return,
        };
        let left = MAX_KEPT_BYTES.saturating_sub(self.kept_bytes);
        self.kept_bytes += append(&mut self.thoughts[place].content, text, left);
    }
}

/// Appends as much as there is room for; returns how many bytes that was.
fn append(kept: &mut String, text: &str, left: usize) -> usize {
    let room = MAX_TEXT_BYTES.saturating_sub(kept.len()).min(left);
    let text = cut(text, room);
    kept.push_str(text);
    text.len()
}

/// The beginning of a text, of at most so many bytes and whole characters.
pub fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// A count at a path of a usage object: names, each behind a slash. Negative and fractional numbers are not believed.
pub fn count_at(usage: &Value, path: &str) -> Option<i64> {
    // `Value::pointer` would make each name anew, for escapes that no name here has.
    let found = path.split('/').skip(1).try_fold(usage, |value, name| value.get(name))?;
    found.as_i64().filter(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut heard = Heard::new(Keep::Texts);
        let long = "ä".repeat(MAX_TEXT_BYTES);
        for index in 0..100 {
            heard.call(index, Some("id"), Some("name"), Some(&long));
            heard.thought(index, "thinking", Some(&long));
        }
        assert_eq!((heard.calls.len(), heard.thoughts.len()), (MAX_KEPT, MAX_KEPT));
        let kept: usize = heard.calls.iter().map(|call| call.arguments.len()).sum();
        assert!(kept <= MAX_KEPT_BYTES && heard.calls[0].arguments.len() == MAX_TEXT_BYTES);
        assert_eq!(cut("aä", 2), "a");
    }

    #[test]
    fn what_was_heard_in_several_rounds_adds_up_within_the_same_bounds() {
        let mut rounds = Heard::new(Keep::Texts);
        let long = "x".repeat(MAX_TEXT_BYTES);
        for round in 0..3 {
            let mut heard = Heard::new(Keep::Texts);
            heard.name(Some(&format!("m{round}")));
            heard.usage.output_tokens = Some(5);
            heard.count("total_tokens", Some(7));
            for index in 0..40 {
                heard.call(index, Some("id"), Some("name"), Some(&long));
            }
            heard.follow(std::mem::take(&mut rounds));
            rounds = heard;
        }
        assert_eq!(
            (rounds.message_id.as_str(), rounds.usage.output_tokens),
            ("m0", Some(15))
        );
        assert_eq!(rounds.usage.input_tokens, None, "nobody told");
        assert_eq!(rounds.extra, [("total_tokens", 21)]);
        let kept: usize = rounds.calls.iter().map(|call| call.arguments.len()).sum();
        assert!(rounds.calls.len() == MAX_KEPT && kept <= MAX_KEPT_BYTES, "{kept}");
    }

    #[test]
    fn nothing_is_kept_where_only_counts_are_wanted() {
        let mut heard = Heard::new(Keep::Counts);
        heard.call(0, Some("id"), Some("name"), Some("{}"));
        heard.thought(0, "thinking", Some("hm"));
        assert!(heard.calls.is_empty() && heard.thoughts.is_empty());
    }
}
