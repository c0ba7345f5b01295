//! What a skill is: a name, a description and a body in one Markdown text with front matter.
//!
//! Reads of YAML what front matter uses: `key: value` lines, quoted values and blocks (`|`, `>`). Other keys are passed over.

use super::clean;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Longest description the model is shown, in bytes; longer ones of workspaces are cut.
pub const MAX_DESCRIPTION_BYTES: usize = 1_024;

/// Longest description of a personal skill, in bytes.
pub const MAX_PERSONAL_DESCRIPTION_BYTES: usize = 4_096;

/// Longest text with its front matter, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Skills of one user.
pub const MAX_PERSONAL: usize = 100;

const FENCE: &str = "---";

/// A skill's text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// A proven name.
    pub name: String,
    /// One line; may be empty.
    pub description: String,
    /// What follows the front matter, as it is, without blank lines around it.
    pub body: String,
}

/// Why a text is no skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No front matter at the beginning, or one that never ends.
    #[error("must begin with front matter between two lines of ---")]
    NoFrontMatter,
    /// The front matter has no name.
    #[error("must have a name in its front matter")]
    NoName,
    /// The name is none.
    #[error("must have a name of words of a-z and 0-9 with single hyphens between them, at most 256 bytes")]
    Name,
}

/// Whether this may be a skill's name: words of `a-z` and `0-9` with single hyphens between them.
pub fn is_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= MAX_NAME_BYTES && name.split('-').all(is_word)
}

/// Whether this may name a file of a skill's directory: relative, going nowhere up, and through nothing hidden.
pub fn is_file_path(path: &str) -> bool {
    let is_proper = |component: &str| !component.is_empty() && !component.starts_with('.');
    !path.contains('\0') && path.trim_end_matches('/').split('/').all(is_proper)
}

/// Takes a skill's text apart. The description is made one line and is not cut.
///
/// # Errors
/// [`Invalid`] says what is wrong with its front matter.
pub fn parse(text: &str) -> Result<Skill, Invalid> {
    let text = text
        .trim_start_matches('\u{FEFF}')
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut lines = text.split_inclusive('\n');
    let is_fence = |line: &str| line.trim_end() == FENCE;
    let first = lines
        .next()
        .filter(|line| is_fence(line))
        .ok_or(Invalid::NoFrontMatter)?;
    let mut front = Vec::new();
    let mut length = first.len();
    loop {
        let line = lines.next().ok_or(Invalid::NoFrontMatter)?;
        length += line.len();
        if is_fence(line) {
            break;
        }
        front.push(line.trim_end_matches('\n'));
    }
    let name = value(&front, "name").ok_or(Invalid::NoName)?;
    if !is_name(&name) {
        return Err(Invalid::Name);
    }
    let description = value(&front, "description").unwrap_or_default();
    Ok(Skill {
        name,
        description: clean::line(&description, usize::MAX),
        body: text[length..].trim().to_owned(),
    })
}

/// The text that [`parse`] takes apart into these.
pub fn compose(name: &str, description: &str, body: &str) -> String {
    let description = match description.is_empty() {
        true => String::new(),
        // JSON's strings are YAML's.
        false => format!("description: {}\n", serde_json::Value::from(description)),
    };
    format!("{FENCE}\nname: {name}\n{description}{FENCE}\n\n{body}\n")
}

/// The value of a key on the outermost level; the first one counts.
fn value(lines: &[&str], key: &str) -> Option<String> {
    let place = lines.iter().position(|line| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    })?;
    let raw = lines[place].split_once(':').map_or("", |(_, value)| value).trim();
    let inner: Vec<&str> = lines[place + 1..]
        .iter()
        .take_while(|line| line.is_empty() || line.starts_with([' ', '\t']))
        .map(|line| line.trim())
        .collect();
    if raw.is_empty() || raw.starts_with(['|', '>']) {
        return Some(inner.join("\n").trim().to_owned());
    }
    let whole = std::iter::once(raw).chain(inner).collect::<Vec<_>>().join(" ");
    Some(unquoted(whole.trim()))
}

fn unquoted(raw: &str) -> String {
    if let Some(inner) = raw.strip_prefix('\'').and_then(|raw| raw.strip_suffix('\'')) {
        return inner.replace("''", "'");
    }
    if raw.starts_with('"') {
        return serde_json::from_str(raw).unwrap_or_else(|_| raw.trim_matches('"').to_owned());
    }
    // A comment begins behind a blank.
    raw.split_once(" #")
        .map_or(raw, |(value, _)| value.trim_end())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_single_hyphens() {
        for name in ["a", "release-notes", "x2-3"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for name in [
            "",
            "-a",
            "a-",
            "a--b",
            "A",
            "a_b",
            "../x",
            "a/b",
            "a b",
            "ä",
            ".",
            long.as_str(),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn file_paths_stay_in_the_skill_and_out_of_what_is_hidden() {
        for path in ["a.md", "scripts/run.sh", "a b/c"] {
            assert!(is_file_path(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            ".git/config",
            "a/.env",
            "a//b",
            "a\0b",
        ] {
            assert!(!is_file_path(path), "{path:?}");
        }
    }

    #[test]
    fn front_matter_gives_name_description_and_body() {
        let text = "---\r\nname: release-notes\r\ndescription: Write them well # always\r\nlicense: MIT\r\n---\r\n\r\n# Steps\r\none\r\n";
        let skill = parse(text).unwrap();
        assert_eq!(skill.name, "release-notes");
        assert_eq!(skill.description, "Write them well");
        assert_eq!(skill.body, "# Steps\none");
    }

    #[test]
    fn descriptions_may_be_quoted_folded_or_missing() {
        let description = |yaml: &str| parse(&format!("---\nname: a\n{yaml}---\nbody")).unwrap().description;
        assert_eq!(description("description: \"a: \\\"b\\\" # c\"\n"), "a: \"b\" # c");
        assert_eq!(description("description: 'it''s'\n"), "it's");
        assert_eq!(description("description: >-\n  one\n  two\nother: x\n"), "one two");
        assert_eq!(description("description: one\n  two\n"), "one two");
        assert_eq!(description("metadata:\n  description: inner\n"), "");
    }

    #[test]
    fn what_is_no_skill_says_why() {
        assert_eq!(parse("# no front matter"), Err(Invalid::NoFrontMatter));
        assert_eq!(parse("---\nname: a\nnever ends"), Err(Invalid::NoFrontMatter));
        assert_eq!(parse("---\ndescription: b\n---\n"), Err(Invalid::NoName));
        assert_eq!(parse("---\nname: ../../etc\n---\n"), Err(Invalid::Name));
    }

    #[test]
    fn a_composed_text_is_taken_apart_into_the_same() {
        let (name, description, body) = ("a-b", "say: \"x\" # y", "# Body\n\n- one");
        let skill = parse(&compose(name, description, body)).unwrap();
        assert_eq!(
            (skill.name.as_str(), skill.description.as_str(), skill.body.as_str()),
            (name, description, body)
        );
    }
}
