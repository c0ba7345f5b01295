//! Where a request carries its token. One order for all routes, so that the same token means the same whichever way it
//! comes; whether it is a good one is asked elsewhere.

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, header, request::Parts};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::cookie;

/// The header existing clients send.
const TOKEN_HEADER: &str = "coder-session-token";

/// The cookie and query parameter existing clients send.
const TOKEN_PARAMETER: &str = "coder_session_token";

/// The query parameter of OAuth clients.
const ACCESS_TOKEN_PARAMETER: &str = "access_token";

/// Longest token looked at, in bytes; a longer one cannot be ours.
const MAX_TOKEN_BYTES: usize = 1024;

/// How a token came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// The browser sent it by itself, whichever page asked.
    Cookie,
    /// The calling program knows it.
    Header,
    /// The address holds it.
    Query,
}

/// A session's or API token's text, unchecked. Prints as nothing.
#[derive(Clone)]
pub struct Token {
    text: Arc<SecretString>,
    digest: [u8; 32],
}

impl Token {
    /// Any text.
    pub fn new(text: String) -> Self {
        Self {
            digest: Sha256::digest(text.as_bytes()).into(),
            text: Arc::new(text.into()),
        }
    }

    /// The text, for the call that checks it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What caches know it by.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// A token and how it came.
#[derive(Clone, Debug)]
pub struct Found {
    pub token: Token,
    pub carrier: Carrier,
}

/// The request's token: cookie, query, `Coder-Session-Token`, `Authorization: Bearer`, `access_token`. The two in the
/// query count only where `is_query_allowed` says so (sockets, whose browsers' API can set no header), since addresses
/// end up in logs and histories.
pub fn find(parts: &Parts, is_query_allowed: bool) -> Option<Found> {
    let query = |name| {
        let pairs = is_query_allowed.then(|| parts.uri.query().unwrap_or_default());
        from_query(pairs?, name).map(|text| (text, Carrier::Query))
    };
    let cookies = [cookie::SESSION, TOKEN_PARAMETER];
    let (text, carrier) = cookies
        .into_iter()
        .find_map(|name| cookie::get(&parts.headers, name))
        .map(|text| (text, Carrier::Cookie))
        .or_else(|| query(TOKEN_PARAMETER))
        .or_else(|| from_header(&parts.headers).map(|text| (text, Carrier::Header)))
        .or_else(|| bearer(&parts.headers).map(|text| (text, Carrier::Header)))
        .or_else(|| query(ACCESS_TOKEN_PARAMETER))?;
    (text.len() <= MAX_TOKEN_BYTES).then(|| Found {
        token: Token::new(text),
        carrier,
    })
}

fn from_header(headers: &HeaderMap) -> Option<String> {
    non_empty(headers.get(TOKEN_HEADER)?.to_str().ok()?)
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| non_empty(token))
        .flatten()
}

fn from_query(query: &str, wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == wanted)
        .and_then(|(_, value)| non_empty(&value))
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn find_in(uri: &str, headers: &[(&str, &str)], is_query_allowed: bool) -> Option<(String, Carrier)> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        find(&parts, is_query_allowed).map(|found| (found.token.expose().to_owned(), found.carrier))
    }

    #[test]
    fn every_carrier_is_read_in_the_documented_order() {
        let all = [
            ("cookie", "a=b; tandem_session=one; coder_session_token=two"),
            ("coder-session-token", "four"),
            ("authorization", "bearer five"),
        ];
        let uri = "/x?coder_session_token=three&access_token=six";
        let found = |text: &str, carrier| Some((text.to_owned(), carrier));
        assert_eq!(find_in(uri, &all, true), found("one", Carrier::Cookie));
        assert_eq!(
            find_in(uri, &[("cookie", "coder_session_token=two")], true),
            found("two", Carrier::Cookie)
        );
        assert_eq!(find_in(uri, &all[1..], true), found("three", Carrier::Query));
        assert_eq!(find_in("/x", &all[1..], true), found("four", Carrier::Header));
        assert_eq!(find_in("/x", &all[2..], true), found("five", Carrier::Header));
        assert_eq!(find_in("/x?access_token=six", &[], true), found("six", Carrier::Query));
    }

    #[test]
    fn tokens_in_addresses_count_for_sockets_only() {
        assert_eq!(
            find_in("/x?coder_session_token=three&access_token=six", &[], false),
            None
        );
    }

    #[test]
    fn what_is_no_token_is_none() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for headers in [
            ("authorization", "Basic abc"),
            ("authorization", "Bearer "),
            ("coder-session-token", " "),
            ("coder-session-token", long.as_str()),
        ] {
            assert_eq!(find_in("/x", &[headers], true), None, "{headers:?}");
        }
    }

    #[test]
    fn tokens_do_not_print() {
        assert_eq!(format!("{:?}", Token::new("tdm_secret".to_owned())), "Token(redacted)");
    }
}
