//! One session with one server: begun, asked for its tools, asked to run one, ended when it is dropped.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    PaginatedRequestParams, RequestMetaObject, Tool,
};
use rmcp::service::{ClientInitializeError, RoleClient, RunningService, serve_client};
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use serde_json::{Map, Value};
use tandem_chassis::outbound;
use url::Url;

use crate::{Failure, Http};

/// Pages of one list of tools.
const MAX_PAGES: usize = 16;

/// Calls of one session at once; more wait.
const MAX_CONCURRENT: usize = 16;

/// By what name a server is told which call of ours it runs.
const CALL_ID: &str = "com.coder/tool_call_id";

/// Why a connection is no more, said by whoever reads it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<OnceLock<String>>);

impl Ended {
    /// Says why; only the first reason counts.
    pub fn say(&self, why: &str) {
        // It has been said already otherwise.
        let _ = self.0.set(why.to_owned());
    }

    /// Why, if it has been said.
    pub fn why(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// A session. Dropping it ends it, at the server too, without anybody waiting for that.
pub struct Session {
    running: RunningService<RoleClient, ClientConfig>,
    ended: Ended,
}

impl Session {
    /// Begins a session over streamable HTTP.
    ///
    /// # Errors
    /// [`Failure`]; nothing is left open then.
    pub async fn over_http(http: Http, url: &Url, client: &str, limit: Duration) -> Result<Self, Failure> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
        config.retry_config = Arc::new(NeverRetry::default());
        let transport =
            StreamableHttpClientTransport::with_client(http, config.max_concurrent_requests(MAX_CONCURRENT));
        Self::begin(transport, client, limit, Ended::default()).await
    }

    /// Begins a session over a connection, as a client of that name. `ended` is the one the connection was made with.
    ///
    /// # Errors
    /// [`Failure`]; nothing is left open then.
    pub async fn begin<T, E, A>(transport: T, client: &str, limit: Duration, ended: Ended) -> Result<Self, Failure>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let about = Implementation::new(client, env!("CARGO_PKG_VERSION"));
        let client = ClientConfig::new(ClientCapabilities::default(), about);
        let begun = tokio::time::timeout(limit, serve_client(client, transport)).await;
        match begun {
            Ok(Ok(running)) => Ok(Self { running, ended }),
            Ok(Err(error)) => Err(Failure::Refused(match (ended.why(), &error) {
                (_, ClientInitializeError::JsonRpcError(error)) => error.message.to_string(),
                (Some(why), _) => why,
                (None, other) => outbound::chain(other),
            })),
            Err(_) => Err(Failure::Timeout(limit)),
        }
    }

    /// Whether it can be used no more.
    pub fn is_over(&self) -> bool {
        self.running.is_closed() || self.running.is_transport_closed()
    }

    /// Asks for the tools and hands them over page by page, until there are no more or `take` has enough. Returns whether there are
    /// more.
    ///
    /// # Errors
    /// [`Failure`]; some pages may have been handed over.
    pub async fn tools(
        &self,
        limit: Duration,
        mut take: impl FnMut(Vec<Tool>) -> ControlFlow<()>,
    ) -> Result<bool, Failure> {
        let pages = async {
            let mut next = None;
            for _ in 0..MAX_PAGES {
                let page = next.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
                let answer = self.running.list_tools(page).await;
                let answer = answer.map_err(|error| Failure::of(error, self.ended.why().as_deref()))?;
                next = answer.next_cursor;
                if take(answer.tools).is_break() || next.is_none() {
                    break;
                }
            }
            Ok(next.is_some())
        };
        tokio::time::timeout(limit, pages)
            .await
            .unwrap_or(Err(Failure::Timeout(limit)))
    }

    /// Runs a tool by the server's own name for it, and tells it which call this is. The server is told, too, when nobody waits for the
    /// answer any more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        tool_call_id: &str,
        limit: Duration,
    ) -> Result<CallToolResult, Failure> {
        let mut params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        if !tool_call_id.is_empty() {
            let mut meta = Map::new();
            meta.insert(CALL_ID.to_owned(), tool_call_id.into());
            params.meta = Some(RequestMetaObject::from(meta));
        }
        match tokio::time::timeout(limit, self.running.call_tool_once(params)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(result),
            Ok(Ok(CallToolResponse::InputRequired(_))) => Err(Failure::NoAnswer(
                "the tool asks for more input, which it cannot be given".to_owned(),
            )),
            // What it has begun goes on.
            Ok(Ok(_)) => Err(Failure::NoAnswer(
                "the tool goes on by itself, and its result cannot be had".to_owned(),
            )),
            Ok(Err(error)) => Err(Failure::of(error, self.ended.why().as_deref())),
            Err(_) => Err(Failure::Timeout(limit)),
        }
    }
}
