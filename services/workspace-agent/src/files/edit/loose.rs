//! The second and third try at a replacement: whole lines that differ from the search in white space and line endings alone.
//!
//! Such a search was copied from what a tool showed, or written from memory. What it does not change keeps the file's white space.

use std::collections::HashMap;

use super::super::MAX_WRITE_BYTES;
use super::lines::{self, Line};
use super::replacement::Problem;
use super::splice::{Endings, Splice};

/// `content` with the lines of `search` replaced by those of `replace`.
///
/// * returns `None` where the lines of `search` are nowhere.
pub(super) fn apply(
    content: &str,
    search: &str,
    replace: &str,
    replaces_all: bool,
    endings: Endings,
) -> Result<Option<String>, Problem> {
    let lines = lines::split_content(content);
    let searched = lines::split(search);
    let replaced = lines::split(replace);
    let matches = find(&lines, &searched);
    match matches.len() {
        0 => return Ok(None),
        1 => {}
        _ if replaces_all => {}
        count => return Err(Problem::Ambiguous { count }),
    }
    let splice = Splice::new(&searched, &replaced, endings);
    let mut out = String::with_capacity(content.len() + replace.len());
    let mut next = 0;
    for start in matches {
        for line in &lines[next..start] {
            push(&mut out, line);
        }
        next = start + searched.len();
        // Each line is checked as it comes: much that is new can hang on one long indentation.
        for line in splice.lines(&lines[start..next], &lines[next..]) {
            push(&mut out, &line.as_line());
            if out.len() > MAX_WRITE_BYTES {
                return Err(Problem::TooLarge);
            }
        }
    }
    for line in &lines[next..] {
        push(&mut out, line);
    }
    Ok(Some(out))
}

/// Where `searched` begins in `lines`, left to right and without overlap. White space at the end of lines may differ first; only if
/// nothing is found that way, indentation may too.
fn find(lines: &[Line<'_>], searched: &[Line<'_>]) -> Vec<usize> {
    let found = find_by(lines, searched, |line| {
        // White space is all a blank line has.
        let lead = if line.body.is_empty() { "" } else { line.lead };
        (lead, line.body)
    });
    if found.is_empty() {
        find_by(lines, searched, |line| ("", line.body))
    } else {
        found
    }
}

/// The same for lines that are alike when their keys are. Linear in both, whatever repeats in them.
///
/// Source: Knuth, Morris and Pratt 1977.
fn find_by<'a>(lines: &[Line<'a>], searched: &[Line<'a>], key: impl Fn(&Line<'a>) -> (&'a str, &'a str)) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let wanted: Vec<usize> = searched
        .iter()
        .map(|line| {
            let next = numbers.len();
            *numbers.entry(key(line)).or_insert(next)
        })
        .collect();
    // How much of the beginning is also the end of the first so many lines.
    let mut borders = vec![0; wanted.len()];
    let mut length = 0;
    for index in 1..wanted.len() {
        while length > 0 && wanted[index] != wanted[length] {
            length = borders[length - 1];
        }
        length += usize::from(wanted[index] == wanted[length]);
        borders[index] = length;
    }
    let mut found = Vec::new();
    let mut length = 0;
    for (index, line) in lines.iter().enumerate() {
        let number = numbers.get(&key(line)).copied();
        while length > 0 && number != Some(wanted[length]) {
            length = borders[length - 1];
        }
        length += usize::from(number == Some(wanted[length]));
        if length == wanted.len() {
            found.push(index + 1 - length);
            length = 0;
        }
    }
    found
}

fn push(out: &mut String, line: &Line<'_>) {
    for part in [line.lead, line.body, line.trail, line.ending.as_str()] {
        out.push_str(part);
    }
}
