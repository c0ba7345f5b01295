//! A session with a configured server: what the server says of itself comes without what is secret about it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};
use tandem_chassis::outbound::Outbound;
use tandem_mcp::model::CallToolResult;
use tandem_mcp::{Ended, Failure, Http, Sse};
use tandem_proto::storage::v1::McpTransport;

use super::listing::{Builder, Listing};
use super::server::{Server, Token};

/// The name by which servers know us.
const CLIENT: &str = "tandem";

/// A session. Dropping it ends it, at the server too, without anybody waiting for that.
pub(crate) struct Session {
    server: Arc<Server>,
    token: Option<Token>,
    speaking: tandem_mcp::Session,
    listing: Mutex<Arc<Listing>>,
}

impl Session {
    /// Begins a session and lists the tools.
    ///
    /// # Errors
    /// [`Failure`], without secrets; nothing is left open then.
    pub(crate) async fn begin(
        server: Arc<Server>,
        token: Option<Token>,
        headers: HeaderMap,
        outbound: Outbound,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let started = tokio::time::Instant::now();
        let http = Http::new(outbound, headers);
        let begun = match server.row.transport() {
            McpTransport::Sse => over_events(&server, http, limit).await,
            McpTransport::StreamableHttp | McpTransport::Unspecified => {
                tandem_mcp::Session::over_http(http, &server.url, CLIENT, limit).await
            }
        };
        let speaking = begun.map_err(|failure| failure.map(|text| server.redact(text, token.as_ref())))?;
        let session = Self {
            server,
            token,
            speaking,
            listing: Mutex::default(),
        };
        session.list(limit.saturating_sub(started.elapsed())).await?;
        Ok(session)
    }

    /// Whether it can be used no more.
    pub(crate) fn is_over(&self) -> bool {
        self.speaking.is_over()
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
        let mut said = Builder::new(&self.server);
        let is_more = self.speaking.tools(limit, |page| said.add(page)).await;
        let is_more = is_more.map_err(|failure| self.without_secrets(failure))?;
        let listing = Arc::new(said.finish(is_more));
        *self.listing.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&listing);
        Ok(listing)
    }

    /// Runs a tool by the server's own name for it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        tool_call_id: &str,
        limit: Duration,
    ) -> Result<CallToolResult, Failure> {
        let called = self.speaking.call(tool, arguments, tool_call_id, limit).await;
        called.map_err(|failure| self.without_secrets(failure))
    }

    fn without_secrets(&self, failure: Failure) -> Failure {
        failure.map(|text| self.server.redact(text, self.token.as_ref()))
    }
}

/// Begins a session over the older transport.
async fn over_events(server: &Server, http: Http, limit: Duration) -> Result<tandem_mcp::Session, Failure> {
    let begin = async {
        let ended = Ended::default();
        let connection = Sse::open(http, &server.url, ended.clone()).await?;
        tandem_mcp::Session::begin(connection, CLIENT, limit, ended).await
    };
    tokio::time::timeout(limit, begin)
        .await
        .unwrap_or(Err(Failure::Timeout(limit)))
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.server.slug)
    }
}
