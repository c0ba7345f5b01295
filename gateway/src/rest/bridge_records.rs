//! What went through the OpenAI- and Anthropic-compatible addresses: exchanges, and the sessions they belong to. Users see their own,
//! administrators all; storage decides that.

use axum::{extract::State, routing::get};
use tandem_chassis::status::Code;
use tandem_proto::storage::v1 as proto;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Path, id,
    query::Query,
    users,
    wire::bridge::{AIBridgeListInterceptionsResponse, AIBridgeListSessionsResponse, AIBridgeSessionThreadsResponse},
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::Reply,
    problem::Problem,
    search,
    service::App,
};

/// The same routes under the name that newer clients know them by.
pub fn aliases() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .route("/ai-gateway/interceptions", get(interceptions))
        .route("/ai-gateway/sessions", get(sessions))
        .route("/ai-gateway/sessions/{session}", get(session))
        .route("/ai-gateway/models", get(models))
        .route("/ai-gateway/clients", get(clients))
}

/// Ended exchanges with everything recorded of them, the newest first. A page whose texts are too long for one answer has them cut, and
/// may end before its limit.
#[utoipa::path(get, path = "/aibridge/interceptions", tag = "bridge", params(
    ("q" = Option<String>, Query, description = "`key:value` terms: initiator (id, username or `me`), provider, \
        provider_name, model, client (`Unknown` for none), session_id, started_after, started_before (RFC 3339)"),
    ("limit" = Option<i32>, Query, description = "1 to 1,000; 100 where absent"),
    ("offset" = Option<i32>, Query),
    ("after_id" = Option<Uuid>, Query, description = "The last one of the page before"),
), responses((status = 200, body = AIBridgeListInterceptionsResponse)))]
pub async fn interceptions(
    State(app): State<App>,
    who: Principal,
    query: Query,
) -> Result<Reply<AIBridgeListInterceptionsResponse>, Problem> {
    query.only(&["q", "limit", "offset", "after_id"])?;
    let after_id = query.one("after_id")?.map(|text| id("after_id", text)).transpose()?;
    let message = proto::ListInterceptionsRequest {
        filter: Some(filter(&app, &who, &query).await?),
        limit: number(&query, "limit")?,
        offset: number(&query, "offset")?,
        after_id: super::wire::id_text(after_id),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app
        .clients
        .interceptions
        .clone()
        .list_interceptions(request)
        .await
        .answer()?;
    Ok(Reply::ok(listed.into()))
}

/// Sessions: exchanges that share a key their client gave, or else a thread. The newest first.
#[utoipa::path(get, path = "/aibridge/sessions", tag = "bridge", params(
    ("q" = Option<String>, Query, description = "As for interceptions; a session is listed where one of its own matches"),
    ("limit" = Option<i32>, Query, description = "1 to 1,000; 100 where absent"),
    ("offset" = Option<i32>, Query),
    ("after_session_id" = Option<String>, Query, description = "The last one of the page before"),
), responses((status = 200, body = AIBridgeListSessionsResponse)))]
pub async fn sessions(
    State(app): State<App>,
    who: Principal,
    query: Query,
) -> Result<Reply<AIBridgeListSessionsResponse>, Problem> {
    query.only(&["q", "limit", "offset", "after_session_id"])?;
    let message = proto::ListSessionsRequest {
        filter: Some(filter(&app, &who, &query).await?),
        limit: number(&query, "limit")?,
        offset: number(&query, "offset")?,
        after_session_id: query.one("after_session_id")?.unwrap_or_default().to_owned(),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app
        .clients
        .interceptions
        .clone()
        .list_sessions(request)
        .await
        .answer()?;
    Ok(Reply::ok(listed.into()))
}

/// One session with its threads, the oldest first.
#[utoipa::path(get, path = "/aibridge/sessions/{session}", tag = "bridge", params(
    ("session" = String, Path),
    ("limit" = Option<i32>, Query, description = "Threads, 1 to 200; 50 where absent"),
    ("after_id" = Option<Uuid>, Query, description = "The last thread of the page before"),
    ("initiator" = Option<String>, Query, description = "Whose, by id, username or `me`, where several users have a session \
        of this key"),
), responses((status = 200, body = AIBridgeSessionThreadsResponse)))]
pub async fn session(
    State(app): State<App>,
    who: Principal,
    Path(session): Path<String>,
    query: Query,
) -> Result<Reply<AIBridgeSessionThreadsResponse>, Problem> {
    query.only(&["limit", "after_id", "initiator"])?;
    let after_id = query.one("after_id")?.map(|text| id("after_id", text)).transpose()?;
    let initiator_id = match query.one("initiator")? {
        Some(initiator) => user(&app, &who, initiator).await?,
        None => String::new(),
    };
    let message = proto::GetSessionRequest {
        session_id: session,
        initiator_id,
        limit: number(&query, "limit")?,
        after_thread_id: super::wire::id_text(after_id),
    };
    let request = app.clients.ask(who.user(), message);
    let found = app.clients.interceptions.clone().get_session(request).await.answer()?;
    let session = promised(found.session, "GetSessionResponse.session")?;
    Ok(Reply::ok(AIBridgeSessionThreadsResponse::new(
        session,
        found.interceptions,
        found.has_more,
    )))
}

/// Models that were asked for, by name.
#[utoipa::path(get, path = "/aibridge/models", tag = "bridge", params(
    ("q" = Option<String>, Query, description = "How the name begins"),
    ("limit" = Option<i32>, Query, description = "1 to 1,000; 100 where absent"),
    ("offset" = Option<i32>, Query),
), responses((status = 200, body = Vec<String>)))]
pub async fn models(State(app): State<App>, who: Principal, query: Query) -> Result<Reply<Vec<String>>, Problem> {
    values(&app, &who, &query, proto::InterceptionField::Model).await
}

/// Clients that asked, by name.
#[utoipa::path(get, path = "/aibridge/clients", tag = "bridge", params(
    ("q" = Option<String>, Query, description = "How the name begins"),
    ("limit" = Option<i32>, Query, description = "1 to 1,000; 100 where absent"),
    ("offset" = Option<i32>, Query),
), responses((status = 200, body = Vec<String>)))]
pub async fn clients(State(app): State<App>, who: Principal, query: Query) -> Result<Reply<Vec<String>>, Problem> {
    values(&app, &who, &query, proto::InterceptionField::Client).await
}

async fn values(
    app: &App,
    who: &Principal,
    query: &Query,
    field: proto::InterceptionField,
) -> Result<Reply<Vec<String>>, Problem> {
    query.only(&["q", "limit", "offset"])?;
    let message = proto::ListInterceptionValuesRequest {
        field: field.into(),
        prefix: query.one("q")?.unwrap_or_default().to_owned(),
        limit: number(query, "limit")?,
        offset: number(query, "offset")?,
    };
    let request = app.clients.ask(who.user(), message);
    let mut client = app.clients.interceptions.clone();
    let listed = client.list_interception_values(request).await.answer()?;
    Ok(Reply::ok(listed.values))
}

fn number(query: &Query, name: &str) -> Result<i32, Problem> {
    Ok(query.number::<i32>(name, 0)?.unwrap_or(0))
}

async fn filter(app: &App, who: &Principal, query: &Query) -> Result<proto::InterceptionFilter, Problem> {
    let mut filter = proto::InterceptionFilter::default();
    for (key, values) in search::terms(query.one("q")?.unwrap_or_default())? {
        let [value] = values.as_slice() else {
            return Err(Problem::field(key, "must be given only once"));
        };
        match key.as_str() {
            "initiator" => filter.initiator_id = user(app, who, value).await?,
            "provider" => filter.provider_type.clone_from(value),
            "provider_name" => filter.provider_name.clone_from(value),
            "model" => filter.model.clone_from(value),
            "client" => filter.client.clone_from(value),
            "session_id" => filter.session_id.clone_from(value),
            "started_after" => filter.started_after = Some(time(&key, value)?),
            "started_before" => filter.started_before = Some(time(&key, value)?),
            _ => return Err(Problem::field(key, "is not a valid query parameter")),
        }
    }
    Ok(filter)
}

/// The id of a user the caller may know of. The same is said of others and of those who are not there.
async fn user(app: &App, who: &Principal, named: &str) -> Result<String, Problem> {
    match users::resolve(app, who, named).await {
        Ok(id) if who.user().is_admin || id == who.user().id.to_string() => Ok(id),
        Err(problem) if !matches!(problem.code(), Code::NotFound | Code::Invalid | Code::Forbidden) => Err(problem),
        Ok(_) | Err(_) => Err(Problem::field("initiator", "must be a user you may see")),
    }
}

fn time(key: &str, text: &str) -> Result<prost_types::Timestamp, Problem> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(tandem_chat_core::wire::time_to_wire)
        .map_err(|_| Problem::field(key, "must be a time of RFC 3339"))
}
