//! Joining adjacent deltas, so that a reader who lags catches up in few events.

use tandem_proto::common::v1::{LivePart, live_part::Content};

use super::{Entry, Event, MAX_MERGED_BYTES, size_of_part};

/// Clones up to `limit` entries, with neighbouring deltas of one part joined. The joined entry has the place of its last delta. It ends
/// before `max_bytes` of parts are exceeded, but never before the first entry.
pub(super) fn merged<'a>(entries: impl Iterator<Item = &'a Entry>, limit: usize, max_bytes: usize) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut bytes: usize = 0;
    for entry in entries {
        if let Event::Part(part) = &entry.event {
            bytes = bytes.saturating_add(size_of_part(part));
        }
        if bytes > max_bytes && !out.is_empty() {
            break;
        }
        if let Some(last) = out.last_mut()
            && last.after_version == entry.after_version
            && (last.position.step, last.position.attempt) == (entry.position.step, entry.position.attempt)
            && let (Event::Part(open), Event::Part(next)) = (&mut last.event, &entry.event)
            && join(open, next)
        {
            last.position = entry.position;
            continue;
        }
        if out.len() == limit {
            break;
        }
        out.push(entry.clone());
    }
    out
}

/// Appends `next` to `open` if both are deltas of the same part and the result stays small.
fn join(open: &mut LivePart, next: &LivePart) -> bool {
    if open.role != next.role {
        return false;
    }
    let (Some(open), Some(next)) = (&mut open.content, &next.content) else {
        return false;
    };
    match (open, next) {
        (Content::TextDelta(open), Content::TextDelta(next))
        | (Content::ReasoningDelta(open), Content::ReasoningDelta(next)) => append(open, next),
        (Content::ToolCallDelta(open), Content::ToolCallDelta(next)) => {
            open.tool_call_id == next.tool_call_id && append(&mut open.arguments_delta, &next.arguments_delta)
        }
        (Content::ToolResultDelta(open), Content::ToolResultDelta(next)) => {
            open.tool_call_id == next.tool_call_id
                && !next.is_reset
                && append(&mut open.output_delta, &next.output_delta)
        }
        _ => false,
    }
}

fn append(open: &mut String, next: &str) -> bool {
    let fits = open.len() + next.len() <= MAX_MERGED_BYTES;
    if fits {
        open.push_str(next);
    }
    fits
}
