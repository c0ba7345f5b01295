//! Names of tools as models are offered them: `<slug>__<tool>`, in the characters and the length every vendor takes.

use sha2::{Digest, Sha256};

/// Between the server's slug and the tool's own name. No slug contains it.
const SEPARATOR: &str = "__";

/// Longest name every vendor takes, in characters.
const MAX_CHARS: usize = 64;

/// Characters of a digest that tell two names apart.
const DIGEST_CHARS: usize = 6;

/// The name under which a server's tool is offered. Two tools may get the same one: the server's own names are longer and richer.
pub(crate) fn offered(slug: &str, tool: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let name = slug.chars().chain(SEPARATOR.chars()).chain(tool.chars());
    name.map(plain).take(MAX_CHARS).collect()
}

/// The same for a tool whose name is taken: with a part that depends on the server's own name for it.
pub(crate) fn told_apart(slug: &str, tool: &str) -> String {
    let digest = hex::encode(Sha256::digest(tool.as_bytes()));
    let tail: String = digest.chars().take(DIGEST_CHARS).collect();
    let head: String = offered(slug, tool).chars().take(MAX_CHARS - DIGEST_CHARS - 1).collect();
    format!("{head}_{tail}")
}

/// The slug of the server whose tool is offered as `name`; `None` for tools of our own.
pub(crate) fn slug(name: &str) -> Option<&str> {
    name.split_once(SEPARATOR)
        .map(|(slug, _)| slug)
        .filter(|slug| !slug.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_and_the_length_every_vendor_takes() {
        assert_eq!(offered("files", "read_file"), "files__read_file");
        assert_eq!(offered("my-files", "Größe/lesen.v2"), "my-files__Gr__e_lesen_v2");
        assert_eq!(offered("a", &"x".repeat(100)), format!("a__{}", "x".repeat(61)));
    }

    #[test]
    fn names_that_are_taken_get_a_tail_of_their_own() {
        let long = "x".repeat(100);
        assert_ne!(told_apart("a", "b.c"), told_apart("a", "b_c"));
        assert_eq!(told_apart("a", &long).chars().count(), MAX_CHARS);
        assert_eq!(told_apart("a", "b"), told_apart("a", "b"));
    }

    #[test]
    fn a_name_leads_back_to_its_server() {
        assert_eq!(slug("my-files__read__all"), Some("my-files"));
        assert_eq!(slug("a___private"), Some("a"));
        assert_eq!(slug("read_file"), None);
        assert_eq!(slug("__x"), None);
    }
}
