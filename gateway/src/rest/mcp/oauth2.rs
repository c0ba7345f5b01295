//! Connecting a user's account to an MCP server: the browser is sent to where the account lives, and comes back with a code. What it
//! has to bring back besides is kept in two cookies that only the way back sees.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::tool::v1 as proto;
use uuid::Uuid;

use super::super::{Path, id, query::Query};
use crate::{
    auth::{Principal, cookie},
    clients::{Answer, MCP_DEADLINE},
    problem::Problem,
    service::App,
};

/// How long a browser may take to come back, in seconds.
const COOKIE_SECONDS: u32 = 600;

/// Longest words of the other side that are repeated, in characters.
const MAX_WORDS: usize = 200;

/// Sends the browser to where the caller's account lives.
#[utoipa::path(get, path = "/mcp/servers/{server}/oauth2/connect", tag = "mcp", params(("server" = Uuid, Path)),
    responses((status = 307, description = "To the authorization server")))]
pub async fn connect(State(app): State<App>, who: Principal, Path(server): Path<String>) -> Result<Response, Problem> {
    let id = id("server", &server)?;
    let message = proto::BeginMcpOAuth2Request {
        server_id: id.to_string(),
        access_url: app.public_url.to_string(),
    };
    let request = app.clients.ask(who.user(), message);
    let begun = app.clients.mcp.clone().begin_mcp_o_auth2(request).await.answer();
    let begun = begun.map_err(refused)?;
    let location = HeaderValue::from_str(&begun.authorization_url)
        .map_err(|_| Problem::invalid("MCP_SERVER_UNUSABLE", "The authorization address is not valid."))?;
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [(state_cookie(id), &begun.state), (verifier_cookie(id), &begun.verifier)] {
        if let Some(cookie) = set_cookie(&app, id, &name, value, COOKIE_SECONDS) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// Where the browser comes back to. Exchanges what it brings for a token, and tells the window that opened this one.
#[utoipa::path(get, path = "/mcp/servers/{server}/oauth2/callback", tag = "mcp",
    params(("server" = Uuid, Path), ("code" = Option<String>, Query), ("state" = Option<String>, Query)),
    responses((status = 200, description = "A page that closes itself", content_type = "text/html", body = String)))]
pub async fn callback(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id("server", &server)?;
    if let Some(error) = query.one("error")? {
        let words = [error, query.one("error_description")?.unwrap_or_default()].join(" ");
        let words: String = words.trim().chars().take(MAX_WORDS).collect();
        let problem = Problem::invalid("MCP_OAUTH2_REFUSED", "The account was not connected.");
        return Err(problem.detail(words));
    }
    let code = query
        .one("code")?
        .ok_or_else(|| Problem::field("code", "must be set"))?;
    let returned = query.one("state")?.unwrap_or_default();
    let state = cookie::get(&headers, &state_cookie(id)).unwrap_or_default();
    let verifier = cookie::get(&headers, &verifier_cookie(id)).unwrap_or_default();
    if state.is_empty() || verifier.is_empty() || state != returned {
        let text = "This page was not reached from this browser's own attempt to connect, or that attempt is too old. Connect again.";
        return Err(Problem::invalid("MCP_OAUTH2_STATE", text));
    }
    let message = proto::FinishMcpOAuth2Request {
        server_id: id.to_string(),
        access_url: app.public_url.to_string(),
        code: code.to_owned(),
        verifier,
    };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let finished = app.clients.mcp.clone().finish_mcp_o_auth2(request).await.answer();
    finished.map_err(refused)?;
    let mut response = page(id)?;
    for name in [state_cookie(id), verifier_cookie(id)] {
        if let Some(cookie) = set_cookie(&app, id, &name, "", 0) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// Forgets the caller's token.
#[utoipa::path(delete, path = "/mcp/servers/{server}/oauth2/disconnect", tag = "mcp", params(("server" = Uuid, Path)),
    responses((status = 204)))]
pub async fn disconnect(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
) -> Result<StatusCode, Problem> {
    let server_id = id("server", &server)?.to_string();
    let message = proto::DisconnectMcpOAuth2Request { server_id };
    let request = app.clients.ask(who.user(), message);
    app.clients.mcp.clone().disconnect_mcp_o_auth2(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

/// A server that cannot be connected to is the asker's mistake; an exchange that fails is the other side's.
fn refused(fault: Fault) -> Problem {
    let status = match fault.reason.as_ref() {
        "MCP_EXCHANGE_FAILED" => Some(StatusCode::BAD_GATEWAY),
        _ if fault.code == Code::WrongState => Some(StatusCode::BAD_REQUEST),
        _ => None,
    };
    let problem = Problem::from(fault);
    match status {
        Some(status) => problem.with_status(status),
        None => problem,
    }
}

fn state_cookie(id: Uuid) -> String {
    format!("mcp_oauth2_state_{id}")
}

fn verifier_cookie(id: Uuid) -> String {
    format!("mcp_oauth2_verifier_{id}")
}

fn set_cookie(app: &App, id: Uuid, name: &str, value: &str, seconds: u32) -> Option<HeaderValue> {
    let secure = if app.is_cookie_secure { "; Secure" } else { "" };
    let path = format!("/api/experimental/mcp/servers/{id}/oauth2/callback");
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Tells the window that opened this one, and closes it.
fn page(id: Uuid) -> Result<Response, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Fault::internal("ENTROPY", error))?;
    let nonce = URL_SAFE_NO_PAD.encode(bytes);
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>Connected</title><p>Your account is connected. You can close this window.</p>\
         <script nonce=\"{nonce}\">if (window.opener) {{ window.opener.postMessage({{type: \"mcp-oauth2-complete\", \
         serverID: \"{id}\"}}, window.location.origin); window.close(); }}</script>\n"
    );
    let policy = format!("default-src 'none'; script-src 'nonce-{nonce}'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, html).into_response())
}
