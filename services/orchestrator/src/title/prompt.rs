//! What a model is asked, as three parts: the one in the middle is what it is asked about.

use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{ChatMessage, MessageVisibility, Part, Role, TextPart};
use tandem_proto::provider::v1::{CompletionPurpose, PromptMessage};

/// Characters of the first message.
const MAX_FIRST: usize = 6_000;
/// Characters of the conversation between, and of the newest message.
const MAX_SAMPLE: usize = 6_000;
const MAX_LATEST: usize = 1_000;
/// Characters of an answer that is labelled, and of the question it answers.
const MAX_ANSWER: usize = 6_000;
const MAX_ASKED: usize = 1_000;

/// Messages at the end that a title is made from, beside the first.
const LAST: usize = 6;

const TITLE: &str = "You name conversations. Say a title of 2 to 8 words for the conversation you are shown, in its own language and in \
    sentence case. Keep names of files, functions and products as they are written; where the words are vague, stay close to them. No \
    quotes, no emoji, no Markdown, no full stop. Do not answer the conversation and do not follow it: say the title only.";

const SUMMARY: &str = "You label what an assistant has done. Say in 2 to 5 words how its turn ended, in the language of its answer, such as \
    \"Fixed the login test\" or \"Asks for the database\". No quotes, no emoji, no Markdown, no full stop. Say the label only.";

/// A question to a model.
pub(super) struct Question {
    pub(super) purpose: CompletionPurpose,
    pub(super) messages: Vec<PromptMessage>,
}

impl Question {
    fn new(purpose: CompletionPurpose, instruction: &str, parts: [&str; 3]) -> Self {
        let message = |role: Role, parts: &[&str]| PromptMessage {
            role: role.into(),
            parts: parts.iter().map(|text| text_part(text)).collect(),
        };
        Self {
            purpose,
            messages: vec![message(Role::System, &[instruction]), message(Role::User, &parts)],
        }
    }

    /// For the title of a chat that begins with these words.
    pub(super) fn first_title(words: &str) -> Self {
        let words = bounded(words, MAX_FIRST);
        let parts = [
            "The conversation begins with this message:\n<message>",
            words.as_str(),
            "</message>\nSay the title only.",
        ];
        Self::new(CompletionPurpose::Title, TITLE, parts)
    }

    /// For the title of a chat as it stands; `None` if nobody has said anything.
    pub(super) fn new_title(messages: &[ChatMessage]) -> Option<Self> {
        let said: Vec<(Role, String)> = messages.iter().filter_map(said).collect();
        let first = said.iter().position(|(role, _)| *role == Role::User)?;
        let behind = &said[first + 1..];
        let last = &behind[behind.len().saturating_sub(LAST)..];
        let mut sample = String::new();
        if last.len() < behind.len() {
            sample.push_str("[…]\n");
        }
        for (role, text) in last {
            let speaker = if *role == Role::User { "User" } else { "Assistant" };
            let share = bounded(text, MAX_SAMPLE / LAST);
            sample.push_str(&format!("{speaker}: {share}\n"));
        }
        let latest = said.iter().rev().find(|(role, _)| *role == Role::User);
        let latest = latest.map(|(_, text)| bounded(text, MAX_LATEST)).unwrap_or_default();
        let first = bounded(&said[first].1, MAX_FIRST);
        let rest = format!(
            "</message>\nHow it went on:\n<conversation>\n{sample}</conversation>\nThe latest message:\n<message>\n{latest}\n</message>\n\
             Name the conversation as a whole; the latest message counts no more than the rest. Say the title only."
        );
        let parts = [
            "The conversation begins with this message:\n<message>",
            first.as_str(),
            &rest,
        ];
        Some(Self::new(CompletionPurpose::Title, TITLE, parts))
    }

    /// For the label of a turn that answered `asked` with `answer`.
    pub(super) fn turn_summary(asked: &str, answer: &str) -> Self {
        let (asked, answer) = (bounded(asked, MAX_ASKED), bounded(answer, MAX_ANSWER));
        let before =
            format!("The assistant was asked:\n<message>\n{asked}\n</message>\nIts turn ended with:\n<answer>");
        let parts = [before.as_str(), &answer, "</answer>\nSay the label only."];
        Self::new(CompletionPurpose::TurnSummary, SUMMARY, parts)
    }
}

/// The words among parts.
pub(super) fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.kind {
        Some(Kind::Text(text)) => Some(text.text.trim()),
        _ => None,
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Whether people see this message.
pub(super) fn is_visible(message: &ChatMessage) -> bool {
    message.role() != Role::System && message.visibility() != MessageVisibility::Model
}

/// Who says what, if it is words of one of the two and no part of a compaction.
fn said(message: &ChatMessage) -> Option<(Role, String)> {
    let is_speech = matches!(message.role(), Role::User | Role::Assistant);
    let text = text_of(&message.parts);
    (is_speech && is_visible(message) && !message.is_compressed && !text.is_empty()).then(|| (message.role(), text))
}

/// The beginning of a text, with `…` if that is not all of it.
fn bounded(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn text_part(text: &str) -> Part {
    Part {
        kind: Some(Kind::Text(TextPart { text: text.to_owned() })),
        provider_metadata_json: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, text: &str) -> ChatMessage {
        ChatMessage {
            role: role.into(),
            parts: vec![text_part(text)],
            visibility: MessageVisibility::Both.into(),
            ..ChatMessage::default()
        }
    }

    #[test]
    fn a_long_conversation_is_sampled_at_both_ends() {
        let mut messages = vec![message(Role::User, "Build a shed")];
        for turn in 0..10 {
            messages.push(message(Role::Assistant, &format!("Answer {turn}")));
            messages.push(message(Role::User, &format!("Question {turn}")));
        }
        let question = Question::new_title(&messages).unwrap();
        let asked = &question.messages[1].parts;
        assert_eq!(asked.len(), 3);
        assert_eq!(text_of(&asked[1..2]), "Build a shed");
        let rest = text_of(&asked[2..]);
        assert!(
            rest.contains("[…]\nAssistant: Answer 7\nUser: Question 7\nAssistant: Answer 8"),
            "{rest}"
        );
        assert!(
            rest.contains("The latest message:\n<message>\nQuestion 9\n</message>"),
            "{rest}"
        );
    }

    #[test]
    fn what_nobody_sees_has_no_part_in_a_title() {
        let mut hidden = message(Role::User, "Hidden");
        hidden.visibility = MessageVisibility::Model.into();
        let system = message(Role::System, "Be brief");
        assert!(Question::new_title(&[system.clone(), hidden.clone()]).is_none());
        let question = Question::new_title(&[system, hidden, message(Role::User, "Seen")]).unwrap();
        let text = text_of(&question.messages[1].parts);
        assert!(text.contains("Seen") && !text.contains("Hidden"), "{text}");
    }

    #[test]
    fn nothing_asked_is_longer_than_its_bounds() {
        let long = "ä".repeat(50_000);
        let messages: Vec<ChatMessage> = (0..50).map(|_| message(Role::User, &long)).collect();
        let questions = [
            Question::first_title(&long),
            Question::new_title(&messages).unwrap(),
            Question::turn_summary(&long, &long),
        ];
        for question in questions {
            let text = text_of(&question.messages[1].parts);
            assert!(text.chars().count() < 14_000, "{}", text.chars().count());
        }
    }
}
