//! Telling the house which chats to look at: at once within this process, through the database to the others.
//!
//! A hint carries no authority. It may be late, doubled or lost; whoever gets one reads the row.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tandem_chat_core::chat::StatusKind;
use tandem_proto::storage::v1::ChatHint;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::db::{Pool, changes, chats, silent};

/// The one channel of the database; PostgreSQL serialises commits that notify, so hints are sent outside of transactions.
const CHANNEL: &str = "tandem_chats";

/// Hints a subscriber may be behind before it is told of a gap.
const MAX_BEHIND: usize = 4_096;

/// Hints waiting to be passed to the other processes; more are dropped, and polling covers them.
const MAX_OUTGOING: usize = 4_096;

/// Hints in one notification; PostgreSQL takes 8,000 bytes.
const MAX_BATCH: usize = 40;

/// How often a process says that it is there; one that is not heard of for [`PEER_LIFE`] is taken to be gone. It hears itself too: one
/// that does not within [`ECHO_LIMIT`] has a connection that went silent.
const GREETING_INTERVAL: Duration = Duration::from_secs(5);
const ECHO_LIMIT: Duration = Duration::from_secs(4);

/// A process that listens is heard of within this, or there is none.
const PEER_LIFE: Duration = Duration::from_secs(60);

/// How long a notification may take to be sent; one that takes longer is lost, and polling covers it.
const SEND_LIMIT: Duration = Duration::from_secs(4);

/// How long the others have to answer the first greeting.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Look at this chat.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Hint {
    chat_id: Uuid,
    owner_id: Uuid,
    version: i64,
    is_runnable: bool,
    #[serde(default)]
    is_unwatched: bool,
}

impl Hint {
    pub(crate) fn of(row: &chats::Row) -> Self {
        Self {
            chat_id: row.id,
            owner_id: row.owner_id,
            version: row.version,
            is_runnable: row.status == StatusKind::Pending.as_str()
                || row.lease_expires_at.is_some_and(|expires_at| expires_at <= row.now),
            is_unwatched: false,
        }
    }

    /// A hint that leaves the readers of the owner's feed alone where the change is not in it.
    pub(crate) fn of_change(row: &chats::Row, change: &changes::Row) -> Self {
        Self {
            is_unwatched: change.watch_kinds.is_empty(),
            ..Self::of(row)
        }
    }

    pub(crate) fn to_wire(&self) -> ChatHint {
        ChatHint {
            chat_id: self.chat_id.to_string(),
            owner_id: self.owner_id.to_string(),
            version: self.version,
            is_runnable: self.is_runnable,
            is_unwatched: self.is_unwatched,
        }
    }
}

/// What a subscriber hears.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Hint(Hint),
    /// Hints of other processes may have been lost.
    Gap,
}

/// The sending side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hints {
    here: broadcast::Sender<News>,
    elsewhere: mpsc::Sender<Hint>,
    /// Nobody else listens: hints for others need not be sent. Only said by who listens itself and would have heard them.
    is_alone: Arc<AtomicBool>,
}

/// The hints that wait to be passed on; given to [`pass_on`].
pub(crate) struct Outgoing(mpsc::Receiver<Hint>);

#[derive(Deserialize, Serialize)]
struct Notification {
    /// The sending process, which has heard its own hints already.
    from: Uuid,
    /// None is a greeting: it says that the sender listens.
    hints: Vec<Hint>,
    /// The sender does not know of anybody yet and wants to be greeted.
    #[serde(default)]
    is_new: bool,
}

impl Notification {
    /// Whether it is known to be sent.
    async fn send(&self, pool: &Pool) -> bool {
        let Ok(payload) = serde_json::to_string(self) else {
            return false;
        };
        let send = async {
            sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, payload)
                .execute(&mut *pool.acquire().await?)
                .await
        };
        match timeout(SEND_LIMIT, send).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => tracing::debug!(%error, "could not pass hints on"),
            Err(_) => tracing::debug!("could not pass hints on in time"),
        }
        false
    }
}

impl Hints {
    pub(crate) fn new() -> (Self, Outgoing) {
        let (here, _) = broadcast::channel(MAX_BEHIND);
        let (elsewhere, outgoing) = mpsc::channel(MAX_OUTGOING);
        let hints = Self {
            here,
            elsewhere,
            is_alone: Arc::default(),
        };
        (hints, Outgoing(outgoing))
    }

    /// Sends a hint; never waits and never fails.
    pub(crate) fn send(&self, hint: Hint) {
        if tandem_chassis::fault::is_off("hints") {
            return;
        }
        // Nobody listening, or too many waiting, is fine: hints may be lost.
        let _ = self.here.send(News::Hint(hint.clone()));
        if !self.is_alone.load(Ordering::Relaxed) {
            let _ = self.elsewhere.try_send(hint);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.here.subscribe()
    }
}

/// Passes hints to the other processes, many in one notification.
pub(crate) async fn pass_on(mut outgoing: Outgoing, pool: Pool, process: Uuid) {
    let mut hints = Vec::with_capacity(MAX_BATCH);
    while outgoing.0.recv_many(&mut hints, MAX_BATCH).await > 0 {
        let notification = Notification {
            from: process,
            hints: std::mem::take(&mut hints),
            is_new: false,
        };
        notification.send(&pool).await;
    }
}

/// Listens to the other processes for ever.
pub(crate) async fn listen(hints: Hints, pool: Pool, process: Uuid) {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        if let Err(error) = listen_once(&hints, &pool, process).await {
            tracing::warn!(%error, "listening to the database broke off, trying again");
        }
        hints.is_alone.store(false, Ordering::Relaxed);
        let _ = hints.here.send(News::Gap);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_once(hints: &Hints, pool: &Pool, process: Uuid) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&pool.of_one()).await?;
    listener.listen(CHANNEL).await?;
    // A stream, because a wait that is given up for a greeting must not lose what it has read by then.
    let mut notifications = pin!(stream::try_unfold(listener, |mut listener| async {
        let heard = listener.try_recv().await?;
        Ok::<_, sqlx::Error>(heard.map(|heard| (heard, listener)))
    }));
    let greeting = |is_new| Notification {
        from: process,
        hints: Vec::new(),
        is_new,
    };
    let is_sent = greeting(true).send(pool).await;
    let mut next_greeting = Instant::now() + GREETING_INTERVAL;
    // When something must have been heard, if only the own greeting.
    let mut heard_by = is_sent.then(|| Instant::now() + ECHO_LIMIT);
    // Until the others have had time to answer, nobody can know to be alone.
    let mut alone_from = Instant::now() + ANSWER_TIME;
    loop {
        hints.is_alone.store(Instant::now() >= alone_from, Ordering::Relaxed);
        let others = Some(alone_from).filter(|from| Instant::now() < *from);
        let wake_up = [others, heard_by]
            .into_iter()
            .flatten()
            .fold(next_greeting, Instant::min);
        let Ok(heard) = timeout_at(wake_up, notifications.try_next()).await else {
            let now = Instant::now();
            if heard_by.is_some_and(|heard_by| now >= heard_by) {
                return Err(silent());
            }
            if now >= next_greeting {
                let is_sent = greeting(false).send(pool).await;
                next_greeting = Instant::now() + GREETING_INTERVAL;
                heard_by = heard_by.or_else(|| is_sent.then(|| Instant::now() + ECHO_LIMIT));
            }
            continue;
        };
        heard_by = None;
        let Some(notification) = heard? else {
            return Ok(());
        };
        let Ok(notification) = serde_json::from_str::<Notification>(notification.payload()) else {
            continue;
        };
        if notification.from == process {
            continue;
        }
        alone_from = Instant::now() + PEER_LIFE;
        hints.is_alone.store(false, Ordering::Relaxed);
        if notification.is_new {
            greeting(false).send(pool).await;
        }
        for hint in notification.hints {
            let _ = hints.here.send(News::Hint(hint));
        }
    }
}
