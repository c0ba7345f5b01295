//! The one place that builds and connects the parts.

use std::{ops::Deref, sync::Arc};

use tandem_chassis::{
    RunError, Runtime,
    clock::Clock,
    health::Health,
    identity::ServiceName,
    lifecycle::Shutdown,
    metrics::Registry,
    transport::{Address, Listener},
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::{
    auth::{accounts::Accounts, limiter::Limiter, origin::Origins},
    clients::Clients,
    config::Config,
    first_start, http,
    metrics::Metrics,
    rest,
};

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    pub config: Config,
    pub clients: Clients,
    pub accounts: Accounts,
    pub origins: Origins,
    pub requests: Limiter,
    pub uploads: Limiter,
    pub failed_logins: Limiter,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    /// Upgraded connections, which outlive their request.
    pub sockets: TaskTracker,
    pub shutdown: Shutdown,
    pub health: Health,
    pub registry: Registry,
    pub public_url: Url,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Connects the parts; `public_url` is where browsers find them.
    ///
    /// # Errors
    /// Unreadable certificates.
    pub fn new(config: Config, public_url: &Url, runtime: &Runtime) -> Result<Self, RunError> {
        let clients = Clients::new(&config, runtime.outbound(ServiceName::Gateway))?;
        let limiter = |per_minute| Limiter::new(per_minute, Arc::clone(&runtime.clock));
        Ok(Self(Arc::new(Parts {
            accounts: Accounts::new(clients.clone(), config.sessions.cache),
            origins: Origins::new(public_url, &config.allowed_origins),
            requests: limiter(config.rate_limit.requests_per_minute),
            uploads: limiter(config.rate_limit.uploads_per_minute),
            failed_logins: limiter(config.rate_limit.failed_logins_per_minute),
            metrics: Metrics::new(&runtime.registry),
            clock: Arc::clone(&runtime.clock),
            sockets: TaskTracker::new(),
            shutdown: runtime.shutdown.clone(),
            health: runtime.health.clone(),
            registry: runtime.registry.clone(),
            public_url: public_url.clone(),
            clients,
            config,
        })))
    }
}

/// Runs a gateway on `listener` until the runtime drains: no new requests then, sockets close, open requests finish.
///
/// At the first start, while nobody can sign in yet, a link that opens the first session is sent to `setup_link`; it is
/// logged nowhere.
///
/// # Errors
/// [`RunError`] when it cannot start: certificates, or a storage that does not answer.
pub async fn run(
    config: Config,
    listener: Listener,
    runtime: Runtime,
    setup_link: Option<oneshot::Sender<String>>,
) -> Result<(), RunError> {
    let public_url = public_url(&config, listener.address());
    let app = App::new(config, &public_url, &runtime)?;
    let draining = runtime.shutdown.draining();
    let link = tokio::select! {
        () = draining => return Ok(()),
        link = first_start::prepare(&app, &public_url) => link?,
    };
    if let (Some(link), Some(receiver)) = (link, setup_link)
        && receiver.send(link).is_err()
    {
        tracing::warn!("nobody waits for the link of the first sign-in; restart to get another");
    }
    runtime.health.set_serving(true);
    tracing::info!(address = %listener.address(), "gateway serves");
    let (limits, shutdown) = (&app.config.limits, &runtime.shutdown);
    http::serve(listener, rest::router(app.clone()), limits, &app.metrics, &app.sockets, shutdown).await;
    runtime.health.set_serving(false);
    Ok(())
}

/// The configured address, else the listener's own as a browser on this machine writes it.
fn public_url(config: &Config, address: &Address) -> Url {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let text = match address.host_port() {
        Some((host, port)) => {
            let host = match host {
                "0.0.0.0" | "[::]" | "::" | "" => "localhost",
                other => other,
            };
            let scheme = match address {
                Address::Https { .. } => "https",
                _ => "http",
            };
            format!("{scheme}://{host}:{port}")
        }
        None => "http://localhost".to_owned(),
    };
    Url::parse(&text).unwrap_or_else(|_| Url::parse("http://localhost").expect("a literal address"))
}
