use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tandem_chat_core::{
    message::{Message, Role},
    part::{Part, ReasoningPart, ToolCallPart, ToolResultPart},
};

use super::{strict, *};
use crate::{
    Kind,
    call::{Request as Asked, Tool},
    test_support as catalog,
    test_support::{self, call, file, result, tool},
};

mod computer;
mod history;

pub(super) const MODEL: &str = "claude-opus-4-1";
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

/// Converts for `model` and checks the outcome against the vendor's rules.
pub(super) fn ask(asked: &Asked, model: &str, options: Value) -> Result<Value, String> {
    let model = Model {
        model: model.to_owned(),
        context_limit: Some(200_000),
        ..catalog::model(Kind::Anthropic, options)
    };
    let sent = request(asked, &model).map_err(|invalid| invalid.to_string())?;
    let sent = serde_json::to_value(sent).unwrap();
    let signed = [("Hm.".to_owned(), "sig".to_owned()), (String::new(), "sig".to_owned())];
    match strict::check(&sent, &signed) {
        Ok(()) => Ok(sent),
        Err(error) => panic!("{error}\n{sent:#}"),
    }
}

fn sent(messages: Vec<Message>, tools: Vec<Tool>, own: Value) -> Value {
    let asked = test_support::request(messages, tools);
    ask(&asked, MODEL, json!({ "provider_options": { "anthropic": own } })).unwrap()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

/// Thinking of `model`, as it is stored.
pub(super) fn thought(model: &str, redacted: Option<&str>) -> Part {
    Part::Reasoning(ReasoningPart {
        text: if redacted.is_some() {
            String::new()
        } else {
            "Hm.".to_owned()
        },
        signature: if redacted.is_some() {
            String::new()
        } else {
            "sig".to_owned()
        },
        provider_metadata: thinking::metadata(model, redacted),
        ..ReasoningPart::default()
    })
}

/// A search of the vendor's and what it found, as they are stored.
pub(super) fn searched(id: &str) -> [Part; 2] {
    let Part::ToolCall(asked) = call(id, "web_search", json!({"query": "tandem"})) else {
        unreachable!("it is a call")
    };
    let content =
        json!([{"type": "web_search_result", "url": "https://a.org", "title": "A", "encrypted_content": "x"}]);
    let found = ToolResultPart {
        provider_executed: true,
        provider_metadata: search::metadata(&content),
        ..result(id, "web_search", search::summary(&content))
    };
    let asked = ToolCallPart {
        provider_executed: true,
        ..asked
    };
    [Part::ToolCall(asked), Part::ToolResult(found)]
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
                thought(MODEL, None),
                thought(MODEL, Some("redacted")),
                thought("claude-sonnet-4-5", None),
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
        user("And?"),
    ];
    let tools = vec![tool("read_file"), tool("execute")];
    insta::assert_json_snapshot!(sent(messages, tools, json!({"disable_parallel_tool_use": true})));
}

#[test]
fn request_with_images_and_files() {
    let media = ToolResultPart {
        is_media: true,
        ..result(
            "call_1",
            "screenshot",
            json!({"data": STANDARD.encode(PNG), "mime_type": "image/png", "text": "taken"}),
        )
    };
    let messages = vec![
        Message::new(
            Role::User,
            vec![
                Part::text("What is this?"),
                file("image/jpeg", "named-wrongly.jpeg", PNG),
                file("text/csv; charset=utf-8", "b.csv", b"x,y\n1,2"),
                file("application/pdf", "c.pdf", b"%PDF-1.7"),
                file("application/pdf", "no.pdf", b"PDF"),
                file("image/tiff", "d.tiff", b"II*"),
                file("image/png", "gone.png", b""),
            ],
        ),
        Message::new(Role::Assistant, vec![call("call_1", "screenshot", json!({}))]),
        Message::new(Role::Tool, vec![Part::ToolResult(media)]),
    ];
    insta::assert_json_snapshot!(sent(messages, vec![tool("screenshot")], json!({})));
}

#[test]
fn request_with_a_search_and_thinking() {
    let [asked, found] = searched("srvtoolu_1");
    let messages = || {
        vec![
            user("Find it."),
            Message::new(
                Role::Assistant,
                vec![thought(MODEL, None), asked.clone(), found.clone(), Part::text("Found.")],
            ),
            Message::new(Role::System, vec![Part::text("Be brief from now on.")]),
            user("More."),
        ]
    };
    let mut asked = test_support::request(messages(), Vec::new());
    asked.max_output_tokens = None;
    let options = json!({
        "temperature": 0.5, "max_output_tokens": 8000,
        "provider_options": {"anthropic": {"effort": "high", "web_search_enabled": true, "blocked_domains": ["b.org"]}},
    });
    insta::assert_json_snapshot!(ask(&asked, MODEL, options).unwrap());
    let told = sent(messages(), Vec::new(), json!({"send_reasoning": false}));
    assert_eq!(
        told["messages"][1]["content"],
        json!([
            {"type": "text", "text": "[Found by web_search:]\nA https://a.org"},
            {"type": "text", "text": "Found.", "cache_control": {"type": "ephemeral"}},
        ]),
        "without the tool on offer"
    );
}

#[test]
fn a_search_that_is_no_pair_is_told_in_words() {
    let [asked, found] = searched("srvtoolu_1");
    let [foreign_call, foreign_result] = searched("ws_1");
    for parts in [
        vec![found.clone(), asked.clone()],
        vec![asked.clone(), found.clone(), found.clone()],
        vec![asked.clone(), asked.clone(), found.clone()],
        vec![foreign_call, foreign_result],
        vec![found],
        vec![asked],
    ] {
        let messages = vec![user("x"), Message::new(Role::Assistant, parts), user("y")];
        let sent = sent(messages, Vec::new(), json!({"web_search_enabled": true})).to_string();
        assert!(
            !sent.contains("server_tool_use") && !sent.contains("web_search_tool_result"),
            "{sent}"
        );
    }
}

#[test]
fn a_model_that_did_not_think_before_its_tools_does_not_think_behind_them() {
    let with = |first: Vec<Part>, last: Option<Message>| {
        let mut parts = first;
        parts.push(call("call_1", "read_file", json!({})));
        let again = Message::new(Role::Assistant, vec![call("call_2", "read_file", json!({}))]);
        let answer = |id| Message::new(Role::Tool, vec![Part::ToolResult(result(id, "read_file", json!("x")))]);
        let mut messages = vec![
            user("x"),
            Message::new(Role::Assistant, parts),
            answer("call_1"),
            again,
            answer("call_2"),
        ];
        messages.extend(last);
        let mut asked = test_support::request(messages, vec![tool("read_file")]);
        asked.max_output_tokens = None;
        let options = json!({"provider_options": {"anthropic": {"effort": "low"}}});
        ask(&asked, MODEL, options).unwrap()["thinking"].clone()
    };
    let enabled = json!({"type": "enabled", "budget_tokens": 6400});
    assert_eq!(with(vec![thought(MODEL, None)], None), enabled);
    assert_eq!(with(vec![thought("claude-3-7-sonnet", None)], None), Value::Null);
    let done = Message::new(Role::Assistant, vec![Part::text("done")]);
    assert_eq!(with(Vec::new(), Some(done)), enabled, "a new turn may think");
}

#[test]
fn a_new_picture_that_is_too_large_is_refused_and_an_old_one_told_in_words() {
    let mut large = PNG.to_vec();
    large.resize(media::MAX_IMAGE_BYTES + 1, 0);
    let shown = |data: &[u8], rest: Vec<Message>| {
        let mut messages = vec![Message::new(Role::User, vec![file("image/png", "a.png", data)])];
        messages.extend(rest);
        ask(&test_support::request(messages, Vec::new()), MODEL, json!({}))
    };
    let error = shown(&large, vec![user("Look.")]).unwrap_err();
    assert_eq!(
        error,
        "the file a.png is too large for this model: 5242881 bytes, at most 5242880 are possible"
    );
    let rest = vec![Message::new(Role::Assistant, vec![Part::text("Seen.")]), user("Go on.")];
    assert!(
        shown(&large, rest)
            .unwrap()
            .to_string()
            .contains("too large to be shown")
    );
    large.pop();
    assert!(shown(&large, Vec::new()).is_ok());
}

#[test]
fn only_the_newest_hundred_pictures_are_shown() {
    let pictures = |count| Message::new(Role::User, vec![file("image/png", "a.png", PNG); count]);
    let reply = Message::new(Role::Assistant, vec![Part::text("ok")]);
    let sent = sent(vec![pictures(60), reply, pictures(60)], Vec::new(), json!({}));
    let kinds = |turn: usize, kind: &str| {
        let blocks = sent["messages"][turn]["content"].as_array().unwrap();
        blocks.iter().filter(|block| block["type"] == kind).count()
    };
    assert_eq!((kinds(0, "text"), kinds(0, "image"), kinds(2, "image")), (20, 40, 60));
    assert_eq!(sent["messages"][0]["content"][0]["type"], "text", "the oldest go");
}

#[test]
fn a_document_of_too_many_pages_is_refused() {
    let pdf = |pages: usize| {
        let body = "/Type /Pages /Type/Page\n/Type /PageLabel".to_owned() + &"/Type /Page ".repeat(pages - 1);
        let part = file("application/pdf", "a.pdf", format!("%PDF-1.4\n{body}").as_bytes());
        let asked = test_support::request(vec![Message::new(Role::User, vec![part])], Vec::new());
        ask(&asked, MODEL, json!({}))
    };
    assert!(pdf(100).is_ok());
    assert!(pdf(101).unwrap_err().contains("101 pages"));
}

#[test]
fn without_tools_on_offer_the_called_ones_stand_in() {
    let messages = vec![
        user("x"),
        Message::new(Role::Assistant, vec![call("call_1", "mcp.read file", json!({}))]),
    ];
    let sent = sent(messages, Vec::new(), json!({"disable_parallel_tool_use": true}));
    assert_eq!(
        sent["tools"],
        json!([{"name": "mcp_read_file", "input_schema": {"type": "object"}}])
    );
    assert_eq!(sent["tool_choice"], json!({"type": "none"}));
    let result = &sent["messages"][2]["content"][0];
    assert_eq!(
        (&result["type"], &result["is_error"]),
        (&json!("tool_result"), &json!(true))
    );
}

#[test]
fn the_same_history_gives_the_same_bytes_and_a_longer_one_begins_with_them() {
    let mut messages = vec![
        user("a"),
        Message::new(Role::Assistant, vec![Part::text("b")]),
        user("c"),
    ];
    let turns = |messages: &[Message]| {
        let mut sent = sent(messages.to_vec(), vec![tool("t")], json!({}));
        let turns = sent["messages"].as_array_mut().unwrap();
        for block in turns
            .iter_mut()
            .flat_map(|turn| turn["content"].as_array_mut().unwrap())
        {
            block.as_object_mut().unwrap().remove("cache_control");
        }
        turns.clone()
    };
    let before = turns(&messages);
    assert_eq!(before, turns(&messages));
    messages.push(Message::new(Role::Assistant, vec![Part::text("d")]));
    messages.push(user("e"));
    assert_eq!(turns(&messages)[..before.len()], before);
}
