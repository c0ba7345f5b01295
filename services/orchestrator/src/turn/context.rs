//! The prompt of a turn: instructions, history made valid for any vendor, files inlined, tools.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem_chat_core::message::{Message, Role};
use tandem_chat_core::part::Part as CorePart;
use tandem_chat_core::tool_policy::BuiltinTool;
use tandem_chat_core::{history, wire};
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{DynamicTool, FilePart, Part, Role as WireRole, TextPart, ToolDefinition, Usage};
use tandem_proto::provider::v1::{EarlierResponse, PromptMessage};
use tandem_proto::storage::v1::{GetFileRequest, LoadTurnResponse, NewMessage};

use super::answer::local_calls;
use super::briefing::Briefing;
use super::{Call, Stop, generic_error, message_from_wire};
use crate::clients::Clients;

/// Time to read one attached file.
const FILE_DEADLINE: Duration = Duration::from_secs(15);

/// See [`estimated_tokens`].
const BYTES_OF_TOKEN: usize = 4;

/// Bytes of one prompt, its files included: what one request to provider-gateway carries, less room for tools and framing.
const MAX_PROMPT_BYTES: usize = tandem_chassis::MAX_MESSAGE_BYTES - 2 * 1024 * 1024;

/// What the model is told and offered. Grows with the turn; history is loaded once.
pub(crate) struct Prompt {
    /// The owner's own instructions, behind the stored system messages.
    user_prompt: String,
    history: Vec<Message>,
    /// All that could be offered, and what of it there is a use for.
    known_tools: Vec<ToolDefinition>,
    tools: Vec<ToolDefinition>,
    /// Told behind the stored system messages.
    briefing: Briefing,
    dynamic: HashSet<String>,
    /// Tools of calls an earlier owner of the turn has stored: they were offered then, whether or not they are now.
    inherited: HashSet<String>,
    /// Tokens of the window that the next call will fill: measured by the last answer, estimated behind it.
    context_tokens: i64,
    /// The response that the last answer came from, as long as only users have spoken since.
    continues: Option<EarlierResponse>,
    /// Whether it has been told that the history needed repair.
    has_told: AtomicBool,
}

impl Prompt {
    /// # Errors
    /// History that cannot be read at all fails the turn with a message for its owner.
    pub(super) fn new(loaded: &LoadTurnResponse, mut tools: Vec<ToolDefinition>) -> Result<Self, Stop> {
        let context_tokens = loaded.messages.iter().fold(0, |tokens, message| {
            measured_tokens(message.usage.as_ref()).unwrap_or_else(|| tokens + estimated_tokens(&message.parts))
        });
        let context_tokens = context_tokens + unmeasured_context(loaded);
        let history = loaded
            .messages
            .iter()
            .map(|message| message_from_wire(message.role, message.visibility, &message.parts))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        let built_in: HashSet<String> = tools.iter().map(|tool| tool.name.clone()).collect();
        let dynamic: Vec<&DynamicTool> = loaded
            .dynamic_tools
            .iter()
            .filter(|tool| !built_in.contains(&tool.name))
            .collect();
        tools.extend(dynamic.iter().map(|tool| ToolDefinition {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input_schema_json: tool.input_schema_json.clone(),
            computer: None,
        }));
        let dynamic = dynamic.into_iter().map(|tool| tool.name.clone()).collect();
        let briefing = Briefing::new(loaded);
        Ok(Self {
            user_prompt: loaded.user_prompt.clone(),
            history,
            tools: useful(&tools, &briefing),
            known_tools: tools,
            briefing,
            dynamic,
            inherited: HashSet::new(),
            context_tokens,
            continues: continues(loaded),
            has_told: AtomicBool::new(false),
        })
    }

    /// The response that the vendor may go on from.
    pub(super) fn continues(&self) -> Option<EarlierResponse> {
        self.continues.clone()
    }

    pub(super) fn briefing(&self) -> &Briefing {
        &self.briefing
    }

    /// Changes what the model is told beside the conversation; `change` says whether it did.
    pub(super) fn rebrief(&mut self, change: impl FnOnce(&mut Briefing) -> bool) {
        let before = self.briefing.bytes();
        if change(&mut self.briefing) {
            let more = self.briefing.bytes().saturating_sub(before);
            self.context_tokens += i64::try_from(more / BYTES_OF_TOKEN).unwrap_or(i64::MAX);
            self.tools = useful(&self.known_tools, &self.briefing);
            // The vendor would go on from what it was told before.
            self.continues = None;
        }
    }

    /// Takes over what tool-runner offers now.
    pub(super) fn renew_tools(&mut self, mut offered: Vec<ToolDefinition>) {
        offered.retain(|tool| !self.dynamic.contains(&tool.name));
        let known = std::mem::take(&mut self.known_tools).into_iter();
        offered.extend(known.filter(|tool| self.dynamic.contains(&tool.name)));
        self.tools = useful(&offered, &self.briefing);
        self.known_tools = offered;
    }

    pub(super) fn tools(&self) -> &[ToolDefinition] {
        &self.tools
    }

    /// The tools that tool-runner runs.
    pub(super) fn into_local_tools(mut self) -> Vec<ToolDefinition> {
        self.known_tools.retain(|tool| !self.dynamic.contains(&tool.name));
        self.known_tools
    }

    /// Tokens of the window that the next call will fill, as far as is known.
    pub(super) fn context_tokens(&self) -> i64 {
        self.context_tokens
    }

    /// Whether the last word is an answer that asks for nothing more.
    pub(super) fn is_answered(&self) -> bool {
        self.history.last().is_some_and(|last| last.role == Role::Assistant) && self.open_calls().is_empty()
    }

    /// The messages the model is always told.
    pub(super) fn instructions(&self) -> Vec<Message> {
        let is_instruction = |message: &&Message| message.role == Role::System;
        self.history.iter().filter(is_instruction).cloned().collect()
    }

    /// What a summary can stand for: all but instructions and the messages at the end that wait for an answer.
    pub(super) fn remembered(&self) -> Vec<Message> {
        let said = self.history.iter().filter(|message| message.role != Role::System);
        let count = said.clone().count().saturating_sub(self.waiting().len());
        said.take(count).cloned().collect()
    }

    /// The messages at the end that wait for an answer.
    pub(super) fn waiting(&self) -> &[Message] {
        let is_waiting = |message: &&Message| message.role == Role::User;
        let count = self.history.iter().rev().take_while(is_waiting).count();
        &self.history[self.history.len() - count..]
    }

    /// Whether the client runs this tool.
    pub(super) fn is_dynamic(&self, tool_name: &str) -> bool {
        self.dynamic.contains(tool_name)
    }

    /// Whether the model was offered this tool.
    pub(super) fn offers(&self, tool_name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == tool_name) || self.inherited.contains(tool_name)
    }

    /// Takes over calls of an earlier owner. What became of them stands in the journal, also when their tools are away now.
    pub(super) fn inherit(&mut self, calls: &[Call]) {
        self.inherited.extend(calls.iter().map(|call| call.tool_name.clone()));
    }

    /// Calls of the last answer that have no result yet.
    pub(super) fn open_calls(&self) -> Vec<Call> {
        let Some(last) = self.history.iter().rposition(|message| message.role == Role::Assistant) else {
            return Vec::new();
        };
        let behind = &self.history[last + 1..];
        if behind.iter().any(|message| message.role != Role::Tool) {
            return Vec::new();
        }
        let answered: HashSet<&str> = behind
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match part {
                CorePart::ToolResult(result) => Some(result.tool_call_id.as_str()),
                _ => None,
            })
            .collect();
        let mut calls = local_calls(&wire::parts_to_wire(&self.history[last].parts));
        calls.retain(|call| !answered.contains(call.id.as_str()));
        calls
    }

    /// Results of the last answer's calls, as far as there are any.
    pub(super) fn results(&self) -> Vec<Part> {
        let is_answer = |message: &Message| message.role == Role::Assistant;
        let behind = self.history.iter().rposition(is_answer).map_or(0, |last| last + 1);
        let of_tools = self.history[behind..].iter();
        of_tools
            .filter(|message| message.role == Role::Tool)
            .flat_map(|message| wire::parts_to_wire(&message.parts))
            .collect()
    }

    /// The model has answered with this.
    pub(super) fn push_answer(&mut self, answer: &NewMessage) -> Result<(), Stop> {
        self.context_tokens = measured_tokens(answer.usage.as_ref())
            .unwrap_or_else(|| self.context_tokens + estimated_tokens(&answer.parts));
        self.push(Role::Assistant, &answer.parts)
    }

    /// A call has this result.
    pub(super) fn push_result(&mut self, result: &Part) -> Result<(), Stop> {
        self.context_tokens += estimated_tokens(std::slice::from_ref(result));
        self.push(Role::Tool, std::slice::from_ref(result))
    }

    fn push(&mut self, role: Role, parts: &[Part]) -> Result<(), Stop> {
        let parts = wire::parts_from_wire(parts).map_err(unreadable)?;
        // The steps behind the first one carry what tools returned, which the vendor is told in full.
        self.continues = None;
        self.history.push(Message::new(role, parts));
        Ok(())
    }

    /// The messages to send: every call answered, every file inline, nothing a vendor would refuse.
    pub(super) async fn render(&self, clients: &Clients, chat_id: &str) -> Vec<PromptMessage> {
        self.render_with(self.history.clone(), clients, chat_id).await
    }

    /// The same with another history.
    pub(super) async fn render_with(
        &self,
        mut history: Vec<Message>,
        clients: &Clients,
        chat_id: &str,
    ) -> Vec<PromptMessage> {
        let is_system = |message: &&Message| message.role == Role::System;
        let mut place = history.iter().take_while(is_system).count();
        let can_read_skills = self
            .tools
            .iter()
            .any(|tool| tool.name == BuiltinTool::ReadSkill.as_str());
        let briefing = self.briefing.messages(can_read_skills);
        let count = briefing.len();
        history.splice(place..place, briefing);
        place += count;
        if !self.user_prompt.trim().is_empty() {
            let text = format!("<user-instructions>\n{}\n</user-instructions>", self.user_prompt.trim());
            history.insert(place, Message::new(Role::System, vec![CorePart::text(text)]));
        }
        let (repaired, repairs) = history::repair_counted(history);
        if !repairs.is_empty() && !self.has_told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                chat_id,
                ?repairs,
                "the history was repaired for the model; it stays as it is stored"
            );
        }
        let prompt = |message: Message| PromptMessage {
            role: wire::role_to_wire(message.role).into(),
            parts: wire::parts_to_wire(&message.parts),
        };
        let mut messages: Vec<PromptMessage> = repaired.into_iter().map(prompt).collect();
        let words: usize = messages.iter().map(prost::Message::encoded_len).sum();
        let mut left = MAX_PROMPT_BYTES.saturating_sub(words);
        // The newest files matter most; where not all fit in one request, the oldest give way.
        for part in messages
            .iter_mut()
            .rev()
            .flat_map(|message| message.parts.iter_mut().rev())
        {
            inline_file(part, clients, chat_id, &mut left).await;
        }
        messages
    }
}

/// The tools there is a use for, in their order.
fn useful(tools: &[ToolDefinition], briefing: &Briefing) -> Vec<ToolDefinition> {
    tools
        .iter()
        .filter(|tool| briefing.has_use_for(&tool.name))
        .cloned()
        .collect()
}

/// The response behind which only users have spoken.
fn continues(loaded: &LoadTurnResponse) -> Option<EarlierResponse> {
    let last = loaded
        .messages
        .iter()
        .rev()
        .find(|message| message.role() != WireRole::User)?;
    // What the model is told of the workspace since then would be missing.
    let is_told = loaded.context.iter().all(|message| message.id < last.id);
    let is_kept = is_told && last.role() == WireRole::Assistant && !last.provider_response_id.is_empty();
    is_kept.then(|| EarlierResponse {
        provider_response_id: last.provider_response_id.clone(),
        model_config_id: last.model_config_id.clone(),
    })
}

/// Tokens of the window an answer has measured: its prompt and itself.
fn measured_tokens(usage: Option<&Usage>) -> Option<i64> {
    wire::usage_from_wire(usage).window_tokens()
}

/// Tokens of context that no answer has measured yet.
fn unmeasured_context(loaded: &LoadTurnResponse) -> i64 {
    let measured = loaded
        .messages
        .iter()
        .rev()
        .find(|message| measured_tokens(message.usage.as_ref()).is_some());
    let measured = measured.map_or(0, |message| message.id);
    let since = loaded.context.iter().filter(|message| message.id > measured);
    since.map(|message| estimated_tokens(&message.parts)).sum()
}

/// Four bytes to a token: near enough for English and code, and too many rather than too few for most of the rest.
fn estimated_tokens(parts: &[Part]) -> i64 {
    let bytes: usize = parts.iter().map(prost::Message::encoded_len).sum();
    i64::try_from(bytes / BYTES_OF_TOKEN).unwrap_or(i64::MAX)
}

/// Puts a file's bytes in the place of its id. A file that is gone leaves a note, so that the chat stays usable, and so does one that
/// does not fit into the bytes `left`; behind that one nothing fits.
async fn inline_file(part: &mut Part, clients: &Clients, chat_id: &str, left: &mut usize) {
    let Some(Kind::File(file)) = &mut part.kind else { return };
    if file.file_id.is_empty() || !file.data.is_empty() {
        return;
    }
    let crowded_out = |name: &str| {
        let text = format!("[the attached file {name:?} is left out to make room for newer ones]");
        Some(Kind::Text(TextPart { text }))
    };
    if *left == 0 {
        part.kind = crowded_out(&file.name);
        return;
    }
    let message = GetFileRequest {
        file_id: file.file_id.clone(),
        chat_id: chat_id.to_owned(),
    };
    let request = clients.outbound.request(None, FILE_DEADLINE, message);
    match clients.files.clone().get_file(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let known = answer.file.unwrap_or_default();
            let Some(rest) = left.checked_sub(answer.data.len()) else {
                *left = 0;
                part.kind = crowded_out(&known.name);
                return;
            };
            *left = rest;
            *file = FilePart {
                media_type: known.media_type,
                name: known.name,
                file_id: file.file_id.clone(),
                data: answer.data,
            };
        }
        Err(status) => {
            tracing::warn!(file_id = file.file_id, code = ?status.code(), "attached file could not be read");
            let text = format!("[the attached file {:?} is no longer available]", file.name);
            part.kind = Some(Kind::Text(TextPart { text }));
        }
    }
}

fn unreadable(error: wire::InvalidWire) -> Stop {
    tracing::error!(%error, "stored history cannot be read");
    Stop::Failed(
        generic_error("A stored message of this chat cannot be read.".to_owned()),
        Vec::new(),
    )
}
