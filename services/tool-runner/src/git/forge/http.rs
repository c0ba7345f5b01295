//! Requests to forges: judged addresses, bounded answers, and what a forge says about asking too often.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tandem_chassis::clock::Clock;
use tandem_chassis::outbound::{self, Outbound};
use time::OffsetDateTime;
use url::Url;

use super::Failure;

/// Largest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Time for one answer.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// How long a forge is left alone that asks for it without saying how long, and at most.
const LIMIT_PAUSE: time::Duration = time::Duration::seconds(60);
const MAX_LIMIT_PAUSE: time::Duration = time::Duration::hours(1);

const JSON: &str = "application/json";

/// The client of all forges. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

/// The client with a user's token.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    http: &'a Http,
    token: &'a SecretString,
}

impl Http {
    pub(super) fn new(outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    pub(super) fn with<'a>(&'a self, token: &'a SecretString) -> Asking<'a> {
        Asking { http: self, token }
    }
}

impl Asking<'_> {
    /// An answer in JSON.
    pub(super) async fn json<T: DeserializeOwned>(self, url: Url) -> Result<T, Failure> {
        let body = self.get(url, JSON).await?;
        serde_json::from_slice(&body).map_err(|_| Failure::Other("the forge's answer is not understood".to_owned()))
    }

    /// An answer in text.
    pub(super) async fn text(self, url: Url, accept: &str) -> Result<String, Failure> {
        let body = self.get(url, accept).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(self, url: Url, accept: &str) -> Result<BytesMut, Failure> {
        let asking = self.get_slowly(url, accept);
        tokio::time::timeout(ANSWER_TIME, asking)
            .await
            .unwrap_or_else(|_| Err(Failure::Other("the forge did not answer in time".to_owned())))
    }

    async fn get_slowly(self, url: Url, accept: &str) -> Result<BytesMut, Failure> {
        let request = self.http.outbound.request(Method::GET, url);
        let request = request.map_err(|refused| Failure::Other(refused.to_string()))?;
        let response = request.headers(self.headers(accept)?).send().await.map_err(failure)?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(status, response.headers()));
        }
        let mut stream = response.bytes_stream();
        let mut body = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(failure)?;
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let text = format!("the forge's answer is larger than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure::Other(text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn headers(self, accept: &str) -> Result<HeaderMap, Failure> {
        let odd = |_| Failure::Other("the credential has letters that cannot be sent".to_owned());
        let mut token = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret())).map_err(odd)?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(AUTHORIZATION, token);
        headers.insert(ACCEPT, HeaderValue::from_str(accept).map_err(odd)?);
        headers.insert(USER_AGENT, HeaderValue::from_static("tandem"));
        Ok(headers)
    }

    fn refusal(self, status: StatusCode, headers: &HeaderMap) -> Failure {
        let until = limited_until(headers, self.http.clock.now());
        match status {
            StatusCode::TOO_MANY_REQUESTS => Failure::Limited(until.unwrap_or(self.http.clock.now() + LIMIT_PAUSE)),
            StatusCode::FORBIDDEN => until.map_or(Failure::Refused, Failure::Limited),
            StatusCode::UNAUTHORIZED => Failure::Refused,
            StatusCode::NOT_FOUND => Failure::NotFound,
            other => Failure::Other(format!("the forge answered {other}")),
        }
    }
}

/// When the forge may be asked again, if it says so.
fn limited_until(headers: &HeaderMap, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let after = number(RETRY_AFTER.as_str()).map(|seconds| now.saturating_add(time::Duration::seconds(seconds)));
    let spent = |left: &str, reset: &str| {
        let is_spent = number(left) == Some(0);
        number(reset)
            .filter(|_| is_spent)
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
    };
    let until = after
        .or_else(|| spent("x-ratelimit-remaining", "x-ratelimit-reset"))
        .or_else(|| spent("ratelimit-remaining", "ratelimit-reset"))?;
    Some(until.clamp(now, now + MAX_LIMIT_PAUSE))
}

fn failure(error: reqwest::Error) -> Failure {
    // The address may be of a place that only the installation knows.
    Failure::Other(outbound::chain(&error.without_url()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_says_when_it_may_be_asked_again() {
        let now = OffsetDateTime::from_unix_timestamp(1_000_000).unwrap();
        let until = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_str(value).unwrap());
            }
            limited_until(&headers, now).map(|at| (at - now).whole_seconds())
        };
        assert_eq!(until(&[("retry-after", "30")]), Some(30));
        assert_eq!(
            until(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000090")]),
            Some(90)
        );
        assert_eq!(
            until(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1000040")]),
            Some(40)
        );
        // Nobody is left alone for ever, and no time is in the past.
        assert_eq!(until(&[("retry-after", "99999999999")]), Some(3_600));
        assert_eq!(until(&[("retry-after", "-5")]), Some(0));
        // A refusal that is none of asking too often.
        assert_eq!(
            until(&[("x-ratelimit-remaining", "59"), ("x-ratelimit-reset", "1000090")]),
            None
        );
        assert_eq!(until(&[]), None);
    }
}
