//! Texts of files made fit for a prompt: one kind of line end, and nothing in them that a person who reads the file does not see.

/// Rounds of removing comments; removing one can make another of what stood around it.
const MAX_ROUNDS: usize = 8;

const OPENING: &str = "<!--";
const CLOSING: &str = "-->";

/// The text with `\n` for every line end, without comments and invisible characters, trimmed. Linear in its length.
pub fn text(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // First: characters nobody sees could keep a comment from being found.
    let mut text: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    for _ in 0..MAX_ROUNDS {
        if !text.contains(OPENING) {
            break;
        }
        text = without_comments(&text);
    }
    if let Some(start) = text.find(OPENING) {
        text.truncate(start);
    }
    text.trim().to_owned()
}

/// The text on one line, without comments and invisible characters, of at most `max_bytes`.
pub fn line(raw: &str, max_bytes: usize) -> String {
    let words: Vec<String> = text(raw).split_whitespace().map(str::to_owned).collect();
    let joined = words.join(" ");
    cut(&joined, max_bytes).0.to_owned()
}

/// At most `max_bytes` of the beginning, and whether that is not all.
pub fn cut(text: &str, max_bytes: usize) -> (&str, bool) {
    if text.len() <= max_bytes {
        return (text, false);
    }
    let mut end = max_bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}

/// One that is not closed hides the rest of the file, as it does where the file is shown.
fn without_comments(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        result.push_str(&rest[..start]);
        let behind = &rest[start + OPENING.len()..];
        rest = behind.find(CLOSING).map_or("", |end| &behind[end + CLOSING.len()..]);
    }
    result.push_str(rest);
    result
}

/// Characters without a shape of their own: they could carry instructions that only the model reads, or turn the text around.
fn is_invisible(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}'
        | '\u{FEFF}' | '\u{FFA0}' => true,
        '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_one_kind_and_edges_are_trimmed() {
        assert_eq!(text("\u{FEFF}\r\n one\r\ntwo\rthree \n\n"), "one\ntwo\nthree");
    }

    #[test]
    fn comments_are_removed_also_when_they_hide_in_each_other() {
        assert_eq!(text("a<!-- x -->b"), "ab");
        assert_eq!(text("a<!-- x\ny --> b <!-- z -->c"), "a b c");
        assert_eq!(text("seen <!-- never closed"), "seen");
        assert_eq!(text("a<!<!-- -->-- evil -->b"), "ab");
        assert_eq!(text("a<\u{200B}!-- evil -->b"), "ab");
        let nested = format!("{}<!---->{}x-->", "<!".repeat(50), "--".repeat(50));
        assert!(!text(&nested).contains("<!--"));
    }

    #[test]
    fn characters_nobody_sees_are_removed() {
        assert_eq!(text("i\u{200B}g\u{2060}n\u{E0041}ore\u{202E}\u{0007}"), "ignore");
        assert_eq!(text("Grüße, 世界\tx"), "Grüße, 世界\tx");
    }

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(line(" a\n b\t<!-- c -->d ", 100), "a b d");
        assert_eq!(line("äää", 5), "ää");
    }
}
