//! The rounds of an exchange whose vendor speaks the client's dialect.
//!
//! Every round passes the doors an exchange passes: room at the provider, spend limit, breaker, keys. Nothing is held at the provider
//! while tools run. What a round has used is paid when it ends, before its tools run, whatever becomes of them and of the next one.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use hyper::body::Body as _;
use tandem_protocols::Protocol;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Offer,
    answer::{Stitch, stitch},
    budget::Budget,
    frames::Frames,
    may_mean_tools,
    request::Draft,
};
use crate::{
    admission::Slot,
    bridge::{
        Parts,
        body::{Body, Collected},
        headers,
        refusal::{Reason, Refusal},
        relay::{Answered, Asking, Begun, ask},
        serve::Unserved,
        sniff::{Sniffer, cut},
        tab::Tab,
        translate::ping,
        vendor::unanswered,
    },
};

/// Longest answer of one round, in bytes as they come.
const MAX_ROUND_BYTES: usize = 64 * 1024 * 1024;

/// The same of one that comes whole.
const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// Pieces of an answer that wait for the client.
const MAX_WAITING: usize = 32;

/// Silence after which a stream says that the answer is still coming.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Longest part of a vendor's error that is told in a stream.
const MAX_SAID_BYTES: usize = 1024;

/// An exchange that is given tools.
pub(in crate::bridge) struct Given {
    pub(in crate::bridge) tab: Tab,
    pub(in crate::bridge) offer: Offer,
    /// The request, without the tools yet.
    pub(in crate::bridge) draft: Draft,
    /// As the vendor speaks it.
    pub(in crate::bridge) protocol: Protocol,
    /// The client's own headers.
    pub(in crate::bridge) headers: HeaderMap,
    /// What the address asks for beside its path.
    pub(in crate::bridge) query: Option<String>,
    /// The client has not asked for a stream's usage.
    pub(in crate::bridge) strips_usage: bool,
    /// Keeps the room that the body takes.
    pub(in crate::bridge) body: Arc<Collected>,
}

/// What is left of an exchange that nobody has answered.
pub(in crate::bridge) enum Left {
    /// The vendor does not take it with tools.
    Declined(Box<Declined>),
    /// It has not answered at all.
    Unserved(Box<Unserved>),
}

/// What is left of an exchange that the vendor does not take with tools.
pub(in crate::bridge) struct Declined {
    pub(in crate::bridge) tab: Tab,
    pub(in crate::bridge) headers: HeaderMap,
}

/// Why the rounds ended too soon.
enum Trouble {
    Ours(Refusal),
    /// The vendor's own error, told as it may be told.
    Theirs(Box<Response<Body>>),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Ours(refusal)
    }
}

/// The exchange, under way. Dropped, it is closed with what it came to.
struct Running {
    parts: Arc<Parts>,
    tab: Tab,
    offer: Arc<Offer>,
    draft: Draft,
    stitch: Box<dyn Stitch>,
    budget: Budget,
    protocol: Protocol,
    headers: HeaderMap,
    query: Option<String>,
    /// Of this round.
    sniffer: Sniffer,
    /// A whole answer that is not understood: it goes on as it came.
    unread: Option<Bytes>,
    ends_at: Instant,
    _body: Arc<Collected>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close(false);
    }
}

/// Hands a request on with tools; returns with the first byte of the answer, or with all of it.
///
/// # Errors
/// The vendor does not take it so, or at all; nothing has been answered, and nothing used.
pub(in crate::bridge) async fn relay(parts: &Arc<Parts>, given: Given) -> Result<Response<Body>, Left> {
    let Given {
        tab,
        offer,
        mut draft,
        protocol,
        headers,
        query,
        strips_usage,
        body,
    } = given;
    draft.add_tools(&offer);
    let asking = Asking {
        protocol,
        headers: headers.clone(),
        query: query.as_deref(),
        body: draft.bytes(),
    };
    Err(match ask(parts, &tab, asking).await {
        Ok((Answered::Begun(begun), slot)) => {
            let offer = Arc::new(offer);
            let running = Running {
                parts: Arc::clone(parts),
                stitch: stitch(tab.dialect, &offer, strips_usage),
                sniffer: Sniffer::opaque(tab.dialect),
                tab,
                offer,
                draft,
                budget: Budget::new(),
                protocol,
                headers,
                query,
                unread: None,
                ends_at: Instant::now() + parts.guards.total,
                _body: body,
            };
            return Ok(running.answer(*begun, slot).await);
        }
        Ok((Answered::Refused(refused), _)) if may_mean_tools(refused.response.status().as_u16()) => {
            let status = refused.response.status().as_u16();
            tracing::info!(
                status,
                model = tab.model.model,
                "a vendor does not take a request with injected tools; it is asked without"
            );
            Left::Declined(Box::new(Declined { tab, headers }))
        }
        Ok((Answered::Refused(refused), _)) => Left::Unserved(Unserved::new(tab, *refused)),
        Err(refusal) => Left::Unserved(Unserved::new(tab, refusal)),
    })
}

impl Running {
    async fn answer(mut self, begun: Begun, slot: Slot) -> Response<Body> {
        let status = begun.head.status;
        let mut headers = headers::for_client(begun.head.headers.clone());
        headers.remove(header::CONTENT_LENGTH);
        let body = if headers::is_events(&begun.head.headers) {
            let unbuffered = HeaderName::from_static("x-accel-buffering");
            headers.insert(unbuffered, HeaderValue::from_static("no"));
            self.tab.answered(status.as_u16());
            let (sender, pieces) = mpsc::channel(MAX_WAITING);
            tokio::spawn(self.stream(begun, slot, sender));
            Body::told(futures::stream::unfold(pieces, |mut pieces| async move {
                let piece = pieces.recv().await?;
                Some((piece, pieces))
            }))
        } else {
            let ends_at = self.ends_at;
            let ended = timeout_at(ends_at, self.rounds(begun, slot, None)).await;
            match ended.unwrap_or_else(|_| Err(self.too_long().into())) {
                Ok(()) => {
                    self.tab.answered(status.as_u16());
                    let is_complete = !self.sniffer.heard().has_failed;
                    let whole = self.unread.take().unwrap_or_else(|| self.stitch.whole());
                    self.close(is_complete);
                    Body::full(whole)
                }
                Err(trouble) => return self.failed(trouble),
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// A later round failed, and nothing has been told yet.
    fn failed(&mut self, trouble: Trouble) -> Response<Body> {
        let response = match trouble {
            Trouble::Theirs(response) => *response,
            Trouble::Ours(refusal) => {
                self.parts.metrics.refused(refusal.reason.as_str());
                refusal.response(self.tab.dialect.family())
            }
        };
        self.tab.answered(response.status().as_u16());
        response
    }

    /// Tells the client as it comes, until the end or until it leaves.
    async fn stream(mut self, begun: Begun, slot: Slot, client: mpsc::Sender<Bytes>) {
        let ends_at = self.ends_at;
        let telling = async {
            let ended = self.rounds(begun, slot, Some(&client)).await;
            let mut last = Vec::new();
            let is_complete = match ended {
                Ok(()) => {
                    self.stitch.finish(&mut last);
                    !self.sniffer.heard().has_failed
                }
                Err(trouble) => {
                    let refusal = told(trouble).await;
                    self.note(&refusal);
                    last.extend_from_slice(&refusal.event(self.tab.dialect));
                    false
                }
            };
            // A client that has read the last words leaves.
            self.close(is_complete);
            // One that has left reads nothing.
            let _ = client.send(Bytes::from(last)).await;
        };
        let told = tokio::select! {
            () = client.closed() => return,
            told = timeout_at(ends_at, telling) => told,
        };
        if told.is_err() {
            let refusal = self.too_long();
            self.note(&refusal);
            // Who has not read for so long does not wait for this.
            let _ = client.try_send(refusal.event(self.tab.dialect));
        }
    }

    fn note(&self, refusal: &Refusal) {
        tracing::info!(
            provider = self.tab.model.provider.name,
            model = self.tab.model.model,
            reason = refusal.reason.as_str(),
            "a bridged answer with injected tools broke off"
        );
    }

    fn too_long(&self) -> Refusal {
        let limit = self.parts.guards.total.as_secs();
        Refusal::new(Reason::TooSlow, format!("The answer took longer than {limit} seconds."))
    }

    /// Asks and runs tools until the model has answered, or calls the client's own tools.
    async fn rounds(
        &mut self,
        mut begun: Begun,
        mut slot: Slot,
        client: Option<&mpsc::Sender<Bytes>>,
    ) -> Result<(), Trouble> {
        let dialect = self.tab.dialect;
        let mut is_last = false;
        loop {
            self.read(begun, client).await?;
            drop(slot);
            let round = self.stitch.round();
            if round.calls.is_empty() || is_last {
                return Ok(());
            }
            let Some(injector) = &self.parts.injector else {
                return Ok(());
            };
            // Tools may take minutes, for which what is set aside is in the way of the user's other calls.
            let heard = std::mem::take(self.sniffer.heard());
            self.sniffer = Sniffer::opaque(dialect);
            self.tab.pay_round(heard);
            let running = self.budget.run(injector, &self.offer, round.calls);
            let done = with_pings(running, dialect, client).await;
            self.offer.mark(self.tab.earlier(), &done);
            self.draft.add_round(round.said, &done);
            if !self.budget.has_more() {
                self.draft.forbid_tools();
                is_last = true;
            }
            let body = self.draft.bytes();
            self.stitch.again();
            let asking = async {
                self.tab.ask_again(body.len()).await;
                let asking = Asking {
                    protocol: self.protocol,
                    headers: self.headers.clone(),
                    query: self.query.as_deref(),
                    body,
                };
                ask(&self.parts, &self.tab, asking).await
            };
            (begun, slot) = match with_pings(asking, dialect, client).await? {
                (Answered::Begun(begun), slot) => (*begun, slot),
                (Answered::Refused(refused), _) => return Err(Trouble::Theirs(Box::new(refused.response))),
            };
        }
    }

    /// Reads a round's answer to its end.
    async fn read(&mut self, begun: Begun, client: Option<&mpsc::Sender<Bytes>>) -> Result<(), Trouble> {
        let Begun { head, mut first, rest } = begun;
        let mut rest = rest.unwrap_or_default();
        let (dialect, keeps) = (self.tab.dialect, self.parts.recorder.is_on());
        let is_events = headers::is_events(&head.headers);
        if !headers::is_plain(&head.headers) || is_events != client.is_some() {
            let text = "The vendor answered in a form that was not asked for.";
            return Err(Refusal::new(Reason::Upstream, text).into());
        }
        self.sniffer = if is_events {
            Sniffer::events(dialect, keeps, false)
        } else {
            Sniffer::document(dialect, keeps)
        };
        let limit = if is_events { MAX_ROUND_BYTES } else { MAX_DOCUMENT_BYTES };
        let (mut frames, mut whole, mut length) = (Frames::default(), Vec::new(), 0);
        loop {
            let piece = match first.take() {
                Some(first) => first,
                None => match self.piece(&mut rest).await {
                    Ok(Some(piece)) => piece,
                    // Everything had been said.
                    Err(_) if self.sniffer.heard().is_complete => break,
                    Ok(None) => break,
                    Err(refusal) => return Err(refusal.into()),
                },
            };
            length += piece.len();
            if length > limit {
                return Err(Refusal::new(Reason::Upstream, "The vendor's answer is too long.").into());
            }
            let piece = self.sniffer.push(piece);
            if !is_events {
                whole.extend_from_slice(&piece);
                continue;
            }
            let mut out = Vec::new();
            for frame in frames.push(&piece)? {
                self.stitch.event(&frame, &mut out);
            }
            send(client, out).await;
        }
        let _ = self.sniffer.finish();
        if let Some(frame) = frames.finish() {
            let mut out = Vec::new();
            self.stitch.event(&frame, &mut out);
            send(client, out).await;
        }
        if !is_events && self.stitch.document(&whole).is_none() {
            self.unread = Some(Bytes::from(whole));
        }
        Ok(())
    }

    /// The next piece of a round.
    async fn piece(&self, rest: &mut reqwest::Body) -> Result<Option<Bytes>, Refusal> {
        let silence = self.parts.guards.silence;
        let reading = async {
            loop {
                match std::future::poll_fn(|cx| std::pin::Pin::new(&mut *rest).poll_frame(cx)).await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(unanswered(&self.tab.model.provider, error).refusal),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            }
        };
        timeout(silence, reading).await.unwrap_or_else(|_| {
            let text = format!("No part of the answer came for {} seconds.", silence.as_secs());
            Err(Refusal::new(Reason::TooSlow, text))
        })
    }

    /// Ends the exchange; only the first time counts.
    fn close(&mut self, is_complete: bool) {
        // A stream that was left in its middle has been heard so far.
        let _ = self.sniffer.finish();
        self.offer.mark(self.tab.earlier(), &[]);
        self.offer.mark(self.sniffer.heard(), &[]);
        self.tab.close(self.sniffer.heard(), is_complete);
    }
}

async fn send(client: Option<&mpsc::Sender<Bytes>>, out: Vec<u8>) {
    if let Some(client) = client.filter(|_| !out.is_empty()) {
        // Whoever has left is noticed elsewhere.
        let _ = client.send(Bytes::from(out)).await;
    }
}

/// Waits for something, and says now and then that the answer is still coming.
async fn with_pings<T>(
    work: impl Future<Output = T>,
    dialect: crate::bridge::dialect::Dialect,
    client: Option<&mpsc::Sender<Bytes>>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match timeout(PING_INTERVAL, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => {
                if let Some(client) = client {
                    // One that does not read needs no telling.
                    let _ = client.try_send(ping(dialect));
                }
            }
        }
    }
}

/// What went wrong, for a stream that has begun.
async fn told(trouble: Trouble) -> Refusal {
    let response = match trouble {
        Trouble::Ours(refusal) => return refusal,
        Trouble::Theirs(response) => response,
    };
    let status = response.status();
    let mut body = response.into_body();
    let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
    let said = frame
        .and_then(Result::ok)
        .and_then(|frame| frame.into_data().ok())
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let reason = match status.as_u16() {
        429 => Reason::RateLimited,
        503 | 529 => Reason::Unavailable,
        _ => Reason::Upstream,
    };
    let text = format!(
        "The provider answered with status {}: {}",
        status.as_u16(),
        cut(&said, MAX_SAID_BYTES)
    );
    Refusal::new(reason, text)
}
