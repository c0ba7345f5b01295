//! AWS beside its models: the role of a container, which gives passing credentials to whoever shows the container's token, and the
//! signatures that are made with them.
//!
//! Signatures are computed here from AWS's description, not with the code under test.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, Method};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tandem_chassis::clock::{self, Clock as _};

use super::wire::VendorError;

/// Where the container asks, and what it shows there.
pub(super) const ROLE: &str = "/aws/role";
/// What a container shows.
pub const ROLE_TOKEN: &str = "the-containers-own-token";

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// How long credentials hold.
const LIFETIME: time::Duration = time::Duration::hours(1);

/// The role of one container.
#[derive(Debug, Default)]
pub(super) struct Role {
    given: AtomicU64,
}

impl Role {
    /// How often credentials were given.
    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Credentials, as JSON, for whoever shows the token.
    pub(super) fn give(&self, headers: &HeaderMap) -> Result<Vec<u8>, VendorError> {
        if headers.get("authorization").is_none_or(|token| token != ROLE_TOKEN) {
            return Err(VendorError::invalid("Unauthorized", None, None).with_status(401));
        }
        let count = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let expires = clock::System.now() + LIFETIME;
        let expires = expires.format(&time::format_description::well_known::Rfc3339);
        let given = json!({
            "RoleArn": "arn:aws:iam::1:role/x", "AccessKeyId": id(count), "SecretAccessKey": SECRET, "Token": token(count),
            "Expiration": expires.unwrap_or_default(),
        });
        Ok(given.to_string().into_bytes())
    }
}

fn id(count: u64) -> String {
    format!("ASIAFAKE{count:08}")
}

fn token(count: u64) -> String {
    format!("session-token-{count}")
}

/// Whether a request is signed, and not shown with a bearer token.
pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    shown.is_some_and(|shown| shown.starts_with(ALGORITHM))
}

/// A request as it was signed.
pub(super) struct Signed<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Checks the signature.
    ///
    /// # Errors
    /// The vendor's refusal.
    pub(super) fn check(&self, role: &Role) -> Result<(), VendorError> {
        let refused = |message: &str| VendorError::invalid(message, None, None).with_status(403);
        let incomplete =
            || refused("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
        let shown = self.header("authorization");
        let field = |name: &str| {
            let rest = shown.split_once(&format!("{name}=")).map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split(',').next())
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let (credential, names, signature) = (field("Credential"), field("SignedHeaders"), field("Signature"));
        let scope: Vec<&str> = credential.split('/').collect();
        let &[key_id, date, region, service, end] = scope.as_slice() else {
            return Err(refused("Credential should have at least 5 slash-separated elements."));
        };
        let is_given = |count: &u64| id(*count) == key_id && self.header("x-amz-security-token") == token(*count);
        if !(1..=role.given()).any(|count| is_given(&count)) {
            return Err(refused("The security token included in the request is invalid."));
        }
        let time = self.header("x-amz-date");
        if time.is_empty() || !time.starts_with(date) {
            return Err(incomplete());
        }
        if service != "bedrock" || end != "aws4_request" {
            return Err(refused("Credential should be scoped to correct service: 'bedrock'."));
        }
        let is_signed = |wanted: &str| names.split(';').any(|name| name == wanted);
        if !["host", "x-amz-date", "x-amz-security-token"]
            .into_iter()
            .all(is_signed)
        {
            return Err(refused(
                "There were headers present in the request which were not signed",
            ));
        }
        let request = hex(&Sha256::digest(self.canonical(&names).as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{end}\n{request}");
        let mut key = hmac(format!("AWS4{SECRET}").as_bytes(), date.as_bytes());
        for part in [region, service, end] {
            key = hmac(&key, part.as_bytes());
        }
        match hex(&hmac(&key, text.as_bytes())) == signature {
            true => Ok(()),
            false => Err(refused(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            )),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The request in the form that is signed: each segment of the path is encoded once more than it was sent.
    fn canonical(&self, names: &str) -> String {
        let path: Vec<String> = self.path.split('/').map(encoded).collect();
        let lines: String = names
            .split(';')
            .map(|name| {
                let words: Vec<&str> = self.header(name).split_whitespace().collect();
                format!("{name}:{}\n", words.join(" "))
            })
            .collect();
        let body = hex(&Sha256::digest(self.body));
        format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{body}",
            self.method,
            path.join("/"),
            self.query
        )
    }
}

fn encoded(segment: &str) -> String {
    let mut text = String::new();
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    // Keys here are shorter than a block.
    block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    let with = |pad: u8, message: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).collect();
        Sha256::digest([padded.as_slice(), message].concat()).to_vec()
    };
    with(0x5c, &with(0x36, message))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
