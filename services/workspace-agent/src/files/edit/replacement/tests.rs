//! Replacements as tables: content, search, replace, outcome.

use super::*;

fn once(content: &str, search: &str, replace: &str) -> Result<String, Problem> {
    apply(content, search, replace, false)
}

#[test]
fn what_occurs_once_is_replaced() {
    let cases = [
        ("abc", "b", "x", "axc"),
        ("abc", "abc", "", ""),
        ("abc", "a", "", "bc"),
        ("abc", "c", "cd", "abcd"),
        ("a\nb\nc\n", "b\n", "", "a\nc\n"),
        ("a\nb\nc\n", "b", "x\ny", "a\nx\ny\nc\n"),
        ("a\nb\nc", "\nc", "", "a\nb"),
        ("a\nb\nc\n", "a\nb\n", "b\na\n", "b\na\nc\n"),
        ("  a\n", "  a", "    a", "    a\n"),
        ("\ta\n", "\ta", "a", "a\n"),
        ("a  \nb\n", "a  \n", "a\n", "a\nb\n"),
        ("x = 1;", "1", "$1", "x = $1;"),
        ("a\\b", "\\", "/", "a/b"),
        ("größe", "ö", "oe", "groeße"),
        ("🙂x", "🙂", "", "x"),
        ("a.b", ".", "*", "a*b"),
        ("foo(bar)", "(bar)", "[bar]", "foo[bar]"),
        ("a\0b", "\0", "", "ab"),
        ("\u{feff}a", "a", "b", "\u{feff}b"),
        ("a\n\n\nb", "\n\n\n", "\n", "a\nb"),
        ("aXa", "X", "aXa", "aaXaa"),
        ("same", "same", "same", "same"),
    ];
    for (content, search, replace, expected) in cases {
        assert_eq!(
            once(content, search, replace).as_deref(),
            Ok(expected),
            "{content:?} {search:?}"
        );
    }
}

#[test]
fn what_occurs_more_than_once_is_refused_with_the_count() {
    let cases = [
        ("aa", "a", 2),
        ("a\na\na\n", "a\n", 3),
        ("abab", "ab", 2),
        ("aaaa", "aa", 2),
        ("x x x x", "x", 4),
    ];
    for (content, search, count) in cases {
        assert_eq!(
            once(content, search, "y"),
            Err(Problem::Ambiguous { count }),
            "{content:?}"
        );
    }
}

#[test]
fn replace_all_replaces_every_occurrence_and_not_what_it_put_in() {
    let cases = [
        ("aa", "a", "b", "bb"),
        ("a\na\n", "a", "aa", "aa\naa\n"),
        ("aaaa", "aa", "a", "aa"),
        ("abc", "b", "", "ac"),
        ("xyx", "x", "", "y"),
    ];
    for (content, search, replace, expected) in cases {
        assert_eq!(
            apply(content, search, replace, true).as_deref(),
            Ok(expected),
            "{content:?}"
        );
    }
}

#[test]
fn what_does_not_occur_is_refused() {
    let cases = [
        ("abc", "x"),
        ("", "a"),
        ("abc", "abcd"),
        ("Abc", "abc"),
        ("a b", "a  c"),
        ("a\nb", "b\na"),
    ];
    for (content, search) in cases {
        for replaces_all in [false, true] {
            assert_eq!(
                apply(content, search, "y", replaces_all),
                Err(Problem::NotFound),
                "{content:?} {search:?}"
            );
        }
    }
}

#[test]
fn an_empty_search_is_refused() {
    for content in ["", "abc"] {
        assert_eq!(once(content, "", "x"), Err(Problem::Empty));
        assert_eq!(apply(content, "", "x", true), Err(Problem::Empty));
    }
}

#[test]
fn new_lines_take_the_endings_of_the_file() {
    let cases = [
        // A single matched line becomes several.
        ("a\r\nb\r\nc\r\n", "b", "x\ny", "a\r\nx\r\ny\r\nc\r\n"),
        // The last line's own ending is kept as sent.
        ("a\nb\nc\n", "b", "x\r\ny", "a\nx\ny\nc\n"),
        ("a\r\nb\r\n", "a\r\nb", "x\r\ny", "x\r\ny\r\n"),
        // One line says nothing about endings.
        ("a\r\nb\r\n", "b", "y", "a\r\ny\r\n"),
        // A tie counts as LF.
        ("a\r\nb\nc", "c", "x\ny", "a\r\nb\nx\ny"),
        // Mixed endings in the replacement are meant as they are.
        ("a\nb\n", "a", "x\r\ny\nz", "x\r\ny\nz\nb\n"),
    ];
    for (content, search, replace, expected) in cases {
        assert_eq!(
            once(content, search, replace).as_deref(),
            Ok(expected),
            "{content:?} {replace:?}"
        );
    }
}

#[test]
fn changing_line_endings_on_purpose_is_possible_and_exact() {
    let cases = [
        ("a\r\nb\r\n", "a\r\nb\r\n", "a\nb\n", "a\nb\n"),
        ("a\nb\nc", "a\nb\n", "a\r\nb\r\n", "a\r\nb\r\nc"),
    ];
    for (content, search, replace, expected) in cases {
        assert_eq!(once(content, search, replace).as_deref(), Ok(expected), "{content:?}");
    }
    assert_eq!(once("a\nb\n", "a\r\nb\r\n", "a\nb\n"), Err(Problem::NotFound));
}
