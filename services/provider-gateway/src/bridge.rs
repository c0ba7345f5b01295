//! The OpenAI- and Anthropic-compatible endpoints: any program that speaks to those vendors can ask the models of this deployment.
//!
//! One engine, two fronts ([`forward`] for the gateway, [`listener`] of its own). A request is handed on as it is where the provider
//! speaks its dialect ([`relay`]), and goes through the neutral request otherwise ([`translate`], [`told`]). Both ways it passes the
//! same spend limits, breakers and keys, and is counted, paid and recorded the same ([`tab`], [`record`]). Where that is wanted, requests
//! are given tools of MCP servers ([`inject`]). What a client gets is always an HTTP answer in its vendor's shape.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tandem_chassis::{
    Runtime,
    clock::Clock,
    config::duration,
    identity::ServiceName,
    lifecycle::{OnEnd, Shutdown},
    tls,
    transport::Address,
};
use tandem_protocols::ApiKey;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;

use self::{
    body::{Bodies, Body, Collected},
    caller::Caller,
    dialect::{Dialect, Family, Layout},
    directory::{Directory, Listed},
    inject::Injector,
    metrics::Metrics,
    peek::Peek,
    record::{Recorder, retention::MaxAge},
    refusal::{Reason, Refusal},
    route::{Endpoint, Mount},
    serve::Question,
    tab::{Opening, Tab},
};
use crate::{
    catalog::Catalog, completion::task::Runner, config::Guards, health::Health, outbound::Outbound,
    spend::ledger::Ledger,
};

pub use self::record::retention::BadAge;

pub mod authenticate;
mod body;
mod caller;
mod client;
mod dialect;
mod directory;
pub mod forward;
mod headers;
mod inject;
pub mod listener;
mod metrics;
mod models;
mod passed;
mod passthrough;
mod peek;
mod prompt;
mod record;
mod refusal;
mod relay;
mod route;
mod serve;
mod sniff;
mod tab;
mod told;
mod translate;
mod vendor;

/// Time for exchanges to end whose connections have been closed.
const LAST_ENDS: Duration = Duration::from_secs(2);

/// How programs are served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where programs are served without going through a gateway, such as `http://0.0.0.0:8090`; nowhere unless set.
    pub listen: Option<Address>,
    /// Certificate of an `https:` listener.
    pub tls: Option<tls::ServerConfig>,
    /// Keeps what went through: who asked what, which tools were called, what it used.
    pub record: bool,
    /// How long that is kept: `0s` for ever, otherwise from an hour to a hundred years.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// Models that nobody configured may be asked for; they have no price.
    pub any_model: bool,
    /// Callers may bring their own vendor credential in a request's headers.
    pub allow_byok: bool,
    /// Callers' requests are given the tools of the MCP servers that chats use, which are run here and hidden from the client.
    pub inject_mcp_tools: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: None,
            tls: None,
            record: true,
            retention: Duration::from_secs(60 * 24 * 60 * 60),
            any_model: false,
            allow_byok: true,
            inject_mcp_tools: false,
        }
    }
}

/// What an exchange needs.
pub struct Parts {
    config: Config,
    directory: Directory,
    runner: Runner,
    health: Arc<Health>,
    ledger: Ledger,
    recorder: Recorder,
    bodies: Bodies,
    /// Exchanges that have not ended.
    open: TaskTracker,
    metrics: Metrics,
    /// Where tools of MCP servers come from; nowhere unless that is wanted.
    injector: Option<Injector>,
    service_metrics: crate::metrics::Metrics,
    outbound: Outbound,
    guards: Guards,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

/// What the bridge shares with the rest of the service.
pub struct Shared {
    /// Which models there are.
    pub catalog: Catalog,
    /// Runs completions.
    pub runner: Runner,
    /// How providers do.
    pub health: Arc<Health>,
    /// Where what is used is told.
    pub ledger: Ledger,
    /// What the service counts.
    pub metrics: crate::metrics::Metrics,
    /// How vendors are reached.
    pub outbound: Outbound,
    /// How storage is reached.
    pub storage: Channel,
    /// How tool-runner is.
    pub tool_runner: Channel,
}

/// The engine. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Bridge(Arc<Parts>);

impl Bridge {
    /// An engine; its recorder runs as a task of `runtime`.
    ///
    /// # Errors
    /// Records cannot be kept for so long as is configured.
    pub fn new(config: &crate::Config, runtime: &Runtime, shared: Shared) -> Result<Self, BadAge> {
        let max_age = MaxAge::of(config.bridge.retention)?;
        let metrics = Metrics::new(&runtime.registry);
        let recorder = if config.bridge.record {
            let outbound = runtime.outbound(ServiceName::ProviderGateway);
            if let Some(max_age) = max_age {
                let (outbound, storage) = (outbound.clone(), shared.storage.clone());
                let keeping = record::retention::keep_to(max_age, outbound, storage, runtime.shutdown.clone());
                runtime.tasks.spawn("retention of exchanges", OnEnd::Expected, keeping);
            }
            let (recorder, scribe) = Recorder::new(outbound, shared.storage, metrics.clone());
            runtime
                .tasks
                .spawn("records of exchanges", OnEnd::Expected, scribe.run());
            recorder
        } else {
            Recorder::off()
        };
        let clock = Arc::clone(&runtime.clock);
        Ok(Self(Arc::new(Parts {
            directory: Directory::new(
                shared.catalog,
                config.bridge.any_model,
                config.cache_ttl,
                Arc::clone(&clock),
            ),
            config: config.bridge.clone(),
            runner: shared.runner,
            health: shared.health,
            ledger: shared.ledger,
            recorder,
            bodies: Bodies::default(),
            open: TaskTracker::new(),
            injector: config.bridge.inject_mcp_tools.then(|| {
                let outbound = runtime.outbound(ServiceName::ProviderGateway);
                Injector::new(outbound, shared.tool_runner, metrics.clone())
            }),
            metrics,
            service_metrics: shared.metrics,
            outbound: shared.outbound,
            guards: config.guards.clone(),
            clock,
            shutdown: runtime.shutdown.clone(),
        })))
    }

    /// Tells what is left to be recorded, when what was under way has ended. Nothing may be asked after this.
    pub async fn close(&self) {
        self.0.open.close();
        if timeout(LAST_ENDS, self.0.open.wait()).await.is_err() {
            tracing::warn!(count = self.0.open.len(), "bridged exchanges did not end in time");
        }
        self.0.recorder.close().await;
    }

    /// Counts an exchange that a front refuses.
    fn count_refusal(&self, refusal: &Refusal) {
        self.0.metrics.refused(refusal.reason.as_str());
    }

    /// Answers one request. What goes wrong is an answer as well.
    pub async fn exchange<B>(&self, caller: &Arc<Caller>, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        let family = route::family_of(head.uri.path());
        let answered = self.answer(caller, &head.method, &head.uri, head.headers, body).await;
        answered.unwrap_or_else(|(refusal, known)| {
            self.count_refusal(&refusal);
            refusal.response(known.unwrap_or(family))
        })
    }

    async fn answer<B>(
        &self,
        caller: &Arc<Caller>,
        method: &Method,
        uri: &http::Uri,
        headers: HeaderMap,
        body: B,
    ) -> Result<Response<Body>, (Refusal, Option<Family>)>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let parts = &self.0;
        let plainly = |refusal| (refusal, None);
        parts.check(caller, &headers).map_err(plainly)?;
        let no_route = || {
            let text = format!("route not supported: {method} {}", uri.path());
            (Refusal::new(Reason::NoRoute, text), None)
        };
        let place = route::find(uri.path()).ok_or_else(no_route)?;
        let (layout, fixed) = match place.mount {
            Mount::Any(family) => (Layout::from(family), None),
            Mount::Provider(name) => {
                let listed = parts.directory.provider(name).await.map_err(plainly)?;
                (Layout::of(listed.kind), Some(listed))
            }
        };
        let endpoint = place.endpoint(layout, method).ok_or_else(no_route)?;
        let family = match endpoint {
            Endpoint::Answer(dialect) => dialect.family(),
            _ => layout.family(),
        };
        let exchange = Exchange {
            parts,
            caller,
            method,
            uri,
            headers,
            fixed,
        };
        let answered = exchange.answer(endpoint, body).await;
        answered.map_err(|refusal| (refusal, Some(family)))
    }
}

impl Parts {
    /// What holds for every request.
    fn check(&self, caller: &Caller, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.shutdown.is_draining() {
            let text = "This replica is stopping; try again.";
            return Err(Refusal::new(Reason::Unavailable, text).after(Duration::from_secs(1)));
        }
        if caller.is_byok && !self.config.allow_byok {
            let text = "Own vendor credentials are not allowed here; leave them out.";
            return Err(Refusal::new(Reason::Forbidden, text));
        }
        if !headers::fit(headers) {
            let text = format!(
                "The request has more than {} headers, or more than {} bytes of them.",
                headers::MAX_HEADERS,
                headers::MAX_HEADER_BYTES
            );
            return Err(Refusal::new(Reason::Invalid, text));
        }
        Ok(())
    }
}

/// One request, its route known.
struct Exchange<'a> {
    parts: &'a Arc<Parts>,
    caller: &'a Arc<Caller>,
    method: &'a Method,
    uri: &'a http::Uri,
    headers: HeaderMap,
    /// The provider the path names.
    fixed: Option<Listed>,
}

impl Exchange<'_> {
    async fn answer<B>(self, endpoint: Endpoint<'_>, body: B) -> Result<Response<Body>, Refusal>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let bodies = &self.parts.bodies;
        match endpoint {
            Endpoint::Answer(dialect) => {
                let body = bodies.collect(body).await?;
                self.ask_model(dialect, body).await
            }
            Endpoint::CountTokens => {
                let body = bodies.collect(body).await?;
                self.count_tokens(&body.bytes).await
            }
            Endpoint::Models => self.models().await,
            Endpoint::Model(name) => self.model(name).await,
            Endpoint::Versioned(path) => {
                let body = bodies.collect(body).await?;
                self.pass_on(path, true, body.bytes.clone()).await
            }
            Endpoint::Rooted(path) => {
                let body = bodies.collect(body).await?;
                self.pass_on(path, false, body.bytes.clone()).await
            }
        }
    }

    /// Looks whether a provider that is asked with callers' own credentials can be asked with this one's.
    fn check_own(&self, provider: &Listed) -> Result<(), Refusal> {
        let brings_own = self.caller.is_byok && headers::has_bearer(&self.headers);
        if provider.is_users_own() && !brings_own {
            return Err(directory::own_needed(&provider.name));
        }
        Ok(())
    }

    /// The caller's own vendor credential is used.
    fn brings_key(&self) -> bool {
        self.caller.is_byok && headers::has_credential(&self.headers)
    }

    async fn ask_model(self, dialect: Dialect, collected: Collected) -> Result<Response<Body>, Refusal> {
        let body = &collected.bytes.clone();
        let encoding = self.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            let text = "The request body must not be compressed.";
            return Err(Refusal::new(Reason::Invalid, text));
        }
        let parts = self.parts;
        let peek = Peek::of(dialect, body)?;
        let found = parts.directory.find(&peek.model, dialect, self.fixed.as_ref()).await?;
        self.check_own(&found.provider)?;
        let brings_key = self.brings_key();
        let model = parts.directory.model(&found, self.caller, brings_key).await?;
        let own = if brings_key {
            headers::own_credential(&self.headers)
        } else {
            None
        };
        let own = own.as_ref().map(ExposeSecret::expose_secret);
        let opening = Opening {
            caller: self.caller,
            dialect,
            headers: &self.headers,
            peek: &peek,
            body_bytes: body.len(),
            model: Arc::clone(&model),
            brings_key,
            credential: own.or_else(|| model.provider.keys.first().map(ApiKey::expose)),
        };
        let tab = Tab::open(parts, opening)?;
        let question = Question {
            query: self.uri.query(),
            peek: &peek,
            body: Arc::new(collected),
        };
        Ok(serve::serve(parts, tab, self.headers, &question).await)
    }
}
