use tokio::task::JoinHandle;
use tonic::{Request, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use uuid::Uuid;

use super::*;
use crate::{
    client::Outbound,
    identity::{ServiceSecret, User},
    status::{Code, Fault},
    telemetry, tls,
    transport::Address,
};

mod scripted;

use scripted::{Scripted, call, open};

/// Far longer than any call here takes; reaching it fails the test.
const LIMIT: Duration = Duration::from_secs(10);

/// A running server and one channel to it.
struct World {
    runtime: Runtime,
    outbound: Outbound,
    channel: Channel,
    serving: JoinHandle<Result<(), Error>>,
}

impl World {
    async fn start(address: &Address) -> Self {
        Self::start_with(address, |server| server).await
    }

    async fn start_with(address: &Address, change: impl FnOnce(Server) -> Server) -> Self {
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let listener = Listener::bind(address).await.unwrap();
        let channel = client::channel(listener.address(), &tls::ClientConfig::default()).unwrap();
        let server = change(Server::new(ServiceName::Storage, &runtime).add_service(Scripted));
        let serving = tokio::spawn(server.serve(listener, runtime.shutdown.draining()));
        Self {
            outbound: runtime.outbound(ServiceName::Gateway),
            runtime,
            channel,
            serving,
        }
    }

    async fn in_memory() -> Self {
        Self::start(&memory_address()).await
    }

    async fn call(&self, method: &'static str) -> Result<String, Fault> {
        let request = self.outbound.request(None, LIMIT, "hello".to_owned());
        call(&self.channel, method, request).await
    }

    /// The page's value of a counter line that contains all of `parts`.
    fn metric(&self, parts: &[&str]) -> Option<String> {
        let page = self.runtime.registry.render();
        let line = page
            .lines()
            .find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))?;
        line.rsplit(' ').next().map(str::to_owned)
    }
}

/// A name of its own for each test.
fn memory_address() -> Address {
    Address::Memory(Uuid::new_v4().to_string())
}

fn user() -> User {
    User {
        id: Uuid::from_u128(42),
        is_admin: false,
        organization_ids: vec![Uuid::from_u128(43)],
    }
}

#[tokio::test]
async fn every_transport_carries_calls_and_identity() {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [
        memory_address(),
        Address::Unix(folder.path().join("socket")),
        "http://127.0.0.1:0".parse().unwrap(),
    ];
    for address in addresses {
        let world = World::start(&address).await;
        let user = user();
        let request = world.outbound.request(Some(&user), LIMIT, String::new());

        let who = call(&world.channel, "WhoAmI", request).await.unwrap();

        assert!(who.contains("Gateway") && who.contains(&user.id.to_string()), "{who}");
        let own = world.call("WhoAmI").await.unwrap();
        assert!(own.contains("user: None"), "{own}");
    }
}

#[tokio::test]
async fn unknown_callers_are_refused_and_health_is_open() {
    let world = World::in_memory().await;
    let bare = Request::new(String::new());
    let refused = call(&world.channel, "Echo", bare).await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::Unauthenticated, "TOKEN_MISSING")
    );

    let stranger = Runtime::new(ServiceSecret::generate().unwrap()).outbound(ServiceName::Cli);
    let foreign = stranger.request(None, LIMIT, String::new());
    let refused = call(&world.channel, "Echo", foreign).await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::Unauthenticated, "TOKEN_INVALID")
    );

    let mut health = HealthClient::new(world.channel.clone());
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let status = health.check(ask("")).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);
    let mut watch = health.watch(ask("test.Scripted")).await.unwrap().into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    world.runtime.health.set_serving(true);
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let unknown = health.check(ask("nobody")).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn exempt_methods_need_no_token_and_still_understand_one() {
    let world = World::start_with(&memory_address(), |server| server.exempt("/test.Scripted/WhoAmI")).await;

    let bare = call(&world.channel, "WhoAmI", Request::new(String::new())).await;
    assert_eq!(bare.unwrap_err().reason, "CALLER_MISSING", "the handler itself refuses");
    assert!(world.call("WhoAmI").await.unwrap().contains("Gateway"));
}

#[tokio::test]
async fn faults_arrive_whole() {
    let world = World::in_memory().await;
    let expected = Fault::not_found("CHAT_NOT_FOUND", "no such chat").with("chat_id", 7);
    assert_eq!(world.call("Refuse").await, Err(expected));
}

#[tokio::test]
async fn panics_become_internal_and_the_connection_stays() {
    let world = World::in_memory().await;
    let fault = world.call("Panic").await.unwrap_err();
    assert_eq!((fault.code, &*fault.reason), (Code::Internal, "PANIC"));
    assert_eq!(fault.message, "internal error");

    let request = world.outbound.request(None, LIMIT, String::new());
    let mut stream = open(&world.channel, "StreamPanic", request).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "first");
    let fault = Fault::from(stream.message().await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::Internal, "PANIC"));

    assert_eq!(world.call("Echo").await.unwrap(), "hello");
}

#[tokio::test]
async fn deadline_ends_a_hanging_handler_and_a_hanging_stream() {
    let world = World::in_memory().await;
    let short = Duration::from_millis(30);
    let request = || world.outbound.request(None, short, String::new());

    let fault = call(&world.channel, "Hang", request()).await.unwrap_err();
    assert_eq!(fault.code, Code::Deadline);

    let mut stream = open(&world.channel, "StreamHang", request()).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "first");
    let fault = Fault::from(stream.message().await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::Deadline, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn default_deadline_applies_when_the_caller_names_none() {
    let world = World::start_with(&memory_address(), |server| {
        server.limits(Limits {
            default_deadline: Duration::from_millis(20),
            ..Limits::default()
        })
    })
    .await;
    let mut request = world.outbound.request(None, LIMIT, String::new());
    request.metadata_mut().remove("grpc-timeout");
    let fault = call(&world.channel, "Hang", request).await.unwrap_err();
    assert_eq!((fault.code, &*fault.reason), (Code::Deadline, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn stream_opened_to_stay_outlives_its_opening_deadline() {
    let world = World::in_memory().await;
    let opening = Duration::from_millis(200);
    let request = world.outbound.open_stream(None, opening, String::new());
    let mut stream = open(&world.channel, "StreamHang", request).await.unwrap();
    stream.message().await.unwrap().unwrap();

    let next = tokio::time::timeout(opening * 2, stream.message()).await;

    assert!(next.is_err(), "still open: {next:?}");
}

#[tokio::test]
async fn load_beyond_the_limit_is_refused_and_slots_come_back() {
    let world = World::start_with(&memory_address(), |server| {
        server.limits(Limits {
            max_in_flight: 1,
            ..Limits::default()
        })
    })
    .await;
    let request = world.outbound.open_stream(None, LIMIT, String::new());
    let mut stream = open(&world.channel, "StreamHang", request).await.unwrap();
    stream.message().await.unwrap();

    let fault = world.call("Echo").await.unwrap_err();
    assert_eq!((fault.code, &*fault.reason), (Code::Unavailable, "OVERLOADED"));
    assert!(fault.retry_after.is_some());

    drop(stream);
    let freed = async {
        while world.call("Echo").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, freed).await.unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_method_and_code() {
    let world = World::in_memory().await;
    world.call("Echo").await.unwrap();
    world.call("Refuse").await.unwrap_err();
    world.call("Panic").await.unwrap_err();
    world.call("Invented").await.unwrap_err();
    let request = world.outbound.request(None, LIMIT, String::new());
    let mut stream = open(&world.channel, "StreamEnd", request).await.unwrap();
    while stream.message().await.unwrap().is_some() {}
    call(&world.channel, "Echo", Request::new(String::new()))
        .await
        .unwrap_err();

    for (method, code) in [
        ("/test.Scripted/Echo", "OK"),
        ("/test.Scripted/Echo", "UNAUTHENTICATED"),
        ("/test.Scripted/Refuse", "NOT_FOUND"),
        ("/test.Scripted/Panic", "INTERNAL"),
        ("/test.Scripted/StreamEnd", "OK"),
        ("unknown", "UNIMPLEMENTED"),
    ] {
        let line = [
            "tandem_rpc_requests_total",
            &format!("method=\"{method}\""),
            &format!("code=\"{code}\""),
        ];
        assert_eq!(world.metric(&line).as_deref(), Some("1"), "{method} {code}");
    }
    assert_eq!(world.metric(&["tandem_rpc_in_flight "]).as_deref(), Some("0"));
    assert!(!world.runtime.registry.render().contains("Invented"));
}

#[tokio::test]
async fn trace_continues_in_the_handler() {
    let _telemetry = telemetry::init(&telemetry::Config::default(), "test").unwrap();
    let world = World::in_memory().await;
    let span = tracing::info_span!("turn");
    let ours = telemetry::trace_id(&span).unwrap();
    let request = span.in_scope(|| world.outbound.request(None, LIMIT, String::new()));

    let theirs = call(&world.channel, "TraceId", request).await.unwrap();

    assert_eq!(theirs, ours);
}

#[tokio::test]
async fn draining_ends_subscriptions_at_once_and_waits_for_nothing_else() {
    let world = World::start_with(&memory_address(), |server| {
        server.subscriptions("/test.Scripted/StreamHang")
    })
    .await;
    let request = world.outbound.open_stream(None, LIMIT, String::new());
    let mut stream = open(&world.channel, "StreamHang", request).await.unwrap();
    assert_eq!(stream.message().await.unwrap().as_deref(), Some("first"));

    world.runtime.shutdown.drain();

    let ended = tokio::time::timeout(LIMIT, stream.message()).await.unwrap();
    let fault = Fault::from(ended.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::Unavailable, "DRAINING"));
    tokio::time::timeout(LIMIT, world.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!world.runtime.shutdown.is_stopped());
}

#[tokio::test]
async fn draining_finishes_requests_and_stopping_cuts_them() {
    let world = World::in_memory().await;
    let request = world.outbound.open_stream(None, LIMIT, String::new());
    let mut stream = open(&world.channel, "StreamHang", request).await.unwrap();
    stream.message().await.unwrap();

    world.runtime.shutdown.drain();
    let quiet = tokio::time::timeout(Duration::from_millis(50), stream.message()).await;
    assert!(quiet.is_err(), "draining leaves the stream open");
    assert!(!world.serving.is_finished());

    world.runtime.shutdown.stop();
    let fault = Fault::from(stream.message().await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::Unavailable, "STOPPING"));
    tokio::time::timeout(LIMIT, world.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn unreachable_address_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("nobody"));
    let channel = client::channel(&address, &tls::ClientConfig::default()).unwrap();
    let fault = call(&channel, "Echo", Request::new(String::new())).await.unwrap_err();
    assert_eq!(fault.code, Code::Unavailable);
}

#[tokio::test]
async fn messages_above_the_default_and_below_ours_pass_with_the_macro() {
    let world = World::in_memory().await;
    let health = crate::with_message_limits!(HealthClient::new(world.channel.clone()));
    let request = HealthCheckRequest {
        service: "x".repeat(5 * 1024 * 1024),
    };
    let answer = health.clone().check(request).await.unwrap_err();
    assert_eq!(answer.code(), tonic::Code::NotFound, "read, and unknown");
}
