//! Where a role's credentials are asked for, and how.
//!
//! Sources: AWS, "Container credential provider" (which addresses an environment may name), "Use the Instance Metadata Service to access
//! instance metadata" (version 2: a token first, then the question).

use std::{
    path::{Path, PathBuf},
    time::Duration as Limit,
};

use futures::StreamExt as _;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::io::AsyncReadExt as _;
use url::{Host, Url};

use super::{
    super::{address::is_region, sign::Credentials},
    Grant, Trouble,
    web_identity::WebIdentity,
};

/// Where containers of ECS ask.
const CONTAINER: &str = "http://169.254.170.2";

/// Addresses besides this machine's own that a container may ask in clear: those of ECS and EKS.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// Where machines ask.
const MACHINE: &str = "http://169.254.169.254";
const MACHINE_V6: &str = "http://[fd00:ec2::254]";

const ROLES: &str = "latest/meta-data/iam/security-credentials/";

/// Time to connect. The endpoint is on the same machine, or is not there at all.
const CONNECT_TIMEOUT: Limit = Limit::from_secs(1);

/// Time for one answer.
const ANSWER_TIMEOUT: Limit = Limit::from_secs(5);

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long a token for further questions is asked for, in seconds.
const TOKEN_SECONDS: &str = "300";

/// Longest token that is read from a file; AWS takes none that is longer.
const MAX_TOKEN_BYTES: u64 = 20_000;

/// An endpoint, as the environment names it.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// That of whoever trusts a token.
    WebIdentity(WebIdentity),
    /// Of a container.
    Container { url: Url, token: Option<Token> },
    /// Of a machine.
    Machine { base: Url },
    /// The environment names one that is not asked; why.
    Invalid(String),
}

/// What a container shows to its endpoint.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Value(SecretString),
    /// Read anew each time, since it changes.
    File(PathBuf),
}

/// Credentials as both kinds of endpoint write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl Endpoint {
    /// * `variable`: its value by name; blank counts as not set.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(identity) = WebIdentity::read(&variable) {
            return Some(identity.map_or_else(Self::Invalid, Self::WebIdentity));
        }
        Self::container(&variable).or_else(|| Self::machine(&variable))
    }

    /// That of this container; `None` if the environment names none.
    pub(super) fn container(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let token = || {
            let file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Token::File(path.into()));
            file.or_else(|| Some(Token::Value(variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")?.into())))
        };
        if let Some(path) = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return Some(container(&format!("{CONTAINER}{path}"), token()));
        }
        let url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")?;
        Some(container(&url, token()))
    }

    /// That of this machine; `None` if the environment forbids to ask it.
    pub(super) fn machine(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_off = variable("AWS_EC2_METADATA_DISABLED").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        if is_off {
            return None;
        }
        let mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
        let usual = match mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")) {
            true => MACHINE_V6,
            false => MACHINE,
        };
        let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
        Some(match Url::parse(&base) {
            Ok(base) if base.has_host() => Self::Machine { base },
            Ok(_) | Err(_) => Self::Invalid("AWS_EC2_METADATA_SERVICE_ENDPOINT is not an address".to_owned()),
        })
    }

    /// Asks; `None` where there is no endpoint, or it has no role.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets.
    pub(super) async fn ask(&self, now: OffsetDateTime) -> Result<Option<Grant>, Trouble> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| format!("no client for it: {error}"))?;
        match self {
            Self::Invalid(why) => Err(Trouble::Lasting(why.clone())),
            Self::WebIdentity(identity) => identity.ask().await.map(Some),
            Self::Container { url, token } => Ok(Some(of_container(&client, url, token.as_ref(), now).await?)),
            Self::Machine { base } => Ok(of_machine(&client, base, now).await?),
        }
    }
}

/// The endpoint at an address that an environment may name.
fn container(address: &str, token: Option<Token>) -> Endpoint {
    let invalid = |why: &str| Endpoint::Invalid(format!("the container's credentials endpoint {why}"));
    let Ok(url) = Url::parse(address) else {
        return invalid("is not an address");
    };
    let is_known = url.host_str().is_some_and(|host| CONTAINER_HOSTS.contains(&host));
    if is_own_or_https(&url) || (is_known && url.scheme() == "http") {
        return Endpoint::Container { url, token };
    }
    invalid("is neither this container's own nor reached by https")
}

/// Whether a secret can be sent there: nobody listens on the way.
pub(super) fn is_own_or_https(url: &Url) -> bool {
    let is_own = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_own,
        _ => false,
    }
}

/// A token out of a file.
///
/// # Errors
/// Words on what is wrong with it.
pub(super) async fn read_token(path: &Path) -> Result<SecretString, String> {
    let reading = async {
        let mut text = String::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = reading.await.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MAX_TOKEN_BYTES {
        return Err(format!("is longer than {MAX_TOKEN_BYTES} bytes"));
    }
    Ok(SecretString::from(text.trim()))
}

async fn of_container(client: &Client, url: &Url, token: Option<&Token>, now: OffsetDateTime) -> Result<Grant, String> {
    let mut request = client.get(url.clone());
    if let Some(token) = token {
        let token = match token {
            Token::Value(token) => token.clone(),
            Token::File(path) => {
                let read = read_token(path).await;
                read.map_err(|trouble| format!("the container's token {trouble}"))?
            }
        };
        let mut value = http::HeaderValue::from_str(token.expose_secret())
            .map_err(|_| "the container's token has characters that cannot be sent".to_owned())?;
        value.set_sensitive(true);
        request = request.header(http::header::AUTHORIZATION, value);
    }
    let (status, body) = sent(request).await?;
    match status {
        StatusCode::OK => granted(&body, now),
        status => Err(format!("the container's credentials endpoint answered {status}")),
    }
}

async fn of_machine(client: &Client, base: &Url, now: OffsetDateTime) -> Result<Option<Grant>, String> {
    let below = |path: &str| {
        let mut url = base.clone();
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
        url
    };
    let asking = client
        .put(below("latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)
        .header(http::header::CONTENT_LENGTH, "0");
    // Most machines are not AWS's, and then nobody answers there.
    let Ok((StatusCode::OK, token)) = sent(asking).await else {
        return Ok(None);
    };
    let mut token = http::HeaderValue::from_str(token.trim())
        .map_err(|_| "the machine's metadata endpoint gave no token".to_owned())?;
    token.set_sensitive(true);
    let get = async |path: &str| {
        let request = client
            .get(below(path))
            .header("x-aws-ec2-metadata-token", token.clone());
        sent(request).await
    };
    let role = match get(ROLES).await? {
        (StatusCode::OK, roles) => roles.lines().next().unwrap_or_default().trim().to_owned(),
        (StatusCode::NOT_FOUND, _) => String::new(),
        (status, _) => return Err(format!("the machine's metadata endpoint answered {status}")),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
    if role.is_empty() || !role.bytes().all(is_plain) {
        return Ok(None);
    }
    let mut grant = match get(&format!("{ROLES}{role}")).await? {
        (StatusCode::OK, body) => granted(&body, now)?,
        (status, _) => {
            return Err(format!(
                "the machine's metadata endpoint answered {status} for its role"
            ));
        }
    };
    // Good credentials do without it: the region may be set elsewhere.
    if let Ok((StatusCode::OK, region)) = get("latest/meta-data/placement/region").await {
        grant.region = Some(region.trim().to_owned()).filter(|region| is_region(region));
    }
    Ok(Some(grant))
}

/// Sends a question; its status and what it says.
pub(super) async fn sent(request: RequestBuilder) -> Result<(StatusCode, String), String> {
    // Addresses are in the environment; what is in their queries need not be in a log.
    let unanswered = |error: reqwest::Error| format!("it did not answer: {}", error.without_url());
    let response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(unanswered)?);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(format!("its answer is longer than {MAX_ANSWER_BYTES} bytes"));
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Credentials out of an answer. Nothing of it is repeated in words.
fn granted(body: &str, now: OffsetDateTime) -> Result<Grant, String> {
    let unreadable = || "its answer has no credentials".to_owned();
    let written: Written = serde_json::from_str(body).map_err(|_| unreadable())?;
    if written.access_key_id.is_empty() || written.secret_access_key.is_empty() {
        return Err(unreadable());
    }
    let credentials = Credentials {
        access_key_id: written.access_key_id,
        secret: written.secret_access_key.into(),
        session_token: written.token.filter(|token| !token.is_empty()).map(Into::into),
    };
    let mut grant = Grant::untold(credentials, now);
    if let Some(text) = written.expiration {
        grant.expires_at = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| unreadable())?;
    }
    Ok(grant)
}
