//! One call from its intent to its recorded result.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chassis::lifecycle::Tasks;
use tandem_chat_core::tool_policy::{BuiltinTool, TurnKind};
use tandem_proto::common::v1::ApprovalRequest;
use tandem_proto::storage::v1::{
    GetPersonalSkillRequest, PersonalSkill, ToolCall, ToolCallState, UpdateToolCallRequest,
};
use tandem_proto::tool::v1::ToolOutcome;
use tandem_proto::tool::v1::call_tool_response::Event;
use time::OffsetDateTime;
use tonic::{Code, Status};
use uuid::{Builder, Uuid};

use super::registry::Call;
use super::{approval, journal};
use crate::agents::Connection;
use crate::clients::{Clients, PAUSES, persist};
use crate::mcp::{self, Mcp};
use crate::metrics::Metrics;
use crate::tool::{self, Outcome};
use crate::workspace::{self, Ready, Workspaces};

/// Longest result, in bytes of JSON.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// What is said of a call that broke Tandem itself.
const PANICKED: &str = "The tool failed inside Tandem. It may have taken effect; check before repeating it.";

/// What is said of a call to somebody else's server that was cancelled.
const CANCELLED: &str = "The call was stopped before the server answered. It may have taken effect.";

/// What all calls share.
pub(crate) struct Shared {
    pub(crate) clients: Clients,
    pub(crate) workspaces: Workspaces,
    pub(crate) mcp: Mcp,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) user: User,
    pub(crate) chat_id: String,
    pub(crate) epoch: i64,
    pub(crate) tool_call_id: String,
    pub(crate) tool_name: String,
    pub(crate) arguments_json: String,
    pub(crate) kind: TurnKind,
    pub(crate) mcp: mcp::Scope,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With this outcome, now or earlier.
    Outcome(ToolOutcome),
    /// It was not started: a person has to allow it.
    AwaitsApproval(ApprovalRequest),
    /// It was not started: a person has declined it.
    Declined(ToolOutcome),
    /// It was not started, and no person can allow it.
    Refused(ToolOutcome),
}

impl From<End> for Event {
    fn from(end: End) -> Self {
        match end {
            End::Outcome(outcome) | End::Declined(outcome) | End::Refused(outcome) => Self::Outcome(outcome),
            End::AwaitsApproval(request) => Self::ApprovalRequired(request),
        }
    }
}

/// What a tool may use while it runs.
pub(crate) struct Context<'a> {
    shared: &'a Shared,
    pub(crate) call: &'a Call,
    /// An earlier owner began this call and its effect may have happened.
    pub(crate) is_resumed: bool,
}

impl Context<'_> {
    pub(crate) fn input(&self) -> &Input {
        &self.call.input
    }

    pub(crate) fn workspaces(&self) -> &Workspaces {
        &self.shared.workspaces
    }

    /// The chat's workspace with its agent. Stops waiting when the call is cancelled.
    ///
    /// # Errors
    /// As [`Workspaces::ready`].
    pub(crate) async fn workspace(&self) -> Result<Ready, workspace::Error> {
        let input = self.input();
        let ready = tokio::select! {
            ready = self.shared.workspaces.ready(&input.user, &input.chat_id) => ready?,
            () = self.call.cancelled.cancelled() => return Err(workspace::Error::Interrupted),
        };
        ready.connection.git().relate(&input.chat_id, &input.mcp.root_chat_id);
        Ok(ready)
    }

    /// Runs a tool of an MCP server; `None` where the chat uses no server the name belongs to. Stops waiting when the call is
    /// cancelled, which the server is told.
    pub(crate) async fn mcp(&self, arguments: Map<String, Value>) -> Option<Outcome> {
        tokio::select! {
            answer = self.run_mcp(arguments) => answer,
            () = self.call.cancelled.cancelled() => Some(Outcome::Unknown(CANCELLED.to_owned())),
        }
    }

    async fn run_mcp(&self, arguments: Map<String, Value>) -> Option<Outcome> {
        let input = self.input();
        let asked = mcp::Asked {
            arguments,
            tool_call_id: input.tool_call_id.clone(),
        };
        let mcp = &self.shared.mcp;
        Some(match mcp.owner(self.place(), &input.tool_name).await? {
            Ok(mcp::Owner::Server(server)) => mcp.run(&server, self.place(), &input.tool_name, asked).await.into(),
            Ok(mcp::Owner::Workspace(tool)) => match self.workspace().await {
                Ok(ready) => {
                    let answer = mcp.run_in_workspace(&ready.connection, self.place(), &tool, asked);
                    answer.await.into()
                }
                Err(error) => Outcome::Failed(error.to_string()),
            },
            Err(error) => Outcome::from(Err(error)),
        })
    }

    /// Finds tools of MCP servers.
    pub(crate) async fn find_tools(&self, arguments: &Map<String, Value>) -> Outcome {
        match self.shared.mcp.find(self.place(), arguments).await {
            Ok(found) => Outcome::Done(found),
            Err(problem) => Outcome::Failed(problem),
        }
    }

    fn place(&self) -> mcp::Place<'_> {
        let input = self.input();
        mcp::Place {
            user: &input.user,
            chat_id: &input.chat_id,
            kind: input.kind,
            scope: &input.mcp,
        }
    }

    /// The user's own skill of this name.
    pub(crate) async fn personal_skill(&self, name: &str) -> Result<Option<PersonalSkill>, tool::Stop> {
        let clients = &self.shared.clients;
        let answer = persist(&PAUSES, || {
            let message = GetPersonalSkillRequest { name: name.to_owned() };
            let request = clients.request(&self.input().user, message);
            let mut skills = clients.skills.clone();
            async move { skills.get_personal_skill(request).await }
        });
        match answer.await {
            Ok(answer) => Ok(answer.into_inner().skill),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => {
                tracing::warn!(code = ?status.code(), error = status.message(), "a skill cannot be read");
                Err(tool::Stop::Failed("storage did not answer".to_owned()))
            }
        }
    }

    /// The agent of the chat's workspace, if it is there already.
    pub(crate) fn connected(&self) -> Option<Connection> {
        self.shared.workspaces.connected(self.input().mcp.workspace_id())
    }

    /// Clients of storage.
    pub(crate) fn clients(&self) -> &Clients {
        &self.shared.clients
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.shared.clock.now()
    }

    /// The id of the process this call starts: always the same, so that the call finds it again.
    pub(crate) fn process_id(&self) -> String {
        process_id(&self.input().chat_id, &self.input().tool_call_id).to_string()
    }

    /// Records where the call goes on.
    pub(crate) async fn record_place(&self, workspace_id: &str, resume_token: &str) {
        let input = self.input();
        let message = UpdateToolCallRequest {
            chat_id: input.chat_id.clone(),
            tool_call_id: input.tool_call_id.clone(),
            resume_token: resume_token.to_owned(),
            workspace_id: workspace_id.to_owned(),
        };
        journal::place(&self.shared.clients, &input.user, message).await;
    }
}

/// Runs a call that is not running here, if it may run. Nothing is done before the journal has answered.
pub(super) async fn run(shared: &Arc<Shared>, call: &Call) -> Result<End, Status> {
    let input = &call.input;
    let assessment = approval::assess(input);
    let known = journal::begin(&shared.clients, call, assessment.risk).await?;
    let state = known.state();
    let not_run = |end| {
        tracing::info!(
            chat_id = input.chat_id,
            tool = input.tool_name,
            tool_call_id = input.tool_call_id,
            state = state.as_str_name(),
            "tool call not started"
        );
        Ok(end)
    };
    let is_resumed = match state {
        ToolCallState::Finished | ToolCallState::Unknown => return Ok(End::Outcome(replayed(known))),
        ToolCallState::Started => true,
        ToolCallState::Starting => false,
        ToolCallState::AwaitsApproval => {
            return not_run(End::AwaitsApproval(approval::request(&call.digest, assessment)));
        }
        ToolCallState::Declined => return not_run(End::Declined(approval::declined(&known.decline_reason))),
        ToolCallState::Refused => return not_run(End::Refused(approval::refused(&assessment.reason))),
        // An answer that is not understood allows nothing.
        ToolCallState::Unspecified => return Err(Status::internal("storage answered with an unknown state")),
    };
    let context = Context {
        shared,
        call,
        is_resumed,
    };
    let started = std::time::Instant::now();
    // A fault of ours must not leave the call without a result.
    let outcome = AssertUnwindSafe(tool::run(&context)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Outcome::Failed(PANICKED.to_owned()));
    let (result_json, is_error, is_unknown) = flatten(outcome);
    tracing::info!(
        chat_id = input.chat_id,
        tool = input.tool_name,
        tool_call_id = input.tool_call_id,
        is_resumed,
        is_error,
        is_unknown,
        elapsed_ms = started.elapsed().as_millis(),
        "tool call ended"
    );
    let finished = journal::finish(&shared.clients, input, &result_json, is_error, is_unknown).await?;
    // Another owner may have recorded its result first; everybody must see the same one.
    let is_other = !finished.result_json.is_empty() && !is_same_json(&finished.result_json, &result_json);
    if is_other && matches!(finished.state(), ToolCallState::Finished | ToolCallState::Unknown) {
        return Ok(End::Outcome(replayed(finished)));
    }
    Ok(End::Outcome(ToolOutcome {
        is_media: is_media(&input.tool_name, &result_json),
        result_json,
        is_error,
        is_replayed: false,
        is_unknown,
    }))
}

/// Whether both say the same, however they are written: storage may write what it was given in another way.
fn is_same_json(one: &str, other: &str) -> bool {
    let value = |text| serde_json::from_str::<Value>(text).ok();
    one == other || (value(one).is_some() && value(one) == value(other))
}

fn replayed(call: ToolCall) -> ToolOutcome {
    let is_unknown = call.state() == ToolCallState::Unknown;
    let result_json = if call.result_json.is_empty() {
        Value::from(tool::UNKNOWN).to_string()
    } else {
        call.result_json
    };
    ToolOutcome {
        is_media: is_media(&call.tool_name, &result_json),
        result_json,
        is_error: call.is_error || is_unknown,
        is_replayed: true,
        is_unknown,
    }
}

/// Whether the result is a picture or the like; our own tools have none.
fn is_media(tool_name: &str, result_json: &str) -> bool {
    tool_name.parse::<BuiltinTool>().is_err() && mcp::is_media(result_json)
}

fn flatten(outcome: Outcome) -> (String, bool, bool) {
    let (value, is_error, is_unknown) = match outcome {
        Outcome::Done(value) => (value, false, false),
        Outcome::Failed(message) => (message.into(), true, false),
        Outcome::Unknown(message) => (message.into(), true, true),
    };
    let text = value.to_string();
    if text.len() <= MAX_RESULT_BYTES {
        return (text, is_error, is_unknown);
    }
    let message = "The call took effect, but its result is too large to show.";
    (Value::from(message).to_string(), true, is_unknown)
}

/// A UUID (version 8) made of the digest of both ids.
fn process_id(chat_id: &str, tool_call_id: &str) -> Uuid {
    let mut hasher = Sha256::new();
    hasher.update(chat_id.as_bytes());
    hasher.update([0]);
    hasher.update(tool_call_id.as_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_always_has_the_same_process_and_calls_have_different_ones() {
        assert_eq!(process_id("chat", "call"), process_id("chat", "call"));
        assert_ne!(process_id("chat", "call"), process_id("chatc", "all"));
    }

    #[test]
    fn results_are_compared_by_what_they_say() {
        assert!(is_same_json(r#"{"a":1,"b":[]}"#, r#"{"b": [], "a": 1}"#));
        assert!(!is_same_json(r#"{"a":1}"#, r#"{"a":2}"#));
        assert!(!is_same_json("", "no json"));
    }

    #[test]
    fn a_result_that_is_too_large_becomes_an_error() {
        let (text, is_error, _) = flatten(Outcome::Done("x".repeat(MAX_RESULT_BYTES).into()));
        assert!(is_error && text.len() < 200);
    }
}
