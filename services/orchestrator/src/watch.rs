//! One reader of a user's watch feed. The feed itself is storage's; this only knows when to ask for more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tandem_chassis::identity::User;
use tandem_proto::orchestrator::v1::WatchChatsResponse;
use tandem_proto::storage::v1::ListWatchEventsRequest;
use tokio::sync::watch;
use tonic::Status;

use crate::clients::{Clients, STORAGE_DEADLINE};
use crate::room::Hub;

/// How long a watcher believes that silence means nothing happened.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// A hint can be faster than the feed, which waits for older transactions to end: when to look again.
const SETTLE_PAUSES: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(300),
    Duration::from_millis(1_000),
];

/// A watcher's position in the feed.
pub(crate) struct Watcher {
    user: User,
    clients: Clients,
    ticks: watch::Receiver<u64>,
    cursor: String,
    ready: VecDeque<WatchChatsResponse>,
}

impl Watcher {
    /// Begins behind a cursor, or with what happens from now on.
    ///
    /// # Errors
    /// What storage answered, for example a cursor that is none.
    pub(crate) async fn open(
        user: User,
        clients: Clients,
        hub: &Arc<Hub>,
        after_cursor: String,
    ) -> Result<Self, Status> {
        let ticks = hub.follow_owner(&user.id.to_string());
        let mut watcher = Self {
            user,
            clients,
            ticks,
            cursor: after_cursor,
            ready: VecDeque::new(),
        };
        watcher.read().await?;
        Ok(watcher)
    }

    /// The next events. Waits for as long as nothing happens; dropping the future loses nothing.
    ///
    /// # Errors
    /// What storage answered; the watcher can be asked again.
    pub(crate) async fn next(&mut self) -> Result<WatchChatsResponse, Status> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(ready);
            }
            let is_hinted = tokio::time::timeout(POLL_INTERVAL, self.ticks.changed()).await.is_ok();
            if !Box::pin(self.read()).await? && is_hinted {
                for pause in SETTLE_PAUSES {
                    tokio::time::sleep(pause).await;
                    if Box::pin(self.read()).await? {
                        break;
                    }
                }
            }
        }
    }

    /// Asks storage; says whether there was anything.
    async fn read(&mut self) -> Result<bool, Status> {
        self.ticks.mark_unchanged();
        let message = ListWatchEventsRequest {
            after_cursor: self.cursor.clone(),
            limit: 0,
        };
        let request = self
            .clients
            .outbound
            .request(Some(&self.user), STORAGE_DEADLINE, message);
        let answer = self.clients.feed.clone().list_watch_events(request).await?.into_inner();
        self.cursor.clone_from(&answer.next_cursor);
        let is_news = answer.is_expired || !answer.events.is_empty();
        if is_news {
            self.ready.push_back(WatchChatsResponse {
                events: answer.events,
                is_gap: answer.is_expired,
                next_cursor: answer.next_cursor,
            });
        }
        Ok(is_news)
    }
}
