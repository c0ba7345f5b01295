//! Reads the body of an answer and hands out what its protocol makes of it.
//!
//! Owns the end: what a broken connection, a missing end mark and bytes behind the end mean. It does not wait for the first byte or
//! through silences; those guards are [`crate::completion::task`]'s.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tandem_chat_core::classify::Cause;
use tokio::time::{Instant, timeout_at};

use super::unanswered;
use crate::provider::{
    Delta, Failure,
    body::{Answer, Parser},
};

/// How long the end is waited for once the model has said that it stopped.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// An answer on its way.
struct Reading<S, A> {
    body: S,
    /// `None` after the end.
    parser: Option<Parser<A>>,
    ready: VecDeque<Result<Delta, Failure>>,
    /// When the end is not waited for any longer; set once the model has finished.
    ends_at: Option<Instant>,
}

/// The increments of a body, as `parser` understands them.
pub(super) fn deltas<S, A>(body: S, parser: Parser<A>) -> impl Stream<Item = Result<Delta, Failure>> + Send + 'static
where
    A: Answer,
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
{
    let reading = Reading {
        body,
        parser: Some(parser),
        ready: VecDeque::new(),
        ends_at: None,
    };
    futures::stream::unfold(reading, |mut reading| async move {
        let next = reading.next().await?;
        Some((next, reading))
    })
}

impl<S, A> Reading<S, A>
where
    A: Answer,
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    async fn next(&mut self) -> Option<Result<Delta, Failure>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let Some(mut parser) = self.parser.take() else {
                return self.drain().await;
            };
            let mut deltas = Vec::new();
            if parser.is_finished() {
                self.ends_at.get_or_insert_with(|| Instant::now() + AFTER_FINISH);
            }
            let outcome = match self.read().await {
                Ok(Some(bytes)) => parser.push(&bytes, &mut deltas).map(|()| Some(parser)),
                Ok(None) => parser.finish(&mut deltas).map(|()| None),
                Err(broken) => match parser.finish(&mut deltas) {
                    Ok(()) => Ok(None),
                    // The way it broke says more than that it is incomplete.
                    Err(failure) if failure.cause == Cause::Truncated => Err(broken),
                    Err(failure) => Err(failure),
                },
            };
            self.ready.extend(deltas.into_iter().map(Ok));
            match outcome {
                Ok(Some(parser)) if parser.is_done() => self.end(parser),
                Ok(parser) => self.parser = parser,
                Err(failure) => self.ready.push_back(Err(failure)),
            }
        }
    }

    fn end(&mut self, parser: Parser<A>) {
        let mut deltas = Vec::new();
        let outcome = parser.finish(&mut deltas);
        self.ready.extend(deltas.into_iter().map(Ok));
        if let Err(failure) = outcome {
            self.ready.push_back(Err(failure));
        }
    }

    /// More of the body. `None` is its end, or what counts as one: nothing of use after the model has finished.
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = match self.ends_at {
            Some(ends_at) => timeout_at(ends_at, self.body.next()).await.unwrap_or(None),
            None => self.body.next().await,
        };
        next.transpose().map_err(|error| Failure {
            is_connect: false,
            ..unanswered(error)
        })
    }

    /// Reads what follows the end, usually nothing, so that the connection can be used again.
    async fn drain(&mut self) -> Option<Result<Delta, Failure>> {
        while let Some(Ok(_)) = self.body.next().await {}
        None
    }
}
