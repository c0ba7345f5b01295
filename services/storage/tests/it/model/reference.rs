//! The simplest chat that could be right: a status, a list of what was said and a list of what waits.
//!
//! Written from `docs/state-machine.md` and the contract, without any of the code that is tested.

use std::collections::BTreeSet;

/// Messages that may wait.
const MAX_QUEUED: usize = 20;

pub const ARCHIVED: &str = "CHAT_ARCHIVED";
pub const WRONG: &str = "WRONG_STATE";
pub const STALE: &str = "STALE_EPOCH";
pub const INVALID: &str = "INVALID_REQUEST";
const FULL: &str = "QUEUE_FULL";
const NOT_QUEUED: &str = "QUEUED_MESSAGE_NOT_FOUND";
const NO_MESSAGE: &str = "MESSAGE_NOT_FOUND";
const NOT_FAILED: &str = "NOT_FAILED";
const BUSY: &str = "CHAT_BUSY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Waiting,
    Pending,
    Running,
    Interrupting,
    RequiresAction,
    Failed,
}

/// How far the step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Between,
    Asking,
    Calling,
}

/// What follows a write of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Continue,
    Finish,
    RequireAction,
    RunTools,
}

/// What a worker brings: words with calls in them, and results of calls.
#[derive(Clone, Debug, Default)]
pub struct Brought {
    /// The answer: its words and its calls.
    pub answer: Option<(String, Vec<String>)>,
    pub results: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Op {
    Send {
        text: String,
        is_interrupting: bool,
    },
    /// The place of a user's message in history, counted among all messages; `None` for one that is not there.
    Edit {
        place: Option<usize>,
        text: String,
    },
    Delete {
        place: Option<usize>,
    },
    Promote {
        place: Option<usize>,
    },
    Reorder {
        place: Option<usize>,
        to: usize,
    },
    Interrupt,
    Retry,
    Compact,
    Clear,
    Archive,
    Unarchive,
    Rename,
    Submit {
        calls: Vec<String>,
    },
    Claim,
    Expire,
    Release {
        epoch: i64,
    },
    Begin {
        epoch: i64,
    },
    Commit {
        epoch: i64,
        brought: Brought,
        then: Then,
        pending: Vec<String>,
    },
    Store {
        epoch: i64,
        results: Vec<String>,
        then: Then,
        pending: Vec<String>,
    },
    Fail {
        epoch: i64,
        brought: Brought,
    },
    Settle {
        epoch: i64,
        brought: Brought,
    },
}

/// A chat. History is kept in the words of `stage::brief`.
#[derive(Clone, Debug)]
pub struct Chat {
    pub status: Status,
    pub progress: Progress,
    pub is_archived: bool,
    pub version: i64,
    pub epoch: i64,
    pub is_lease_expired: bool,
    /// Owners that vanished since the turn last got anywhere.
    pub takeover_count: usize,
    pub history: Vec<String>,
    pub queue: Vec<String>,
    /// Calls of the last answer without a result.
    pub open: Vec<String>,
    /// Every user's message that was accepted, and those taken back since.
    pub accepted: BTreeSet<String>,
    pub withdrawn: BTreeSet<String>,
}

type Answer = Result<(), &'static str>;

impl Chat {
    pub fn new(text: &str) -> Self {
        Self {
            status: Status::Pending,
            progress: Progress::Between,
            is_archived: false,
            version: 1,
            epoch: 0,
            is_lease_expired: false,
            takeover_count: 0,
            history: vec![format!("user {text}")],
            queue: Vec::new(),
            open: Vec::new(),
            accepted: [text.to_owned()].into(),
            withdrawn: BTreeSet::new(),
        }
    }

    pub fn is_leased(&self) -> bool {
        matches!(self.status, Status::Running | Status::Interrupting)
    }

    /// Carries the operation out, or leaves the chat as it is and says why.
    pub fn apply(&mut self, op: &Op) -> Answer {
        let mut next = self.clone();
        let is_change = next.carry_out(op)?;
        next.version += i64::from(is_change);
        *self = next;
        Ok(())
    }

    fn carry_out(&mut self, op: &Op) -> Result<bool, &'static str> {
        match op {
            Op::Send { text, is_interrupting } => self.send(text, *is_interrupting)?,
            Op::Edit { place, text } => self.edit(place.ok_or(NO_MESSAGE)?, text)?,
            Op::Delete { place } => {
                self.live()?;
                let Some(place) = *place else { return Ok(false) };
                self.withdrawn.insert(self.queue.remove(place));
            }
            Op::Promote { place } => {
                self.live()?;
                self.promote(place.ok_or(NOT_QUEUED)?);
            }
            Op::Reorder { place, to } => {
                self.live()?;
                let place = place.ok_or(NOT_QUEUED)?;
                let to = (*to).min(self.queue.len() - 1);
                let text = self.queue.remove(place);
                self.queue.insert(to, text);
                return Ok(place != to);
            }
            Op::Interrupt => return self.interrupt(),
            Op::Retry => {
                self.live()?;
                self.require(self.status == Status::Failed, NOT_FAILED)?;
                self.begin_turn();
            }
            Op::Compact => {
                self.at_rest()?;
                self.begin_turn();
            }
            Op::Clear => {
                self.at_rest()?;
                self.history
                    .extend(["assistant ?summary".to_owned(), "tool =summary".to_owned()]);
                self.end_turn();
            }
            Op::Archive => self.archive()?,
            Op::Unarchive => {
                self.require(self.is_archived, INVALID)?;
                self.is_archived = false;
            }
            Op::Rename => {}
            Op::Submit { calls } => {
                self.live()?;
                self.require(self.status == Status::RequiresAction, WRONG)?;
                let mut given = calls.clone();
                given.sort();
                let mut open = self.open.clone();
                open.sort();
                self.require(given == open, INVALID)?;
                let in_order = self.open.clone();
                self.store(&in_order)?;
                self.begin_turn();
            }
            Op::Claim => return Ok(self.claim()),
            Op::Expire => {
                self.is_lease_expired |= self.is_leased();
                return Ok(false);
            }
            Op::Release { epoch } => {
                self.hold(*epoch)?;
                match self.status {
                    Status::Running => self.status = Status::Pending,
                    _ => self.is_lease_expired = true,
                }
            }
            Op::Begin { epoch } => {
                self.hold(*epoch)?;
                self.require(
                    self.status == Status::Running && self.progress != Progress::Calling,
                    WRONG,
                )?;
                self.progress = Progress::Asking;
            }
            Op::Commit {
                epoch,
                brought,
                then,
                pending,
            } => self.commit(*epoch, brought, *then, pending)?,
            Op::Store {
                epoch,
                results,
                then,
                pending,
            } => self.store_results(*epoch, results, *then, pending)?,
            Op::Fail { epoch, brought } => {
                self.hold(*epoch)?;
                let is_stopped = self.status == Status::Interrupting;
                self.bring(brought)?;
                self.answer_open();
                self.end_turn_as(if is_stopped { None } else { Some(Status::Failed) });
            }
            Op::Settle { epoch, brought } => {
                self.hold(*epoch)?;
                self.require(self.status == Status::Interrupting, WRONG)?;
                self.bring(brought)?;
                self.answer_open();
                self.end_turn();
            }
        }
        Ok(true)
    }

    fn require(&self, is_so: bool, why: &'static str) -> Answer {
        if is_so { Ok(()) } else { Err(why) }
    }

    fn live(&self) -> Answer {
        self.require(!self.is_archived, ARCHIVED)
    }

    fn at_rest(&self) -> Answer {
        self.live()?;
        self.require(matches!(self.status, Status::Waiting | Status::Failed), BUSY)
    }

    fn hold(&self, epoch: i64) -> Answer {
        self.require(epoch == self.epoch, STALE)?;
        self.require(self.is_leased(), WRONG)
    }

    fn say(&mut self, text: &str) {
        assert!(self.open.is_empty(), "a user's message among open calls");
        self.history.push(format!("user {text}"));
        self.takeover_count = 0;
    }

    fn enqueue(&mut self, text: &str) -> Answer {
        self.require(self.queue.len() < MAX_QUEUED, FULL)?;
        self.queue.push(text.to_owned());
        Ok(())
    }

    fn begin_turn(&mut self) {
        self.heal();
        self.status = Status::Pending;
        self.progress = Progress::Between;
        self.is_lease_expired = false;
    }

    /// An error that is cleared takes the record of what went wrong with it.
    fn heal(&mut self) {
        if self.status == Status::Failed {
            self.takeover_count = 0;
        }
    }

    /// The turn is over: the next message that waits begins another one.
    fn end_turn(&mut self) {
        self.end_turn_as(None);
    }

    fn end_turn_as(&mut self, end: Option<Status>) {
        self.heal();
        self.progress = Progress::Between;
        self.is_lease_expired = false;
        if let Some(status) = end {
            self.status = status;
        } else if self.is_archived || self.queue.is_empty() {
            self.status = Status::Waiting;
        } else {
            self.status = Status::Pending;
            let head = self.queue.remove(0);
            self.say(&head);
        }
    }

    fn answer_open(&mut self) {
        for call in std::mem::take(&mut self.open) {
            self.history.push(format!("tool !{call}"));
        }
        self.progress = Progress::Between;
    }

    fn send(&mut self, text: &str, is_interrupting: bool) -> Answer {
        self.live()?;
        match self.status {
            Status::Pending | Status::Interrupting => self.enqueue(text)?,
            Status::Running => {
                self.enqueue(text)?;
                if is_interrupting {
                    self.status = Status::Interrupting;
                }
            }
            Status::RequiresAction if !is_interrupting => self.enqueue(text)?,
            Status::RequiresAction | Status::Waiting | Status::Failed => {
                self.answer_open();
                // Nobody overtakes those that wait; a full queue has room because its head leaves.
                self.queue.push(text.to_owned());
                self.end_turn();
            }
        }
        self.accepted.insert(text.to_owned());
        Ok(())
    }

    fn edit(&mut self, place: usize, text: &str) -> Answer {
        self.live()?;
        for message in self.history.drain(place..) {
            if let Some(text) = message.strip_prefix("user ") {
                self.withdrawn.insert(text.to_owned());
            }
        }
        self.withdrawn.extend(self.queue.drain(..));
        self.open.clear();
        self.epoch += i64::from(self.is_leased());
        self.begin_turn();
        self.say(text);
        self.accepted.insert(text.to_owned());
        Ok(())
    }

    fn promote(&mut self, place: usize) {
        let text = self.queue.remove(place);
        if self.is_leased() {
            self.queue.insert(0, text);
            self.status = Status::Interrupting;
        } else {
            self.answer_open();
            self.begin_turn();
            self.say(&text);
        }
    }

    fn interrupt(&mut self) -> Result<bool, &'static str> {
        self.live()?;
        match self.status {
            Status::Waiting | Status::Interrupting => return Ok(false),
            Status::Running => self.status = Status::Interrupting,
            Status::Pending | Status::RequiresAction | Status::Failed => {
                self.answer_open();
                self.end_turn();
            }
        }
        Ok(true)
    }

    fn archive(&mut self) -> Answer {
        self.require(!self.is_archived, INVALID)?;
        self.is_archived = true;
        match self.status {
            Status::Waiting | Status::Failed | Status::Interrupting => {}
            Status::Running => self.status = Status::Interrupting,
            Status::Pending | Status::RequiresAction => {
                self.answer_open();
                self.status = Status::Waiting;
            }
        }
        Ok(())
    }

    fn claim(&mut self) -> bool {
        match self.status {
            Status::Pending => self.status = Status::Running,
            Status::Running | Status::Interrupting if self.is_lease_expired => self.takeover_count += 1,
            _ => return false,
        }
        self.epoch += 1;
        self.is_lease_expired = false;
        true
    }

    /// Stores results of calls that are open.
    fn store(&mut self, results: &[String]) -> Answer {
        for call in results {
            let place = self.open.iter().position(|open| open == call).ok_or(INVALID)?;
            self.open.remove(place);
            self.history.push(format!("tool ={call}"));
        }
        self.takeover_count = 0;
        Ok(())
    }

    /// What a worker leaves behind when its turn ends early. An answer needs a step that was begun, lone results need open calls.
    fn bring(&mut self, brought: &Brought) -> Answer {
        if let Some((words, calls)) = &brought.answer {
            self.require(self.progress == Progress::Asking, WRONG)?;
            self.append(words, calls);
        } else if !brought.results.is_empty() {
            self.require(self.progress == Progress::Calling, WRONG)?;
        }
        if brought.results.is_empty() {
            Ok(())
        } else {
            self.store(&brought.results)
        }
    }

    fn append(&mut self, words: &str, calls: &[String]) {
        let listed: String = calls.iter().map(|call| format!(" ?{call}")).collect();
        self.history.push(format!("assistant {words}{listed}"));
        self.progress = if calls.is_empty() {
            Progress::Between
        } else {
            Progress::Calling
        };
        self.open = calls.to_vec();
        self.takeover_count = 0;
    }

    fn commit(&mut self, epoch: i64, brought: &Brought, then: Then, pending: &[String]) -> Answer {
        self.hold(epoch)?;
        match &brought.answer {
            Some((words, calls)) => {
                self.require(self.progress == Progress::Asking, WRONG)?;
                self.append(words, calls);
            }
            None if then == Then::Finish => {}
            // A completion without a word is a step all the same.
            None => {
                self.require(self.progress == Progress::Asking, WRONG)?;
                self.progress = Progress::Between;
                self.takeover_count = 0;
            }
        }
        self.follow(then, pending)
    }

    fn store_results(&mut self, epoch: i64, results: &[String], then: Then, pending: &[String]) -> Answer {
        self.require(then != Then::RunTools, INVALID)?;
        self.hold(epoch)?;
        self.require(self.progress == Progress::Calling, WRONG)?;
        self.store(results)?;
        if then != Then::RequireAction {
            self.require(self.open.is_empty(), INVALID)?;
            self.progress = Progress::Between;
        }
        self.follow(then, pending)
    }

    fn follow(&mut self, then: Then, pending: &[String]) -> Answer {
        let is_stopped = self.status == Status::Interrupting;
        match then {
            Then::Continue | Then::RunTools => {}
            Then::Finish => {
                self.require(is_stopped || self.progress != Progress::Calling, WRONG)?;
                self.answer_open();
                self.end_turn();
            }
            Then::RequireAction => {
                self.require(self.progress == Progress::Calling, WRONG)?;
                if is_stopped {
                    self.answer_open();
                    self.end_turn();
                } else {
                    self.require(!self.open.is_empty() && pending == self.open, INVALID)?;
                    self.status = Status::RequiresAction;
                    self.progress = Progress::Between;
                }
            }
        }
        Ok(())
    }
}
