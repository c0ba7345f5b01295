//! `McpBridgeService`: tools of MCP servers for requests that programs send through the bridge.
//!
//! These calls belong to no chat: nobody is asked before them, and no journal knows them. A tool that runs nowhere but in a chat's workspace
//! cannot be called here.

use serde_json::{Map, Value};
use tandem_chassis::identity::{Caller, ServiceName, User};
use tandem_chassis::status::Fault;
use tandem_proto::tool::v1::mcp_bridge_service_server::McpBridgeService;
use tandem_proto::tool::v1::*;
use tonic::{Request, Response, Status};

use crate::mcp::{Asked, Mcp};

/// Longest arguments, in bytes.
const MAX_ARGUMENTS_BYTES: usize = 1024 * 1024;

pub(crate) struct BridgeRpc {
    mcp: Mcp,
}

impl BridgeRpc {
    pub(crate) fn new(mcp: Mcp) -> Self {
        Self { mcp }
    }
}

#[tonic::async_trait]
impl McpBridgeService for BridgeRpc {
    async fn list_bridge_tools(
        &self,
        request: Request<ListBridgeToolsRequest>,
    ) -> Result<Response<ListBridgeToolsResponse>, Status> {
        let user = user_of(&request)?;
        let tools = self.mcp.bridge_tools(&user).await?;
        Ok(Response::new(ListBridgeToolsResponse { tools }))
    }

    async fn call_bridge_tool(
        &self,
        request: Request<CallBridgeToolRequest>,
    ) -> Result<Response<CallBridgeToolResponse>, Status> {
        let user = user_of(&request)?;
        let message = request.into_inner();
        if message.arguments_json.len() > MAX_ARGUMENTS_BYTES {
            let fault = Fault::invalid("INVALID_CALL", "the arguments are too long");
            return Err(fault.violation("arguments_json", "must be at most 1 MiB").into());
        }
        let arguments = match message.arguments_json.trim() {
            "" => Some(Map::new()),
            text => serde_json::from_str::<Map<String, Value>>(text).ok(),
        };
        let Some(arguments) = arguments else {
            return Ok(failed("The arguments must be a JSON object."));
        };
        let call = Asked {
            arguments,
            tool_call_id: message.tool_call_id,
        };
        let answer = match self.mcp.bridge_call(&user, &message.name, call).await? {
            Some(Ok(result)) => CallBridgeToolResponse {
                text: text_of(&result.value),
                is_error: result.is_error,
            },
            Some(Err(error)) => return Ok(failed(&error.text)),
            None => return Ok(failed("There is no such tool any more.")),
        };
        Ok(Response::new(answer))
    }
}

/// Only the bridge asks, and for somebody.
fn user_of<T>(request: &Request<T>) -> Result<User, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ProviderGateway])?;
    Ok(caller.user()?.clone())
}

fn failed(text: &str) -> Response<CallBridgeToolResponse> {
    Response::new(CallBridgeToolResponse {
        text: text.to_owned(),
        is_error: true,
    })
}

/// Media are described: vendors take them in ways of their own.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        media => {
            let said = media["text"].as_str().unwrap_or_default();
            let kind = media["mime_type"].as_str().unwrap_or("media");
            format!("{said}\n[{kind} left out: only text can be shown here]")
                .trim()
                .to_owned()
        }
    }
}
