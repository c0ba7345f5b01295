//! Answers no vendor should give, with what Tandem makes of each.

use serde_json::{Value, json};
use tandem_e2e::fake_llm::Reply;

/// More than one event or document may have, in bytes.
const TOO_LONG: usize = 12 << 20;
/// What the truth is when a lie was tried again.
const TRUTH: &str = "The truth.";

/// What must come of a lie.
#[derive(Clone, Copy)]
pub enum Expected {
    /// The turn's error; it names provider and model and has these words.
    Named(&'static str),
    /// As good as a broken connection: asked again, and answered.
    TriedAgain,
    /// Taken as it is meant: the chat's last message.
    Said(&'static str),
}

use Expected::{Named, Said, TriedAgain};

/// An answer with something wrong about it.
#[derive(Clone)]
pub struct Lie {
    pub name: String,
    pub reply: Reply,
    pub expected: Expected,
}

fn lie(name: &str, reply: Reply, expected: Expected) -> Lie {
    let name = name.to_owned();
    Lie { name, reply, expected }
}

fn events(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::raw("text/event-stream; charset=utf-8", bytes)
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn chunk(delta: Value, finish: Value) -> String {
    event(&json!({ "id": "x", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }))
}

fn says(text: &str) -> String {
    chunk(json!({ "content": text }), Value::Null)
}

fn stop() -> String {
    chunk(json!({}), json!("stop"))
}

const DONE: &str = "data: [DONE]\n\n";

/// A stream of these events, properly ended.
fn stream(events_: &[String]) -> Reply {
    events([events_.concat(), stop(), DONE.to_owned()].concat())
}

/// A stream that calls tools as given, properly ended.
fn calls(calls: &[Value]) -> Reply {
    let deltas: Vec<String> = calls
        .iter()
        .map(|call| chunk(json!({ "tool_calls": [call] }), Value::Null))
        .collect();
    let end = chunk(json!({}), json!("tool_calls"));
    events([deltas.concat(), end, DONE.to_owned()].concat())
}

fn call(index: Value, id: Value, arguments: Value) -> Value {
    json!({ "index": index, "id": id, "type": "function", "function": { "name": "execute", "arguments": arguments } })
}

/// All of them.
pub fn lies() -> Vec<Lie> {
    [pages(), bytes(), shapes(), tools(), counts(), ends(), endless()].concat()
}

/// Answers of somebody else altogether.
fn pages() -> Vec<Lie> {
    let html = "<html><head><title>Sign in</title></head><body>Wi-Fi</body></html>";
    vec![
        lie("a page", Reply::html_200(), Named("web page")),
        lie("a page called a stream", events(html), Named("Sign in")),
        lie(
            "a page behind a byte order mark",
            events(format!("\u{feff}{html}")),
            Named("web page"),
        ),
        lie(
            "xml",
            Reply::raw("text/xml", "<?xml version=\"1.0\"?><ok/>"),
            Named("web page"),
        ),
        lie("nothing", Reply::empty_200(), TriedAgain),
        lie("white space", events(" \r\n\t\n\n"), TriedAgain),
        lie("only comments", events(": ping\n\n: ping\n\n"), TriedAgain),
        lie("only done", events(DONE), TriedAgain),
        lie("plain words", events("It works!\n"), TriedAgain),
        lie(
            "a picture",
            Reply::raw("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
            TriedAgain,
        ),
        lie(
            "an empty object",
            Reply::raw("application/json", "{}"),
            Named("without words"),
        ),
        lie("an empty list", Reply::raw("application/json", "[]"), Named("[]")),
        lie(
            "a whole answer at once",
            Reply::raw(
                "application/json",
                r#"{"choices":[{"message":{"content":"At once."}}]}"#,
            ),
            Said("At once."),
        ),
        lie(
            "half a document",
            Reply::raw("application/json", r#"{"choices":[{"message":{"content":"At on"#),
            TriedAgain,
        ),
        lie(
            "an error in a document",
            Reply::raw("application/json", r#"{"error":{"message":"model exploded"}}"#),
            Named("exploded"),
        ),
        lie(
            "an error as text",
            Reply::raw("application/json", r#"{"error":"model exploded"}"#),
            Named("exploded"),
        ),
    ]
}

/// Bytes that are no text, or text that is no JSON.
fn bytes() -> Vec<Lie> {
    let with = |at: &[u8]| {
        let text = says("A@B");
        let (before, after) = text.split_once('@').unwrap_or_default();
        let end = [stop(), DONE.to_owned()].concat();
        events([before.as_bytes(), at, after.as_bytes(), end.as_bytes()].concat())
    };
    let between = |at: &[u8]| events([says("A").as_bytes(), at, says("B").as_bytes(), stop().as_bytes()].concat());
    vec![
        lie("a byte that is no UTF-8", with(b"\xff"), Said("A\u{fffd}B")),
        lie("half a character", with(b"\xe7\xb5"), Said("A\u{fffd}B")),
        lie("an overlong slash", with(b"\xc0\xaf"), Said("A\u{fffd}\u{fffd}B")),
        lie(
            "a surrogate as bytes",
            with(b"\xed\xa0\x80"),
            Said("A\u{fffd}\u{fffd}\u{fffd}B"),
        ),
        lie("a raw newline in a text", with(b"\n"), Named("format")),
        lie("a raw zero byte", with(b"\0"), Named("format")),
        lie("an escaped zero", with(br"\u0000"), Said("A\0B")),
        lie("half an escaped surrogate", with(br"\ud83d"), Named("format")),
        lie("an unknown escape", with(br"\x41"), Named("format")),
        lie("bytes between events", between(b"\xff\xfe\xfd\n\n"), Said("AB")),
        lie("zero bytes between events", between(b"\0\0\0\n\n"), Said("AB")),
        lie("words between events", between(b"data: nonsense\n\n"), Named("format")),
        lie(
            "half a document between events",
            between(b"data: {\"choices\":[\n\n"),
            Named("format"),
        ),
        lie(
            "a field nobody knows",
            between(b"colour: blue\nid: 7\nretry: 1\n\n"),
            Said("AB"),
        ),
        lie(
            "an event nobody knows",
            between(b"event: weather\ndata: {\"rain\":true}\n\n"),
            Said("AB"),
        ),
        lie(
            "carriage returns only",
            events([says("A"), stop(), DONE.to_owned()].concat().replace('\n', "\r")),
            Said("A"),
        ),
    ]
}

/// JSON of another shape.
fn shapes() -> Vec<Lie> {
    let odd = |value: Value| stream(&[says("A"), event(&value), says("B")]);
    let deep = format!("data: {}{}\n\n", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        lie("null", odd(Value::Null), Named("format")),
        lie("true", odd(json!(true)), Named("format")),
        lie("a number", odd(json!(1e300)), Named("format")),
        lie("a list", odd(json!([])), Named("format")),
        lie("no choices", odd(json!({ "id": "x" })), Said("AB")),
        lie("empty choices", odd(json!({ "choices": [] })), Said("AB")),
        lie("choices that are null", odd(json!({ "choices": null })), Said("AB")),
        lie(
            "choices in an object",
            odd(json!({ "choices": { "0": {} } })),
            Named("format"),
        ),
        lie(
            "a choice that is null",
            odd(json!({ "choices": [null] })),
            Named("format"),
        ),
        lie(
            "a delta that is null",
            odd(json!({ "choices": [{ "delta": null }] })),
            Said("AB"),
        ),
        lie(
            "a delta that is a list",
            odd(json!({ "choices": [{ "delta": [] }] })),
            Said("AB"),
        ),
        lie(
            "content that is a number",
            stream(&[chunk(json!({ "content": 7 }), Value::Null)]),
            Said(""),
        ),
        lie(
            "content that is null",
            odd(json!({ "choices": [{ "delta": { "content": null } }] })),
            Said("AB"),
        ),
        lie(
            "the wrong choice",
            odd(json!({ "choices": [{ "index": 3, "delta": { "content": "X" } }] })),
            Said("AB"),
        ),
        lie(
            "an error that is null",
            odd(json!({ "error": null, "choices": [] })),
            Said("AB"),
        ),
        lie(
            "an error without words",
            odd(json!({ "error": {} })),
            Named("without words"),
        ),
        lie(
            "an error that is a list",
            odd(json!({ "error": ["exploded"] })),
            Named("without words"),
        ),
        lie(
            "ten thousand brackets",
            events([says("A"), deep, stop()].concat()),
            Named("format"),
        ),
    ]
}

/// Calls that cannot be carried out as they stand.
fn tools() -> Vec<Lie> {
    let good = json!("{\"command\":\"true\"}");
    vec![
        lie(
            "half the arguments",
            calls(&[call(json!(0), json!("a"), json!("{\"command\":\"tr"))]),
            Said(TRUTH),
        ),
        lie(
            "arguments that are no JSON",
            calls(&[call(json!(0), json!("a"), json!("now!"))]),
            Said(TRUTH),
        ),
        lie(
            "arguments that are a list",
            calls(&[call(json!(0), json!("a"), json!("[1]"))]),
            Said(TRUTH),
        ),
        lie(
            "no arguments",
            calls(&[call(json!(0), json!("a"), json!(""))]),
            Said(TRUTH),
        ),
        lie(
            "arguments as an object",
            calls(&[call(json!(0), json!("a"), json!({ "command": "true" }))]),
            Said(TRUTH),
        ),
        lie(
            "a call from place seven",
            calls(&[call(json!(7), json!("a"), good.clone())]),
            Said(TRUTH),
        ),
        lie(
            "a call without a place",
            calls(&[call(Value::Null, json!("a"), good.clone())]),
            Said(TRUTH),
        ),
        lie(
            "a place below zero",
            calls(&[call(json!(-1), json!("a"), good.clone())]),
            Said(TRUTH),
        ),
        lie(
            "a call without an id",
            calls(&[call(json!(0), Value::Null, good.clone())]),
            Said(TRUTH),
        ),
        lie(
            "an empty id",
            calls(&[call(json!(0), json!(""), good.clone())]),
            Said(TRUTH),
        ),
        lie(
            "one id for two calls",
            calls(&[
                call(json!(0), json!("a"), good.clone()),
                call(json!(1), json!("a"), good.clone()),
            ]),
            Said(TRUTH),
        ),
        lie(
            "an id of a thousand letters",
            calls(&[call(json!(0), json!("a".repeat(1000)), good.clone())]),
            Said(TRUTH),
        ),
        lie("a call that is null", calls(&[Value::Null]), Named("format")),
        lie(
            "a call of nothing",
            calls(&[json!({ "index": 0, "id": "a", "function": { "name": "", "arguments": good } })]),
            Said(""),
        ),
        lie(
            "a tool nobody has",
            calls(&[json!({ "index": 0, "id": "a", "function": { "name": "launch", "arguments": good } })]),
            Said(TRUTH),
        ),
        lie(
            "a tool with a name of control characters",
            calls(&[json!({ "index": 0, "id": "a", "function": { "name": "a\u{0}\u{1b}b c", "arguments": good } })]),
            Said(TRUTH),
        ),
        lie(
            "a reason without its call",
            events([says("A"), chunk(json!({}), json!("tool_calls")), DONE.to_owned()].concat()),
            Said("A"),
        ),
    ]
}

/// Usage nobody can have had.
fn counts() -> Vec<Lie> {
    let usage = |usage: Value| stream(&[says("A"), event(&json!({ "choices": [], "usage": usage }))]);
    vec![
        lie("usage below zero", Reply::text("A").usage(-5, -7), Said("A")),
        lie(
            "usage beyond all bounds",
            Reply::text("A").usage(i64::MAX, i64::MAX),
            Said("A"),
        ),
        lie(
            "usage in fractions",
            usage(json!({ "prompt_tokens": 1.5, "completion_tokens": 1e300 })),
            Said("A"),
        ),
        lie("usage in words", usage(json!({ "prompt_tokens": "many" })), Said("A")),
        lie(
            "usage that is null",
            usage(json!({ "prompt_tokens": null, "completion_tokens": null })),
            Said("A"),
        ),
        lie("usage that is a list", usage(json!([1, 2])), Said("A")),
    ]
}

/// Ends that are none, or more than one.
fn ends() -> Vec<Lie> {
    vec![
        lie("no end", events(says("A")), TriedAgain),
        lie("no done", events([says("A"), stop()].concat()), Said("A")),
        lie(
            "two ends",
            events([says("A"), stop(), stop(), DONE.to_owned(), DONE.to_owned()].concat()),
            Said("A"),
        ),
        lie(
            "words after the end",
            events([says("A"), stop(), DONE.to_owned(), says("B")].concat()),
            Said("A"),
        ),
        lie(
            "nonsense after the end",
            events([&says("A"), &stop(), DONE, "data: {nonsense\n\n"].concat()),
            Said("A"),
        ),
        lie(
            "an unknown reason",
            events([says("A"), chunk(json!({}), json!("tired")), DONE.to_owned()].concat()),
            Said("A"),
        ),
        lie(
            "a reason that is a number",
            events([says("A"), chunk(json!({}), json!(7)), DONE.to_owned()].concat()),
            Said("A"),
        ),
        lie(
            "half a last event",
            events([says("A"), "data: {\"choices\":[{\"del".to_owned()].concat()),
            TriedAgain,
        ),
    ]
}

/// Answers longer than an answer may be.
pub fn endless() -> Vec<Lie> {
    let line = vec![b'x'; TOO_LONG];
    let lines = b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(TOO_LONG / 64);
    let document = [br#"{"choices":[{"message":{"content":""#, line.as_slice()].concat();
    vec![
        lie(
            "an endless line",
            events([b"data: ", line.as_slice()].concat()),
            Named("longer than"),
        ),
        lie("endless lines", events(lines), Named("longer than")),
        lie(
            "an endless document",
            Reply::raw("application/json", document),
            Named("longer than"),
        ),
    ]
}
