//! The table of states × commands as Markdown, asked from [`decide`] itself so that it cannot disagree with it.
//!
//! Owns the representative states and commands, and the wording around them. The rendered file is `docs/state-machine.md`.

use std::fmt::Write as _;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::command::{BusyBehavior, Calls, Command};
use super::decide::decide;
use super::decision::{Decision, Effect};
use super::rejection::Reason;
use super::state::{Lease, Lineage, MAX_QUEUED, Progress, State, Status, StatusKind};
use crate::id::{Epoch, MessageId, QueuedId, ReplicaId, Version};

const INTRODUCTION: &str = include_str!("table/introduction.md");

/// The epoch of every representative chat.
const EPOCH: Epoch = Epoch(7);
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const TTL: Duration = Duration::from_secs(10);

/// The whole table with its introduction, for `docs/state-machine.md`.
pub fn render() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in sections() {
        render_section(&mut page, &section);
    }
    page
}

struct Section {
    title: &'static str,
    command: Command,
    lineage: Lineage,
}

fn section(title: &'static str, command: Command) -> Section {
    Section {
        title,
        command,
        lineage: Lineage::Root,
    }
}

fn child_section(title: &'static str, command: Command, is_parent_archived: bool) -> Section {
    Section {
        title,
        command,
        lineage: Lineage::Child { is_parent_archived },
    }
}

/// Every command, with the variants of its facts that decide differently.
fn sections() -> Vec<Section> {
    let owner = ReplicaId::new(Uuid::nil());
    let queued = Some(QueuedId(1));
    let (now, ttl, epoch) = (NOW, TTL, EPOCH);
    let partial = Some(Calls::Open);
    vec![
        section(
            "Send, queue",
            Command::Send {
                behavior: BusyBehavior::Queue,
            },
        ),
        section(
            "Send, interrupt",
            Command::Send {
                behavior: BusyBehavior::Interrupt,
            },
        ),
        section("Edit", Command::Edit { message: MessageId(1) }),
        section("DeleteQueued", Command::DeleteQueued { queued }),
        section("DeleteQueued, unknown id", Command::DeleteQueued { queued: None }),
        section("PromoteQueued", Command::PromoteQueued { queued }),
        section("PromoteQueued, unknown id", Command::PromoteQueued { queued: None }),
        section("ReorderQueued", reorder(2, 0)),
        section("ReorderQueued, to its own place", reorder(1, 0)),
        section("ReorderQueued, unknown id", reorder(3, 0)),
        section("Interrupt", Command::Interrupt),
        section("Retry", Command::Retry),
        section("Compact", Command::Compact),
        section("ClearContext", Command::ClearContext),
        section("SubmitToolResults", Command::SubmitToolResults),
        section("DecideToolCalls", Command::DecideToolCalls),
        section("Archive", Command::Archive),
        section("Unarchive", Command::Unarchive),
        child_section("Unarchive, child of an archived parent", Command::Unarchive, true),
        section("UpdateMetadata", Command::UpdateMetadata { is_pinning: false }),
        section("UpdateMetadata, pinning", Command::UpdateMetadata { is_pinning: true }),
        child_section(
            "UpdateMetadata, pinning a child",
            Command::UpdateMetadata { is_pinning: true },
            false,
        ),
        section("Claim, lease still held", Command::Claim { owner, now, ttl }),
        section(
            "Claim, lease expired",
            Command::Claim {
                owner,
                now: NOW + TTL,
                ttl,
            },
        ),
        section(
            "Renew",
            Command::Renew {
                epoch,
                now: NOW + TTL,
                ttl,
            },
        ),
        section("Release", Command::Release { epoch, now }),
        section("BeginStep", Command::BeginStep { epoch }),
        section(
            "CommitStep, no calls",
            Command::CommitStep {
                epoch,
                calls: Calls::Answered,
            },
        ),
        section(
            "CommitStep, with calls",
            Command::CommitStep {
                epoch,
                calls: Calls::Open,
            },
        ),
        section(
            "StoreResults, the last ones",
            Command::StoreResults {
                epoch,
                calls: Calls::Answered,
            },
        ),
        section(
            "StoreResults, some still open",
            Command::StoreResults {
                epoch,
                calls: Calls::Open,
            },
        ),
        section(
            "RequireAction",
            Command::RequireAction {
                epoch,
                deadline: NOW + TTL,
            },
        ),
        section("FinishTurn", Command::FinishTurn { epoch }),
        section(
            "FinishInterruption, nothing partial",
            Command::FinishInterruption { epoch, partial: None },
        ),
        section(
            "FinishInterruption, partial answer with calls",
            Command::FinishInterruption { epoch, partial },
        ),
        section("Fail", Command::Fail { epoch }),
        section("ExpireAction, too early", Command::ExpireAction { now }),
        section(
            "ExpireAction, deadline passed",
            Command::ExpireAction { now: NOW + TTL },
        ),
        section(
            "Any worker command, stale epoch",
            Command::FinishTurn { epoch: Epoch(6) },
        ),
    ]
}

fn reorder(queued: i64, place: usize) -> Command {
    Command::ReorderQueued {
        current: vec![QueuedId(1), QueuedId(2)],
        queued: QueuedId(queued),
        place,
    }
}

/// The columns: how full the queue is, and whether the chat is archived.
const COLUMNS: [(&str, u8, bool); 4] = [
    ("queue empty", 0, false),
    ("queued", 2, false),
    ("queue full", MAX_QUEUED, false),
    ("archived", 2, true),
];

/// One cell per column; `None` where the state cannot exist.
type Cells = [Option<String>; COLUMNS.len()];

/// A row of the table: the states that share its cells.
struct Row {
    from: Vec<Status>,
    cells: Cells,
}

fn render_section(page: &mut String, section: &Section) {
    let rows = rows(section);
    let columns = columns(&rows);
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(page, "\n### {}\n", section.title);
    let _ = writeln!(page, "| from | {} |", names.join(" | "));
    let _ = writeln!(page, "|---{}|", "|---".repeat(columns.len()));
    for row in &rows {
        let shown = columns
            .iter()
            .map(|(_, column)| row.cells[*column].as_deref().unwrap_or("–"));
        let _ = writeln!(
            page,
            "| {} | {} |",
            names_of(&row.from),
            shown.collect::<Vec<_>>().join(" | ")
        );
    }
}

/// Decides every state once; states that answer alike share a row.
fn rows(section: &Section) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for status in StatusKind::ALL.into_iter().flat_map(statuses) {
        let cells = COLUMNS.map(|(_, queued_count, is_archived)| cell(section, status, queued_count, is_archived));
        match rows.iter_mut().find(|row| agree(&row.cells, &cells)) {
            Some(row) => {
                row.from.push(status);
                for (known, new) in row.cells.iter_mut().zip(cells) {
                    *known = known.take().or(new);
                }
            }
            None => rows.push(Row {
                from: vec![status],
                cells,
            }),
        }
    }
    rows
}

/// Whether two rows say the same wherever both say something.
fn agree(left: &Cells, right: &Cells) -> bool {
    left.iter()
        .zip(right)
        .all(|(left, right)| left.is_none() || right.is_none() || left == right)
}

/// The columns worth showing: those that would only repeat their neighbour are left out.
fn columns(rows: &[Row]) -> Vec<(&'static str, usize)> {
    let same = |left: usize, right: usize| rows.iter().all(|row| row.cells[left] == row.cells[right]);
    match (same(0, 1), same(1, 2)) {
        (true, true) => vec![("live", 0), ("archived", 3)],
        (false, true) => vec![("queue empty", 0), ("queued", 1), ("archived", 3)],
        (_, false) => vec![("queue empty", 0), ("queued", 1), ("queue full", 2), ("archived", 3)],
    }
}

/// The states of a row, such as `pending, running (between, asking)`.
fn names_of(statuses: &[Status]) -> String {
    if statuses.len() == StatusKind::ALL.into_iter().flat_map(self::statuses).count() {
        return "any".to_owned();
    }
    let mut names = Vec::new();
    for kind in StatusKind::ALL {
        let progress: Vec<&str> = statuses
            .iter()
            .filter(|status| status.kind() == kind)
            .map(|status| status.progress().as_str())
            .collect();
        match progress.len() {
            0 => {}
            count if count == self::statuses(kind).len() => names.push(kind.to_string()),
            _ => names.push(format!("{kind} ({})", progress.join(", "))),
        }
    }
    names.join(", ")
}

fn statuses(kind: StatusKind) -> Vec<Status> {
    let lease = Lease {
        epoch: EPOCH,
        owner: ReplicaId::new(Uuid::nil()),
        expires_at: NOW + TTL,
    };
    match kind {
        StatusKind::Waiting => vec![Status::Waiting],
        StatusKind::Pending => Progress::ALL.map(|progress| Status::Pending { progress }).to_vec(),
        StatusKind::Running => Progress::ALL
            .map(|progress| Status::Running { lease, progress })
            .to_vec(),
        StatusKind::Interrupting => Progress::ALL
            .map(|progress| Status::Interrupting { lease, progress })
            .to_vec(),
        StatusKind::RequiresAction => vec![Status::RequiresAction { deadline: NOW + TTL }],
        StatusKind::Error => vec![Status::Error],
    }
}

fn cell(section: &Section, status: Status, queued_count: u8, is_archived: bool) -> Option<String> {
    let lineage = section.lineage;
    let state = State {
        status,
        queued_count,
        is_archived,
        lineage,
        epoch: EPOCH,
        version: Version(1),
    };
    state.check().ok()?;
    Some(match decide(&state, &section.command) {
        Ok(decision) => accepted(&state, &decision),
        Err(rejection) => format!("✗ {}", refusal(rejection.reason)),
    })
}

fn accepted(state: &State, decision: &Decision) -> String {
    if decision.next == *state {
        return "no change".to_owned();
    }
    if !decision.is_change(state) {
        return "lease extended".to_owned();
    }
    let effects: Vec<String> = decision.effects.iter().map(effect_name).collect();
    let colon = if effects.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", destination(state, &decision.next), effects.join(", "))
}

fn destination(from: &State, next: &State) -> String {
    let (old, new) = (from.status, next.status);
    let is_new_progress = has_progress(old) && has_progress(new) && old.progress() != new.progress();
    let mut text = match (old.kind() == new.kind(), is_new_progress) {
        (true, false) => "stays".to_owned(),
        (false, false) => format!("→ **{}**", new.kind()),
        (true, true) => format!("stays, {}", new.progress()),
        (false, true) => format!("→ **{}**, {}", new.kind(), new.progress()),
    };
    if next.is_archived != from.is_archived {
        text.push_str(if next.is_archived { ", archived" } else { ", unarchived" });
    }
    if next.epoch != from.epoch {
        text.push_str(", epoch + 1");
    }
    text
}

fn has_progress(status: Status) -> bool {
    match status {
        Status::Pending { .. } | Status::Running { .. } | Status::Interrupting { .. } => true,
        Status::Waiting | Status::RequiresAction { .. } | Status::Error => false,
    }
}

/// The effect's variant; only the reason of a synthetic answer is worth the space.
fn effect_name(effect: &Effect) -> String {
    match effect {
        Effect::AnswerOpenCalls(reason) => format!("AnswerOpenCalls({reason:?})"),
        other => {
            let text = format!("{other:?}");
            text.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}

/// The reason in few words, without the numbers of the representative chat.
fn refusal(reason: Reason) -> String {
    match reason {
        Reason::StaleEpoch { .. } => "stale epoch".to_owned(),
        Reason::LeaseHeld { .. } => "lease held".to_owned(),
        Reason::NotLeased => "no lease".to_owned(),
        Reason::Archived => "archived".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn committed_page_of_the_state_machine_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-machine.md");
        let page = render();
        if env::var_os("TANDEM_GEN").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == page, "docs/state-machine.md is out of date: run make gen");
    }

    #[test]
    fn every_command_has_a_section() {
        let shown: BTreeSet<_> = sections().iter().map(|section| section.command.kind()).collect();
        assert_eq!(shown.len(), 25);
    }
}
