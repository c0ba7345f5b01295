//! The vendors' own tool for using a computer: a call, what the display showed then, and the next request as the vendor gets it.

use serde_json::{Value, json};
use tandem_proto::{
    common::v1::{ComputerDisplay, ErrorKind, Part, Role, ToolDefinition, ToolResultPart, part::Kind},
    provider::v1::{CompleteRequest, FinishReason, PromptMessage, completion_event::Event},
};
use uuid::Uuid;

use crate::{
    vendor::{Asked, Vendor},
    world::{World, failed, finished, prompt},
};

/// The first bytes of a picture.
const PICTURE: &str = "iVBORw0KGgo=";

/// An event of a stream.
fn event(kind: &str, mut fields: Value) -> String {
    fields["type"] = kind.into();
    format!("event: {kind}\ndata: {fields}\n\n")
}

/// A Messages stream that calls the tool.
fn message() -> String {
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "computer", "input": {}});
    let delta = json!({"type": "input_json_delta", "partial_json": r#"{"action":"left_click","coordinate":[3,4]}"#});
    let begun = json!({"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}});
    let ended = json!({"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}});
    [
        event("message_start", json!({ "message": begun })),
        event("content_block_start", json!({"index": 0, "content_block": call})),
        event("content_block_delta", json!({"index": 0, "delta": delta})),
        event("content_block_stop", json!({"index": 0})),
        event("message_delta", ended),
        event("message_stop", json!({})),
    ]
    .concat()
}

fn checks() -> Value {
    json!([{"id": "sc_1", "code": "malicious_instructions", "message": "Look."}])
}

/// A Responses stream that calls the tool, which asks for what `asked` has.
fn response(asked: &Value) -> String {
    let mut call = json!({"type": "computer_call", "id": "cu_1", "call_id": "call_1", "pending_safety_checks": []});
    let begun = json!({"output_index": 0, "item": call});
    call["status"] = "completed".into();
    for (name, value) in asked.as_object().unwrap() {
        call[name] = value.clone();
    }
    let ended = json!({"id": "resp_1", "status": "completed", "usage": {"input_tokens": 9, "output_tokens": 5}});
    [
        event("response.output_item.added", begun),
        event("response.output_item.done", json!({"output_index": 0, "item": call})),
        event("response.completed", json!({ "response": ended })),
    ]
    .concat()
}

/// A request that offers a display beside an ordinary tool, at whose end the messages stand.
fn offering(model: &str, more: Vec<PromptMessage>) -> CompleteRequest {
    let mut asked = prompt(Uuid::new_v4(), model, "Buy it.");
    asked.tools.push(ToolDefinition {
        name: "computer".to_owned(),
        computer: Some(ComputerDisplay {
            display_width_px: 1600,
            display_height_px: 900,
        }),
        ..ToolDefinition::default()
    });
    asked.messages.extend(more);
    asked
}

/// What a computer answers to a call.
fn answered(call: &Part, result: &Value, is_media: bool) -> Vec<PromptMessage> {
    let Some(Kind::ToolCall(made)) = &call.kind else {
        panic!("a call")
    };
    let result = Part {
        kind: Some(Kind::ToolResult(ToolResultPart {
            tool_call_id: made.tool_call_id.clone(),
            tool_name: made.tool_name.clone(),
            result_json: result.to_string(),
            is_error: !is_media,
            is_media,
            ..ToolResultPart::default()
        })),
        provider_metadata_json: String::new(),
    };
    let message = |role: Role, part: Part| PromptMessage {
        role: role.into(),
        parts: vec![part],
    };
    vec![message(Role::Assistant, call.clone()), message(Role::Tool, result)]
}

fn picture(acknowledged: &[&str]) -> Value {
    json!({"data": PICTURE, "mime_type": "image/png", "text": "", "acknowledged_safety_checks": acknowledged})
}

/// A vendor's model in a world of its own.
struct Scene {
    world: World,
    vendor: Vendor,
    model: String,
}

impl Scene {
    async fn of(kind: &str, name: &str) -> Self {
        let world = World::start().await;
        let (vendor, base) = Vendor::start().await;
        let provider = match kind {
            "demo" => world.provider(kind, "", &[]).await,
            _ => world.provider(kind, &base, &["key-0123456789"]).await,
        };
        let model = world.model_named(name, &provider, "");
        Self { world, vendor, model }
    }

    /// Has the vendor answer with a stream that calls the tool; the call.
    async fn called(&self, stream: &str) -> Part {
        self.vendor.stream(stream);
        let events = self
            .world
            .ask(offering(&self.model, Vec::new()))
            .await
            .unwrap()
            .all()
            .await;
        let end = finished(&events).unwrap_or_else(|| panic!("{events:?}"));
        assert_eq!(end.reason(), FinishReason::ToolCalls);
        let call = events.iter().find_map(|event| match &event.event {
            Some(Event::Part(part)) => Some(part.clone()),
            _ => None,
        });
        let call = call.unwrap();
        let Some(Kind::ToolCall(made)) = &call.kind else {
            panic!("a call")
        };
        assert_eq!((made.tool_name.as_str(), made.provider_executed), ("computer", false));
        let streamed = events.iter().filter_map(|event| match &event.event {
            Some(Event::ToolCallDelta(delta)) => Some(delta.arguments_delta.as_str()),
            _ => None,
        });
        assert_eq!(streamed.collect::<String>(), made.arguments_json);
        call
    }

    /// What the vendor gets next.
    async fn told(&self, call: &Part, result: &Value, is_media: bool) -> Asked {
        self.vendor.stream("");
        let asked = offering(&self.model, answered(call, result, is_media));
        self.world.ask(asked).await.unwrap().all().await;
        self.vendor.asked().pop().unwrap()
    }
}

/// The arguments of a call.
fn arguments(call: &Part) -> Value {
    let Some(Kind::ToolCall(made)) = &call.kind else {
        panic!("a call")
    };
    serde_json::from_str(&made.arguments_json).unwrap()
}

#[tokio::test]
async fn messages_have_the_models_version_and_its_header() {
    for (name, kind, beta) in [
        ("claude-sonnet-4-5", "computer_20250124", "computer-use-2025-01-24"),
        ("claude-opus-4-6", "computer_20251124", "computer-use-2025-11-24"),
    ] {
        let scene = Scene::of("anthropic", name).await;
        let call = scene.called(&message()).await;
        let clicked = json!({"action": "left_click", "coordinate": [3, 4]});
        assert_eq!(arguments(&call), clicked);
        let next = scene.told(&call, &picture(&[]), true).await;
        let offered = json!({
            "type": kind, "name": "computer", "display_width_px": 1600, "display_height_px": 900,
        });
        for asked in scene.vendor.asked() {
            assert_eq!((asked.beta.as_str(), &asked.body["tools"][1]), (beta, &offered));
        }
        assert_eq!(next.body["messages"][1]["content"][0]["input"], clicked);
        let shown = &next.body["messages"][2]["content"][0];
        assert_eq!(
            (&shown["tool_use_id"], &shown["content"][0]["source"]["data"]),
            (&json!("toolu_1"), &json!(PICTURE))
        );
        scene.vendor.stream("");
        let plain = prompt(Uuid::new_v4(), &scene.model, "hi");
        scene.world.ask(plain).await.unwrap().all().await;
        assert_eq!(scene.vendor.asked().pop().unwrap().beta, "", "without a computer");
    }
}

#[tokio::test]
async fn bedrock_has_what_is_in_trial_in_the_body() {
    let scene = Scene::of("bedrock", "us.anthropic.claude-sonnet-4-6-v1:0").await;
    let call = scene.called(&message()).await;
    let next = scene.told(&call, &picture(&[]), true).await;
    assert_eq!(next.beta, "");
    assert_eq!(next.body["anthropic_beta"], json!(["computer-use-2025-11-24"]));
    assert_eq!(next.body["tools"][1]["type"], "computer_20251124");
    assert_eq!(next.body["messages"][2]["content"][0]["content"][0]["type"], "image");
}

#[tokio::test]
async fn responses_have_items_of_their_own_for_calls_and_pictures() {
    let actions = json!({"actions": [{"type": "click", "x": 3, "y": 4, "button": "left"}, {"type": "screenshot"}]});
    let mut under_checks = actions.clone();
    under_checks["pending_safety_checks"] = checks();
    for kind in ["openai", "azure"] {
        let scene = Scene::of(kind, "gpt-5.4").await;
        let call = scene.called(&response(&under_checks)).await;
        assert_eq!(arguments(&call), under_checks);
        let next = scene.told(&call, &picture(&["sc_1"]), true).await;
        assert_eq!(next.body["tools"][1], json!({"type": "computer"}));
        assert_eq!(next.body["truncation"], Value::Null);
        let mut sent = json!({"type": "computer_call", "id": "cu_1", "call_id": "call_1", "status": "completed"});
        for (name, value) in under_checks.as_object().unwrap() {
            sent[name] = value.clone();
        }
        assert_eq!(next.body["input"][1], sent, "as it came");
        let shown = json!({
            "type": "computer_screenshot", "image_url": format!("data:image/png;base64,{PICTURE}"), "detail": "original",
        });
        let came = json!({
            "type": "computer_call_output", "call_id": "call_1", "output": shown,
            "acknowledged_safety_checks": checks(),
        });
        assert_eq!(next.body["input"][2], came);
    }
}

#[tokio::test]
async fn nobody_but_a_person_acknowledges_a_safety_check() {
    let scene = Scene::of("openai", "gpt-5.4").await;
    let asked = json!({"actions": [{"type": "wait"}], "pending_safety_checks": checks()});
    let call = scene.called(&response(&asked)).await;
    for (result, is_media) in [(picture(&[]), true), (json!("Declined by the user."), false)] {
        let next = scene.told(&call, &result, is_media).await;
        let input = &next.body["input"];
        assert_eq!(
            (&input[1]["type"], &input[2]["type"]),
            (&json!("function_call"), &json!("function_call_output"))
        );
        assert!(!next.body.to_string().contains("acknowledged"), "{}", next.body);
    }
}

#[tokio::test]
async fn the_older_tool_is_told_of_the_display() {
    let scene = Scene::of("openai", "computer-use-preview").await;
    let action = json!({"action": {"type": "screenshot"}});
    let call = scene.called(&response(&action)).await;
    let next = scene.told(&call, &picture(&[]), true).await;
    let offered = json!({
        "type": "computer_use_preview", "display_width": 1600, "display_height": 900, "environment": "linux",
    });
    assert_eq!(
        (&next.body["tools"][1], &next.body["truncation"]),
        (&offered, &json!("auto"))
    );
    assert_eq!(next.body["input"][1]["action"], json!({"type": "screenshot"}));
    let output = &next.body["input"][2]["output"];
    assert_eq!(
        (&output["type"], &output["detail"]),
        (&json!("computer_screenshot"), &Value::Null)
    );
}

#[tokio::test]
async fn what_one_vendors_model_did_the_others_are_told_like_any_call() {
    let claude = Scene::of("anthropic", "claude-opus-4-6").await;
    let call = claude.called(&message()).await;
    let gpt = Scene::of("openai", "gpt-5.4").await;
    let next = gpt.told(&call, &picture(&[]), true).await;
    let input = &next.body["input"];
    assert_eq!(
        (&input[1]["type"], &input[1]["name"]),
        (&json!("function_call"), &json!("computer"))
    );
    assert_eq!(input[2]["output"][0]["type"], "input_image");

    let asked = json!({"actions": [{"type": "wait"}], "pending_safety_checks": checks()});
    let call = gpt.called(&response(&asked)).await;
    let next = claude.told(&call, &picture(&["sc_1"]), true).await;
    assert_eq!(next.body["messages"][1]["content"][0]["input"], asked);
    assert_eq!(next.body["messages"][2]["content"][0]["content"][0]["type"], "image");
    assert!(!next.body.to_string().contains("acknowledged"));
}

#[tokio::test]
async fn a_model_without_the_tool_is_refused_before_anything_is_sent() {
    for (kind, name) in [
        ("openai", "gpt-4o"),
        ("openai-compat", "any"),
        ("google", "gemini-2.5-flash"),
        ("anthropic", "claude-3-5-haiku-latest"),
        ("demo", "tandem-demo"),
    ] {
        let scene = Scene::of(kind, name).await;
        let asked = offering(&scene.model, Vec::new());
        let events = scene.world.ask(asked).await.unwrap().all().await;
        let error = failed(&events).unwrap().error.clone().unwrap();
        assert_eq!(
            (error.kind(), error.is_retryable),
            (ErrorKind::Config, false),
            "{kind}: {error:?}"
        );
        let said = format!("{error:?}");
        assert!(
            said.contains(name) && said.contains("leave the tool `computer` out"),
            "{said}"
        );
        assert!(scene.vendor.asked().is_empty(), "{kind}");
    }
}
