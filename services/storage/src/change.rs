//! One change of one chat: the state machine decides, this carries the decision out inside the transaction that holds the row.
//!
//! Every RPC that changes a chat goes through here, so that no status is assigned and no version bumped anywhere else.

mod unapproved;

use prost::Message;
use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chassis::status::Violation;
use tandem_chat_core::chat::{AnswerReason, Command, Decision, Effect, Progress, State, StatusKind, decide_all};
use tandem_chat_core::error::ChatError;
use tandem_chat_core::id::{FileId, ToolCallId};
use tandem_chat_core::message::{Role, Visibility};
use tandem_chat_core::part::{Part, ProviderMetadata, SUMMARY_TOOL, ToolCallPart, ToolResultPart};
use tandem_proto::common::v1::WatchKind;
use tandem_proto::storage::v1::StepPurpose;
use uuid::Uuid;

use crate::db::changes::{self, Change};
use crate::db::{Pool, chats, files, messages, model_choice, queue};
use crate::error::Error;
use crate::hints::{Hint, Hints};
use crate::idempotency::Tx;
use crate::turn_facts::{Intent, PendingCall, Sealed};
use crate::turn_label;

/// What a command brings along, for the effects that write it.
#[derive(Default)]
pub(crate) struct Payload {
    /// A user's message.
    pub(crate) message: Option<UserMessage>,
    /// A step's answer, or the part of it that was seen.
    pub(crate) answer: Vec<messages::New>,
    /// Results of a step's calls.
    pub(crate) results: Vec<messages::New>,
    pub(crate) error: Option<ChatError>,
    pub(crate) intent: Option<Intent>,
    /// Where the live parts that these messages replace end.
    pub(crate) sealed: Option<Sealed>,
    /// Calls only the client can answer.
    pub(crate) pending: Vec<PendingCall>,
}

/// A user's message with the model it is for.
#[derive(Clone)]
pub(crate) struct UserMessage {
    pub(crate) parts: Vec<Part>,
    pub(crate) model: Uuid,
    pub(crate) created_by: Uuid,
}

/// A chat locked in a transaction, on its way to its next version.
pub(crate) struct Open {
    tx: Tx,
    before: chats::Row,
    pub(crate) row: chats::Row,
    pub(crate) state: State,
    pub(crate) change: Change,
    is_activity: bool,
    /// Calls without a result once what a worker or a client brought is stored; `None` while neither brought any.
    left: Option<Vec<ToolCallId>>,
    pub(crate) inserted: Vec<messages::Row>,
    pub(crate) promoted: Option<messages::Row>,
    pub(crate) queued: Option<queue::Row>,
}

impl Open {
    /// Begins a change of a chat its caller may change, in the transaction that `tx` has just begun.
    pub(crate) async fn for_user(mut tx: Tx, chat: Uuid, user: Uuid) -> Result<Self, Error> {
        let row = chats::lock(&mut tx, chat, user)
            .await?
            .ok_or_else(crate::error::chat_not_found)?;
        Self::new(tx, row)
    }

    /// Begins a change of a chat in the name of the worker that runs it.
    pub(crate) async fn for_worker(pool: &Pool, chat: Uuid) -> Result<Self, Error> {
        let mut tx = pool.begin().await?;
        let row = chats::lock_for_worker(&mut tx, chat)
            .await?
            .ok_or_else(crate::error::chat_not_found)?;
        Self::new(tx, row)
    }

    /// Goes on with a row that `tx` has locked already.
    pub(crate) fn new(tx: impl Into<Tx>, row: chats::Row) -> Result<Self, Error> {
        let state = row.state()?;
        Ok(Self {
            tx: tx.into(),
            before: row.clone(),
            row,
            state,
            change: Change::default(),
            is_activity: false,
            left: None,
            inserted: Vec::new(),
            promoted: None,
            queued: None,
        })
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Decides the commands as one change and carries it out; says whether there was anything to do.
    pub(crate) async fn apply(&mut self, commands: &[Command], mut payload: Payload) -> Result<bool, Error> {
        let decision = decide_all(&self.state, commands)?;
        if decision.next == self.state {
            return Ok(false);
        }
        self.row.set_state(&decision.next);
        for effect in &decision.effects {
            self.carry_out(effect, &mut payload).await?;
        }
        self.account_for_calls(&decision, payload.pending).await?;
        self.state = decision.next;
        Ok(true)
    }

    /// Stores the row with its change record, commits, and tells the house. A change that is none only ends the transaction.
    pub(crate) async fn commit(mut self, hints: &Hints) -> Result<Done, Error> {
        self.store().await?;
        let (tx, done) = self.done();
        tx.commit().await?;
        done.tell(hints);
        Ok(done)
    }

    /// Like [`Open::commit`], and keeps what the caller is answered for when they ask again.
    pub(crate) async fn answer<T: Message>(
        self,
        hints: &Hints,
        answer: impl FnOnce(&Done) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let (answer, _) = self.answer_and_tell(hints, answer).await?;
        Ok(answer)
    }

    /// Like [`Open::answer`], with what was done, for what only the first answer tells.
    pub(crate) async fn answer_and_tell<T: Message>(
        mut self,
        hints: &Hints,
        answer: impl FnOnce(&Done) -> Result<T, Error> + Send,
    ) -> Result<(T, Done), Error> {
        self.store().await?;
        let (tx, done) = self.done();
        let answer = answer(&done)?;
        tx.answer(&answer).await?;
        done.tell(hints);
        Ok((answer, done))
    }

    /// Like [`Open::commit`] without the end: the caller goes on in the same transaction, and tells the house when it has committed.
    pub(crate) async fn leave_open(mut self) -> Result<(Tx, Done), Error> {
        self.store().await?;
        Ok(self.done())
    }

    /// The row with its change record, if there is a change.
    async fn store(&mut self) -> Result<(), Error> {
        if self.row.version == self.before.version {
            return Ok(());
        }
        self.settle();
        changes::save(&mut self.tx, &self.before, &self.row, &self.change, self.is_activity).await?;
        if self.is_activity {
            self.row.updated_at = self.row.now;
        }
        Ok(())
    }

    fn done(self) -> (Tx, Done) {
        let is_change = self.row.version != self.before.version;
        let done = Done {
            change: is_change.then(|| self.change.recorded(&self.before, &self.row)),
            row: self.row,
            inserted: self.inserted,
            promoted: self.promoted,
            queued: self.queued,
        };
        (self.tx, done)
    }

    /// Counts the change as activity, which moves the chat up in its owner's list.
    pub(crate) fn touch(&mut self) {
        self.is_activity = true;
    }

    /// Adds a reason for the chat to show up in its owner's feed.
    pub(crate) fn watch(&mut self, kind: WatchKind) {
        let kind = i32::from(kind);
        if !self.change.watch_kinds.contains(&kind) {
            self.change.watch_kinds.push(kind);
        }
    }

    /// Facts of the row and of the change record that follow from where the status went.
    fn settle(&mut self) {
        let is_moved = self.row.status != self.before.status;
        let is_new_owner = self.row.epoch != self.before.epoch;
        if is_moved {
            self.is_activity = true;
            if self.row.status != StatusKind::Running.as_str() && self.row.status != StatusKind::Interrupting.as_str() {
                self.watch(WatchKind::StatusChange);
            }
        }
        if self.row.status == StatusKind::RequiresAction.as_str() {
            self.change.action_required = Some(self.row.pending_tool_calls.0.clone());
            self.watch(WatchKind::ActionRequired);
        } else {
            self.row.pending_tool_calls = Json(Vec::new());
        }
        if let Some(sealed) = self.change.sealed {
            self.row.sealed = Some(Json(sealed));
        }
        if is_new_owner {
            self.row.sealed = None;
        }
        if let Some(label) = turn_label::after(&self.before, &self.row, self.promoted.is_some())
            && label != self.row.last_turn_summary.as_deref()
        {
            self.row.last_turn_summary = label.map(str::to_owned);
            self.watch(WatchKind::SummaryChange);
        }
        if matches!(self.row.status.as_str(), "waiting" | "error") {
            self.row.turn_step = 0;
            self.row.intent = None;
            self.row.is_compaction_requested = false;
        }
        // A turn that stops without a message that replaces what was shown has withdrawn it, unless the next owner can go on.
        let is_over = self.before.lease_owner.is_some() && self.row.lease_owner.is_none();
        if is_over && self.change.sealed.is_none() && self.row.intent.is_none() {
            self.change.is_preview_reset = true;
        }
    }

    async fn carry_out(&mut self, effect: &Effect, payload: &mut Payload) -> Result<(), Error> {
        match effect {
            Effect::InsertUserMessage => {
                let message = payload.message.take().ok_or_else(|| missing("a user message"))?;
                self.insert_user(message).await?;
            }
            Effect::EnqueueMessage => {
                let message = payload.message.take().ok_or_else(|| missing("a user message"))?;
                let (chat, parts) = (self.row.id, message.parts);
                let row = queue::append(&mut self.tx, chat, message.created_by, message.model, &parts).await?;
                self.queued = Some(row);
                self.queue_changed();
            }
            Effect::PromoteHead => self.promote(None).await?,
            Effect::PromoteQueued(id) => self.promote(Some(id.0)).await?,
            Effect::MoveToFront(id) => {
                queue::move_to_front(&mut self.tx, self.row.id, id.0).await?;
                self.queue_changed();
            }
            Effect::SetQueueOrder(ids) => {
                let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
                queue::set_order(&mut self.tx, self.row.id, &ids).await?;
                self.queue_changed();
            }
            Effect::DeleteQueued(id) => {
                queue::take(&mut self.tx, self.row.id, Some(id.0)).await?;
                self.queue_changed();
            }
            Effect::ClearQueue => {
                queue::clear(&mut self.tx, self.row.id).await?;
                self.queue_changed();
            }
            Effect::TruncateFrom(id) => {
                messages::truncate_from(&mut self.tx, self.row.id, id.0).await?;
                unapproved::withdraw(&mut self.tx, &self.before).await?;
                self.change.history_reset_from_id = Some(id.0);
                self.change.is_preview_reset = true;
                self.row.turn_step = 0;
            }
            Effect::AppendStep | Effect::AppendPartial => {
                let mut answer = std::mem::take(&mut payload.answer);
                self.name_completion(&mut answer);
                self.left = Some(unanswered(Vec::new(), &answer)?);
                self.insert(&answer).await?;
                self.change.sealed = payload.sealed.or(self.change.sealed);
                self.row.intent = None;
                self.row.turn_step += 1;
                self.got_somewhere();
            }
            Effect::RequestCompaction => self.row.is_compaction_requested = true,
            Effect::InsertBoundary => {
                let boundary = cleared(self.row.now)?;
                self.insert(&boundary).await?;
            }
            Effect::StoreToolResults => {
                let results = std::mem::take(&mut payload.results);
                let open = self.open_calls().await?;
                self.left = Some(unanswered(open, &results)?);
                self.insert(&results).await?;
                self.list_files(&results).await?;
                self.got_somewhere();
                self.change.sealed = payload.sealed.or(self.change.sealed);
            }
            Effect::AnswerOpenCalls(reason) => self.answer_open_calls(*reason).await?,
            Effect::RecordIntent => self.row.intent = payload.intent.take().map(Json),
            Effect::DropIntent => self.row.intent = None,
            Effect::SetError => {
                let error = payload
                    .error
                    .take()
                    .unwrap_or_else(|| ChatError::generic("The turn failed."));
                self.change.error = Some(error.clone());
                self.row.last_error = Some(Json(error));
            }
            Effect::ClearError => {
                self.row.last_error = None;
                self.got_somewhere();
            }
            Effect::ClearPin => {
                chats::close_pin_gap(&mut self.tx, self.row.owner_id, self.row.pin_order).await?;
                self.row.pin_order = 0;
            }
            // The caller has written its metadata into the row; the rest is the house's business after the commit.
            Effect::ApplyMetadata | Effect::OpenLog { .. } | Effect::CancelTurn { .. } | Effect::WakeWorkers => {}
        }
        Ok(())
    }

    /// Every call has its result before the model or a person is heard again, and the client is asked for exactly those it has to give.
    async fn account_for_calls(&mut self, decision: &Decision, pending: Vec<PendingCall>) -> Result<(), Error> {
        let next = decision.next.status;
        let is_parked = next.kind() == StatusKind::RequiresAction && self.state.status.kind() != next.kind();
        if is_parked {
            let left = match self.left.take() {
                Some(left) => left,
                None => self.open_calls().await?,
            };
            let mut asked: Vec<&str> = pending.iter().map(|call| call.tool_call_id.as_str()).collect();
            let mut left: Vec<&str> = left.iter().map(ToolCallId::as_str).collect();
            asked.sort_unstable();
            left.sort_unstable();
            if left.is_empty() || asked != left {
                return Err(broken("pending_tool_calls", "must be the calls without a result"));
            }
            self.row.pending_tool_calls = Json(pending);
            return Ok(());
        }
        let is_given_up = decision
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::AnswerOpenCalls(_)));
        let is_settled = is_given_up || next.progress() == Progress::Calling;
        match &self.left {
            Some(left) if !left.is_empty() && !is_settled => {
                Err(broken("messages", "must hold a result for every open call"))
            }
            _ => Ok(()),
        }
    }

    /// Tells what the answer of a step is the answer of, so that what it has used is recorded with it. What a compaction has used is
    /// the sum of several completions, which are recorded by who made them.
    fn name_completion(&self, answer: &mut [messages::New]) {
        let intent = self.row.intent.as_ref();
        let intent = intent.filter(|intent| intent.purpose == i32::from(StepPurpose::Unspecified));
        let measured = answer
            .iter_mut()
            .find(|message| message.role == Role::Assistant && !message.usage.is_empty());
        if let (Some(intent), Some(measured)) = (intent, measured) {
            measured.completion_id = Uuid::try_parse(&intent.completion_id).ok();
        }
    }

    /// Calls of the last answer without a result.
    async fn open_calls(&mut self) -> Result<Vec<ToolCallId>, Error> {
        let open = open_calls(&messages::tail(&mut self.tx, self.row.id).await?);
        Ok(open.into_iter().map(|call| call.tool_call_id).collect())
    }

    /// What went wrong before this does not count any more.
    fn got_somewhere(&mut self) {
        self.row.crash_count = 0;
        self.row.takeover_count = 0;
    }

    fn queue_changed(&mut self) {
        self.change.is_queue_changed = true;
        self.is_activity = true;
    }

    /// Stores context, which is nobody's speech and which no decision asks for.
    pub(crate) async fn insert_context(&mut self, new: messages::New) -> Result<(), Error> {
        self.insert(&[new]).await.map(|_| ())
    }

    async fn insert(&mut self, new: &[messages::New]) -> Result<Vec<messages::Row>, Error> {
        let rows = messages::insert(&mut self.tx, self.row.id, new).await?;
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            self.change.first_message_id.get_or_insert(first.id);
            self.change.last_message_id = Some(last.id);
            self.is_activity = true;
        }
        self.inserted.extend(rows.iter().cloned());
        Ok(rows)
    }

    async fn insert_user(&mut self, message: UserMessage) -> Result<messages::Row, Error> {
        let new = messages::New {
            created_by: Some(message.created_by),
            model_config_id: Some(message.model),
            ..messages::New::plain(Role::User, Visibility::Both, message.parts)
        };
        self.row.last_model_config_id = message.model;
        self.row.turn_step = 0;
        self.got_somewhere();
        let mut rows = self.insert(&[new]).await?;
        rows.pop().ok_or_else(|| missing("the stored message"))
    }

    async fn promote(&mut self, id: Option<i64>) -> Result<(), Error> {
        let row = queue::take(&mut self.tx, self.row.id, id)
            .await?
            .ok_or_else(|| missing("the queued message"))?;
        let model = model_choice::usable_or_default(&mut self.tx, row.model_config_id).await?;
        let message = UserMessage {
            parts: row.parts()?,
            model: model.unwrap_or(self.row.last_model_config_id),
            created_by: row.created_by.unwrap_or(self.row.owner_id),
        };
        let stored = self.insert_user(message).await?;
        self.promoted = Some(stored);
        self.queue_changed();
        Ok(())
    }

    /// Lists with the chat the files that tools made, as far as there is room.
    async fn list_files(&mut self, messages: &[messages::New]) -> Result<(), Error> {
        let of_assistant = messages.iter().filter(|message| message.role == Role::Assistant);
        let made: Vec<Uuid> = of_assistant
            .flat_map(|message| &message.parts)
            .filter_map(|part| match part {
                Part::File(file) => file.file_id.map(FileId::uuid),
                _ => None,
            })
            .collect();
        if !files::link(&mut self.tx, self.row.id, &made).await? {
            tracing::debug!(chat_id = %self.row.id, "the chat lists as many files as it can");
        }
        Ok(())
    }

    /// Gives every call of the last answer that has no result the result that there will be none.
    async fn answer_open_calls(&mut self, reason: AnswerReason) -> Result<(), Error> {
        let open = open_calls(&messages::tail(&mut self.tx, self.row.id).await?);
        let unapproved = unapproved::among(&mut self.tx, &self.before, &open).await?;
        unapproved::withdraw(&mut self.tx, &self.before).await?;
        let now = self.row.now;
        let results: Vec<_> = open
            .iter()
            .map(|call| {
                let text = match unapproved.contains(&call.tool_call_id) {
                    true => reason.text_unapproved(),
                    false => reason.text(),
                };
                let result = ToolResultPart::synthetic_error(call, text, Some(now));
                messages::New::plain(Role::Tool, Visibility::Both, vec![Part::ToolResult(result)])
            })
            .collect();
        self.insert(&results).await?;
        Ok(())
    }
}

/// What a committed change left behind.
pub(crate) struct Done {
    /// As it was recorded; `None` when nothing changed.
    pub(crate) change: Option<changes::Row>,
    pub(crate) row: chats::Row,
    pub(crate) inserted: Vec<messages::Row>,
    pub(crate) promoted: Option<messages::Row>,
    pub(crate) queued: Option<queue::Row>,
}

impl Done {
    /// Tells the house of a change that is committed.
    fn tell(&self, hints: &Hints) {
        // Nobody has been told yet: the caller may not even get its answer.
        tandem_chassis::fault::point("storage.committed", &self.row.id.to_string());
        if let Some(change) = &self.change {
            hints.send(Hint::of_change(&self.row, change));
        }
    }
}

/// Calls of the last answer in `tail` that are ours to answer and have no result.
pub(crate) fn open_calls(tail: &[messages::Row]) -> Vec<ToolCallPart> {
    let mut open: Vec<ToolCallPart> = Vec::new();
    for row in tail {
        for part in row.parts() {
            match part {
                Part::ToolCall(call) if !call.provider_executed => open.push(call),
                Part::ToolResult(result) => open.retain(|call| call.tool_call_id != result.tool_call_id),
                _ => {}
            }
        }
    }
    open
}

/// The line behind which the model's memory begins when its user cleared it, and the same for people to see.
fn cleared(now: time::OffsetDateTime) -> Result<[messages::New; 3], Error> {
    const TO_MODEL: &str = "[The user cleared the conversation before this point. Nothing of it is known any more.]";
    const TO_USER: &str = "The model has forgotten everything before this point.";
    let call = ToolCallPart {
        tool_call_id: ToolCallId::new(format!("{SUMMARY_TOOL}_{}", Uuid::now_v7()))
            .map_err(|_| missing("a call id"))?,
        tool_name: SUMMARY_TOOL.to_owned(),
        args: serde_json::json!({ "source": "cleared" }),
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: Some(now),
        provider_metadata: ProviderMetadata::new(),
    };
    let result = ToolResultPart {
        result: serde_json::json!({ "source": "cleared", "summary": TO_USER }),
        is_error: false,
        ..ToolResultPart::synthetic_error(&call, "", Some(now))
    };
    let compressed = |role, visibility, part| messages::New {
        is_compressed: true,
        ..messages::New::plain(role, visibility, vec![part])
    };
    Ok([
        compressed(Role::User, Visibility::Model, Part::text(TO_MODEL)),
        compressed(Role::Assistant, Visibility::User, Part::ToolCall(call)),
        compressed(Role::Tool, Visibility::User, Part::ToolResult(result)),
    ])
}

/// What of `open`, and of the calls these messages add, they leave without a result.
///
/// # Errors
/// A result that belongs to none of them, or comes a second time; two calls that no result could tell apart.
fn unanswered(mut open: Vec<ToolCallId>, messages: &[messages::New]) -> Result<Vec<ToolCallId>, Error> {
    for part in messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolCall(call) if !call.provider_executed => {
                if open.contains(&call.tool_call_id) {
                    return Err(broken("messages", "must not hold two open calls of one id"));
                }
                open.push(call.tool_call_id.clone());
            }
            Part::ToolResult(result) if !result.provider_executed => {
                let place = open.iter().position(|id| *id == result.tool_call_id);
                open.remove(
                    place.ok_or_else(|| broken("messages", "must not hold results of calls that are not open"))?,
                );
            }
            _ => {}
        }
    }
    Ok(open)
}

fn broken(field: &str, rule: &str) -> Error {
    let violation = Violation {
        field: field.to_owned(),
        description: rule.to_owned(),
    };
    crate::error::violations(&format!("{field} {rule}"), vec![violation])
}

fn missing(what: &'static str) -> Error {
    Error::damaged(
        "chats",
        format!("a decision needs {what}, which the command did not bring"),
    )
}
