//! Where chats work: told by agents, recorded in storage, the newest sighting of each chat alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tandem_chassis::clock::{Clock, System};
use tandem_proto::storage::v1::RecordGitHeadRequest;
use tandem_proto::workspace::v1::GitChanges;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::clients::{Clients, PAUSES, persist};

/// Sightings that wait to be recorded. More are not taken: an agent tells again when its chat works.
const MAX_WAITING: usize = 4_096;

/// Records at once.
const MAX_RECORDS: usize = 8;

/// Pause before sightings are recorded that storage could not take.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What waits to be recorded. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Heads(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    /// By chat.
    sightings: Mutex<HashMap<String, Sighting>>,
    news: Notify,
    clock: OnceLock<Arc<dyn Clock>>,
}

#[derive(Clone)]
struct Sighting {
    workspace_id: String,
    branch: String,
    origin: String,
    seen_at: OffsetDateTime,
}

impl Heads {
    /// Sightings are of this clock's time.
    pub(super) fn set_clock(&self, clock: Arc<dyn Clock>) {
        // The first one stays.
        let _ = self.0.clock.set(clock);
    }

    /// An agent tells where a chat works, the repository last worked in first. Its own clock is not consulted.
    pub(crate) fn seen(&self, workspace_id: &str, changes: GitChanges) {
        let Some(first) = changes.repositories.into_iter().find(|found| !found.is_removed) else {
            return;
        };
        let sighting = Sighting {
            workspace_id: workspace_id.to_owned(),
            branch: first.branch,
            origin: first.remote_origin,
            seen_at: self.0.clock.get().map_or_else(|| System.now(), |clock| clock.now()),
        };
        let mut sightings = self.lock();
        if sightings.len() >= MAX_WAITING && !sightings.contains_key(&changes.chat_id) {
            tracing::warn!("more repositories are told of than can be recorded");
            return;
        }
        sightings.insert(changes.chat_id, sighting);
        drop(sightings);
        self.0.news.notify_one();
    }

    /// Records until the future is dropped.
    pub(crate) async fn record(&self, clients: &Clients) {
        loop {
            self.0.news.notified().await;
            loop {
                let batch: Vec<(String, Sighting)> = self.lock().drain().collect();
                if batch.is_empty() {
                    break;
                }
                let records =
                    stream::iter(batch).map(|(chat_id, sighting)| self.record_one(clients, chat_id, sighting));
                let lost: Vec<bool> = records.buffer_unordered(MAX_RECORDS).collect().await;
                if lost.contains(&true) {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Whether storage could not take it.
    async fn record_one(&self, clients: &Clients, chat_id: String, sighting: Sighting) -> bool {
        let recorded = persist(&PAUSES, || {
            let request = clients.own_request(RecordGitHeadRequest {
                chat_id: chat_id.clone(),
                workspace_id: sighting.workspace_id.clone(),
                branch: sighting.branch.clone(),
                remote_origin: sighting.origin.clone(),
                observed_at: Some(prost_types::Timestamp {
                    seconds: sighting.seen_at.unix_timestamp(),
                    nanos: i32::try_from(sighting.seen_at.nanosecond()).unwrap_or_default(),
                }),
            });
            let mut git = clients.git.clone();
            async move { git.record_git_head(request).await }
        });
        match recorded.await {
            Ok(_) => false,
            Err(status) if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) => {
                // Nothing newer has come meanwhile, or it stays.
                self.lock().entry(chat_id).or_insert(sighting);
                true
            }
            Err(status) => {
                tracing::debug!(chat_id, error = status.message(), "where a chat works is not recorded");
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Sighting>> {
        self.0.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
