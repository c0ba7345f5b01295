//! Commands on chats: what is refused before anything is asked, what is passed on, and how answers and errors look.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::{common::v1 as common, storage::v1 as proto};

use crate::world::{ADAS_TOKEN, CHAT, CHATS, COMMANDS, FILES, ORGANIZATION, World, answer};

fn text(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}

fn chat() -> common::Chat {
    common::Chat {
        id: CHAT.to_string(),
        title: "Hello".to_owned(),
        status: common::ChatStatus::Interrupting.into(),
        ..common::Chat::default()
    }
}

/// Keeps the last request of a method and answers with `answer`.
fn record<Q, A>(world: &World, method: &str, answer: A) -> Arc<Mutex<Option<Q>>>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Clone + 'static,
{
    let kept: Arc<Mutex<Option<Q>>> = Arc::default();
    let keep = Arc::clone(&kept);
    world.stubs.on(method, move |request: Q| {
        *keep.lock().unwrap() = Some(request);
        Ok(answer.clone())
    });
    kept
}

#[tokio::test]
async fn a_chat_is_created_with_all_that_was_said() {
    let world = World::start().await;
    let answered = proto::CreateChatResponse {
        chat: Some(chat()),
        warnings: vec!["a file could not be linked".to_owned()],
    };
    let asked = record::<proto::CreateChatRequest, _>(&world, &format!("{COMMANDS}/CreateChat"), answered);
    let body = json!({
        "organization_id": ORGANIZATION,
        "content": text("  hi "),
        "labels": { "a": "b" },
        "plan_mode": "plan",
        "client_type": "ui",
        "approval_mode": "risky",
        "unsafe_dynamic_tools": [{ "name": "ask", "description": "d", "input_schema": { "type": "object" } }],
        "unknown": { "is": "ignored" },
    });
    let got = world.send(Method::POST, "/api/experimental/chats", &body).await;
    assert_eq!(got.status, 201, "{}", got.text);
    assert_eq!(got.json["warnings"], json!(["a file could not be linked"]));
    assert_eq!(got.json["status"], "running", "clients know no other word");
    let asked = asked.lock().unwrap().clone().expect("a request");
    let kind = common::input_part::Kind::Text("hi".to_owned());
    let expected = proto::CreateChatRequest {
        organization_id: ORGANIZATION.to_string(),
        message: Some(proto::MessageInput {
            parts: vec![common::InputPart { kind: Some(kind) }],
            model_config_id: String::new(),
        }),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        dynamic_tools: vec![common::DynamicTool {
            name: "ask".to_owned(),
            description: "d".to_owned(),
            input_schema_json: "{\"type\":\"object\"}".to_owned(),
        }],
        plan_mode: common::PlanMode::Plan.into(),
        client_type: common::ClientType::Ui.into(),
        approval_mode: common::ApprovalMode::Risky.into(),
        ..Default::default()
    };
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn bad_bodies_are_refused_before_anybody_is_asked() {
    let world = World::start().await;
    let with = |key: &str, value: Value| {
        let mut body = json!({ "organization_id": ORGANIZATION, "content": text("hi") });
        body[key] = value;
        body.to_string().into_bytes()
    };
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{\"content\": ".to_vec(),
        b"[]".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"{}".to_vec(),
        with("organization_id", json!("nonsense")),
        with("content", json!([])),
        with("content", json!("text")),
        with("content", text(" \n")),
        with("content", json!([{ "type": "video" }])),
        with("content", text(&"x".repeat(300 << 10))),
        with("system_prompt", json!("x".repeat(10_001))),
        with("model_config_id", json!("00000000-0000-0000-0000-000000000000")),
        with("plan_mode", json!("maybe")),
        with("client_type", json!("tui")),
        with("approval_mode", json!("sometimes")),
        with("approval_mode", json!("")),
        with("approval_mode", json!(true)),
        with("labels", json!({ "": "x" })),
        with("unsafe_dynamic_tools", json!([{ "name": "a" }, { "name": "a" }])),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let got = world.raw(Method::POST, "/api/v1/chats", body).await;
        assert_eq!(got.status, 400, "{shown}: {}", got.text);
        assert!(got.json["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(got.headers["content-type"], "application/json; charset=utf-8");
    }
    let foreign = with("organization_id", json!("00000000-0000-4000-8000-000000000000"));
    assert_eq!(world.raw(Method::POST, "/api/v1/chats", foreign).await.status, 403);
    assert!(world.stubs.calls("CreateChat").is_empty());
}

#[tokio::test]
async fn bad_addresses_and_queries_are_refused() {
    let world = World::start().await;
    for path in [
        "/api/v1/chats/nonsense".to_owned(),
        "/api/v1/chats?limit=-1".to_owned(),
        "/api/v1/chats?limit=1&limit=2".to_owned(),
        "/api/v1/chats?q=word".to_owned(),
        "/api/v1/chats?label=nocolon".to_owned(),
        "/api/v1/chats?after_id=x".to_owned(),
        "/api/v1/chats/by-workspace?workspace_ids=x".to_owned(),
        format!("/api/v1/chats/{CHAT}/messages?limit=0"),
        format!("/api/v1/chats/{CHAT}/messages?limit=201"),
        format!("/api/v1/chats/{CHAT}/messages?before_id=x"),
        format!("/api/v1/chats/{CHAT}/messages?before_id=5&after_id=5"),
        format!("/api/v1/chats/{CHAT}/prompts?limit=2001"),
        "/api/v1/chats/files/nonsense".to_owned(),
    ] {
        let got = world.get(&path).await;
        assert_eq!(got.status, 400, "{path}: {}", got.text);
    }
    assert_eq!(world.get("/api/v1/chats/by-workspace").await.text, "{}\n");
    for (method, path) in [
        (Method::PATCH, format!("/api/v1/chats/{CHAT}/messages/0")),
        (Method::PATCH, format!("/api/v1/chats/{CHAT}/messages/x")),
        (Method::DELETE, format!("/api/v1/chats/{CHAT}/queue/x")),
        (Method::POST, format!("/api/v1/chats/{CHAT}/queue/x/promote")),
    ] {
        let got = world.send(method, &path, &json!({ "content": text("hi") })).await;
        assert_eq!(got.status, 400, "{path}: {}", got.text);
    }
    for body in [
        json!({ "title": " " }),
        json!({ "title": "x".repeat(201) }),
        json!({ "pin_order": -1 }),
        json!({ "plan_mode": "x" }),
        json!({ "approval_mode": "x" }),
        json!({ "approval_mode": "" }),
        json!({ "labels": { "a": "" } }),
    ] {
        let got = world.send(Method::PATCH, &format!("/api/v1/chats/{CHAT}"), &body).await;
        assert_eq!(got.status, 400, "{body}: {}", got.text);
    }
}

#[tokio::test]
async fn a_list_is_asked_for_as_the_query_says() {
    let world = World::start().await;
    let answered = proto::ListChatsResponse { chats: vec![chat()] };
    let asked = record::<proto::ListChatsRequest, _>(&world, &format!("{CHATS}/ListChats"), answered);
    let path = "/api/v1/chats?q=archived:true%20title:%22my%20project%22&label=a:b:c&limit=0&offset=3";
    let got = world.get(path).await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(got.json[0]["id"], CHAT.to_string());
    let asked = asked.lock().unwrap().clone().expect("a request");
    assert_eq!((asked.limit, asked.offset), (50, 3));
    let filter = asked.filter.expect("a filter");
    assert_eq!(filter.archived, Some(true));
    assert_eq!(filter.title, "my project");
    assert_eq!(filter.labels, [("a".to_owned(), "b:c".to_owned())].into());

    let asked = record::<proto::ListChatsRequest, _>(
        &world,
        &format!("{CHATS}/ListChats"),
        proto::ListChatsResponse::default(),
    );
    let path = "/api/v1/chats?q=pr:7%20repo:tandem%20pr_status:open,draft%20pr_title:door%20diff_url:%22https://example.com/7%22";
    let got = world.get(path).await;
    assert_eq!((got.status, got.text.as_str()), (200, "[]\n"));
    let asked = asked.lock().unwrap().clone().expect("a request");
    let expected = proto::ChatFilter {
        pull_request_number: 7,
        repository: "tandem".to_owned(),
        pull_request_statuses: vec!["open".to_owned(), "draft".to_owned()],
        pull_request_title: "door".to_owned(),
        diff_url: "https://example.com/7".to_owned(),
        ..proto::ChatFilter::default()
    };
    assert_eq!(asked.filter, Some(expected));
}

#[tokio::test]
async fn changes_are_passed_on_together() {
    let world = World::start().await;
    let answered = proto::UpdateChatResponse { chat: Some(chat()) };
    let asked = record::<proto::UpdateChatRequest, _>(&world, &format!("{COMMANDS}/UpdateChat"), answered);
    let body = json!({
        "title": " New ",
        "labels": {},
        "archived": true,
        "pin_order": 0,
        "plan_mode": "",
        "approval_mode": "never",
        "workspace_id": "00000000-0000-0000-0000-000000000000",
    });
    let got = world.send(Method::PATCH, &format!("/api/v1/chats/{CHAT}"), &body).await;
    assert_eq!((got.status, got.text.as_str()), (204, ""));
    let expected = proto::UpdateChatRequest {
        chat_id: CHAT.to_string(),
        title: Some("New".to_owned()),
        labels: Some(proto::LabelSet::default()),
        archived: Some(true),
        pin_order: Some(0),
        workspace_id: Some(String::new()),
        plan_mode: Some(0),
        approval_mode: Some(common::ApprovalMode::Never.into()),
    };
    assert_eq!(asked.lock().unwrap().clone(), Some(expected));
    let bare = json!({ "title": "New", "approval_mode": null });
    let got = world.send(Method::PATCH, &format!("/api/v1/chats/{CHAT}"), &bare).await;
    assert_eq!(got.status, 204, "{}", got.text);
    let mode = asked.lock().unwrap().clone().map(|asked| asked.approval_mode);
    assert_eq!(mode, Some(None), "what is not said is not changed");
}

#[tokio::test]
async fn a_mode_below_the_operators_minimum_is_refused_by_name() {
    let world = World::start().await;
    let refuse = |_: ()| {
        let fault = Fault::invalid("INVALID_REQUEST", "The request is not valid.");
        Err::<(), _>(fault.violation("approval_mode", "must be at least risky"))
    };
    for method in ["CreateChat", "UpdateChat"] {
        world.stubs.on(&format!("{COMMANDS}/{method}"), refuse);
    }
    let create = json!({ "organization_id": ORGANIZATION, "content": text("hi"), "approval_mode": "never" });
    let created = world.send(Method::POST, "/api/v1/chats", &create).await;
    let body = json!({ "approval_mode": "never" });
    let changed = world.send(Method::PATCH, &format!("/api/v1/chats/{CHAT}"), &body).await;
    for got in [created, changed] {
        assert_eq!(got.status, 400, "{}", got.text);
        let expected = json!([{ "field": "approval_mode", "detail": "must be at least risky" }]);
        assert_eq!(got.json["validations"], expected);
    }
}

#[tokio::test]
async fn sending_says_whether_the_message_waits() {
    let world = World::start().await;
    let path = format!("/api/v1/chats/{CHAT}/messages");
    let method = format!("{COMMANDS}/SendMessage");
    let queued = proto::SendMessageResponse {
        queued_message: Some(common::QueuedMessage {
            id: 7,
            ..Default::default()
        }),
        ..Default::default()
    };
    let asked = record::<proto::SendMessageRequest, _>(&world, &method, queued);
    let body = json!({ "content": text("hi"), "busy_behavior": "interrupt", "mcp_server_ids": [] });
    let got = world.send(Method::POST, &path, &body).await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(
        (&got.json["queued"], &got.json["queued_message"]["id"]),
        (&json!(true), &json!(7))
    );
    assert!(got.json.get("message").is_none());
    let asked = asked.lock().unwrap().clone().expect("a request");
    assert_eq!(asked.busy_behavior(), proto::BusyBehavior::Interrupt);
    assert_eq!(asked.mcp_server_ids, Some(proto::IdSet::default()));
    assert_eq!(asked.plan_mode, None);

    let inserted = proto::SendMessageResponse {
        message: Some(common::ChatMessage {
            id: 8,
            ..Default::default()
        }),
        ..Default::default()
    };
    let asked = record::<proto::SendMessageRequest, _>(&world, &method, inserted);
    let got = world.send(Method::POST, &path, &json!({ "content": text("hi") })).await;
    assert_eq!(
        (&got.json["queued"], &got.json["message"]["id"]),
        (&json!(false), &json!(8))
    );
    assert_eq!(asked.lock().unwrap().clone().expect("a request").mcp_server_ids, None);
}

#[tokio::test]
async fn refusals_have_the_status_clients_expect() {
    let world = World::start().await;
    let body = json!({ "content": text("hi"), "results": [{ "tool_call_id": "a", "output": 1 }], "title": "x" });
    let chat_path = format!("/api/v1/chats/{CHAT}");
    let table = [
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::NotFound,
            "CHAT_NOT_FOUND",
            404,
        ),
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::NotFound,
            "MODEL_CONFIG_NOT_FOUND",
            400,
        ),
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::WrongState,
            "CHAT_ARCHIVED",
            400,
        ),
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::RateLimited,
            "QUEUE_FULL",
            429,
        ),
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::Invalid,
            "MODEL_DISABLED",
            400,
        ),
        (
            "SendMessage",
            Method::POST,
            "/messages",
            Code::Unavailable,
            "DATABASE",
            503,
        ),
        (
            "EditMessage",
            Method::PATCH,
            "/messages/5",
            Code::NotFound,
            "MESSAGE_NOT_FOUND",
            404,
        ),
        (
            "EditMessage",
            Method::PATCH,
            "/messages/5",
            Code::WrongState,
            "NOT_A_USER_MESSAGE",
            400,
        ),
        (
            "UpdateChat",
            Method::PATCH,
            "",
            Code::WrongState,
            "ALREADY_ARCHIVED",
            400,
        ),
        (
            "InterruptChat",
            Method::POST,
            "/interrupt",
            Code::NotFound,
            "CHAT_NOT_FOUND",
            404,
        ),
        (
            "DeleteQueuedMessage",
            Method::DELETE,
            "/queue/5",
            Code::NotFound,
            "CHAT_NOT_FOUND",
            404,
        ),
        (
            "PromoteQueuedMessage",
            Method::POST,
            "/queue/5/promote",
            Code::NotFound,
            "QUEUED_MESSAGE_NOT_FOUND",
            404,
        ),
        (
            "PromoteQueuedMessage",
            Method::POST,
            "/queue/5/promote",
            Code::WrongState,
            "CHAT_ARCHIVED",
            400,
        ),
        (
            "SubmitToolResults",
            Method::POST,
            "/tool-results",
            Code::WrongState,
            "NOT_WAITING",
            409,
        ),
        (
            "SubmitToolResults",
            Method::POST,
            "/tool-results",
            Code::WrongState,
            "CHAT_ARCHIVED",
            400,
        ),
        (
            "SubmitToolResults",
            Method::POST,
            "/tool-results",
            Code::Invalid,
            "CALL_MISSING",
            400,
        ),
    ];
    for (rpc, method, path, code, reason, expected) in table {
        let refuse = move |_: ()| Err::<(), _>(Fault::new(code, reason, "refused"));
        world.stubs.on(&format!("{COMMANDS}/{rpc}"), refuse);
        let got = world.send(method, &format!("{chat_path}{path}"), &body).await;
        assert_eq!(got.status, expected, "{rpc} {reason}: {}", got.text);
    }
}

#[tokio::test]
async fn tool_results_may_be_any_json() {
    let world = World::start().await;
    let answered = proto::SubmitToolResultsResponse::default();
    let asked =
        record::<proto::SubmitToolResultsRequest, _>(&world, &format!("{COMMANDS}/SubmitToolResults"), answered);
    let path = format!("/api/v1/chats/{CHAT}/tool-results");
    let body = br#"{"results":[{"tool_call_id":"a","output":{"x": 1.50}},{"tool_call_id":"b","output":null,"is_error":true}]}"#;
    let got = world.raw(Method::POST, &path, body.to_vec()).await;
    assert_eq!(got.status, 204, "{}", got.text);
    let results = asked.lock().unwrap().clone().expect("a request").results;
    assert_eq!(
        results[0].output_json, r#"{"x": 1.50}"#,
        "numbers stay as they were written"
    );
    assert_eq!((results[1].output_json.as_str(), results[1].is_error), ("null", true));
    for bad in [
        json!({}),
        json!({ "results": [] }),
        json!({ "results": [{ "output": 1 }] }),
    ] {
        assert_eq!(world.send(Method::POST, &path, &bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn files_go_in_by_what_they_are_and_come_out_harmless() {
    let world = World::start().await;
    let stored = proto::CreateFileResponse {
        file: Some(common::FileMetadata {
            id: CHAT.to_string(),
            ..Default::default()
        }),
    };
    let asked = record::<proto::CreateFileRequest, _>(&world, &format!("{FILES}/CreateFile"), stored);
    let path = format!("/api/v1/chats/files?organization={ORGANIZATION}");
    let upload = |media_type: &'static str, disposition: &'static str, bytes: Vec<u8>| {
        let request = world.request(Method::POST, &path).bearer_auth(ADAS_TOKEN);
        let request = request
            .header("content-type", media_type)
            .header("content-disposition", disposition);
        answer(request.body(bytes))
    };
    let name = "attachment; filename=\"notes.md\"";
    let got = upload("text/plain; charset=utf-8", name, b"# Notes".to_vec()).await;
    assert_eq!((got.status, &got.json), (201, &json!({ "id": CHAT })), "{}", got.text);
    let asked = asked.lock().unwrap().clone().expect("a request");
    assert_eq!(
        (asked.name.as_str(), asked.media_type.as_str()),
        ("notes.md", "text/markdown")
    );

    let html = upload("text/html", name, b"<html>".to_vec()).await;
    let nameless = upload("text/plain", "attachment", b"a".to_vec()).await;
    let lie = upload("image/png", "attachment; filename=a.png", b"plain".to_vec()).await;
    let long = upload("text/plain", name, vec![b'a'; (10 << 20) + 1]).await;
    let statuses = [html.status, nameless.status, lie.status, long.status];
    assert_eq!(statuses, [400, 400, 400, 413]);

    let file = proto::GetFileResponse {
        file: Some(common::FileMetadata {
            name: "a\"b.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            ..Default::default()
        }),
        data: b"%PDF".to_vec(),
    };
    record::<proto::GetFileRequest, _>(&world, &format!("{FILES}/GetFile"), file);
    let got = world.get(&format!("/api/v1/chats/files/{CHAT}")).await;
    assert_eq!((got.status, got.text.as_str()), (200, "%PDF"));
    assert_eq!(got.headers["content-type"], "application/pdf");
    assert_eq!(got.headers["cache-control"], "private, max-age=31536000, immutable");
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    let disposition = got.headers["content-disposition"].to_str().unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\"a_b.pdf\""),
        "{disposition}"
    );
    assert!(
        got.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
}
