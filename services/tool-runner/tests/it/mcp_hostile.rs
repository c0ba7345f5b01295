//! Servers that answer what no server should: each costs its own call or its own tools, in bounded time, and nobody else's.

use std::convert::Infallible;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tandem_proto::storage::v1::McpServer;
use tandem_proto::tool::v1::McpScope;

use crate::mcp::{World, text};
use crate::mcp_server::{McpStub, Odd};

/// More than a server has to start or to answer in these tests, far less than it would take.
const BOUND: Duration = Duration::from_secs(15);

/// Longest result there may be, in bytes.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// Most memory that one answer may take, in KiB, with that of the server, which is in this process too.
const MAX_GROWN_KIB: u64 = 64 * 1024;

/// How a call of such a server must end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// An error that says the server may have acted.
    Unknown,
    /// An error that says it has not.
    Refused,
    /// A result of this text.
    Says(&'static str),
    /// However: within time and size.
    Bounded,
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
const EVENTS: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/event-stream")];

/// JSON, well or badly formed.
fn body(text: impl Into<Body>) -> Option<Response> {
    Some((JSON, text.into()).into_response())
}

fn events(text: String) -> Option<Response> {
    Some((EVENTS, text).into_response())
}

/// An answer to the message with this result.
fn result(message: &Value, result: Value) -> Option<Response> {
    body(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string())
}

/// Answers one method so, and all others as a server would.
fn at(wanted: &str, method: &str, answer: impl FnOnce() -> Option<Response>) -> Option<Response> {
    (wanted == method).then(answer).flatten()
}

/// An answer whose result is lists in lists.
fn deep(message: &Value) -> String {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{open}{close}}}"#, message["id"])
}

/// One byte after the other, for ever.
fn drip() -> Option<Response> {
    let drops = stream::repeat(Bytes::from_static(b" ")).then(|drop| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Infallible>(drop)
    });
    body(Body::from_stream(drops))
}

/// Begins an answer and breaks the connection.
fn broken() -> Option<Response> {
    let parts = [
        Ok(Bytes::from_static(b"{\"jsonrpc\":")),
        Err(std::io::Error::other("gone")),
    ];
    body(Body::from_stream(stream::iter(parts)))
}

/// Little that becomes 64 MiB.
fn bomb() -> Option<Response> {
    static BOMB: OnceLock<Bytes> = OnceLock::new();
    let bomb = BOMB.get_or_init(|| {
        let packed = Command::new("sh")
            .args(["-c", "head -c 67108864 /dev/zero | gzip -9"])
            .output();
        packed.unwrap().stdout.into()
    });
    assert!((10_000..200_000).contains(&bomb.len()), "{} bytes", bomb.len());
    let packed = [(header::CONTENT_ENCODING, "gzip")];
    Some((JSON, packed, bomb.clone()).into_response())
}

/// What calls are answered.
const CALLS: [(&str, End, Odd); 20] = [
    ("the answer to another call", End::Unknown, |m, _| {
        at("tools/call", m, || {
            result(&json!({"id": 999_999}), json!({"content": []}))
        })
    }),
    ("an answer to nobody", End::Unknown, |m, _| {
        at("tools/call", m, || {
            body(r#"{"jsonrpc":"2.0","id":null,"result":{"content":[]}}"#)
        })
    }),
    ("nothing", End::Unknown, |m, _| at("tools/call", m, || body(""))),
    ("a list of answers", End::Unknown, |m, message| {
        at("tools/call", m, || {
            body(json!([{"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}]).to_string())
        })
    }),
    ("lists in lists", End::Unknown, |m, message| {
        at("tools/call", m, || body(deep(message)))
    }),
    ("lists in lists as an event", End::Unknown, |m, message| {
        at("tools/call", m, || events(format!("data: {}\n\n", deep(message))))
    }),
    ("no UTF-8", End::Unknown, |m, _| {
        at("tools/call", m, || {
            body(Bytes::from_static(
                b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\xfe\"}",
            ))
        })
    }),
    ("an answer that breaks off", End::Unknown, |m, _| {
        at("tools/call", m, broken)
    }),
    ("an answer drop by drop", End::Unknown, |m, _| at("tools/call", m, drip)),
    ("an answer later", End::Unknown, |m, _| {
        at("tools/call", m, || Some(StatusCode::ACCEPTED.into_response()))
    }),
    ("a header without end", End::Unknown, |m, message| {
        at("tools/call", m, || {
            let long = [("x-long", "x".repeat(2 * 1024 * 1024))];
            Some((long, result(message, json!({"content": []}))?).into_response())
        })
    }),
    ("a number", End::Unknown, |m, message| {
        at("tools/call", m, || result(message, json!(5)))
    }),
    ("what unpacks to 64 MiB", End::Unknown, |m, _| at("tools/call", m, bomb)),
    ("come back in an hour", End::Refused, |m, _| {
        at("tools/call", m, || {
            let later = [(header::RETRY_AFTER, "3600")];
            Some((StatusCode::TOO_MANY_REQUESTS, later, "slow down").into_response())
        })
    }),
    ("two answers", End::Says("first"), |m, message| {
        at("tools/call", m, || {
            let said = |text: &str| json!({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": text}]}});
            events(format!("data: {}\n\ndata: {}\n\n", said("first"), said("second")))
        })
    }),
    ("content of no kind", End::Bounded, |m, message| {
        at("tools/call", m, || {
            result(message, json!({"content": [{"type": "hologram", "data": {}}]}))
        })
    }),
    ("no content", End::Bounded, |m, message| {
        at("tools/call", m, || result(message, json!({})))
    }),
    ("a hundred thousand pieces", End::Unknown, |m, message| {
        at("tools/call", m, || {
            let pieces = r#"{"type":"text","text":"x"},"#.repeat(100_000);
            let pieces = pieces.trim_end_matches(',');
            body(format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{pieces}]}}}}"#,
                message["id"]
            ))
        })
    }),
    ("a hundred thousand pieces as an event", End::Unknown, |m, message| {
        at("tools/call", m, || {
            let pieces = r#"{"type":"text","text":"x"},"#.repeat(100_000);
            let pieces = pieces.trim_end_matches(',');
            events(format!(
                "data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[{pieces}]}}}}\n\n",
                message["id"]
            ))
        })
    }),
    (
        "an error without words that is as long as it may be",
        End::Unknown,
        |m, message| {
            at("tools/call", m, || {
                let error = json!({"code": -32_000, "message": "x".repeat(3_000_000), "data": [[[]]]});
                body(json!({"jsonrpc": "2.0", "id": message["id"], "error": error}).to_string())
            })
        },
    ),
];

/// What a server says of itself and its tools.
const STARTS: [(&str, Odd); 17] = [
    ("a version of the protocol there is not", |m, message| {
        at("initialize", m, || {
            result(
                message,
                json!({"protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {}}),
            )
        })
    }),
    ("a session's id of a megabyte", |m, message| {
        at("initialize", m, || {
            let about = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"}});
            let session = [("mcp-session-id", "s".repeat(1024 * 1024))];
            Some((session, result(message, about)?).into_response())
        })
    }),
    ("instructions without end", |m, message| {
        at("initialize", m, || {
            let about = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"}, "instructions": "x".repeat(5 * 1024 * 1024)});
            result(message, about)
        })
    }),
    ("a start that is no object", |m, message| {
        at("initialize", m, || result(message, json!([])))
    }),
    ("a start that breaks off", |m, _| at("initialize", m, broken)),
    ("a start drop by drop", |m, _| at("initialize", m, drip)),
    ("a start that unpacks to 64 MiB", |m, _| at("initialize", m, bomb)),
    ("tools that are no list", |m, message| {
        at("tools/list", m, || result(message, json!({"tools": {"a": 1}})))
    }),
    ("tools whose names are numbers", |m, message| {
        at("tools/list", m, || {
            result(message, json!({"tools": [{"name": 1, "inputSchema": {}}]}))
        })
    }),
    ("names that are no names", |m, message| {
        at("tools/list", m, || {
            let names = [
                "",
                "a\nb",
                "../../etc/passwd",
                "\u{202e}live",
                "execute",
                "good__echo",
                "__",
                "ä".repeat(200_000).as_str(),
                "\u{0}",
            ]
            .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
            result(message, json!({"tools": names}))
        })
    }),
    ("a schema that is deep", |m, message| {
        at("tools/list", m, || {
            let (open, close) = (r#"{"properties":{"a":"#.repeat(20_000), "}}".repeat(20_000));
            body(format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{{"name":"t","inputSchema":{open}{{}}{close}}}]}}}}"#,
                message["id"]
            ))
        })
    }),
    ("a schema that is no object", |m, message| {
        at("tools/list", m, || {
            result(message, json!({"tools": [{"name": "t", "inputSchema": "any"}]}))
        })
    }),
    ("a description of three megabytes", |m, message| {
        at("tools/list", m, || {
            let described = json!({"name": "t", "description": "x".repeat(3 * 1024 * 1024), "inputSchema": {}});
            result(message, json!({"tools": [described]}))
        })
    }),
    ("a next page as long as a book", |m, message| {
        at("tools/list", m, || {
            result(message, json!({"tools": [], "nextCursor": "x".repeat(1024 * 1024)}))
        })
    }),
    ("a hundred thousand tools", |m, message| {
        at("tools/list", m, || {
            let tools = r#"{"name":"t","inputSchema":{}},"#.repeat(100_000);
            let tools = tools.trim_end_matches(',');
            body(format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{tools}]}}}}"#,
                message["id"]
            ))
        })
    }),
    ("a list drop by drop", |m, _| at("tools/list", m, drip)),
    ("a list that unpacks to 64 MiB", |m, _| at("tools/list", m, bomb)),
];

/// Most memory this process ever held, in KiB, since that was last forgotten.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Forgets it; what is held now.
fn forget_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_kib()
}

/// A world with a server of this kind and one that behaves, which every turn uses both.
async fn two() -> (World, McpStub, McpScope) {
    // What is stored is looked at each time.
    let world = World::start_with(|config| config.mcp.cache_ttl = Duration::from_nanos(1)).await;
    let good = McpStub::start().await;
    let first = world.create(world.server()).await;
    let server = McpServer {
        slug: "good".to_owned(),
        url: good.url.clone(),
        ..world.server()
    };
    let second = world.create(server).await;
    let both = McpScope {
        server_ids: [first.server_ids, second.server_ids].concat(),
        ..second
    };
    (world, good, both)
}

impl World {
    fn answer_oddly(&self, odd: Option<Odd>) {
        *self.stub.odd.lock().unwrap() = odd;
    }

    /// The other server is as good as ever.
    async fn other_is_well(&self, what: &str, scope: &McpScope) {
        let answer = self.call("good__echo", json!({"text": "a"}), scope).await;
        assert!(!answer.outcome.is_error, "{what}: {answer:?}");
    }

    /// Waits until the server is used again, now that it behaves.
    async fn recovers(&self, what: &str, scope: &McpScope) {
        let back = async {
            while !self.names(scope).await.contains(&"stub__echo".to_owned()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let back = tokio::time::timeout(BOUND, back).await;
        assert!(back.is_ok(), "{what}: it is not used again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_no_server_should_give_ends_its_call_and_nothing_else() {
    let (world, _good, scope) = two().await;
    for (what, end, odd) in CALLS {
        world.recovers(what, &scope).await;
        world.answer_oddly(Some(odd));
        let before = forget_peak();
        let begun = Instant::now();
        let answer = world.call("stub__echo", json!({"text": "a"}), &scope).await;
        assert!(begun.elapsed() < BOUND, "{what}: {:?}", begun.elapsed());
        let grown = peak_kib().saturating_sub(before);
        assert!(grown < MAX_GROWN_KIB, "{what}: {grown} KiB");
        let outcome = &answer.outcome;
        assert!(
            outcome.result_json.len() <= MAX_RESULT_BYTES,
            "{what}: {}",
            outcome.result_json.len()
        );
        match end {
            End::Unknown => assert!(outcome.is_error && outcome.is_unknown, "{what}: {answer:?}"),
            End::Refused => assert!(outcome.is_error && !outcome.is_unknown, "{what}: {answer:?}"),
            End::Says(said) => assert_eq!((text(&answer).as_str(), outcome.is_error), (said, false), "{what}"),
            End::Bounded => {}
        }
        world.other_is_well(what, &scope).await;
        world.answer_oddly(None);
    }
    world.recovers("all of them", &scope).await;
    assert!(!world.call("stub__echo", json!({}), &scope).await.outcome.is_error);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_itself_costs_its_own_tools_at_most() {
    let (world, _good, scope) = two().await;
    let is_name = |name: &String| {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        is_plain && name.len() <= 64
    };
    for (what, odd) in STARTS {
        world.answer_oddly(Some(odd));
        // Another session, which is begun by a server that is asked for what it is.
        world.harness.storage.servers.lock().unwrap()[0].revision += 1;
        let before = forget_peak();
        let begun = Instant::now();
        let listed = world.list(&scope).await;
        assert!(begun.elapsed() < BOUND, "{what}: {:?}", begun.elapsed());
        let grown = peak_kib().saturating_sub(before);
        assert!(grown < MAX_GROWN_KIB, "{what}: {grown} KiB");
        let names: Vec<String> = listed.tools.iter().map(|tool| tool.name.clone()).collect();
        assert!(names.iter().all(is_name), "{what}: {names:?}");
        let good = names.iter().filter(|name| name.starts_with("good__"));
        assert_eq!(good.count(), 2, "{what}: {names:?}");
        let bytes: usize = listed
            .tools
            .iter()
            .map(|tool| tool.description.len() + tool.input_schema_json.len())
            .sum();
        assert!(bytes < 1024 * 1024, "{what}: {bytes}");
        world.other_is_well(what, &scope).await;
        world.answer_oddly(None);
        world.recovers(what, &scope).await;
    }
}
