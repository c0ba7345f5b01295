//! Commands that bring a message, or stop the one that is being answered.

use tandem_chassis::status::Fault;
use tandem_chat_core::chat::{self, Command};
use tandem_chat_core::id::{MessageId, ToolCallId};
use tandem_chat_core::message::{Role, Visibility};
use tandem_chat_core::part::{Part, ToolResultPart};
use tandem_chat_core::tool_results;
use tandem_proto::common::v1::PlanMode;
use tandem_proto::storage::v1::{
    BusyBehavior, EditMessageRequest, EditMessageResponse, InterruptChatRequest, InterruptChatResponse,
    SendMessageRequest, SendMessageResponse, SubmitToolResultsRequest, SubmitToolResultsResponse,
};

use super::{Asker, Chats, input};
use crate::change::{Done, Open, Payload, UserMessage};
use crate::db::messages;
use crate::error::Error;
use crate::rpc::convert;

/// Bytes of one tool result a client hands in.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;

impl Chats {
    pub(super) async fn send_message(
        &self,
        asker: &Asker,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let behavior = match request.busy_behavior() {
            BusyBehavior::Unspecified | BusyBehavior::Queue => chat::BusyBehavior::Queue,
            BusyBehavior::Interrupt => chat::BusyBehavior::Interrupt,
        };
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let proven = input::read(open.conn(), request.message.clone(), asker.user).await?;
        let last = open.row.last_model_config_id;
        let organization = open.row.organization_id;
        let model = input::model(open.conn(), proven.model, Some(last), asker.user, organization).await?;
        if let Some(set) = &request.mcp_server_ids {
            let present = open.row.mcp_server_ids.clone();
            open.row.mcp_server_ids = input::mcp_servers(open.conn(), &set.ids, &present).await?;
        }
        if request.plan_mode.is_some() {
            open.row.plan_mode = (request.plan_mode() == PlanMode::Plan).then(|| "plan".to_owned());
        }
        let message = UserMessage {
            parts: proven.parts,
            model,
            created_by: asker.user,
        };
        let payload = Payload {
            message: Some(message),
            ..Payload::default()
        };
        open.apply(&[Command::Send { behavior }], payload).await?;
        let warnings = input::link(open.conn(), chat, &proven.files).await?;
        let answer = |done: &Done| {
            // A message that joined the queue is told as queued, even if another one left the queue for history at the same time.
            let queued = done.queued.as_ref();
            let inserted = done.inserted.iter().rev().find(|row| row.role == Role::User.as_str());
            let inserted = inserted.filter(|_| queued.is_none());
            Ok(SendMessageResponse {
                message: inserted.map(convert::message).transpose()?,
                queued_message: queued.map(convert::queued).transpose()?,
                chat: Some(convert::chat(&done.row)),
                warnings,
                change: None,
            })
        };
        let (answer, done) = open.answer_and_tell(&self.hints, answer).await?;
        Ok(SendMessageResponse {
            change: convert::own_change(&done)?,
            ..answer
        })
    }

    pub(super) async fn edit_message(
        &self,
        asker: &Asker,
        request: EditMessageRequest,
    ) -> Result<EditMessageResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let edited = messages::find(open.conn(), chat, request.message_id).await?;
        let edited = edited
            .filter(|row| row.visibility().is_for_user())
            .ok_or_else(|| Fault::not_found("MESSAGE_NOT_FOUND", "There is no such message in this chat."))?;
        if edited.role()? != Role::User || edited.is_context() {
            return Err(convert::one("message", "must be a message of the user"));
        }
        let proven = input::read(open.conn(), request.message.clone(), asker.user).await?;
        let organization = open.row.organization_id;
        let model = input::model(
            open.conn(),
            proven.model,
            edited.model_config_id,
            asker.user,
            organization,
        )
        .await?;
        let message = UserMessage {
            parts: proven.parts,
            model,
            created_by: asker.user,
        };
        let payload = Payload {
            message: Some(message),
            ..Payload::default()
        };
        open.apply(
            &[Command::Edit {
                message: MessageId(request.message_id),
            }],
            payload,
        )
        .await?;
        let warnings = input::link(open.conn(), chat, &proven.files).await?;
        let answer = |done: &Done| {
            let message = done.inserted.iter().rev().find(|row| row.role == Role::User.as_str());
            Ok(EditMessageResponse {
                message: message.map(convert::message).transpose()?,
                chat: Some(convert::chat(&done.row)),
                warnings,
            })
        };
        open.answer(&self.hints, answer).await
    }

    pub(super) async fn interrupt_chat(
        &self,
        asker: &Asker,
        request: InterruptChatRequest,
    ) -> Result<InterruptChatResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        open.apply(&[Command::Interrupt], Payload::default()).await?;
        let answer = |done: &Done| {
            Ok(InterruptChatResponse {
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }

    pub(super) async fn submit_tool_results(
        &self,
        asker: &Asker,
        request: SubmitToolResultsRequest,
    ) -> Result<SubmitToolResultsResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        // The status decides first: a second submission finds nothing open, whatever it brings.
        tandem_chat_core::chat::decide(&open.state, &Command::SubmitToolResults)?;
        let pending = open.row.pending_tool_calls.0.clone();
        if pending.iter().any(|call| call.approval.is_some()) {
            let text = "Tool calls of this step wait for a person's approval first.";
            return Err(Fault::conflict("APPROVAL_REQUIRED", text).into());
        }
        let wanted = input::call_ids("results", pending.iter().map(|call| &call.tool_call_id))?;
        let given = input::call_ids("results", request.results.iter().map(|result| &result.tool_call_id))?;
        tool_results::check("results", &wanted, &given).map_err(convert::many)?;
        let now = open.row.now;
        let mut results = Vec::with_capacity(pending.len());
        for call in &pending {
            let (index, given) = request
                .results
                .iter()
                .enumerate()
                .find(|(_, result)| result.tool_call_id == call.tool_call_id)
                .ok_or_else(|| convert::one("results", "must answer every open call"))?;
            let field = format!("results[{index}].output");
            if given.output_json.len() > MAX_OUTPUT_BYTES {
                return Err(convert::one(&field, "must have at most 256 KiB"));
            }
            let result = serde_json::from_str(&given.output_json).map_err(|_| convert::one(&field, "must be JSON"))?;
            let part = ToolResultPart {
                tool_call_id: ToolCallId::new(&call.tool_call_id)
                    .map_err(|_| convert::one("results", "must name calls"))?,
                tool_name: call.tool_name.clone(),
                result,
                is_error: given.is_error,
                is_media: false,
                provider_executed: false,
                mcp_server_config_id: None,
                created_at: Some(now),
                provider_metadata: serde_json::Map::new(),
            };
            results.push(messages::New::plain(
                Role::Tool,
                Visibility::Both,
                vec![Part::ToolResult(part)],
            ));
        }
        let payload = Payload {
            results,
            ..Payload::default()
        };
        open.apply(&[Command::SubmitToolResults], payload).await?;
        let answer = |done: &Done| {
            Ok(SubmitToolResultsResponse {
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }
}
