//! Whether a process is alive and ready: one state, told over gRPC health and over HTTP `/healthz` and `/readyz`.
//!
//! A process holds components (services), each with its own "serving" and its own named checks (database, upstream).
//! Ready means: at least one component, all of them serving, all checks good. Checks are *reported* here by whoever
//! does the checking; this module calls nobody.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::sync::watch;

mod grpc;

pub(crate) use grpc::HealthRpc;

/// Longest reason a failing check shows, in characters.
const MAX_REASON_CHARS: usize = 200;

/// A handle on the state, speaking for one component. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<watch::Sender<State>>,
    component: Arc<str>,
}

/// What `/readyz` answers.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    pub is_ready: bool,
    pub components: BTreeMap<String, Component>,
}

/// One component as `/readyz` shows it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Component {
    pub is_serving: bool,
    /// Failing checks only, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct State {
    components: BTreeMap<Arc<str>, Component>,
}

impl State {
    fn report(&self) -> Report {
        let is_ready = !self.components.is_empty() && self.components.values().all(Component::is_ready);
        Report {
            is_ready,
            components: self
                .components
                .iter()
                .map(|(name, component)| (name.to_string(), component.clone()))
                .collect(),
        }
    }
}

impl Component {
    fn is_ready(&self) -> bool {
        self.is_serving && self.failing.is_empty()
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A process with no component yet: alive, not ready.
    pub fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::default()),
            component: Arc::from("process"),
        }
    }

    /// The same process, speaking for `component`, which counts as not serving until it says otherwise.
    pub fn component(&self, component: &str) -> Self {
        let component: Arc<str> = Arc::from(component);
        self.state.send_modify(|state| {
            state.components.entry(Arc::clone(&component)).or_default();
        });
        Self {
            state: Arc::clone(&self.state),
            component,
        }
    }

    /// Says whether this component takes work. True after start, false when draining begins.
    pub fn set_serving(&self, is_serving: bool) {
        self.change(|component| component.is_serving = is_serving);
    }

    /// A named check of this component, good until it says otherwise.
    pub fn check(&self, name: &str) -> Check {
        Check {
            health: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Whether the whole process is ready.
    pub fn is_ready(&self) -> bool {
        self.state.borrow().report().is_ready
    }

    /// The whole process, for people.
    pub fn report(&self) -> Report {
        self.state.borrow().report()
    }

    /// Waits until the whole process is ready.
    pub async fn ready(&self) {
        let mut states = self.state.subscribe();
        // An error would mean the sender is gone, and `self` holds it.
        let _ = states.wait_for(|state| state.report().is_ready).await;
    }

    /// Whether this component alone is ready.
    fn is_component_ready(&self) -> bool {
        self.state
            .borrow()
            .components
            .get(&self.component)
            .is_some_and(Component::is_ready)
    }

    fn changes(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Only a real change wakes the watchers.
    fn change(&self, apply: impl FnOnce(&mut Component)) {
        self.state.send_if_modified(|state| {
            let component = state.components.entry(Arc::clone(&self.component)).or_default();
            let before = component.clone();
            apply(component);
            *component != before
        });
    }
}

/// One thing a component needs. Dropping it leaves its last word standing.
#[derive(Clone, Debug)]
pub struct Check {
    health: Health,
    name: String,
}

impl Check {
    /// The thing works.
    pub fn pass(&self) {
        self.health.change(|component| {
            component.failing.remove(&self.name);
        });
    }

    /// The thing does not work. `reason` is shown on `/readyz` without authentication: no secrets, no addresses.
    pub fn fail(&self, reason: &str) {
        let reason = reason.chars().take(MAX_REASON_CHARS).collect();
        self.health.change(|component| {
            component.failing.insert(self.name.clone(), reason);
        });
    }
}

/// Serves `GET /healthz` (200 while the process runs) and `GET /readyz` (200 or 503, with the [`Report`] as JSON).
pub fn router(health: Health) -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route(
        "/readyz",
        get(move || {
            let report = health.report();
            async move {
                let status = if report.is_ready {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                (status, Json(report))
            }
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_all_components_serve_and_all_checks_pass() {
        let process = Health::new();
        assert!(!process.is_ready(), "nothing runs yet");

        let storage = process.component("storage");
        let gateway = process.component("gateway");
        storage.set_serving(true);
        assert!(!process.is_ready(), "gateway does not serve yet");
        gateway.set_serving(true);
        assert!(process.is_ready());

        let database = storage.check("database");
        database.fail("no connection");
        assert!(!process.is_ready());
        assert!(!storage.is_component_ready());
        assert!(gateway.is_component_ready());
        assert_eq!(
            process.report().components["storage"].failing["database"],
            "no connection"
        );

        database.pass();
        assert!(process.is_ready());
    }

    #[tokio::test]
    async fn waiting_for_ready_ends_when_it_is() {
        let health = Health::new();
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.ready().await }
        });
        health.set_serving(true);
        waiting.await.unwrap();
    }
}
