//! Live views: sockets and server-sent events.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::{
    common::v1 as common,
    orchestrator::v1::{StreamChatRequest, StreamChatResponse, WatchChatsRequest, WatchChatsResponse},
    storage::v1::{CheckCredentialsRequest, CheckCredentialsResponse, MarkChatReadRequest, MarkChatReadResponse},
};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{ADAS_TOKEN, CHAT, CHATS, LIMIT, STREAMS, Socket, USERS, World};

type Upstream = UnboundedSender<Result<StreamChatResponse, Fault>>;

/// What the orchestrator was asked, and the other end of each stream.
#[derive(Clone, Default)]
struct Orchestrator {
    opened: Arc<Mutex<Vec<(StreamChatRequest, Upstream)>>>,
}

impl Orchestrator {
    fn of(world: &World) -> Self {
        let orchestrator = Self::default();
        let opened = Arc::clone(&orchestrator.opened);
        world
            .stubs
            .on_stream(&format!("{STREAMS}/StreamChat"), move |request: StreamChatRequest| {
                if request.after_cursor == "bad" {
                    return Err(Fault::invalid("BAD_CURSOR", "the cursor is not one of ours"));
                }
                let (send, receive) = unbounded_channel();
                opened.lock().unwrap().push((request, send));
                Ok(receive)
            });
        world
            .stubs
            .on(&format!("{CHATS}/MarkChatRead"), |_: MarkChatReadRequest| {
                Ok(MarkChatReadResponse {})
            });
        orchestrator
    }

    /// The `index`th stream that was opened, once it was.
    async fn stream(&self, index: usize) -> (StreamChatRequest, Upstream) {
        until(|| self.opened.lock().unwrap().get(index).cloned()).await
    }
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, looking).await.expect("in time")
}

fn status(cursor: &str, status: common::ChatStatus) -> common::StreamEvent {
    common::StreamEvent {
        chat_id: CHAT.to_string(),
        cursor: cursor.to_owned(),
        event: Some(common::stream_event::Event::Status(common::StatusEvent {
            status: status.into(),
        })),
    }
}

fn batch(events: impl IntoIterator<Item = common::StreamEvent>) -> StreamChatResponse {
    StreamChatResponse {
        events: events.into_iter().collect(),
    }
}

async fn open(world: &World, query: &str) -> Socket {
    let path = format!("/api/v1/chats/{CHAT}/stream{query}");
    let token = format!("Bearer {ADAS_TOKEN}");
    world.socket(&path, &[("authorization", &token)]).await.expect("opened")
}

async fn frame(socket: &mut Socket) -> Value {
    loop {
        match timeout(LIMIT, socket.next())
            .await
            .expect("a frame")
            .expect("open")
            .unwrap()
        {
            Message::Text(text) => {
                assert!(text.ends_with('\n'));
                return serde_json::from_str(&text).unwrap();
            }
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The code of the closing frame, whatever comes before it.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match timeout(LIMIT, socket.next()).await.expect("an end") {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn events_come_in_arrays_with_their_cursors() {
    let world = World::start().await;
    let orchestrator = Orchestrator::of(&world);
    let mut socket = open(&world, "?after_id=41").await;
    let (asked, upstream) = orchestrator.stream(0).await;
    assert_eq!((asked.chat_id, asked.after_message_id), (CHAT.to_string(), 41));
    upstream
        .send(Ok(batch([
            status("v1", common::ChatStatus::Running),
            status("v2", common::ChatStatus::Waiting),
        ])))
        .unwrap();
    let event = |cursor: &str, status: &str| json!({ "type": "status", "chat_id": CHAT, "cursor": cursor, "status": { "status": status } });
    assert_eq!(
        frame(&mut socket).await,
        json!([event("v1", "running"), event("v2", "waiting")])
    );
}

#[tokio::test]
async fn a_broken_upstream_is_taken_up_at_the_last_cursor_without_the_reader_noticing() {
    let world = World::start().await;
    let orchestrator = Orchestrator::of(&world);
    let mut socket = open(&world, "").await;
    let (_, first) = orchestrator.stream(0).await;
    first
        .send(Ok(batch([status("v7", common::ChatStatus::Running)])))
        .unwrap();
    frame(&mut socket).await;

    first.send(Err(Fault::unavailable("DRAINING", "going away"))).unwrap();

    let (asked, second) = orchestrator.stream(1).await;
    assert_eq!(asked.after_cursor, "v7");
    second
        .send(Ok(batch([status("v8", common::ChatStatus::Waiting)])))
        .unwrap();
    assert_eq!(frame(&mut socket).await[0]["cursor"], "v8");
}

#[tokio::test]
async fn refusals_come_before_the_upgrade() {
    let world = World::start().await;
    let orchestrator = Orchestrator::of(&world);
    let token = format!("Bearer {ADAS_TOKEN}");
    let headers = [("authorization", token.as_str())];
    for (query, status) in [
        ("?after_id=x", 400),
        ("?after_id=-1", 400),
        ("?after_cursor=bad", 400),
        ("?after_cursor=%00", 400),
        ("?heartbeat=x", 400),
    ] {
        let path = format!("/api/v1/chats/{CHAT}/stream{query}");
        assert_eq!(world.socket(&path, &headers).await.err(), Some(status), "{query}");
    }
    assert!(orchestrator.opened.lock().unwrap().is_empty());
    world
        .stubs
        .on_stream(&format!("{STREAMS}/StreamChat"), |_: StreamChatRequest| {
            Err::<tokio::sync::mpsc::UnboundedReceiver<Result<StreamChatResponse, Fault>>, _>(Fault::not_found(
                "CHAT_NOT_FOUND",
                "no such chat",
            ))
        });
    let path = format!("/api/v1/chats/{CHAT}/stream");
    assert_eq!(world.socket(&path, &headers).await.err(), Some(404));
    assert_eq!(world.get(&path).await.status, 426, "no upgrade asked for");
}

#[tokio::test]
async fn readers_are_sent_away_when_they_speak() {
    let world = World::start().await;
    Orchestrator::of(&world);
    let mut socket = open(&world, "").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(closed(&mut socket).await, 1008);
}

#[tokio::test]
async fn readers_are_sent_away_when_the_server_stops() {
    let world = World::start().await;
    Orchestrator::of(&world);
    let mut socket = open(&world, "").await;
    world.runtime.shutdown.drain();
    assert_eq!(closed(&mut socket).await, 1001);
}

#[tokio::test]
async fn readers_are_sent_away_when_their_token_is_revoked() {
    let world = World::start_with(|config| config.sessions.recheck = Duration::from_millis(50)).await;
    Orchestrator::of(&world);
    let mut socket = open(&world, "").await;
    world.stubs.on(
        &format!("{USERS}/CheckCredentials"),
        |request: CheckCredentialsRequest| {
            Ok(CheckCredentialsResponse {
                ended_ids: request.credential_ids,
            })
        },
    );
    assert_eq!(closed(&mut socket).await, 1008);
}

#[tokio::test]
async fn a_reader_marks_the_chat_as_read_on_coming_and_on_leaving() {
    let world = World::start().await;
    Orchestrator::of(&world);
    let socket = open(&world, "").await;
    let marks = || world.stubs.calls("MarkChatRead").len();
    until(|| (marks() == 1).then_some(())).await;
    drop(socket);
    until(|| (marks() == 2).then_some(())).await;
}

#[tokio::test]
async fn heartbeats_come_at_once_when_asked_for() {
    let world = World::start().await;
    Orchestrator::of(&world);
    let mut socket = open(&world, "?heartbeat=1").await;
    let beat = frame(&mut socket).await;
    assert_eq!(beat[0]["type"], "heartbeat");
    assert!(beat[0]["server_time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

#[tokio::test]
async fn the_same_stream_comes_as_server_sent_events() {
    let world = World::start().await;
    let orchestrator = Orchestrator::of(&world);
    let request = world
        .request(Method::GET, &format!("/api/v1/chats/{CHAT}/stream?after_cursor=v1"))
        .bearer_auth(ADAS_TOKEN)
        .header("accept", "text/event-stream")
        .header("last-event-id", "v5");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let date = response.headers()["date"].to_str().unwrap();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let (asked, upstream) = orchestrator.stream(0).await;
    assert_eq!(asked.after_cursor, "v5", "the browser's own word is the newer one");
    upstream
        .send(Ok(batch([status("v6", common::ChatStatus::Waiting)])))
        .unwrap();
    let mut text = String::new();
    let mut body = response.bytes_stream();
    while !text.contains("id: v6\n") {
        let bytes = timeout(LIMIT, body.next())
            .await
            .expect("in time")
            .expect("open")
            .unwrap();
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["status"]["status"], "waiting");

    world.runtime.shutdown.drain();
    let rest = async { while body.next().await.is_some() {} };
    timeout(LIMIT, rest).await.expect("the stream ends with the server");
}

#[tokio::test]
async fn server_sent_heartbeats_are_single_events() {
    let world = World::start().await;
    Orchestrator::of(&world);
    let request = world
        .request(Method::GET, &format!("/api/v1/chats/{CHAT}/stream?heartbeat=1"))
        .bearer_auth(ADAS_TOKEN)
        .header("accept", "text/event-stream");
    let mut body = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("heartbeat") {
        let bytes = timeout(LIMIT, body.next())
            .await
            .expect("in time")
            .expect("open")
            .unwrap();
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["type"], "heartbeat");
}

type Watches = Arc<Mutex<Vec<(WatchChatsRequest, UnboundedSender<Result<WatchChatsResponse, Fault>>)>>>;

/// What the orchestrator was asked to watch, and the other end of each stream.
fn watches(world: &World) -> Watches {
    let opened = Watches::default();
    let keep = Arc::clone(&opened);
    world
        .stubs
        .on_stream(&format!("{STREAMS}/WatchChats"), move |request: WatchChatsRequest| {
            let (send, receive) = unbounded_channel();
            keep.lock().unwrap().push((request, send));
            Ok(receive)
        });
    opened
}

#[tokio::test]
async fn a_watch_that_cannot_be_continued_says_so_and_goes_on_behind_where_it_says() {
    let world = World::start().await;
    let opened = watches(&world);
    let token = format!("Bearer {ADAS_TOKEN}");
    let path = "/api/v1/chats/watch?after_cursor=old";
    let mut socket = world.socket(path, &[("authorization", &token)]).await.expect("opened");
    let (_, upstream) = until(|| opened.lock().unwrap().first().cloned()).await;
    let gap = WatchChatsResponse {
        is_gap: true,
        next_cursor: "now".to_owned(),
        ..Default::default()
    };
    upstream.send(Ok(gap)).unwrap();
    assert_eq!(frame(&mut socket).await, json!({ "kind": "gap", "cursor": "now" }));
    // Once is enough: what is opened again does not begin with the old cursor.
    upstream
        .send(Err(Fault::unavailable("GONE", "the orchestrator is gone")))
        .unwrap();
    let (again, _) = until(|| opened.lock().unwrap().get(1).cloned()).await;
    assert_eq!(again.after_cursor, "now");
}

#[tokio::test]
async fn watched_changes_come_one_in_a_frame() {
    let world = World::start().await;
    let opened = watches(&world);
    let token = format!("Bearer {ADAS_TOKEN}");
    let path = "/api/experimental/chats/watch?after_cursor=c1";
    let mut socket = world.socket(path, &[("authorization", &token)]).await.expect("opened");
    let (asked, upstream) = until(|| opened.lock().unwrap().first().cloned()).await;
    assert_eq!(asked.after_cursor, "c1");
    let change = |kind: common::WatchKind, cursor: &str| common::WatchEvent {
        kind: kind.into(),
        chat: Some(common::Chat {
            id: CHAT.to_string(),
            ..Default::default()
        }),
        cursor: cursor.to_owned(),
    };
    let events = vec![
        change(common::WatchKind::Created, "c2"),
        change(common::WatchKind::TitleChange, "c3"),
    ];
    let batch = WatchChatsResponse {
        events,
        next_cursor: "c3".to_owned(),
        ..Default::default()
    };
    upstream.send(Ok(batch)).unwrap();
    let created = frame(&mut socket).await;
    assert_eq!(
        (&created["kind"], &created["cursor"]),
        (&json!("created"), &json!("c2"))
    );
    assert_eq!(created["chat"]["children"], json!([]));
    assert_eq!(frame(&mut socket).await["kind"], "title_change");
}

#[tokio::test]
async fn a_socket_may_carry_its_token_in_the_address() {
    let world = World::start().await;
    Orchestrator::of(&world);
    for name in ["coder_session_token", "access_token"] {
        let path = format!("/api/experimental/chats/{CHAT}/stream?{name}={ADAS_TOKEN}");
        assert!(world.socket(&path, &[]).await.is_ok(), "{name}");
    }
}
