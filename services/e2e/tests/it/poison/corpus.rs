//! The broken histories.

use serde_json::{Value, json};

/// A history that is broken in one way.
pub struct Poison {
    pub name: &'static str,
    rows: Vec<Row>,
    /// How often they follow one another.
    times: usize,
}

/// A message to be written behind a good question and its good answer.
#[derive(Clone)]
struct Row {
    role: &'static str,
    /// An SQL expression of `jsonb`.
    content: String,
    visibility: &'static str,
    version: i16,
    is_compressed: bool,
    is_deleted: bool,
}

impl Poison {
    /// Writes the rows into a chat.
    pub fn statement(&self, chat_id: &str) -> String {
        let row = |(place, row): (usize, &Row)| {
            let Row {
                role,
                content,
                visibility,
                version,
                is_compressed,
                is_deleted,
            } = row;
            format!("({place}, '{role}', '{visibility}', {content}, {version}, {is_compressed}, {is_deleted})")
        };
        let rows: Vec<String> = self.rows.iter().enumerate().map(row).collect();
        format!(
            "INSERT INTO chat_messages (chat_id, role, visibility, content, content_version, is_compressed, is_deleted,
            provider_response_id)
            SELECT '{chat_id}', role, visibility, content, version, is_compressed, is_deleted, 'poison'
            FROM generate_series(1, {}) round, (VALUES {}) AS rows
            (place, role, visibility, content, version, is_compressed, is_deleted)
            ORDER BY round, place",
            self.times,
            rows.join(", ")
        )
    }

    /// The poison as the last word, behind which the talk went on, and twice in a row.
    pub fn variants(&self) -> [Self; 3] {
        let of = |rows, times| Self {
            name: self.name,
            rows,
            times,
        };
        let went_on = [user(&[says("And then?")]), assistant(&[says("Nothing.")])];
        [
            of(self.rows.clone(), self.times),
            of(self.rows.iter().cloned().chain(went_on).collect(), self.times),
            of(self.rows.clone(), self.times * 2),
        ]
    }

    /// Whether calls and results do not pair, or rows cannot be read: what has to be recorded, not only left out.
    pub fn is_to_be_repaired(&self) -> bool {
        matches!(
            self.name,
            "a call without its result"
                | "a result without its call"
                | "two results of one call"
                | "one id twice in a message"
                | "a call in a question"
                | "a name of odd characters"
                | "an id of odd characters"
                | "a part of a kind to come"
                | "content that is a text"
        )
    }

    /// How many messages it is.
    pub fn count(&self) -> usize {
        self.rows.len() * self.times
    }
}

fn row(role: &'static str, content: &Value) -> Row {
    Row {
        role,
        content: format!("$poison${content}$poison$::jsonb"),
        visibility: "both",
        version: 1,
        is_compressed: false,
        is_deleted: false,
    }
}

fn user(parts: &[Value]) -> Row {
    row("user", &json!(parts))
}

fn assistant(parts: &[Value]) -> Row {
    row("assistant", &json!(parts))
}

fn tool(parts: &[Value]) -> Row {
    row("tool", &json!(parts))
}

/// A message whose only part SQL puts together, for sizes no command line takes.
fn large(role: &'static str, part: &str) -> Row {
    Row {
        content: format!("jsonb_build_array({part})"),
        ..row(role, &Value::Null)
    }
}

fn says(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn call(id: &str) -> Value {
    json!({ "type": "tool-call", "tool_call_id": id, "tool_name": "execute", "args": { "command": "true" } })
}

fn result(id: &str) -> Value {
    json!({ "type": "tool-result", "tool_call_id": id, "tool_name": "execute", "result": { "output": "" } })
}

/// A part with one member set to something else.
fn with(mut part: Value, key: &str, value: Value) -> Value {
    part[key] = value;
    part
}

fn file(media_type: &str, data: &str) -> Value {
    json!({ "type": "file", "media_type": media_type, "name": "picture", "data": data })
}

fn poison(name: &'static str, rows: impl IntoIterator<Item = Row>) -> Poison {
    let rows = rows.into_iter().collect();
    Poison { name, rows, times: 1 }
}

/// All of them.
pub fn poisons() -> Vec<Poison> {
    [calls(), places(), names(), thoughts(), texts(), files(), shapes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Calls and results that do not pair.
fn calls() -> Vec<Poison> {
    vec![
        poison("a call without its result", [assistant(&[call("a")])]),
        poison(
            "a call without its result, long ago",
            [
                assistant(&[call("a")]),
                user(&[says("And?")]),
                assistant(&[says("Well.")]),
            ],
        ),
        poison("a result without its call", [tool(&[result("a")])]),
        poison(
            "a result before its call",
            [tool(&[result("a")]), assistant(&[call("a")])],
        ),
        poison(
            "two results of one call",
            [assistant(&[call("a")]), tool(&[result("a")]), tool(&[result("a")])],
        ),
        poison(
            "two results in one message",
            [assistant(&[call("a")]), tool(&[result("a"), result("a")])],
        ),
        poison(
            "one id twice in a message",
            [
                assistant(&[call("a"), call("a")]),
                tool(&[result("a")]),
                tool(&[result("a")]),
            ],
        ),
        poison(
            "one id twice, one result",
            [assistant(&[call("a"), call("a")]), tool(&[result("a")])],
        ),
        poison(
            "one id in two steps",
            [
                assistant(&[call("a")]),
                tool(&[result("a")]),
                assistant(&[call("a")]),
                tool(&[result("a")]),
            ],
        ),
        poison(
            "one id in two steps, the first open",
            [assistant(&[call("a")]), assistant(&[call("a")]), tool(&[result("a")])],
        ),
        poison(
            "results in another order",
            [
                assistant(&[call("a"), call("b")]),
                tool(&[result("b")]),
                tool(&[result("a")]),
            ],
        ),
        poison(
            "one result of two",
            [assistant(&[call("a"), call("b")]), tool(&[result("b")])],
        ),
        poison(
            "a result after the next question",
            [assistant(&[call("a")]), user(&[says("And?")]), tool(&[result("a")])],
        ),
        poison(
            "a result after the next answer",
            [
                assistant(&[call("a")]),
                assistant(&[says("Well.")]),
                tool(&[result("a")]),
            ],
        ),
        poison(
            "a foreign result among the right ones",
            [assistant(&[call("a")]), tool(&[result("z")]), tool(&[result("a")])],
        ),
        poison(
            "a withdrawn result",
            [
                assistant(&[call("a")]),
                Row {
                    is_deleted: true,
                    ..tool(&[result("a")])
                },
            ],
        ),
        poison(
            "a withdrawn call",
            [
                Row {
                    is_deleted: true,
                    ..assistant(&[call("a")])
                },
                tool(&[result("a")]),
            ],
        ),
        poison(
            "a result the model may not see",
            [
                assistant(&[call("a")]),
                Row {
                    visibility: "user",
                    ..tool(&[result("a")])
                },
            ],
        ),
        poison(
            "a call the model may not see",
            [
                Row {
                    visibility: "user",
                    ..assistant(&[call("a")])
                },
                tool(&[result("a")]),
            ],
        ),
        poison(
            "a call cut off by a summary",
            [
                assistant(&[call("a")]),
                summary(&[says("It was about a call.")]),
                tool(&[result("a")]),
            ],
        ),
        poison("an empty summary", [summary(&[])]),
    ]
}

fn summary(parts: &[Value]) -> Row {
    Row {
        visibility: "model",
        is_compressed: true,
        ..user(parts)
    }
}

/// Parts in messages of the wrong role.
fn places() -> Vec<Poison> {
    vec![
        poison("a call in a question", [user(&[call("a")])]),
        poison(
            "a result in a question",
            [assistant(&[call("a")]), user(&[result("a"), says("Here.")])],
        ),
        poison("a call in a tool's message", [tool(&[call("a")])]),
        poison(
            "words in a tool's message",
            [assistant(&[call("a")]), tool(&[says("done"), result("a")])],
        ),
        poison("a result beside its call", [assistant(&[call("a"), result("a")])]),
        poison(
            "thoughts in a question",
            [user(&[json!({ "type": "reasoning", "text": "Hm." })])],
        ),
        poison(
            "a picture in an answer",
            [assistant(&[file("image/png", "iVBORw0KGgo=")])],
        ),
        poison(
            "instructions in the middle",
            [row("system", &json!([says("Be brief.")]))],
        ),
        poison("empty instructions", [row("system", &json!([]))]),
        poison("a call in instructions", [row("system", &json!([call("a")]))]),
        poison("two questions", [user(&[says("One?")]), user(&[says("Two?")])]),
        poison("two answers", [assistant(&[says("One.")]), assistant(&[says("Two.")])]),
    ]
}

/// Names and ids no vendor takes.
fn names() -> Vec<Poison> {
    let pair = |id: &str| [assistant(&[call(id)]), tool(&[result(id)])];
    let named = |name: &str| {
        let name = json!(name);
        [
            assistant(&[with(call("a"), "tool_name", name.clone())]),
            tool(&[with(result("a"), "tool_name", name)]),
        ]
    };
    let arguments = |arguments: Value| [assistant(&[with(call("a"), "args", arguments)]), tool(&[result("a")])];
    vec![
        poison("an id of odd characters", pair("call:1/ü#\u{1b}")),
        poison("an id longer than vendors take", pair(&"x".repeat(200))),
        poison(
            "two long ids alike at first",
            pair(&"x".repeat(200))
                .into_iter()
                .chain(pair(&format!("{}y", "x".repeat(199)))),
        ),
        poison("ids that become alike", pair("a.b").into_iter().chain(pair("a:b"))),
        poison("an empty id", pair("")),
        poison("an id longer than any", pair(&"x".repeat(1000))),
        poison("an empty name", named("")),
        poison("a name of odd characters", named("read file(ü)\u{1b}")),
        poison("a name longer than vendors take", named(&"n".repeat(300))),
        poison("a tool that is gone", named("removed_long_ago")),
        poison("arguments that are words", arguments(json!("ls"))),
        poison("arguments that are null", arguments(Value::Null)),
        poison("arguments that are a list", arguments(json!(["ls", 1]))),
        poison(
            "arguments fifty deep",
            arguments((0..50).fold(json!({}), |inner, _| json!({ "in": inner }))),
        ),
    ]
}

/// Thoughts and metadata of other vendors.
fn thoughts() -> Vec<Poison> {
    let thought = json!({ "type": "reasoning", "text": "Hm.", "signature": "c2lnbmVkIGJ5IHNvbWVib2R5IGVsc2U=" });
    let foreign = json!({ "vendor": { "encrypted_content": "gAAAA", "item_id": "rs_1" } });
    let run_there = |part: Value| with(part, "provider_executed", json!(true));
    vec![
        poison(
            "nothing but thoughts",
            [assistant(&[json!({ "type": "reasoning", "text": "Hm." })])],
        ),
        poison(
            "thoughts signed by another vendor",
            [assistant(&[thought.clone(), says("Well.")])],
        ),
        poison("signed thoughts alone", [assistant(std::slice::from_ref(&thought))]),
        poison(
            "thoughts behind their call",
            [assistant(&[call("a"), thought]), tool(&[result("a")])],
        ),
        poison(
            "another vendor's metadata",
            [assistant(&[with(says("Well."), "provider_metadata", foreign.clone())])],
        ),
        poison(
            "another vendor's metadata in a call",
            [
                assistant(&[with(call("a"), "provider_metadata", foreign)]),
                tool(&[result("a")]),
            ],
        ),
        poison(
            "a vendor's call without its result",
            [assistant(&[run_there(call("a"))])],
        ),
        poison(
            "a vendor's result without its call",
            [assistant(&[run_there(result("a"))])],
        ),
        poison(
            "a vendor's call with its result",
            [assistant(&[
                run_there(call("a")),
                run_there(result("a")),
                says("Found."),
            ])],
        ),
        poison(
            "a vendor's call answered by a tool",
            [assistant(&[run_there(call("a"))]), tool(&[result("a")])],
        ),
        poison(
            "a source alone",
            [assistant(&[json!({ "type": "source", "url": "https://example.com" })])],
        ),
    ]
}

/// Texts that are none, or too much.
fn texts() -> Vec<Poison> {
    let output = |result: &str| {
        let part = format!(
            "'{{\"type\":\"tool-result\",\"tool_call_id\":\"a\",\"tool_name\":\"execute\"}}'::jsonb || jsonb_build_object('result', {result})"
        );
        [assistant(&[call("a")]), large("tool", &part)]
    };
    let long = "jsonb_build_object('type', 'text', 'text', repeat('long ', 200000))";
    vec![
        poison("an answer of nothing", [assistant(&[])]),
        poison("a question of nothing", [user(&[])]),
        poison("a tool's message of nothing", [assistant(&[call("a")]), tool(&[])]),
        poison("an empty text", [assistant(&[says("")])]),
        poison(
            "blank texts",
            [user(&[says(" \n\t")]), assistant(&[says("\u{3000}\u{200b}")])],
        ),
        poison(
            "an escaped zero",
            [user(&[says("a\u{e000}\u{e001}b\u{e000}x\u{e000}")])],
        ),
        poison(
            "control characters",
            [user(&[says("\u{1b}[31m\u{7f}\u{202e}\u{fffe}")])],
        ),
        poison(
            "a result that is null",
            [
                assistant(&[call("a")]),
                tool(&[with(result("a"), "result", Value::Null)]),
            ],
        ),
        poison(
            "a result that is a number",
            [assistant(&[call("a")]), tool(&[with(result("a"), "result", json!(7))])],
        ),
        poison(
            "a result that is an empty text",
            [assistant(&[call("a")]), tool(&[with(result("a"), "result", json!(""))])],
        ),
        poison("a result of 300 KB", output("repeat('long ', 60000)")),
        Poison {
            times: 20,
            ..poison(
                "forty messages of a megabyte",
                [large("user", long), large("assistant", long)],
            )
        },
        poison(
            "a picture that is no picture",
            [
                assistant(&[call("a")]),
                tool(&[json!({
                    "type": "tool-result", "tool_call_id": "a", "tool_name": "look", "is_media": true,
                    "result": { "data": "not base64!", "mime_type": "image/png", "text": "" },
                })]),
            ],
        ),
        poison(
            "a picture of an unknown kind",
            [
                assistant(&[call("a")]),
                tool(&[json!({
                    "type": "tool-result", "tool_call_id": "a", "tool_name": "look", "is_media": true,
                    "result": { "data": "AAAA", "mime_type": "image/x-strange", "text": "" },
                })]),
            ],
        ),
    ]
}

/// Files that are gone, or that no vendor takes.
fn files() -> Vec<Poison> {
    let gone = "00000000-0000-4000-8000-000000000000";
    let part = "jsonb_build_object('type', 'file', 'media_type', 'image/png', 'data', repeat('AAAA', 7500000))";
    vec![
        poison(
            "a file that is gone",
            [user(&[
                json!({ "type": "file", "media_type": "image/png", "file_id": gone }),
            ])],
        ),
        poison(
            "a text that is gone",
            [user(&[
                json!({ "type": "file", "media_type": "text/plain", "name": "a.txt", "file_id": gone }),
            ])],
        ),
        poison("an empty picture", [user(&[file("image/png", "")])]),
        poison("a drawing", [user(&[file("image/svg+xml", "PHN2Zy8+")])]),
        poison("a picture of no kind", [user(&[file("", "AAAA")])]),
        poison("a film", [user(&[file("video/mp4", "AAAA")])]),
        poison("a broken document", [user(&[file("application/pdf", "AAAA")])]),
        poison("a text that is no text", [user(&[file("text/plain", "//79")])]),
        poison("a picture of 22 MB", [large("user", part)]),
        poison(
            "a file without its bytes' alphabet",
            [user(&[file("image/png", "§§§")])],
        ),
        poison("a passage of nothing", [user(&[json!({ "type": "file-reference" })])]),
    ]
}

/// Rows this release cannot read at all.
fn shapes() -> Vec<Poison> {
    let later = || assistant(&[json!({ "type": "hologram", "size": 7 }), says("Well.")]);
    vec![
        poison("a part of a kind to come", [later()]),
        poison("a part of no kind", [user(&[json!({ "text": "Hello" })])]),
        poison("a part that is null", [user(&[Value::Null, says("Hello")])]),
        poison(
            "a call without an id",
            [assistant(&[json!({ "type": "tool-call", "tool_name": "execute" })])],
        ),
        poison(
            "a text that is a number",
            [user(&[json!({ "type": "text", "text": 7 })])],
        ),
        poison("content that is a text", [row("user", &json!("Hello"))]),
        poison(
            "content that is an object",
            [row("assistant", &json!({ "text": "Hello" }))],
        ),
        poison("content that is null", [row("assistant", &Value::Null)]),
        poison("content of a release to come", [Row { version: 99, ..later() }]),
        Poison {
            times: 1100,
            ..poison("two thousand messages", [user(&[says("?")]), assistant(&[says("!")])])
        },
    ]
}
