use tandem_chassis::Runtime;
use tandem_chassis::identity::{ServiceName, ServiceSecret};
use tandem_chassis::server::Server;
use tandem_chassis::transport::Listener;
use tandem_proto::common::v1::{LivePart, Role, live_part::Content};
use tandem_proto::orchestrator::v1::chat_stream_service_server::ChatStreamServiceServer;
use tandem_proto::storage::v1::LiveTurn;
use tonic::Code;
use uuid::Uuid;

use super::*;
use crate::clients::Clients;
use crate::room::Hub;
use crate::rpc::Streams;

const LIMIT: Duration = Duration::from_secs(20);
const CHAT: &str = "chat";

/// A replica that serves its logs.
struct Owner {
    process: Runtime,
    hub: Arc<Hub>,
    address: Address,
    /// Everything that serves, so that it can end at once as a killed process does.
    threads: Option<tokio::runtime::Runtime>,
}

impl Owner {
    async fn start() -> Self {
        let path = std::env::temp_dir().join(format!("tandem-relay-{}.sock", Uuid::now_v7().simple()));
        let mut owner = Self {
            process: Runtime::new(ServiceSecret::generate().unwrap()),
            hub: Arc::new(Hub::new()),
            address: Address::Unix(path),
            threads: None,
        };
        owner.come_back().await;
        owner
    }

    /// Ends every connection and listens no more.
    async fn go_away(&mut self) {
        let threads = self.threads.take().unwrap();
        tokio::task::spawn_blocking(|| threads.shutdown_timeout(LIMIT))
            .await
            .unwrap();
    }

    async fn come_back(&mut self) {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (process, hub, address) = (self.process.clone(), Arc::clone(&self.hub), self.address.clone());
        threads
            .spawn(async move { serve(&process, &hub, &address).await })
            .await
            .unwrap();
        self.threads = Some(threads);
    }

    /// Another replica, and its room for a chat whose turn runs at the owner.
    fn reader(&self, epoch: i64) -> (Relays, Arc<Room>) {
        let relays = Relays::new(
            Some("http://127.0.0.1:9".parse().unwrap()),
            tls::ClientConfig::default(),
            self.process.outbound(ServiceName::Orchestrator),
            Metrics::new(&self.process.registry),
        );
        let room = Hub::new().enter(CHAT);
        room.observe_turn(Some(LiveTurn {
            epoch,
            replica_address: self.address.to_string(),
        }));
        (relays, room)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
        if let Address::Unix(path) = &self.address {
            std::fs::remove_file(path).ok();
        }
    }
}

/// Serves in the background, as soon as it returns.
async fn serve(process: &Runtime, hub: &Arc<Hub>, address: &Address) {
    let runtime = process.for_service(ServiceName::Orchestrator);
    let outbound = runtime.outbound(ServiceName::Orchestrator);
    let tls = tls::ClientConfig::default();
    let metrics = Metrics::new(&runtime.registry);
    let clients = Clients::new(&crate::Peers::default(), &tls, outbound.clone()).unwrap();
    let relays = Relays::new(None, tls, outbound, metrics.clone());
    let streams = Streams::new(clients, Arc::clone(hub), relays, metrics);
    let listener = Listener::bind(address).await.unwrap();
    let server = Server::new(ServiceName::Orchestrator, &runtime)
        .add_service(with_message_limits!(ChatStreamServiceServer::new(streams)))
        .serve(listener, runtime.shutdown.draining());
    tokio::spawn(async move { server.await.unwrap() });
}

fn say(room: &Room, log: &Log, text: &str) {
    let part = LivePart {
        role: Role::Assistant.into(),
        content: Some(Content::TextDelta(text.to_owned())),
        created_at: None,
    };
    log.push(part).unwrap();
    room.tick();
}

/// Waits until a relay satisfies `met`.
async fn until(room: &Room, met: impl Fn() -> bool) {
    let mut ticks = room.follow();
    let waiting = async {
        while !met() {
            ticks.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("it never came");
}

#[tokio::test]
async fn what_the_owner_says_is_here_at_the_same_places() {
    let owner = Owner::start().await;
    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    say(&there, &log, "before ");
    let (relays, room) = owner.reader(3);
    let relay = relays.join(&room, 3).unwrap();
    relay.caught_up(LIMIT).await;
    assert_eq!(relay.log().page(None, 10).entries, log.page(None, 10).entries);

    for word in ["one ", "two ", "three"] {
        say(&there, &log, word);
    }
    log.withdraw(1, None);
    there.tick();
    until(&room, || relay.log().position() == log.position()).await;
    assert_eq!(relay.log().page(None, 10), log.page(None, 10));
}

#[tokio::test]
async fn readers_share_one_relay_and_the_last_to_leave_ends_it() {
    let owner = Owner::start().await;
    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    let (relays, room) = owner.reader(3);
    let (first, second) = (relays.join(&room, 3).unwrap(), relays.join(&room, 3).unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    first.caught_up(LIMIT).await;

    let served = Arc::downgrade(&there);
    drop((first, second, there, log));
    let gone = async {
        // The owner's room is held by the relay's stream alone.
        while served.strong_count() > 0 || relays.lock().values().any(|peer| peer.strong_count() > 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone)
        .await
        .expect("a relay without readers goes on");
}

#[tokio::test]
async fn a_relay_goes_on_where_it_was_when_the_owner_is_reached_again() {
    let mut owner = Owner::start().await;
    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    say(&there, &log, "a");
    let (relays, room) = owner.reader(3);
    let relay = relays.join(&room, 3).unwrap();
    relay.caught_up(LIMIT).await;

    owner.go_away().await;
    until(&room, || relay.stage() == Stage::Away).await;
    assert!(
        !relay.is_behind(Position {
            step: 9,
            ..Position::default()
        }),
        "nobody waits for an owner who is away"
    );
    say(&there, &log, "b");
    owner.come_back().await;
    until(&room, || relay.log().position() == log.position()).await;
    assert_eq!(relay.log().page(None, 10), log.page(None, 10));
}

#[tokio::test]
async fn the_log_of_a_turn_that_is_over_is_kept_for_a_relay_that_was_cut_off() {
    let owner = Owner::start().await;
    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    say(&there, &log, "a");
    let (relays, room) = owner.reader(3);
    let relay = relays.join(&room, 3).unwrap();
    relay.caught_up(LIMIT).await;
    drop(relay);
    say(&there, &log, "b");
    let said = log.page(None, 10);
    drop((there, log));
    let relay = relays.join(&room, 3).unwrap();
    until(&room, || relay.log().page(None, 10) == said).await;
}

#[tokio::test]
async fn a_log_that_is_not_open_yet_is_waited_for_and_a_later_one_ends_it() {
    let owner = Owner::start().await;
    let (relays, room) = owner.reader(3);
    let relay = relays.join(&room, 3).unwrap();
    relay.caught_up(LIMIT).await;
    assert_eq!(relay.stage(), Stage::NotOpen);

    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    say(&there, &log, "a");
    until(&room, || relay.log().position() == log.position()).await;
    there.open_log(4, 9);
    until(&room, || relay.stage() != Stage::Live).await;
}

#[tokio::test]
async fn what_does_not_follow_tears_the_relay_and_the_next_one_begins_at_the_beginning() {
    let mut owner = Owner::start().await;
    let there = owner.hub.enter(CHAT);
    let log = there.open_log(3, 7);
    say(&there, &log, "a");
    let (relays, room) = owner.reader(3);
    let relay = relays.join(&room, 3).unwrap();
    relay.caught_up(LIMIT).await;

    // The owner lost the log and what it has now begins elsewhere.
    owner.go_away().await;
    owner.hub = Arc::new(Hub::new());
    let there = owner.hub.enter(CHAT);
    let other = there.open_log(3, 7);
    other.begin(0, 0);
    let hole = Entry {
        position: Position {
            step: 0,
            attempt: 0,
            index: 4,
        },
        after_version: 7,
        event: crate::log::Event::Reset,
    };
    other.pass_over(Position {
        index: 3,
        ..hole.position
    });
    other.append(hole).unwrap();
    owner.come_back().await;
    until(&room, || relay.is_torn()).await;
    let next = relays.join(&room, 3).unwrap();
    assert!(!Arc::ptr_eq(&relay, &next));
}

#[tokio::test]
async fn there_is_no_relay_to_oneself_to_nowhere_or_for_another_epoch() {
    let owner = Owner::start().await;
    let (relays, room) = owner.reader(3);
    assert!(relays.join(&room, 2).is_none());
    assert!(relays.join(&room, 4).is_none());
    for (epoch, address) in [(5, "http://127.0.0.1:9"), (6, ""), (7, "nowhere")] {
        room.observe_turn(Some(LiveTurn {
            epoch,
            replica_address: address.to_owned(),
        }));
        assert!(relays.join(&room, epoch).is_none(), "{address:?}");
    }
}

#[tokio::test]
async fn only_orchestrators_may_read_logs() {
    let owner = Owner::start().await;
    let channel = client::channel(&owner.address, &tls::ClientConfig::default()).unwrap();
    let mut streams = ChatStreamServiceClient::new(channel);
    let outbound = owner.process.outbound(ServiceName::Gateway);
    let request = outbound.open_stream(None, LIMIT, ReadTurnLogRequest::default());
    let refused = streams.read_turn_log(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
