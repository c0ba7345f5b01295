//! Names of tools as models are offered them: `<slug>__<tool>`, in the characters and the length every vendor takes.

/// Between the server's slug and the tool's own name. No slug contains it.
const SEPARATOR: &str = "__";

/// Longest name every vendor takes, in characters.
const MAX_CHARS: usize = 64;

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
    fn a_name_leads_back_to_its_server() {
        assert_eq!(slug("my-files__read__all"), Some("my-files"));
        assert_eq!(slug("a___private"), Some("a"));
        assert_eq!(slug("read_file"), None);
        assert_eq!(slug("__x"), None);
    }
}
