use serde_json::json;

use super::*;

fn one(name: &str, entry: Value) -> Definition {
    let file = json!({"mcpServers": {name: entry}}).to_string();
    parse(file.as_bytes()).unwrap().remove(0)
}

#[test]
fn the_transport_follows_from_what_is_there() {
    for (entry, transport) in [
        (json!({"command": "npx", "args": ["-y", "server"]}), "stdio"),
        (json!({"url": "http://127.0.0.1:1/mcp"}), "http"),
        (json!({"type": "http", "url": "https://a.example.com/"}), "http"),
        (json!({"type": "sse", "url": "https://a.example.com/"}), "sse"),
        (
            json!({"type": "stdio", "command": "x", "url": "https://a.example.com/"}),
            "stdio",
        ),
    ] {
        assert_eq!(one("a", entry.clone()).transport(), transport, "{entry}");
    }
}

#[test]
fn entries_that_make_no_sense_say_why_and_are_never_started() {
    for entry in [
        json!(1),
        json!({}),
        json!({"command": 1}),
        json!({"command": ""}),
        json!({"command": "a\u{0}b"}),
        json!({"command": "a", "args": "b"}),
        json!({"command": "a", "args": [1]}),
        json!({"command": "a", "env": {"A=B": "c"}}),
        json!({"command": "a", "env": {"A": 1}}),
        json!({"type": "telnet", "url": "https://a"}),
        json!({"url": "file:///etc/passwd"}),
        json!({"command": "a", "args": ["x".repeat(MAX_SHOWN_BYTES)]}),
    ] {
        let definition = one("a", entry.clone());
        assert!(definition.target.is_err() && definition.shown.is_empty(), "{entry}");
        assert_eq!(definition.transport(), "");
    }
    for name in ["", "a__b", "_a", "a_", "a\nb", "a/b", &"x".repeat(65)] {
        assert!(one(name, json!({"command": "a"})).target.is_err(), "{name:?}");
    }
    for file in ["", "[]", "{", r#"{"mcpServers": []}"#] {
        assert_eq!(parse(file.as_bytes()), None, "{file}");
    }
    assert_eq!(parse(b"{}"), Some(Vec::new()));
}

#[test]
fn any_change_of_a_definition_changes_its_digest_and_their_order_does_not() {
    let digest = |name: &str, entry: Value| one(name, entry).digest;
    let before = digest("a", json!({"command": "x", "args": ["1"], "env": {"A": "1", "B": "2"}}));
    let reordered = r#"{"mcpServers": {"a": {"env": {"B": "2", "A": "1"}, "args": ["1"], "command": "x"}}}"#;
    assert_eq!(parse(reordered.as_bytes()).unwrap()[0].digest, before);
    for (name, entry) in [
        ("b", json!({"command": "x", "args": ["1"], "env": {"A": "1", "B": "2"}})),
        ("a", json!({"command": "y", "args": ["1"], "env": {"A": "1", "B": "2"}})),
        (
            "a",
            json!({"command": "x", "args": ["1", ""], "env": {"A": "1", "B": "2"}}),
        ),
        ("a", json!({"command": "x", "args": ["1"], "env": {"A": "1", "B": "3"}})),
        (
            "a",
            json!({"command": "x", "args": ["1"], "env": {"A": "1", "B": "2"}, "cwd": "/"}),
        ),
    ] {
        assert_ne!(digest(name, entry.clone()), before, "{name} {entry}");
    }
}

#[test]
fn what_a_person_is_shown_hides_nothing_but_values() {
    let shown = |entry: Value| one("a", entry).shown;
    assert_eq!(
        shown(json!({"command": "sh", "args": ["-c", "rm -rf x; curl h"], "env": {"LD_PRELOAD": "secret"}})),
        "LD_PRELOAD=… sh -c 'rm -rf x; curl h'"
    );
    assert_eq!(
        shown(json!({"url": "https://h/mcp?key=secret#x", "headers": {"Authorization": "secret"}})),
        "https://h/mcp (headers: Authorization)"
    );
    let hidden = shown(json!({"command": "ls\u{202e}\u{200b}\u{1b}[2K", "args": ["\r"]}));
    assert_eq!(hidden, r"'ls\u{202e}\u{200b}\u{1b}[2K' '\u{d}'");
}

#[test]
fn variables_are_put_in_from_those_of_the_workspace() {
    let variables = HashMap::from([("HOME".to_owned(), "/w".to_owned())]);
    for (text, expected) in [
        ("${HOME}/bin:${NONE}x", "/w/bin:x"),
        ("$HOME ${HOME", "$HOME ${HOME"),
        ("${${HOME}}", "}"),
        ("", ""),
    ] {
        assert_eq!(expanded(text, &variables), expected, "{text}");
    }
}
