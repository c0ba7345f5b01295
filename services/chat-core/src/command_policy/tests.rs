//! Commands and what must be said of them.

use proptest::prelude::*;

use super::*;

mod bypasses;
mod destructive;
mod hostile;
mod ordinary;
mod splitting;

fn is_harmless(command: &str) -> bool {
    classify(command) == Verdict::Harmless
}

/// Nobody may allow it, or is told that it runs what it downloads.
fn is_forbidden(command: &str) -> bool {
    matches!(
        classify(command),
        Verdict::Forbidden(_) | Verdict::Unknown(Reason::RunsDownload)
    )
}

#[test]
fn the_bounds_are_kept() {
    let padded = |length: usize| format!("ls {}", "a".repeat(length - 3));
    assert!(is_harmless(&padded(MAX_COMMAND_BYTES)));
    assert_eq!(
        classify(&padded(MAX_COMMAND_BYTES + 1)),
        Verdict::Unknown(Reason::TooLong)
    );
    assert!(is_harmless(&"ls ".repeat(MAX_WORDS)));
    assert_eq!(
        classify(&"ls ".repeat(MAX_WORDS + 1)),
        Verdict::Unknown(Reason::TooLong)
    );
    for one in [
        "$(",
        "`",
        "\"$(",
        "(",
        "{ ",
        "${",
        "$((",
        "\\",
        "'",
        "\"",
        "<<a ",
        "<(",
        "if ",
        "! ",
        "a|",
        "a&",
        "*",
        "~",
        "sudo ",
        "find -exec ",
        "sh -c '",
        "xargs ",
        "f()",
        "\\\n",
        "\"`",
        "#",
        "eval ",
        "env -S ",
    ] {
        let many = one.repeat(MAX_COMMAND_BYTES / one.len());
        assert!(!is_harmless(&many) || one == "#" || one == "!", "{one:?}");
    }
}

#[test]
fn scripts_in_scripts_are_read_to_a_depth() {
    let nested = |depth: usize| {
        (0..depth).fold("rm -rf /".to_owned(), |inner, _| {
            format!("sh -c '{}'", inner.replace('\'', "'\\''"))
        })
    };
    for depth in 0..=6 {
        assert!(is_forbidden(&nested(depth)), "{depth}");
    }
    assert!(matches!(classify(&nested(MAX_DEPTH + 2)), Verdict::Unknown(_)));
}

#[test]
fn reasons_are_sentences_for_people() {
    let strange = "x\u{202E}".repeat(300);
    for command in [
        "a b",
        "sort -o x",
        "git diff",
        "cargo --version",
        "test -v x",
        "rm -rf /",
        "a\u{202E}",
        &strange,
        "./'a b'",
        "\\ls",
    ] {
        let (Verdict::Unknown(reason) | Verdict::Forbidden(reason)) = classify(command) else {
            panic!("{command:?} is harmless");
        };
        let text = reason.to_string();
        assert!(text.starts_with("It ") && !text.ends_with('.'), "{text}");
        assert!(
            text.is_ascii() && text.len() <= 120 && !text.contains(char::is_control),
            "{text}"
        );
    }
    let long = Reason::program(&"n".repeat(1000)).to_string();
    assert_eq!(
        long,
        "It runs a program with an unusual name, which is not known to be harmless"
    );
}

#[test]
fn a_command_in_the_root_directory_means_what_is_there() {
    assert!(matches!(classify_in("rm -rf *", true), Verdict::Forbidden(_)));
    assert!(matches!(classify_in("rm -rf *", false), Verdict::Unknown(_)));
    assert!(matches!(classify_in("cd build && rm -rf *", true), Verdict::Unknown(_)));
    assert_eq!(classify_in("ls *", true), Verdict::Harmless);
}

/// Pieces that mean something to a shell, so that texts of them come near to commands.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "ls",
            "cat",
            "git",
            "rm",
            "-rf",
            "/",
            "$",
            "(",
            ")",
            "{",
            "}",
            "'",
            "\"",
            "\\",
            "`",
            ";",
            "&",
            "|",
            "<",
            ">",
            "\n",
            " ",
            "\t",
            "*",
            "?",
            "[",
            "]",
            "~",
            "#",
            "=",
            "!",
            "-",
            "--",
            "sh",
            "-c",
            "if",
            "then",
            "fi",
            "case",
            "in",
            "esac",
            "for",
            "do",
            "done",
            "<<",
            "EOF",
            "$HOME",
            "${",
            "$((",
            "))",
            "eval",
            "sudo",
            "env",
            "-S",
            "find",
            "-exec",
            "xargs",
            "test",
            "printf",
            "%n",
            "sed",
            "1p",
            "curl",
            "/dev/null",
            "2>&1",
            "a",
            "1",
            "..",
            "é",
            "\u{202E}",
            "\0",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

/// Where a shell ignores something: in a word, spaces beside spaces, lines before and behind.
fn with_noise(command: &str, choices: &[u8]) -> String {
    let mut noisy = String::from(match choices.first() {
        Some(0..64) => "\n",
        Some(64..128) => " \t\n ",
        _ => "",
    });
    // A keyword in quotes is none, and the end of a here-document has to be as it was announced.
    let is_fragile = ["if ", "for ", "while ", "until ", "case ", "function ", "select ", "<<"]
        .iter()
        .any(|part| command.contains(part));
    let (mut quote, mut is_name, mut before) = (None, false, ' ');
    for (c, choice) in command.chars().zip(choices.iter().cycle()) {
        let is_in_word =
            !is_fragile && quote.is_none() && !is_name && before.is_ascii_alphanumeric() && c.is_ascii_alphanumeric();
        match choice {
            0..20 if is_in_word => noisy.push_str("''"),
            20..40 if is_in_word => noisy.push_str("\"\""),
            40..60 if is_in_word => noisy.push('\\'),
            60..80 if is_in_word => noisy.push_str("\\\n"),
            80..160 if quote.is_none() && c == ' ' && before != '\\' => noisy.push_str(" \t"),
            _ => {}
        }
        noisy.push(c);
        match (c, quote) {
            _ if before == '\\' && quote != Some('\'') => {}
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if open == c => quote = None,
            _ => {}
        }
        is_name =
            quote.is_none() && (matches!(c, '$' | '{' | '<') || (is_name && (c.is_ascii_alphanumeric() || c == '_')));
        // A backslash that is escaped escapes nothing.
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    if choices.last().is_some_and(|choice| *choice < 128) && !command.ends_with('\\') {
        noisy.push_str(" \n");
    }
    noisy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_text_gets_a_verdict(text in any::<String>(), pieces in proptest::collection::vec(piece(), 0..60)) {
        classify(&text);
        classify(&pieces.concat());
        classify(&pieces.join(" "));
    }

    /// Two commands are as harmless as the less harmless one.
    #[test]
    fn a_command_beside_a_harmless_one_stays_what_it_is(
        pieces in proptest::collection::vec(piece(), 0..12),
        between in proptest::sample::select(vec![" ; ", " && ", " | ", "\n", " & "]),
    ) {
        let command = pieces.concat();
        let verdict = classify(&command);
        // Nothing beside something is nothing.
        prop_assume!(!matches!(verdict, Verdict::Harmless | Verdict::Unknown(Reason::Empty)));
        prop_assert!(!is_harmless(&format!("ls{between}{command}")), "{command:?}");
    }

    #[test]
    fn s28_noise_that_a_shell_ignores_makes_nothing_harmless(
        command in proptest::sample::select([bypasses::TABLE, destructive::TABLE].concat()),
        choices in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        let noisy = with_noise(command, &choices);
        prop_assert!(!is_harmless(&noisy), "{noisy:?}");
    }

    #[test]
    fn s28_noise_hides_nothing_that_is_forbidden(
        command in proptest::sample::select(destructive::TABLE),
        choices in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        let noisy = with_noise(command, &choices);
        prop_assert!(is_forbidden(&noisy), "{noisy:?}");
    }
}
