//! Calls that stay open when a step's others are answered: the client's own, and those that a person has to allow first. The chat waits
//! for whoever has to act, and the open calls are gone through again.
//!
//! Owns what became of a call, which stay open, what follows, and where the live output lies of calls that are gone through again.
//! Whether a call may run is decided behind tool-runner, and decided again each time.

use std::collections::HashMap;

use tandem_proto::common::v1::{ApprovalRequest, Part, PendingToolCall};
use tandem_proto::storage::v1::StepOutcome;

use super::Call;

/// Where attempts at a step's calls by later owners of the turn begin to be counted: behind all attempts at its answer.
const FIRST_LATER_ATTEMPT: u32 = 1 << 24;

/// What became of a call.
#[derive(Clone, Debug)]
pub(super) enum Became {
    Result(Part),
    /// It has not been started.
    AwaitsApproval(ApprovalRequest),
}

/// The calls that stay open, in call order, with what a person is asked of them. The client is asked for the others.
pub(super) fn still_open(
    calls: &[Call],
    is_dynamic: impl Fn(&str) -> bool,
    mut awaiting: HashMap<String, ApprovalRequest>,
) -> Vec<PendingToolCall> {
    let open = calls.iter().filter_map(|call| {
        let approval = awaiting.remove(&call.id);
        (approval.is_some() || is_dynamic(&call.tool_name)).then(|| call.pending(approval))
    });
    open.collect()
}

/// What follows a step that leaves calls open, or none; `is_over` when its results end the turn.
pub(super) fn outcome(has_open: bool, is_over: bool) -> StepOutcome {
    match (has_open, is_over) {
        (true, _) => StepOutcome::RequireAction,
        (false, true) => StepOutcome::Finish,
        (false, false) => StepOutcome::Continue,
    }
}

/// The place, step and attempt, of what the open calls of the last of so many steps show from now on. A turn may be claimed for them any
/// number of times: each place lies behind all that readers can have seen of the step, and before the next step.
pub(super) fn place(steps: u32, epoch: i64) -> (u32, u32) {
    let attempt = FIRST_LATER_ATTEMPT.saturating_add(u32::try_from(epoch).unwrap_or(u32::MAX));
    (steps.saturating_sub(1), attempt)
}

#[cfg(test)]
mod tests {
    use tandem_proto::common::v1::part::Kind;
    use tandem_proto::common::v1::{ChatMessage, LivePart, Role, ToolCallPart, ToolResultPart, live_part::Content};
    use tandem_proto::storage::v1::{LoadTurnResponse, NewMessage};

    use super::*;
    use crate::log::{Event, Log, Position};
    use crate::turn::Prompt;

    fn call(id: &str, tool_name: &str) -> Call {
        Call {
            id: id.to_owned(),
            tool_name: tool_name.to_owned(),
            arguments_json: format!(r#"{{"of":"{id}"}}"#),
            invalid_arguments: None,
        }
    }

    #[test]
    fn open_calls_are_told_in_their_order_and_say_who_has_to_act() {
        let calls = [
            call("1", "weather"),
            call("2", "read_file"),
            call("3", "execute"),
            call("4", "weather"),
        ];
        let request = ApprovalRequest {
            digest: vec![7; 32],
            ..ApprovalRequest::default()
        };
        let awaiting = HashMap::from([("3".to_owned(), request.clone())]);
        let open = still_open(&calls, |name| name == "weather", awaiting);
        let told: Vec<_> = open
            .into_iter()
            .map(|call| (call.tool_call_id, call.arguments_json, call.approval))
            .collect();
        let expected = [("1", None), ("3", Some(request)), ("4", None)]
            .map(|(id, approval)| (id.to_owned(), format!(r#"{{"of":"{id}"}}"#), approval));
        assert_eq!(told, expected);
        assert_eq!(still_open(&calls[1..3], |_| false, HashMap::new()), []);
    }

    #[test]
    fn a_turn_is_over_only_when_nothing_is_open() {
        assert_eq!(outcome(true, true), StepOutcome::RequireAction);
        assert_eq!(outcome(true, false), StepOutcome::RequireAction);
        assert_eq!(outcome(false, true), StepOutcome::Finish);
        assert_eq!(outcome(false, false), StepOutcome::Continue);
    }

    fn part(kind: Kind) -> Part {
        Part {
            kind: Some(kind),
            ..Part::default()
        }
    }

    fn calling(id: &str) -> Part {
        part(Kind::ToolCall(ToolCallPart {
            tool_call_id: id.to_owned(),
            tool_name: "execute".to_owned(),
            arguments_json: "{}".to_owned(),
            ..ToolCallPart::default()
        }))
    }

    fn result(id: &str) -> Part {
        part(Kind::ToolResult(ToolResultPart {
            tool_call_id: id.to_owned(),
            tool_name: "execute".to_owned(),
            result_json: "{}".to_owned(),
            ..ToolResultPart::default()
        }))
    }

    #[test]
    fn a_step_goes_on_with_its_open_calls_and_remembers_the_results_it_has() {
        let message = |role: Role, parts| ChatMessage {
            role: role.into(),
            parts,
            ..ChatMessage::default()
        };
        let loaded = LoadTurnResponse {
            messages: vec![
                message(Role::Assistant, vec![calling("earlier")]),
                message(Role::Tool, vec![result("earlier")]),
                message(Role::Assistant, vec![calling("1"), calling("2"), calling("3")]),
                message(Role::Tool, vec![result("2")]),
            ],
            ..LoadTurnResponse::default()
        };
        let mut prompt = Prompt::new(&loaded, Vec::new()).unwrap();
        let open: Vec<String> = prompt.open_calls().into_iter().map(|call| call.id).collect();
        assert_eq!(open, ["1", "3"]);
        assert_eq!(prompt.results(), [result("2")]);

        prompt.push_result(&result("1")).unwrap();
        prompt.push_result(&result("3")).unwrap();
        assert!(prompt.open_calls().is_empty());
        assert_eq!(prompt.results(), [result("2"), result("1"), result("3")]);
        let answer = NewMessage {
            parts: vec![calling("next")],
            ..NewMessage::default()
        };
        prompt.push_answer(&answer).unwrap();
        assert_eq!(prompt.results(), []);
    }

    fn text(text: &str) -> LivePart {
        LivePart {
            content: Some(Content::TextDelta(text.to_owned())),
            ..LivePart::default()
        }
    }

    /// What a reader who stands at `seen` is shown of a log, and where it stands then.
    fn shown(log: &Log, seen: &mut Option<Position>) -> Vec<String> {
        let entries = log.read(*seen, i64::MAX, usize::MAX);
        *seen = entries.last().map(|entry| entry.position).or(*seen);
        let words = entries.into_iter().map(|entry| match entry.event {
            Event::Part(part) => match part.content {
                Some(Content::TextDelta(text)) => text,
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        });
        words.collect()
    }

    #[test]
    fn a_reader_sees_each_word_once_however_often_a_step_is_gone_through() {
        let mut seen = None;
        let first = Log::new(1, 1);
        first.begin(0, 0);
        first.withdraw(3, None);
        first.push(text("answer")).unwrap();
        first.push(text("one result")).unwrap();
        assert_eq!(shown(&first, &mut seen), ["Reset", "answerone result"]);

        // Claimed for the open calls again and again, whether or not the last owner came to anything.
        for epoch in 2..6 {
            let again = Log::new(epoch, 1);
            let (step, attempt) = place(1, epoch);
            again.begin(step, attempt);
            for _ in 0..6 - epoch {
                again.push(text("x")).unwrap();
            }
            let words = "x".repeat(usize::try_from(6 - epoch).unwrap());
            assert_eq!(shown(&again, &mut seen), ["Reset".to_owned(), words], "epoch {epoch}");
        }

        // The next step, of the same owner or of another one.
        let next = Log::new(6, 1);
        let (step, attempt) = place(1, 6);
        next.begin(step, attempt);
        assert_eq!(shown(&next, &mut seen), ["Reset"]);
        next.begin(1, 0);
        next.push(text("next")).unwrap();
        let mut elsewhere = seen;
        assert_eq!(shown(&next, &mut seen), ["next"]);
        let other = Log::new(7, 1);
        other.begin(1, 0);
        other.push(text("next")).unwrap();
        assert_eq!(shown(&other, &mut elsewhere), ["next"]);
    }
}
