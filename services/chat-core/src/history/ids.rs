//! Call ids that every vendor accepts and that occur once in a prompt.
//!
//! Owns the renaming. Ids that are good already stay as they are.

use std::collections::{HashMap, HashSet};

use crate::id::ToolCallId;

/// Leaves room for a suffix within [`ToolCallId::MAX_BYTES`].
const MAX_STEM_BYTES: usize = 232;

/// The ids given out so far in one prompt.
#[derive(Default)]
pub(super) struct CallIds {
    used: HashSet<String>,
    /// The next suffix to try for an id that was wanted more than once, so that many repetitions stay cheap.
    suffixes: HashMap<String, u64>,
}

impl CallIds {
    /// Keeps ids that cannot be renamed from being given out.
    pub(super) fn reserve<'a>(&mut self, ids: impl Iterator<Item = &'a ToolCallId>) {
        self.used.extend(ids.map(|id| id.as_str().to_owned()));
    }

    /// The id itself if it is well-formed and new, else the nearest one that is.
    pub(super) fn unique(&mut self, id: &ToolCallId) -> ToolCallId {
        let plain: String = id.as_str().chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if self.used.insert(plain.clone()) {
            return checked(plain);
        }
        let stem: String = plain.chars().take(MAX_STEM_BYTES).collect();
        let next = self.suffixes.entry(stem.clone()).or_insert(2);
        loop {
            let candidate = format!("{stem}_{next}");
            *next += 1;
            if self.used.insert(candidate.clone()) {
                return checked(candidate);
            }
        }
    }
}

/// Whether every vendor takes the character in an id or a name.
pub(super) fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

fn checked(id: String) -> ToolCallId {
    ToolCallId::new(id).expect("a plain id is not empty, and stem and suffix fit the limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ids_stay_and_others_get_near_ones() {
        let mut ids = CallIds::default();
        let mut unique = |id: &str| ids.unique(&ToolCallId::new(id).unwrap()).to_string();
        assert_eq!(unique("call_1"), "call_1");
        assert_eq!(unique("call_1"), "call_1_2");
        assert_eq!(unique("call_1_2"), "call_1_2_2");
        assert_eq!(unique("call_1"), "call_1_3");
        assert_eq!(unique("functions.ls:0"), "functions_ls_0");
        assert_eq!(unique("é"), "_");
        assert_eq!(unique(&"x".repeat(256)).len(), 256);
        assert_eq!(unique(&"x".repeat(256)).len(), 234);
    }
}
