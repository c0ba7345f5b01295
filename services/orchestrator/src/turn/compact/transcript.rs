//! A history as plain text, in pieces of a bounded size: what is summarised when the conversation itself is too long to be sent.

use tandem_chat_core::message::{Message, Role};
use tandem_chat_core::part::Part;

/// Bytes of one call's arguments, or of one result; the middle is left out.
const MAX_TOOL_BYTES: usize = 2_000;

/// The history in order, cut into pieces of at most `bytes`, the newest `count` of them. System messages are left out: they stay.
pub(super) fn pieces(history: &[Message], bytes: usize, count: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for line in history.iter().filter_map(line) {
        for part in cut(&line, bytes.max(1)) {
            let last = pieces.last_mut().expect("there is always a last piece");
            if !last.is_empty() && last.len() + part.len() > bytes {
                pieces.push(part.to_owned());
            } else {
                last.push_str(part);
            }
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    let older = pieces.len().saturating_sub(count);
    pieces.drain(..older);
    if let Some(first) = pieces.first_mut().filter(|_| older > 0) {
        first.insert_str(0, "[older messages are left out]\n\n");
    }
    pieces
}

/// The last `bytes` of the history, at most.
pub(super) fn tail(history: &[Message], bytes: usize) -> String {
    let whole: String = history.iter().filter_map(line).collect();
    let start = whole.ceil_char_boundary(whole.len().saturating_sub(bytes));
    whole[start..].to_owned()
}

/// A message in words; nothing for one without any.
fn line(message: &Message) -> Option<String> {
    let who = match message.role {
        Role::System => return None,
        Role::User => "USER",
        Role::Assistant => "ASSISTANT",
        Role::Tool => "TOOL",
    };
    let words: Vec<String> = message.parts.iter().filter_map(words).collect();
    (!words.is_empty()).then(|| format!("{who}: {}\n\n", words.join("\n")))
}

fn words(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) => Some(text.text.trim().to_owned()).filter(|text| !text.is_empty()),
        Part::ToolCall(call) => Some(format!(
            "[calls {}: {}]",
            call.tool_name,
            shortened(&call.args.to_string())
        )),
        Part::ToolResult(result) => {
            let text = result
                .result
                .as_str()
                .map_or_else(|| result.result.to_string(), str::to_owned);
            Some(format!("[{} returned: {}]", result.tool_name, shortened(&text)))
        }
        Part::File(file) => Some(format!("[attached file {:?}]", file.name)),
        Part::Reasoning(_) | Part::Source(_) | Part::FileReference(_) | Part::ContextFile(_) | Part::Skill(_) => None,
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TOOL_BYTES {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(MAX_TOOL_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - MAX_TOOL_BYTES / 2);
    format!("{} […] {}", &text[..head], &text[tail..])
}

/// Pieces of at most `bytes`, at character boundaries.
fn cut(text: &str, bytes: usize) -> Vec<&str> {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut end = rest.floor_char_boundary(bytes.min(rest.len()));
        if end == 0 {
            end = rest.ceil_char_boundary(1);
        }
        let (part, behind) = rest.split_at(end);
        parts.push(part);
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(role: Role, text: &str) -> Message {
        Message::new(role, vec![Part::text(text)])
    }

    #[test]
    fn instructions_are_not_part_of_what_is_summarised() {
        let history = [
            said(Role::System, "be kind"),
            said(Role::User, "hello"),
            said(Role::Assistant, "hi"),
        ];
        assert_eq!(pieces(&history, 1_000, 4), ["USER: hello\n\nASSISTANT: hi\n\n"]);
    }

    #[test]
    fn too_many_pieces_lose_the_oldest_and_say_so() {
        let history: Vec<_> = (0..10).map(|n| said(Role::User, &format!("message {n}"))).collect();
        let pieces = pieces(&history, 20, 2);
        assert_eq!(pieces.len(), 2);
        assert!(pieces[0].starts_with("[older messages are left out]"));
        assert!(pieces[1].contains("message 9"));
    }

    proptest! {
        #[test]
        fn pieces_hold_every_word_in_order_and_keep_their_size(
            texts in proptest::collection::vec("[a-zäöü ]{0,60}", 0..20),
            bytes in 8_usize..200,
        ) {
            let history: Vec<_> = texts.iter().map(|text| said(Role::User, text)).collect();
            let pieces = pieces(&history, bytes, usize::MAX);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= bytes));
            let whole: String = history.iter().filter_map(line).collect();
            prop_assert_eq!(pieces.concat(), whole);
        }

        #[test]
        fn a_tail_is_the_end_of_the_whole(texts in proptest::collection::vec("[a-zäöü ]{1,60}", 1..20), bytes in 0_usize..300) {
            let history: Vec<_> = texts.iter().map(|text| said(Role::User, text)).collect();
            let whole: String = history.iter().filter_map(line).collect();
            let tail = tail(&history, bytes);
            prop_assert!(tail.len() <= bytes && whole.ends_with(&tail));
        }
    }
}
