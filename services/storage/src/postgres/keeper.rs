//! Who keeps the private server: a thread that starts it, starts it again when it dies, and ends it.
//!
//! The kernel ends the server with the thread that started it, so this one lasts exactly as long as the server is wanted.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tandem_chassis::backoff::Backoff;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::server::Server;
use super::{Error, Settings};

/// Pauses before a server that died is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server that has run for this long did not die of its start.
const STEADY: Duration = Duration::from_secs(60);

/// The hold on a keeper. Dropping it ends the server too, without waiting for it.
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Keeper {
    /// Starts the server in `directory`; how to connect to it once it accepts connections.
    ///
    /// # Errors
    /// Why it did not start. Later deaths are the keeper's own business.
    pub(super) async fn start(directory: PathBuf, settings: Settings) -> Result<(Self, PgConnectOptions), Error> {
        let (report, started) = oneshot::channel();
        let (stop, asked) = oneshot::channel();
        let (end, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::io("keep a database server"))?;
        let thread = std::thread::Builder::new().name("private database".to_owned());
        let keep = move || {
            runtime.block_on(keep(directory, settings, report, asked));
            // Nobody waits where the hold was dropped.
            let _ = end.send(());
        };
        thread.spawn(keep).map_err(Error::io("keep a database server"))?;
        let lost = |_| Error::io("keep a database server")(std::io::Error::other("its thread ended"));
        let options = started.await.map_err(lost)??;
        Ok((Self { stop, stopped }, options))
    }

    /// Ends the server and waits for its end.
    pub(super) async fn stop(self) {
        // A keeper that is gone has ended its server.
        let _ = self.stop.send(());
        let _ = self.stopped.await;
    }
}

async fn keep(
    directory: PathBuf,
    settings: Settings,
    report: oneshot::Sender<Result<PgConnectOptions, Error>>,
    mut asked: oneshot::Receiver<()>,
) {
    let begun = async {
        let binaries = Binaries::find()?;
        let cluster = Cluster::prepare(&directory, &binaries).await?;
        let mut server = Server::start(&binaries, &cluster, &settings)?;
        server.wait_until_up(&cluster).await?;
        cluster.ensure_database().await?;
        Ok((binaries, cluster, server))
    };
    let (binaries, cluster, mut server) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            let _ = report.send(Err(error));
            return;
        }
    };
    // Whoever does not wait any more has dropped its hold too, which is seen below.
    let _ = report.send(Ok(cluster.connect_options()));
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let began = Instant::now();
        let ended = tokio::select! {
            _ = &mut asked => return server.stop().await,
            ended = server.ended() => ended,
        };
        if ended.is_some_and(|status| status.success()) {
            // A process that took the directory over does this, and would be at odds with a second server.
            tracing::error!("the private database server was told to end by somebody else; it is not started again");
            return;
        }
        if began.elapsed() > STEADY {
            backoff.reset();
        }
        tracing::error!(
            status = ended.as_ref().map(ExitStatus::to_string),
            log = %cluster.log.display(),
            "the private database server died, starting it again"
        );
        server = tokio::select! {
            _ = &mut asked => return,
            server = start_again(&binaries, &cluster, &settings, &mut backoff) => server,
        };
        tokio::select! {
            _ = &mut asked => return server.stop().await,
            up = server.wait_until_up(&cluster) => match up {
                Ok(()) => tracing::warn!(starts = backoff.attempts(), "the private database server is back"),
                // Either it has died again, or what it has to recover takes long; its end tells.
                Err(error) => tracing::error!(%error, "the private database server is not back yet"),
            },
        }
    }
}

/// Tries for ever: nothing works without a database, and whoever runs this is told why each time.
async fn start_again(binaries: &Binaries, cluster: &Cluster, settings: &Settings, backoff: &mut Backoff) -> Server {
    loop {
        backoff.wait().await;
        match Server::start(binaries, cluster, settings) {
            Ok(server) => return server,
            Err(error) => tracing::error!(%error, "could not start the private database server"),
        }
    }
}
