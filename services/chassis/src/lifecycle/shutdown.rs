//! Drain, then stop.

use std::{future::Future, io, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two steps of stopping. Cheap to clone; clones share the state, which only moves forward:
/// running → draining → stopped.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// A running process.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that can be stopped alone, and stops with the whole.
    pub fn child(&self) -> Self {
        Self {
            soft: self.soft.child_token(),
            hard: self.hard.child_token(),
        }
    }

    /// Asks everybody to take no new work, hand over and finish.
    pub fn drain(&self) {
        self.soft.cancel();
    }

    /// Ends everything now. Implies [`Shutdown::drain`].
    pub fn stop(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Completes when draining begins. Owned: usable in a spawned task.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.soft.clone().cancelled_owned()
    }

    /// Completes when everything must end now. Owned: usable in a spawned task.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.hard.clone().cancelled_owned()
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Whether everything must end now.
    pub fn is_stopped(&self) -> bool {
        self.hard.is_cancelled()
    }
}

/// Turns SIGTERM and SIGINT into shutdown: the first drains, the second, or the end of `grace`, stops.
/// Draining that began otherwise starts the grace period too. Returns when stopped.
///
/// # Errors
/// When the handlers cannot be installed; the shutdown is untouched then.
pub async fn signals(shutdown: Shutdown, grace: Duration) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "draining"),
        _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "draining"),
        () = shutdown.draining() => {}
    }
    shutdown.drain();
    tokio::select! {
        _ = terminate.recv() => tracing::warn!(signal = "SIGTERM", "stopping at once"),
        _ = interrupt.recv() => tracing::warn!(signal = "SIGINT", "stopping at once"),
        () = tokio::time::sleep(grace) => tracing::warn!(?grace, "draining took too long, stopping"),
        () = shutdown.stopped() => {}
    }
    shutdown.stop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn draining_is_not_yet_stopping() {
        let shutdown = Shutdown::new();
        assert!(shutdown.draining().now_or_never().is_none());

        shutdown.drain();

        assert!(shutdown.is_draining());
        assert!(!shutdown.is_stopped());
        shutdown.draining().await;
        assert!(shutdown.stopped().now_or_never().is_none());
    }

    #[tokio::test]
    async fn stopping_drains_too() {
        let shutdown = Shutdown::new();
        shutdown.stop();
        shutdown.draining().await;
        shutdown.stopped().await;
    }

    #[tokio::test]
    async fn a_child_stops_alone_and_with_its_parent() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());

        first.drain();
        assert!(!parent.is_draining());
        assert!(!second.is_draining());

        parent.stop();
        assert!(first.is_stopped() && second.is_stopped());
    }

    #[tokio::test]
    async fn grace_over_stops() {
        let shutdown = Shutdown::new();
        shutdown.drain();
        signals(shutdown.clone(), Duration::from_millis(1)).await.unwrap();
        assert!(shutdown.is_stopped());
    }

    #[tokio::test]
    async fn first_signal_drains_and_second_stops() {
        let shutdown = Shutdown::new();
        let handler = tokio::spawn(signals(shutdown.clone(), Duration::from_secs(60)));
        let raise = || {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        };
        // The handlers must be installed before the signal, or it would end the test.
        let _handled = signal(SignalKind::terminate()).unwrap();
        tokio::task::yield_now().await;

        raise();
        shutdown.draining().await;
        assert!(!shutdown.is_stopped());

        raise();
        handler.await.unwrap().unwrap();
        assert!(shutdown.is_stopped());
    }
}
