use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tandem_chat_core::{
    message::{Message, Role},
    part::{Part, ReasoningPart, ToolCallPart, ToolResultPart},
};

use super::{strict, *};
use crate::{
    Kind,
    call::{self, Request as Asked, Tool},
    google::wire,
    test_support as catalog,
    test_support::{self, call, file, result, tool},
};

mod history;

pub(super) const MODEL: &str = "gemini-3-pro-preview";
pub(super) const OLDER: &str = "gemini-2.5-flash";
pub(super) const PAINTER: &str = "gemini-3-pro-image-preview";
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

/// Converts for `model` and checks the outcome against the vendor's rules.
pub(super) fn ask(asked: &Asked, model: &str, options: Value) -> Result<Value, String> {
    let model = Model {
        model: model.to_owned(),
        ..catalog::model(Kind::Google, options)
    };
    let (sent, _) = request(asked, &model).map_err(|invalid| invalid.to_string())?;
    let sent = serde_json::to_value(sent).unwrap();
    let call = ("sig-call", json!(["read_file", {"path": "x"}]));
    let words = [
        ("sig-words", json!("words")),
        ("sig-words", json!("")),
        ("sig-thought", json!("Hm.")),
    ];
    let picture = (
        "sig-picture",
        json!({"mimeType": "image/png", "data": STANDARD.encode(PNG)}),
    );
    let signed: Vec<(&str, Value)> = words.into_iter().chain([call, picture]).collect();
    let is_image = model.model.contains("image");
    match strict::check(&sent, model.model.starts_with("gemini-3"), is_image, &signed) {
        Ok(()) => Ok(sent),
        Err(error) => panic!("{error}\n{sent:#}"),
    }
}

fn sent_to(model: &str, messages: Vec<Message>, tools: Vec<Tool>, own: Value) -> Value {
    let asked = test_support::request(messages, tools);
    ask(&asked, model, json!({ "provider_options": { "google": own } })).unwrap()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

fn answered(id: &str, name: &str, value: Value) -> Message {
    Message::new(Role::Tool, vec![Part::ToolResult(result(id, name, value))])
}

/// A call that `model` signed, as it is stored.
pub(super) fn signed_call(model: &str, id: &str) -> Part {
    let Part::ToolCall(asked) = call(id, "read_file", json!({"path": "x"})) else {
        unreachable!("it is a call")
    };
    Part::ToolCall(ToolCallPart {
        provider_metadata: signature::of_call(model, "sig-call"),
        ..asked
    })
}

/// What stands behind words that `model` signed.
pub(super) fn signed_words(model: &str, bytes: usize) -> Part {
    Part::Reasoning(signature::of_words(model, "sig-words".to_owned(), bytes))
}

/// A picture that `model` made and signed, as it is stored.
pub(super) fn signed_picture(model: &str) -> [Part; 2] {
    let done = signature::of_file(model, "sig-picture".to_owned());
    [file("image/png", "", PNG), Part::Reasoning(done)]
}

/// Thinking that `model` signed.
pub(super) fn thought(model: &str) -> Part {
    Part::Reasoning(ReasoningPart {
        text: "Hm.".to_owned(),
        signature: "sig-thought".to_owned(),
        provider_metadata: signature::of_thinking(model),
        ..ReasoningPart::default()
    })
}

/// A search of the vendor's and what it found, as they are stored.
pub(super) fn searched(model: &str, id: &str) -> [Part; 2] {
    let Part::ToolCall(asked) = call(id, "web_search", json!({})) else {
        unreachable!("it is a call")
    };
    let piece = |kind: &str| json!({kind: {"toolType": "GOOGLE_SEARCH_WEB", "id": id}, "thoughtSignature": "s"});
    let asked = ToolCallPart {
        provider_executed: true,
        provider_metadata: signature::of_native(model, &piece("toolCall")),
        ..asked
    };
    let found = ToolResultPart {
        provider_executed: true,
        provider_metadata: signature::of_native(model, &piece("toolResponse")),
        ..result(id, "web_search", json!({"sources": []}))
    };
    [Part::ToolCall(asked), Part::ToolResult(found)]
}

#[test]
fn request_with_three_tools_and_their_results() {
    let failed = ToolResultPart {
        is_error: true,
        ..result("call_2", "execute", json!("exit status 127"))
    };
    let messages = vec![
        Message::new(Role::System, vec![Part::text("You are terse.")]),
        Message::new(Role::System, vec![Part::text("Work in /home/joe.")]),
        user("Look around."),
        Message::new(
            Role::Assistant,
            vec![
                thought(MODEL),
                Part::text("I look."),
                signed_call(MODEL, "call_1"),
                call("call_2", "execute", json!({"command": "nope"})),
                call("call_3", "1password", json!("no object")),
            ],
        ),
        answered("call_3", "1password", json!(null)),
        answered("call_1", "read_file", json!({"content": "1\tx"})),
        Message::new(Role::Tool, vec![Part::ToolResult(failed)]),
        user("And?"),
    ];
    let tools = vec![tool("read_file"), tool("execute"), tool("1password")];
    let own = json!({"thinking_config": {"thinking_level": "medium"}, "threshold": "BLOCK_ONLY_HIGH"});
    insta::assert_json_snapshot!(sent_to(MODEL, messages, tools, own));
}

#[test]
fn request_with_images_and_files() {
    let messages = vec![
        Message::new(
            Role::User,
            vec![
                Part::text("What is this?"),
                file("image/jpeg", "named-wrongly.jpeg", PNG),
                file("text/csv; charset=utf-8", "b.csv", b"x,y\n1,2"),
                file("application/pdf", "c.pdf", b"%PDF-1.7"),
                file("application/pdf", "no.pdf", b"PDF"),
                file("audio/wav", "e.wav", b"RIFF0000WAVE"),
                file("image/gif", "d.gif", b"GIF89a"),
                file("image/png", "gone.png", b""),
            ],
        ),
        Message::new(Role::Assistant, vec![call("call_1", "screenshot", json!({}))]),
        Message::new(Role::Tool, vec![Part::ToolResult(picture("call_1"))]),
    ];
    insta::assert_json_snapshot!(sent_to(OLDER, messages, vec![tool("screenshot")], json!({})));
}

fn picture(id: &str) -> ToolResultPart {
    let value = json!({"data": STANDARD.encode(PNG), "mime_type": "image/png", "text": "taken"});
    ToolResultPart {
        is_media: true,
        ..result(id, "screenshot", value)
    }
}

#[test]
fn pictures_from_tools_are_in_the_result_where_the_model_sees_them_there() {
    let messages = vec![
        user("x"),
        Message::new(Role::Assistant, vec![call("call_1", "screenshot", json!({}))]),
        Message::new(Role::Tool, vec![Part::ToolResult(picture("call_1"))]),
    ];
    let sent = sent_to(MODEL, messages, vec![tool("screenshot")], json!({}));
    let response = &sent["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(response["response"], json!({"output": "taken"}));
    assert_eq!(response["parts"][0]["inlineData"]["mimeType"], "image/png");
}

#[test]
fn a_signature_goes_back_with_exactly_the_piece_it_came_with() {
    let said = |parts: Vec<Part>| {
        let messages = vec![user("x"), Message::new(Role::Assistant, parts), user("y")];
        sent_to(MODEL, messages, Vec::new(), json!({}))["contents"][1]["parts"].clone()
    };
    let signed = |text: &str| json!({"text": text, "thoughtSignature": "sig-words"});
    assert_eq!(
        said(vec![Part::text("words"), signed_words(MODEL, 5)]),
        json!([signed("words")])
    );
    assert_eq!(
        said(vec![Part::text("Some words"), signed_words(MODEL, 5)]),
        json!([{"text": "Some "}, signed("words")]),
        "only the end was signed"
    );
    assert_eq!(
        said(vec![Part::text("Some words"), signed_words(MODEL, 0)]),
        json!([{"text": "Some words"}, signed("")]),
        "the signature came alone"
    );
    assert_eq!(
        said(vec![Part::text("words"), signed_words(OLDER, 5), thought(OLDER)]),
        json!([{"text": "words"}]),
        "another model's"
    );
    assert_eq!(
        said(vec![thought(MODEL), Part::text("words")]),
        json!([{"thought": true, "text": "Hm.", "thoughtSignature": "sig-thought"}, {"text": "words"}])
    );
}

#[test]
fn only_the_third_generation_gets_stand_ins_for_signatures_and_only_at_first_calls() {
    let signatures = |model: &str, parts: Vec<Part>| -> Vec<Value> {
        let messages = vec![user("x"), Message::new(Role::Assistant, parts)];
        let sent = sent_to(model, messages, vec![tool("read_file")], json!({}));
        let parts = sent["contents"][1]["parts"].as_array().unwrap();
        parts.iter().map(|part| part["thoughtSignature"].clone()).collect()
    };
    let calls = |first: Part| vec![first, call("call_2", "read_file", json!({"path": "x"}))];
    let foreign = json!(signature::FOREIGN);
    assert_eq!(
        signatures(MODEL, calls(signed_call(MODEL, "call_1"))),
        [json!("sig-call"), Value::Null]
    );
    assert_eq!(
        signatures(MODEL, calls(signed_call(OLDER, "call_1"))),
        [foreign, Value::Null]
    );
    assert_eq!(
        signatures(OLDER, calls(signed_call(MODEL, "call_1"))),
        [Value::Null, Value::Null]
    );
    assert_eq!(
        signatures(OLDER, calls(signed_call(OLDER, "call_1"))),
        [json!("sig-call"), Value::Null]
    );
}

#[test]
fn the_vendors_search_runs_beside_our_tools_where_the_model_can() {
    let wish = json!({"web_search_enabled": true});
    let offered = |model: &str, tools: Vec<Tool>| {
        let sent = sent_to(model, vec![user("x")], tools, wish.clone());
        (sent["tools"][0]["googleSearch"].is_object(), sent["toolConfig"].clone())
    };
    assert_eq!(offered(OLDER, Vec::new()), (true, Value::Null));
    assert_eq!(offered(OLDER, vec![tool("t")]), (false, Value::Null));
    let mixed = json!({"includeServerSideToolInvocations": true});
    assert_eq!(offered(MODEL, vec![tool("t")]), (true, mixed));
    assert_eq!(offered(MODEL, vec![tool("web_search")]), (false, Value::Null));
}

#[test]
fn what_the_vendor_searched_goes_back_in_pairs_only() {
    let [asked, found] = searched(MODEL, "s1");
    let kinds = |parts: Vec<Part>| -> Vec<String> {
        let messages = vec![user("x"), Message::new(Role::Assistant, parts), user("y")];
        let sent = sent_to(MODEL, messages, vec![tool("t")], json!({"web_search_enabled": true}));
        let parts = sent["contents"][1]["parts"].as_array().unwrap();
        parts
            .iter()
            .map(|part| part.as_object().unwrap().keys().next().unwrap().clone())
            .collect()
    };
    let words = || Part::text("Found.");
    assert_eq!(
        kinds(vec![asked.clone(), found.clone(), words()]),
        ["thoughtSignature", "thoughtSignature", "text"]
    );
    let [older_asked, older_found] = searched(OLDER, "s1");
    for parts in [
        vec![found.clone(), asked.clone(), words()],
        vec![asked.clone(), asked.clone(), found.clone(), words()],
        vec![asked.clone(), found.clone(), found, words()],
        vec![older_asked, older_found, words()],
        vec![asked, words()],
    ] {
        assert_eq!(kinds(parts), ["text"]);
    }
}

#[test]
fn a_kept_prefix_has_its_own_instructions_and_tools() {
    let messages = vec![Message::new(Role::System, vec![Part::text("Be brief.")]), user("x")];
    let sent = sent_to(
        MODEL,
        messages,
        vec![tool("t")],
        json!({"cached_content": "cachedContents/1"}),
    );
    assert_eq!(sent["cachedContent"], "cachedContents/1");
    let said = sent["contents"][0]["parts"][0]["text"].as_str().unwrap();
    assert!(said.contains("Be brief."), "{said}");
}

#[test]
fn tools_that_must_not_be_called_stay_on_offer() {
    let mut asked = test_support::request(vec![user("x")], vec![tool("t")]);
    asked.tool_choice = ToolChoice::None;
    let sent = ask(&asked, MODEL, json!({})).unwrap();
    assert_eq!(sent["toolConfig"], json!({"functionCallingConfig": {"mode": "NONE"}}));
    assert_eq!(sent["tools"][0]["functionDeclarations"][0]["name"], "t");
}

#[test]
fn a_tool_that_must_be_called_is_named_as_the_vendor_knows_it() {
    let config = |choice: ToolChoice| {
        let mut asked = test_support::request(vec![user("x")], vec![tool("1password"), tool("t")]);
        asked.tool_choice = choice;
        ask(&asked, MODEL, json!({})).unwrap()["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(config(ToolChoice::Required), json!({"mode": "ANY"}));
    assert_eq!(
        config(ToolChoice::Named("1password".to_owned())),
        json!({"mode": "ANY", "allowedFunctionNames": ["_1password"]})
    );
    assert_eq!(config(ToolChoice::Auto), Value::Null);
}

#[test]
fn the_same_history_gives_the_same_bytes_and_a_longer_one_begins_with_them() {
    let mut messages = vec![
        user("a"),
        Message::new(Role::Assistant, vec![Part::text("words"), signed_words(MODEL, 5)]),
        user("c"),
    ];
    let turns = |messages: &[Message]| -> Vec<Value> {
        let sent = sent_to(MODEL, messages.to_vec(), vec![tool("t")], json!({}));
        sent["contents"].as_array().unwrap().clone()
    };
    let before = turns(&messages);
    assert_eq!(before, turns(&messages));
    messages.push(Message::new(Role::Assistant, vec![call("call_9", "t", json!({}))]));
    messages.push(user("e"));
    assert_eq!(turns(&messages)[..before.len()], before);
}

#[test]
fn a_signed_piece_has_its_fields_side_by_side() {
    let part = wire::Part::Own(wire::OwnPart {
        thought: true,
        data: wire::Data::Text("Hm.".to_owned()),
        thought_signature: "s".to_owned(),
    });
    let sent = serde_json::to_string(&part).unwrap();
    assert_eq!(sent, r#"{"thought":true,"text":"Hm.","thoughtSignature":"s"}"#);
}

#[test]
fn a_picture_of_the_models_own_goes_back_with_its_signature_to_models_that_make_some() {
    let parts: Vec<Part> = [Part::text("Here:")]
        .into_iter()
        .chain(signed_picture(PAINTER))
        .collect();
    let messages = || {
        vec![
            user("Paint."),
            Message::new(Role::Assistant, parts.clone()),
            user("Bluer."),
        ]
    };
    let sent = sent_to(PAINTER, messages(), Vec::new(), json!({}));
    let picture = &sent["contents"][1]["parts"][1];
    assert_eq!(sent["contents"][1]["role"], "model");
    assert_eq!(picture["inlineData"]["data"], STANDARD.encode(PNG));
    assert_eq!(picture["thoughtSignature"], "sig-picture");
    // Others are shown it by the user, and nobody's signature but their own.
    let sent = sent_to(OLDER, messages(), Vec::new(), json!({}));
    assert_eq!(sent["contents"][1]["parts"], json!([{"text": "Here:"}]));
    let parts = &sent["contents"][2]["parts"];
    assert_eq!(parts[1]["inlineData"]["mimeType"], "image/png");
    assert!(!sent.to_string().contains("sig-picture"));
}

#[test]
fn the_form_of_an_answer_is_a_setting_beside_which_older_models_do_not_search() {
    let format = call::OutputFormat::Schema(call::OutputSchema {
        name: "city".to_owned(),
        description: String::new(),
        schema: json!({"$schema": "x", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}),
        is_strict: true,
    });
    let asked = |format| Asked {
        output: Some(format),
        ..test_support::request(vec![user("Where?")], Vec::new())
    };
    let options = json!({"provider_options": {"google": {"web_search_enabled": true}}});
    let sent = ask(&asked(format.clone()), OLDER, options.clone()).unwrap();
    let config = &sent["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseJsonSchema"]["required"], json!(["name"]));
    assert!(
        config["responseJsonSchema"]["$schema"].is_null(),
        "what the vendor does not know"
    );
    assert!(sent["tools"].is_null());
    assert!(ask(&asked(format), MODEL, options).unwrap()["tools"].is_array());
    let config = &ask(&asked(call::OutputFormat::Json), OLDER, json!({})).unwrap()["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert!(config["responseJsonSchema"].is_null());
}
