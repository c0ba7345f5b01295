//! What is true of every address: prefixes, errors, headers, probes, pages.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_proto::storage::v1::{GetChatRequest, GetChatResponse};

use crate::world::{ADAS_TOKEN, CHAT, CHATS, LIMIT, World, answer};

#[tokio::test]
async fn one_table_of_routes_answers_below_every_prefix() {
    let world = World::start().await;
    for prefix in ["/api/v1", "/api/experimental", "/api/v2"] {
        for (method, path, status) in [
            (Method::GET, "/buildinfo", 200),
            (Method::GET, "/chats/nonsense", 400),
            (Method::GET, "/ai/providers", 403),
            (Method::GET, "/no/such/route", 404),
            (Method::PUT, "/chats", 405),
            (Method::GET, "/chats/providers", 410),
            (Method::POST, "/chats/user-provider-configs/x", 410),
        ] {
            let got = world.send(method.clone(), &format!("{prefix}{path}"), &json!({})).await;
            assert_eq!(got.status, status, "{method} {prefix}{path}: {}", got.text);
            if status >= 400 {
                assert!(got.json["message"].is_string(), "{}", got.text);
                assert_eq!(got.headers["content-type"], "application/json; charset=utf-8");
            }
        }
    }
    assert_eq!(world.get("/api/v9/chats").await.status, 404);
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_not_kept() {
    let world = World::start().await;
    for path in ["/api/v1/chats/nonsense", "/api/v1/none", "/healthz", "/"] {
        let got = world.get(path).await;
        assert!(!got.headers["x-request-id"].is_empty(), "{path}");
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
        assert_eq!(got.headers["referrer-policy"], "no-referrer");
    }
    let got = world.get("/api/v1/chats/nonsense").await;
    assert_eq!(got.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn errors_come_as_problem_documents_when_asked_for() {
    let world = World::start().await;
    let request = world
        .request(Method::GET, "/api/v1/chats/nonsense")
        .bearer_auth(ADAS_TOKEN)
        .header("accept", "application/problem+json");
    let got = answer(request).await;
    assert_eq!(got.headers["content-type"], "application/problem+json");
    assert_eq!(got.json["status"], 400);
    assert_eq!(got.json["code"], "INVALID_FIELD");
    assert_eq!(got.json["instance"], got.headers["x-request-id"].to_str().unwrap());
    assert_eq!(got.json["validations"][0]["field"], "chat");
}

#[tokio::test]
async fn what_a_service_breaks_is_our_error_and_says_nothing() {
    let world = World::start().await;
    world.stubs.on(&format!("{CHATS}/GetChat"), |_: GetChatRequest| {
        Ok(GetChatResponse::default())
    });
    let got = world.get(&format!("/api/v1/chats/{CHAT}")).await;
    assert_eq!(got.status, 500);
    let id = got.headers["x-request-id"].to_str().unwrap();
    assert!(
        got.text.contains(id) && !got.text.contains("GetChatResponse"),
        "{}",
        got.text
    );
}

#[tokio::test]
async fn probes_say_alive_and_ready() {
    let world = World::start().await;
    let alive = answer(world.request(Method::GET, "/healthz")).await;
    assert_eq!(alive.status, 200);
    let ready = async {
        while answer(world.request(Method::GET, "/readyz")).await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, ready).await.expect("ready in time");
}

#[tokio::test]
async fn a_gateway_without_services_is_alive_and_not_ready() {
    let world = World::alone().await;
    let alive = answer(world.request(Method::GET, "/healthz")).await;
    assert_eq!(alive.status, 200);
    let ready = answer(world.request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 503);
    let failing = &ready.json["components"]["gateway"]["failing"];
    for name in ["setup", "storage", "orchestrator", "provider-gateway", "tool-runner"] {
        assert!(failing[name].is_string(), "{name} is not missing in {failing}");
    }
}

#[tokio::test]
async fn metrics_are_for_this_machine_only() {
    let world = World::start().await;
    let got = answer(world.request(Method::GET, "/metrics")).await;
    assert_eq!(got.status, 200);
    assert!(got.text.ends_with("# EOF\n"));
    let proxied = world
        .request(Method::GET, "/metrics")
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(answer(proxied).await.status, 404);
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let world = World::start().await;
    let got = answer(world.request(Method::GET, "/api/v1/openapi.json")).await;
    assert_eq!(got.status, 200);
    assert!(
        got.json["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let paths = got.json["paths"].as_object().map(|paths| paths.len());
    assert!(paths.is_some_and(|count| count > 30), "{paths:?}");
    assert_ne!(got.json["components"]["schemas"]["ChatStreamEvent"], Value::Null);
}

#[tokio::test]
async fn every_described_route_is_closed_to_strangers() {
    let world = World::start().await;
    let open = ["/setup", "/users/login", "/buildinfo", "/openapi.json"];
    let description = answer(world.request(Method::GET, "/api/v1/openapi.json")).await.json;
    let paths = description["paths"].as_object().expect("paths");
    for (path, item) in paths {
        if open.iter().any(|open| path.ends_with(open)) {
            continue;
        }
        let filled = path.replace(['{', '}'], "");
        for method in item.as_object().expect("operations").keys() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let got = answer(world.request(method.clone(), &filled)).await;
            assert_eq!(got.status, 401, "{method} {path} is open: {}", got.text);
        }
    }
}

#[tokio::test]
async fn every_other_address_is_the_web_interface_under_a_strict_policy() {
    let world = World::start().await;
    for path in ["/", "/setup", "/chats/1"] {
        let got = answer(world.request(Method::GET, path)).await;
        // Without a built interface there is only a word about its absence.
        if got.status == 200 {
            let policy = got.headers["content-security-policy"].to_str().unwrap();
            for rule in [
                "default-src 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "img-src 'self' data: blob:",
            ] {
                assert!(policy.contains(rule), "{policy}");
            }
        }
    }
    assert_eq!(
        answer(world.request(Method::GET, "/assets/none-1.js")).await.status,
        404
    );
}
