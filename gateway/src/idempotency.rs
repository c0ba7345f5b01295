//! `Idempotency-Key`: a request that may be sent again. The layer reads the header; while the route runs, every call to a service carries
//! the key with a fingerprint of the request, and whoever stores the effect stores the answer with it. Nothing is remembered here, and no
//! key is ever made here: whether a request may come again is for its sender to say.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tandem_chassis::{
    client::Outbound,
    idempotency::{self as mark, MAX_KEY_BYTES},
};

use crate::{problem::Problem, rest};

/// The request header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that an earlier request got first.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Methods whose repetition is no repetition of their effect need no key; it is ignored there.
const METHODS: [Method; 2] = [Method::POST, Method::PATCH];

tokio::task_local! {
    /// The request this task answers, if it has a key. Services are called from the task itself, never from one it spawns.
    static ATTEMPT: Arc<Attempt>;
}

/// A request with a key.
struct Attempt {
    key: String,
    /// What is asked, but for the body.
    head: String,
    /// Digest of the body, once a route has read it. Routes that read none do the same whatever it is.
    body: OnceLock<[u8; 32]>,
    is_replayed: AtomicBool,
}

/// The layer, inside of the one that knows the caller.
pub async fn layer(request: Request, next: Next) -> Response {
    if !METHODS.contains(request.method()) || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    let key = match key(request.headers()) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    let attempt = Arc::new(Attempt {
        key,
        head: head(&request),
        body: OnceLock::new(),
        is_replayed: AtomicBool::new(false),
    });
    let mut response = ATTEMPT.scope(Arc::clone(&attempt), next.run(request)).await;
    if attempt.is_replayed.load(Ordering::Acquire) {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let key = given
        .next()
        .map(HeaderValue::as_bytes)
        .filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic))
        .and_then(|key| std::str::from_utf8(key).ok());
    match (key, given.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        (Some(_), Some(_)) => Err(Problem::field("Idempotency-Key", "must be given once")),
        (None, _) => {
            let rule = format!("must be 1 to {MAX_KEY_BYTES} visible ASCII characters");
            Err(Problem::field("Idempotency-Key", rule))
        }
    }
}

/// Method, path without prefix, query, and the one header that is content: the name of an uploaded file.
fn head(request: &Request) -> String {
    let (method, uri) = (request.method(), request.uri());
    let path = rest::below_prefix(uri.path()).unwrap_or(uri.path());
    let query = uri.query().unwrap_or_default();
    let name = request.headers().get(header::CONTENT_DISPOSITION);
    let name = name.map(|name| hex::encode(name.as_bytes())).unwrap_or_default();
    format!("{method}\n{path}\n{query}\n{name}\n")
}

/// Notes the body a route has read. Without a key there is nobody to tell.
pub fn saw_body(body: &[u8]) {
    let _without_key = ATTEMPT.try_with(|attempt| {
        attempt.body.get_or_init(|| Sha256::digest(body).into());
    });
}

/// Marks a call as one for the request this task answers.
pub fn mark<T>(outbound: &Outbound, call: &mut tonic::Request<T>) {
    let Ok(attempt) = ATTEMPT.try_with(Arc::clone) else {
        return;
    };
    let mut asked = attempt.head.clone().into_bytes();
    asked.extend(attempt.body.get().into_iter().flatten());
    match outbound.fingerprint(&asked) {
        // Both were checked or made to be marks.
        Ok(fingerprint) => match mark::Attempt::new(&attempt.key, &fingerprint) {
            Ok(mark) => mark.attach(call),
            Err(error) => tracing::error!(%error, "could not mark a call"),
        },
        // The call goes out unsigned for the same reason, and is refused.
        Err(error) => tracing::error!(%error, "could not make a fingerprint"),
    }
}

/// Notes whether an answer is that of an earlier attempt.
pub fn heard<T>(answer: &tonic::Response<T>) {
    if mark::is_replayed(answer) {
        let _without_key = ATTEMPT.try_with(|attempt| attempt.is_replayed.store(true, Ordering::Release));
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn key_of(values: &[&[u8]]) -> Result<String, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers)
    }

    #[test]
    fn a_key_is_one_header_of_visible_text() {
        let longest = "k".repeat(MAX_KEY_BYTES);
        assert_eq!(key_of(&[longest.as_bytes()]).unwrap(), longest);
        let too_long = format!("{longest}k");
        let table: [&[&[u8]]; 6] = [
            &[b""],
            &[b"a b"],
            &[b"a\tb"],
            &[b"\xc3\xa4"],
            &[too_long.as_bytes()],
            &[b"a", b"a"],
        ];
        for values in table {
            let problem = key_of(values).unwrap_err();
            assert_eq!(problem.status(), 400);
            assert!(format!("{problem:?}").contains("Idempotency-Key"), "{problem:?}");
        }
    }

    #[test]
    fn what_is_asked_has_no_prefix_but_everything_else() {
        let head = |method: Method, uri: &str, name: Option<&str>| {
            let mut request = Request::builder().method(method).uri(uri);
            if let Some(name) = name {
                request = request.header(header::CONTENT_DISPOSITION, name);
            }
            head(&request.body(Body::empty()).unwrap())
        };
        let asked = head(Method::POST, "/api/v1/chats/files?organization=1", Some("a"));
        assert_eq!(
            asked,
            head(Method::POST, "/api/experimental/chats/files?organization=1", Some("a"))
        );
        assert_eq!(asked, head(Method::POST, "/chats/files?organization=1", Some("a")));
        for other in [
            head(Method::PATCH, "/chats/files?organization=1", Some("a")),
            head(Method::POST, "/chats/file?organization=1", Some("a")),
            head(Method::POST, "/chats/files?organization=2", Some("a")),
            head(Method::POST, "/chats/files?organization=1", Some("b")),
            head(Method::POST, "/chats/files?organization=1", None),
        ] {
            assert_ne!(asked, other);
        }
    }
}
