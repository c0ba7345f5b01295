//! `TurnService`: what orchestrators do with chats they own. Every write carries its epoch; the state machine refuses stale ones.

use std::time::Duration;

use tandem_chat_core::chat::{Calls, Command, Progress, Status as ChatStatus};
use tandem_chat_core::error::ChatError;
use tandem_chat_core::id::{Epoch, ReplicaId};
use tandem_chat_core::message::Role;
use tandem_chat_core::wire as core;
use tandem_proto::common::v1::{DynamicTool, PendingToolCall};
use tandem_proto::storage::v1::turn_service_server::TurnService;
use tandem_proto::storage::v1::{
    BeginStepRequest, BeginStepResponse, ClaimChatsRequest, ClaimChatsResponse, ClaimedChat, CommitStepRequest,
    CommitStepResponse, FailTurnRequest, FailTurnResponse, FinishInterruptionRequest, FinishInterruptionResponse,
    Lease, LoadTurnRequest, LoadTurnResponse, NewMessage, PersonalSkill, ReleaseChatRequest, ReleaseChatResponse,
    RenewLeasesRequest, RenewLeasesResponse, RenewedLease, StepOutcome, StepPurpose, StoreToolResultsRequest,
    StoreToolResultsResponse,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::change::{Done, Open, Payload};
use crate::db::{Pool, chats, in_time, leases, messages, turns};
use crate::error::Error;
use crate::hints::Hints;
use crate::turn_facts::Intent;

/// Crashes of a turn's own code without progress between them, after which the chat is set aside.
const MAX_CRASHES: i16 = 3;

/// Owners that vanished without progress between them, after which the chat is set aside. More than crashes, since most owners that
/// vanish were killed for reasons that have nothing to do with the chat.
const MAX_TAKEOVERS: i16 = 20;

const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(600);
const MAX_CLAIM: i32 = 64;
const MAX_RENEW: usize = 10_000;

/// Serves [`TurnService`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Turns {
    pool: Pool,
    hints: Hints,
    /// How long a client's tools may take.
    action_limit: Duration,
    /// How long a call waits for a person.
    approval_limit: Duration,
}

impl Turns {
    pub(crate) fn new(pool: Pool, hints: Hints, action_limit: Duration, approval_limit: Duration) -> Self {
        Self {
            pool,
            hints,
            action_limit,
            approval_limit,
        }
    }

    async fn claim(self, message: ClaimChatsRequest) -> Result<ClaimChatsResponse, Error> {
        let owner = ReplicaId::new(convert::id(&message.replica_id, "replica_id")?);
        let ttl = ttl(message.ttl)?;
        if !(1..=MAX_CLAIM).contains(&message.limit) {
            return Err(convert::one("limit", "must be 1 to 64"));
        }
        if message.chat_ids.len() > usize::try_from(message.limit).unwrap_or_default() {
            return Err(convert::one("chat_ids", "must not be more than limit"));
        }
        let due = if message.chat_ids.is_empty() {
            chats::due(&mut *self.pool.acquire().await?, i64::from(message.limit)).await?
        } else {
            let heard = message.chat_ids.iter().map(|id| convert::id(id, "chat_ids"));
            heard.collect::<Result<_, _>>()?
        };
        let claimant = Claimant {
            owner,
            ttl,
            address: message.replica_address,
            first_steps_at: message.begins_steps.then_some(message.provider_gateway_address),
        };
        let mut claimed = Vec::with_capacity(due.len());
        for chat in due {
            // One transaction for each chat: a claim that fails costs only itself.
            match self.claim_one(chat, &claimant).await {
                Ok(chat) => claimed.extend(chat),
                Err(error) => tracing::warn!(chat_id = %chat, %error, "could not claim a chat"),
            }
        }
        Ok(ClaimChatsResponse { chats: claimed })
    }

    async fn claim_one(&self, chat: Uuid, claimant: &Claimant) -> Result<Option<ClaimedChat>, Error> {
        let mut tx = self.pool.begin().await?;
        let Some(row) = chats::lock_if_free(&mut tx, chat).await? else {
            return Ok(None);
        };
        let is_takeover = row.lease_owner.is_some();
        let now = row.now;
        let mut commands = vec![Command::Claim {
            owner: claimant.owner,
            now,
            ttl: claimant.ttl,
        }];
        let mut open = Open::new(tx, row)?;
        let epoch = open.state.epoch.next();
        open.row.takeover_count += i16::from(is_takeover);
        let is_hopeless = open.row.takeover_count > MAX_TAKEOVERS;
        if is_hopeless {
            commands.push(Command::Fail { epoch });
        }
        let first_step = (!is_hopeless).then(|| claimant.first_step(&open, epoch)).flatten();
        if first_step.is_some() {
            commands.push(Command::BeginStep { epoch });
        }
        let payload = Payload {
            error: Some(quarantined("Whoever worked on this chat vanished, time and again.")),
            intent: first_step,
            ..Payload::default()
        };
        match open.apply(&commands, payload).await {
            Ok(_) => {}
            // Somebody else was faster.
            Err(Error::Rejected(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        if is_hopeless {
            tracing::error!(chat_id = %chat, "chat set aside: its owners keep vanishing");
            open.commit(&self.hints).await?;
            return Ok(None);
        }
        open.row.lease_address = Some(claimant.address.clone()).filter(|address| !address.is_empty());
        let done = open.commit(&self.hints).await?;
        Ok(Some(ClaimedChat {
            lease: Some(lease(&done.row)),
            chat: Some(convert::chat(&done.row)),
            is_takeover,
            change: convert::own_change(&done)?,
        }))
    }

    async fn worker(&self, chat_id: &str, commands: &[Command], payload: Payload) -> Result<Done, Error> {
        let chat = convert::id(chat_id, "chat_id")?;
        let mut open = Open::for_worker(&self.pool, chat).await?;
        open.apply(commands, payload).await?;
        open.commit(&self.hints).await
    }

    /// Until when a chat waits for its client, or for a person.
    async fn action_deadline(&self, is_for_person: bool) -> Result<OffsetDateTime, Error> {
        let limit = if is_for_person {
            self.approval_limit
        } else {
            self.action_limit
        };
        Ok(leases::now(&mut *self.pool.acquire().await?).await? + limit)
    }

    async fn load(&self, message: LoadTurnRequest) -> Result<LoadTurnResponse, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let mut conn = self.pool.acquire().await?;
        let facts = turns::facts(&mut conn, chat)
            .await?
            .ok_or_else(crate::error::chat_not_found)?;
        if facts.epoch != message.epoch {
            return Err(crate::error::stale_epoch(message.epoch, facts.epoch));
        }
        // What another owner may have written by now does no harm: nothing this one writes will stand then.
        let history = messages::for_prompt(&mut conn, chat).await?;
        drop(conn);
        let (context, history): (Vec<_>, Vec<_>) = history.into_iter().partition(messages::Row::is_context);
        let dynamic_tools: Vec<StoredTool> =
            serde_json::from_value(facts.dynamic_tools).map_err(|error| Error::damaged("chats", error))?;
        let own = facts.own;
        Ok(LoadTurnResponse {
            messages: convert::messages_that_fit(&history)?,
            dynamic_tools: dynamic_tools.into_iter().map(Into::into).collect(),
            intent: facts.intent.as_ref().map(|intent| intent.to_wire()),
            step: facts.turn_step,
            compaction_threshold: own.compaction_threshold.unwrap_or(facts.model.compression_threshold),
            user_prompt: own.user_prompt,
            deployment_prompt: String::new(),
            is_compaction_requested: facts.is_compaction_requested,
            model_config: Some(facts.model.to_wire()),
            personal_skills: facts
                .skills
                .into_iter()
                .map(|skill| PersonalSkill {
                    name: skill.name,
                    description: skill.description,
                    ..PersonalSkill::default()
                })
                .collect(),
            context: convert::messages(&context)?,
        })
    }
}

/// Who claims, and how.
struct Claimant {
    owner: ReplicaId,
    ttl: Duration,
    /// Where peers reach it; may be empty.
    address: String,
    /// Where the calls of the model are to run that claims record; `None` where claims record none.
    first_steps_at: Option<String>,
}

impl Claimant {
    /// The call of the model with which a turn begins, when it begins with one. Nothing is lost where the turn then decides otherwise.
    fn first_step(&self, chat: &Open, epoch: Epoch) -> Option<Intent> {
        let provider_gateway_address = self.first_steps_at.clone()?;
        let row = &chat.row;
        let is_at_begin = chat.state.status
            == ChatStatus::Pending {
                progress: Progress::Between,
            }
            && row.turn_step == 0
            && row.intent.is_none()
            && !row.is_compaction_requested;
        is_at_begin.then(|| Intent {
            completion_id: Uuid::now_v7().to_string(),
            step: 0,
            attempt: 0,
            model_config_id: row.last_model_config_id.to_string(),
            provider_gateway_address,
            begun_at: row.now,
            epoch: epoch.0,
            purpose: StepPurpose::Unspecified.into(),
        })
    }
}

/// A dynamic tool as it is stored.
#[derive(serde::Deserialize, serde::Serialize)]
pub(super) struct StoredTool {
    name: String,
    description: String,
    input_schema_json: String,
}

impl From<StoredTool> for DynamicTool {
    fn from(tool: StoredTool) -> Self {
        Self {
            name: tool.name,
            description: tool.description,
            input_schema_json: tool.input_schema_json,
        }
    }
}

impl From<DynamicTool> for StoredTool {
    fn from(tool: DynamicTool) -> Self {
        Self {
            name: tool.name,
            description: tool.description,
            input_schema_json: tool.input_schema_json,
        }
    }
}

#[tonic::async_trait]
impl TurnService for Turns {
    async fn claim_chats(&self, request: Request<ClaimChatsRequest>) -> Result<Response<ClaimChatsResponse>, Status> {
        authz::orchestrator(&request)?;
        // In a task of its own: a caller that goes away must not leave a claim that nobody hears of.
        let claim = tokio::spawn(in_time(self.clone().claim(request.into_inner())));
        let claimed = claim.await.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Response::new(claimed))
    }

    async fn renew_leases(
        &self,
        request: Request<RenewLeasesRequest>,
    ) -> Result<Response<RenewLeasesResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let renew = async {
            let owner = convert::id(&message.replica_id, "replica_id")?;
            let ttl = ttl(message.ttl)?;
            if message.leases.len() > MAX_RENEW {
                return Err(convert::one("leases", "must not hold more than 10,000"));
            }
            let held = message
                .leases
                .iter()
                .map(|lease| Ok((convert::id(&lease.chat_id, "leases.chat_id")?, lease.epoch)));
            let held: Vec<(Uuid, i64)> = held.collect::<Result<_, Error>>()?;
            let mut conn = self.pool.acquire().await?;
            Ok(leases::renew(&mut conn, owner, &held, ttl).await?)
        };
        let renewed = renew.await?.into_iter().map(|row| RenewedLease {
            lease: Some(Lease {
                chat_id: row.id.to_string(),
                epoch: row.epoch,
                expires_at: row.expires_at.map(core::time_to_wire),
            }),
            is_interrupting: row.is_interrupting,
        });
        Ok(Response::new(RenewLeasesResponse {
            leases: renewed.collect(),
        }))
    }

    async fn release_chat(
        &self,
        request: Request<ReleaseChatRequest>,
    ) -> Result<Response<ReleaseChatResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let release = async {
            let mut open = Open::for_worker(&self.pool, chat).await?;
            let (epoch, now) = (Epoch(message.epoch), open.row.now);
            let crashes = open.row.crash_count + i16::from(message.has_crashed);
            let is_quarantined = message.has_crashed && crashes >= MAX_CRASHES;
            let command = if is_quarantined {
                tracing::error!(chat_id = %chat, crashes, "chat set aside: its turn keeps crashing");
                Command::Fail { epoch }
            } else {
                Command::Release { epoch, now }
            };
            let payload = Payload {
                error: Some(quarantined(
                    "Tandem itself failed while working on this chat, three times in a row.",
                )),
                ..Payload::default()
            };
            open.apply(&[command], payload).await?;
            open.row.crash_count = if is_quarantined { 0 } else { crashes };
            Ok::<_, Error>((open.commit(&self.hints).await?, is_quarantined))
        };
        let (done, is_quarantined) = release.await?;
        Ok(Response::new(ReleaseChatResponse {
            version: done.row.version,
            is_quarantined,
        }))
    }

    async fn load_turn(&self, request: Request<LoadTurnRequest>) -> Result<Response<LoadTurnResponse>, Status> {
        authz::orchestrator(&request)?;
        Ok(Response::new(self.load(request.into_inner()).await?))
    }

    async fn begin_step(&self, request: Request<BeginStepRequest>) -> Result<Response<BeginStepResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let intent = message.intent.ok_or_else(|| convert::one("intent", "must be set"))?;
        let begun_at = intent
            .begun_at
            .as_ref()
            .and_then(core::time_from_wire)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let intent = Intent {
            completion_id: intent.completion_id,
            step: intent.step,
            attempt: intent.attempt,
            model_config_id: intent.model_config_id,
            provider_gateway_address: intent.provider_gateway_address,
            begun_at,
            epoch: message.epoch,
            purpose: intent.purpose,
        };
        let payload = Payload {
            intent: Some(intent),
            ..Payload::default()
        };
        let command = Command::BeginStep {
            epoch: Epoch(message.epoch),
        };
        let done = self.worker(&message.chat_id, &[command], payload).await?;
        Ok(Response::new(BeginStepResponse {
            change: convert::own_change(&done)?,
        }))
    }

    async fn commit_step(&self, request: Request<CommitStepRequest>) -> Result<Response<CommitStepResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let epoch = Epoch(message.epoch);
        let answer = convert::new_messages(&message.messages)?;
        let calls = calls(convert::has_open_calls(&answer));
        let mut commands = Vec::new();
        if !answer.is_empty() || message.outcome() != StepOutcome::Finish {
            commands.push(Command::CommitStep { epoch, calls });
        }
        commands.extend(
            self.following(message.outcome(), epoch, &message.pending_tool_calls)
                .await?,
        );
        let payload = Payload {
            answer,
            sealed: convert::sealed(message.epoch, message.step, message.attempt, message.part_count),
            pending: message.pending_tool_calls.into_iter().map(Into::into).collect(),
            ..Payload::default()
        };
        let done = self.worker(&message.chat_id, &commands, payload).await?;
        Ok(Response::new(CommitStepResponse {
            chat: Some(convert::chat(&done.row)),
            messages: convert::messages(&done.inserted)?,
            promoted: done.promoted.as_ref().map(convert::message).transpose()?,
            change: convert::own_change(&done)?,
        }))
    }

    async fn store_tool_results(
        &self,
        request: Request<StoreToolResultsRequest>,
    ) -> Result<Response<StoreToolResultsResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let epoch = Epoch(message.epoch);
        let outcome = message.outcome();
        if outcome == StepOutcome::RunTools {
            return Err(convert::one("outcome", "must be continue, finish or require_action").into());
        }
        let calls = calls(outcome == StepOutcome::RequireAction);
        let mut commands = vec![Command::StoreResults { epoch, calls }];
        commands.extend(self.following(outcome, epoch, &message.pending_tool_calls).await?);
        let payload = Payload {
            results: convert::new_messages(&message.messages)?,
            sealed: convert::sealed(message.epoch, message.step, message.attempt, message.part_count),
            pending: message.pending_tool_calls.into_iter().map(Into::into).collect(),
            ..Payload::default()
        };
        let done = self.worker(&message.chat_id, &commands, payload).await?;
        Ok(Response::new(StoreToolResultsResponse {
            chat: Some(convert::chat(&done.row)),
            messages: convert::messages(&done.inserted)?,
            promoted: done.promoted.as_ref().map(convert::message).transpose()?,
            change: convert::own_change(&done)?,
        }))
    }

    async fn fail_turn(&self, request: Request<FailTurnRequest>) -> Result<Response<FailTurnResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let epoch = Epoch(message.epoch);
        let (answer, results) = kept(&message.messages)?;
        let mut commands = Vec::new();
        if !answer.is_empty() {
            commands.push(Command::CommitStep {
                epoch,
                calls: calls(convert::has_open_calls(&answer)),
            });
        }
        if !results.is_empty() {
            commands.push(Command::StoreResults {
                epoch,
                calls: Calls::Open,
            });
        }
        commands.push(Command::Fail { epoch });
        let sealed = convert::sealed(message.epoch, message.step, message.attempt, message.part_count);
        let payload = Payload {
            sealed: sealed.filter(|_| !message.messages.is_empty()),
            answer,
            results,
            error: message.error.as_ref().map(core::chat_error_from_wire),
            ..Payload::default()
        };
        let done = self.worker(&message.chat_id, &commands, payload).await?;
        Ok(Response::new(FailTurnResponse {
            chat: Some(convert::chat(&done.row)),
            change: convert::own_change(&done)?,
        }))
    }

    async fn finish_interruption(
        &self,
        request: Request<FinishInterruptionRequest>,
    ) -> Result<Response<FinishInterruptionResponse>, Status> {
        authz::orchestrator(&request)?;
        let message = request.into_inner();
        let epoch = Epoch(message.epoch);
        let (answer, results) = kept(&message.messages)?;
        let sealed = convert::sealed(message.epoch, message.step, message.attempt, message.part_count);
        let sealed = sealed.filter(|_| !answer.is_empty() || !results.is_empty());
        let mut commands = Vec::new();
        if !results.is_empty() {
            // Calls that got no result stay open for a moment: settling the interruption answers them.
            commands.push(Command::StoreResults {
                epoch,
                calls: Calls::Open,
            });
        }
        let partial = (!answer.is_empty()).then(|| calls(convert::has_open_calls(&answer)));
        commands.push(Command::FinishInterruption { epoch, partial });
        let payload = Payload {
            answer,
            results,
            sealed,
            ..Payload::default()
        };
        let done = self.worker(&message.chat_id, &commands, payload).await?;
        Ok(Response::new(FinishInterruptionResponse {
            chat: Some(convert::chat(&done.row)),
            messages: convert::messages(&done.inserted)?,
            promoted: done.promoted.as_ref().map(convert::message).transpose()?,
            change: convert::own_change(&done)?,
        }))
    }
}

impl Turns {
    /// The command that follows an answer or its results.
    async fn following(
        &self,
        outcome: StepOutcome,
        epoch: Epoch,
        pending: &[PendingToolCall],
    ) -> Result<Option<Command>, Error> {
        Ok(match outcome {
            StepOutcome::Finish => Some(Command::FinishTurn { epoch }),
            StepOutcome::RequireAction => Some(Command::RequireAction {
                epoch,
                deadline: self
                    .action_deadline(pending.iter().any(|call| call.approval.is_some()))
                    .await?,
            }),
            StepOutcome::Continue | StepOutcome::RunTools => None,
            StepOutcome::Unspecified => return Err(convert::one("outcome", "must be set")),
        })
    }
}

/// The error of a chat that is left alone until a person tries it again.
fn quarantined(why: &str) -> ChatError {
    ChatError::generic(format!("{why} It is left alone until you try again."))
}

/// What a turn that ends early leaves: an answer with the results it has got, or lone results of the answer that is stored already.
fn kept(messages: &[NewMessage]) -> Result<(Vec<messages::New>, Vec<messages::New>), Error> {
    let kept = convert::new_messages(messages)?;
    let is_answer = kept.iter().any(|message| message.role != Role::Tool);
    Ok(if is_answer {
        (kept, Vec::new())
    } else {
        (Vec::new(), kept)
    })
}

fn calls(are_open: bool) -> Calls {
    if are_open { Calls::Open } else { Calls::Answered }
}

fn ttl(ttl: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let ttl = ttl.and_then(|ttl| Duration::try_from(ttl).ok());
    ttl.filter(|ttl| (MIN_TTL..=MAX_TTL).contains(ttl))
        .ok_or_else(|| convert::one("ttl", "must be 1 s to 10 min"))
}

fn lease(row: &chats::Row) -> Lease {
    Lease {
        chat_id: row.id.to_string(),
        epoch: row.epoch,
        expires_at: row.lease_expires_at.map(core::time_to_wire),
    }
}
