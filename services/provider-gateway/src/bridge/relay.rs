//! Hands a request on to a vendor that speaks its dialect, and the answer back.
//!
//! Owns the order of things until the first byte: spend limit, room, breaker, key, request. It tries the next key when one is limited or
//! refused, and never the same request twice with the same key. From the first byte on the answer is [`flow`]'s.

mod flow;

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Body as _;
use tandem_chat_core::retry;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

pub use self::flow::Flow;
use super::{
    Parts,
    body::Body,
    dialect::Dialect,
    headers,
    peek::Peek,
    refusal::{Reason, Refusal},
    sniff::{Heard, Sniffer},
    tab::Tab,
};
use crate::{
    admission::Slot,
    breaker::{self, Outcome, Permit, Target},
    catalog::Provider,
    key_pool::{AllResting, Why},
    outbound::{self, Refused},
    provider::Protocol,
    secret::{ApiKey, redact},
};

/// Stands for all models that nobody configured.
const UNCONFIGURED: &str = "*";

/// Largest error body read.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// Time to read an error body; its status is known already.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What is handed on.
pub struct Outgoing<'a> {
    /// As the vendor speaks it.
    pub protocol: Protocol,
    /// The client's own headers.
    pub headers: HeaderMap,
    /// What the address asks for beside its path.
    pub query: Option<&'a str>,
    /// The body, gone through.
    pub peek: &'a Peek<'a>,
    /// The body.
    pub body: &'a Bytes,
}

/// A vendor's answer whose first piece has come.
struct Begun {
    head: http::response::Parts,
    first: Option<Bytes>,
    rest: reqwest::Body,
}

/// Hands a request on; returns with the first byte of the answer.
pub async fn relay(parts: &Parts, mut tab: Tab, mut outgoing: Outgoing<'_>) -> Response<Body> {
    let family = tab.dialect.family();
    match ask(parts, &tab, &mut outgoing).await {
        Ok((Answered::Begun(begun), slot)) => answer(parts, tab, &outgoing, *begun, slot),
        Ok((Answered::Refused(response), _)) => {
            tab.answered(response.status().as_u16());
            response
        }
        Err(refusal) => {
            parts.metrics.refused(refusal.reason.as_str());
            tab.answered(refusal.reason.status().as_u16());
            tab.close(&mut Heard::default(), false);
            refusal.response(family)
        }
    }
}

/// How a vendor answered.
enum Answered {
    Begun(Box<Begun>),
    /// With an error, told as it may be told.
    Refused(Response<Body>),
}

async fn ask(parts: &Parts, tab: &Tab, outgoing: &mut Outgoing<'_>) -> Result<(Answered, Slot), Refusal> {
    let (model, provider) = (&tab.model, &*tab.model.provider);
    tab.reserve().await?;
    let slot = parts
        .health
        .admission
        .enter(provider, Some(tab.caller.user))
        .await
        .map_err(|busy| {
            let text = format!("The provider {} has no room now: {busy}.", provider.name);
            Refusal::new(Reason::Unavailable, text).after(busy.retry_after())
        })?;
    let target = Target {
        provider: provider.id,
        provider_name: provider.name.clone(),
        // Those that nobody configured share one breaker: clients make up their names.
        model: tab.configured_model().unwrap_or(UNCONFIGURED).to_owned(),
    };
    let permit = parts.health.breakers.admit(&target).map_err(|open| {
        if tab.configured_model().is_some() {
            parts.service_metrics.breaker_rejected(model);
        }
        let text = format!(
            "The provider {} is left alone for a moment, since {open}.",
            provider.name
        );
        Refusal::new(Reason::Unavailable, text).after(open.retry_after)
    })?;
    let url = outgoing
        .protocol
        .url(provider.kind, &provider.base_url, tab.dialect.path());
    let mut url = url.ok_or_else(|| Refusal::new(Reason::Internal, "This provider is not spoken to in that way."))?;
    add_query(&mut url, outgoing.query);
    let body = outgoing.peek.for_vendor(tab.dialect, &model.model, outgoing.body);
    let mut headers = headers::for_vendor(std::mem::take(&mut outgoing.headers), tab.brings_key);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let first_by = Instant::now() + startup(parts, provider);
    let mut keys = keys(parts, provider, tab.brings_key)?.into_iter();
    let mut key = keys.next();
    loop {
        let attempt = Attempt {
            parts,
            provider,
            permit: &permit,
            protocol: outgoing.protocol,
            key: key.as_ref(),
            first_by,
        };
        let response = attempt
            .send(Method::POST, url.clone(), headers.clone(), body.clone())
            .await?;
        let status = response.status();
        if status.is_success() {
            if let Some(key) = &key {
                parts.health.pools.accepted(provider.id, key.id);
            }
            tab.accepted();
            let begun = attempt.begin(response).await?;
            return Ok((Answered::Begun(Box::new(begun)), slot));
        }
        let error = attempt.error(response).await;
        let refused = key.as_ref().zip(Why::of_status(status.as_u16()));
        if let Some((key, why)) = refused {
            let (pools, keys) = (&parts.health.pools, &provider.keys);
            pools.rest(provider.id, keys, key.id, why, error.retry_after, &error.said());
            parts.service_metrics.key_rested(&provider.name, why.as_str());
        }
        match keys.next() {
            Some(next) if refused.is_some() => key = Some(next),
            Some(_) | None => {
                return error
                    .told(provider, key.as_ref())
                    .map(|told| (Answered::Refused(told), slot));
            }
        }
    }
}

/// The keys to try; none where the caller brings one, or the provider needs none.
fn keys(parts: &Parts, provider: &Provider, brings_key: bool) -> Result<Vec<ApiKey>, Refusal> {
    if brings_key {
        return Ok(Vec::new());
    }
    let keys = parts.health.pools.in_turn(provider.id, &provider.keys);
    keys.map_err(|AllResting { retry_after, why }| match why {
        Why::Limited => {
            let text = format!(
                "All keys of the provider {} have reached their rate limit.",
                provider.name
            );
            Refusal::new(Reason::RateLimited, text).after(retry_after)
        }
        Why::Refused => not_accepted(provider),
    })
}

fn not_accepted(provider: &Provider) -> Refusal {
    let text = format!(
        "The provider {} does not accept the API key it was shown; an administrator can look into it.",
        provider.name
    );
    Refusal::new(Reason::Upstream, text)
}

fn startup(parts: &Parts, provider: &Provider) -> Duration {
    if outbound::is_loopback(&provider.base_url) {
        parts.guards.local_startup
    } else {
        parts.guards.startup
    }
}

/// One request with one key.
struct Attempt<'a> {
    parts: &'a Parts,
    provider: &'a Provider,
    permit: &'a Permit,
    protocol: Protocol,
    key: Option<&'a ApiKey>,
    first_by: Instant,
}

impl Attempt<'_> {
    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, Refusal> {
        let headers = with_key(self.protocol, self.provider, self.key, headers)?;
        let request = self
            .parts
            .outbound
            .request(method, url)
            .map_err(|refused| refused_address(&refused))?;
        let sending = request.headers(headers).body(body).send();
        match timeout_at(self.first_by, sending).await {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                if breaker::is_unavailable(status) {
                    self.permit.record(Outcome::Unavailable, &format!("status {status}"));
                } else {
                    self.permit.record(Outcome::Answered, "");
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                let (refusal, is_connect) = unanswered(self.provider, error);
                if is_connect {
                    self.permit.record(Outcome::Unavailable, &refusal.message);
                }
                Err(refusal)
            }
            // A guard of ours says nothing about capacity.
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Waits for the first piece of an accepted answer.
    async fn begin(&self, response: reqwest::Response) -> Result<Begun, Refusal> {
        let (head, mut rest) = http::Response::<reqwest::Body>::from(response).into_parts();
        loop {
            let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut rest).poll_frame(cx));
            let first = match timeout_at(self.first_by, frame).await {
                Ok(None) => None,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Some(data),
                    Ok(_) | Err(_) => continue,
                },
                Ok(Some(Err(error))) => return Err(unanswered(self.provider, error).0),
                Err(_) => return Err(self.too_slow()),
            };
            return Ok(Begun { head, first, rest });
        }
    }

    async fn error(&self, response: reqwest::Response) -> VendorError {
        let status = response.status();
        let texts = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let retry_after = retry::retry_after(texts, self.parts.clock.now());
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        let reading = async {
            while let Some(Ok(piece)) = pieces.next().await {
                let room = MAX_ERROR_BODY_BYTES - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if body.len() == MAX_ERROR_BODY_BYTES {
                    break;
                }
            }
        };
        // What came until then is all there is to say.
        let _ = timeout(ERROR_BODY_TIMEOUT, reading).await;
        let text = redact(&String::from_utf8_lossy(&body), &self.provider.keys);
        VendorError {
            status,
            headers,
            retry_after,
            text,
        }
    }

    fn too_slow(&self) -> Refusal {
        let limit = startup(self.parts, self.provider).as_secs();
        let text = format!(
            "The provider {} did not answer within {limit} seconds.",
            self.provider.name
        );
        Refusal::new(Reason::TooSlow, text)
    }
}

/// A vendor's answer that is an error, without secrets.
struct VendorError {
    status: StatusCode,
    headers: HeaderMap,
    retry_after: Duration,
    text: String,
}

impl VendorError {
    /// As one line.
    fn said(&self) -> String {
        format!("status {}: {}", self.status.as_u16(), self.text)
    }

    /// The answer to the client: the vendor's own where it concerns the client.
    fn told(self, provider: &Provider, key: Option<&ApiKey>) -> Result<Response<Body>, Refusal> {
        let is_ours = key.is_some_and(|key| !key.is_users());
        if is_ours && matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
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

/// The answer to the client, from a vendor's that has begun.
fn answer(parts: &Parts, mut tab: Tab, outgoing: &Outgoing<'_>, begun: Begun, slot: Slot) -> Response<Body> {
    let Begun { head, first, rest } = begun;
    let mut headers = headers::for_client(head.headers);
    let mut sniffer = sniffer(parts, tab.dialect, outgoing.peek, &headers);
    tab.answered(head.status.as_u16());
    if sniffer.is_stream() {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
    }
    let body = match first {
        // All of it has come: nothing is left to wait for.
        Some(first) if rest.is_end_stream() => {
            let mut whole = sniffer.push(first);
            let held = sniffer.finish();
            if !held.is_empty() {
                whole = Bytes::from([whole, held].concat());
            }
            let heard = sniffer.heard();
            let is_complete = !heard.has_failed;
            tab.close(heard, is_complete);
            Body::full(whole)
        }
        first => Body::relayed(Flow::new(parts, tab, sniffer, first, rest, slot)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

fn sniffer(parts: &Parts, dialect: Dialect, peek: &Peek<'_>, headers: &HeaderMap) -> Sniffer {
    let is_plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|encoding| encoding == "identity");
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let is_events = kind
        .trim_start()
        .get(..17)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"));
    if !is_plain {
        return Sniffer::opaque(dialect);
    }
    if is_events {
        Sniffer::events(dialect, parts.recorder.is_on(), peek.adds_usage(dialect))
    } else {
        Sniffer::document(dialect, parts.recorder.is_on())
    }
}

/// The headers with which a key is shown beside the client's; what the client says of the protocol's version stays.
pub(super) fn with_key(
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

pub(super) fn refused_address(refused: &Refused) -> Refusal {
    Refusal::new(
        Reason::Upstream,
        format!("The provider's address is not called: {refused}."),
    )
}

/// Why there was no answer, without secrets; and whether there was no connection at all.
pub(super) fn unanswered(provider: &Provider, error: reqwest::Error) -> (Refusal, bool) {
    // The address may hold a key in its query.
    let error = error.without_url();
    if let Some(refused) = outbound::find_source::<Refused>(&error) {
        return (refused_address(refused), false);
    }
    let is_connect = error.is_connect();
    let text = redact(&outbound::chain(&error), &provider.keys);
    let text = format!("The provider {} could not be asked: {text}.", provider.name);
    (Refusal::new(Reason::Upstream, text), is_connect)
}
