//! Plays a rendered response on the socket: sends, waits and goes wrong at the scripted bytes.
//!
//! One future's worth of state per response and no task of its own: the connection polls it.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::{
    gate::Gates,
    io::Wire,
    log::Ticket,
    record::Outcome,
    render::{Response, Step},
    reply::{Fault, FaultKind},
};

/// The gate that ends every stall.
pub(super) const STALL_GATE: &str = "stalls";
/// What a server sends to keep an idle stream open.
const PING: &[u8] = b": keep-alive\n\n";

/// The body of one response.
pub(super) struct ReplyBody {
    bytes: Bytes,
    /// Bytes of `bytes` handed over so far.
    position: usize,
    steps: VecDeque<Step>,
    faults: VecDeque<Fault>,
    write_bytes: Option<usize>,
    /// The announced length, if it is announced.
    announced: Option<u64>,
    wait: Wait,
    /// The next thing to happen is the end of the connection, by a reset or not.
    cut: Option<bool>,
    faulted: bool,
    gates: Arc<Gates>,
    wire: Arc<Wire>,
    ticket: Ticket,
}

/// What has to happen before the body goes on.
enum Wait {
    Nothing,
    Sleep(Pin<Box<Sleep>>),
    Gate(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// A flush later than this one.
    Flush(u64),
}

impl ReplyBody {
    pub fn new(response: &mut Response, gates: Arc<Gates>, wire: Arc<Wire>, ticket: Ticket) -> Self {
        let faults: VecDeque<Fault> = std::mem::take(&mut response.faults).into();
        let inserted: usize = faults
            .iter()
            .map(|fault| match &fault.kind {
                FaultKind::Garbage { bytes } => bytes.len(),
                FaultKind::Cut { .. } | FaultKind::Stall { .. } => 0,
            })
            .sum();
        let bytes = std::mem::take(&mut response.body);
        Self {
            announced: response.sized.then_some((bytes.len() + inserted) as u64),
            bytes,
            position: 0,
            steps: std::mem::take(&mut response.steps).into(),
            faults,
            write_bytes: response.write_bytes,
            wait: Wait::Nothing,
            cut: None,
            faulted: false,
            gates,
            wire,
            ticket,
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wait {
            Wait::Nothing => {}
            Wait::Sleep(sleep) => ready!(sleep.as_mut().poll(cx)),
            Wait::Gate(gate) => ready!(gate.as_mut().poll(cx)),
            Wait::Flush(seen) => ready!(self.wire.poll_flushed(*seen, cx)),
        }
        self.wait = Wait::Nothing;
        Poll::Ready(())
    }

    fn pass(&self, gate: String) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Arc::clone(&self.gates).pass(gate))
    }

    /// The fault at the current position, if there is one.
    fn next_fault(&mut self) -> Option<Event> {
        let position = self.position;
        let fault = self.faults.pop_front_if(|fault| fault.at_byte <= position)?;
        Some(match fault.kind {
            FaultKind::Garbage { bytes } => Event::Bytes(Bytes::from(bytes)),
            FaultKind::Cut { reset } => {
                // What came before must have left first: a reset throws away what has not.
                self.cut = Some(reset);
                self.wait = Wait::Flush(self.wire.flushes());
                Event::Waiting
            }
            FaultKind::Stall { ping_ms: None } => {
                self.wait = Wait::Gate(self.pass(STALL_GATE.to_owned()));
                Event::Waiting
            }
            FaultKind::Stall { ping_ms: Some(every) } => {
                let (at_byte, kind) = (fault.at_byte, fault.kind);
                self.faults.push_front(Fault { at_byte, kind });
                self.wait = Wait::Sleep(Box::pin(tokio::time::sleep(Duration::from_millis(every))));
                Event::Bytes(Bytes::from_static(PING))
            }
        })
    }

    /// The next piece of the body: as much as can go at once.
    fn next_step(&mut self) -> Event {
        let mut end = self.position;
        let mut tokens = 0;
        let bound = self.faults.front().map_or(usize::MAX, |fault| fault.at_byte);
        let bound = bound.min(self.write_bytes.map_or(usize::MAX, |n| self.position + n));
        while let Some(step) = self.steps.front() {
            match step {
                Step::Send { end: to, .. } if *to > bound => {
                    end = bound;
                    break;
                }
                Step::Send { end: to, tokens: n } => {
                    (end, tokens) = (*to, tokens + n);
                    self.steps.pop_front();
                }
                Step::Pause(_) | Step::Gate(_) if end > self.position => break,
                Step::Pause(delay) => {
                    self.wait = Wait::Sleep(Box::pin(tokio::time::sleep(*delay)));
                    self.steps.pop_front();
                    return Event::Waiting;
                }
                Step::Gate(name) => {
                    self.wait = Wait::Gate(self.pass(name.clone()));
                    self.steps.pop_front();
                    return Event::Waiting;
                }
            }
        }
        if end == self.position {
            return Event::End;
        }
        let piece = self.bytes.slice(self.position..end);
        self.position = end;
        self.ticket.sent(tokens, piece.len());
        if self.write_bytes.is_some() {
            self.wait = Wait::Flush(self.wire.flushes());
        }
        Event::Bytes(piece)
    }
}

/// What polling the body comes to.
enum Event {
    Bytes(Bytes),
    Waiting,
    End,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            ready!(self.poll_wait(cx));
            if let Some(reset) = self.cut {
                self.faulted = true;
                if reset {
                    self.wire.reset_on_close();
                }
                let error = io::Error::other("the script cuts the connection here");
                return Poll::Ready(Some(Err(error)));
            }
            let event = match self.next_fault() {
                Some(event) => event,
                None => self.next_step(),
            };
            match event {
                Event::Bytes(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Event::Waiting => {}
                Event::End => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ReplyBody {
    /// The connection drops the body when it is sent and when the client is gone; which one it was is told here.
    fn drop(&mut self) {
        self.ticket.close(if self.faulted {
            Outcome::Cut
        } else if self.steps.is_empty() && self.faults.is_empty() {
            Outcome::Completed
        } else {
            Outcome::Disconnected
        });
    }
}
