//! One replacement in one text: the exact text first, then whole lines that differ in white space.
//!
//! A wrong edit costs more than a refused one: whatever is ambiguous is refused with the count of what matched.

use super::super::MAX_WRITE_BYTES;
use super::diagnosis;
use super::lines::{self, Ending};
use super::loose;
use super::splice::Endings;

/// Why a replacement was refused, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("search string must not be empty; use write_file to create or replace a whole file")]
    Empty,
    #[error(
        "search string matches {count} occurrences (expected exactly 1). Include more surrounding text to make it unique, or set \
         replace_all"
    )]
    Ambiguous { count: usize },
    #[error(
        "search string was not found. Check that white space and indentation are those of the file; read it again if it may have \
         changed.{diagnosis}"
    )]
    NotFound {
        /// What comes nearest, as a sentence that begins with a space; empty if nothing is known.
        diagnosis: String,
    },
    #[error(
        "search string was not found. Search and replacement have different line endings, so the search must match exactly, line \
         endings included"
    )]
    EndingsDiffer,
    #[error("the file would be larger than {MAX_WRITE_BYTES} bytes")]
    TooLarge,
}

/// `content` with `search` replaced.
///
/// # Errors
/// [`Problem`]; it says what to do.
pub(super) fn apply(content: &str, search: &str, replace: &str, replaces_all: bool) -> Result<String, Problem> {
    if search.is_empty() {
        return Err(Problem::Empty);
    }
    let wanted = lines::internal_ending(replace);
    let changes_endings = matches!((lines::internal_ending(search), wanted), (Some(from), Some(to)) if from != to);
    let dominant = lines::dominant_ending(content);
    let endings = Endings {
        dominant,
        forced: wanted.map(|_| dominant),
    };
    let exact = match endings.forced {
        Some(ending) if !changes_endings => with_endings(replace, ending),
        _ => replace.to_owned(),
    };
    match content.matches(search).count() {
        0 => {}
        1 => return Ok(content.replacen(search, &exact, 1)),
        count if replaces_all => {
            let size = (content.len() - count * search.len()).saturating_add(count.saturating_mul(exact.len()));
            return if size > MAX_WRITE_BYTES {
                Err(Problem::TooLarge)
            } else {
                Ok(content.replace(search, &exact))
            };
        }
        count => return Err(Problem::Ambiguous { count }),
    }
    // Whoever changes line endings means them literally.
    if changes_endings {
        return Err(Problem::EndingsDiffer);
    }
    let found = loose::apply(content, search, replace, replaces_all, endings)?;
    found.ok_or_else(|| Problem::NotFound {
        diagnosis: diagnosis::nearest(content, search).map_or_else(String::new, |text| format!(" {text}")),
    })
}

/// `text` with the endings of all lines but the last set to `ending`.
fn with_endings(text: &str, ending: Ending) -> String {
    let lines = lines::split(text);
    let last = lines.len().saturating_sub(1);
    let mut out = String::with_capacity(text.len() + lines.len());
    for (index, line) in lines.iter().enumerate() {
        out.push_str(line.lead);
        out.push_str(line.body);
        out.push_str(line.trail);
        out.push_str(if index < last {
            ending.as_str()
        } else {
            line.ending.as_str()
        });
    }
    out
}

#[cfg(test)]
mod tests;
