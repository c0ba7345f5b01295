//! A PostgreSQL of our own, from the server binaries installed on this machine: one directory, one Unix socket, no network.
//!
//! Owns the server's life: found, made, started, watched, stopped. It knows no table. People who bring their own server never get here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

mod binaries;
mod cluster;
mod keeper;
mod owner;
mod server;
#[doc(hidden)]
pub mod testing;

use keeper::Keeper;
use owner::Owner;

/// How long a server may take to accept its first connection; recovery after a crash takes longest.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a fast shutdown may take before it becomes an immediate one, which is safe too.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The database and role inside the private server.
const NAME: &str = "tandem";

/// Settings of a server beside the usual, by name.
type Settings = &'static [(&'static str, &'static str)];

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server binaries on this machine.
    #[error(
        "PostgreSQL's server is not installed; install it (Debian: apt-get install postgresql) or set DATABASE_URL"
    )]
    NotInstalled,
    /// The data was made by another major version.
    #[error(
        "{data} was made by PostgreSQL {found}, but {installed} is installed; install version {found}, or move the data with pg_dump"
    )]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// The version that made it.
        found: String,
        /// The version that is installed.
        installed: String,
    },
    /// PostgreSQL refuses to run as root, and no other user was found.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")]
    NoUser,
    /// The user the server runs as cannot get to its files.
    #[error(
        "PostgreSQL runs as user `{user}`, who may not pass through {closed} to the data directory {directory}; \
         allow it (chmod o+x {closed}), or set TANDEM_DATA_DIR to a directory elsewhere, for example /var/lib/tandem"
    )]
    Unreachable {
        /// Who runs it.
        user: String,
        /// The directory that lets nobody pass.
        closed: PathBuf,
        /// Where it should get to.
        directory: PathBuf,
    },
    /// Something with files or processes.
    #[error("could not {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A program of PostgreSQL's failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// The server does not accept connections.
    #[error("PostgreSQL did not come up within {START_LIMIT:?}; see {log}")]
    NotUp {
        /// Its log.
        log: PathBuf,
    },
    /// The server came up, but its database could not be made.
    #[error("could not set the private database up")]
    Setup(#[from] sqlx::Error),
}

impl Error {
    fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action: action.into(),
            source,
        }
    }
}

/// A running private server. It ends with this process, however this process ends; one that dies before is started again.
pub struct Private {
    keeper: Keeper,
    options: PgConnectOptions,
}

impl Private {
    /// Starts the server in `directory`, making its data at the first time. A server that survived an earlier process is stopped
    /// first.
    ///
    /// # Errors
    /// [`Error`], each with what to do about it.
    pub async fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_with(directory, &[]).await
    }

    /// Whether a server in `directory`, which exists, could get at its files.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Error::NoUser`].
    pub async fn check_reachable(directory: &Path) -> Result<(), Error> {
        Owner::choose()?.refuse_unreachable(directory).await
    }

    async fn start_with(directory: &Path, settings: Settings) -> Result<Self, Error> {
        let (keeper, options) = Keeper::start(directory.to_owned(), settings).await?;
        Ok(Self { keeper, options })
    }

    /// How to connect, also after a restart.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Stops the server: connections end, everything committed is on disk.
    pub async fn stop(self) {
        self.keeper.stop().await;
    }
}
