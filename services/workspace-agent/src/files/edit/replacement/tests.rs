//! Replacements: a table of cases in a file, and what holds for all of them.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// One line a case. `expect` is the text afterwards, `error` a part of the refusal; each has one of them.
const CASES: &str = include_str!("cases.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    content: String,
    edits: Vec<Sent>,
    expect: Option<String>,
    error: Option<String>,
}

/// Search, replacement, and whether all are meant.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sent {
    Once(String, String),
    Each(String, String, bool),
}

fn run(case: &Case) -> Result<String, String> {
    let mut text = case.content.clone();
    for (index, edit) in case.edits.iter().enumerate() {
        let (search, replace, replaces_all) = match edit {
            Sent::Once(search, replace) => (search, replace, false),
            Sent::Each(search, replace, all) => (search, replace, *all),
        };
        text =
            apply(&text, search, replace, replaces_all).map_err(|problem| format!("edit {}: {problem}", index + 1))?;
    }
    Ok(text)
}

#[test]
fn every_case_of_the_table_comes_out_as_written() {
    let cases: Vec<Case> = CASES
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert!(cases.len() >= 150, "{}", cases.len());
    let wrong = cases.iter().filter_map(|case| {
        let outcome = run(case);
        let is_right = match (&outcome, &case.expect, &case.error) {
            (Ok(text), Some(expected), None) => text == expected,
            (Err(text), None, Some(part)) => text.contains(part),
            _ => false,
        };
        (!is_right).then(|| {
            format!(
                "{}: {outcome:?} instead of {:?}{:?}",
                case.name, case.expect, case.error
            )
        })
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn results_beyond_the_bound_are_refused_before_they_are_made() {
    let content = "a".repeat(1024 * 1024);
    assert_eq!(
        apply(&content, "a", &"b".repeat(1024 * 1024), true),
        Err(Problem::TooLarge)
    );
    // One long indentation, and many new lines that would all take it over.
    let content = format!("{}a\n", " ".repeat(1024 * 1024));
    let replace = format!("a\n{}", "b\n".repeat(100_000));
    assert_eq!(apply(&content, "a \n", &replace, false), Err(Problem::TooLarge));
}

#[test]
fn a_search_of_many_lines_in_a_large_file_is_quick_enough_to_wait_for() {
    // Every window fits but for its last line: the worst for comparisons that begin again.
    let content = "x \n".repeat(200_000);
    let search = format!("{}y\n", "x\n".repeat(100_000));
    assert!(matches!(
        apply(&content, &search, "z\n", false),
        Err(Problem::NotFound { .. })
    ));
}

/// A line with something on it that no other line of the file says.
fn line(number: usize) -> impl Strategy<Value = String> {
    ("[ \t]{0,4}", "[a-c(){};= ]{0,6}", "[ \t]{0,2}")
        .prop_map(move |(lead, body, trail)| format!("{lead}<{number}>{}.{trail}", body.trim()))
}

/// Lines of a file, and which of them are searched for.
fn file() -> impl Strategy<Value = (Vec<String>, std::ops::Range<usize>)> {
    (2_usize..12).prop_flat_map(|count| {
        let lines: Vec<_> = (0..count).map(line).collect();
        (lines, 0..count, 1..=count).prop_map(move |(lines, start, length)| (lines, start..count.min(start + length)))
    })
}

/// The same line with other white space around it.
fn reworded(line: &str, lead: &str, trail: &str) -> String {
    format!("{lead}{}{trail}", line.trim_matches([' ', '\t']))
}

fn joined(lines: &[String], ending: &str) -> String {
    lines.iter().map(|line| format!("{line}{ending}")).collect()
}

proptest! {
    #[test]
    fn an_exact_unique_replacement_of_a_part_is_plain_replacement(
        before in "[a-z \n]{0,40}", after in "[a-z \n]{0,40}", search in "#[A-Z]{1,8}#", replace in "[a-z \t]{0,20}",
    ) {
        let content = format!("{before}{search}{after}");
        let expected = content.replacen(&search, &replace, 1);
        prop_assert_eq!(apply(&content, &search, &replace, false), Ok(expected));
    }

    #[test]
    fn replacing_all_exact_occurrences_is_plain_replacement(
        parts in prop::collection::vec("[a-z \n]{0,10}", 2..6), replace in "[a-z\t]{0,8}",
    ) {
        let content = parts.join("#");
        prop_assert_eq!(apply(&content, "#", &replace, true), Ok(parts.join(&replace)));
    }

    #[test]
    fn replacing_text_by_itself_changes_nothing((lines, range) in file(), is_crlf in any::<bool>()) {
        let content = joined(&lines, if is_crlf { "\r\n" } else { "\n" });
        let search = joined(&lines[range], "\n");
        prop_assert_eq!(apply(&content, &search, &search, false), Ok(content));
    }

    #[test]
    fn whatever_white_space_a_search_has_lines_it_keeps_stay_as_they_are(
        (lines, range) in file(), leads in prop::collection::vec("[ \t]{0,4}", 12), trail in "[ \t]{0,2}",
    ) {
        let content = joined(&lines, "\n");
        let loose: Vec<String> =
            range.clone().map(|index| reworded(&lines[index], &leads[index], &trail)).collect();
        let search = joined(&loose, "\n");
        prop_assert_eq!(apply(&content, &search, &search, false), Ok(content));
    }

    #[test]
    fn lines_that_are_not_matched_are_not_touched(
        (lines, range) in file(), lead in "[ \t]{0,4}", new in prop::collection::vec("[ \t]{0,3}[x-z]{1,4}", 0..5), is_crlf in any::<bool>(),
    ) {
        let ending = if is_crlf { "\r\n" } else { "\n" };
        let loose: Vec<String> = lines[range.clone()].iter().map(|line| reworded(line, &lead, "")).collect();
        let edited = apply(&joined(&lines, ending), &joined(&loose, "\n"), &joined(&new, "\n"), false).unwrap();
        let (before, after) = (joined(&lines[..range.start], ending), joined(&lines[range.end..], ending));
        prop_assert!(edited.starts_with(&before) && edited.ends_with(&after), "{:?}", edited);
        let middle = &edited[before.len()..edited.len() - after.len()];
        // An exact match begins behind the indentation, which stays.
        let words: Vec<&str> = middle.lines().map(str::trim).filter(|word| !word.is_empty()).collect();
        let meant: Vec<&str> = new.iter().map(|line| line.trim()).collect();
        prop_assert_eq!(words, meant);
    }

    #[test]
    fn a_file_with_crlf_alone_keeps_crlf_alone(
        (lines, range) in file(), new in prop::collection::vec("[ \t]{0,3}[x-z]{1,4}", 0..5), ends in any::<bool>(),
    ) {
        let mut search = joined(&lines[range], "\n");
        let mut replace = joined(&new, "\n");
        if !ends {
            search.pop();
            replace.pop();
        }
        let edited = apply(&joined(&lines, "\r\n"), &search, &replace, false).unwrap();
        prop_assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count(), "{:?}", edited);
    }

    #[test]
    fn a_line_inserted_one_level_deeper_is_one_level_deeper_in_the_file(
        depth in 0_usize..6, width in 1_usize..9, search_width in 1_usize..9, uses_tabs in any::<bool>(), deeper in 0_usize..4,
    ) {
        let unit = if uses_tabs { "\t".to_owned() } else { " ".repeat(width) };
        // The model writes from the margin on, in units of its own.
        let sent = " ".repeat(search_width);
        let content = format!("{}a\n{}b\n", unit.repeat(depth), unit.repeat(depth + 1));
        let search = format!("{sent}a\n{sent}{sent}b\n");
        let replace = format!("{search}{}c\n", sent.repeat(2 + deeper));
        // What is found exactly is meant exactly.
        prop_assume!(!content.contains(&search));
        let edited = apply(&content, &search, &replace, false).unwrap();
        prop_assert_eq!(edited, format!("{content}{}c\n", unit.repeat(depth + 1 + deeper)));
    }

    #[test]
    fn no_text_makes_an_edit_panic(content in "[ab \t\r\n]{0,30}", search in "[ab \t\r\n]{0,10}", replace in "[ab \t\r\n]{0,10}", all in any::<bool>()) {
        let _ = apply(&content, &search, &replace, all);
    }
}
