//! A tool-runner that offers what it was told to, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tandem_chassis::{
    identity::{Caller, ServiceName},
    status::Fault,
};
use tandem_proto::tool::v1::{
    BridgeTool, CallBridgeToolRequest, CallBridgeToolResponse, ListBridgeToolsRequest, ListBridgeToolsResponse,
    mcp_bridge_service_server::McpBridgeService,
};
use tokio::sync::{Notify, Semaphore};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Its state is shared by clones.
#[derive(Clone, Default)]
pub struct ToolRunner {
    pub tools: Arc<Mutex<Vec<BridgeTool>>>,
    /// What the next calls come to; without one, `done`.
    pub outcomes: Arc<Mutex<VecDeque<Result<CallBridgeToolResponse, Fault>>>>,
    /// Who had what run.
    pub calls: Arc<Mutex<Vec<(Uuid, CallBridgeToolRequest)>>>,
    /// Calls wait for a permit.
    pub gate: Arc<Mutex<Option<Arc<Semaphore>>>>,
    /// A call has come.
    pub called: Arc<Notify>,
    /// How often it was asked what there is.
    pub listings: Arc<Mutex<usize>>,
}

impl ToolRunner {
    /// Offers one more tool.
    pub fn offer(&self, name: &str) {
        self.tools.lock().unwrap().push(BridgeTool {
            name: name.to_owned(),
            description: format!("Does {name}."),
            input_schema_json: r#"{"type":"object","properties":{"path":{"type":"string"}}}"#.to_owned(),
            server_url: "https://mcp.example/files".to_owned(),
            server_name: "files".to_owned(),
            tool_name: name.to_owned(),
        });
    }

    /// What one of the next calls comes to.
    pub fn answer(&self, text: &str, is_error: bool) {
        let text = text.to_owned();
        let outcome = Ok(CallBridgeToolResponse { text, is_error });
        self.outcomes.lock().unwrap().push_back(outcome);
    }

    /// Names, ids and arguments of what was run.
    pub fn ran(&self) -> Vec<(String, String, String)> {
        let calls = self.calls.lock().unwrap();
        let ran = |(_, call): &(Uuid, CallBridgeToolRequest)| {
            (
                call.name.clone(),
                call.tool_call_id.clone(),
                call.arguments_json.clone(),
            )
        };
        calls.iter().map(ran).collect()
    }
}

fn user<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let caller = Caller::of(request)?;
    assert_eq!(caller.service, ServiceName::ProviderGateway);
    Ok(caller.user()?.id)
}

#[tonic::async_trait]
impl McpBridgeService for ToolRunner {
    async fn list_bridge_tools(
        &self,
        request: Request<ListBridgeToolsRequest>,
    ) -> Result<Response<ListBridgeToolsResponse>, Status> {
        user(&request)?;
        *self.listings.lock().unwrap() += 1;
        let tools = self.tools.lock().unwrap().clone();
        Ok(Response::new(ListBridgeToolsResponse { tools }))
    }

    async fn call_bridge_tool(
        &self,
        request: Request<CallBridgeToolRequest>,
    ) -> Result<Response<CallBridgeToolResponse>, Status> {
        let user = user(&request)?;
        self.calls.lock().unwrap().push((user, request.into_inner()));
        self.called.notify_one();
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let outcome = self.outcomes.lock().unwrap().pop_front();
        let done = CallBridgeToolResponse {
            text: "done".to_owned(),
            is_error: false,
        };
        Ok(Response::new(outcome.unwrap_or(Ok(done))?))
    }
}
