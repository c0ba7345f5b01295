//! The layers of [`super`], in one place and in their order.

use std::{
    any::Any,
    collections::BTreeSet,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use super::{
    Limits,
    body::GuardedBody,
    deadline::{Allowance, allowance},
    metrics::{Measure, RpcMetrics},
};
use crate::{
    Runtime,
    fault::{self, Moment},
    identity::{Caller, Verifier},
    lifecycle::Shutdown,
    status::Fault,
    telemetry,
};

/// When a refused caller may try again.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(1);

/// Longest request id taken over from a caller, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

#[derive(Clone)]
pub(super) struct StackLayer(Arc<Parts>);

struct Parts {
    verifier: Verifier,
    shutdown: Shutdown,
    metrics: RpcMetrics,
    paths: Paths,
    /// Of this server, which may begin to drain later than its process.
    draining: CancellationToken,
    limits: Limits,
    in_flight: Arc<Semaphore>,
}

/// What is special about which methods.
pub(super) struct Paths {
    /// The services there are.
    pub(super) services: BTreeSet<&'static str>,
    /// Prefixes of methods that need no caller token.
    pub(super) exempt: Vec<&'static str>,
    /// Prefixes of methods whose streams end when draining begins.
    pub(super) subscriptions: Vec<&'static str>,
}

impl StackLayer {
    pub(super) fn new(runtime: &Runtime, paths: Paths, limits: Limits, draining: CancellationToken) -> Self {
        let permits = limits.max_in_flight.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Parts {
            verifier: runtime.verifier(),
            shutdown: runtime.shutdown.clone(),
            metrics: runtime.registry.rpc(),
            paths,
            draining,
            limits,
            in_flight: Arc::new(Semaphore::new(permits)),
        }))
    }
}

impl<S> Layer<S> for StackLayer {
    type Service = Stack<S>;

    fn layer(&self, inner: S) -> Stack<S> {
        Stack {
            inner,
            parts: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone)]
pub(super) struct Stack<S> {
    inner: S,
    parts: Arc<Parts>,
}

impl<S> Service<Request<Body>> for Stack<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready, and refusing is done per request.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let allowance = allowance(request.headers(), &self.parts.limits);
        // Taken before the library starts its own timer, so that ours fires first and says "deadline".
        let until = Instant::now() + allowance.time;
        let parts = Arc::clone(&self.parts);
        let inner = self.inner.clone();
        let span = parts.span(&request);
        Box::pin(
            async move {
                let passed = AssertUnwindSafe(parts.pass(inner, request, allowance, until))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|payload| Err(panic_fault(&*payload)));
                Ok(passed.unwrap_or_else(|fault| Status::from(fault).into_http()))
            }
            .instrument(span),
        )
    }
}

impl Parts {
    /// Layer 2. The names are OpenTelemetry's for RPC servers.
    fn span(&self, request: &Request<Body>) -> Span {
        let method = request.uri().path();
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.method = method,
            trace_id = field::Empty,
            request_id = field::Empty,
            caller = field::Empty,
            user_id = field::Empty,
        );
        if span.is_disabled() {
            return span;
        }
        telemetry::set_parent(&span, request.headers());
        if let Some(trace_id) = telemetry::trace_id(&span) {
            span.record("trace_id", trace_id);
        }
        if let Some(request_id) = header(request.headers(), "x-request-id")
            && request_id.len() <= MAX_REQUEST_ID_BYTES
        {
            span.record("request_id", request_id);
        }
        span
    }

    /// Layers 3 to 6, then the handler.
    async fn pass<S>(
        &self,
        mut inner: S,
        mut request: Request<Body>,
        allowance: Allowance,
        until: Instant,
    ) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let mut measure = self.measure(&request);
        let admitted = self.admit(&mut request);
        let permit = match admitted {
            Ok(permit) => permit,
            Err(fault) => {
                measure.finish(fault.code.grpc());
                return Err(fault);
            }
        };
        let path = request.uri().path().to_owned();
        if fault::fails(&path, Moment::Before) {
            measure.finish(tonic::Code::Unavailable);
            return Err(injected());
        }
        let handling = AssertUnwindSafe(inner.call(request)).catch_unwind();
        let ended = tokio::select! {
            biased;
            answered = handling => match answered {
                Ok(Ok(_)) if fault::fails(&path, Moment::After) => Err(injected()),
                Ok(Ok(response)) => Ok(response),
                Ok(Err(never)) => match never {},
                Err(payload) => Err(panic_fault(&*payload)),
            },
            fault = cut(&self.shutdown, Some(until)) => Err(fault),
        };
        let response = match ended {
            Ok(response) => response,
            Err(fault) => {
                measure.finish(fault.code.grpc());
                return Err(fault);
            }
        };
        if let Some(status) = Status::from_header_map(response.headers()) {
            // An error without a body: the headers are the whole answer.
            measure.finish(status.code());
        }
        let until = allowance.covers_stream.then_some(until);
        let cut = cut(&self.shutdown, until);
        let cut = if starts_with_any(&path, &self.paths.subscriptions) {
            let draining = self.draining.clone().cancelled_owned();
            async move {
                tokio::select! {
                    fault = cut => fault,
                    () = draining => Fault::unavailable("DRAINING", "the service is about to stop"),
                }
            }
            .boxed()
        } else {
            cut.boxed()
        };
        Ok(response.map(|body| Body::new(GuardedBody::new(body, cut, Span::current(), measure, permit))))
    }

    /// Layer 3.
    fn measure(&self, request: &Request<Body>) -> Measure {
        let method = request.uri().path();
        let is_known = method
            .trim_start_matches('/')
            .split_once('/')
            .is_some_and(|(service, _)| self.paths.services.contains(service));
        Measure::start(self.metrics.clone(), method, is_known)
    }

    /// Layers 4 and 5.
    fn admit(&self, request: &mut Request<Body>) -> Result<OwnedSemaphorePermit, Fault> {
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| Fault::unavailable("OVERLOADED", "too many requests at once").retry_after(OVERLOAD_PAUSE))?;
        match self.identify(request) {
            Ok(caller) => {
                let span = Span::current();
                span.record("caller", caller.service.as_str());
                if let Some(user) = &caller.user {
                    span.record("user_id", field::display(user.id));
                }
                request.extensions_mut().insert(caller);
                Ok(permit)
            }
            Err(_) if starts_with_any(request.uri().path(), &self.paths.exempt) => Ok(permit),
            Err(fault) => Err(fault),
        }
    }

    fn identify(&self, request: &Request<Body>) -> Result<Arc<Caller>, Fault> {
        let token = header(request.headers(), "authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Fault::unauthenticated("TOKEN_MISSING", "the request carries no caller token"))?;
        self.verifier
            .verify(token)
            .map_err(|error| Fault::unauthenticated("TOKEN_INVALID", "the caller token is not valid").detail(error))
    }
}

/// What a caller sees of a fault that a test has armed.
fn injected() -> Fault {
    Fault::unavailable("INJECTED", "a test let this call fail")
}

/// Layer 6: completes when the request must end, with the reason.
async fn cut_at(stopped: impl Future<Output = ()>, until: Option<Instant>) -> Fault {
    let late = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = late => Fault::deadline("DEADLINE_EXCEEDED", "the request took too long"),
        () = stopped => Fault::unavailable("STOPPING", "the service is stopping"),
    }
}

fn cut(shutdown: &Shutdown, until: Option<Instant>) -> impl Future<Output = Fault> + Send + 'static {
    cut_at(shutdown.stopped(), until)
}

fn starts_with_any(method: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| method.starts_with(prefix))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Layer 1: what a panic looks like outside (nothing) and in the log.
pub(super) fn panic_fault(payload: &(dyn Any + Send)) -> Fault {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Fault::internal("PANIC", format_args!("handler panicked: {message}"))
}
