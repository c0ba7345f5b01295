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
    responses::family::Family,
    test_support as catalog,
    test_support::{self, call, file, result, tool},
};

mod computer;
mod history;

pub(super) const MODEL: &str = "gpt-5.2";
pub(super) const PLAIN: &str = "gpt-4o";
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

/// The model of that name.
fn model(name: &str, options: Value) -> Model {
    Model {
        model: name.to_owned(),
        ..catalog::model(Kind::OpenAi, options)
    }
}

/// Converts for a model and checks the outcome against the vendor's rules.
pub(super) fn ask(asked: &Asked, name: &str, options: Value) -> Result<Value, String> {
    let sent = request(asked, &model(name, options)).map_err(|invalid| invalid.to_string())?;
    let sent = serde_json::to_value(sent).unwrap();
    let facts = strict::Facts {
        reasons: Family::of(name).reasons.unwrap(),
        thoughts: &[("rs_1", "enc"), ("rs_2", "enc")],
        bound: &[("ws_2", "rs_2"), ("cu_2", "rs_2")],
    };
    match strict::check(&sent, &facts) {
        Ok(()) => Ok(sent),
        Err(error) => panic!("{error}\n{sent:#}"),
    }
}

fn sent(messages: Vec<Message>, tools: Vec<Tool>, own: Value) -> Value {
    let asked = test_support::request(messages, tools);
    ask(&asked, MODEL, json!({ "provider_options": { "openai": own } })).unwrap()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

fn assistant(parts: Vec<Part>) -> Message {
    Message::new(Role::Assistant, parts)
}

/// Reasoning of `model`, as it is stored.
pub(super) fn thought(name: &str, id: &str, text: &str) -> Part {
    Part::Reasoning(ReasoningPart {
        text: text.to_owned(),
        signature: "enc".to_owned(),
        provider_metadata: thinking::metadata(&Origin::of(&model(name, json!({}))), id),
        ..ReasoningPart::default()
    })
}

/// A search of the vendor's and what it found, as they are stored.
pub(super) fn searched(id: &str, reasoning_id: Option<&str>) -> [Part; 2] {
    let action = json!({"type": "search", "query": "tandem", "sources": [{"type": "url", "url": "https://a.org"}]});
    let asked = search::asked(&action);
    let origin = Origin::of(&model(MODEL, json!({})));
    let Part::ToolCall(made) = call(id, "web_search", asked.clone()) else {
        unreachable!("it is a call")
    };
    let made = ToolCallPart {
        provider_executed: true,
        provider_metadata: search::metadata(&origin, "completed", &asked, reasoning_id),
        ..made
    };
    let found = ToolResultPart {
        provider_executed: true,
        ..result(id, "web_search", search::summary(&action))
    };
    [Part::ToolCall(made), Part::ToolResult(found)]
}

fn types(sent: &Value) -> Vec<&str> {
    let items = sent["input"].as_array().unwrap();
    items.iter().filter_map(|item| item["type"].as_str()).collect()
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
        assistant(vec![
            thought(MODEL, "rs_1", "Hm."),
            thought("gpt-5-mini", "rs_9", "Another's."),
            thought(MODEL, "rs_2", ""),
            Part::text("I look."),
            call("call_1", "read_file", json!({"path": "/etc/hosts"})),
            call("call_2", "execute", json!({"command": "nope"})),
        ]),
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
    insta::assert_json_snapshot!(sent(
        messages,
        tools,
        json!({"reasoning_effort": "low", "store": false})
    ));
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
        assistant(vec![call("call_1", "screenshot", json!({}))]),
        Message::new(Role::Tool, vec![Part::ToolResult(media)]),
    ];
    let asked = test_support::request(messages, vec![tool("screenshot")]);
    insta::assert_json_snapshot!(ask(&asked, PLAIN, json!({})).unwrap());
}

#[test]
fn request_with_searches() {
    let [asked, found] = searched("ws_2", Some("rs_2"));
    let messages = || {
        vec![
            user("Find it."),
            assistant(vec![
                thought(MODEL, "rs_2", "Hm."),
                asked.clone(),
                found.clone(),
                Part::text("Found."),
            ]),
            Message::new(Role::System, vec![Part::text("Be brief from now on.")]),
            user("More."),
        ]
    };
    let own = json!({"web_search_enabled": true, "search_context_size": "low", "allowed_domains": ["a.org"]});
    insta::assert_json_snapshot!(sent(messages(), vec![tool("read_file")], own));
    let told = sent(messages(), Vec::new(), json!({}));
    assert_eq!(
        types(&told),
        ["message"; 5],
        "without the search on offer neither it nor its reasoning is sent"
    );
    assert_eq!(
        told["input"][1]["content"][0]["text"],
        "[Found by web_search:]\nhttps://a.org"
    );
}

#[test]
fn a_search_goes_with_its_reasoning_or_is_told_in_words() {
    let with = |parts: Vec<Part>| {
        let sent = sent(
            vec![user("x"), assistant(parts), user("y")],
            Vec::new(),
            json!({"web_search_enabled": true}),
        );
        types(&sent)[1..]
            .iter()
            .map(|kind| (*kind).to_owned())
            .collect::<Vec<_>>()
    };
    let [bound, its_result] = searched("ws_2", Some("rs_2"));
    let [free, free_result] = searched("ws_1", None);
    assert_eq!(
        with(vec![free.clone(), free_result.clone()]),
        ["web_search_call", "message"]
    );
    assert_eq!(
        with(vec![free.clone(), free.clone(), free_result]),
        ["web_search_call", "message"]
    );
    assert_eq!(with(vec![bound.clone(), its_result.clone()]), ["message", "message"]);
    let thought_before_the_second = vec![
        bound.clone(),
        its_result.clone(),
        thought(MODEL, "rs_2", "Hm."),
        bound.clone(),
        its_result.clone(),
    ];
    assert_eq!(
        with(thought_before_the_second),
        ["reasoning", "web_search_call", "message"]
    );
    assert_eq!(
        with(vec![
            thought("o4-mini", "rs_2", "Hm."),
            bound.clone(),
            its_result.clone()
        ]),
        ["message", "message"]
    );
    let thought = || thought(MODEL, "rs_2", "Hm.");
    let together = ["reasoning", "web_search_call", "message"];
    assert_eq!(with(vec![thought(), bound.clone(), its_result.clone()]), together);
    assert_eq!(
        with(vec![thought(), bound.clone(), bound.clone(), its_result.clone()]),
        together
    );
    assert_eq!(
        with(vec![bound.clone(), thought(), Part::text("Said.")]),
        ["reasoning", "message", "message"],
        "what came before reasoning does not belong to it"
    );
    let [unsendable, _] = searched("srvtoolu_2", Some("rs_2"));
    assert_eq!(
        with(vec![thought(), bound, its_result, unsendable]),
        ["message", "message"],
        "one of two searches cannot be sent, so their reasoning is not, nor is the other"
    );
    let [foreign, its_result] = searched("srvtoolu_1", None);
    assert_eq!(with(vec![foreign, its_result]), ["message", "message"]);
}

#[test]
fn reasoning_is_sent_back_only_where_it_came_from_and_before_something() {
    let with = |name: &str, parts: Vec<Part>| {
        let asked = test_support::request(vec![user("x"), assistant(parts), user("y")], Vec::new());
        let sent = ask(&asked, name, json!({})).unwrap();
        types(&sent).iter().filter(|kind| **kind == "reasoning").count()
    };
    let parts = || vec![thought(MODEL, "rs_1", "Hm."), Part::text("Said.")];
    assert_eq!(with(MODEL, parts()), 1);
    assert_eq!(with("o4-mini", parts()), 0);
    assert_eq!(with(PLAIN, parts()), 0);
    assert_eq!(with(MODEL, vec![Part::text("Said."), thought(MODEL, "rs_1", "Hm.")]), 0);
    let twice = vec![
        thought(MODEL, "rs_1", "Hm."),
        thought(MODEL, "rs_1", "Hm."),
        Part::text("Said."),
    ];
    assert_eq!(with(MODEL, twice), 1);
}

#[test]
fn instructions_are_a_developers_for_models_that_reason_and_the_systems_for_others() {
    let messages = vec![Message::new(Role::System, vec![Part::text("Be terse.")]), user("x")];
    let asked = test_support::request(messages, Vec::new());
    let role = |name| ask(&asked, name, json!({})).unwrap()["input"][0]["role"].clone();
    assert_eq!((role(MODEL), role(PLAIN)), (json!("developer"), json!("system")));
    let own = json!({"provider_options": {"openai": {"instructions": "Also this."}}});
    assert_eq!(ask(&asked, MODEL, own).unwrap()["instructions"], "Also this.");
}

#[test]
fn only_the_newest_pictures_are_shown() {
    let pictures = |count| Message::new(Role::User, vec![file("image/png", "a.png", PNG); count]);
    let reply = assistant(vec![Part::text("ok")]);
    let sent = sent(vec![pictures(300), reply, pictures(300)], Vec::new(), json!({}));
    let kinds = |item: usize, kind: &str| {
        let pieces = sent["input"][item]["content"].as_array().unwrap();
        pieces.iter().filter(|piece| piece["type"] == kind).count()
    };
    let shown = (kinds(0, "input_text"), kinds(0, "input_image"), kinds(2, "input_image"));
    assert_eq!(shown, (100, 200, 300));
    assert_eq!(sent["input"][0]["content"][0]["type"], "input_text", "the oldest go");
}

#[test]
fn a_large_picture_is_shown_as_it_is() {
    let mut large = PNG.to_vec();
    large.resize(5_242_881, 0);
    let messages = vec![Message::new(Role::User, vec![file("image/png", "a.png", &large)])];
    assert_eq!(
        sent(messages, Vec::new(), json!({}))["input"][0]["content"][0]["type"],
        "input_image"
    );
}

#[test]
fn schemas_are_enforced_where_they_can_be_and_somebody_wants_it() {
    let closed = Tool {
        input_schema: json!({
            "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false,
        }),
        ..tool("closed")
    };
    let strict = |own: Value| {
        let sent = sent(vec![user("x")], vec![closed.clone(), tool("open")], own);
        [0, 1].map(|place: usize| sent["tools"][place]["strict"].clone())
    };
    assert_eq!(strict(json!({})), [json!(false), json!(false)]);
    assert_eq!(strict(json!({"strict_json_schema": true})), [json!(true), json!(false)]);
}

#[test]
fn without_tools_on_offer_earlier_calls_still_have_their_outputs() {
    let messages = vec![user("x"), assistant(vec![call("call_1", "mcp.read file", json!({}))])];
    let sent = sent(messages, Vec::new(), json!({"parallel_tool_calls": false}));
    assert_eq!(types(&sent), ["message", "function_call", "function_call_output"]);
    assert_eq!(sent["input"][1]["name"], "mcp_read_file");
    assert!(sent["input"][2]["output"].as_str().unwrap().starts_with("Error: "));
    assert_eq!((&sent["tools"], &sent["tool_choice"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_tool_of_ours_takes_the_place_of_the_vendors_search() {
    let sent = sent(
        vec![user("x")],
        vec![tool("web_search")],
        json!({"web_search_enabled": true}),
    );
    assert_eq!(sent["tools"].as_array().unwrap().len(), 1);
    assert_eq!(sent["tools"][0]["type"], "function");
    assert_eq!(sent["include"], json!(["reasoning.encrypted_content"]));
}

#[test]
fn the_same_history_gives_the_same_bytes_and_a_longer_one_begins_with_them() {
    let mut messages = vec![user("a"), assistant(vec![Part::text("b")]), user("c")];
    let input = |messages: &[Message]| {
        let sent = sent(messages.to_vec(), vec![tool("t")], json!({}));
        sent["input"].as_array().unwrap().clone()
    };
    let before = input(&messages);
    assert_eq!(before, input(&messages));
    messages.push(assistant(vec![Part::text("d")]));
    messages.push(user("e"));
    assert_eq!(input(&messages)[..before.len()], before);
}
