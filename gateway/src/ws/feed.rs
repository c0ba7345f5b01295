//! What a view is fed from: a stream of the orchestrator's, taken up again at the last cursor when it breaks. The
//! reader notices at most a pause.

use std::time::Duration;

use tandem_chassis::status::{Code, Fault};
use tokio::time::sleep;
use tonic::Streaming;

use crate::metrics::View;

/// Attempts to take a broken stream up again before the reader is sent away, and the pauses between them: half a
/// minute in all, longer than an orchestrator takes to restart.
const MAX_ATTEMPTS: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One kind of view: where its batches come from, and how readers see them.
pub trait Source: Send + Sync + 'static {
    /// What the orchestrator sends.
    type Batch: Send + 'static;

    /// How it is counted.
    const VIEW: View;

    /// Whether it can be opened again without a cursor and nothing be missed.
    const HAS_SNAPSHOT: bool;

    /// Opens the stream behind `cursor`; empty for its beginning.
    fn open(&self, cursor: &str) -> impl Future<Output = Result<Streaming<Self::Batch>, Fault>> + Send;

    /// The cursor behind `batch`, if it has one.
    fn cursor(batch: &Self::Batch) -> Option<String>;

    /// `batch` as text frames of a socket.
    fn frames(&self, batch: Self::Batch) -> Vec<String>;

    /// `batch` as server-sent events: id and data.
    fn events(&self, batch: Self::Batch) -> Vec<(Option<String>, String)>;

    /// A sign of life that carries the server's clock, as a frame of a socket.
    fn heartbeat_frame(&self, server_time: String) -> String;

    /// The same as the data of a server-sent event.
    fn heartbeat_data(&self, server_time: String) -> String;

    /// What a reader of a socket has said; the frames that answer it. `None`: this view does not listen, and who speaks is sent away.
    fn heard(&self, _text: &str) -> impl Future<Output = Option<Vec<String>>> + Send {
        std::future::ready(None)
    }
}

/// An open view.
pub struct Feed<S: Source> {
    source: S,
    current: Option<Streaming<S::Batch>>,
    cursor: String,
    failures: u32,
}

impl<S: Source> Feed<S> {
    /// Opens `source` behind `cursor`.
    ///
    /// # Errors
    /// Whatever the orchestrator says: no such chat, a cursor it cannot read.
    pub async fn open(source: S, cursor: String) -> Result<Self, Fault> {
        let current = source.open(&cursor).await?;
        Ok(Self {
            source,
            current: Some(current),
            cursor,
            failures: 0,
        })
    }

    /// How readers see it.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The next batch, once there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What cannot be cured by trying again, or not within half a minute.
    pub async fn next(&mut self) -> Result<S::Batch, Fault> {
        loop {
            let fault = match &mut self.current {
                Some(current) => match current.message().await {
                    Ok(Some(batch)) => {
                        self.failures = 0;
                        if let Some(cursor) = S::cursor(&batch) {
                            self.cursor = cursor;
                        }
                        return Ok(batch);
                    }
                    Ok(None) => Fault::unavailable("STREAM_ENDED", "the stream ended"),
                    Err(status) => Fault::from(status),
                },
                // Boxed: a silent reader holds no room for it.
                None => match Box::pin(self.source.open(&self.cursor)).await {
                    Ok(opened) => {
                        self.current = Some(opened);
                        continue;
                    }
                    Err(fault) => fault,
                },
            };
            self.current = None;
            self.failures += 1;
            if !self.is_curable(&fault) {
                return Err(fault);
            }
            tracing::debug!(reason = %fault.reason, failures = self.failures, "taking the stream up again");
            sleep(pause(self.failures)).await;
        }
    }

    fn is_curable(&self, fault: &Fault) -> bool {
        let may_pass = matches!(
            fault.code,
            Code::Unavailable | Code::Deadline | Code::Cancelled | Code::Internal
        );
        let is_gapless = S::HAS_SNAPSHOT || !self.cursor.is_empty();
        may_pass && is_gapless && self.failures <= MAX_ATTEMPTS
    }
}

/// Doubles from [`FIRST_PAUSE`]; the first attempt is made at once.
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => FIRST_PAUSE
            .saturating_mul(1 << (failures - 2).min(10))
            .min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let pauses: Vec<u128> = (1..=9).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
    }
}
