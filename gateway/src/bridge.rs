//! The OpenAI- and Anthropic-compatible addresses. Who calls is found out here, as for every other route; everything else about an exchange
//! is provider-gateway's, which gets it piece by piece and answers the same way. Nothing is kept but the pieces on their way.
//!
//! * A token comes in a header of its own, or where the vendor's client puts its key. Cookies and addresses do not count, so that no page
//!   of another site can ask in somebody's name.
//! * Whatever is refused is refused in the vendor's words ([`refusal`]): clients of these addresses read no others.

use std::time::Duration;

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::provider::v1::RequestHead;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Peer, accounts::Account, limiter::Subject},
    observe::RequestId,
    service::App,
};

mod answer;
pub mod call;
mod headers;
mod pieces;
mod refusal;

use call::BreakOff;
use headers::Headers;
use pieces::{Pieces, Trouble};
use refusal::{Reason, Refusal, family_of};

/// Largest request body, in bytes.
const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;

/// Time a vendor has to begin its answer. Models think long, and the bridge has limits of its own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Where clients of one vendor's dialect look, any provider.
const OPENAI: &str = "/openai/";
const ANTHROPIC: &str = "/anthropic/";

/// Where one provider is named by the path, and the name that provider-gateway knows.
const NAMED: [&str; 2] = ["/api/v2/aibridge/", "/api/v2/ai-gateway/"];

/// The routes, outside of the table that answers in our own words.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/openai/{*rest}", any(exchange))
        .route("/anthropic/{*rest}", any(exchange))
        .route("/api/v2/aibridge/{provider}/{*rest}", any(exchange))
        .route("/api/v2/ai-gateway/{provider}/{*rest}", any(exchange))
}

async fn exchange(State(app): State<App>, Extension(Peer(peer)): Extension<Peer>, request: Request) -> Response {
    let family = family_of(request.uri().path(), request.headers());
    let request_id = request.extensions().get::<RequestId>().cloned();
    let answered = async {
        let path_and_query = target(&request)?;
        let (headers, token) = Headers::take(request.headers())?;
        let account = match token {
            Some(token) => app.accounts.get(&token).await.map_err(refuse),
            None => Err(Refusal::new(
                Reason::Unauthenticated,
                "No API token was sent. Send one of this server's as `Authorization: Bearer` or `X-Api-Key`.",
            )),
        };
        let subject = match &account {
            Ok(account) => Subject::User(account.user.id),
            Err(_) => Subject::Address(peer),
        };
        app.requests.admit(&subject).map_err(|pause| {
            app.metrics.rate_limited.inc();
            Refusal::new(Reason::RateLimited, "Too many requests.").after(pause)
        })?;
        let account = account?;
        forward(&app, &account, path_and_query, headers, request).await
    };
    answered
        .await
        .unwrap_or_else(|refusal| refusal.into_response(family, request_id.as_ref()))
}

/// Hands the request on and waits for the head of the answer, whose body follows as it comes. Dropping it ends the exchange at the other
/// side too: that is what happens when the client leaves.
async fn forward(
    app: &App,
    account: &Account,
    path_and_query: String,
    headers: Headers,
    request: Request,
) -> Result<Response, Refusal> {
    let principal = tracing::field::display(account.user.id);
    tracing::Span::current().record("user_id", principal);
    let head = RequestHead {
        method: request.method().to_string(),
        path_and_query,
        is_byok: headers.is_byok,
        headers: headers.list,
        credential_id: account.credential_id.clone(),
        username: account.username.clone(),
    };
    // Whenever this side gives the exchange up, now or in the middle of the answer, the other one learns it.
    let going_on = CancellationToken::new();
    let (pieces, mut trouble) = Pieces::new(
        head,
        request.into_body(),
        MAX_BODY_BYTES,
        app.config.limits.body_timeout,
        going_on.clone(),
    );
    let mut call = app.clients.open_within(&account.user, ANSWER_DEADLINE, pieces);
    call.extensions_mut().insert(BreakOff(going_on.clone()));
    let going_on = going_on.drop_guard();
    let mut bridge = app.clients.bridge.clone();
    let answer = tokio::time::timeout(ANSWER_DEADLINE, async {
        let mut stream = bridge.forward(call).await.map_err(Fault::from)?.into_inner();
        let first = stream.message().await.map_err(Fault::from)?;
        Ok::<_, Fault>((first, stream))
    });
    // A body that is not handed on whole must not look as if it were: then the call is broken off, with its stream still open.
    let (first, stream) = tokio::select! {
        biased;
        answer = answer => match answer {
            Ok(answer) => answer.map_err(refuse)?,
            Err(_) => return Err(refuse(Fault::deadline("NO_ANSWER", "the bridge did not answer in time"))),
        },
        Ok(trouble) = &mut trouble => return Err(trouble.into()),
    };
    // From here on trouble ends the answer, unless it came in this moment.
    trouble.close();
    if let Ok(trouble) = trouble.try_recv() {
        return Err(trouble.into());
    }
    answer::respond(first, stream, going_on).map_err(refuse)
}

/// Path and query as provider-gateway knows them: it has one name for each place.
fn target(request: &Request) -> Result<String, Refusal> {
    let uri = request.uri();
    let path = uri.path();
    let is_versioned = |prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("v1/"));
    let is_known =
        is_versioned(OPENAI) || is_versioned(ANTHROPIC) || NAMED.iter().any(|prefix| path.starts_with(prefix));
    if !is_known {
        let message = format!("route not supported: {} {path}", request.method());
        return Err(Refusal::new(Reason::NoRoute, message));
    }
    let whole = uri.path_and_query().map_or(path, |whole| whole.as_str());
    Ok(match whole.strip_prefix(NAMED[1]) {
        Some(rest) => format!("{}{rest}", NAMED[0]),
        None => whole.to_owned(),
    })
}

/// What a service said, as the clients of these addresses are told it.
fn refuse(mut fault: Fault) -> Refusal {
    fault.log();
    let (reason, message) = match fault.code {
        Code::Unauthenticated => (Reason::Unauthenticated, "The API token is not valid.".to_owned()),
        Code::Forbidden => (Reason::Forbidden, fault.message),
        Code::RateLimited => (Reason::RateLimited, fault.message),
        Code::Unavailable | Code::Cancelled => (
            Reason::Unavailable,
            "This cannot be answered at the moment. Try again.".to_owned(),
        ),
        Code::Deadline => (Reason::TooSlow, "The answer did not begin in time.".to_owned()),
        Code::Invalid | Code::NotFound | Code::Conflict | Code::Exists | Code::WrongState | Code::Internal => {
            (Reason::Internal, "Something went wrong inside Tandem.".to_owned())
        }
    };
    let refusal = Refusal::new(reason, message);
    match fault.retry_after {
        Some(pause) => refusal.after(pause),
        None => refusal,
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::TooLarge => Self::new(Reason::TooLarge, "The request body is larger than 32 MiB."),
            Trouble::Cut => Self::new(Reason::Invalid, "The request body broke off."),
            Trouble::Slow => Self::new(Reason::SlowBody, "The request body did not arrive in time."),
        }
    }
}
