//! A role that is taken with a token which somebody else has signed: how clusters give their pods roles (IRSA), and federated machines
//! theirs. AWS's token service (STS) gives credentials for it.
//!
//! Sources: AWS, "AssumeRoleWithWebIdentity" (request, answer, bounds of names and tokens) and "AWS STS Regional endpoints".

use std::{path::PathBuf, time::Duration as Limit};

use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret as _;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::{Url, form_urlencoded};

use super::{
    super::sign::Credentials,
    Grant,
    endpoint::{is_own_or_https, read_token, sent},
};

/// The version of the service's words.
const VERSION: &str = "2011-06-15";

/// What this service calls itself unless the environment does.
const SESSION: &str = "tandem";

/// Longest name of a session that AWS takes.
const MAX_SESSION_CHARS: usize = 64;

/// Time to connect. The service is in the same region, or in none.
const CONNECT_TIMEOUT: Limit = Limit::from_secs(5);

/// Time for one answer.
const ANSWER_TIMEOUT: Limit = Limit::from_secs(10);

/// Longest name of an error that is repeated.
const MAX_CODE_CHARS: usize = 64;

/// Who asks for which role, and where.
#[derive(Clone, Debug)]
pub(super) struct WebIdentity {
    url: Url,
    role: String,
    session: String,
    /// Read anew each time, since it changes.
    token_file: PathBuf,
}

impl WebIdentity {
    /// What the environment says; `None` if it names no token.
    ///
    /// * `variable`: its value by name; blank counts as not set.
    ///
    /// # Errors
    /// Words on why it cannot be asked for.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Result<Self, String>> {
        let token_file = PathBuf::from(variable("AWS_WEB_IDENTITY_TOKEN_FILE")?);
        let read = || {
            let role = variable("AWS_ROLE_ARN");
            let role = role.ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN")?;
            let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| SESSION.to_owned());
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            if !(2..=MAX_SESSION_CHARS).contains(&session.len()) || !session.bytes().all(is_plain) {
                return Err("AWS_ROLE_SESSION_NAME is no name that AWS takes");
            }
            Ok(Self {
                url: address(&variable)?,
                role,
                session,
                token_file,
            })
        };
        Some(read().map_err(str::to_owned))
    }

    /// Asks.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets.
    pub(super) async fn ask(&self) -> Result<Grant, String> {
        let token = read_token(&self.token_file)
            .await
            .map_err(|trouble| format!("the web identity token {trouble}"))?;
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| format!("no client for it: {error}"))?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", VERSION)
            .append_pair("RoleArn", &self.role)
            .append_pair("RoleSessionName", &self.session)
            .append_pair("WebIdentityToken", token.expose_secret())
            .finish();
        // In the body, not in the address, so that no log of addresses has the token.
        let request = client
            .post(self.url.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::ACCEPT, "application/xml")
            .body(form);
        match sent(request)
            .await
            .map_err(|trouble| format!("AWS's token service: {trouble}"))?
        {
            (StatusCode::OK, body) => granted(&body),
            (status, body) => Err(match code(&body) {
                Some(code) => format!("AWS's token service answered {status} ({code})"),
                None => format!("AWS's token service answered {status}"),
            }),
        }
    }
}

/// Where the service is: where the environment says, else in its region, else where it is for all.
fn address(variable: impl Fn(&str) -> Option<String>) -> Result<Url, &'static str> {
    if let Some(address) = variable("AWS_ENDPOINT_URL_STS") {
        let url = Url::parse(&address).ok().filter(is_own_or_https);
        return url.ok_or("AWS_ENDPOINT_URL_STS is no address that is reached by https");
    }
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let host = match region.as_deref() {
        None => "sts.amazonaws.com".to_owned(),
        Some(region) => {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if !region.bytes().all(fits) {
                return Err("AWS_REGION is no name of a region");
            }
            // China's regions are in a partition of their own.
            let end = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("sts.{region}.amazonaws.com{end}")
        }
    };
    Url::parse(&format!("https://{host}/")).map_err(|_| "AWS_REGION is no name of a region")
}

/// Credentials out of an answer. Nothing of it is repeated in words.
fn granted(body: &str) -> Result<Grant, String> {
    let unreadable = || "the answer of AWS's token service has no credentials".to_owned();
    let of = |name| element(element(body, "Credentials")?, name).filter(|text| !text.is_empty());
    let credentials = of("AccessKeyId").zip(of("SecretAccessKey")).zip(of("SessionToken"));
    let ((access_key_id, secret), session_token) = credentials.ok_or_else(unreadable)?;
    let expires_at = of("Expiration").ok_or_else(unreadable)?;
    Ok(Grant {
        credentials: Credentials {
            access_key_id: access_key_id.to_owned(),
            secret: secret.into(),
            session_token: Some(session_token.into()),
        },
        region: None,
        expires_at: OffsetDateTime::parse(expires_at, &Rfc3339).map_err(|_| unreadable())?,
    })
}

/// The name of an error.
fn code(body: &str) -> Option<&str> {
    let code = element(element(body, "Error")?, "Code")?;
    let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (is_plain && (1..=MAX_CODE_CHARS).contains(&code.len())).then_some(code)
}

/// What stands in the first element of that name. What is looked for here has neither attributes nor anything to unescape.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = behind.split_once(&format!("</{name}>"))?;
    Some(inside.trim())
}

#[cfg(test)]
mod tests;
