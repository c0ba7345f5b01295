//! The headers of a request: who calls is taken out of them, and what belongs to this connection or to this server stays here.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tandem_chassis::hop;
use tandem_proto::provider::v1::Header;

use super::refusal::{Reason, Refusal};
use crate::auth::token::Token;

/// What is handed on, at most.
const MAX_HEADERS: usize = 128;
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Longest token looked at, in bytes; a longer one cannot be ours.
const MAX_TOKEN_BYTES: usize = 1024;

/// Carries our token beside a credential of the vendor's that the caller brings along.
const BYOK_TOKEN: &str = "x-coder-ai-governance-token";
const API_KEY: &str = "x-api-key";
const SESSION_TOKEN: &str = "coder-session-token";

/// Where vendors' credentials come, and ours in their place.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    HeaderName::from_static(API_KEY),
    HeaderName::from_static("api-key"),
];

/// What our tokens and sessions begin with: wherever one comes, it stays here.
const OURS: [&str; 2] = ["tdm_", "tds_"];

/// What tells how the request came here, beside what concerns this connection.
const KEPT: [&str; 10] = [
    "host",
    "content-length",
    "cookie",
    "forwarded",
    "via",
    "x-ai-bridge-request-id",
    "x-coder-ai-governance-request-id",
    "traceparent",
    "tracestate",
    "baggage",
];

/// How headers begin that a proxy in front of us adds.
const PROXY_PREFIX: &str = "x-forwarded-";

/// What is handed on.
pub struct Headers {
    pub list: Vec<Header>,
    /// The caller brings a credential of the vendor's along.
    pub is_byok: bool,
}

impl Headers {
    /// What of `all` is handed on, and our token: the first of its own header beside a vendor's credential, `Authorization: Bearer`,
    /// `X-Api-Key` and `Coder-Session-Token` that says anything.
    ///
    /// # Errors
    /// More headers than are handed on.
    pub fn take(all: &HeaderMap) -> Result<(Self, Option<Token>), Refusal> {
        let governance = all.get(BYOK_TOKEN).and_then(text);
        let brings_own = governance.is_some();
        let token = governance
            .or_else(|| bearer(all))
            .or_else(|| all.get(API_KEY).and_then(text))
            .or_else(|| all.get(SESSION_TOKEN).and_then(text));
        let named: Vec<&str> = hop::named_by_connection(all).collect();
        let is_ours = |value: &HeaderValue| text(value).is_some_and(|text| is_token(bare(text), token));
        let mut headers = Self {
            list: Vec::with_capacity(all.len()),
            is_byok: false,
        };
        let mut bytes = 0;
        for (name, value) in all {
            let is_credential = CREDENTIALS.contains(name);
            let stays = hop::is_hop_by_hop(name)
                || KEPT.contains(&name.as_str())
                || [BYOK_TOKEN, SESSION_TOKEN].contains(&name.as_str())
                || name.as_str().starts_with(PROXY_PREFIX)
                || named.iter().any(|named| named.eq_ignore_ascii_case(name.as_str()))
                || is_ours(value)
                || (is_credential && (!brings_own || text(value).is_none()));
            if stays {
                continue;
            }
            headers.is_byok |= is_credential;
            bytes += name.as_str().len() + value.len();
            if headers.list.len() == MAX_HEADERS || bytes > MAX_HEADER_BYTES {
                return Err(Refusal::new(
                    Reason::HeadersTooLarge,
                    "The request has too many headers.",
                ));
            }
            headers.list.push(Header {
                name: name.as_str().to_owned(),
                value: value.as_bytes().to_vec(),
            });
        }
        let token = token.filter(|token| token.len() <= MAX_TOKEN_BYTES);
        Ok((headers, token.map(|token| Token::new(token.to_owned()))))
    }
}

/// Whether a credential is ours and no vendor's.
fn is_token(credential: &str, token: Option<&str>) -> bool {
    Some(credential) == token || OURS.iter().any(|prefix| credential.starts_with(prefix))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION).and_then(text)?;
    let (scheme, token) = value.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// A credential without the scheme before it.
fn bare(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or(text)
}

fn text(value: &HeaderValue) -> Option<&str> {
    Some(value.to_str().ok()?.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token, whether a vendor's credential came along, and the names of what is handed on.
    fn taken(headers: &[(&'static str, &str)]) -> (Option<String>, bool, Vec<String>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let (headers, token) = Headers::take(&map).unwrap_or_else(|_| panic!("too large"));
        let mut names: Vec<String> = headers
            .list
            .iter()
            .map(|header| format!("{}={}", header.name, String::from_utf8_lossy(&header.value)))
            .collect();
        names.sort();
        (token.map(|token| token.expose().to_owned()), headers.is_byok, names)
    }

    #[test]
    fn the_token_is_found_in_the_documented_order_and_no_credential_is_handed_on() {
        let all = [
            ("authorization", "bearer two"),
            ("x-api-key", "three"),
            ("coder-session-token", "four"),
            ("api-key", "five"),
            ("cookie", "tandem_session=six"),
        ];
        let found = |text: &str| (Some(text.to_owned()), false, Vec::new());
        assert_eq!(taken(&all), found("two"));
        assert_eq!(taken(&all[1..]), found("three"));
        assert_eq!(taken(&all[2..]), found("four"));
        assert_eq!(taken(&all[3..]), (None, false, Vec::new()));
        assert_eq!(
            taken(&[("authorization", "Basic dHdv"), ("x-api-key", "three")]),
            found("three")
        );
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        assert_eq!(taken(&[("x-api-key", &longest)]).0.as_deref(), Some(longest.as_str()));
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(taken(&[("x-api-key", &long)]).0, None);
    }

    #[test]
    fn a_vendors_credential_is_handed_on_beside_our_token() {
        let own = ("x-coder-ai-governance-token", "tdm_one");
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let token = || Some("tdm_one".to_owned());
        assert_eq!(
            taken(&[own, ("authorization", "Bearer sk-2"), ("x-api-key", "sk-3")]),
            (token(), true, list(&["authorization=Bearer sk-2", "x-api-key=sk-3"]))
        );
        assert_eq!(taken(&[own]), (token(), false, Vec::new()));
        // Ours in the vendor's place is still ours.
        for ours in ["Bearer tdm_one", "bearer tds_other", "tdm_x"] {
            assert_eq!(
                taken(&[own, ("authorization", ours)]),
                (token(), false, Vec::new()),
                "{ours}"
            );
        }
        let other = ("x-coder-ai-governance-token", "opaque");
        assert_eq!(taken(&[other, ("x-api-key", "opaque")]).2, Vec::<String>::new());
    }

    #[test]
    fn a_token_of_ours_stays_here_whatever_header_it_comes_in() {
        for (value, is_handed_on) in [
            ("tdm_other", false),
            ("tds_session", false),
            ("Bearer tdm_one", false),
            ("opaque", false),
            ("AIza-own", true),
            ("not-tdm_one", true),
        ] {
            for own in ["authorization", "x-coder-ai-governance-token"] {
                let token = if own == "authorization" {
                    "Bearer opaque"
                } else {
                    "opaque"
                };
                let (_, _, names) = taken(&[(own, token), ("x-goog-api-key", value)]);
                let expected: &[String] = if is_handed_on {
                    &[format!("x-goog-api-key={value}")]
                } else {
                    &[]
                };
                assert_eq!(names, expected, "{own} {value}");
            }
        }
    }

    #[test]
    fn what_concerns_the_connection_or_the_way_here_stays_here() {
        let (_, _, names) = taken(&[
            ("host", "tandem.example"),
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("content-length", "7"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-coder-ai-governance-request-id", "r"),
            ("anthropic-version", "2023-06-01"),
            ("x-coder-chat-id", "c"),
            ("user-agent", "codex/1"),
        ]);
        assert_eq!(
            names,
            [
                "anthropic-version=2023-06-01",
                "user-agent=codex/1",
                "x-coder-chat-id=c"
            ]
        );
    }

    #[test]
    fn too_many_headers_are_refused() {
        let mut map = HeaderMap::new();
        for _ in 0..MAX_HEADERS {
            map.append("x-one", HeaderValue::from_static("1"));
        }
        assert!(Headers::take(&map).is_ok());
        map.append("x-one", HeaderValue::from_static("1"));
        assert!(Headers::take(&map).is_err());
        let long = HeaderValue::from_str(&"x".repeat(MAX_HEADER_BYTES)).unwrap();
        assert!(Headers::take(&HeaderMap::from_iter([(HeaderName::from_static("x-one"), long)])).is_err());
    }
}
