//! The one place that builds and connects the parts.

use std::{ops::Deref, pin::pin, sync::Arc};

use tandem_chassis::{
    RunError, Runtime,
    clock::Clock,
    health::Health,
    identity::ServiceName,
    lifecycle::{OnEnd, Shutdown},
    metrics::Registry,
    transport::{Address, Listener},
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::{
    auth::{accounts::Accounts, limiter::Limiter, open_streams::OpenStreams, origin::Origins},
    clients::Clients,
    config::Config,
    first_start, http,
    metrics::Metrics,
    peers::Peers,
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
    pub open_streams: OpenStreams,
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
    /// Whether cookies are marked for HTTPS only.
    pub is_cookie_secure: bool,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Connects the parts of a gateway that listens at `address`.
    ///
    /// # Errors
    /// Unreadable certificates.
    pub fn new(config: Config, address: &Address, runtime: &Runtime) -> Result<Self, RunError> {
        let public_url = public_url(&config, address);
        let has_tls = matches!(address, Address::Https { .. });
        let is_https = has_tls || public_url.scheme() == "https";
        let clients = Clients::new(&config, runtime.outbound(ServiceName::Gateway))?;
        let limiter = |per_minute| Limiter::new(per_minute, Arc::clone(&runtime.clock));
        Ok(Self(Arc::new(Parts {
            accounts: Accounts::new(clients.clone(), config.sessions.cache),
            open_streams: OpenStreams::default(),
            origins: Origins::new(&public_url, has_tls, &config.allowed_origins),
            requests: limiter(config.rate_limit.requests_per_minute),
            uploads: limiter(config.rate_limit.uploads_per_minute),
            failed_logins: limiter(config.rate_limit.failed_logins_per_minute),
            metrics: Metrics::new(&runtime.registry),
            clock: Arc::clone(&runtime.clock),
            sockets: TaskTracker::new(),
            shutdown: runtime.shutdown.clone(),
            health: runtime.health.clone(),
            registry: runtime.registry.clone(),
            is_cookie_secure: config.sessions.cookie_secure.unwrap_or(is_https),
            public_url,
            clients,
            config,
        })))
    }
}

/// Runs a gateway on `listener` until the runtime drains: no new requests then, sockets close, open requests finish.
///
/// It answers at once; `/readyz` says so only once the first start is done and the services behind it are there. While
/// nobody can sign in yet, a link that opens the first session is sent to `setup_link`; it is logged nowhere.
///
/// # Errors
/// [`RunError`] when it cannot start: certificates, or a storage that refuses the first start.
pub async fn run(
    config: Config,
    listener: Listener,
    runtime: Runtime,
    setup_link: Option<oneshot::Sender<String>>,
) -> Result<(), RunError> {
    let app = App::new(config, listener.address(), &runtime)?;
    let setup = runtime.health.check("setup");
    setup.fail("not done yet");
    let peers = Peers::new(app.clone());
    runtime.tasks.spawn("ask after peers", OnEnd::Expected, {
        let draining = runtime.shutdown.draining();
        async move {
            tokio::select! {
                () = draining => {}
                () = peers.watch() => {}
            }
        }
    });
    runtime.tasks.spawn("look after open streams", OnEnd::Expected, {
        let revocations = app.accounts.revocations();
        let looking =
            app.open_streams
                .clone()
                .look_after(app.clients.clone(), app.config.sessions.recheck, revocations);
        let draining = runtime.shutdown.draining();
        async move {
            tokio::select! {
                () = draining => {}
                () = looking => {}
            }
        }
    });
    runtime.health.set_serving(true);
    tracing::info!(address = %listener.address(), "gateway serves");
    let (limits, shutdown) = (&app.config.limits, &runtime.shutdown);
    let router = rest::router(app.clone());
    let mut serving = pin!(http::serve(
        listener,
        router,
        limits,
        &app.metrics,
        &app.sockets,
        shutdown
    ));
    tokio::select! {
        () = &mut serving => return Ok(()),
        link = first_start::prepare(&app) => announce(link?, setup_link),
    }
    setup.pass();
    serving.await;
    Ok(())
}

fn announce(link: Option<String>, setup_link: Option<oneshot::Sender<String>>) {
    if let (Some(link), Some(receiver)) = (link, setup_link)
        && receiver.send(link).is_err()
    {
        tracing::warn!("nobody waits for the link of the first sign-in; restart to get another");
    }
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

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        http::{Method, Request, header},
    };
    use tandem_chassis::identity::ServiceSecret;
    use tower::ServiceExt;

    use super::*;
    use crate::auth::Peer;

    fn router() -> Router {
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let address = "http://localhost:7080".parse().unwrap();
        rest::router(App::new(Config::default(), &address, &runtime).unwrap())
    }

    async fn ask(method: Method, path: &str) -> (u16, String, String) {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(None));
        let response = router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1 << 22).await.unwrap();
        (status, policy, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn every_prefix_answers_in_json_and_asks_who_is_there() {
        for prefix in ["/api/v1", "/api/experimental", "/api/v2"] {
            for (method, path, expected) in [
                (Method::GET, "/chats", 401),
                (Method::GET, "/chats/watch", 401),
                (Method::GET, "/users/me", 401),
                (Method::DELETE, "/chats", 401),
                (Method::GET, "/nothing/here", 404),
                (Method::GET, "/openapi.json", 200),
                (Method::GET, "/buildinfo", 200),
            ] {
                let (status, policy, body) = ask(method.clone(), &format!("{prefix}{path}")).await;
                assert_eq!(status, expected, "{method} {prefix}{path}: {body}");
                assert!(
                    body.starts_with('{') && policy.contains("default-src 'none'"),
                    "{path}: {body}"
                );
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_api_is_no_page() {
        let (status, _, body) = ask(Method::GET, "/api/v9/chats").await;
        assert_eq!(status, 404);
        assert!(body.starts_with('{'), "{body}");
    }

    #[tokio::test]
    async fn probes_answer_without_a_token() {
        assert_eq!(ask(Method::GET, "/healthz").await.0, 200);
        assert_eq!(ask(Method::GET, "/readyz").await.0, 503);
    }

    #[test]
    fn the_public_address_is_one_a_browser_can_open() {
        let url = |address: &str| public_url(&Config::default(), &address.parse().unwrap()).to_string();
        assert_eq!(url("http://0.0.0.0:7080"), "http://localhost:7080/");
        assert_eq!(url("http://[::]:7080"), "http://localhost:7080/");
        assert_eq!(url("http://127.0.0.1:80"), "http://127.0.0.1/");
        assert_eq!(url("memory:gateway"), "http://localhost/");
        assert_eq!(url("https://0.0.0.0:7443"), "https://localhost:7443/");
    }

    #[tokio::test]
    async fn cookies_are_secure_where_the_public_address_or_the_listener_is() {
        let is_secure = |address: &str, public_url: Option<&str>, setting| {
            let mut config = Config {
                public_url: public_url.map(|url| url.parse().unwrap()),
                ..Config::default()
            };
            config.sessions.cookie_secure = setting;
            let runtime = Runtime::new(ServiceSecret::generate().unwrap());
            App::new(config, &address.parse().unwrap(), &runtime)
                .unwrap()
                .is_cookie_secure
        };
        let (plain, tls, proxy) = (
            "http://localhost:7080",
            "https://localhost:7443",
            "https://tandem.example.com",
        );
        assert!(!is_secure(plain, None, None));
        assert!(is_secure(tls, None, None));
        assert!(is_secure(tls, Some(plain), None));
        assert!(is_secure(plain, Some(proxy), None));
        assert!(!is_secure(plain, Some(proxy), Some(false)));
    }
}
