//! One chat on its way: rolls a command, asks storage and the model, and compares.

use std::collections::BTreeMap;

use tandem_proto::storage::v1::*;
use tonic::Status as Refused;
use uuid::Uuid;

use super::Dice;
use super::reference::{Brought, Chat, Op, Progress, Status, Then};
use crate::harness::reason;
use crate::stage::{
    Stage, Turn, assistant, begins, brief, claims, commits, fails, pending, releases, result, says, sends, settles,
    status, stores, waiting_texts,
};

/// Takeovers after which storage sets a chat aside lie beyond this.
const MAX_TAKEOVERS: usize = 15;

/// What every run long enough must have seen.
pub const NEEDED: &[&str] = &[
    "Send: done",
    "Send: CHAT_ARCHIVED",
    "Edit: done",
    "Edit: MESSAGE_NOT_FOUND",
    "Delete: done",
    "Promote: done",
    "Promote: QUEUED_MESSAGE_NOT_FOUND",
    "Reorder: done",
    "Interrupt: done",
    "Archive: done",
    "Unarchive: done",
    "Submit: done",
    "Submit: INVALID_REQUEST",
    "Claim: done",
    "Release: done",
    "Release: STALE_EPOCH",
    "Begin: done",
    "Commit: done",
    "Commit: STALE_EPOCH",
    "Store: done",
    "Store: INVALID_REQUEST",
    "Fail: done",
    "Settle: done",
    "Settle: WRONG_STATE",
];

pub struct Walk<'a> {
    stage: &'a Stage,
    dice: &'a mut Dice,
    seed: u64,
    outcomes: &'a mut BTreeMap<String, u64>,
    chat: String,
    model: Chat,
    seen: GetChatSnapshotResponse,
    /// Texts and calls made up so far.
    made: u64,
    trail: Vec<Op>,
}

impl<'a> Walk<'a> {
    pub async fn begin(
        stage: &'a Stage,
        dice: &'a mut Dice,
        seed: u64,
        outcomes: &'a mut BTreeMap<String, u64>,
    ) -> Walk<'a> {
        let chat = stage.chat("m0").await;
        let seen = stage.snapshot(&chat).await;
        let model = Chat::new("m0");
        Walk {
            stage,
            dice,
            seed,
            outcomes,
            chat,
            model,
            seen,
            made: 0,
            trail: Vec::new(),
        }
    }

    pub async fn go(mut self, length: u64) {
        for _ in 0..length {
            let op = self.choose();
            self.trail.push(op.clone());
            let heard = match self.ask(&op).await {
                Ok(()) => "done".to_owned(),
                Err(refused) => reason::<()>(Err(refused)),
            };
            let expected = self.model.apply(&op).err().unwrap_or("done");
            assert_eq!(heard, expected, "{}", self.story());
            self.compare().await;
            let name = format!("{op:?}");
            let name = name.split([' ', '{']).next().unwrap_or_default();
            *self.outcomes.entry(format!("{name}: {heard}")).or_default() += 1;
        }
        self.check_changes().await;
    }

    fn story(&self) -> String {
        let steps: Vec<String> = self.trail.iter().map(|op| format!("{op:?}")).collect();
        format!(
            "TANDEM_FUZZ_SEED={}, after:\n{}\n{:#?}",
            self.seed,
            steps.join("\n"),
            self.model
        )
    }

    fn text(&mut self) -> String {
        self.made += 1;
        format!("m{}", self.made)
    }

    /// A place in a list of this length, or one that is not there.
    fn place(&mut self, length: usize) -> Option<usize> {
        (length > 0 && self.dice.chance(85)).then(|| self.dice.roll(length))
    }

    /// Mostly the epoch of now, sometimes one of another owner.
    fn epoch(&mut self) -> i64 {
        if self.dice.chance(85) {
            return self.model.epoch;
        }
        let known = usize::try_from(self.model.epoch).unwrap() + 2;
        i64::try_from(self.dice.roll(known)).unwrap()
    }

    fn calls(&mut self) -> Vec<String> {
        let count = self.dice.roll(4);
        (0..count).map(|_| self.text().replace('m', "call")).collect()
    }

    /// Mostly results of the calls that are open, sometimes of too few, too many or others.
    fn results(&mut self) -> Vec<String> {
        let mut results = self.model.open.clone();
        match self.dice.roll(10) {
            0 => drop(results.pop()),
            1 => results.push("call_of_nobody".to_owned()),
            2 => results.extend(results.first().cloned()),
            3 => results.clear(),
            4 | 5 => results.reverse(),
            _ => {}
        }
        results
    }

    fn brought(&mut self) -> Brought {
        match self.dice.roll(5) {
            0 | 1 => Brought::default(),
            2 => Brought {
                answer: None,
                results: self.results(),
            },
            3 => Brought {
                answer: Some((self.text(), self.calls())),
                results: Vec::new(),
            },
            _ => {
                let calls = self.calls();
                let known = self.dice.roll(calls.len() + 1);
                Brought {
                    results: calls[..known].to_vec(),
                    answer: Some((self.text(), calls)),
                }
            }
        }
    }

    /// What the client has to answer: mostly what is left.
    fn left(&mut self, open: &[String], results: &[String]) -> Vec<String> {
        let mut left: Vec<String> = open.iter().filter(|call| !results.contains(call)).cloned().collect();
        if self.dice.chance(10) {
            left.pop();
        }
        left
    }

    fn choose(&mut self) -> Op {
        if self.dice.chance(55) {
            self.choose_next()
        } else {
            self.choose_any()
        }
    }

    /// Something that brings this chat on.
    fn choose_next(&mut self) -> Op {
        match (self.model.status, self.model.progress) {
            _ if self.model.is_archived && !self.model.is_leased() => Op::Unarchive,
            (Status::Waiting | Status::Failed, _) => self.choose_send(),
            (Status::Pending, _) => Op::Claim,
            (Status::Running, Progress::Between) => Op::Begin { epoch: self.epoch() },
            (Status::Running, Progress::Asking) => self.choose_commit(),
            (Status::Running, Progress::Calling) => self.choose_store(),
            (Status::Interrupting, _) => Op::Settle {
                epoch: self.epoch(),
                brought: self.brought(),
            },
            (Status::RequiresAction, _) => Op::Submit { calls: self.results() },
        }
    }

    fn choose_send(&mut self) -> Op {
        Op::Send {
            text: self.text(),
            is_interrupting: self.dice.chance(30),
        }
    }

    fn choose_commit(&mut self) -> Op {
        let answer = self.dice.chance(85).then(|| (self.text(), self.calls()));
        let calls = answer
            .as_ref()
            .map_or_else(|| self.model.open.clone(), |(_, calls)| calls.clone());
        let pending = self.left(&calls, &[]);
        let then = match self.dice.roll(6) {
            0 => Then::RequireAction,
            1 => Then::Continue,
            _ if calls.is_empty() => Then::Finish,
            _ => Then::RunTools,
        };
        Op::Commit {
            epoch: self.epoch(),
            brought: Brought {
                answer,
                results: Vec::new(),
            },
            then,
            pending,
        }
    }

    fn choose_store(&mut self) -> Op {
        let mut results = self.results();
        let then = match self.dice.roll(6) {
            0 => Then::Finish,
            1 => Then::RunTools,
            2 | 3 => {
                results.truncate(self.dice.roll(results.len() + 1));
                Then::RequireAction
            }
            _ => Then::Continue,
        };
        let open = self.model.open.clone();
        let pending = self.left(&open, &results);
        Op::Store {
            epoch: self.epoch(),
            results,
            then,
            pending,
        }
    }

    fn choose_any(&mut self) -> Op {
        let queued = self.model.queue.len();
        match self.dice.roll(30) {
            0..=7 => self.choose_send(),
            8 => {
                let is_user = |place: &usize| self.model.history[*place].starts_with("user ");
                let places: Vec<usize> = (0..self.model.history.len()).filter(is_user).collect();
                let place = self.place(places.len()).map(|place| places[place]);
                Op::Edit {
                    place,
                    text: self.text(),
                }
            }
            9 | 10 => Op::Delete {
                place: self.place(queued),
            },
            11 | 12 => Op::Promote {
                place: self.place(queued),
            },
            13 | 14 => Op::Reorder {
                place: self.place(queued),
                to: self.dice.roll(25),
            },
            15 | 16 => Op::Interrupt,
            17 => Op::Retry,
            18 => [Op::Compact, Op::Clear][self.dice.roll(2)].clone(),
            19 => Op::Archive,
            20 => Op::Unarchive,
            21 => Op::Rename,
            22 => Op::Submit { calls: self.results() },
            23 => Op::Claim,
            24 if self.model.takeover_count < MAX_TAKEOVERS => Op::Expire,
            24 | 25 => Op::Release { epoch: self.epoch() },
            26 => Op::Begin { epoch: self.epoch() },
            27 => self.choose_commit(),
            28 => self.choose_store(),
            _ if self.dice.chance(50) => Op::Fail {
                epoch: self.epoch(),
                brought: self.brought(),
            },
            _ => Op::Settle {
                epoch: self.epoch(),
                brought: self.brought(),
            },
        }
    }
}

/// Asking storage the same.
impl Walk<'_> {
    fn turn(&self, epoch: i64) -> Turn {
        Turn {
            chat: self.chat.clone(),
            epoch,
            replica: String::new(),
        }
    }

    /// The id of the queued message at this place.
    fn queued(&self, place: Option<usize>) -> i64 {
        place.map_or(i64::MAX, |place| self.seen.queue[place].id)
    }

    async fn ask(&self, op: &Op) -> Result<(), Refused> {
        let (stage, admin) = (self.stage, &self.stage.admin);
        let chat_id = self.chat.clone();
        match op {
            Op::Send { text, is_interrupting } => {
                let behavior = if *is_interrupting {
                    BusyBehavior::Interrupt
                } else {
                    BusyBehavior::Queue
                };
                let sent = stage.send_message(admin, sends(&chat_id, text, behavior)).await?;
                let queued = sent.queued_message.map(|queued| waiting_texts(&[queued]).remove(0));
                let heard = queued.or(sent.message.as_ref().map(|message| brief(message).replace("user ", "")));
                assert_eq!(heard.as_ref(), Some(text), "{}", self.story());
            }
            Op::Edit { place, text } => {
                let message_id = place.map_or(i64::MAX, |place| self.seen.messages[place].id);
                stage
                    .edit_message(
                        admin,
                        EditMessageRequest {
                            chat_id,
                            message_id,
                            message: says(text),
                        },
                    )
                    .await?;
            }
            Op::Delete { place } => {
                let queued_message_id = self.queued(*place);
                stage
                    .delete_queued_message(
                        admin,
                        DeleteQueuedMessageRequest {
                            chat_id,
                            queued_message_id,
                        },
                    )
                    .await?;
            }
            Op::Promote { place } => {
                let queued_message_id = self.queued(*place);
                stage
                    .promote_queued_message(
                        admin,
                        PromoteQueuedMessageRequest {
                            chat_id,
                            queued_message_id,
                        },
                    )
                    .await?;
            }
            Op::Reorder { place, to } => {
                let (queued_message_id, position) = (self.queued(*place), i32::try_from(*to).unwrap());
                let message = ReorderQueuedMessageRequest {
                    chat_id,
                    queued_message_id,
                    position,
                };
                stage.reorder_queued_message(admin, message).await?;
            }
            Op::Interrupt => drop(stage.interrupt(&chat_id).await?),
            Op::Retry => drop(stage.retry_chat(admin, RetryChatRequest { chat_id }).await?),
            Op::Compact => drop(stage.compact_chat(admin, CompactChatRequest { chat_id }).await?),
            Op::Clear => drop(
                stage
                    .clear_chat_context(admin, ClearChatContextRequest { chat_id })
                    .await?,
            ),
            Op::Archive => drop(stage.archive(&chat_id, true).await?),
            Op::Unarchive => drop(stage.archive(&chat_id, false).await?),
            Op::Rename => {
                let name = Uuid::new_v4().to_string();
                stage.update(&chat_id, |message| message.title = Some(name)).await?;
            }
            Op::Submit { calls } => {
                let result = |call: &String| ToolResultInput {
                    tool_call_id: call.clone(),
                    output_json: "1".to_owned(),
                    is_error: false,
                };
                let results = calls.iter().map(result).collect();
                stage
                    .submit_tool_results(admin, SubmitToolResultsRequest { chat_id, results })
                    .await?;
            }
            Op::Claim => drop(stage.claim_chats(claims(&Uuid::new_v4().to_string(), 64)).await?),
            Op::Expire if self.model.is_leased() => stage.expire(&chat_id).await,
            Op::Expire => {}
            worker => self.ask_as_worker(worker).await?,
        }
        Ok(())
    }

    async fn ask_as_worker(&self, op: &Op) -> Result<(), Refused> {
        let stage = self.stage;
        match op {
            Op::Release { epoch } => drop(stage.release_chat(releases(&self.turn(*epoch))).await?),
            Op::Begin { epoch } => drop(stage.begin_step(begins(&self.turn(*epoch))).await?),
            Op::Commit {
                epoch,
                brought,
                then,
                pending: left,
            } => {
                let message = CommitStepRequest {
                    pending_tool_calls: left.iter().map(|call| pending(call)).collect(),
                    ..commits(&self.turn(*epoch), messages(brought), outcome(*then))
                };
                stage.commit_step(message).await?;
            }
            Op::Store {
                epoch,
                results,
                then,
                pending: left,
            } => {
                let results = results.iter().map(|call| result(call)).collect();
                let message = StoreToolResultsRequest {
                    pending_tool_calls: left.iter().map(|call| pending(call)).collect(),
                    ..stores(&self.turn(*epoch), results, outcome(*then))
                };
                stage.store_tool_results(message).await?;
            }
            Op::Fail { epoch, brought } => drop(stage.fail_turn(fails(&self.turn(*epoch), messages(brought))).await?),
            Op::Settle { epoch, brought } => {
                stage
                    .finish_interruption(settles(&self.turn(*epoch), messages(brought)))
                    .await?;
            }
            other => unreachable!("{other:?} is no work"),
        }
        Ok(())
    }

    /// The chat as storage shows it and as the model has it.
    async fn compare(&mut self) {
        self.seen = self.stage.snapshot(&self.chat).await;
        let seen = self.seen.chat.clone().unwrap();
        let model = &self.model;
        let status_of = match model.status {
            Status::Waiting => "waiting",
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Interrupting => "interrupting",
            Status::RequiresAction => "requires_action",
            Status::Failed => "error",
        };
        let history: Vec<String> = self.seen.messages.iter().map(brief).map(summary).collect();
        assert_eq!(history, model.history, "history: {}", self.story());
        assert_eq!(waiting_texts(&self.seen.queue), model.queue, "queue: {}", self.story());
        let shown = (status(&seen), seen.is_archived, seen.version, seen.epoch);
        let expected = (status_of, model.is_archived, model.version, model.epoch);
        assert_eq!(shown, expected, "status, archived, version, epoch: {}", self.story());
        assert_eq!(
            seen.last_error.is_some(),
            model.status == Status::Failed,
            "error: {}",
            self.story()
        );
        let asked: Vec<_> = seen
            .pending_tool_calls
            .iter()
            .map(|call| call.tool_call_id.clone())
            .collect();
        let expected = if model.status == Status::RequiresAction {
            model.open.clone()
        } else {
            Vec::new()
        };
        assert_eq!(asked, expected, "the client's calls: {}", self.story());
        self.check_laws(&history);
    }

    /// Laws that hold whatever the model says: each call has one result before anybody speaks, each message is somewhere once.
    fn check_laws(&self, history: &[String]) {
        let mut open: Vec<&str> = Vec::new();
        for message in history {
            let (role, rest) = message.split_once(' ').unwrap_or((message, ""));
            let words = rest.split(' ');
            match role {
                "tool" => {
                    let call = rest.trim_start_matches(['=', '!']);
                    let place = open.iter().position(|open| *open == call);
                    open.remove(
                        place.unwrap_or_else(|| {
                            panic!("a second result, or one of no call: {message}: {}", self.story())
                        }),
                    );
                }
                _ => {
                    assert!(
                        open.is_empty(),
                        "calls {open:?} have no result before {message}: {}",
                        self.story()
                    );
                    open.extend(words.filter_map(|word| word.strip_prefix('?')));
                }
            }
        }
        assert_eq!(open, self.model.open, "{}", self.story());
        let mut kept: Vec<&str> = history
            .iter()
            .filter_map(|message| message.strip_prefix("user "))
            .collect();
        kept.extend(self.model.queue.iter().map(String::as_str));
        kept.extend(self.model.withdrawn.iter().map(String::as_str));
        kept.sort_unstable();
        let accepted: Vec<&str> = self.model.accepted.iter().map(String::as_str).collect();
        assert_eq!(kept, accepted, "a message was lost or doubled: {}", self.story());
    }

    /// The record of changes has every version once, each beginning where the one before ended.
    async fn check_changes(&self) {
        let changes = self.stage.changes(&self.chat).await;
        let versions: Vec<i64> = changes.iter().map(|change| change.version).collect();
        assert_eq!(
            versions,
            (1..=self.model.version).collect::<Vec<_>>(),
            "{}",
            self.story()
        );
        for pair in changes.windows(2) {
            assert_eq!(
                pair[1].previous_status,
                pair[0].status,
                "version {}: {}",
                pair[1].version,
                self.story()
            );
        }
    }
}

fn messages(brought: &Brought) -> Vec<NewMessage> {
    let answer = brought.answer.iter().map(|(words, calls)| {
        let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
        assistant(words, &calls)
    });
    answer.chain(brought.results.iter().map(|call| result(call))).collect()
}

fn outcome(then: Then) -> StepOutcome {
    match then {
        Then::Continue => StepOutcome::Continue,
        Then::Finish => StepOutcome::Finish,
        Then::RequireAction => StepOutcome::RequireAction,
        Then::RunTools => StepOutcome::RunTools,
    }
}

/// The line that a cleared context leaves, without the id storage made up for it.
fn summary(message: String) -> String {
    match message.split_once("chat_summarized") {
        Some((before, _)) => format!("{before}summary"),
        None => message,
    }
}
