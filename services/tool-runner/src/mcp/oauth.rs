//! OAuth 2 towards MCP servers: where a user's browser is sent, and what is exchanged for tokens.
//!
//! Source: RFC 6749 and RFC 7636 (code with PKCE), RFC 8707 (the server the token is for), RFC 7009 (revocation).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tandem_chassis::outbound::{self, Outbound};
use tandem_mcp::body;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::server::{Auth, Server};

pub(crate) mod discovery;

/// Time for one request.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Largest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Longest life of a token that is believed.
const MAX_LIFE_SECONDS: i64 = 10 * 365 * 24 * 3_600;

/// Errors after which the same token will never be renewed.
const FINAL_ERRORS: [&str; 2] = ["invalid_grant", "bad_refresh_token"];

/// A token as a server has granted it.
pub(crate) struct Grant {
    pub(crate) access_token: SecretString,
    /// Absent when the one before stays, or when there is none.
    pub(crate) refresh_token: Option<SecretString>,
    /// Empty: bearer.
    pub(crate) token_type: String,
    /// Absent: it does not expire.
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Why nothing was granted. The text has no secrets.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The user has to connect again.
    pub(crate) is_final: bool,
    pub(crate) text: String,
}

impl Refusal {
    fn passing(text: impl Into<String>) -> Self {
        Self {
            is_final: false,
            text: text.into(),
        }
    }
}

/// Where a browser is sent, and what it has to bring back.
pub(crate) struct Begun {
    pub(crate) url: Url,
    pub(crate) state: String,
    pub(crate) verifier: SecretString,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: String,
    refresh_token: Option<String>,
    #[serde(default)]
    token_type: String,
    expires_in: Option<i64>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Where browsers come back to. Always the same for a server, since it is registered.
///
/// # Errors
/// The deployment's own address is not valid.
pub(crate) fn redirect_uri(access_url: &str, server: Uuid) -> Result<Url, String> {
    let base = Url::parse(access_url).map_err(|_| "the deployment's own address is not valid".to_owned())?;
    base.join(&format!("/api/experimental/mcp/servers/{server}/oauth2/callback"))
        .map_err(|_| "the deployment's own address is not valid".to_owned())
}

/// Begins a connection of an account.
///
/// # Errors
/// The server's settings do not say where to.
pub(crate) fn begin(server: &Server, access_url: &str) -> Result<Begun, String> {
    let row = &server.row;
    let mut url = endpoint(&row.oauth2_auth_url).ok_or("the server has no authorization address")?;
    let (state, verifier) = (random()?, random()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &row.oauth2_client_id)
            .append_pair("redirect_uri", redirect_uri(access_url, server.id)?.as_str())
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", resource(server).as_str());
        if !row.oauth2_scopes.trim().is_empty() {
            query.append_pair("scope", row.oauth2_scopes.trim());
        }
    }
    Ok(Begun {
        url,
        state,
        verifier: verifier.into(),
    })
}

/// Exchanges the code a browser has brought back.
///
/// # Errors
/// [`Refusal`].
pub(crate) async fn exchange(
    outbound: &Outbound,
    server: &Server,
    access_url: &str,
    code: &str,
    verifier: &str,
    now: OffsetDateTime,
) -> Result<Grant, Refusal> {
    let redirect_uri = redirect_uri(access_url, server.id).map_err(Refusal::passing)?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier),
    ];
    ask(outbound, server, &form, now).await
}

/// Exchanges a refresh token for a new token.
///
/// # Errors
/// [`Refusal`].
pub(crate) async fn refresh(
    outbound: &Outbound,
    server: &Server,
    refresh_token: &SecretString,
    now: OffsetDateTime,
) -> Result<Grant, Refusal> {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose_secret()),
    ];
    ask(outbound, server, &form, now).await
}

/// Has a token revoked, where the server says how. What becomes of it is not waited for longer than one request.
pub(crate) async fn revoke(outbound: &Outbound, server: &Server, token: &SecretString) {
    let Some(url) = endpoint(&server.row.oauth2_revocation_url) else {
        return;
    };
    let form = [("token", token.expose_secret())];
    match tokio::time::timeout(LIMIT, post(outbound, server, url, &form, false)).await {
        Ok(Ok((status, _))) if status.is_success() => {}
        Ok(Ok((status, _))) => tracing::info!(slug = server.slug, %status, "a token was not revoked"),
        Ok(Err(text)) => tracing::info!(slug = server.slug, error = text, "a token was not revoked"),
        Err(_) => tracing::info!(slug = server.slug, "a token was not revoked in time"),
    }
}

/// An address a person, or a server, has given.
pub(crate) fn endpoint(text: &str) -> Option<Url> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

async fn ask(
    outbound: &Outbound,
    server: &Server,
    form: &[(&str, &str)],
    now: OffsetDateTime,
) -> Result<Grant, Refusal> {
    let asked = tokio::time::timeout(LIMIT, ask_both_ways(outbound, server, form)).await;
    let (status, answer) = asked
        .map_err(|_| Refusal::passing("the token address did not answer in time"))?
        .map_err(Refusal::passing)?;
    if !status.is_success() || !answer.error.is_empty() || answer.access_token.is_empty() {
        let mut said = match (answer.error.as_str(), answer.error_description.as_str()) {
            ("", _) => format!("the token address answered {status}"),
            (error, "") => error.to_owned(),
            (error, description) => format!("{error}: {description}"),
        };
        // Some tell what they do not accept.
        for (name, value) in form {
            if matches!(*name, "code" | "code_verifier" | "refresh_token") && !value.is_empty() {
                said = said.replace(value, "[REDACTED]");
            }
        }
        return Err(Refusal {
            is_final: FINAL_ERRORS.contains(&answer.error.as_str()),
            text: server.redact(&said, None),
        });
    }
    let longest = answer
        .refresh_token
        .as_ref()
        .map_or(0, String::len)
        .max(answer.access_token.len());
    if longest > MAX_TOKEN_BYTES || answer.token_type.len() > 64 {
        return Err(Refusal::passing("the token is too long to be kept"));
    }
    let life = answer.expires_in.filter(|seconds| *seconds > 0);
    Ok(Grant {
        access_token: answer.access_token.into(),
        refresh_token: answer.refresh_token.filter(|token| !token.is_empty()).map(Into::into),
        token_type: answer.token_type,
        expires_at: life.map(|seconds| now + time::Duration::seconds(seconds.min(MAX_LIFE_SECONDS))),
    })
}

/// Clients with a secret prove it in a header, as every server has to take it; those that take it in the form only are asked again.
async fn ask_both_ways(
    outbound: &Outbound,
    server: &Server,
    form: &[(&str, &str)],
) -> Result<(StatusCode, TokenAnswer), String> {
    let url = endpoint(&server.row.oauth2_token_url).ok_or("the server has no token address")?;
    let (mut status, mut body) = post(outbound, server, url.clone(), form, false).await?;
    let has_secret = matches!(&server.auth, Auth::OAuth2(Some(_)));
    let is_refused = status == StatusCode::UNAUTHORIZED || parse(&body).is_some_and(|it| it.error == "invalid_client");
    if has_secret && is_refused {
        (status, body) = post(outbound, server, url, form, true).await?;
    }
    let answer = parse(&body).unwrap_or(TokenAnswer {
        access_token: String::new(),
        refresh_token: None,
        token_type: String::new(),
        expires_in: None,
        error: String::new(),
        error_description: String::new(),
    });
    Ok((status, answer))
}

fn parse(body: &[u8]) -> Option<TokenAnswer> {
    serde_json::from_slice(body).ok()
}

async fn post(
    outbound: &Outbound,
    server: &Server,
    url: Url,
    form: &[(&str, &str)],
    is_secret_in_form: bool,
) -> Result<(StatusCode, Bytes), String> {
    let client_id = server.row.oauth2_client_id.as_str();
    let mut fields = form.to_vec();
    let resource = resource(server);
    fields.push(("client_id", client_id));
    fields.push(("resource", resource.as_str()));
    let mut request = outbound
        .post(url)
        .map_err(|refused| refused.to_string())?
        .header(ACCEPT, "application/json");
    if let Auth::OAuth2(Some(secret)) = &server.auth {
        if is_secret_in_form {
            fields.push(("client_secret", secret.expose_secret()));
        } else {
            let word = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", word(client_id), word(secret.expose_secret()));
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
    }
    let response = request.form(&fields).send().await.map_err(unreachable)?;
    let status = response.status();
    Ok((status, whole(response).await?))
}

/// The server the token is for, as RFC 8707 wants it named: without fragment.
fn resource(server: &Server) -> Url {
    let mut url = server.url.clone();
    url.set_fragment(None);
    url
}

async fn whole(response: reqwest::Response) -> Result<Bytes, String> {
    let read = body::whole(response, MAX_ANSWER_BYTES).await;
    read.map_err(|error| outbound::chain(&error))
}

fn unreachable(error: reqwest::Error) -> String {
    outbound::chain(&error.without_url())
}

/// 256 random bits as text.
fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| "no source of randomness".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
