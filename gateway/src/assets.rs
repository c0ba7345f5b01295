//! The web UI, built into the program: compressed variants where there are, lasting caches for files whose name holds
//! their hash, and `index.html` for every other page, since the UI has routes of its own.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Dist;

const INDEX: &str = "index.html";

/// Files below this folder never change under their name.
const HASHED: &str = "assets/";

/// Content policy of the UI's pages: scripts, styles and connections of our own only, and nobody may frame them.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What is said where the UI was not built in.
const MISSING: &str = "This Tandem was built without its web interface. The API is at /api/v1.\n";

/// Encodings of files, best first, with their suffix.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Any address that is no API.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::not_found()
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found().detail("There is no such route.").into_response();
    }
    let is_page = !path.starts_with(HASHED) && !path.rsplit('/').next().unwrap_or_default().contains('.');
    let name = if is_page || path.is_empty() { INDEX } else { path };
    let Some((file, encoding)) = find(name, &headers) else {
        return if name == INDEX {
            (StatusCode::NOT_FOUND, MISSING).into_response()
        } else {
            Problem::not_found().into_response()
        };
    };
    let etag = format!(
        "\"{}{}\"",
        hex::encode(&file.metadata.sha256_hash()[..16]),
        encoding.unwrap_or_default()
    );
    let mut response = if is_known(&headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body(file).into_response()
    };
    describe(response.headers_mut(), name, &etag, encoding);
    response
}

fn body(file: EmbeddedFile) -> Body {
    match file.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

fn describe(headers: &mut HeaderMap, name: &str, etag: &str, encoding: Option<&'static str>) {
    let media_type = mime_guess::from_path(name).first_or_octet_stream();
    let media_type = match media_type.type_().as_str() {
        "text" => format!("{media_type}; charset=utf-8"),
        _ => media_type.to_string(),
    };
    let caching = if name.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut put = |key: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(key, value);
        }
    };
    put(header::CONTENT_TYPE, &media_type);
    put(header::CACHE_CONTROL, caching);
    put(header::ETAG, etag);
    put(header::VARY, "Accept-Encoding");
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    if let Some(encoding) = encoding {
        put(header::CONTENT_ENCODING, encoding);
    }
}

/// The file in the best encoding the client takes.
fn find(name: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    for (encoding, suffix) in ENCODINGS {
        if accepts(headers, encoding)
            && let Some(file) = Dist::get(&format!("{name}{suffix}"))
        {
            return Some((file, Some(encoding)));
        }
    }
    Dist::get(name).map(|file| (file, None))
}

fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| {
            let mut words = entry.split(';').map(str::trim);
            let is_named = words.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
            let is_refused = words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            is_named && !is_refused
        })
}

fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| {
            known
                .split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == etag || tag == "*")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_counts_when_named_and_not_refused() {
        let accepted = |value: &'static str, encoding| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts(&headers, encoding)
        };
        assert!(accepted("gzip, deflate, BR", "br"));
        assert!(accepted("gzip;q=0.5", "gzip"));
        assert!(!accepted("gzip;q=0, br", "gzip"));
        assert!(!accepted("identity", "br"));
    }

    #[test]
    fn known_tags_are_not_sent_again() {
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, "\"abc\"")
        };
        assert!(known("\"x\", W/\"abc\""));
        assert!(!known("\"abcd\""));
    }
}
