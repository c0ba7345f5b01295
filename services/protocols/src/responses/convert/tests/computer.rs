//! Calls at a computer go back as they came, or like those of any tool.

use super::*;

/// A model of the tool that asks for several actions at once.
pub(super) const MODEL: &str = "gpt-5.4";
/// The model of the older one.
pub(super) const PREVIEW: &str = "computer-use-preview";

fn checks(ids: &[&str]) -> Vec<Value> {
    let check = |id: &&str| json!({"id": id, "code": "malicious_instructions", "message": "Look."});
    ids.iter().map(check).collect()
}

/// What the newer tool asks for, under safety checks of those ids.
pub(super) fn batch(pending: &[&str]) -> Value {
    let actions = json!([{"type": "click", "x": 3, "y": 4, "button": "left"}, {"type": "type", "text": "hi"}]);
    json!({"actions": actions, "pending_safety_checks": checks(pending)})
}

/// What the older one asks for.
pub(super) fn one() -> Value {
    json!({"action": {"type": "scroll", "x": 1, "y": 2, "scroll_x": 0, "scroll_y": 100}, "pending_safety_checks": []})
}

/// A call of a model at the test's provider, as it is stored; of an unknown model at another provider.
pub(super) fn called(name: &str, id: &str, item_id: &str, args: Value, reasoning_id: Option<&str>) -> Part {
    let item = serde_json::from_value(json!({"id": item_id, "status": "completed"})).unwrap();
    let mut origin = Origin::of(&model(name, json!({})));
    if Family::of(name).reasons.is_none() {
        origin.provider = name.to_owned();
    }
    let Part::ToolCall(made) = call(id, "computer", args) else {
        unreachable!("it is a call")
    };
    Part::ToolCall(ToolCallPart {
        provider_metadata: super::super::computer::metadata(&origin, &item, reasoning_id),
        ..made
    })
}

/// A picture of the display, with safety checks that a person has acknowledged.
fn shown(id: &str, acknowledged: &[&str]) -> ToolResultPart {
    let picture = json!({
        "data": STANDARD.encode(PNG), "mime_type": "image/png", "text": "",
        "acknowledged_safety_checks": acknowledged,
    });
    ToolResultPart {
        is_media: true,
        ..result(id, "computer", picture)
    }
}

fn answered(parts: Vec<ToolResultPart>) -> Message {
    Message::new(Role::Tool, parts.into_iter().map(Part::ToolResult).collect())
}

/// What a model is sent of a conversation with the tool on offer.
fn told(name: &str, parts: Vec<Part>, results: Vec<ToolResultPart>) -> Value {
    let messages = vec![user("Buy it."), assistant(parts), answered(results)];
    let asked = test_support::request(messages, vec![tool("read_file"), test_support::computer()]);
    ask(&asked, name, json!({})).unwrap()
}

fn kinds(sent: &Value) -> Vec<&str> {
    types(sent)[1..].to_vec()
}

#[test]
fn request_with_a_computer_and_what_it_showed() {
    let parts = vec![
        thought(MODEL, "rs_2", "Hm."),
        called(MODEL, "call_1", "cu_2", batch(&["sc_1"]), Some("rs_2")),
        call("call_2", "read_file", json!({"path": "a"})),
    ];
    let results = vec![shown("call_1", &["sc_1"]), result("call_2", "read_file", json!("x"))];
    insta::assert_json_snapshot!(told(MODEL, parts, results));
}

#[test]
fn request_with_the_older_tool_and_its_display() {
    let parts = vec![called(PREVIEW, "call_1", "cu_1", one(), None)];
    insta::assert_json_snapshot!(told(PREVIEW, parts, vec![shown("call_1", &[])]));
}

#[test]
fn a_call_goes_back_as_it_came_only_with_its_tool_its_reasoning_and_its_picture() {
    const NATIVE: [&str; 2] = ["computer_call", "computer_call_output"];
    const PLAIN: [&str; 2] = ["function_call", "function_call_output"];
    let made = || called(MODEL, "call_1", "cu_1", batch(&[]), None);
    let picture = || vec![shown("call_1", &[])];
    assert_eq!(kinds(&told(MODEL, vec![made()], picture())), NATIVE);
    assert_eq!(
        kinds(&told("gpt-5.5", vec![made()], picture())),
        NATIVE,
        "the same tool"
    );
    assert_eq!(kinds(&told(PREVIEW, vec![made()], picture())), PLAIN, "the other tool");
    let theirs = called("another provider's", "call_1", "cu_1", batch(&[]), None);
    assert_eq!(kinds(&told(MODEL, vec![theirs], picture())), PLAIN);
    let words = called(MODEL, "call_1", "cu_1", json!({"action": "left_click"}), None);
    assert_eq!(kinds(&told(MODEL, vec![words], picture())), PLAIN, "another's words");
    let bound = called(MODEL, "call_1", "cu_2", batch(&[]), Some("rs_2"));
    assert_eq!(
        kinds(&told(MODEL, vec![bound], picture())),
        PLAIN,
        "its reasoning is gone"
    );
    let twice = vec![made(), made()];
    assert_eq!(kinds(&told(MODEL, twice, picture()))[..2], ["function_call"; 2]);

    let messages = vec![user("x"), assistant(vec![made()]), answered(picture())];
    let without_tool = test_support::request(messages, vec![tool("read_file")]);
    let sent = ask(&without_tool, MODEL, json!({})).unwrap();
    assert_eq!(kinds(&sent), PLAIN);
    let asked_for: Value = serde_json::from_str(sent["input"][1]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(asked_for, batch(&[]));
    assert_eq!(
        sent["input"][2]["output"][0]["type"], "input_image",
        "it is shown all the same"
    );
}

#[test]
fn a_result_without_a_picture_is_told_in_words() {
    let made = || vec![called(MODEL, "call_1", "cu_1", batch(&[]), None)];
    let failed = ToolResultPart {
        is_error: true,
        ..result("call_1", "computer", json!("The display is gone."))
    };
    let sent = told(MODEL, made(), vec![failed]);
    assert_eq!(sent["input"][2]["output"], "Error: The display is gone.");
    let nothing = told(MODEL, made(), Vec::new());
    assert_eq!(
        kinds(&nothing),
        ["function_call", "function_call_output"],
        "interrupted"
    );
    let between = vec![
        user("x"),
        assistant(made()),
        user("Stop."),
        answered(vec![shown("call_1", &[])]),
    ];
    let asked = test_support::request(between, vec![test_support::computer()]);
    let sent = ask(&asked, MODEL, json!({})).unwrap();
    let late = ["function_call", "function_call_output", "message", "message"];
    assert_eq!(kinds(&sent), late, "a picture that comes too late");
    let mut spoken = shown("call_1", &[]);
    spoken.result["text"] = json!("Clicked.");
    let sent = told(MODEL, made(), vec![spoken]);
    assert_eq!(kinds(&sent), ["computer_call", "computer_call_output", "message"]);
    assert_eq!(sent["input"][3]["content"][1]["text"], "Clicked.", "beside the picture");
}

#[test]
fn only_what_a_person_has_acknowledged_is_acknowledged() {
    let sent = |acknowledged: &[&str]| {
        let made = called(MODEL, "call_1", "cu_1", batch(&["sc_1", "sc_2"]), None);
        told(MODEL, vec![made], vec![shown("call_1", acknowledged)])
    };
    let all = sent(&["sc_2", "sc_1", "sc_3"]);
    assert_eq!(
        all["input"][2]["acknowledged_safety_checks"],
        json!(checks(&["sc_1", "sc_2"])),
        "as the vendor wrote them, and no others"
    );
    for some in [&["sc_1"][..], &[]] {
        let sent = sent(some);
        assert_eq!(kinds(&sent), ["function_call", "function_call_output"], "{some:?}");
        assert!(!sent.to_string().contains("acknowledged"));
    }
}

#[test]
fn the_computer_may_be_what_must_be_called() {
    let choice = |name: &str| {
        let mut asked = test_support::request(vec![user("x")], vec![test_support::computer()]);
        asked.tool_choice = crate::call::ToolChoice::Named("computer".to_owned());
        ask(&asked, name, json!({})).unwrap()["tool_choice"].clone()
    };
    assert_eq!(choice(MODEL), json!({"type": "computer"}));
    assert_eq!(choice(PREVIEW), json!({"type": "computer_use_preview"}));
    let by_hand = json!({"provider_options": {"openai": {"computer_tool": "Computer"}}});
    let asked = test_support::request(vec![user("x")], vec![test_support::computer()]);
    let sent = ask(&asked, super::MODEL, by_hand).unwrap();
    assert_eq!(sent["tools"], json!([{"type": "computer"}]));
    let wrong = json!({"provider_options": {"openai": {"computer_tool": "mouse"}}});
    let refused = ask(&asked, super::MODEL, wrong).unwrap_err();
    assert!(refused.contains("provider_options.openai.computer_tool"), "{refused}");
}

#[test]
fn the_oldest_pictures_of_a_display_give_way_with_their_calls() {
    let mut messages = vec![user("x")];
    for count in 0..=media::MAX_IMAGES {
        let id = format!("call_{count}");
        messages.push(assistant(vec![called(
            MODEL,
            &id,
            &format!("cu_x{count}"),
            batch(&[]),
            None,
        )]));
        messages.push(answered(vec![shown(&id, &[])]));
    }
    let asked = test_support::request(messages, vec![test_support::computer()]);
    let sent = ask(&asked, MODEL, json!({})).unwrap();
    let kinds = kinds(&sent);
    assert_eq!(kinds[..3], ["function_call", "function_call_output", "computer_call"]);
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "computer_call").count(),
        media::MAX_IMAGES
    );
}
