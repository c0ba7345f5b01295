//! Hands a request on to a vendor that speaks its dialect, and the answer back.
//!
//! Owns the order of things until the first byte: room, spend limit, breaker, key, request. It tries the next key when one is limited or
//! refused, and never the same request twice with the same key. From the first byte on the answer is [`flow`]'s.

mod flow;

use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use hyper::body::Body as _;
use tandem_chat_core::error::ErrorKind;
use tandem_protocols::Protocol;
use tokio::time::{Instant, timeout_at};

pub use self::flow::Flow;
use super::{
    Parts,
    body::Body,
    dialect::Dialect,
    headers,
    peek::Peek,
    refusal::{Reason, Refusal},
    serve::Unserved,
    sniff::Sniffer,
    tab::Tab,
    vendor::{Call, Keys, Unanswered, VendorError, add_query, unanswered},
};
use crate::{
    admission::Slot,
    breaker::{self, Outcome, Permit, Target},
};

/// What of a document is gathered without waiting.
const MAX_COME_BYTES: usize = 64 * 1024;

/// Stands for all models that nobody configured.
const UNCONFIGURED: &str = "*";

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
pub(super) struct Begun {
    pub(super) head: http::response::Parts,
    pub(super) first: Option<Bytes>,
    /// `None` when all has come.
    pub(super) rest: Option<reqwest::Body>,
}

/// Hands a request on; returns with the first byte of the answer.
///
/// # Errors
/// Nobody has answered.
pub async fn relay(parts: &Parts, tab: Tab, mut outgoing: Outgoing<'_>) -> Result<Response<Body>, Box<Unserved>> {
    let asking = Asking {
        protocol: outgoing.protocol,
        headers: std::mem::take(&mut outgoing.headers),
        query: outgoing.query,
        body: outgoing.peek.for_vendor(tab.dialect, &tab.model.model, outgoing.body),
    };
    match ask(parts, &tab, asking).await {
        Ok((Answered::Begun(begun), slot)) => Ok(answer(parts, tab, &outgoing, *begun, slot)),
        Ok((Answered::Refused(refused), _)) => Err(Unserved::new(tab, *refused)),
        Err(refusal) => Err(Unserved::new(tab, refusal)),
    }
}

/// How a vendor answered.
pub(super) enum Answered {
    Begun(Box<Begun>),
    /// With an error.
    Refused(Box<Told>),
}

/// A vendor's error as it may be told.
pub(super) struct Told {
    pub(super) response: Response<Body>,
    /// Set where it says that the vendor has no room now.
    pub(super) lack: Option<ErrorKind>,
}

/// One request to the vendor in an exchange.
pub(super) struct Asking<'a> {
    /// As the vendor speaks it.
    pub(super) protocol: Protocol,
    /// The client's own headers.
    pub(super) headers: HeaderMap,
    /// What the address asks for beside its path.
    pub(super) query: Option<&'a str>,
    /// As the vendor gets it.
    pub(super) body: Bytes,
}

/// Asks the vendor; returns with the first byte of the answer.
pub(super) async fn ask(parts: &Parts, tab: &Tab, asking: Asking<'_>) -> Result<(Answered, Slot), Refusal> {
    let provider = &*tab.model.provider;
    // First, so that nothing is set aside for those who wait.
    let slot = parts
        .health
        .admission
        .enter(provider, Some(tab.caller.user))
        .await
        .map_err(|busy| {
            let text = format!("The provider {} has no room now: {busy}.", provider.name);
            Refusal::new(Reason::Unavailable, text)
                .after(busy.retry_after())
                .lacking(ErrorKind::Overloaded)
        })?;
    tab.reserve().await?;
    let permit = admit(parts, tab)?;
    let url = asking
        .protocol
        .url(provider.kind, &provider.base_url, tab.dialect.path());
    let mut url = url.ok_or_else(|| Refusal::new(Reason::Internal, "This provider is not spoken to in that way."))?;
    add_query(&mut url, asking.query);
    let mut headers = headers::for_vendor(asking.headers, tab.brings_key);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let call = Call {
        parts,
        provider,
        protocol: asking.protocol,
        method: Method::POST,
        url,
        headers,
        body: asking.body,
        first_by: Instant::now() + parts.guards.startup_at(&provider.base_url),
    };
    let mut keys = Keys::of(parts, provider, tab.brings_key)?;
    loop {
        let response = call.send(keys.current()).await;
        record(&permit, &response);
        let response = response.map_err(|unanswered| unanswered.refusal)?;
        if response.status().is_success() {
            keys.accepted();
            tab.accepted();
            let begun = begin(&call, response).await?;
            return Ok((Answered::Begun(Box::new(begun)), slot));
        }
        let error = VendorError::read(parts, provider, response).await;
        if !keys.turn(&error, tab.configured_model().is_some()) {
            let lack = error.lack(provider);
            let response = error.told(provider, keys.current())?;
            return Ok((Answered::Refused(Box::new(Told { response, lack })), slot));
        }
    }
}

/// Asks the breaker.
fn admit(parts: &Parts, tab: &Tab) -> Result<Permit, Refusal> {
    let provider = &tab.model.provider;
    let target = Target {
        provider: provider.id,
        provider_name: provider.name.clone(),
        // Those that nobody configured share one breaker: clients make up their names.
        model: tab.configured_model().unwrap_or(UNCONFIGURED).to_owned(),
    };
    parts.health.breakers.admit(&target).map_err(|open| {
        if tab.configured_model().is_some() {
            parts.service_metrics.breaker_rejected(&tab.model);
        }
        let text = format!(
            "The provider {} is left alone for a moment, since {open}.",
            provider.name
        );
        Refusal::new(Reason::Unavailable, text)
            .after(open.retry_after)
            .lacking(ErrorKind::Overloaded)
    })
}

/// Tells the breaker what an answer says of the vendor's capacity. A guard of ours, and a connection that broke, say nothing.
fn record(permit: &Permit, response: &Result<reqwest::Response, Unanswered>) {
    match response {
        Ok(response) if breaker::is_unavailable(response.status().as_u16()) => {
            permit.record(Outcome::Unavailable, &format!("status {}", response.status().as_u16()));
        }
        Ok(_) => permit.record(Outcome::Answered, ""),
        Err(unanswered) if unanswered.is_connect => {
            permit.record(Outcome::Unavailable, &unanswered.refusal.message);
        }
        Err(_) => {}
    }
}

/// Waits for the first piece of an accepted answer.
async fn begin(call: &Call<'_>, response: reqwest::Response) -> Result<Begun, Refusal> {
    let (head, mut rest) = http::Response::<reqwest::Body>::from(response).into_parts();
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut rest).poll_frame(cx));
        let first = match timeout_at(call.first_by, frame).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if !data.is_empty() => Some(data),
                Ok(_) | Err(_) => continue,
            },
            Ok(Some(Err(error))) => return Err(unanswered(call.provider, error).refusal),
            Err(_) => return Err(call.too_slow()),
        };
        let (first, rest) = match first {
            None => (None, None),
            // The next event is still to be thought of.
            Some(first) if headers::is_events(&head.headers) => (Some(first), Some(rest)),
            Some(first) => {
                let (first, rest) = what_has_come(first, rest).await;
                (Some(first), rest)
            }
        };
        return Ok(Begun { head, first, rest });
    }
}

/// What of a document has come by now, and the rest if there is one: most come in one piece, and nobody has to wait for more then. One that
/// has broken off has its error as the rest, for whoever knows whether everything had been said.
async fn what_has_come(first: Bytes, mut rest: reqwest::Body) -> (Bytes, Option<reqwest::Body>) {
    let mut come = first;
    // A vendor that is always faster is not waited for either.
    while come.len() < MAX_COME_BYTES {
        if rest.is_end_stream() {
            return (come, None);
        }
        let frame = std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut rest).poll_frame(cx))).await;
        match frame {
            Poll::Ready(None) => return (come, None),
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    come = Bytes::from([come, data].concat());
                }
            }
            Poll::Ready(Some(Err(error))) => {
                let broken = futures::stream::iter([Err::<Bytes, _>(error)]);
                return (come, Some(reqwest::Body::wrap_stream(broken)));
            }
            Poll::Pending => break,
        }
    }
    (come, Some(rest))
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
    let body = match rest {
        Some(rest) => Body::relayed(Flow::new(parts, tab, sniffer, first, rest, slot)),
        None => {
            let mut whole = sniffer.push(first.unwrap_or_default());
            let held = sniffer.finish();
            if !held.is_empty() {
                whole = Bytes::from([whole, held].concat());
            }
            let heard = sniffer.heard();
            let is_complete = !heard.has_failed;
            tab.close(heard, is_complete);
            Body::full(whole)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

fn sniffer(parts: &Parts, dialect: Dialect, peek: &Peek<'_>, headers: &HeaderMap) -> Sniffer {
    if !headers::is_plain(headers) {
        return Sniffer::opaque(dialect);
    }
    if headers::is_events(headers) {
        Sniffer::events(dialect, parts.recorder.is_on(), peek.adds_usage(dialect))
    } else {
        Sniffer::document(dialect, parts.recorder.is_on())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::{Stream, StreamExt as _, stream};

    use super::*;

    /// What has come of a document whose first piece is `<`, and the rest.
    async fn come(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> (Bytes, Option<reqwest::Body>) {
        what_has_come(Bytes::from_static(b"<"), reqwest::Body::wrap_stream(pieces)).await
    }

    fn pieces() -> impl Stream<Item = io::Result<Bytes>> {
        stream::iter(["a", "b"].map(|piece| Ok(Bytes::from(piece))))
    }

    #[tokio::test]
    async fn of_a_document_is_taken_what_has_come_and_nobody_waits_for_more() {
        let (whole, rest) = come(stream::empty()).await;
        assert_eq!((&whole[..], rest.is_some()), (&b"<"[..], false));
        let (whole, rest) = come(pieces()).await;
        assert_eq!((&whole[..], rest.is_some()), (&b"<ab"[..], false));
        let (begun, rest) = come(pieces().chain(stream::pending())).await;
        assert_eq!((&begun[..], rest.is_some()), (&b"<ab"[..], true));
    }

    #[tokio::test]
    async fn what_came_of_a_document_before_it_broke_off_stays_and_so_does_the_error() {
        let (begun, rest) = come(pieces().chain(stream::iter([Err(io::Error::other("gone"))]))).await;
        assert_eq!(begun, "<ab");
        let mut rest = rest.unwrap();
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut rest).poll_frame(cx)).await;
        let error = frame.unwrap().unwrap_err();
        assert!(crate::outbound::chain(&error).contains("gone"), "{error:?}");
    }

    #[tokio::test]
    async fn a_vendor_that_is_always_faster_is_not_waited_for() {
        let piece = Bytes::from(vec![b' '; 10_000]);
        let (come, rest) = come(stream::repeat_with(move || Ok(piece.clone()))).await;
        assert_eq!((come.len(), rest.is_some()), (70_001, true));
    }
}
