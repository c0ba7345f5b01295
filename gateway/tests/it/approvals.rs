//! Tool calls that wait for a person: what is refused at the door, what is passed on, what comes back, and how waiting looks.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::idempotency::{self as mark, Attempt};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::{common::v1 as common, storage::v1 as proto};

use crate::world::{ADAS_TOKEN, ADMIN, ADMINS_TOKEN, Answer, CHAT, COMMANDS, World, answer};

const DECIDE: &str = "tandem.orchestrator.v1.ChatCommandService/DecideToolCalls";

/// What a client may send: one call approved, one declined.
fn words() -> Value {
    json!({ "decisions": [
        { "tool_call_id": "a", "digest": "00fF".repeat(16), "decision": "approve" },
        { "tool_call_id": "b", "digest": "10".repeat(32), "decision": "decline", "reason": "Not there" },
    ]})
}

/// What that means.
fn meant() -> proto::DecideToolCallsRequest {
    proto::DecideToolCallsRequest {
        chat_id: CHAT.to_string(),
        decisions: vec![
            proto::ToolCallDecision {
                tool_call_id: "a".to_owned(),
                digest: [0x00, 0xff].repeat(16),
                is_approved: true,
                reason: String::new(),
            },
            proto::ToolCallDecision {
                tool_call_id: "b".to_owned(),
                digest: vec![0x10; 32],
                is_approved: false,
                reason: "Not there".to_owned(),
            },
        ],
    }
}

fn path() -> String {
    format!("/api/v1/chats/{CHAT}/approvals")
}

async fn decide(world: &World, body: &Value) -> Answer {
    world.send(Method::POST, &path(), body).await
}

/// A chat whose turn goes on.
fn chat() -> common::Chat {
    common::Chat {
        id: CHAT.to_string(),
        status: common::ChatStatus::Pending.into(),
        approval_mode: common::ApprovalMode::Always.into(),
        ..common::Chat::default()
    }
}

#[tokio::test]
async fn decisions_are_passed_on_and_the_chat_comes_back() {
    let world = World::start().await;
    let asked: Arc<Mutex<Vec<proto::DecideToolCallsRequest>>> = Arc::default();
    world.stubs.on(DECIDE, {
        let asked = Arc::clone(&asked);
        move |request: proto::DecideToolCallsRequest| {
            asked.lock().unwrap().push(request);
            Ok(proto::DecideToolCallsResponse { chat: Some(chat()) })
        }
    });
    for prefix in ["/api/v1", "/api/experimental", "/api/v2"] {
        let path = format!("{prefix}/chats/{CHAT}/approvals");
        let got = world.send(Method::POST, &path, &words()).await;
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(got.json["id"], CHAT.to_string());
        assert_eq!(got.json["status"], "pending");
        assert_eq!(got.json["approval_mode"], "always");
        assert!(got.json.get("action_expires_at").is_none(), "{}", got.text);
    }
    assert_eq!(*asked.lock().unwrap(), vec![meant(); 3]);
}

#[tokio::test]
async fn a_decision_with_a_key_may_be_sent_again() {
    let world = World::start().await;
    let seen: Arc<Mutex<Vec<Option<Attempt>>>> = Arc::default();
    world.stubs.on_request(DECIDE, {
        let seen = Arc::clone(&seen);
        move |request: tonic::Request<proto::DecideToolCallsRequest>| {
            let mut seen = seen.lock().unwrap();
            seen.push(Attempt::of(&request).unwrap());
            let answered = proto::DecideToolCallsResponse { chat: Some(chat()) };
            Ok(mark::answer(answered, seen.len() > 1))
        }
    });
    let send = |body: Value| {
        let request = world.request(Method::POST, &path()).bearer_auth(ADAS_TOKEN);
        answer(request.header("Idempotency-Key", "key-1").json(&body))
    };
    let (first, again) = (send(words()).await, send(words()).await);
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.text, again.text);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let mut other = words();
    other["decisions"][1]["reason"] = json!("Not now");
    send(other).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].as_ref().map(Attempt::key), Some("key-1"));
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2], "another body is another request");
}

#[tokio::test]
async fn bad_decisions_are_refused_by_name_before_anybody_is_asked() {
    let world = World::start().await;
    let with = |index: usize, member: &str, value: Value| {
        let mut body = words();
        body["decisions"][index][member] = value;
        body
    };
    let many: Vec<Value> = (0..129)
        .map(|number| json!({ "tool_call_id": number.to_string(), "digest": "0".repeat(64), "decision": "approve" }))
        .collect();
    let table = [
        (json!({}), "decisions"),
        (json!({ "decisions": [] }), "decisions"),
        (json!({ "decisions": many }), "decisions"),
        (with(0, "tool_call_id", json!("")), "decisions[0].tool_call_id"),
        (
            with(1, "tool_call_id", json!("i".repeat(257))),
            "decisions[1].tool_call_id",
        ),
        (with(1, "tool_call_id", json!("a")), "decisions[1].tool_call_id"),
        (with(1, "digest", json!("0".repeat(63))), "decisions[1].digest"),
        (with(0, "digest", json!("x".repeat(64))), "decisions[0].digest"),
        (with(0, "decision", json!("yes")), "decisions[0].decision"),
        (with(0, "reason", json!("because")), "decisions[0].reason"),
        (with(1, "reason", json!("r".repeat(1025))), "decisions[1].reason"),
    ];
    for (body, field) in table {
        let got = decide(&world, &body).await;
        assert_eq!(got.status, 400, "{body}: {}", got.text);
        assert_eq!(got.json["validations"][0]["field"], field, "{}", got.text);
        let detail = got.json["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(&format!("{field}: must ")), "{detail}");
    }
    for body in [json!([]), json!({ "decisions": {} }), with(0, "digest", json!(1))] {
        let got = decide(&world, &body).await;
        assert_eq!(got.status, 400, "{body}: {}", got.text);
    }
    let nowhere = world
        .send(Method::POST, "/api/v1/chats/nonsense/approvals", &words())
        .await;
    assert_eq!(nowhere.json["validations"][0]["field"], "chat", "{}", nowhere.text);
    let too_large = json!({ "decisions": [], "padding": "x".repeat(300 << 10) });
    assert_eq!(decide(&world, &too_large).await.status, 400);
    assert!(world.stubs.calls("DecideToolCalls").is_empty());
}

#[tokio::test]
async fn refusals_keep_their_words_and_reasons() {
    let world = World::start().await;
    let results = json!({ "results": [{ "tool_call_id": "a", "output": 1 }] });
    let nothing_waits = "No tool call of this chat waits for approval; it may have been decided already.";
    let table = [
        ("approvals", Code::Conflict, "NO_APPROVAL_REQUIRED", nothing_waits, 409),
        (
            "approvals",
            Code::Conflict,
            "APPROVAL_CHANGED",
            "What is to be approved is not what was shown.",
            409,
        ),
        (
            "approvals",
            Code::WrongState,
            "WRONG_STATE",
            "The chat does not wait.",
            409,
        ),
        (
            "approvals",
            Code::WrongState,
            "CHAT_ARCHIVED",
            "The chat is archived.",
            400,
        ),
        (
            "tool-results",
            Code::Conflict,
            "APPROVAL_REQUIRED",
            "Tool calls wait for approval first.",
            409,
        ),
    ];
    for (route, code, reason, words_of_service, status) in table {
        let (method, body) = match route {
            "approvals" => (DECIDE.to_owned(), words()),
            _ => (format!("{COMMANDS}/SubmitToolResults"), results.clone()),
        };
        let refuse = move |_: ()| Err::<(), _>(Fault::new(code, reason, words_of_service));
        world.stubs.on(&method, refuse);
        let path = format!("/api/v1/chats/{CHAT}/{route}");
        let plain = world.send(Method::POST, &path, &body).await;
        assert_eq!(plain.status, status, "{reason}: {}", plain.text);
        assert_eq!(plain.json["message"], words_of_service);
        let request = world.request(Method::POST, &path).bearer_auth(ADAS_TOKEN).json(&body);
        let detailed = answer(request.header("accept", "application/problem+json")).await;
        assert_eq!(detailed.status, status);
        assert_eq!(
            (&detailed.json["code"], &detailed.json["detail"]),
            (&json!(reason), &json!(words_of_service))
        );
    }
    let missing = |_: proto::DecideToolCallsRequest| {
        let fault = Fault::invalid("INVALID_REQUEST", "The request is not valid.");
        Err::<(), _>(fault.violation("decisions", "must answer tool call c"))
    };
    world.stubs.on(DECIDE, missing);
    let got = decide(&world, &words()).await;
    assert_eq!(got.status, 400);
    assert_eq!(
        got.json["validations"],
        json!([{ "field": "decisions", "detail": "must answer tool call c" }])
    );
}

#[tokio::test]
async fn a_strangers_word_is_asked_for_under_their_own_name_and_finds_no_chat() {
    let world = World::start().await;
    world.stubs.on(DECIDE, |_: ()| {
        Err::<(), _>(Fault::not_found("CHAT_NOT_FOUND", "There is no such chat."))
    });
    let request = |token: &str| world.request(Method::POST, &path()).bearer_auth(token).json(&words());
    let got = answer(request(ADMINS_TOKEN)).await;
    assert_eq!(got.status, 404, "{}", got.text);
    let calls = world.stubs.calls("DecideToolCalls");
    let asked_as: Vec<_> = calls
        .iter()
        .map(|call| call.user.as_ref().map(|user| user.id))
        .collect();
    assert_eq!(asked_as, [Some(ADMIN)]);
    assert_eq!(answer(request("tdm_nobody")).await.status, 401);
    let nobody = answer(world.request(Method::POST, &path()).json(&words())).await;
    assert_eq!(nobody.status, 401);
    assert_eq!(world.stubs.calls("DecideToolCalls").len(), 1);
}
