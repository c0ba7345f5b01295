//! Who is calling: one path for every request, in front of every route. It finds the token, asks storage whose it is,
//! refuses forged browser requests, counts requests, and leaves a [`Principal`] for the handlers. Whether the caller may
//! do what they ask is decided in storage, with every call.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tandem_chassis::{identity::User, status::Fault};

use crate::{auth::token::Carrier, problem::Problem, service::App, ws};

pub mod accounts;
pub mod cookie;
pub mod limiter;
pub mod open_streams;
pub mod origin;
pub mod token;

use accounts::Account;
use limiter::Subject;

/// Routes that answer without a token, below any prefix. Everything else is refused without one.
const OPEN_ROUTES: [(Method, &str); 5] = [
    (Method::GET, "/setup"),
    (Method::POST, "/setup"),
    (Method::POST, "/users/login"),
    (Method::GET, "/buildinfo"),
    (Method::GET, "/openapi.json"),
];

/// The address a request came from; unknown for Unix sockets.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

/// A signed-in caller.
#[derive(Clone, Debug)]
pub struct Principal {
    account: Arc<Account>,
}

impl Principal {
    /// The identity other services are told.
    pub fn user(&self) -> &User {
        &self.account.user
    }

    pub fn username(&self) -> &str {
        &self.account.username
    }

    /// The session or API token in use.
    pub fn credential_id(&self) -> &str {
        &self.account.credential_id
    }

    /// Whether the credential is a session, which signing out ends.
    pub fn is_session(&self) -> bool {
        self.account.is_session
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// 403.
    pub fn require_admin(&self) -> Result<(), Problem> {
        if self.user().is_admin {
            Ok(())
        } else {
            Err(Fault::forbidden("ADMIN_ONLY", "only an administrator may do this").into())
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Fault::internal(
                "NO_PRINCIPAL",
                "an open route asks for a signed-in caller; see OPEN_ROUTES",
            )
            .into()
        })
    }
}

/// The layer in front of every API route.
pub async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    match admit(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &App, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let is_socket = ws::is_upgrade(&parts.headers);
    let found = token::find(&parts, is_socket || ws::accepts_event_stream(&parts.headers));
    let carrier = found.as_ref().map(|found| found.carrier);
    app.origins.check(&parts.method, &parts.headers, carrier, is_socket)?;
    let peer = parts.extensions.get::<Peer>().and_then(|peer| peer.0);
    let outcome = match found {
        Some(found) => app
            .accounts
            .get(&found.token)
            .await
            .map(|account| Some(Principal { account })),
        None => Ok(None),
    };
    let subject = match &outcome {
        Ok(Some(principal)) => Subject::User(principal.user().id),
        Ok(None) | Err(_) => Subject::Address(peer),
    };
    app.requests.admit(&subject).map_err(|pause| {
        app.metrics.rate_limited.inc();
        Problem::from(Fault::rate_limited("RATE_LIMITED", "too many requests").retry_after(pause))
    })?;
    if let Ok(Some(principal)) = &outcome {
        tracing::Span::current().record("user_id", tracing::field::display(principal.user().id));
        parts.extensions.insert(principal.clone());
    } else if !is_open(&parts) {
        outcome?;
        return Err(Fault::unauthenticated("SIGNED_OUT", "sign in first, or send an API token").into());
    }
    Ok(Request::from_parts(parts, body))
}

fn is_open(parts: &Parts) -> bool {
    let Some(path) = parts.extensions.get::<MatchedPath>() else {
        return false;
    };
    OPEN_ROUTES
        .iter()
        .any(|(method, route)| parts.method == *method && crate::rest::below_prefix(path.as_str()) == Some(*route))
}

/// Whether a request of this carrier can be forged by another site's page.
fn is_ambient(carrier: Option<Carrier>) -> bool {
    match carrier {
        Some(Carrier::Cookie) => true,
        Some(Carrier::Header | Carrier::Query) | None => false,
    }
}
