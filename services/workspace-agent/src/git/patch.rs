//! The text of a diff: cut into files, what is too large left out with a note, in the order of paths.

use std::fmt::Write as _;

/// Largest diff of one file, in bytes.
pub(super) const MAX_FILE_DIFF_BYTES: usize = 256 * 1024;

/// Largest diff of a repository, and of all that a chat works in together, in bytes.
pub(super) const MAX_DIFF_BYTES: usize = 3 * 1024 * 1024;

/// What begins the diff of a file. Lines of content begin with other letters.
const HEADER: &[u8] = b"diff --git ";

/// The diff of one file.
struct Piece {
    path: Vec<u8>,
    text: Vec<u8>,
}

/// A file that is not read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: Vec<u8>,
    pub(super) reason: String,
}

/// The whole diff. `printed` is what git printed; files that are left out stand among the others as notes.
pub(super) fn assemble(printed: &[u8], unread: &[Unread]) -> String {
    let mut pieces = split(printed);
    pieces.extend(unread.iter().map(|file| Piece {
        path: file.path.clone(),
        text: note(&file.path, &file.reason),
    }));
    pieces.sort_by(|one, other| one.path.cmp(&other.path));
    let size: usize = pieces.iter().map(|piece| piece.text.len()).sum();
    if size > MAX_DIFF_BYTES {
        return too_large(Some(size));
    }
    let mut text = String::with_capacity(size);
    for piece in pieces {
        text.push_str(&String::from_utf8_lossy(&piece.text));
    }
    // What was not valid text has grown.
    if text.len() > MAX_DIFF_BYTES {
        return too_large(Some(text.len()));
    }
    text
}

/// What is said instead of a diff that is too large. `None`: nobody has counted it.
pub(super) fn too_large(size: Option<usize>) -> String {
    let mut text = String::from("The diff is too large to show");
    // Writing to a string cannot fail.
    let _ = match size {
        Some(size) => write!(text, ": {size} bytes, of which {MAX_DIFF_BYTES} would be shown."),
        None => write!(text, ": more than {MAX_DIFF_BYTES} bytes would be shown."),
    };
    text
}

fn split(printed: &[u8]) -> Vec<Piece> {
    let mut starts = Vec::new();
    let mut place = 0;
    for line in printed.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(HEADER) {
            starts.push(place);
        }
        place += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([printed.len()]);
    let pieces = starts.iter().zip(ends).map(|(start, end)| {
        let text = &printed[*start..end];
        let path = path_of(text);
        let text = if text.len() > MAX_FILE_DIFF_BYTES {
            let reason = format!(
                "The diff of this file is too large to show: {} bytes, of which {MAX_FILE_DIFF_BYTES} would be shown.",
                text.len()
            );
            note(&path, &reason)
        } else {
            text.to_vec()
        };
        Piece { path, text }
    });
    pieces.collect()
}

/// The new path as the header has it.
fn path_of(piece: &[u8]) -> Vec<u8> {
    let header = piece.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = header.strip_prefix(HEADER).unwrap_or(header);
    let is_quoted = header.ends_with(b"\"");
    let mark: &[u8] = if is_quoted { b" \"b/" } else { b" b/" };
    let place = header.windows(mark.len()).rposition(|window| window == mark);
    let path = place.map_or(header, |place| &header[place + mark.len()..]);
    path.strip_suffix(b"\"").filter(|_| is_quoted).unwrap_or(path).to_vec()
}

/// A header with a sentence in place of the hunks.
fn note(path: &[u8], reason: &str) -> Vec<u8> {
    let (old, new) = (quoted("a/", path), quoted("b/", path));
    format!("diff --git {old} {new}\n{reason}\n").into_bytes()
}

/// A path as git writes it: between quotes where it has letters that a line must not have.
fn quoted(side: &str, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let is_plain = !path
        .chars()
        .any(|letter| letter.is_control() || matches!(letter, '"' | '\\'));
    if is_plain {
        format!("{side}{path}")
    } else {
        format!("\"{side}{}\"", path.escape_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(path: &str) -> Unread {
        Unread {
            path: path.into(),
            reason: "Not read.".to_owned(),
        }
    }

    #[test]
    fn files_come_in_the_order_of_their_paths_with_notes_among_them() {
        let printed = b"diff --git a/a b/a\n+1\ndiff --git a/c b/c\n+diff --git a/x b/x\n";
        let text = assemble(printed, &[unread("b")]);
        let expected =
            "diff --git a/a b/a\n+1\ndiff --git a/b b/b\nNot read.\ndiff --git a/c b/c\n+diff --git a/x b/x\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_whose_diff_is_too_large_is_noted() {
        let mut printed = b"diff --git a/a b/a\n".to_vec();
        printed.extend(b"+x\n".repeat(MAX_FILE_DIFF_BYTES / 3));
        printed.extend_from_slice(b"diff --git a/b b/b\n+1\n");
        let text = assemble(&printed, &[]);
        assert!(
            text.starts_with("diff --git a/a b/a\nThe diff of this file is too large to show: 2621"),
            "{text}"
        );
        assert!(text.ends_with("diff --git a/b b/b\n+1\n"));
    }

    #[test]
    fn a_diff_that_is_too_large_is_replaced() {
        let file = |number: usize| format!("diff --git a/{number} b/{number}\n{}", "+xxxxxxx\n".repeat(20_000));
        let printed: String = (0..20).map(file).collect();
        assert!(assemble(printed.as_bytes(), &[]).starts_with("The diff is too large to show: "));
    }

    #[test]
    fn a_name_with_a_line_end_stays_in_its_line() {
        let text = assemble(b"", &[unread("a\ndiff --git a/forged b/forged")]);
        assert_eq!(text.lines().count(), 2);
    }
}
