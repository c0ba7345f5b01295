//! What administrators decide about workspaces: how long idle ones run, how many, and of which templates agents may make them.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use crate::{
    auth::Principal,
    clients::Answer,
    json::{Body, Reply},
    problem::Problem,
    rest::wire::or_default,
    service::App,
};

/// Shortest and longest time to live, in milliseconds; 0 is none.
const MIN_TTL_MS: i64 = 60_000;
const MAX_TTL_MS: i64 = 2_592_000_000;

/// Most workspaces a quota can speak of.
const MAX_QUOTA: i64 = 10_000;

/// Names under which storage finds these settings.
const TTL: &str = "workspace_ttl_ms";
const ALLOWLIST: &str = "template_allowlist";
const QUOTA: &str = "max_running_workspaces";
const CHATS_GET_WORKSPACES: &str = "chats_get_workspaces";

/// How long workspaces that chats make go unused before they stop.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ChatWorkspaceTTL {
    /// 0: as their templates say.
    #[serde(default, deserialize_with = "or_default")]
    pub workspace_ttl_ms: i64,
}

/// The templates agents may use.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ChatTemplateAllowlist {
    /// Empty: all.
    #[serde(default, deserialize_with = "or_default")]
    pub template_ids: Vec<String>,
}

/// How many workspaces there may be.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ChatWorkspaceLimits {
    /// Workspaces of one user that may run at once; 0: any number.
    #[serde(default, deserialize_with = "or_default")]
    pub max_running_workspaces: i64,
    /// A chat without a workspace gets one of the template `local` at its first tool call. Otherwise the model is told to make one.
    pub chats_get_workspaces: bool,
}

/// How long workspaces that chats make go unused before they stop.
#[utoipa::path(get, path = "/chats/config/workspace-ttl", tag = "settings", responses((status = 200, body = ChatWorkspaceTTL)))]
pub async fn get_ttl(State(app): State<App>, who: Principal) -> Result<Reply<ChatWorkspaceTTL>, Problem> {
    let workspace_ttl_ms = get(&app, &who, TTL).await?.unwrap_or_default();
    Ok(Reply::ok(ChatWorkspaceTTL { workspace_ttl_ms }))
}

/// Sets how long workspaces that chats make go unused before they stop; administrators only.
#[utoipa::path(put, path = "/chats/config/workspace-ttl", tag = "settings", request_body = ChatWorkspaceTTL,
    responses((status = 204)))]
pub async fn put_ttl(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<ChatWorkspaceTTL>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let ttl_ms = body.workspace_ttl_ms;
    if ttl_ms != 0 && !(MIN_TTL_MS..=MAX_TTL_MS).contains(&ttl_ms) {
        let rule = format!("must be 0, or {MIN_TTL_MS} to {MAX_TTL_MS}");
        return Err(Problem::field("workspace_ttl_ms", rule));
    }
    set(&app, &who, TTL, &ttl_ms).await
}

/// The templates agents may use; administrators only, others do not see that there is such a list.
#[utoipa::path(get, path = "/chats/config/template-allowlist", tag = "settings",
    responses((status = 200, body = ChatTemplateAllowlist)))]
pub async fn get_allowlist(State(app): State<App>, who: Principal) -> Result<Reply<ChatTemplateAllowlist>, Problem> {
    seen_by_admin(&who)?;
    let stored = text(&app, &who, ALLOWLIST).await?;
    let template_ids = match stored.as_str() {
        "" => Vec::new(),
        stored => serde_json::from_str(stored).map_err(|error| Fault::internal("DAMAGED_SETTING", error))?,
    };
    Ok(Reply::ok(ChatTemplateAllowlist { template_ids }))
}

/// Sets the templates agents may use; administrators only.
#[utoipa::path(put, path = "/chats/config/template-allowlist", tag = "settings", request_body = ChatTemplateAllowlist,
    responses((status = 204)))]
pub async fn put_allowlist(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<ChatTemplateAllowlist>,
) -> Result<StatusCode, Problem> {
    seen_by_admin(&who)?;
    let message = proto::SetTemplateAllowlistRequest {
        template_ids: body.template_ids,
    };
    let request = app.clients.ask(who.user(), message);
    app.clients
        .templates
        .clone()
        .set_template_allowlist(request)
        .await
        .answer()?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many workspaces there may be.
#[utoipa::path(get, path = "/chats/config/workspace-limits", tag = "settings",
    responses((status = 200, body = ChatWorkspaceLimits)))]
pub async fn get_limits(State(app): State<App>, who: Principal) -> Result<Reply<ChatWorkspaceLimits>, Problem> {
    Ok(Reply::ok(ChatWorkspaceLimits {
        max_running_workspaces: get(&app, &who, QUOTA).await?.unwrap_or_default(),
        chats_get_workspaces: get(&app, &who, CHATS_GET_WORKSPACES).await?.unwrap_or(true),
    }))
}

/// Sets how many workspaces there may be; administrators only. Those that run go on.
#[utoipa::path(put, path = "/chats/config/workspace-limits", tag = "settings", request_body = ChatWorkspaceLimits,
    responses((status = 204)))]
pub async fn put_limits(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<ChatWorkspaceLimits>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    if !(0..=MAX_QUOTA).contains(&body.max_running_workspaces) {
        let rule = format!("must be 0 to {MAX_QUOTA}");
        return Err(Problem::field("max_running_workspaces", rule));
    }
    set(&app, &who, QUOTA, &body.max_running_workspaces).await?;
    set(&app, &who, CHATS_GET_WORKSPACES, &body.chats_get_workspaces).await
}

fn seen_by_admin(who: &Principal) -> Result<(), Problem> {
    if who.user().is_admin {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

async fn text(app: &App, who: &Principal, key: &str) -> Result<String, Problem> {
    let message = proto::GetSettingRequest {
        scope: proto::SettingScope::Deployment.into(),
        key: key.to_owned(),
    };
    let request = app.clients.ask(who.user(), message);
    Ok(app
        .clients
        .settings
        .clone()
        .get_setting(request)
        .await
        .answer()?
        .value_json)
}

/// A stored value; one that cannot be read counts as unset.
async fn get<T: DeserializeOwned>(app: &App, who: &Principal, key: &str) -> Result<Option<T>, Problem> {
    Ok(serde_json::from_str(&text(app, who, key).await?).ok())
}

async fn set<T: Serialize>(app: &App, who: &Principal, key: &str, value: &T) -> Result<StatusCode, Problem> {
    let value_json = serde_json::to_string(value).map_err(|error| Fault::internal("ENCODE_SETTING", error))?;
    let message = proto::SetSettingRequest {
        scope: proto::SettingScope::Deployment.into(),
        key: key.to_owned(),
        value_json,
    };
    let request = app.clients.ask(who.user(), message);
    app.clients.settings.clone().set_setting(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}
