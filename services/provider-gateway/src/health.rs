//! What this replica knows of how providers do: their keys, the breakers of their models, and the lines at their doors. Everything that
//! calls vendors shares it.

use std::sync::Arc;

use tandem_chassis::clock::Clock;

use crate::{admission::Admission, breaker::Breakers, config::Config, key_pool::KeyPools, metrics::Metrics};

/// How all providers do. In memory only.
pub struct Health {
    /// Completions at once.
    pub admission: Admission,
    /// Models that cannot answer.
    pub breakers: Arc<Breakers>,
    /// Keys that vendors limit or refuse.
    pub pools: KeyPools,
}

impl Health {
    /// All well.
    pub fn new(config: &Config, metrics: &Metrics, clock: &Arc<dyn Clock>) -> Arc<Self> {
        let breaker_metrics = metrics.clone();
        let breakers = Breakers::new(config.breaker.clone(), Arc::clone(clock), move |target, state| {
            tracing::info!(
                provider = target.provider_name,
                model = target.model,
                ?state,
                "circuit breaker changed"
            );
            breaker_metrics.breaker_changed(target, state);
        });
        Arc::new(Self {
            admission: Admission::new(config.admission.clone(), metrics.clone()),
            breakers,
            pools: KeyPools::new(Arc::clone(clock)),
        })
    }
}
