//! The description of the API, made from the routes themselves and checked in as `openapi.json`.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use tandem_chassis::idempotency::MAX_KEY_BYTES;
use utoipa::{
    OpenApi as _, ToSchema,
    openapi::{
        self, Components, ContentBuilder, Header, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder, Type,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::SchemaType,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    PREFIX,
    wire::{
        event::{ChatStreamEvent, ChatWatchEvent},
        git::ChatGitEvent,
    },
};
use crate::{
    json,
    problem::{Detailed, Plain, Validation},
};

/// Names of what every repeatable route refers to.
const KEY: &str = "IdempotencyKey";
const REPLAYED: &str = "IdempotencyReplayed";
const CONFLICT: &str = "IdempotencyConflict";
const REUSED: &str = "IdempotencyKeyReused";

const CONFLICT_TEXT: &str = "With `Idempotency-Key`: the earlier request is still under way (`IDEMPOTENCY_KEY_IN_FLIGHT`; repeat \
    after `Retry-After`), or its answer held a secret that is shown once (`IDEMPOTENT_SECRET_SHOWN_ONCE`)";
const REUSED_TEXT: &str = "The `Idempotency-Key` came with another request before (`IDEMPOTENCY_KEY_REUSED`)";

/// The text that is served, made once.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| text(&super::description()));

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tandem",
        description = "Chats with agents that read files, run commands and edit code in workspaces. \
                       Live views are WebSockets, and server-sent events where `Accept` says `text/event-stream`."
    ),
    components(schemas(Plain, Detailed, Validation, ChatGitEvent, ChatStreamEvent, ChatWatchEvent))
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
        for operation in [item.post.as_mut(), item.patch.as_mut()].into_iter().flatten() {
            repeatable(operation);
        }
        for operation in operations(&mut item) {
            finish(operation);
        }
        paths.paths.insert(format!("{PREFIX}{path}"), item);
    }
    api.paths = paths;
    let components = api.components.get_or_insert_default();
    repeating(components);
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
    let error = RefOr::T(error("What went wrong"));
    operation.responses.responses.insert("default".to_owned(), error);
}

fn error(description: &str) -> openapi::Response {
    let schema = |name: Ref| ContentBuilder::new().schema(Some(name)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", schema(Ref::from_schema_name(Plain::name())))
        .content(
            "application/problem+json",
            schema(Ref::from_schema_name(Detailed::name())),
        )
        .build()
}

/// How a request is repeated safely, said once for all that can be; see [`crate::idempotency`].
fn repeating(components: &mut Components) {
    let key = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(1))
        .max_length(Some(MAX_KEY_BYTES))
        .pattern(Some("^[!-~]+$"));
    let header = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Makes it safe to send the request again when its answer was lost: it is carried out once, and its answer comes \
             again. A new key for each request; kept for 24 hours.",
        ))
        .schema(Some(key))
        .build();
    components.parameters.insert(KEY.to_owned(), RefOr::T(header));
    let mut replayed = Header::default();
    replayed.description = Some("`true` on the answer that an earlier request with this key got".to_owned());
    components.headers.insert(REPLAYED.to_owned(), RefOr::T(replayed));
    for (name, description) in [(CONFLICT, CONFLICT_TEXT), (REUSED, REUSED_TEXT)] {
        components
            .responses
            .insert(name.to_owned(), RefOr::T(error(description)));
    }
}

/// Adds to a route what [`repeating`] says.
fn repeatable(operation: &mut Operation) {
    let key = Ref::new(format!("#/components/parameters/{KEY}"));
    operation.parameters.get_or_insert_default().push(RefOr::Ref(key));
    let responses = &mut operation.responses.responses;
    for (_, response) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
        if let RefOr::T(response) = response {
            let replayed = RefOr::Ref(Ref::new(format!("#/components/headers/{REPLAYED}")));
            response.headers.insert("Idempotency-Replayed".to_owned(), replayed);
        }
    }
    let conflict = match responses.get("409") {
        Some(RefOr::T(own)) => RefOr::T(error(&format!("{}. {CONFLICT_TEXT}", own.description))),
        Some(RefOr::Ref(_)) | None => RefOr::Ref(Ref::from_response_name(CONFLICT)),
    };
    responses.insert("409".to_owned(), conflict);
    responses.insert("422".to_owned(), RefOr::Ref(Ref::from_response_name(REUSED)));
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
    fn every_post_and_patch_says_how_it_is_repeated() {
        let api = super::super::description();
        let takes_key = |operation: &Operation| {
            let parameters = operation.parameters.iter().flatten();
            parameters
                .filter(|it| matches!(it, RefOr::Ref(it) if it.ref_location.ends_with(KEY)))
                .count()
        };
        for (path, item) in &api.paths.paths {
            for operation in [&item.post, &item.patch].into_iter().flatten() {
                assert_eq!(takes_key(operation), 1, "{path}");
                for status in ["409", "422", "default"] {
                    assert!(operation.responses.responses.contains_key(status), "{path} {status}");
                }
            }
            for operation in [&item.get, &item.put, &item.delete].into_iter().flatten() {
                assert_eq!(takes_key(operation), 0, "{path}");
            }
        }
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
        let components = super::super::description().components.unwrap();
        assert!(components.parameters.contains_key(KEY) && components.headers.contains_key(REPLAYED));
        assert!(
            [CONFLICT, REUSED]
                .iter()
                .all(|name| components.responses.contains_key(*name))
        );
    }
}
