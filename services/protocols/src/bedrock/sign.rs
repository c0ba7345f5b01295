//! AWS's signature of a request, version 4: proves who asks without showing the secret.
//!
//! Pure: no IO and no clock. Source: AWS, "Signature Version 4 signing process"; the tests are its published examples.

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, macros::format_description};
use url::Url;

/// The one way of signing.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The block of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret: SecretString,
    /// Beside keys that hold for a while only.
    pub(super) session_token: Option<SecretString>,
}

impl Credentials {
    fn token(&self) -> Option<&str> {
        self.session_token.as_ref().map(|token| token.expose_secret())
    }
}

impl PartialEq for Credentials {
    /// Tells whether a file has others than before; what somebody else sent is never compared here.
    fn eq(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret.expose_secret() == other.secret.expose_secret()
            && self.token() == other.token()
    }
}

/// What a signature holds for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    /// Such as `bedrock` or `sts`.
    pub(super) service: &'a str,
    pub(super) now: OffsetDateTime,
}

/// Adds to the headers of a request what proves who sends it. Everything that is in `headers` before is signed too.
///
/// * `url`: as it is sent; its query is signed as it stands, sorted already.
///
/// # Errors
/// Credentials with characters no header can carry.
pub(super) fn sign(
    method: &str,
    url: &Url,
    headers: &mut HeaderMap,
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Result<(), http::header::InvalidHeaderValue> {
    let time = scope
        .now
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .unwrap_or_default();
    headers.insert(HeaderName::from_static("x-amz-date"), HeaderValue::from_str(&time)?);
    if let Some(token) = &credentials.session_token {
        let mut token = HeaderValue::from_str(token.expose_secret())?;
        token.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-amz-security-token"), token);
    }
    let (names, request) = canonical(method, url, headers, body);
    let date = time.get(..8).unwrap_or_default();
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!(
        "{ALGORITHM}\n{time}\n{place}\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let secret = format!("AWS4{}", credentials.secret.expose_secret());
    let mut key = hmac(secret.as_bytes(), date.as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let id = &credentials.access_key_id;
    let shown = format!("{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}");
    let mut shown = HeaderValue::from_str(&shown)?;
    shown.set_sensitive(true);
    headers.insert(http::header::AUTHORIZATION, shown);
    Ok(())
}

/// The request in the one form both sides make of it, and the names of the headers in it.
fn canonical(method: &str, url: &Url, headers: &HeaderMap, body: &[u8]) -> (String, String) {
    let host = url.host_str().unwrap_or_default();
    let host = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut signed: Vec<(&str, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), spaced(&String::from_utf8_lossy(value.as_bytes()))))
        .chain([("host", host)])
        .collect();
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let path: Vec<String> = url.path().split('/').map(encoded).collect();
    let (path, query) = (path.join("/"), url.query().unwrap_or_default());
    let request = format!(
        "{method}\n{path}\n{query}\n{lines}\n{names}\n{}",
        hex(&Sha256::digest(body))
    );
    (names, request)
}

/// A value with single spaces only.
fn spaced(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it stands in a path. What is encoded already is encoded again, as the signature wants it.
pub(super) fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    outer.into()
}

/// Bytes as digits, two each.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2015-08-30 12:36:00 UTC);

    fn credentials(session_token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
        }
    }

    fn signature(method: &str, url: &str, headers: &[(&'static str, &str)], body: &str) -> String {
        let values = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::from_iter(values);
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            now: NOW,
        };
        sign(
            method,
            &url.parse().unwrap(),
            &mut headers,
            body.as_bytes(),
            &credentials(None),
            &scope,
        )
        .unwrap();
        headers["authorization"].to_str().unwrap().to_owned()
    }

    fn shown(names: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
        )
    }

    /// The cases `get-vanilla`, `post-vanilla`, `get-vanilla-query-order-key-case`, `get-unreserved` and
    /// `post-x-www-form-urlencoded` of AWS's published suite.
    #[test]
    fn requests_are_signed_as_in_the_published_suite() {
        let base = "https://example.amazonaws.com";
        for (method, path, expected) in [
            (
                "GET",
                "/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "GET",
                "/?Param1=value1&Param2=value2",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
        ] {
            let signed = signature(method, &format!("{base}{path}"), &[], "");
            assert_eq!(signed, shown("host;x-amz-date", expected), "{method} {path}");
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            signature("POST", base, &form, "Param1=value1"),
            shown(
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
            )
        );
    }

    /// RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn the_keyed_hash_is_the_published_one() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac(key, message.as_bytes())), expected);
        }
    }

    #[test]
    fn a_models_name_is_encoded_once_in_the_path_and_twice_in_what_is_signed() {
        let mut url: Url = "http://127.0.0.1:9/".parse().unwrap();
        url.set_path(&format!("model/{}/invoke", encoded("anthropic.claude-v1:0")));
        assert_eq!(url.path(), "/model/anthropic.claude-v1%3A0/invoke");
        let (names, request) = canonical("POST", &url, &HeaderMap::new(), b"");
        assert!(request.starts_with("POST\n/model/anthropic.claude-v1%253A0/invoke\n\nhost:127.0.0.1:9\n\nhost\n"));
        assert_eq!(names, "host");
    }

    #[test]
    fn the_token_of_passing_keys_is_signed_and_nothing_is_printed() {
        let mut headers = HeaderMap::new();
        let scope = Scope {
            region: "eu-west-1",
            service: "bedrock",
            now: NOW,
        };
        let url = "https://bedrock-runtime.eu-west-1.amazonaws.com/".parse().unwrap();
        let credentials = credentials(Some("canary-token"));
        sign("POST", &url, &mut headers, b"{}", &credentials, &scope).unwrap();
        let shown = headers["authorization"].to_str().unwrap();
        assert!(
            shown.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"),
            "{shown}"
        );
        let printed = format!("{headers:?} {credentials:?}");
        assert!(
            !printed.contains("canary-token") && !printed.contains("wJalr"),
            "{printed}"
        );
    }
}
