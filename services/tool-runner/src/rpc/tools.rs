//! `ToolService`: what a turn may use, running a call, stopping one.

use std::collections::HashMap;
use std::pin::Pin;

use futures::Stream;
use tandem_chassis::identity::Caller;
use tandem_chassis::status::Fault;
use tandem_chat_core::tool_policy::{ChildMode, TurnKind};
use tandem_proto::tool::v1::tool_service_server::ToolService;
use tandem_proto::tool::v1::{
    CallToolRequest, CallToolResponse, CancelToolCallRequest, CancelToolCallResponse, ChatKind, ListToolsRequest,
    ListToolsResponse,
};
use tonic::{Request, Response, Status};

use crate::call::{Input, Registry};
use crate::mcp::{self, Mcp};
use crate::tool;

/// Longest id of a tool call, in bytes.
const MAX_ID_BYTES: usize = 256;

pub(crate) struct ToolRpc {
    calls: Registry,
    mcp: Mcp,
}

impl ToolRpc {
    pub(crate) fn new(calls: Registry, mcp: Mcp) -> Self {
        Self { calls, mcp }
    }
}

#[tonic::async_trait]
impl ToolService for ToolRpc {
    type CallToolStream = Pin<Box<dyn Stream<Item = Result<CallToolResponse, Status>> + Send>>;

    async fn list_tools(&self, request: Request<ListToolsRequest>) -> Result<Response<ListToolsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = request.into_inner();
        let kind = turn_kind(request.kind(), request.is_plan_turn)?;
        let mut tools = tool::definitions(kind);
        let place = mcp::Place {
            user: &user,
            chat_id: &request.chat_id,
            kind,
            scope: &request.mcp.unwrap_or_default().into(),
        };
        let mut mcp_server_ids = HashMap::new();
        match self.mcp.offer(place, request.context_tokens).await {
            Ok(offered) => {
                for tool in offered {
                    if let Some(server) = tool.server_id {
                        mcp_server_ids.insert(tool.definition.name.clone(), server.to_string());
                    }
                    tools.push(tool.definition);
                }
            }
            // Our own tools are there all the same.
            Err(status) => tracing::warn!(error = status.message(), "MCP servers cannot be looked up"),
        }
        Ok(Response::new(ListToolsResponse { tools, mcp_server_ids }))
    }

    async fn call_tool(&self, request: Request<CallToolRequest>) -> Result<Response<Self::CallToolStream>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = request.into_inner();
        let kind = turn_kind(request.kind(), request.is_plan_turn)?;
        if request.tool_call_id.is_empty() || request.tool_call_id.len() > MAX_ID_BYTES {
            let fault = Fault::invalid("INVALID_CALL", "the call id is not valid");
            return Err(fault
                .violation("tool_call_id", format!("must be 1 to {MAX_ID_BYTES} bytes"))
                .into());
        }
        let call = self.calls.open(Input {
            user,
            chat_id: request.chat_id,
            epoch: request.epoch,
            tool_call_id: request.tool_call_id,
            tool_name: request.tool_name,
            arguments_json: request.arguments_json,
            kind,
            mcp: request.mcp.unwrap_or_default().into(),
        })?;
        Ok(Response::new(Box::pin(call.follow())))
    }

    async fn cancel_tool_call(
        &self,
        request: Request<CancelToolCallRequest>,
    ) -> Result<Response<CancelToolCallResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = request.into_inner();
        let was_running = self.calls.cancel(&user, &request.chat_id, &request.tool_call_id);
        Ok(Response::new(CancelToolCallResponse { was_running }))
    }
}

fn turn_kind(kind: ChatKind, is_plan_turn: bool) -> Result<TurnKind, Status> {
    match kind {
        ChatKind::Root => Ok(TurnKind::of_root(is_plan_turn)),
        ChatKind::Child => Ok(TurnKind::of_child(ChildMode::General, is_plan_turn)),
        ChatKind::Explore => Ok(TurnKind::of_child(ChildMode::Explore, is_plan_turn)),
        ChatKind::Unspecified => {
            let fault = Fault::invalid("INVALID_KIND", "the kind of the chat is missing");
            Err(fault.violation("kind", "must be given").into())
        }
    }
}
