//! D17, D27, D28: many at once, many that do nothing, and one that reads too slowly.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::Value;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Stream, Transcript, World, id_of},
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpSocket,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::{LIMIT, Result, drills::rounds, providers::resident_kib, settled};

/// Readers that connect at once where it is not about that.
const AT_ONCE: usize = 50;

/// Between two looks at whether a slow reader is still served.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A world that lets one person do everything at once.
fn generous() -> tandem_e2e::world::Builder {
    World::builder().env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "0")
}

fn last_cursor(events: &[Value]) -> &str {
    let cursors = events.iter().rev().filter_map(|event| event["cursor"].as_str());
    cursors.into_iter().next().unwrap_or_default()
}

/// D17: everything was killed while many turns ran and were read; at boot all of it comes back at the same moment.
#[tokio::test]
async fn d17_a_herd_after_a_restart_is_served_without_errors() -> Result {
    const CONNECTIONS: u64 = 16;
    let crowd = if rounds() > 1 { 500 } else { 60 };
    let mut world = generous()
        .all_in_one()
        .database()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "1s")
        .start()
        .await?;
    let held = Reply::text("All of us ").gate("held").and_text("are back.");
    world.fake().script(Script::always(held).when_user_says("Herd"));
    let mut herd: Vec<(String, Vec<Value>)> = Vec::new();
    for some in (0..crowd).collect::<Vec<_>>().chunks(AT_ONCE) {
        let begun = some.iter().map(|n| begin_and_leave(&world, format!("Herd {n}.")));
        herd.extend(try_join_all(begun).await?);
    }
    assert_eq!(world.fake().completions().len(), crowd, "not all of them were running");
    world.kill9().await?;
    world.fake().open("held");
    world.restart().await?;
    // Ready means ready for all: from here on nobody is turned away, and nobody is told to come later.
    let booted = Instant::now();
    let back = try_join_all(herd.iter().map(|(id, known)| come_back(&world, id, known)));
    let connections = async {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tandem-storage'";
        let mut most = 0;
        loop {
            most = most.max(world.sql(query).await?.parse()?);
            if booted.elapsed() > Duration::from_secs(5) {
                return anyhow::Ok::<u64>(most);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (opened, most) = futures::future::try_join(back, connections).await?;
    let slowest = opened.into_iter().max().unwrap_or_default();
    crate::tell(&format!(
        "D17 {crowd} turns and readers: last reader let in after {slowest:?}, all done after {:?}, {most} connections to PostgreSQL",
        booted.elapsed()
    ));
    // One more listens for wake-ups, and one asks all the time whether the database answers.
    assert!(
        (3..=CONNECTIONS + 2).contains(&most),
        "{most} connections to PostgreSQL"
    );
    assert!(!world.logs().contains("panicked"), "something panicked");
    world.fake().check_no_rejections()
}

/// Begins a chat and reads until its answer has begun; its id and what was read.
async fn begin_and_leave(world: &World, message: String) -> Result<(String, Vec<Value>)> {
    let chat = world.create_chat(&message).await?;
    let id = id_of(&chat)?.to_owned();
    let stream = world.stream(&id).await?;
    let begun = |events: &[Value]| Transcript::of(events).live_text.starts_with("All of us");
    let known = stream.wait_until(LIMIT, begun).await?;
    Ok((id, known))
}

/// A reader returns with its cursor and a page is loaded beside it; how long both took to be let in.
async fn come_back(world: &World, id: &str, known: &[Value]) -> Result<Duration> {
    let asked = Instant::now();
    let query = format!("after_cursor={}", last_cursor(known));
    let (stream, page) =
        futures::future::try_join(world.stream_from(world.admin(), id, &query), world.chat(id)).await?;
    let opened = asked.elapsed();
    assert_eq!(page["id"], id);
    let all = |new: &[Value]| Transcript::of(&[known, new].concat());
    // All turns go on at the same moment, and one of them is the last.
    let new = stream.wait_until(LIMIT * 3, |new| all(new).is_settled()).await?;
    let seen = all(&new);
    assert_eq!(
        seen.lines().last().map(String::as_str),
        Some("assistant: All of us are back.")
    );
    assert_eq!((seen.lines().len(), seen.repeated), (2, Vec::new()), "{id}");
    Ok(opened)
}

/// D27: readers of which nothing comes cost little, and one event reaches all of them.
#[tokio::test]
async fn d27_idle_readers_cost_little_and_all_hear_the_news() -> Result {
    // An unoptimised program; the budget of a shipped one is the benchmark's.
    const MOST_KIB_EACH: u64 = 64;
    let count = if rounds() > 1 { 3_000 } else { 200 };
    let world = generous().all_in_one().start().await?;
    let chat = world.create_chat("Come all.").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let process = world.process_ids()[0];
    // The first of them pay for what all share.
    let mut readers = arrive(&world, id, AT_ONCE).await?;
    let before = resident_kib(process)?;
    while readers.len() < count + AT_ONCE {
        readers.extend(arrive(&world, id, AT_ONCE).await?);
    }
    let each = resident_kib(process)?.saturating_sub(before) / u64::try_from(count)?;
    let idle = processor_ticks(process)?;
    sleep(Duration::from_secs(3)).await;
    let idle = processor_ticks(process)? - idle;
    world.send(id, "News!").await?;
    let told = Instant::now();
    let hear = |events: &[Value]| Transcript::of(events).lines().iter().any(|line| line == "user: News!");
    try_join_all(readers.iter().map(|reader| reader.wait_until(LIMIT, hear))).await?;
    crate::tell(&format!(
        "D27 {count} idle readers: {each} KiB each, {idle} ticks of a processor in 3 s, all told after {:?}",
        told.elapsed()
    ));
    assert!(each <= MOST_KIB_EACH, "{each} KiB for an idle reader");
    let ended = readers.iter().find_map(Stream::ended);
    assert_eq!(ended, None, "a reader was sent away");
    Ok(())
}

/// Readers that come together and have seen all there is.
async fn arrive(world: &World, id: &str, count: usize) -> Result<Vec<Stream>> {
    let open = |_| async move {
        let stream = world.stream(id).await?;
        stream.settled(LIMIT).await?;
        anyhow::Ok(stream)
    };
    try_join_all((0..count).map(open)).await
}

/// Time on a processor so far, in clock ticks (usually a hundredth of a second).
fn processor_ticks(process: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap_or_default().parse::<u64>();
    Ok(next()? + next()?)
}

/// D28: readers that take a byte a second while megabytes stream.
#[tokio::test]
async fn d28_a_slow_reader_holds_nobody_up_and_comes_back_without_a_gap() -> Result {
    const SLOW: usize = 16;
    /// Each has missed megabytes, which take a while to compare.
    const COME_BACK: usize = 3;
    const PIECES: usize = 4_000;
    const PIECE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    // What the system may hold for all of them together, with what the turn itself takes. Each could make it hold all that is said.
    const MOST_KIB: u64 = 120 * 1024;
    let world = World::builder().all_in_one().start().await?;
    let world = &world;
    let words = PIECE.repeat(16 * PIECES);
    let reply = Reply::text("Now: ").gate("all there");
    let reply = reply.and(tandem_e2e::fake_llm::Item::Text {
        text: words.clone(),
        tokens: Some(PIECES),
    });
    let reply = reply.gate("slow ones gone").and_text(" The end.");
    world.fake().script(Script::reply(reply));
    let chat = world.create_chat("Tell me everything.").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("all there", LIMIT).await?;
    let quick = world.stream(id).await?;
    let begun = |events: &[Value]| Transcript::of(events).live_text == "Now: ";
    quick.wait_until(LIMIT, begun).await?;
    let slow = try_join_all((0..SLOW).map(|_| SlowReader::open(world, id))).await?;
    let process = world.process_ids()[0];
    let before = resident_kib(process)?;
    world.fake().open("all there");
    let read_slowly = slow.into_iter().map(SlowReader::read_to_the_end);
    // The others have everything long before the slow ones are sent away.
    let others = async {
        quick
            .wait_until(LIMIT, has_grown_to("Now: ".len() + words.len()))
            .await?;
        anyhow::Ok(resident_kib(process)?.saturating_sub(before))
    };
    let (left, grown) = futures::future::try_join(try_join_all(read_slowly), others).await?;
    world.fake().open("slow ones gone");
    let shown = settled(world, id).await?;
    let taken: Vec<usize> = left.iter().map(|reader| reader.bytes).collect();
    crate::tell(&format!(
        "D28 slow readers took {taken:?} bytes of {}, the system grew by {grown} KiB",
        words.len()
    ));
    assert!(
        taken.iter().all(|bytes| *bytes < words.len() / 2),
        "they were not sent away: {taken:?}"
    );
    assert!(grown < MOST_KIB, "it grew by {grown} KiB for {SLOW} slow readers");
    for reader in left.into_iter().take(COME_BACK) {
        let query = format!("after_cursor={}", last_cursor(&reader.known));
        let stream = world.stream_from(world.admin(), id, &query).await?;
        let all = |new: &[Value]| Transcript::of(&[&reader.known, new].concat());
        // Megabytes are not compared before their end.
        let is_rest = |event: &Value| event["status"]["status"] == "waiting";
        let has_rested = |new: &[Value]| new.iter().rev().take(8).any(is_rest);
        let settled = |new: &[Value]| has_rested(new) && all(new).is_settled();
        let new = stream.wait_until(LIMIT, settled).await?;
        let seen = all(&new);
        assert!(
            seen.lines() == shown && seen.repeated.is_empty(),
            "a slow reader missed something"
        );
    }
    assert_eq!(shown.last(), Some(&format!("assistant: Now: {words} The end.")));
    Ok(())
}

/// Whether so many bytes of text are live. Each event is looked at once: folding megabytes anew with every event would take longest.
fn has_grown_to(bytes: usize) -> impl Fn(&[Value]) -> bool {
    let (seen, length) = (Cell::new(0), Cell::new(0));
    move |events| {
        let new = &events[seen.replace(events.len())..];
        let text = |event: &Value| event["message_part"]["part"]["text"].as_str().map_or(0, str::len);
        length.set(length.get() + new.iter().map(text).sum::<usize>());
        length.get() >= bytes
    }
}

/// A reader that has read the beginning and now takes a byte a second.
struct SlowReader {
    socket: tokio::net::TcpStream,
    known: Vec<Value>,
    /// Taken since it became slow, until the server hung up.
    bytes: usize,
}

impl SlowReader {
    async fn open(world: &World, chat_id: &str) -> Result<Self> {
        let address = world.rest().base().trim_start_matches("http://").parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let connection = socket.connect(address).await?;
        let mut request = format!("ws://{address}/api/v1/chats/{chat_id}/stream").into_client_request()?;
        let token = format!("Bearer {}", world.rest().token().unwrap_or_default());
        request.headers_mut().insert("authorization", token.parse()?);
        let (mut socket, _) = tokio_tungstenite::client_async(request, connection).await?;
        let mut known = Vec::new();
        while Transcript::of(&known).live_text != "Now: " {
            let next = timeout(LIMIT, futures::StreamExt::next(&mut socket)).await?;
            if let Some(Message::Text(text)) = next.transpose()? {
                known.extend(serde_json::from_str::<Vec<Value>>(&text)?);
            }
        }
        let socket = socket.into_inner();
        Ok(Self {
            socket,
            known,
            bytes: 0,
        })
    }

    /// A byte a second until the server hangs up, then what is left on the way.
    async fn read_to_the_end(mut self) -> Result<Self> {
        let mut buffer = vec![0; 64 * 1024];
        let begun = Instant::now();
        let mut next = begun;
        // One look may miss a connection: the table changes while it is read.
        let mut looks_without = 0;
        while looks_without < 3 && begun.elapsed() < LIMIT {
            looks_without = if is_served(&self.socket)? { 0 } else { looks_without + 1 };
            if Instant::now() >= next {
                next += Duration::from_secs(1);
                match self.socket.read(&mut buffer[..1]).await {
                    Ok(0) | Err(_) => return Ok(self),
                    Ok(read) => self.bytes += read,
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
        loop {
            match timeout(LIMIT, self.socket.read(&mut buffer)).await? {
                Ok(0) | Err(_) => return Ok(self),
                Ok(read) => self.bytes += read,
            }
        }
    }
}

/// Whether the other end of a connection on this machine is still open. Its reader cannot tell before it has read all that is on the way.
fn is_served(socket: &tokio::net::TcpStream) -> Result<bool> {
    const ESTABLISHED: &str = "01";
    let port = |address: std::net::SocketAddr| format!(":{:04X}", address.port());
    let (own, other) = (port(socket.local_addr()?), port(socket.peer_addr()?));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    Ok(table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().skip(1).take(3).collect();
        let is_ours =
            |from: &str, to: &str, state: &str| from.ends_with(&other) && to.ends_with(&own) && state == ESTABLISHED;
        matches!(fields[..], [from, to, state] if is_ours(from, to, state))
    }))
}
