//! The vendor's tool for using a computer: offered in the model's version, called and answered like any other.

use super::*;

/// What a computer showed.
fn shown(id: &str) -> Part {
    let picture = json!({
        "data": STANDARD.encode(PNG), "mime_type": "image/png", "text": "Clicked.", "acknowledged_safety_checks": ["sc_1"],
    });
    Part::ToolResult(ToolResultPart {
        is_media: true,
        ..result(id, "computer", picture)
    })
}

fn told(model: &str, args: Value) -> Value {
    let messages = vec![
        user("Buy it."),
        Message::new(Role::Assistant, vec![call("toolu_1", "computer", args)]),
        Message::new(Role::Tool, vec![shown("toolu_1")]),
    ];
    let asked = test_support::request(messages, vec![tool("read_file"), test_support::computer()]);
    ask(&asked, model, json!({})).unwrap()
}

#[test]
fn request_with_a_computer_and_what_it_showed() {
    let args = json!({"action": "left_click", "coordinate": [3, 4]});
    insta::assert_json_snapshot!(told("claude-opus-4-6", args));
}

#[test]
fn each_model_is_offered_its_own_version_and_the_request_says_so() {
    for (model, kind, beta) in [
        ("claude-sonnet-4-5", "computer_20250124", "computer-use-2025-01-24"),
        ("claude-opus-4-7", "computer_20251124", "computer-use-2025-11-24"),
    ] {
        let sent = told(model, json!({}));
        let offered = json!({
            "type": kind, "name": "computer", "display_width_px": 1600, "display_height_px": 900,
        });
        assert_eq!(sent["tools"][1], offered, "{model}");
        let asked = test_support::request(Vec::new(), vec![test_support::computer()]);
        assert_eq!(crate::anthropic::beta(&asked, model), Some(beta));
        let plain = test_support::request(Vec::new(), vec![tool("computer")]);
        assert_eq!(
            crate::anthropic::beta(&plain, model),
            None,
            "a tool of ours of that name"
        );
    }
}

#[test]
fn what_another_vendors_model_asked_for_is_sent_as_it_is() {
    let theirs = json!({"actions": [{"type": "click", "x": 3, "y": 4}], "pending_safety_checks": [{"id": "sc_1"}]});
    let sent = told("claude-opus-4-6", theirs.clone());
    assert_eq!(sent["messages"][1]["content"][0]["input"], theirs);
    let shown = &sent["messages"][2]["content"][0]["content"];
    assert_eq!(
        (&shown[0]["text"], &shown[1]["type"]),
        (&json!("Clicked."), &json!("image"))
    );
    assert!(!sent.to_string().contains("acknowledged"));
}
