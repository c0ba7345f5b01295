//! Credentials that were asked for, until they expire: asked for once for all who wait, again some minutes before they expire, and not
//! at once after it was in vain. The old ones serve until then. Owns when that is; who is asked, and how, is the caller's.
//!
//! Whoever asked first may go away; the question is finished all the same. Others wait for its answer, and what has signed on may have
//! been renewed by then, which must not get lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};
use tokio::{sync::OwnedMutexGuard, time::Instant};

use super::{Answer, Grant, Trouble};

/// How long before they expire credentials are asked for anew, as AWS's own tools do.
pub(super) const AHEAD: Duration = Duration::minutes(5);

/// How long before they expire credentials are not used any more.
pub(super) const MARGIN: Duration = Duration::seconds(30);

/// How long nobody asks again after it was in vain.
const PAUSE: Duration = Duration::seconds(30);

/// What one source has given. Cheap to clone; clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<State>);

#[derive(Debug, Default)]
struct State {
    known: Mutex<Known>,
    /// Held by whoever asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What was found out so far.
#[derive(Debug, Default)]
struct Known {
    grant: Option<Grant>,
    /// Until when nobody asks again, and what the last question came to.
    rest: Option<(OffsetDateTime, Result<(), Trouble>)>,
}

/// How good a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Fresh,
    /// It is time to ask for another, but it can be used.
    Old,
    Over,
}

fn age(grant: &Grant, now: OffsetDateTime) -> Age {
    match grant.expires_at - now {
        left if left <= MARGIN => Age::Over,
        left if left <= AHEAD => Age::Old,
        _ => Age::Fresh,
    }
}

impl Kept {
    /// Credentials that are good for 30 seconds at least; `None` where the source has none.
    ///
    /// * `ask`: asks the source. Not begun unless it is this caller who has to ask; finished also when the caller goes away.
    ///
    /// # Errors
    /// Why the source gave none.
    pub(super) async fn grant(
        &self,
        now: OffsetDateTime,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        // A program may take a minute, and so may whoever waits for it.
        let begun = Instant::now();
        self.granted(move || now + begun.elapsed(), ask).await
    }

    /// * `moment`: what time it is.
    async fn granted(
        &self,
        moment: impl Fn() -> OffsetDateTime + Send + Sync + Clone + 'static,
        ask: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        let state = &*self.0;
        let asking = Arc::clone(&state.asking);
        let turn = match state.usable(moment()) {
            Some((grant, Age::Fresh)) => return Ok(Some(grant)),
            // Whoever comes while somebody asks takes what there is.
            Some((grant, _)) => match asking.try_lock_owned() {
                Ok(turn) => turn,
                Err(_) => return Ok(Some(grant)),
            },
            None => asking.lock_owned().await,
        };
        // Somebody else may have asked meanwhile.
        if let Some((grant, Age::Fresh)) = state.usable(moment()) {
            return Ok(Some(grant));
        }
        let asked = match state.resting(moment()) {
            Some(outcome) => outcome,
            None => self.asked(turn, ask, moment.clone()).await,
        };
        match state.usable(moment()) {
            Some((grant, _)) if !matches!(asked, Ok(Some(_))) => Ok(Some(grant)),
            Some(_) | None => asked,
        }
    }

    /// Asks, and keeps the answer whether or not anybody waits for it.
    async fn asked(
        &self,
        turn: OwnedMutexGuard<()>,
        ask: impl Future<Output = Answer> + Send + 'static,
        moment: impl Fn() -> OffsetDateTime + Send + 'static,
    ) -> Answer {
        let kept = self.clone();
        let asking = tokio::spawn(async move {
            let answer = ask.await;
            let answer = kept.0.heard(answer, moment());
            drop(turn);
            answer
        });
        let stopped = |_| Err(Trouble::Passing("asking for them was stopped".to_owned()));
        asking.await.unwrap_or_else(stopped)
    }
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self, now: OffsetDateTime) -> Option<(Grant, Age)> {
        let grant = self.known().grant.clone()?;
        let age = age(&grant, now);
        (age != Age::Over).then_some((grant, age))
    }

    /// What the last question came to, if it was in vain a moment ago.
    fn resting(&self, now: OffsetDateTime) -> Option<Answer> {
        let known = self.known();
        let (until, outcome) = known.rest.as_ref()?;
        (now < *until).then(|| outcome.clone().map(|()| None))
    }

    /// Keeps an answer.
    fn heard(&self, asked: Answer, now: OffsetDateTime) -> Answer {
        let asked = match asked {
            Ok(Some(grant)) if age(&grant, now) == Age::Over => Err(Trouble::Passing(
                "what was given has expired already; is this machine's clock right?".to_owned(),
            )),
            asked => asked,
        };
        let mut known = self.known();
        known.rest = match &asked {
            Ok(Some(grant)) => {
                known.grant = Some(grant.clone());
                // The same again, since there are no newer ones yet: they need not be asked for with every request.
                (age(grant, now) != Age::Fresh).then(|| (now + PAUSE, Ok(())))
            }
            Ok(None) => Some((now + PAUSE, Ok(()))),
            Err(trouble) => {
                tracing::warn!(%trouble, "this machine's AWS credentials could not be had");
                Some((now + PAUSE, Err(trouble.clone())))
            }
        };
        asked
    }
}

#[cfg(test)]
mod tests;
