//! One session with one server: begun, asked for its tools, asked to run one, ended when it is dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ErrorCode,
    Implementation, PaginatedRequestParams, Tool,
};
use rmcp::service::{ClientInitializeError, RoleClient, RunningService, serve_client};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Map, Value};

use super::http::{Http, NO_ANSWER, NOT_SENT, REFUSED};
use super::listing::{Listing, MAX_TOOLS};
use super::server::{Server, Token};

/// Pages of one list of tools.
const MAX_PAGES: usize = 16;

/// Calls of one session at once; more wait.
const MAX_CONCURRENT: usize = 16;

/// A session. Dropping it ends it, at the server too, without anybody waiting for that.
pub(crate) struct Session {
    server: Arc<Server>,
    token: Option<Token>,
    running: RunningService<RoleClient, ClientConfig>,
    listing: Mutex<Arc<Listing>>,
}

/// Why a server did not do what it was asked. The text has no secrets and at most 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It took longer than this.
    Timeout(Duration),
    /// It has not acted.
    Refused(String),
    /// It may have acted.
    NoAnswer(String),
}

impl Failure {
    /// The failure as a sentence about the server of that name.
    pub(crate) fn describe(&self, slug: &str) -> String {
        match self {
            Self::Timeout(limit) => format!("The MCP server {slug} did not answer within {} s.", limit.as_secs_f32()),
            Self::Refused(text) => format!("The MCP server {slug} could not run the tool: {text}"),
            Self::NoAnswer(text) => format!("The MCP server {slug} gave no usable answer: {text}"),
        }
    }
}

impl Session {
    /// Begins a session and lists the tools.
    ///
    /// # Errors
    /// [`Failure`]; nothing is left open then.
    pub(crate) async fn begin(
        server: Arc<Server>,
        token: Option<Token>,
        http: Http,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let started = tokio::time::Instant::now();
        let mut config = StreamableHttpClientTransportConfig::with_uri(server.url.as_str());
        config.retry_config = Arc::new(NeverRetry::default());
        let transport =
            StreamableHttpClientTransport::with_client(http, config.max_concurrent_requests(MAX_CONCURRENT));
        let about = Implementation::new("tandem", env!("CARGO_PKG_VERSION"));
        let client = ClientConfig::new(ClientCapabilities::default(), about);
        let running = match tokio::time::timeout(limit, serve_client(client, transport)).await {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => {
                let text = match &error {
                    ClientInitializeError::JsonRpcError(error) => error.message.to_string(),
                    other => tandem_chassis::outbound::chain(other),
                };
                return Err(Failure::Refused(server.redact(&text, token.as_ref())));
            }
            Err(_) => return Err(Failure::Timeout(limit)),
        };
        let session = Self {
            server,
            token,
            running,
            listing: Mutex::default(),
        };
        session.list(limit.saturating_sub(started.elapsed())).await?;
        Ok(session)
    }

    /// Whether it can be used no more.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_closed() || self.running.is_transport_closed()
    }

    /// What the server offered when it was asked last.
    pub(crate) fn listing(&self) -> Arc<Listing> {
        Arc::clone(&self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks what the server offers now.
    ///
    /// # Errors
    /// [`Failure`]; what it offered before stays.
    pub(crate) async fn list(&self, limit: Duration) -> Result<Arc<Listing>, Failure> {
        let asked = tokio::time::timeout(limit, self.pages()).await;
        let (tools, is_more) = asked.map_err(|_| Failure::Timeout(limit))??;
        let listing = Arc::new(Listing::new(&self.server, tools, is_more));
        *self.listing.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&listing);
        Ok(listing)
    }

    async fn pages(&self) -> Result<(Vec<Tool>, bool), Failure> {
        let mut tools = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = next.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
            let answer = self
                .running
                .list_tools(page)
                .await
                .map_err(|error| self.failure(error))?;
            tools.extend(answer.tools);
            next = answer.next_cursor;
            // One more than can be taken tells that there are more.
            if next.is_none() || tools.len() > MAX_TOOLS {
                break;
            }
        }
        let is_more = next.is_some();
        Ok((tools, is_more))
    }

    /// Runs a tool by the server's own name for it. The server is told when nobody waits for the answer any more.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        limit: Duration,
    ) -> Result<CallToolResult, Failure> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        match tokio::time::timeout(limit, self.running.call_tool_once(params)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(result),
            Ok(Ok(_)) => Err(Failure::Refused(
                "the tool asks for more input, which it cannot be given".to_owned(),
            )),
            Ok(Err(error)) => Err(self.failure(error)),
            Err(_) => Err(Failure::Timeout(limit)),
        }
    }

    fn failure(&self, error: ServiceError) -> Failure {
        let text = |text: &str| self.server.redact(text, self.token.as_ref());
        match error {
            ServiceError::McpError(error) => {
                let words = text(&error.message);
                if error.code == NO_ANSWER {
                    return Failure::NoAnswer(words);
                }
                // All other errors are the server's own, or of requests it has not seen.
                Failure::Refused(match error.code {
                    NOT_SENT | REFUSED => words,
                    ErrorCode(code) => format!("{words} (code {code})"),
                })
            }
            other => Failure::NoAnswer(text(&tandem_chassis::outbound::chain(&other))),
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.server.slug)
    }
}
