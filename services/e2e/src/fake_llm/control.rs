//! The control endpoints, for tests in another process: the same levers as the methods of [`super::FakeLlm`].
//!
//! | endpoint | body | answer |
//! |---|---|---|
//! | `POST /__control/scripts` | one script or an array of them | `{"scripts": <waiting>}` |
//! | `GET /__control/requests?limit=` | | `{"older": n, "requests": [...]}`, oldest first |
//! | `GET /__control/counters` | | counters by conversation |
//! | `POST /__control/gates/{name}/open` and `/close` | | `{}` |
//! | `PUT /__control/keys/{key}` | a key state | `{}` |
//! | `POST /__control/hang-up` | | `{}`; every open connection ends |
//! | `POST /__control/reset` | | `{}`; scripts, requests and opened gates are forgotten |

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body_util::{Either, Full};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    keys::KeyState,
    log::MAX_REQUESTS,
    script::Script,
    server::{Answer, MAX_SCRIPTS, Shared},
};

/// What every control path begins with.
pub(super) const PREFIX: &str = "/__control/";

#[derive(Deserialize)]
#[serde(untagged)]
enum Scripts {
    Many(Vec<Script>),
    One(Box<Script>),
}

pub(super) fn handle(shared: &Shared, method: &Method, uri: &Uri, body: &Bytes) -> Answer {
    let path = uri.path().trim_start_matches(PREFIX);
    let segments: Vec<&str> = path.split('/').collect();
    let outcome = match (method.as_str(), segments.as_slice()) {
        ("POST", ["scripts"]) => add_scripts(shared, body),
        ("GET", ["requests"]) => Ok(requests(shared, uri.query().unwrap_or_default())),
        ("GET", ["counters"]) => Ok(json!(shared.log.all_counters())),
        ("POST", ["gates", name, "open"]) => {
            shared.gates.open(name);
            Ok(json!({}))
        }
        ("POST", ["gates", name, "close"]) => {
            shared.gates.close(name);
            Ok(json!({}))
        }
        ("PUT", ["keys", key]) => set_key(shared, key, body),
        ("POST", ["hang-up"]) => {
            shared.hang_up.notify_one();
            Ok(json!({}))
        }
        ("POST", ["reset"]) => {
            shared.reset();
            Ok(json!({}))
        }
        _ => Err((StatusCode::NOT_FOUND, "no such control".to_owned())),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    let mut answer = http::Response::new(Either::Right(Full::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    answer
}

type Outcome = Result<Value, (StatusCode, String)>;

fn add_scripts(shared: &Shared, body: &Bytes) -> Outcome {
    let added = match serde_json::from_slice(body).map_err(bad_request)? {
        Scripts::Many(scripts) => scripts,
        Scripts::One(script) => vec![*script],
    };
    let mut scripts = shared.scripts();
    if scripts.len() + added.len() > MAX_SCRIPTS {
        let message = format!("at most {MAX_SCRIPTS} scripts can wait");
        return Err((StatusCode::INSUFFICIENT_STORAGE, message));
    }
    scripts.extend(added);
    Ok(json!({ "scripts": scripts.len() }))
}

fn requests(shared: &Shared, query: &str) -> Value {
    let limit = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("limit="))
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(MAX_REQUESTS);
    let (requests, older) = shared.log.requests(limit);
    json!({ "older": older, "requests": requests })
}

fn set_key(shared: &Shared, key: &str, body: &Bytes) -> Outcome {
    let state: KeyState = serde_json::from_slice(body).map_err(bad_request)?;
    shared.keys().insert(key.to_owned(), state);
    Ok(json!({}))
}

fn bad_request(error: serde_json::Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}
