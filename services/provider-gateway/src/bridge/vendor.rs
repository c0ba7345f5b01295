//! One request at a vendor: which keys are tried, how they are shown, and what is told of an answer that is an error.
//!
//! Shared by what is relayed and what is passed on: both take the healthy keys of the pool in turn. Only what a vendor says to a request
//! of a model is held against a key: what it says to any other says as much about the path somebody chose.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use tandem_chat_core::{
    classify::{self, Cause},
    error::ErrorKind,
    retry,
};
use tandem_protocols::{ApiKey, Protocol, http::error_body};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    Parts,
    body::Body,
    headers,
    refusal::{Reason, Refusal},
};
use crate::{
    catalog::Provider,
    key_pool::{AllResting, Why},
    outbound::{self, Refused},
    secret::redact,
};

/// The key in use, and those to try after it.
pub(super) struct Keys<'a> {
    parts: &'a Parts,
    provider: &'a Provider,
    current: Option<ApiKey>,
    rest: std::vec::IntoIter<ApiKey>,
}

impl<'a> Keys<'a> {
    /// The keys of a provider; none where the caller brings one, or the provider needs none.
    ///
    /// # Errors
    /// All of them rest.
    pub(super) fn of(parts: &'a Parts, provider: &'a Provider, brings_key: bool) -> Result<Self, Refusal> {
        let mut rest = if brings_key {
            Vec::new().into_iter()
        } else {
            let keys = parts.health.pools.in_turn(provider.id, &provider.keys);
            show(parts, provider);
            keys.map_err(|resting| all_rest(provider, &resting))?.into_iter()
        };
        Ok(Self {
            parts,
            provider,
            current: rest.next(),
            rest,
        })
    }

    /// The one in use; `None` to ask without.
    pub(super) fn current(&self) -> Option<&ApiKey> {
        self.current.as_ref()
    }

    /// The vendor has accepted the one in use.
    pub(super) fn accepted(&self) {
        if let Some(key) = &self.current {
            self.parts.health.pools.accepted(self.provider.id, key.id);
        }
    }

    /// Looks whether `error` concerns the key in use, which then rests; whether there is another in its place, to try again with.
    ///
    /// * `is_configured`: an administrator chose the model. A limit of another, or that it may not be used, says nothing of the key: the
    ///   next one is tried, but whoever makes up names lets none of them rest.
    pub(super) fn turn(&mut self, error: &VendorError, is_configured: bool) -> bool {
        let Some((key, why)) = self.current.as_ref().zip(Why::of_status(error.status.as_u16())) else {
            return false;
        };
        if is_configured || error.status == StatusCode::UNAUTHORIZED {
            let (pools, provider) = (&self.parts.health.pools, self.provider);
            let said = error.said();
            pools.rest(provider.id, &provider.keys, key.id, why, error.retry_after, &said);
            self.parts.service_metrics.key_rested(&provider.name, why.as_str());
            show(self.parts, provider);
        }
        let next = self.rest.next();
        let is_another = next.is_some();
        if is_another {
            self.current = next;
        }
        is_another
    }
}

/// Shows in metrics how many keys rest.
fn show(parts: &Parts, provider: &Provider) {
    let resting = parts.health.pools.resting_count(provider.id, &provider.keys);
    let healthy = provider.keys.len().saturating_sub(resting);
    parts.service_metrics.set_keys(&provider.name, healthy, resting);
}

fn all_rest(provider: &Provider, AllResting { retry_after, why }: &AllResting) -> Refusal {
    match why {
        Why::Limited => {
            let text = format!(
                "All keys of the provider {} have reached their rate limit.",
                provider.name
            );
            Refusal::new(Reason::RateLimited, text)
                .after(*retry_after)
                .lacking(ErrorKind::RateLimit)
        }
        Why::Refused => not_accepted(provider),
    }
}

fn not_accepted(provider: &Provider) -> Refusal {
    let text = format!(
        "The provider {} does not accept the API key it was shown; an administrator can look into it.",
        provider.name
    );
    Refusal::new(Reason::Upstream, text)
}

/// A request, but for the key. Cheap to send again.
pub(super) struct Call<'a> {
    pub(super) parts: &'a Parts,
    pub(super) provider: &'a Provider,
    pub(super) protocol: Protocol,
    pub(super) method: Method,
    pub(super) url: Url,
    /// Without credentials of ours.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When the answer must have begun.
    pub(super) first_by: Instant,
}

/// Why there was no answer.
pub(super) struct Unanswered {
    pub(super) refusal: Refusal,
    /// There was no connection at all.
    pub(super) is_connect: bool,
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            is_connect: false,
        }
    }
}

impl Call<'_> {
    /// Sends it; returns with the head of the answer.
    pub(super) async fn send(&self, key: Option<&ApiKey>) -> Result<reqwest::Response, Unanswered> {
        let headers = with_key(self.protocol, self.provider, key, self.headers.clone())?;
        let request = self
            .parts
            .outbound
            .request(self.method.clone(), self.url.clone())
            .map_err(|refused| refused_address(&refused))?;
        let sending = request.headers(headers).body(self.body.clone()).send();
        match timeout_at(self.first_by, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unanswered(self.provider, error)),
            Err(_) => Err(self.too_slow().into()),
        }
    }

    /// The answer did not begin in time.
    pub(super) fn too_slow(&self) -> Refusal {
        let limit = self.parts.guards.startup_at(&self.provider.base_url).as_secs();
        let text = format!(
            "The provider {} did not answer within {limit} seconds.",
            self.provider.name
        );
        Refusal::new(Reason::TooSlow, text).lacking(ErrorKind::StartupTimeout)
    }
}

/// A vendor's answer that is an error, without secrets.
pub(super) struct VendorError {
    status: StatusCode,
    headers: HeaderMap,
    retry_after: std::time::Duration,
    text: String,
}

impl VendorError {
    /// Reads one, as far as it comes in time.
    pub(super) async fn read(parts: &Parts, provider: &Provider, response: reqwest::Response) -> Self {
        let texts = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let retry_after = retry::retry_after(texts, parts.clock.now());
        let (status, headers) = (response.status(), response.headers().clone());
        let text = redact(&error_body(response).await, &provider.keys);
        Self {
            status,
            headers,
            retry_after,
            text,
        }
    }

    /// The vendor's status, where it may be about the key.
    pub(super) fn about_key(&self) -> Option<&'static str> {
        match self.status {
            StatusCode::UNAUTHORIZED => Some("401"),
            StatusCode::FORBIDDEN => Some("403"),
            StatusCode::TOO_MANY_REQUESTS => Some("429"),
            _ => None,
        }
    }

    /// Set where it says that the vendor has no room now.
    pub(super) fn lack(&self, provider: &Provider) -> Option<ErrorKind> {
        let error = classify::classify(&classify::Failure {
            status: Some(self.status.as_u16()),
            text: &self.text,
            provider: Some(provider.kind.as_str()),
            retry_after: self.retry_after,
            cause: Cause::Reported,
        })
        .error;
        Some(error.kind).filter(|kind| error.retryable && kind.is_lack_of_room())
    }

    /// As one line.
    fn said(&self) -> String {
        format!("status {}: {}", self.status.as_u16(), self.text)
    }

    /// The answer to the client of what was asked of a model: the vendor's own where it concerns the client.
    ///
    /// # Errors
    /// It is about our own key, or leads elsewhere.
    pub(super) fn told(self, provider: &Provider, key: Option<&ApiKey>) -> Result<Response<Body>, Refusal> {
        if is_ours(key) && self.status == StatusCode::FORBIDDEN {
            return Err(not_accepted(provider));
        }
        self.passed_on(provider, key)
    }

    /// The answer to the client of what was asked without being understood. What may not be had there (403) is about what was asked for.
    ///
    /// # Errors
    /// It says that our own key is none, or leads elsewhere.
    pub(super) fn passed_on(self, provider: &Provider, key: Option<&ApiKey>) -> Result<Response<Body>, Refusal> {
        if is_ours(key) && self.status == StatusCode::UNAUTHORIZED {
            return Err(not_accepted(provider));
        }
        if self.status.is_redirection() || self.status.is_informational() {
            let text = format!(
                "The provider {} redirects elsewhere, which is not followed because it could leak the key.",
                provider.name
            );
            return Err(Refusal::new(Reason::Upstream, text));
        }
        let mut headers = headers::for_client(self.headers);
        // What was sent compressed, or cut, is not what it says it is.
        headers.remove(header::CONTENT_LENGTH);
        let text = match headers.remove(header::CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => {
                headers.remove(header::CONTENT_TYPE);
                format!(
                    "The provider {} answered with status {}.",
                    provider.name,
                    self.status.as_u16()
                )
            }
            Some(_) | None => self.text,
        };
        let mut response = Response::new(Body::full(Bytes::from(text)));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Whether a key is the deployment's.
fn is_ours(key: Option<&ApiKey>) -> bool {
    key.is_some_and(|key| !key.is_users())
}

/// The headers with which a key is shown beside the client's; what the client says of the protocol's version stays.
fn with_key(
    protocol: Protocol,
    provider: &Provider,
    key: Option<&ApiKey>,
    mut headers: HeaderMap,
) -> Result<HeaderMap, Refusal> {
    let own = protocol.headers(provider.kind, &provider.base_url, key).map_err(|_| {
        let text = format!(
            "The API key of the provider {} has characters that cannot be sent.",
            provider.name
        );
        Refusal::new(Reason::Upstream, text)
    })?;
    for (name, value) in own {
        let Some(name) = name else { continue };
        if name == "anthropic-version" {
            headers.entry(name).or_insert(value);
        } else {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

/// Puts what a client asks for behind what the provider's own address says already.
pub(super) fn add_query(url: &mut Url, query: Option<&str>) {
    match (url.query(), query) {
        (_, None) => {}
        (None, Some(_)) => url.set_query(query),
        (Some(own), Some(query)) => {
            let both = format!("{own}&{query}");
            url.set_query(Some(&both));
        }
    }
}

fn refused_address(refused: &Refused) -> Refusal {
    Refusal::new(
        Reason::Upstream,
        format!("The provider's address is not called: {refused}."),
    )
}

/// Why there was no answer, without secrets.
pub(super) fn unanswered(provider: &Provider, error: reqwest::Error) -> Unanswered {
    // The address may hold a key in its query.
    let error = error.without_url();
    if let Some(refused) = outbound::find_source::<Refused>(&error) {
        return refused_address(refused).into();
    }
    let text = redact(&outbound::chain(&error), &provider.keys);
    let text = format!("The provider {} could not be asked: {text}.", provider.name);
    Unanswered {
        refusal: Refusal::new(Reason::Upstream, text).lacking(ErrorKind::Timeout),
        is_connect: error.is_connect(),
    }
}
