use serde_json::json;
use tandem_chat_core::part::{ContextFilePart, FileReferencePart, ReasoningPart};

use super::*;
use crate::test_support::{self, call, file, model, result, tool};

fn ask(kind: Kind, messages: Vec<Message>, tools: Vec<call::Tool>) -> Value {
    let request = test_support::request(messages, tools);
    let model = model(kind, json!({"temperature": 0.5}));
    serde_json::to_value(super::request(&request, &model).unwrap()).unwrap()
}

#[test]
fn request_with_two_tools_and_their_results() {
    let failed = ToolResultPart {
        is_error: true,
        ..result("call_2", "execute", json!("exit status 127"))
    };
    let messages = vec![
        Message::new(Role::System, vec![Part::text("You are terse.")]),
        Message::new(Role::System, vec![Part::text("Work in /home/joe.")]),
        Message::new(Role::User, vec![Part::text("Look around."), Part::text("Then report.")]),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(ReasoningPart {
                    text: "Let me see.".to_owned(),
                    ..ReasoningPart::default()
                }),
                Part::text("I look."),
                call("call_1", "read_file", json!({"path": "/etc/hosts"})),
                call("call_2", "execute", json!({"command": "nope"})),
            ],
        ),
        Message::new(
            Role::Tool,
            vec![Part::ToolResult(result(
                "call_1",
                "read_file",
                json!({"content": "1\tx"}),
            ))],
        ),
        Message::new(Role::Tool, vec![Part::ToolResult(failed)]),
        Message::new(
            Role::Assistant,
            vec![call("call_3", "read_file", json!("not an object"))],
        ),
        Message::new(
            Role::Tool,
            vec![Part::ToolResult(result("call_3", "read_file", json!("")))],
        ),
    ];
    insta::assert_json_snapshot!(ask(Kind::OpenAi, messages, vec![tool("read_file"), tool("execute")]));
}

#[test]
fn request_with_images_and_files() {
    let messages = vec![Message::new(
        Role::User,
        vec![
            Part::text("What is this?"),
            file("image/png", "a.png", b"\x89PNG"),
            file("text/csv; charset=utf-8", "b.csv", b"x,y\n1,2"),
            file("application/pdf", "c.pdf", b"%PDF-1.7"),
            file("image/tiff", "d.tiff", b"II*"),
            file("image/png", "gone.png", b""),
            Part::FileReference(FileReferencePart {
                file_name: "src/main.rs".to_owned(),
                start_line: 3,
                end_line: 5,
                content: "fn main() {}".to_owned(),
            }),
            Part::ContextFile(ContextFilePart {
                path: "AGENTS.md".to_owned(),
                content: "Be kind.".to_owned(),
                ..ContextFilePart::default()
            }),
        ],
    )];
    insta::assert_json_snapshot!(ask(Kind::OpenAi, messages, Vec::new()));
}

#[test]
fn a_compatible_server_gets_plain_text_and_max_tokens() {
    let messages = vec![Message::new(
        Role::User,
        vec![Part::text("Hi"), file("application/pdf", "c.pdf", b"%PDF-1.7")],
    )];
    insta::assert_json_snapshot!(ask(Kind::OpenAiCompat, messages, Vec::new()), @r#"
    {
      "max_tokens": 512,
      "messages": [
        {
          "content": "Hi\n\n[The file c.pdf (application/pdf, 8 bytes) is attached, but this model cannot be shown files of this type.]",
          "role": "user"
        }
      ],
      "model": "test-model",
      "stream": true,
      "stream_options": {
        "include_usage": true
      },
      "temperature": 0.5
    }
    "#);
}

#[test]
fn pictures_from_tools_follow_behind_the_last_result() {
    let media = |id: &str| {
        Part::ToolResult(ToolResultPart {
            is_media: true,
            ..result(
                id,
                "screenshot",
                json!({"data": "AAAA", "mime_type": "image/png", "text": "taken"}),
            )
        })
    };
    let messages = vec![
        Message::new(
            Role::Assistant,
            vec![call("a", "screenshot", json!({})), call("b", "screenshot", json!({}))],
        ),
        Message::new(Role::Tool, vec![media("a")]),
        Message::new(Role::Tool, vec![media("b")]),
        Message::new(Role::User, vec![Part::text("And?")]),
    ];
    let sent = ask(Kind::OpenAiCompat, messages, Vec::new());
    let roles: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user", "user"]);
    assert_eq!(
        sent["messages"][1]["content"],
        "taken\n\n(the image follows in the next message)"
    );
    assert_eq!(sent["messages"][3]["content"].as_array().unwrap().len(), 4);
}

#[test]
fn a_long_call_id_is_shortened_the_same_way_in_call_and_result() {
    let long = "x".repeat(200);
    let messages = vec![
        Message::new(Role::Assistant, vec![call(&long, "t", json!({}))]),
        Message::new(Role::Tool, vec![Part::ToolResult(result(&long, "t", json!(null)))]),
    ];
    let sent = ask(Kind::OpenAi, messages, Vec::new());
    let id = sent["messages"][1]["tool_call_id"].as_str().unwrap();
    assert_eq!(sent["messages"][0]["tool_calls"][0]["id"], id);
    assert!(id.len() <= MAX_CALL_ID_BYTES);
}

#[test]
fn a_tool_that_must_be_called_is_named_or_required_where_it_is_the_only_one() {
    let choice = |kind: Kind, choice: ToolChoice, names: &[&str]| {
        let tools = names.iter().map(|name| tool(name)).collect();
        let mut asked = test_support::request(vec![Message::new(Role::User, vec![Part::text("x")])], tools);
        asked.tool_choice = choice;
        let sent = super::request(&asked, &model(kind, json!({}))).unwrap();
        serde_json::to_value(sent).unwrap()["tool_choice"].clone()
    };
    let named = || ToolChoice::Named("a".to_owned());
    let by_name = json!({"type": "function", "function": {"name": "a"}});
    assert_eq!(choice(Kind::OpenAi, named(), &["a"]), by_name);
    assert_eq!(choice(Kind::OpenAiCompat, named(), &["a", "b"]), by_name);
    assert_eq!(choice(Kind::OpenAiCompat, named(), &["a"]), json!("required"));
    assert_eq!(choice(Kind::OpenAi, ToolChoice::Required, &["a"]), json!("required"));
    assert_eq!(choice(Kind::OpenAi, ToolChoice::Required, &[]), Value::Null);
}

#[test]
fn calls_at_a_computer_of_other_protocols_are_calls_like_any() {
    let shown = ToolResultPart {
        is_media: true,
        ..result(
            "call_1",
            "computer",
            json!({
                "data": STANDARD.encode(b"\x89PNG"), "mime_type": "image/png", "text": "",
                "acknowledged_safety_checks": ["sc_1"],
            }),
        )
    };
    let failed = ToolResultPart {
        is_error: true,
        ..result("call_2", "computer", json!("The display is gone."))
    };
    let batch = json!({"actions": [{"type": "wait"}], "pending_safety_checks": []});
    let messages = vec![
        Message::new(
            Role::Assistant,
            vec![
                call("call_1", "computer", batch.clone()),
                call("call_2", "computer", json!({"action": "screenshot"})),
            ],
        ),
        Message::new(Role::Tool, vec![Part::ToolResult(shown), Part::ToolResult(failed)]),
    ];
    let sent = ask(Kind::OpenAiCompat, messages, Vec::new());
    let messages = &sent["messages"];
    assert_eq!(messages[0]["tool_calls"][0]["function"]["arguments"], batch.to_string());
    assert_eq!(messages[1]["content"], "(the image follows in the next message)");
    assert_eq!(messages[2]["content"], "Error: The display is gone.");
    assert_eq!(messages[3]["content"][1]["type"], "image_url");
    assert!(!sent.to_string().contains("acknowledged"));
}
