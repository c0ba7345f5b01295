//! Naming chats and labelling turns: side jobs that a model does beside the turns.
//!
//! They hold no lease and no row. A job is made for a title or a version and is written only while that still stands, so however late it
//! is, a person's title and a newer turn win. Jobs are tracked: a drain gives them a moment, then they are given up and leave things as
//! they were.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tandem_chassis::Runtime;
use tandem_chassis::clock::Clock;
use tandem_chassis::lifecycle::{OnEnd, Shutdown, Tasks};
use tokio::sync::Semaphore;

use crate::clients::Clients;
use crate::config::SideJobs;

mod ask;
mod models;
mod of_turn;
mod prompt;
mod requested;

use models::Models;
pub(crate) use of_turn::OfTurn;

/// Time for one job, all its attempts included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What a drain leaves to jobs that are under way.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// Jobs at once; more are not begun.
const MAX_JOBS: usize = 256;

/// Does the jobs of one replica. Cheap to clone; clones share the jobs.
#[derive(Clone)]
pub(crate) struct Titles(Arc<Parts>);

struct Parts {
    config: SideJobs,
    clients: Clients,
    models: Models,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    shutdown: Shutdown,
    places: Arc<Semaphore>,
    jobs: Family<JobLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct JobLabels {
    job: &'static str,
    result: &'static str,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    AutomaticTitle,
    RequestedTitle,
    TurnSummary,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::AutomaticTitle => "automatic title",
            Self::RequestedTitle => "requested title",
            Self::TurnSummary => "turn summary",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::AutomaticTitle => "automatic_title",
            Self::RequestedTitle => "requested_title",
            Self::TurnSummary => "turn_summary",
        }
    }
}

impl Titles {
    pub(crate) fn new(config: &SideJobs, clients: &Clients, runtime: &Runtime) -> Self {
        Self(Arc::new(Parts {
            config: config.clone(),
            clients: clients.clone(),
            models: Models::new(clients, &runtime.clock),
            clock: Arc::clone(&runtime.clock),
            tasks: runtime.tasks.clone(),
            shutdown: runtime.shutdown.clone(),
            places: Arc::new(Semaphore::new(MAX_JOBS)),
            jobs: runtime.registry.register(
                "side_jobs",
                "Titles and turn summaries by what became of them",
                Family::default(),
            ),
        }))
    }

    /// Runs a job in the background; `false` when there are too many already.
    fn spawn(&self, job: Job, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
            self.count(job, "full");
            return false;
        };
        self.0.tasks.spawn(job.name(), OnEnd::Expected, async move {
            let _place = place;
            work.await;
        });
        true
    }

    fn count(&self, job: Job, result: &'static str) {
        let job = job.label();
        self.0.jobs.get_or_create(&JobLabels { job, result }).inc();
    }

    /// Completes when jobs under way are to be given up.
    async fn given_up(&self) {
        let stopped = self.0.shutdown.stopped();
        let drained = async {
            self.0.shutdown.draining().await;
            tokio::time::sleep(DRAIN_GRACE).await;
        };
        tokio::select! {
            () = stopped => {}
            () = drained => {}
        }
    }
}
