use serde_json::{Value, json};
use tandem_chat_core::{
    id::{CompletionId, ModelConfigId},
    message::{Message, Role},
    part::{ToolResultPart, text_of},
};
use uuid::Uuid;

use super::*;
use crate::call::{Purpose, Tool, ToolChoice};

fn tool(name: &str, schema: Value) -> Tool {
    Tool {
        name: name.to_owned(),
        description: String::new(),
        input_schema: schema,
        computer: None,
    }
}

fn tools() -> Vec<Tool> {
    let edit = json!({"type": "object", "properties": {"files": {"type": "array", "items": {"properties": {"search": {}, "replace": {}}}}}});
    vec![
        tool("read_file", json!({})),
        tool("write_file", json!({})),
        tool("edit_files", edit),
        tool("execute", json!({})),
    ]
}

/// A conversation in which each call gets the next of `results`; returns all replies.
fn converse(asked: &str, tools: &[Tool], results: &[(Value, bool)]) -> Vec<Reply> {
    let mut messages = vec![
        Message::new(Role::System, vec![Part::text("You are an agent.")]),
        Message::new(Role::User, vec![Part::text(asked)]),
    ];
    let mut results = results.iter();
    let mut replies = Vec::new();
    let mut count = 0;
    loop {
        let reply = reply::to(&messages, tools, &ToolChoice::Auto);
        replies.push(reply.clone());
        if reply.calls.is_empty() || replies.len() > 20 {
            return replies;
        }
        let mut parts = vec![Part::text(reply.text)];
        let mut answers = Vec::new();
        for tool_use in &reply.calls {
            let id = ToolCallId::new(format!("c{count}")).unwrap();
            count += 1;
            let Delta::Part(call) = whole_call(&id, tool_use) else {
                panic!("is a call")
            };
            parts.push(call);
            let (result, is_error) = results.next().expect("a result for each call").clone();
            answers.push(Part::ToolResult(ToolResultPart {
                tool_call_id: id,
                tool_name: tool_use.tool.to_owned(),
                result,
                is_error,
                is_media: false,
                provider_executed: false,
                mcp_server_config_id: None,
                created_at: None,
                provider_metadata: ProviderMetadata::new(),
            }));
        }
        messages.push(Message::new(Role::Assistant, parts));
        messages.push(Message::new(Role::Tool, answers));
    }
}

fn calls(replies: &[Reply]) -> Vec<(&'static str, Value)> {
    let calls = replies.iter().flat_map(|reply| &reply.calls);
    calls
        .map(|tool_use| (tool_use.tool, tool_use.arguments.clone()))
        .collect()
}

fn ran(output: &str, exit_code: i64) -> (Value, bool) {
    (
        json!({"success": exit_code == 0, "output": output, "exit_code": exit_code, "wall_duration_ms": 3}),
        false,
    )
}

#[test]
fn a_file_is_written_run_edited_and_shown_with_the_real_results() {
    let replies = converse(
        "Create hello.py with \"print('hello')\" and run it. Then replace hello with goodbye in hello.py, then show hello.py",
        &tools(),
        &[
            (json!({"ok": true}), false),
            ran("hello\n", 0),
            (
                json!({"ok": true, "files": [{"path": "hello.py", "diff": "-hello\n+goodbye\n"}]}),
                false,
            ),
            (json!({"content": "1\tprint('goodbye')", "total_lines": 1}), false),
        ],
    );
    assert_eq!(
        calls(&replies),
        [
            ("write_file", json!({"path": "hello.py", "content": "print('hello')\n"})),
            ("execute", json!({"command": "python3 hello.py"})),
            (
                "edit_files",
                json!({"files": [{"path": "hello.py", "edits": [{"search": "hello", "replace": "goodbye"}]}]})
            ),
            ("read_file", json!({"path": "hello.py"})),
        ]
    );
    insta::assert_snapshot!(replies.last().unwrap().text);
}

#[test]
fn failures_are_told_as_they_are() {
    let replies = converse(
        "run `false` then read gone.txt",
        &tools(),
        &[ran("boom", 1), (json!("no such file: gone.txt"), true)],
    );
    let text = &replies.last().unwrap().text;
    assert!(
        text.contains("**failed with exit code 1**") && text.contains("boom"),
        "{text}"
    );
    assert!(
        text.contains("did not work") && text.contains("no such file: gone.txt"),
        "{text}"
    );
}

#[test]
fn several_commands_go_out_at_once_when_asked_for() {
    let replies = converse(
        "run `date` and run `whoami` in parallel",
        &tools(),
        &[ran("today", 0), ran("me", 0)],
    );
    assert_eq!(replies.len(), 2);
    assert_eq!(replies[0].calls.len(), 2);
    assert!(replies[1].text.contains("today") && replies[1].text.contains("me"));
}

#[test]
fn a_tool_that_wants_absolute_paths_gets_one() {
    let replies = converse(
        "create notes.txt with \"x\"",
        &tools(),
        &[
            (json!("path must be absolute"), true),
            ran("/home/joe\n", 0),
            (json!({"ok": true}), false),
        ],
    );
    assert_eq!(calls(&replies)[1], ("execute", json!({"command": "pwd"})));
    assert_eq!(
        calls(&replies)[2],
        ("write_file", json!({"path": "/home/joe/notes.txt", "content": "x\n"}))
    );
    assert!(replies.last().unwrap().text.contains("is written"));
}

#[test]
fn a_tool_that_is_not_there_is_not_called() {
    let replies = converse("run `ls`", &[], &[]);
    assert_eq!(replies.len(), 1);
    assert!(
        replies[0].text.contains("does not offer me the tool `execute`"),
        "{}",
        replies[0].text
    );
    let without = reply::to(
        &[Message::new(Role::User, vec![Part::text("run `ls`")])],
        &tools(),
        &ToolChoice::None,
    );
    assert!(without.calls.is_empty());
}

#[test]
fn an_edit_follows_the_schema_it_is_given() {
    let flat = tool(
        "edit_files",
        json!({"properties": {"edits": {"items": {"properties": {"old_text": {}, "new_text": {}, "replace_all": {}}}}}}),
    );
    let replies = converse("replace a with b in x.txt", &[flat], &[(json!({"ok": true}), false)]);
    assert_eq!(
        calls(&replies)[0].1,
        json!({"edits": [{"path": "x.txt", "old_text": "a", "new_text": "b", "replace_all": true}]})
    );
}

#[test]
fn only_the_last_message_counts() {
    let mut messages = vec![Message::new(Role::User, vec![Part::text("run `ls`")])];
    messages.push(Message::new(Role::User, vec![Part::text("hello")]));
    let reply = reply::to(&messages, &tools(), &ToolChoice::Auto);
    assert!(
        reply.calls.is_empty() && reply.text.contains("demo model"),
        "{}",
        reply.text
    );
}

#[test]
fn it_never_pretends_to_be_a_model() {
    for asked in ["hello", "Why is the sky blue?", "", "explain what you can do"] {
        let reply = converse(asked, &tools(), &[]).remove(0);
        assert!(
            reply.text.contains("demo model") && reply.text.contains("not a"),
            "{asked}: {}",
            reply.text
        );
        assert!(
            reply.text.contains("| --- |") && reply.text.contains("```sh"),
            "a table and code"
        );
    }
    assert!(converse("think about it", &tools(), &[]).remove(0).reasoning.is_some());
}

#[test]
fn a_title_says_what_is_to_be_done() {
    let title = |asked: &str| {
        let parts = ["The conversation begins with:", asked, "Say the title only."].map(Part::text);
        reply::aside(Purpose::Title, &[Message::new(Role::User, parts.to_vec())]).map(|reply| reply.text)
    };
    for (asked, expected) in [
        ("run `uname -a`", "Run uname -a"),
        (
            "create hello.py with \"print('hello')\" and run it",
            "Write hello.py and run python3 hello.py",
        ),
        ("show hello.py", "Read hello.py"),
        ("write a long story", "Tell a long story"),
        ("count to 7", "Count to 7"),
        ("run `echo one two three four five six seven eight`", "Run a command"),
        // Whoever asked keeps the title there was.
        ("Why is the sky blue?", ""),
    ] {
        assert_eq!(title(asked).as_deref(), Some(expected), "{asked}");
    }
    assert_eq!(reply::aside(Purpose::Answer, &[]), None);
}

#[test]
fn long_answers_are_long() {
    let count = |asked: &str| converse(asked, &tools(), &[]).remove(0).text.split_whitespace().count();
    assert!(count("write a long story") > 800);
    assert!(count("count to 200") > 200);
}

#[tokio::test]
async fn an_answer_streams_word_by_word_and_ends_with_usage() {
    let request = Request {
        id: CompletionId::new(Uuid::nil()),
        model_config_id: ModelConfigId::new(Uuid::nil()),
        messages: vec![Message::new(Role::User, vec![Part::text("run `echo hi`")])],
        tools: tools(),
        tool_choice: ToolChoice::Auto,
        max_output_tokens: None,
        chat_id: None,
        purpose: Purpose::Answer,
        continues: None,
        output: None,
    };
    let call = Call {
        request: request.into(),
        model: crate::test_support::model(crate::Kind::Demo, json!({})).into(),
        key: None,
    };
    let model = Model::new(&Config {
        word_pause: Duration::ZERO,
    });
    let deltas: Vec<Delta> = model.open(&call).map(Result::unwrap).collect().await;
    let arguments: String = deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::ToolCall(delta) => Some(delta.arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, "{\"command\":\"echo hi\"}");
    assert_eq!(deltas[0], Delta::Text("I ".to_owned()));
    let Some(Delta::Finish(finish)) = deltas.last() else {
        panic!("has an end")
    };
    assert_eq!(finish.reason, FinishReason::ToolCalls);
    assert_eq!(finish.usage.input_tokens, Some(3));
}

#[test]
fn words_add_up_to_the_text() {
    let text = "\n a  b\n\nc ";
    assert_eq!(words_of(text).collect::<String>(), text);
    assert_eq!(words_of("").count(), 0);
    assert_eq!(text_of(&[Part::text("x")]), "x");
}
