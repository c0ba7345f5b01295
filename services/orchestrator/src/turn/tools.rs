//! The calls of one step: all at once, each journalled by tool-runner, their results stored together in call order. Those that stay open are
//! `open_calls`'.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tandem_chat_core::chat::AnswerReason;
use tandem_chat_core::tool_policy::TurnKind;
use tandem_chat_core::wire;
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{
    LivePart, MessageVisibility, Part, PlanMode, Role, ToolDefinition, ToolResultDelta, ToolResultPart,
    live_part::Content,
};
use tandem_proto::provider::v1::completion_event::Event as CompletionEvent;
use tandem_proto::storage::v1::{NewMessage, StepOutcome};
use tandem_proto::tool::v1::call_tool_response::Event;
use tandem_proto::tool::v1::{
    CallToolRequest, CancelToolCallRequest, ChatKind, ListToolsRequest, McpScope, ToolOutcome,
};
use tonic::{Code, Status};

use super::open_calls::{self, Became};
use super::{Call, Cause, Prompt, Stop, Turn, attachments};
use crate::clients::persist;

/// Time for the list of tools: MCP servers have ten seconds to say theirs.
const LIST_DEADLINE: Duration = Duration::from_secs(15);

/// The tool of tool-runner that finds others, where there are too many to be offered at once.
const FIND_TOOLS: &str = "find_tools";

/// Time for tool-runner to accept a call; the tool's own limits bound the rest.
const OPEN_DEADLINE: Duration = Duration::from_secs(60);

/// How long a stopped call may take to report what it did.
const CANCEL_GRACE: Duration = Duration::from_millis(2_500);

/// Pauses before joining a call again whose connection broke.
const REJOIN_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(300),
    Duration::from_millis(1_000),
    Duration::from_millis(3_000),
];

/// The tools of a turn.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) definitions: Vec<ToolDefinition>,
    /// Tools of MCP servers: by their name, the id of the server.
    pub(super) mcp_server_ids: HashMap<String, String>,
}

impl Turn {
    /// What tool-runner offers this chat, in its stable order. A runner that is away costs the turn its tools, not its life.
    pub(super) async fn list_tools(&self, context_tokens: i64) -> Result<Tools, Stop> {
        let answer = persist(|| {
            let message = ListToolsRequest {
                chat_id: self.chat.id.clone(),
                kind: self.kind().into(),
                is_plan_turn: self.is_plan_turn(),
                mcp: Some(self.mcp_scope()),
                context_tokens,
            };
            let request = self.clients.outbound.request(Some(&self.owner), LIST_DEADLINE, message);
            let mut tools = self.clients.tools.clone();
            async move { tools.list_tools(request).await }
        })
        .await;
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok(Tools {
                    definitions: answer.tools,
                    mcp_server_ids: answer.mcp_server_ids,
                })
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), error = status.message(), "tools cannot be listed, going on without");
                Ok(Tools::default())
            }
        }
    }

    /// Puts the MCP server that owns the tool into a call the model has made.
    pub(super) fn name_server(&self, event: &mut CompletionEvent) {
        if let CompletionEvent::Part(part) = event
            && let Some(Kind::ToolCall(call)) = &mut part.kind
            && !call.provider_executed
        {
            call.mcp_server_config_id = self.mcp_server_of(&call.tool_name);
        }
    }

    /// The id of the MCP server that owns the tool; empty for all others.
    fn mcp_server_of(&self, tool_name: &str) -> String {
        self.mcp_servers.get(tool_name).cloned().unwrap_or_default()
    }

    /// What tools of MCP servers have to do with.
    fn mcp_scope(&self) -> McpScope {
        McpScope {
            server_ids: self.chat.mcp_server_ids.clone(),
            root_chat_id: self.chat.root_chat_id.clone(),
            workspace_id: self.chat.workspace_id.clone(),
        }
    }

    /// Runs the calls, stores their results, and says what follows.
    pub(super) async fn run_tools(&mut self, prompt: &mut Prompt, calls: Vec<Call>) -> Result<StepOutcome, Stop> {
        let is_local = |call: &&Call| !prompt.is_dynamic(&call.tool_name);
        let local: Vec<Call> = calls.iter().filter(is_local).cloned().collect();
        let mut became: HashMap<String, Became> = HashMap::new();
        let cause = self.run_local(prompt, &local, &mut became).await;

        let turn_kind = self.turn_kind();
        let mut is_over = false;
        let mut files = Vec::new();
        let mut look_at = |result: &Part| {
            is_over |= turn_kind.is_some_and(|kind| attachments::ends_turn(kind, result));
            files.extend(attachments::of_result(result));
        };
        // Results from before a wait count when the step is through.
        prompt.results().iter().for_each(&mut look_at);
        let mut awaiting = HashMap::new();
        let mut messages = Vec::with_capacity(local.len());
        for call in &local {
            let result = match became.remove(&call.id) {
                Some(Became::Result(result)) => result,
                Some(Became::AwaitsApproval(request)) if cause.is_none() => {
                    awaiting.insert(call.id.clone(), request);
                    continue;
                }
                Some(Became::AwaitsApproval(_)) => self.result(call, AnswerReason::Interrupted.text_unapproved(), true),
                None => self.result(call, AnswerReason::Interrupted.text(), true),
            };
            prompt.push_result(&result)?;
            look_at(&result);
            messages.push(result_message(result));
        }
        match cause {
            Some(Cause::Interrupted) => return Err(Stop::Interrupted(messages)),
            Some(cause) => return Err(Stop::from_cause(cause, Vec::new())),
            None => {}
        }
        let open = open_calls::still_open(&calls, |name| prompt.is_dynamic(name), awaiting);
        let outcome = open_calls::outcome(!open.is_empty(), is_over);
        // Calls that are still open are looked for behind the assistant's last message, which must stay the one that made them.
        if outcome != StepOutcome::RequireAction {
            messages.extend(attachments::message(files));
        }
        let before = self.room.explained();
        if let Some(chat) = self.store_results(messages, outcome, open).await? {
            self.progress.wrote(before, chat.version);
            // A tool may have made the chat's workspace.
            self.chat.workspace_id = chat.workspace_id;
        }
        if outcome == StepOutcome::Continue {
            self.look_around(prompt).await;
            if local.iter().any(|call| call.tool_name == FIND_TOOLS) {
                // What it has found can be called from the next step on.
                let tools = self.list_tools(self.context_limit).await?;
                self.mcp_servers = tools.mcp_server_ids;
                prompt.renew_tools(tools.definitions);
            }
        }
        Ok(outcome)
    }

    /// Runs local calls at once, collecting what becomes of them. Returns why it had to stop before all were in.
    async fn run_local(
        &mut self,
        prompt: &Prompt,
        calls: &[Call],
        became: &mut HashMap<String, Became>,
    ) -> Option<Cause> {
        let mut cause = self.cause.clone();
        let this = &*self;
        let mut running: FuturesUnordered<_> = calls
            .iter()
            .map(|call| async move { (call, this.run_call(prompt, call).await) })
            .collect();
        let stopped = loop {
            tokio::select! {
                biased;
                cause = Self::stopped(&mut cause) => break cause,
                next = running.next() => match next {
                    Some((call, end)) => this.came_to(call, end, became),
                    None => return None,
                },
            }
        };
        if stopped != Cause::Interrupted {
            return Some(stopped);
        }
        for call in calls.iter().filter(|call| !became.contains_key(&call.id)) {
            this.cancel_call(call).await;
        }
        let deadline = tokio::time::sleep(CANCEL_GRACE);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => return Some(stopped),
                next = running.next() => match next {
                    Some((call, end)) => this.came_to(call, end, became),
                    None => return Some(stopped),
                },
            }
        }
    }

    fn came_to(&self, call: &Call, end: Became, became: &mut HashMap<String, Became>) {
        self.publish_result(&end);
        became.insert(call.id.clone(), end);
    }

    /// Shows the result of a call. One that awaits approval has nothing to show: readers hear of it when the chat waits.
    fn publish_result(&self, became: &Became) {
        let Became::Result(result) = became else { return };
        let live = LivePart {
            role: Role::Tool.into(),
            content: Some(Content::Part(result.clone())),
            created_at: Some(self.timestamp()),
        };
        // A log that is full shows less; the result itself is stored all the same.
        if self.log.push(live).is_ok() {
            self.room.tick();
        }
    }

    /// One call to its result, or to what a person has to be asked. Whatever goes wrong is a result too.
    async fn run_call(&self, prompt: &Prompt, call: &Call) -> Became {
        if let Some(sent) = &call.invalid_arguments {
            let shown: String = sent.chars().take(200).collect();
            let text = format!("The arguments must be a JSON object, but were: {shown}");
            return Became::Result(self.result(call, &text, true));
        }
        if !prompt.offers(&call.tool_name) {
            let text = format!("There is no tool named {:?} in this turn.", call.tool_name);
            return Became::Result(self.result(call, &text, true));
        }
        let mut pauses = REJOIN_PAUSES.iter();
        loop {
            let status = match self.follow_call(call).await {
                Ok(became) => return became,
                Err(status) => status,
            };
            // The call goes on without us and is journalled by its id: joining again never runs it twice.
            let is_away = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
            match pauses.next() {
                Some(pause) if is_away => tokio::time::sleep(*pause).await,
                Some(_) | None => {
                    tracing::warn!(tool = call.tool_name, code = ?status.code(), error = status.message(), "tool call failed");
                    let text = format!(
                        "The tool could not be run ({}). Whether it took effect is unknown.",
                        reason(&status)
                    );
                    return Became::Result(self.result(call, &text, true));
                }
            }
        }
    }

    async fn follow_call(&self, call: &Call) -> Result<Became, Status> {
        let message = CallToolRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            tool_call_id: call.id.clone(),
            tool_name: call.tool_name.clone(),
            arguments_json: call.arguments_json.clone(),
            kind: self.kind().into(),
            is_plan_turn: self.is_plan_turn(),
            mcp: Some(self.mcp_scope()),
        };
        let request = self
            .clients
            .outbound
            .open_stream(Some(&self.owner), OPEN_DEADLINE, message);
        let mut events = self.clients.tools.clone().call_tool(request).await?.into_inner();
        let mut is_first = true;
        while let Some(answer) = events.message().await? {
            match answer.event {
                Some(Event::OutputDelta(output_delta)) => {
                    let delta = ToolResultDelta {
                        tool_call_id: call.id.clone(),
                        tool_name: call.tool_name.clone(),
                        output_delta,
                        // A call that was joined again streams from its beginning.
                        is_reset: std::mem::take(&mut is_first),
                    };
                    let live = LivePart {
                        role: Role::Tool.into(),
                        content: Some(Content::ToolResultDelta(delta)),
                        created_at: Some(self.timestamp()),
                    };
                    if self.log.push(live).is_ok() {
                        self.room.tick();
                    }
                    self.fault_point("tool_running");
                }
                Some(Event::Outcome(outcome)) => return Ok(Became::Result(self.outcome(call, outcome))),
                Some(Event::ApprovalRequired(request)) => return Ok(Became::AwaitsApproval(request)),
                None => {}
            }
        }
        Err(Status::unavailable("the call's stream ended without an outcome"))
    }

    async fn cancel_call(&self, call: &Call) {
        let message = CancelToolCallRequest {
            chat_id: self.chat.id.clone(),
            tool_call_id: call.id.clone(),
        };
        let request = self.clients.outbound.request(Some(&self.owner), CANCEL_GRACE, message);
        if let Err(status) = self.clients.tools.clone().cancel_tool_call(request).await {
            tracing::debug!(error = status.message(), "could not cancel a tool call");
        }
    }

    fn outcome(&self, call: &Call, outcome: ToolOutcome) -> Part {
        self.metrics
            .tool_finished(&call.tool_name, outcome.is_error, outcome.result_json.len());
        self.result_json(call, outcome.result_json, outcome.is_error, outcome.is_media)
    }

    fn result(&self, call: &Call, text: &str, is_error: bool) -> Part {
        self.result_json(call, serde_json::Value::from(text).to_string(), is_error, false)
    }

    fn result_json(&self, call: &Call, result_json: String, is_error: bool, is_media: bool) -> Part {
        let result = ToolResultPart {
            tool_call_id: call.id.clone(),
            tool_name: call.tool_name.clone(),
            result_json,
            is_error,
            is_media,
            provider_executed: false,
            mcp_server_config_id: self.mcp_server_of(&call.tool_name),
            created_at: Some(self.timestamp()),
        };
        Part {
            kind: Some(Kind::ToolResult(result)),
            provider_metadata_json: String::new(),
        }
    }

    fn kind(&self) -> ChatKind {
        if self.chat.parent_chat_id.is_empty() {
            ChatKind::Root
        } else {
            ChatKind::Child
        }
    }

    /// What the turn is as far as tools are concerned; `None` for those of subagents, which nothing but their answer ends.
    fn turn_kind(&self) -> Option<TurnKind> {
        (self.kind() == ChatKind::Root).then(|| TurnKind::of_root(self.is_plan_turn()))
    }

    fn is_plan_turn(&self) -> bool {
        self.chat.plan_mode == i32::from(PlanMode::Plan)
    }

    pub(super) fn timestamp(&self) -> prost_types::Timestamp {
        wire::time_to_wire(self.clock.now())
    }
}

fn result_message(result: Part) -> NewMessage {
    NewMessage {
        role: Role::Tool.into(),
        parts: vec![result],
        visibility: MessageVisibility::Both.into(),
        ..NewMessage::default()
    }
}

/// What the model may know of a failed call: refusals are words for it, everything else is only unreachable.
fn reason(status: &Status) -> &str {
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::ResourceExhausted | Code::NotFound => status.message(),
        _ => "the tool service did not answer",
    }
}
