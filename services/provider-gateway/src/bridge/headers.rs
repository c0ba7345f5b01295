//! Which headers travel on, to the vendor and back.
//!
//! Towards a vendor: everything but what concerns one connection, what proves who the caller is here, and what tells where the caller
//! is. Back to the client: everything but what concerns the connection, cookies, and what is ours to say.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::SecretString;
use tandem_chassis::hop;

use super::serve::ANSWERED_BY;

/// Headers of one request at most.
pub const MAX_HEADERS: usize = 128;

/// Bytes of all headers of one request at most.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// What is never told to a vendor: credentials, addresses, and what is said anew.
const KEPT_HERE: [&str; 24] = [
    "host",
    "accept-encoding",
    "content-length",
    "content-encoding",
    "cookie",
    "origin",
    "referer",
    "forwarded",
    "via",
    "x-real-ip",
    "traceparent",
    "tracestate",
    "baggage",
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-auth-token",
    "openai-organization",
    "openai-project",
    "anthropic-workspace-id",
    "x-ai-bridge-request-id",
    "x-ai-bridge-actor-id",
    "grpc-timeout",
];

/// How headers begin that are ours, or those of whoever stands in front of us.
const KEPT_PREFIXES: [&str; 7] = [
    "x-coder-",
    "coder-",
    "x-tandem-",
    "tandem-",
    "x-forwarded-",
    "x-ai-bridge-actor-",
    "sec-",
];

/// What our tokens and sessions begin with.
const OURS: [&str; 2] = ["tdm_", "tds_"];

/// Headers in which people bring vendors' credentials.
static CREDENTIALS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
];

/// What a vendor says of its own name, which is another for the client.
static OF_OUR_NAME: [HeaderName; 5] = [
    header::SET_COOKIE,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
];

/// The client's headers for a vendor. Without any of the client's credentials, unless `is_byok`.
pub fn for_vendor(client: HeaderMap, is_byok: bool) -> HeaderMap {
    let mut headers = client;
    hop::remove_hop_by_hop(&mut headers);
    let own: Vec<(HeaderName, HeaderValue)> = if is_byok {
        let own = |name: &HeaderName| Some((name.clone(), headers.get(name)?.clone()));
        CREDENTIALS.iter().filter_map(own).collect()
    } else {
        Vec::new()
    };
    let kept: Vec<HeaderName> = headers.keys().filter(|name| !travels(name)).cloned().collect();
    for name in kept {
        headers.remove(name);
    }
    for (name, mut value) in own {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

/// Whether the client has brought something to prove itself with to a vendor. A header without a word in it is nothing: whoever brings
/// nothing is asked for in the deployment's name, and pays.
pub fn has_credential(headers: &HeaderMap) -> bool {
    own_credential(headers).is_some()
}

/// Whether the client has brought a bearer token, which stands for one person at a vendor.
pub fn has_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
}

/// Takes away all in which a token of ours stands, wherever the client has put it.
///
/// * `token`: the one in use, which need not look like one.
pub fn remove_ours(headers: &mut HeaderMap, token: &str) {
    let is_ours = |value: &HeaderValue| {
        let bare = value.to_str().ok().and_then(|text| text.trim().rsplit(' ').next());
        bare.is_some_and(|bare| bare == token || OURS.iter().any(|prefix| bare.starts_with(prefix)))
    };
    let named: Vec<HeaderName> = headers
        .iter()
        .filter(|(_, value)| is_ours(value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// What the client has brought to prove itself with to a vendor, bare.
pub fn own_credential(headers: &HeaderMap) -> Option<SecretString> {
    let mut texts = CREDENTIALS
        .iter()
        .take(3)
        .filter_map(|name| headers.get(name)?.to_str().ok());
    texts.find_map(|text| {
        let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let bare = text[scheme.map_or(0, str::len)..].trim();
        (!bare.is_empty()).then(|| SecretString::from(bare))
    })
}

fn travels(name: &HeaderName) -> bool {
    let name = name.as_str();
    !KEPT_HERE.contains(&name) && !KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A vendor's headers for the client.
pub fn for_client(vendor: HeaderMap) -> HeaderMap {
    let mut headers = vendor;
    hop::remove_hop_by_hop(&mut headers);
    for name in &OF_OUR_NAME {
        headers.remove(name);
    }
    // Which model answers is ours to say.
    headers.remove(&ANSWERED_BY);
    headers
}

/// What a stream's readers and the proxies between must know.
pub fn for_events(headers: &mut HeaderMap) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

/// Whether the body of an answer is as it was written.
pub fn is_plain(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING);
    encoding.is_none_or(|encoding| encoding == "identity")
}

/// Whether an answer is a stream of events.
pub fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let start = kind.and_then(|kind| kind.trim_start().get(.."text/event-stream".len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"))
}

/// Whether there are few enough.
pub fn fit(headers: &HeaderMap) -> bool {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    headers.len() <= MAX_HEADERS && bytes <= MAX_HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_of_ours_and_nothing_of_the_caller_reaches_a_vendor() {
        let client = headers(&[
            ("authorization", "Bearer tdm_secret"),
            ("x-api-key", "tdm_secret"),
            ("api-key", "tdm_secret"),
            ("cookie", "tandem_session=x"),
            ("coder-session-token", "tdm_secret"),
            ("x-coder-ai-governance-token", "tdm_secret"),
            ("x-coder-ai-governance-request-id", "1"),
            ("x-coder-anything-new", "1"),
            ("x-tandem-user", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("host", "tandem"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("proxy-authorization", "Basic x"),
            ("traceparent", "00-1"),
            ("accept-encoding", "gzip"),
            ("user-agent", "claude-cli/1"),
            ("anthropic-beta", "x"),
            ("content-type", "application/json"),
            ("x-stainless-lang", "js"),
        ]);
        assert_eq!(
            names(&for_vendor(client, false)),
            ["anthropic-beta", "content-type", "user-agent", "x-stainless-lang"]
        );
    }

    #[test]
    fn own_credentials_travel_where_the_caller_asks_with_them() {
        let client = || {
            headers(&[
                ("authorization", "Bearer sk-own"),
                ("x-coder-ai-governance-token", "tdm_x"),
                ("cookie", "a"),
            ])
        };
        let sent = for_vendor(client(), true);
        assert_eq!(names(&sent), ["authorization"]);
        assert!(!format!("{sent:?}").contains("sk-own"), "never printed");
        assert!(has_credential(&client()));
        for nothing in [
            ("cookie", "a"),
            ("x-api-key", ""),
            ("x-api-key", " "),
            ("authorization", "Bearer "),
        ] {
            assert!(!has_credential(&headers(&[nothing])), "{nothing:?}");
        }
    }

    #[test]
    fn a_token_of_ours_goes_nowhere_and_what_a_vendor_is_shown_stays() {
        let mut client = headers(&[
            ("authorization", "Bearer opaque"),
            ("x-api-key", "tds_other"),
            ("x-goog-api-key", "tdm_x"),
            ("x-made-up", "Token tdm_x"),
            ("api-key", "sk-own"),
            ("x-odd", "nottdm_x"),
        ]);
        remove_ours(&mut client, "opaque");
        assert_eq!(names(&client), ["api-key", "x-odd"]);
        assert!(has_credential(&client) && !has_bearer(&client));
        for (value, is_one) in [
            ("Bearer x", true),
            ("bearer  x ", true),
            ("Bearer ", false),
            ("Basic x", false),
        ] {
            assert_eq!(has_bearer(&headers(&[("authorization", value)])), is_one, "{value}");
        }
    }

    #[test]
    fn a_vendors_connection_and_cookies_stay_with_us() {
        let vendor = headers(&[
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("x-tandem-fallback-model", "made-up"),
            ("content-type", "text/event-stream"),
            ("x-request-id", "req_1"),
            ("x-ratelimit-remaining-requests", "7"),
            ("retry-after", "3"),
        ]);
        assert_eq!(
            names(&for_client(vendor)),
            [
                "content-type",
                "retry-after",
                "x-ratelimit-remaining-requests",
                "x-request-id"
            ]
        );
    }
}
