//! The routes. One table, mounted below the canonical prefix and below those that existing clients know; and the few
//! paths outside it. Handlers check the shape of what they are sent, call one service, and give its answer a wire shape.

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    middleware,
    response::{IntoResponse, Response},
};
use tandem_chassis::status::Fault;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{again, assets, auth, bridge, idempotency, observe, problem::Problem, service::App, ws};

pub mod approvals;
pub mod bridge_records;
pub mod byok;
pub mod chats;
pub mod files;
pub mod git;
pub mod health;
pub mod mcp;
pub mod memory;
pub mod messages;
pub mod models;
pub mod openapi;
pub mod organizations;
pub mod providers;
pub mod query;
pub mod queue;
pub mod settings;
pub mod setup;
pub mod skills;
pub mod templates;
pub mod titles;
pub mod tokens;
pub mod usage;
pub mod users;
pub mod wire;
pub mod workspaces;

/// Where this API lives.
pub const PREFIX: &str = "/api/v1";

/// Where existing clients look for the same routes.
const OTHER_PREFIXES: [&str; 2] = ["/api/experimental", "/api/v2"];

/// The part of a matched path behind its prefix.
pub fn below_prefix(path: &str) -> Option<&str> {
    std::iter::once(PREFIX)
        .chain(OTHER_PREFIXES)
        .find_map(|prefix| path.strip_prefix(prefix))
}

/// Everything the gateway answers.
pub fn router(app: App) -> Router {
    let api = table()
        .split_for_parts()
        .0
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(middleware::from_fn(idempotency::layer))
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::authenticate))
        .route_layer(middleware::from_fn(again::layer))
        .fallback(no_such_route);
    let mut router = health::routes().merge(bridge::routes());
    for prefix in std::iter::once(PREFIX).chain(OTHER_PREFIXES) {
        router = router.nest(prefix, api.clone());
    }
    router
        .fallback(assets::serve)
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// The description of every route.
pub fn description() -> OpenApi {
    openapi::complete(table().split_for_parts().1)
}

/// The one table of routes.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(setup::state, setup::redeem))
        .routes(routes!(health::build_info))
        .routes(routes!(openapi::serve))
        .routes(routes!(users::login))
        .routes(routes!(users::logout))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::delete))
        .routes(routes!(users::set_password))
        .routes(routes!(users::update_profile))
        .routes(routes!(users::update_roles))
        .routes(routes!(users::activate))
        .routes(routes!(users::suspend))
        .routes(routes!(users::organizations))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(byok::list))
        .routes(routes!(byok::put, byok::delete))
        .routes(routes!(git::credentials))
        .routes(routes!(git::credential, git::put_credential, git::delete_credential))
        .routes(routes!(skills::list, skills::create))
        .routes(routes!(skills::get, skills::put, skills::update, skills::delete))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::get))
        .routes(routes!(organizations::add_member))
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(providers::test))
        .routes(routes!(providers::detect))
        .routes(routes!(providers::health_of_all))
        .routes(routes!(providers::rotate_key))
        .routes(routes!(providers::get, providers::update, providers::delete))
        .routes(routes!(providers::health))
        .routes(routes!(models::catalog))
        .routes(routes!(models::list, models::create))
        .routes(routes!(models::update, models::delete))
        .routes(routes!(mcp::list, mcp::create))
        .routes(routes!(mcp::get, mcp::update, mcp::delete))
        .routes(routes!(mcp::tools))
        .routes(routes!(mcp::approve))
        .routes(routes!(mcp::workspace::list))
        .routes(routes!(mcp::workspace::approve))
        .routes(routes!(mcp::workspace::revoke))
        .routes(routes!(mcp::oauth2::connect))
        .routes(routes!(mcp::oauth2::callback))
        .routes(routes!(mcp::oauth2::disconnect))
        .routes(routes!(settings::get_system_prompt, settings::put_system_prompt))
        .routes(routes!(
            settings::get_plan_mode_instructions,
            settings::put_plan_mode_instructions
        ))
        .routes(routes!(settings::get_user_prompt, settings::put_user_prompt))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::get, templates::update, templates::delete))
        .routes(routes!(workspaces::list, workspaces::create))
        .routes(routes!(workspaces::get, workspaces::update, workspaces::delete))
        .routes(routes!(workspaces::start))
        .routes(routes!(workspaces::stop))
        .routes(routes!(workspaces::builds))
        .routes(routes!(workspaces::agent_token))
        .routes(routes!(workspaces::confinement))
        .routes(routes!(workspaces::settings::get_ttl, workspaces::settings::put_ttl))
        .routes(routes!(
            workspaces::settings::get_allowlist,
            workspaces::settings::put_allowlist
        ))
        .routes(routes!(
            workspaces::settings::get_limits,
            workspaces::settings::put_limits
        ))
        .routes(routes!(titles::get_override, titles::put_override))
        .routes(routes!(memory::thresholds))
        .routes(routes!(memory::put_threshold, memory::delete_threshold))
        .routes(routes!(usage::limits, usage::put_limit))
        .routes(routes!(usage::status))
        .routes(routes!(usage::put_user, usage::delete_user))
        .routes(routes!(usage::put_group, usage::delete_group))
        .routes(routes!(usage::summary))
        .routes(routes!(usage::users))
        .routes(routes!(files::upload))
        .routes(routes!(files::download))
        .routes(routes!(chats::list, chats::create))
        .routes(routes!(chats::by_workspace))
        .routes(routes!(chats::get, chats::update))
        .routes(routes!(chats::interrupt))
        .routes(routes!(git::diff))
        .routes(routes!(titles::regenerate))
        .routes(routes!(titles::propose))
        .routes(routes!(memory::retry))
        .routes(routes!(memory::compact))
        .routes(routes!(memory::clear))
        .routes(routes!(messages::submit_tool_results))
        .routes(routes!(approvals::decide))
        .routes(routes!(messages::list, messages::send))
        .routes(routes!(messages::edit))
        .routes(routes!(messages::prompts))
        .routes(routes!(queue::delete))
        .routes(routes!(queue::promote))
        .routes(routes!(queue::reorder))
        .routes(routes!(ws::stream::stream_chat))
        .routes(routes!(ws::git::stream_git))
        .routes(routes!(ws::watch::watch_chats))
        .routes(routes!(bridge_records::interceptions))
        .routes(routes!(bridge_records::sessions))
        .routes(routes!(bridge_records::session))
        .routes(routes!(bridge_records::models))
        .routes(routes!(bridge_records::clients))
        .merge(bridge_records::aliases())
        .merge(gone())
}

/// Routes that older versions had. They say where to look now.
fn gone() -> OpenApiRouter<App> {
    let mut router = OpenApiRouter::new();
    for path in [
        "/chats/providers",
        "/chats/providers/{id}",
        "/chats/user-provider-configs",
        "/chats/user-provider-configs/{id}",
    ] {
        router = router.route(path, axum::routing::any(moved_to_ai_providers));
    }
    router
}

async fn moved_to_ai_providers() -> Problem {
    Problem::from(Fault::not_found(
        "MOVED",
        "this route is gone; use /api/v1/ai/providers",
    ))
    .with_status(axum::http::StatusCode::GONE)
}

async fn no_such_route(request: Request) -> Problem {
    tracing::debug!(method = %request.method(), "no such route");
    Problem::from(Fault::not_found("NO_SUCH_ROUTE", "there is no such route"))
}

async fn method_not_allowed() -> Response {
    Problem::invalid("METHOD_NOT_ALLOWED", "This route does not answer this method.")
        .with_status(axum::http::StatusCode::METHOD_NOT_ALLOWED)
        .into_response()
}

/// The variable parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<axum::extract::rejection::PathRejection> for Problem {
    fn from(rejection: axum::extract::rejection::PathRejection) -> Self {
        Self::invalid("INVALID_PATH", "A part of the address is not valid.").detail(rejection.body_text())
    }
}

/// An id in a path.
///
/// # Errors
/// 400 for text that is no uuid.
pub fn id(name: &str, text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::field(name, "must be a uuid"))
}

/// A number in a path: the id of a message or of a queued one.
///
/// # Errors
/// 400 for text that is no number of at least 1.
pub fn number(name: &str, text: &str) -> Result<i64, Problem> {
    text.parse::<i64>()
        .ok()
        .filter(|number| *number >= 1)
        .ok_or_else(|| Problem::field(name, "must be a whole number above 0"))
}
