//! The programs a shell command starts, for clients that name them on a card. A hint only: nothing is decided by it.

/// Commands looked at, and their letters.
const MAX_COMMANDS: usize = 32;
const MAX_BYTES: usize = 16 * 1024;

/// `[program]` or `[program, first argument]` of each simple command of `line`.
///
/// Commands end at `;`, `&`, `|` and line ends outside quotes; assignments in front of a program are skipped.
pub fn parse(line: &str) -> Vec<Vec<String>> {
    let line = &line[..line.floor_char_boundary(MAX_BYTES)];
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, ';' | '&' | '|' | '\n') => {
                words.extend(word.take());
                finish(&mut commands, &mut words);
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word.take());
    finish(&mut commands, &mut words);
    commands.truncate(MAX_COMMANDS);
    commands
}

fn finish(commands: &mut Vec<Vec<String>>, words: &mut Vec<String>) {
    let command: Vec<String> = std::mem::take(words)
        .into_iter()
        .skip_while(|word| is_assignment(word))
        .take(2)
        .collect();
    if !command.is_empty() {
        commands.push(command);
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|letter: char| letter.is_ascii_digit())
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_between_operators() {
        let table: [(&str, &[&[&str]]); 6] = [
            ("ls", &[&["ls"]]),
            ("git status --short", &[&["git", "status"]]),
            (
                "cd /tmp && A=1 make test | tail -n 5",
                &[&["cd", "/tmp"], &["make", "test"], &["tail", "-n"]],
            ),
            ("echo 'a; b' \"c && d\"; true", &[&["echo", "a; b"], &["true"]]),
            ("printf a\\;b", &[&["printf", "a;b"]]),
            (" ;; ", &[]),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line), expected, "{line}");
        }
    }
}
