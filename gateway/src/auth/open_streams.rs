//! The credentials of open streams: all of them are looked after together, with one question to storage, however many there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_proto::storage::v1::CheckCredentialsRequest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clients::{Answer, Clients};

/// Credentials storage is asked about at once.
const MAX_ASKED: usize = 10_000;

/// The credentials that streams are open with. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct OpenStreams(Arc<Mutex<HashMap<String, Watched>>>);

struct Watched {
    streams: usize,
    ended: CancellationToken,
}

impl OpenStreams {
    /// Looks after a credential for as long as the guard lives.
    pub fn open(&self, credential_id: &str) -> Guard {
        let mut all = self.lock();
        let watched = all.entry(credential_id.to_owned()).or_insert_with(|| Watched {
            streams: 0,
            ended: CancellationToken::new(),
        });
        watched.streams += 1;
        Guard {
            all: self.clone(),
            credential_id: credential_id.to_owned(),
            ended: watched.ended.clone(),
        }
    }

    /// Asks every `period`, and whenever a credential was taken away through this gateway, for ever.
    pub async fn look_after(self, clients: Clients, period: Duration, mut revocations: watch::Receiver<u64>) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = revocations.changed() => {}
            }
            let credential_ids: Vec<String> = self.lock().keys().cloned().collect();
            for some in credential_ids.chunks(MAX_ASKED) {
                self.check(&clients, some.to_vec()).await;
            }
        }
    }

    /// Ends the streams of credentials that no longer count. When nobody can say, they go on.
    async fn check(&self, clients: &Clients, credential_ids: Vec<String>) {
        let request = clients.ask_as_service(CheckCredentialsRequest { credential_ids });
        match clients.users.clone().check_credentials(request).await.answer() {
            Ok(answer) => {
                let mut all = self.lock();
                for id in &answer.ended_ids {
                    // Whoever opens a stream with it from now on is asked about anew.
                    if let Some(watched) = all.remove(id) {
                        watched.ended.cancel();
                    }
                }
            }
            Err(fault) => tracing::warn!(?fault, "cannot look after the credentials of open streams"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream's credential.
pub struct Guard {
    all: OpenStreams,
    credential_id: String,
    ended: CancellationToken,
}

impl Guard {
    /// Completes when the credential counts no longer.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // An ended credential may have been opened anew meanwhile: that entry is another's.
        if self.ended.is_cancelled() {
            return;
        }
        if let Some(watched) = all.get_mut(&self.credential_id) {
            watched.streams -= 1;
            if watched.streams == 0 {
                all.remove(&self.credential_id);
            }
        }
    }
}
