//! What an answer still has room for: recorded texts are long, and a page of them can be more than a connection carries at once.

use prost::Message as _;
use tandem_proto::storage::v1::InterceptionDetail;

use super::super::convert::MAX_ANSWER_BYTES;

/// What is left of each text where the whole of them is too much.
const SHORT_BYTES: usize = 1_024;

/// Bytes left in an answer.
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new() -> Self {
        Self(MAX_ANSWER_BYTES)
    }

    /// Takes the room that `detail` needs, whose texts are cut where that is too much; `false`, and nothing taken, when it is still.
    pub(super) fn take(&mut self, detail: &mut InterceptionDetail) -> bool {
        // Each one in a list also carries its tag and length.
        const FRAME_BYTES: usize = 8;
        if detail.encoded_len() + FRAME_BYTES > self.0 {
            shorten(detail);
        }
        match self.0.checked_sub(detail.encoded_len() + FRAME_BYTES) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

fn shorten(detail: &mut InterceptionDetail) {
    let prompts = detail.user_prompts.iter_mut().map(|it| &mut it.prompt);
    let arguments = detail.tool_usages.iter_mut().map(|it| &mut it.arguments_json);
    let thoughts = detail.model_thoughts.iter_mut().map(|it| &mut it.content);
    for text in prompts.chain(arguments).chain(thoughts) {
        cut(text, SHORT_BYTES);
    }
}

/// Cuts `text` between two characters.
pub(super) fn cut(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

#[cfg(test)]
mod tests {
    use tandem_proto::storage::v1::ModelThought;

    use super::*;

    fn thinking(bytes: usize) -> InterceptionDetail {
        InterceptionDetail {
            model_thoughts: vec![ModelThought {
                content: "x".repeat(bytes),
                ..ModelThought::default()
            }],
            ..InterceptionDetail::default()
        }
    }

    #[test]
    fn texts_are_cut_when_the_room_ends_and_then_nothing_more_is_taken() {
        let mut room = Room(5_000);
        let mut sizes = Vec::new();
        loop {
            let mut detail = thinking(3_000);
            if !room.take(&mut detail) {
                break;
            }
            sizes.push(detail.model_thoughts[0].content.len());
        }
        assert_eq!(sizes, [3_000, SHORT_BYTES]);
        assert!(room.take(&mut thinking(500)), "what is small still finds room");
    }
}
