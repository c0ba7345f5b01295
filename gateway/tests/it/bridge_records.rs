//! What went through the bridge, as people read it: shapes, filters, and whose.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::world::{ADA, ADMIN, ADMINS_TOKEN, USERS, World, answer, user};

const INTERCEPTIONS: &str = "tandem.storage.v1.InterceptionService";
const PLACES: [&str; 4] = [
    "/api/v1/aibridge",
    "/api/experimental/aibridge",
    "/api/v2/aibridge",
    "/api/v2/ai-gateway",
];
const ROOT: Uuid = Uuid::from_u128(0x7007);
const CHILD: Uuid = Uuid::from_u128(0xc41d);

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn interception(id: Uuid, root: Uuid, started: i64) -> Interception {
    Interception {
        id: id.to_string(),
        initiator_id: ADA.to_string(),
        initiator_username: "ada".to_owned(),
        credential_id: "token-1".to_owned(),
        provider_id: Uuid::nil().to_string(),
        provider_type: "openai".to_owned(),
        provider_name: "main".to_owned(),
        model: "gpt-1".to_owned(),
        client: "Codex".to_owned(),
        user_agent: "codex/1".to_owned(),
        credential_kind: CredentialKind::Byok.into(),
        credential_hint: "sk-a...9f3c".to_owned(),
        started_at: at(started),
        ended_at: at(started + 5),
        session_id: "s/1".to_owned(),
        thread_root_id: root.to_string(),
        thread_parent_id: if id == root { String::new() } else { root.to_string() },
        ..Interception::default()
    }
}

fn tokens(interception: Uuid, count: i64) -> TokenUsage {
    TokenUsage {
        interception_id: interception.to_string(),
        message_id: "m1".to_owned(),
        input_tokens: count,
        output_tokens: 2 * count,
        cache_read_tokens: 3 * count,
        cache_write_tokens: 4 * count,
        extra: [("reasoning".to_owned(), count)].into(),
        created_at: at(1),
        id: Uuid::nil().to_string(),
    }
}

fn detail() -> InterceptionDetail {
    InterceptionDetail {
        interception: Some(interception(ROOT, ROOT, 0)),
        token_usages: vec![tokens(ROOT, 10)],
        user_prompts: vec![UserPrompt {
            interception_id: ROOT.to_string(),
            message_id: "m1".to_owned(),
            prompt: "Hello?".to_owned(),
            created_at: at(1),
            id: Uuid::nil().to_string(),
        }],
        tool_usages: vec![ToolUsage {
            interception_id: ROOT.to_string(),
            message_id: "m1".to_owned(),
            tool_name: "shell".to_owned(),
            tool_call_id: "c1".to_owned(),
            arguments_json: "{}".to_owned(),
            created_at: at(1),
            id: Uuid::nil().to_string(),
            ..ToolUsage::default()
        }],
        model_thoughts: vec![ModelThought {
            interception_id: ROOT.to_string(),
            content: "Hm.".to_owned(),
            source: "thinking".to_owned(),
            created_at: at(1),
            id: Uuid::nil().to_string(),
        }],
        status: 200,
    }
}

fn session() -> InterceptionSession {
    InterceptionSession {
        id: "s/1".to_owned(),
        initiator_id: ADA.to_string(),
        initiator_username: "ada".to_owned(),
        initiator_name: "Ada".to_owned(),
        client: String::new(),
        provider_names: vec!["main".to_owned()],
        models: vec!["gpt-1".to_owned()],
        started_at: at(0),
        ended_at: at(15),
        thread_count: 1,
        input_tokens: 1,
        output_tokens: 2,
        cache_read_tokens: 3,
        cache_write_tokens: 4,
        last_prompt: "Hello?".to_owned(),
    }
}

fn token_json(count: i64) -> Value {
    json!({"input_tokens": count, "output_tokens": 2 * count, "cache_read_input_tokens": 3 * count,
        "cache_write_input_tokens": 4 * count})
}

fn with(mut object: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

fn tool_json() -> Value {
    json!({"id": Uuid::nil(), "interception_id": ROOT, "provider_response_id": "m1", "server_url": "", "tool": "shell",
        "tool_call_id": "c1", "input": "{}", "injected": false, "invocation_error": "", "metadata": {},
        "created_at": "1970-01-01T00:00:01Z"})
}

fn thought_json() -> Value {
    json!({"id": Uuid::nil(), "interception_id": ROOT, "text": "Hm.", "source": "thinking",
        "created_at": "1970-01-01T00:00:01Z"})
}

/// Keeps what a method was asked.
fn kept<Q, A>(world: &World, method: &str, answer: impl Fn() -> A + Send + Sync + 'static) -> Arc<Mutex<Vec<Q>>>
where
    Q: prost::Message + Default + Clone + 'static,
    A: prost::Message + 'static,
{
    let asked: Arc<Mutex<Vec<Q>>> = Arc::default();
    let keeps = Arc::clone(&asked);
    world.stubs.on(&format!("{INTERCEPTIONS}/{method}"), move |request: Q| {
        keeps.lock().unwrap().push(request);
        Ok(answer())
    });
    asked
}

#[tokio::test]
async fn exchanges_are_shown_with_all_that_was_recorded() {
    let world = World::start().await;
    kept::<ListInterceptionsRequest, _>(&world, "ListInterceptions", || ListInterceptionsResponse {
        interceptions: vec![detail()],
        count: 7,
    });
    let created = json!({"created_at": "1970-01-01T00:00:01Z"});
    let usage = json!({"id": Uuid::nil(), "interception_id": ROOT, "provider_response_id": "m1",
        "metadata": {"reasoning": 10}});
    let prompt = json!({"id": Uuid::nil(), "interception_id": ROOT, "provider_response_id": "m1", "prompt": "Hello?",
        "metadata": {}});
    let expected = json!({"count": 7, "results": [{
        "id": ROOT, "api_key_id": "token-1",
        "initiator": {"id": ADA, "username": "ada", "name": "", "avatar_url": ""},
        "provider": "openai", "provider_name": "main", "model": "gpt-1", "client": "Codex", "user_agent": "codex/1",
        "metadata": {}, "started_at": "1970-01-01T00:00:00Z", "ended_at": "1970-01-01T00:00:05Z", "status": 200,
        "session_id": "s/1", "thread_root_id": ROOT, "thread_parent_id": null, "credential_kind": "byok",
        "credential_hint": "sk-a...9f3c",
        "token_usages": [with(with(token_json(10), usage), created.clone())],
        "user_prompts": [with(prompt, created)],
        "tool_usages": [tool_json()], "model_thoughts": [thought_json()],
    }]});
    for place in PLACES {
        let got = world.get(&format!("{place}/interceptions")).await;
        assert_eq!(got.status, 200, "{place}: {}", got.text);
        assert_eq!(got.json, expected, "{place}");
    }
    assert_eq!(
        answer(world.request(Method::GET, "/api/v2/aibridge/interceptions"))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn sessions_are_summed_up() {
    let world = World::start().await;
    let asked = kept::<ListSessionsRequest, _>(&world, "ListSessions", || ListSessionsResponse {
        sessions: vec![session()],
        count: 3,
    });
    for place in PLACES {
        let got = world
            .get(&format!("{place}/sessions?limit=5&offset=2&after_session_id=s%2F0"))
            .await;
        assert_eq!(
            got.json,
            json!({"count": 3, "sessions": [{
                "id": "s/1", "initiator": {"id": ADA, "username": "ada", "name": "Ada", "avatar_url": ""},
                "providers": ["main"], "models": ["gpt-1"], "client": null, "metadata": {},
                "started_at": "1970-01-01T00:00:00Z", "ended_at": "1970-01-01T00:00:15Z", "threads": 1,
                "token_usage_summary": token_json(1), "last_prompt": "Hello?",
            }]}),
            "{place}"
        );
        let asked = asked.lock().unwrap().pop().unwrap();
        assert_eq!(
            (asked.limit, asked.offset, asked.after_session_id.as_str()),
            (5, 2, "s/0")
        );
    }
}

#[tokio::test]
async fn a_session_is_shown_with_its_threads_and_what_the_model_did() {
    let world = World::start().await;
    let asked = kept::<GetSessionRequest, _>(&world, "GetSession", || GetSessionResponse {
        session: Some(session()),
        interceptions: vec![
            detail(),
            InterceptionDetail {
                interception: Some(interception(CHILD, ROOT, 10)),
                token_usages: vec![tokens(CHILD, 1), tokens(CHILD, 2)],
                ..InterceptionDetail::default()
            },
        ],
        has_more: true,
    });
    let metered = |count: i64| with(token_json(count), json!({"metadata": {"reasoning": count}}));
    let thread = json!({"id": ROOT, "prompt": "Hello?", "model": "gpt-1", "provider": "openai", "provider_name": "main",
        "credential_kind": "byok", "credential_hint": "sk-a...9f3c", "started_at": "1970-01-01T00:00:00Z",
        "ended_at": "1970-01-01T00:00:15Z", "token_usage": metered(13), "interception_count": 2,
        "agentic_actions": [{"model": "gpt-1", "token_usage": metered(10), "thinking": [thought_json()],
            "tool_calls": [tool_json()]}]});
    let got = world
        .get(&format!(
            "/api/v2/aibridge/sessions/s%2F1?limit=9&after_id={CHILD}&initiator=me"
        ))
        .await;
    assert_eq!(
        got.json,
        json!({"id": "s/1", "initiator": {"id": ADA, "username": "ada", "name": "Ada", "avatar_url": ""},
            "providers": ["main"], "models": ["gpt-1"], "metadata": {}, "page_started_at": "1970-01-01T00:00:00Z",
            "page_ended_at": "1970-01-01T00:00:15Z", "started_at": "1970-01-01T00:00:00Z",
            "ended_at": "1970-01-01T00:00:15Z", "token_usage_summary": with(token_json(1), json!({"metadata": {}})),
            "threads": [thread], "has_more": true})
    );
    let asked = asked.lock().unwrap().pop().unwrap();
    let expected = GetSessionRequest {
        session_id: "s/1".to_owned(),
        initiator_id: ADA.to_string(),
        limit: 9,
        after_thread_id: CHILD.to_string(),
    };
    assert_eq!(asked, expected);
    let missing = || Fault::not_found("SESSION_NOT_FOUND", "There is no such session.");
    world
        .stubs
        .on(&format!("{INTERCEPTIONS}/GetSession"), move |_: GetSessionRequest| {
            Err::<GetSessionResponse, _>(missing())
        });
    assert_eq!(world.get("/api/v2/ai-gateway/sessions/none").await.status, 404);
}

#[tokio::test]
async fn queries_are_read_and_wrong_ones_are_refused() {
    let world = World::start().await;
    let asked = kept::<ListInterceptionsRequest, _>(&world, "ListInterceptions", ListInterceptionsResponse::default);
    kept::<ListSessionsRequest, _>(&world, "ListSessions", ListSessionsResponse::default);
    world.stubs.on(&format!("{USERS}/GetUser"), |request: GetUserRequest| {
        match request.user.as_str() {
            "admin" => Ok(GetUserResponse {
                user: Some(user(ADMIN, "admin", true)),
            }),
            "ada" => Ok(GetUserResponse {
                user: Some(user(ADA, "ada", false)),
            }),
            _ => Err(Fault::not_found("USER_NOT_FOUND", "There is no such user.")),
        }
    });
    let q = concat!(
        r#"initiator:me provider:openai provider_name:main model:gpt-1 client:"Claude Code" session_id:"a b" "#,
        r#"started_after:"1970-01-01T00:00:01Z" started_before:"1970-01-01T01:00:02+01:00""#
    );
    let path = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", q)
        .finish();
    let got = world
        .get(&format!(
            "/api/v1/aibridge/interceptions?{path}&limit=3&offset=4&after_id={CHILD}"
        ))
        .await;
    assert_eq!((got.status, got.json), (200, json!({"count": 0, "results": []})));
    let text = str::to_owned;
    let expected = ListInterceptionsRequest {
        filter: Some(InterceptionFilter {
            initiator_id: ADA.to_string(),
            started_after: at(1),
            started_before: at(2),
            provider_type: text("openai"),
            provider_name: text("main"),
            model: text("gpt-1"),
            client: text("Claude Code"),
            session_id: text("a b"),
        }),
        limit: 3,
        after_id: CHILD.to_string(),
        offset: 4,
    };
    assert_eq!(asked.lock().unwrap().pop(), Some(expected));

    for (query, status, admins_status) in [
        ("", 200, 200),
        ("q=initiator:ada", 200, 200),
        ("q=initiator:admin", 400, 200),
        ("q=initiator:nobody", 400, 400),
        ("q=initiator:00000000-0000-0000-0000-000000000001", 400, 200),
        ("q=word", 400, 400),
        ("q=unknown:1", 400, 400),
        ("q=model:a%20model:b", 400, 400),
        ("q=started_after:yesterday", 400, 400),
        ("limit=-1", 400, 400),
        ("limit=x", 400, 400),
        ("offset=-1", 400, 400),
        ("initiator=ada", 400, 400),
    ] {
        for list in ["interceptions", "sessions"] {
            let path = format!("/api/v2/aibridge/{list}?{query}");
            let got = world.get(&path).await;
            assert_eq!(got.status, status, "{path}: {}", got.text);
            let got = answer(world.request(Method::GET, &path).bearer_auth(ADMINS_TOKEN)).await;
            assert_eq!(got.status, admins_status, "{path}: {}", got.text);
        }
    }
    for path in [
        "interceptions?after_id=x",
        "sessions/s?after_id=x",
        "sessions/s?before_id=x",
        "models?prefix=x",
    ] {
        assert_eq!(
            world.get(&format!("/api/v2/aibridge/{path}")).await.status,
            400,
            "{path}"
        );
    }
}

#[tokio::test]
async fn values_can_be_chosen_from() {
    let world = World::start().await;
    world.stubs.on(
        &format!("{INTERCEPTIONS}/ListInterceptionValues"),
        |request: ListInterceptionValuesRequest| {
            let asked = format!(
                "{:?} {} {} {}",
                request.field(),
                request.prefix,
                request.limit,
                request.offset
            );
            Ok(ListInterceptionValuesResponse { values: vec![asked] })
        },
    );
    for place in PLACES {
        assert_eq!(
            world.get(&format!("{place}/models?q=gpt&limit=5&offset=1")).await.json,
            json!(["Model gpt 5 1"])
        );
        assert_eq!(
            world.get(&format!("{place}/clients")).await.json,
            json!(["Client  0 0"])
        );
    }
}
