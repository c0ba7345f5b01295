//! What a root chat's last turn is called before a model finds better words: decided with the end of the turn, in its transaction, so that
//! the words of an older turn never stand beside a newer one's end.

use tandem_chat_core::chat::StatusKind;
use tandem_chat_core::turn_summary::{FINISHED, NEXT_MESSAGE, REQUIRES_ACTION};

use crate::db::chats::Row;

/// The label after this change; `None` leaves it as it is.
pub(crate) fn after(before: &Row, now: &Row, has_promoted: bool) -> Option<Option<&'static str>> {
    let status = |row: &Row| row.status.parse::<StatusKind>().ok();
    let (from, to) = (status(before)?, status(now)?);
    if now.parent_chat_id.is_some() || from == to {
        return None;
    }
    match (from, to) {
        (StatusKind::Running, StatusKind::Waiting) if !now.is_archived => Some(Some(FINISHED)),
        (StatusKind::Running, StatusKind::Pending) if has_promoted => Some(Some(NEXT_MESSAGE)),
        (_, StatusKind::RequiresAction) => Some(Some(REQUIRES_ACTION)),
        // Stopped, failed, archived, or given what it waited for.
        (_, StatusKind::Waiting | StatusKind::Error)
        | (StatusKind::Interrupting | StatusKind::RequiresAction, StatusKind::Pending) => Some(None),
        (_, StatusKind::Pending | StatusKind::Running | StatusKind::Interrupting) => None,
    }
}
