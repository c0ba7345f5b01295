//! Reads the body of an answer and hands out what its protocol makes of it.
//!
//! Owns the end: what a broken connection, a missing end mark and bytes behind the end mean. It does not wait for the first byte or
//! through silences; those guards are [`crate::call::task`]'s.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tandem_chat_core::{classify::Cause, error::ErrorKind};
use tokio::time::{Instant, timeout_at};

use super::unanswered;
use crate::{
    Delta, Failure,
    body::{Answer, Parser},
};

/// How long the end is waited for once the model has said that it stopped.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// How much may come without saying anything. What keeps a connection open is a few bytes each time, and what vendors repeat of a request is
/// no longer than one; somebody who sends more has no answer, and would keep a processor busy for as long as it may take.
const MAX_SILENT_BYTES: usize = 64 * 1024 * 1024;

/// An answer on its way.
struct Reading<S, A> {
    body: S,
    /// `None` after the end.
    parser: Option<Parser<A>>,
    ready: VecDeque<Result<Delta, Failure>>,
    /// When the end is not waited for any longer; set once the model has finished.
    ends_at: Option<Instant>,
    /// What has come since it said something.
    silent_bytes: usize,
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
        silent_bytes: 0,
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
                Ok(Some(bytes)) => {
                    self.silent_bytes += bytes.len();
                    parser.push(&bytes, &mut deltas).map(|()| Some(parser))
                }
                Ok(None) => parser.finish(&mut deltas).map(|()| None),
                Err(broken) => match parser.finish(&mut deltas) {
                    Ok(()) => Ok(None),
                    // The way it broke says more than that it is incomplete.
                    Err(failure) if failure.cause == Cause::Truncated => Err(broken),
                    Err(failure) => Err(failure),
                },
            };
            if !deltas.is_empty() {
                self.silent_bytes = 0;
            }
            self.ready.extend(deltas.into_iter().map(Ok));
            match outcome {
                Ok(Some(_)) if self.silent_bytes > MAX_SILENT_BYTES => {
                    let text = format!("{MAX_SILENT_BYTES} bytes came that say nothing");
                    let silent = Failure::known(ErrorKind::StreamSilenceTimeout, text);
                    self.ready.push_back(Err(silent));
                }
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::sse::SseEvent;

    /// Says a word for each event, and never ends.
    struct Words;

    impl Answer for Words {
        const FORMAT: &'static str = "words";

        fn event(&mut self, _: &SseEvent, _: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
            deltas.push(Delta::Text("word".to_owned()));
            Ok(())
        }

        fn document(&mut self, _: &str, _: &mut Vec<Delta>) -> Result<(), Failure> {
            Ok(())
        }

        fn is_done(&self) -> bool {
            false
        }

        fn is_finished(&self) -> bool {
            false
        }

        fn finish(self, _: &mut Vec<Delta>) -> Result<(), Failure> {
            Ok(())
        }
    }

    const PIECE_BYTES: usize = 1024 * 1024;

    /// The same piece for ever, and how many of them were read.
    fn endless(piece: Bytes) -> (impl Stream<Item = Result<Delta, Failure>>, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let body = futures::stream::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(piece.clone())
        });
        (deltas(body, Parser::of(Words)), read)
    }

    #[tokio::test]
    async fn whoever_sends_for_ever_and_says_nothing_is_left() {
        let line = [b": ", " ".repeat(1021).as_bytes(), b"\n"].concat();
        let (deltas, read) = endless(Bytes::from(line.repeat(PIECE_BYTES / line.len())));
        let mut deltas = std::pin::pin!(deltas);
        let failure = deltas.next().await.unwrap().unwrap_err();
        assert_eq!(failure.cause, Cause::Known(ErrorKind::StreamSilenceTimeout));
        assert_eq!(read.load(Ordering::Relaxed), MAX_SILENT_BYTES / PIECE_BYTES + 1);
    }

    #[tokio::test]
    async fn whoever_says_something_now_and_then_is_heard() {
        let said = [b": ", " ".repeat(PIECE_BYTES).as_bytes(), b"\ndata: x\n\n"].concat();
        let (deltas, _) = endless(Bytes::from(said));
        let heard: Vec<_> = deltas.take(MAX_SILENT_BYTES / PIECE_BYTES + 10).collect().await;
        assert!(heard.iter().all(Result::is_ok));
    }
}
