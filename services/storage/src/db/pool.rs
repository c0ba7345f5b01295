//! Connections to PostgreSQL that come back in bounded time, whatever the network does.
//!
//! The library's pool asks a connection whether it lives before it lends it and when it gets it back, and waits for the answer as long as
//! the network lets it: a connection that went silent would keep its slot until the kernel gives it up, a quarter of an hour later. Here
//! both questions have a limit, after which the connection is closed and its slot is free.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::config;

/// How long an idle connection may take to say that it lives.
const TEST_LIMIT: Duration = Duration::from_secs(2);

/// How long a connection may take to come back: what its user left unfinished is ended first, which may wait for a lock.
const RETURN_LIMIT: Duration = Duration::from_secs(4);

/// How long work may take that no caller waits for: longer than a statement and the wait for a connection together.
const WORK_LIMIT: Duration = Duration::from_secs(25);

/// How long the pool may take to end with the process; every connection it waits for comes back or is given up in that time.
const CLOSE_LIMIT: Duration = Duration::from_secs(6);

/// What PostgreSQL does when it is storage that went silent, or that has hung up while a statement runs. Without it a lock could be held by
/// nobody for long. Sockets of this machine ignore what is about TCP.
const SESSION: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "10s"),
    ("client_connection_check_interval", "2s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// The connections of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: PgPool,
}

impl Pool {
    /// Connects once, to see that somebody answers.
    ///
    /// # Errors
    /// Nobody does within `limits.acquire_timeout`, or not as PostgreSQL.
    pub(crate) async fn connect(options: PgConnectOptions, limits: &config::Pool) -> Result<Self, sqlx::Error> {
        let milliseconds = |limit: Duration| limit.as_millis().to_string();
        let options = options.application_name("tandem-storage").options(SESSION).options([
            ("statement_timeout", milliseconds(limits.statement_timeout)),
            ("lock_timeout", milliseconds(limits.lock_timeout)),
        ]);
        let silence = Silence::default();
        let connections = PgPoolOptions::new()
            .max_connections(limits.max_connections)
            .acquire_timeout(limits.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(move |connection, seen| {
                let silence = silence.clone();
                Box::pin(async move { silence.test(connection, seen.idle_for).await.map(|()| true) })
            })
            .connect_with(options)
            .await?;
        Ok(Self { connections })
    }

    /// A connection, tested or new.
    ///
    /// # Errors
    /// `PoolTimedOut` when there is none within the configured time.
    pub(crate) async fn acquire(&self) -> Result<Lent, sqlx::Error> {
        Ok(Lent(self.connections.acquire().await?))
    }

    /// A transaction on a connection of its own.
    ///
    /// # Errors
    /// As [`Pool::acquire`], and what `BEGIN` can fail with.
    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        // Made first: a `BEGIN` that is given up half-way is undone like any other.
        let mut transaction = Transaction {
            connection: Some(self.acquire().await?),
        };
        transaction.execute("BEGIN").await?;
        Ok(transaction)
    }

    /// Connects aside from the pool, with the same settings.
    ///
    /// # Errors
    /// Nobody answers; it may take long.
    pub(crate) async fn connect_aside(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.connections.connect_options()).await
    }

    /// A pool of one connection, not made yet, for who keeps it: the slots here are for those who give them back.
    pub(crate) fn of_one(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.connections.options().get_acquire_timeout())
            .connect_lazy_with((*self.connections.connect_options()).clone())
    }

    /// For what only knows the library's pool: migrations at the start.
    pub(crate) fn library(&self) -> &PgPool {
        &self.connections
    }

    /// Closes every connection, in bounded time.
    pub(crate) async fn close(&self) {
        if timeout(CLOSE_LIMIT, self.connections.close()).await.is_err() {
            tracing::warn!("connections to PostgreSQL did not end in time");
        }
    }
}

/// Ends work that no caller's deadline ends, so that a silent connection under it comes back.
///
/// # Errors
/// Those of the work; a failure of the connection when it takes longer than [`WORK_LIMIT`], and nobody knows what was done.
pub(crate) async fn in_time<T, E: From<sqlx::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(WORK_LIMIT, work).await.unwrap_or_else(|_| Err(silent().into()))
}

/// When a connection was last found silent. What has been idle since before then is not worth the wait: it went the same way.
#[derive(Clone, Default)]
struct Silence(Arc<Mutex<Option<Instant>>>);

impl Silence {
    async fn test(&self, connection: &mut PgConnection, idle_for: Duration) -> Result<(), sqlx::Error> {
        if self.covers(idle_for) {
            return Err(silent());
        }
        match timeout(TEST_LIMIT, connection.ping()).await {
            Ok(answered) => answered,
            Err(_) => {
                *self.noticed_at() = Some(Instant::now());
                Err(silent())
            }
        }
    }

    fn covers(&self, idle_for: Duration) -> bool {
        self.noticed_at()
            .is_some_and(|noticed_at| idle_for >= noticed_at.elapsed())
    }

    fn noticed_at(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that lives as far as anybody knows, and does not answer.
pub(crate) fn silent() -> sqlx::Error {
    let problem = "the connection to the database went silent";
    std::io::Error::new(std::io::ErrorKind::TimedOut, problem).into()
}

/// A connection that goes back to the pool when it is dropped, or is closed if it does not answer in time.
pub(crate) struct Lent(PoolConnection<Postgres>);

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The library would do the same without a limit. Giving up drops the connection, which closes it and frees its slot.
        let back = self.0.return_to_pool();
        if tandem_chassis::fault::is_off("return_limit") {
            tokio::spawn(back);
            return;
        }
        tokio::spawn(async move {
            if timeout(RETURN_LIMIT, back).await.is_err() {
                tracing::warn!("gave up a connection to PostgreSQL that does not answer");
            }
        });
    }
}

/// A transaction; dropping it undoes everything.
pub(crate) struct Transaction {
    /// There until the transaction has ended.
    connection: Option<Lent>,
}

impl Transaction {
    /// Makes it last.
    ///
    /// # Errors
    /// Those of `COMMIT`; without an answer nobody knows whether it lasts.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        self.connection = None;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("only its end takes the connection")
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("only its end takes the connection")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            tokio::spawn(async move {
                let undoing = connection.execute("ROLLBACK");
                let undone = if tandem_chassis::fault::is_off("return_limit") {
                    Ok(undoing.await)
                } else {
                    timeout(RETURN_LIMIT, undoing).await
                };
                if !matches!(undone, Ok(Ok(_))) {
                    // Perhaps not even sent: it waits for the statement before it, or fails with that one's error. The test of its
                    // return could pass all the same and lend the transaction to the next, so the connection is closed.
                    drop(connection.0.return_to_pool());
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
