//! Getting at a server: in the chat's own session, within its time, and not at all while it rests.
//!
//! A server that does not answer in time costs one turn that time. It rests then, and chats go on without it; one attempt in the
//! background after a while finds out whether it is back.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tandem_chassis::identity::User;
use tandem_chat_core::tool_policy::TurnKind;
use tandem_mcp::Failure;
use tandem_proto::tool::v1::McpOutcome;
use uuid::Uuid;

use super::health::Health;
use super::listing::Listing;
use super::server::{Server, Token};
use super::session::Session;
use super::{Key, Mcp, Place, Scope, Slot};

/// A server that takes longer than this is named in the log.
const SLOW: Duration = Duration::from_secs(5);

/// Servers that are remembered as resting.
const MAX_RESTING: usize = 1_024;

/// Why a server is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Another revision may be another server.
    revision: i64,
    /// Somebody is finding out whether it is back, or will.
    is_watched: bool,
}

impl Mcp {
    /// Connects to a server as a user, now, and says what it offers.
    pub(crate) async fn probe(&self, server: &Arc<Server>, user: &User) -> (Health, Arc<Listing>) {
        let scope = Scope::default();
        let place = Place {
            user,
            chat_id: "",
            kind: TurnKind::Root,
            scope: &scope,
        };
        let limit = self.config.connect_timeout;
        let started = Instant::now();
        let begun = tokio::time::timeout(limit, async {
            let token = self.tokens.current(server, user).await;
            self.begin(server, place, token).await
        });
        let begun = begun.await.unwrap_or(Err(Failure::Timeout(limit)));
        let listed = begun.map(|session| session.listing());
        let health = self.learn(server, &listed, started.elapsed());
        (health, listed.unwrap_or_default())
    }

    /// What a server offers now, in the chat's own session. One that rests is not asked.
    pub(super) async fn list(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Listing>, Failure> {
        let limit = self.config.connect_timeout;
        if self.is_resting(server, place.user) {
            return Err(Failure::Timeout(limit));
        }
        let started = Instant::now();
        let listed = tokio::time::timeout(limit, self.listed_in_session(server, place)).await;
        let listed = listed.unwrap_or(Err(Failure::Timeout(limit)));
        let elapsed = started.elapsed();
        if elapsed >= SLOW {
            tracing::warn!(
                slug = server.slug,
                elapsed_ms = elapsed.as_millis(),
                "MCP server is slow"
            );
        }
        self.learn(server, &listed, elapsed);
        if matches!(listed, Err(Failure::Timeout(_))) {
            self.rest(server, place.user);
        }
        listed
    }

    async fn listed_in_session(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Listing>, Failure> {
        let token = self.tokens.current(server, place.user).await;
        let slot = self.slot(server, place, token.as_ref()).await;
        let mut held = slot.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
            // Servers may change what they offer at any time; a session that cannot say it any more is begun anew.
            if let Ok(listing) = session.list(self.config.connect_timeout / 2).await {
                return Ok(listing);
            }
        }
        *held = None;
        let session = Arc::new(self.begin(server, place, token).await?);
        *held = Some(Arc::clone(&session));
        Ok(session.listing())
    }

    /// The chat's session with a server; begun when there is none.
    pub(super) async fn session(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Session>, Failure> {
        let limit = self.config.connect_timeout;
        let open = async {
            let token = self.tokens.current(server, place.user).await;
            let slot = self.slot(server, place, token.as_ref()).await;
            let mut held = slot.lock().await;
            if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
                return Ok(Arc::clone(session));
            }
            let session = Arc::new(self.begin(server, place, token).await?);
            *held = Some(Arc::clone(&session));
            Ok(session)
        };
        tokio::time::timeout(limit, open)
            .await
            .unwrap_or(Err(Failure::Timeout(limit)))
    }

    async fn slot(&self, server: &Server, place: Place<'_>, token: Option<&Token>) -> Slot {
        let identity = place.identity();
        let key = Key {
            server_id: server.id,
            server_revision: server.revision,
            token_revision: token.map_or(0, |token| token.revision),
            user_id: place.user.id,
            chat_id: identity.chat_id,
            workspace_id: identity.workspace_id,
        };
        self.sessions.get_with(key, async { Slot::default() }).await
    }

    async fn begin(&self, server: &Arc<Server>, place: Place<'_>, token: Option<Token>) -> Result<Session, Failure> {
        let headers = server
            .headers(&place.identity(), token.as_ref())
            .map_err(Failure::Refused)?;
        let limit = self.config.connect_timeout;
        Session::begin(Arc::clone(server), token, headers, self.outbound.clone(), limit).await
    }

    /// Remembers how a connection went.
    fn learn(&self, server: &Server, listed: &Result<Arc<Listing>, Failure>, duration: Duration) -> Health {
        let health = Health::of(listed, duration, self.clock.now());
        if !matches!(health.outcome, McpOutcome::Connected) {
            tracing::warn!(slug = server.slug, outcome = ?health.outcome, error = health.error, "MCP server offers nothing");
        } else if !health.error.is_empty() {
            tracing::info!(
                slug = server.slug,
                note = health.error,
                "tools of an MCP server were left out"
            );
        }
        self.metrics.mcp_connected(health.outcome);
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(server.id, health.clone());
        drop(known);
        if health.outcome != McpOutcome::Timeout {
            self.resting(|resting| resting.remove(&server.id));
        }
        health
    }

    /// Whether a server is not to be asked now. The first to find it so after its time sees to it that somebody looks again.
    fn is_resting(&self, server: &Arc<Server>, user: &User) -> bool {
        let (is_resting, is_unwatched) = self.resting(|resting| match resting.get_mut(&server.id) {
            Some(rest) if rest.revision == server.revision => (true, !std::mem::replace(&mut rest.is_watched, true)),
            Some(_) | None => (false, false),
        });
        if is_unwatched {
            self.look_again(server, user, Duration::ZERO);
        }
        is_resting
    }

    fn rest(&self, server: &Arc<Server>, user: &User) {
        let rest = Rest {
            revision: server.revision,
            is_watched: true,
        };
        let is_new = self.resting(|resting| {
            // Without a place for it, it is asked by every turn.
            (resting.len() < MAX_RESTING).then(|| resting.insert(server.id, rest) != Some(rest))
        });
        if is_new == Some(true) {
            self.look_again(server, user, self.config.rest);
        }
    }

    /// Asks a resting server once more after `pause`, with nobody waiting for it.
    fn look_again(&self, server: &Arc<Server>, user: &User, pause: Duration) {
        let (mcp, server, user) = (self.clone(), Arc::clone(server), user.clone());
        // It ends by itself: after the pause and the time a connection may take.
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // If it is back, that it rests is forgotten.
            mcp.probe(&server, &user).await;
            mcp.resting(|resting| {
                if let Some(rest) = resting.get_mut(&server.id) {
                    rest.is_watched = false;
                }
            });
        });
    }

    fn resting<T>(&self, change: impl FnOnce(&mut std::collections::HashMap<Uuid, Rest>) -> T) -> T {
        change(&mut self.resting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
