//! Requests that may come again. A key and the answer given under it are stored by the transaction that carries the request out: there is
//! an effect exactly if there is a key, and whoever repeats the request gets the answer of the first.
//!
//! | of two attempts with one key, the second | hears |
//! |---|---|
//! | comes while the first is under way | waits for its end; `IDEMPOTENCY_KEY_IN_FLIGHT` when that takes too long |
//! | comes after the first has failed | nothing of it: it is carried out |
//! | asks for the same | the stored answer, marked as such; `IDEMPOTENT_SECRET_SHOWN_ONCE` if that held a secret |
//! | asks for something else | `IDEMPOTENCY_KEY_REUSED` |
//!
//! Without a key all of this costs no statement.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use prost::Message;
use sqlx::PgConnection;
use tandem_chassis::status::Fault;
use tandem_chassis::{fault, idempotency as mark};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::db::{Pool, Transaction, idempotency, in_time, sqlstate};
use crate::error::Error;

/// How long a key is kept at least, by the database's clock.
const KEPT_HOURS: i32 = 24;

/// How often old keys are dropped; how many in one statement, and in how many statements at most.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);
const PURGE_BATCH: i64 = 1_000;
const MAX_PURGE_BATCHES: usize = 100;

/// Between a claim that failed and the look at what it failed on, the old key may be dropped; then it is claimed again.
const MAX_CLAIMS: usize = 3;

/// When to ask again after a duplicate under way.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One attempt at a request that changes something.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    user: Uuid,
    rpc: &'static str,
    mark: mark::Attempt,
}

impl Attempt {
    /// The attempt that `request` is for `user`; `rpc` names what it asks for.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed mark.
    pub(crate) fn of<T>(request: &Request<T>, user: Uuid, rpc: &'static str) -> Result<Option<Self>, Status> {
        Ok(mark::Attempt::of(request)?.map(|mark| Self { user, rpc, mark }))
    }

    /// The same for a user who is known only later, as at a sign-in.
    pub(crate) fn by(user: Uuid, rpc: &'static str, mark: mark::Attempt) -> Self {
        Self { user, rpc, mark }
    }

    /// Whether an earlier attempt at this very request was carried out. Waits for nothing.
    pub(crate) async fn is_done(&self, conn: &mut PgConnection) -> Result<bool, Error> {
        let found = idempotency::find(conn, self.user, self.mark.key()).await?;
        Ok(found.is_some_and(|row| self.is_same(&row)))
    }

    fn is_same(&self, row: &idempotency::Row) -> bool {
        row.rpc == self.rpc && row.fingerprint == self.mark.fingerprint()
    }

    async fn claim(&self, conn: &mut PgConnection) -> Result<(), Error> {
        for _ in 0..MAX_CLAIMS {
            let claimed = idempotency::claim(conn, self.user, self.mark.key(), self.rpc, self.mark.fingerprint()).await;
            if claimed.map_err(waited_too_long)? {
                return Ok(());
            }
            if let Some(row) = idempotency::find(conn, self.user, self.mark.key()).await? {
                return Err(self.answered(row));
            }
        }
        Err(in_flight().into())
    }

    /// What becomes of an attempt whose key is taken.
    fn answered(&self, row: idempotency::Row) -> Error {
        if !self.is_same(&row) {
            let text = "This idempotency key came with another request before. Use a new key for each request.";
            return Fault::invalid("IDEMPOTENCY_KEY_REUSED", text).into();
        }
        match row.outcome {
            Some(outcome) => Error::Replayed(outcome),
            None => shown_once().into(),
        }
    }
}

/// A transaction that carries out a request once, however often it is attempted. Dropping it undoes everything, the claim too.
pub(crate) struct Tx {
    tx: Transaction,
    claimed: Option<Attempt>,
}

impl Tx {
    /// Begins; the key, if there is one, is claimed before anything else.
    ///
    /// # Errors
    /// [`Error::Replayed`] ends an attempt that comes after the first; see the table above for the others.
    pub(crate) async fn begin(pool: &Pool, attempt: Option<&Attempt>) -> Result<Self, Error> {
        let mut tx = Self::from(pool.begin().await?);
        if let Some(attempt) = attempt {
            tx.claim(attempt.clone()).await?;
        }
        Ok(tx)
    }

    /// Claims the key later than at the beginning, where the caller is known later.
    ///
    /// # Errors
    /// As [`Tx::begin`].
    pub(crate) async fn claim(&mut self, attempt: Attempt) -> Result<(), Error> {
        if fault::is_off("idempotency") {
            return Ok(());
        }
        attempt.claim(self).await?;
        self.claimed = Some(attempt);
        Ok(())
    }

    /// Stores the answer as the last statement and commits.
    pub(crate) async fn answer<T: Message>(mut self, answer: &T) -> Result<(), Error> {
        if let Some(attempt) = self.claimed.take() {
            let outcome = answer.encode_to_vec();
            idempotency::store(&mut self, attempt.user, attempt.mark.key(), &outcome).await?;
        }
        self.commit().await
    }

    /// Commits without keeping the answer: one that holds a secret, or that nobody gets.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}

impl From<Transaction> for Tx {
    fn from(tx: Transaction) -> Self {
        Self { tx, claimed: None }
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// The answer to a request that was carried out, now or by an earlier attempt.
pub(crate) fn respond<T: Message + Default>(answer: Result<T, Error>) -> Result<Response<T>, Status> {
    match answer {
        Ok(answer) => Ok(mark::answer(answer, false)),
        Err(Error::Replayed(outcome)) => {
            let answer = T::decode(outcome.as_slice()).map_err(|error| Error::damaged("idempotency_keys", error))?;
            Ok(mark::answer(answer, true))
        }
        Err(error) => Err(error.into()),
    }
}

/// The request was carried out, and its answer is told only once.
pub(crate) fn shown_once() -> Fault {
    let text = "This was done by an earlier request with this key, and its answer held a secret that is shown only once. If that \
        answer is lost, revoke what it opened and ask again with a new key.";
    Fault::exists("IDEMPOTENT_SECRET_SHOWN_ONCE", text)
}

fn in_flight() -> Fault {
    let text = "An earlier request with this key is still under way. Repeat this one in a moment.";
    Fault::conflict("IDEMPOTENCY_KEY_IN_FLIGHT", text).retry_after(RETRY_AFTER)
}

fn waited_too_long(error: sqlx::Error) -> Error {
    if sqlstate::is_lock_timeout(&error) {
        in_flight().into()
    } else {
        error.into()
    }
}

/// Drops old keys, now and from time to time, for ever.
pub(crate) async fn purge(pool: Pool) {
    loop {
        match purge_once(&pool).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "dropped old idempotency keys"),
            Err(error) => tracing::warn!(%error, "could not drop old idempotency keys"),
        }
        tokio::time::sleep(PURGE_INTERVAL).await;
    }
}

/// Small statements, so that no lock is held for long.
async fn purge_once(pool: &Pool) -> Result<u64, sqlx::Error> {
    let mut count = 0;
    for _ in 0..MAX_PURGE_BATCHES {
        let purge = async { idempotency::purge(&mut *pool.acquire().await?, KEPT_HOURS, PURGE_BATCH).await };
        let dropped = in_time(purge).await?;
        count += dropped;
        if dropped < PURGE_BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(count)
}
