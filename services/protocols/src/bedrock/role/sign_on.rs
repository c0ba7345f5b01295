//! The role of somebody who has signed on at AWS's IAM Identity Center (`aws sso login`). Its portal gives credentials to who shows the
//! token that signing on has left on this machine ([`token`]).
//!
//! Source: AWS, "GetRoleCredentials" (IAM Identity Center portal), "CreateToken" (its OIDC service).

mod token;

use std::path::PathBuf;

use http::{HeaderValue, header};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use self::token::{Cached, Renewed};
use super::{
    super::sign::Credentials,
    Grant, Trouble,
    endpoint::sent,
    kept::{AHEAD, MARGIN},
    services::client,
};
use crate::http::endpoint;

/// Longest name of an error that is repeated.
const MAX_CODE_CHARS: usize = 64;

/// Who has signed on, and for which role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignOn {
    /// The profile to sign on with again.
    pub(super) profile: String,
    /// What the token is kept by: a session's name, or the address where it began.
    pub(super) session: String,
    pub(super) account: String,
    pub(super) role: String,
    pub(super) portal: Url,
    pub(super) oidc: Url,
    /// Where tokens are kept.
    pub(super) folder: PathBuf,
}

/// What the portal answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    role_credentials: Written,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds since 1970.
    expiration: i64,
}

impl SignOn {
    /// Asks.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets; that somebody has to sign on, and how.
    pub(super) async fn ask(&self, now: OffsetDateTime) -> Result<Grant, Trouble> {
        let client = client()?;
        let token = self.token(&client, now).await?;
        let mut token = HeaderValue::from_str(token.expose_secret())
            .map_err(|_| self.again("has a token with characters that cannot be sent"))?;
        token.set_sensitive(true);
        let mut url = endpoint(&self.portal, "federation/credentials");
        url.query_pairs_mut()
            .append_pair("role_name", &self.role)
            .append_pair("account_id", &self.account);
        let request = client.get(url).header("x-amz-sso_bearer_token", token);
        let failed = |trouble: String| Trouble::Passing(format!("AWS's sign-on portal: {trouble}"));
        match sent(request).await.map_err(failed)? {
            (StatusCode::OK, body) => Ok(granted(&body)?),
            (StatusCode::UNAUTHORIZED, _) => Err(self.again("is not accepted any more")),
            (status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), _) => Err(Trouble::Lasting(format!(
                "AWS's sign-on portal answered {status}; whoever signed on may not have the role of sso_role_name in sso_account_id"
            ))),
            (status, _) => Err(Trouble::Passing(format!("AWS's sign-on portal answered {status}"))),
        }
    }

    /// What proves that somebody has signed on; renewed if that is possible and time.
    async fn token(&self, client: &Client, now: OffsetDateTime) -> Result<SecretString, Trouble> {
        let reading = Cached::read(&self.folder, &self.session).await;
        let mut cached = reading.map_err(|why| self.again(why))?;
        let left = cached.expires_at() - now;
        if left > AHEAD {
            return Ok(cached.token());
        }
        match self.renew(client, &mut cached, now).await {
            Ok(()) => Ok(cached.token()),
            Err(_) if left > MARGIN => Ok(cached.token()),
            Err(trouble) => Err(trouble),
        }
    }

    async fn renew(&self, client: &Client, cached: &mut Cached, now: OffsetDateTime) -> Result<(), Trouble> {
        let question = cached.question(now).ok_or_else(|| self.again("has expired"))?;
        let request = client
            .post(endpoint(&self.oidc, "token"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(question.to_string());
        let failed = |trouble: String| Trouble::Passing(format!("AWS's sign-on service: {trouble}"));
        let (status, body) = sent(request).await.map_err(failed)?;
        if status != StatusCode::OK {
            let why = match code(&body) {
                Some(code) => format!("was not renewed: {status} ({code})"),
                None => format!("was not renewed: {status}"),
            };
            let is_final = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
            return Err(match is_final {
                true => self.again(&why),
                false => Trouble::Passing(format!("the sign-on {why}")),
            });
        }
        let renewed = Renewed::read(&body)
            .ok_or_else(|| Trouble::Passing("the answer of AWS's sign-on service has no token".to_owned()))?;
        if let Err(error) = cached.renew(renewed, now).await {
            // This token is good; but the next one can only be asked for with what could not be kept.
            tracing::warn!(%error, "a renewed AWS sign-on could not be written to its file");
        }
        Ok(())
    }

    /// That nothing helps but to sign on.
    fn again(&self, why: &str) -> Trouble {
        let profile = &self.profile;
        Trouble::Lasting(format!(
            "the sign-on {why}; sign on with `aws sso login --profile {profile}`"
        ))
    }
}

/// Credentials out of an answer. Nothing of it is repeated in words.
fn granted(body: &str) -> Result<Grant, String> {
    let unreadable = || "the answer of AWS's sign-on portal has no credentials".to_owned();
    let written = serde_json::from_str::<Given>(body)
        .map_err(|_| unreadable())?
        .role_credentials;
    let texts = [
        &written.access_key_id,
        &written.secret_access_key,
        &written.session_token,
    ];
    if texts.iter().any(|text| text.is_empty()) {
        return Err(unreadable());
    }
    let nanoseconds = i128::from(written.expiration) * 1_000_000;
    Ok(Grant {
        credentials: Credentials {
            access_key_id: written.access_key_id,
            secret: written.secret_access_key.into(),
            session_token: Some(written.session_token.into()),
        },
        region: None,
        expires_at: OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|_| unreadable())?,
    })
}

/// The name of an error.
fn code(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let code = serde_json::from_str::<Refusal>(body).ok()?.error;
    let is_plain = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_plain && (1..=MAX_CODE_CHARS).contains(&code.len())).then_some(code)
}

#[cfg(test)]
mod tests;
