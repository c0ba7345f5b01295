//! Words are what the shell makes of them: the same texts, split here and by `/bin/sh`.

use std::process::{Command, Stdio};

use crate::command_policy::parse;

#[test]
fn words_are_split_as_the_shell_splits_them() {
    let texts = [
        "a b  c",
        "a\tb",
        "'a b' c",
        r#""a b" c"#,
        r"a\ b c",
        r#"a'b'"c"d"#,
        "'' a ''",
        r#""" a"#,
        r#"'"' "'""#,
        r#""a\"b\\c\$d\`e""#,
        r#""a\nb\'c""#,
        r"'a\b\'",
        r"\a\b\\",
        r#"a\"b"#,
        "a # b",
        "a#b c",
        "'#' a",
        r"\# a",
        "a '\n' b",
        "\"a\nb\"",
        r#""a$" "$ b" "a$|b""#,
        r"'$HOME' \$HOME",
        "a=b c=d",
        "a~b ~/ ''~",
        "{} a{}",
        "-- -a --b=c",
        "%s %d ^ @ + , : . /",
        r"\* '*' \? \[a]",
        "ä ö 'ü'",
        "! a",
        "if then fi",
        "1 2 '3'",
    ];
    for text in texts {
        let script = parse::script(&format!("x {text}"), 0);
        let [command] = script.commands.as_slice() else {
            panic!("{text:?} is one command");
        };
        let home = |word: &parse::Word| match word.text.strip_prefix('~').filter(|_| word.is_home) {
            Some(rest) => format!("/h{rest}"),
            None => word.text.clone(),
        };
        let ours: Vec<String> = command.words.iter().skip(1).map(home).collect();
        let shell = Command::new("/bin/sh")
            .args(["-c", &format!("printf '%s\\0' {text}")])
            .env("HOME", "/h")
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        let output = String::from_utf8(shell.stdout).expect("the shell gives back what it was given");
        let theirs: Vec<&str> = output.strip_suffix('\0').unwrap_or(&output).split('\0').collect();
        assert_eq!(ours, theirs, "{text:?}");
    }
}
