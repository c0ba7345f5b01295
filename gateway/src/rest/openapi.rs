//! The description of the API, made from the routes themselves and checked in as `openapi.json`.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::{
    OpenApi as _, ToSchema,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    PREFIX,
    wire::event::{ChatStreamEvent, ChatWatchEvent},
};
use crate::{
    json,
    problem::{Detailed, Plain, Validation},
};

/// The text that is served, made once.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| text(&super::description()));

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tandem",
        description = "Chats with agents that read files, run commands and edit code in workspaces. \
                       Live views are WebSockets, and server-sent events where `Accept` says `text/event-stream`."
    ),
    components(schemas(Plain, Detailed, Validation, ChatStreamEvent, ChatWatchEvent))
)]
struct Base;

/// The part that no route says.
pub fn base() -> OpenApi {
    Base::openapi()
}

/// Adds to every route what is true of all: where it is, how to sign in, how errors look.
pub fn complete(mut api: OpenApi) -> OpenApi {
    let mut paths = utoipa::openapi::path::Paths::new();
    for (path, mut item) in std::mem::take(&mut api.paths.paths) {
        for operation in operations(&mut item) {
            finish(operation);
        }
        paths.paths.insert(format!("{PREFIX}{path}"), item);
    }
    api.paths = paths;
    let components = api.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::cookie::SESSION))),
    );
    api.security = Some(vec![requirement("bearer"), requirement("session")]);
    api
}

fn requirement(name: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, _, String>(name, [])
}

fn operations(item: &mut utoipa::openapi::PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        item.get.as_mut(),
        item.put.as_mut(),
        item.post.as_mut(),
        item.delete.as_mut(),
        item.patch.as_mut(),
    ]
    .into_iter()
    .flatten()
}

fn finish(operation: &mut Operation) {
    let schema = |name: Ref| ContentBuilder::new().schema(Some(name)).build();
    let error = ResponseBuilder::new()
        .description("What went wrong")
        .content("application/json", schema(Ref::from_schema_name(Plain::name())))
        .content(
            "application/problem+json",
            schema(Ref::from_schema_name(Detailed::name())),
        )
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), RefOr::T(error));
}

/// The description as it is served and checked in.
pub fn text(api: &OpenApi) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(api).unwrap_or_default();
    text.push(b'\n');
    text
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "setup", security(()),
    responses((status = 200, body = serde_json::Value, description = "OpenAPI 3.1")))]
pub async fn serve() -> Response {
    ([(header::CONTENT_TYPE, json::CONTENT_TYPE)], TEXT.as_slice()).into_response()
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    #[test]
    fn committed_openapi_is_current() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let text = text(&super::super::description());
        if env::var_os("TANDEM_GEN").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let committed = fs::read(&file).unwrap_or_default();
        assert!(committed == text, "openapi.json is stale; run `make gen`");
    }

    #[test]
    fn every_reference_has_its_schema() {
        let api = super::super::description();
        let text = serde_json::to_string(&api).unwrap();
        let schemas = &api.components.unwrap().schemas;
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "{name} has no schema");
        }
    }
}
