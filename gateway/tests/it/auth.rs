//! Who gets in, and how.

use reqwest::Method;
use serde_json::json;
use tandem_chassis::{identity::User as Identity, status::Fault};
use tandem_proto::storage::v1::{
    AuthenticateRequest, AuthenticateResponse, GetSetupStateRequest, GetSetupStateResponse, GetUserRequest,
    GetUserResponse, ListChatsRequest, ListChatsResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse,
    RedeemSetupCodeRequest, RedeemSetupCodeResponse, Session,
};

use crate::world::{ADA, ADAS_TOKEN, CHATS, ORGANIZATION, USERS, World, answer, user};

fn list_nothing(world: &World) {
    world.stubs.on(&format!("{CHATS}/ListChats"), |_: ListChatsRequest| {
        Ok(ListChatsResponse::default())
    });
}

fn session() -> Session {
    Session {
        token: "tdm_session_secret".to_owned(),
        user: Some(user(ADA, "ada", false)),
        expires_at: Some(prost_types::Timestamp {
            seconds: 32_503_680_000,
            nanos: 0,
        }),
    }
}

#[tokio::test]
async fn every_carrier_of_a_token_gives_the_same_caller() {
    let world = World::start().await;
    list_nothing(&world);
    let cookies = [
        ("cookie", format!("tandem_session={ADAS_TOKEN}")),
        ("cookie", format!("coder_session_token={ADAS_TOKEN}")),
        ("coder-session-token", ADAS_TOKEN.to_owned()),
        ("authorization", format!("Bearer {ADAS_TOKEN}")),
    ];
    for (name, value) in cookies {
        let got = answer(world.request(Method::GET, "/api/v1/chats").header(name, value)).await;
        assert_eq!((got.status, got.text.as_str()), (200, "[]\n"), "{name}");
    }
    let callers = world.stubs.calls("ChatService/ListChats");
    assert_eq!(callers.len(), 4);
    let ada = Identity {
        id: ADA,
        is_admin: false,
        organization_ids: vec![ORGANIZATION],
    };
    assert!(callers.iter().all(|call| call.user.as_ref() == Some(&ada)));
    assert_eq!(world.stubs.calls("Authenticate").len(), 1, "the answer is remembered");
}

#[tokio::test]
async fn nobody_gets_in_with_nothing_or_with_something_else() {
    let world = World::start().await;
    list_nothing(&world);
    for (name, value) in [
        ("x-none", "x"),
        ("authorization", "Bearer tdm_other"),
        ("cookie", "tandem_session=tdm_other"),
        ("x-user-id", "00000000-0000-0000-0000-000000000add"),
        ("x-api-key", ADAS_TOKEN),
    ] {
        let got = answer(world.request(Method::GET, "/api/v1/chats").header(name, value)).await;
        assert_eq!(got.status, 401, "{name}: {}", got.text);
        assert!(got.json["message"].is_string());
        let posted = answer(
            world
                .request(Method::POST, "/api/v1/chats")
                .header(name, value)
                .json(&json!({})),
        )
        .await;
        // A cookie without a page of ours behind it is refused before anybody asks whose it is.
        let expected = if name == "cookie" { 403 } else { 401 };
        assert_eq!(posted.status, expected, "{name}");
    }
    let in_address = format!("/api/v1/chats?coder_session_token={ADAS_TOKEN}");
    assert_eq!(answer(world.request(Method::GET, &in_address)).await.status, 401);
    assert!(world.stubs.calls("ListChats").is_empty());
}

#[tokio::test]
async fn a_cookie_counts_for_our_own_pages_only() {
    let world = World::start().await;
    let cookie = format!("tandem_session={ADAS_TOKEN}");
    let own = world.base.clone();
    for (origin, expected) in [
        (Some(own.as_str()), 400),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
        (None, 403),
    ] {
        let mut request = world
            .request(Method::POST, "/api/v1/chats")
            .header("cookie", &cookie)
            .json(&json!({}));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let got = answer(request).await;
        assert_eq!(got.status, expected, "{origin:?} {}", got.text);
    }
    let by_token = world
        .request(Method::POST, "/api/v1/chats")
        .bearer_auth(ADAS_TOKEN)
        .header("origin", "https://evil.example")
        .json(&json!({}));
    assert_eq!(
        answer(by_token).await.status,
        400,
        "a header cannot be forged by a page"
    );
}

#[tokio::test]
async fn sockets_open_for_our_own_pages_only() {
    let world = World::start().await;
    let cookie = format!("tandem_session={ADAS_TOKEN}");
    let path = "/api/v1/chats/watch";
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = world.socket(path, &[("cookie", &cookie), ("origin", origin)]).await;
        assert_eq!(refused.err(), Some(403), "{origin}");
    }
    assert_eq!(world.socket(path, &[("cookie", &cookie)]).await.err(), Some(403));
    assert_eq!(world.socket(path, &[]).await.err(), Some(401));
    assert!(world.stubs.calls("WatchChats").is_empty());
}

#[tokio::test]
async fn signing_in_sets_a_cookie_that_scripts_cannot_read() {
    let world = World::start().await;
    world.stubs.on(&format!("{USERS}/Login"), |request: LoginRequest| {
        if request.login == "ada@example.com" && request.password == "right" {
            Ok(LoginResponse {
                session: Some(session()),
            })
        } else {
            Err(Fault::unauthenticated(
                "BAD_CREDENTIALS",
                "name or password is not right",
            ))
        }
    });
    let login = |password: &str| {
        world
            .request(Method::POST, "/api/v2/users/login")
            .json(&json!({ "email": "ada@example.com", "password": password }))
    };
    let got = answer(login("right")).await;
    assert_eq!(got.status, 201, "{}", got.text);
    assert_eq!(got.json, json!({ "session_token": "tdm_session_secret" }));
    let cookie = got.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("tandem_session=tdm_session_secret; "), "{cookie}");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );

    for _ in 0..10 {
        assert_eq!(answer(login("wrong")).await.status, 401);
    }
    let blocked = answer(login("right")).await;
    assert_eq!(blocked.status, 429);
    assert!(blocked.headers.contains_key("retry-after"));
    assert_eq!(world.stubs.calls("UserService/Login").len(), 11);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let world = World::start().await;
    world.stubs.on(&format!("{USERS}/GetUser"), |request: GetUserRequest| {
        assert_eq!(request.user, ADA.to_string());
        Ok(GetUserResponse {
            user: Some(user(ADA, "ada", false)),
        })
    });
    assert_eq!(world.get("/api/v1/users/me").await.json["username"], "ada");
    world.stubs.on(&format!("{USERS}/Logout"), |request: LogoutRequest| {
        assert_eq!(request.credential_id, "session-1");
        Ok(LogoutResponse {})
    });
    let got = world.send(Method::POST, "/api/v1/users/logout", &json!({})).await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert!(got.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    world
        .stubs
        .on(&format!("{USERS}/Authenticate"), |_: AuthenticateRequest| {
            Err::<AuthenticateResponse, _>(Fault::unauthenticated("BAD_TOKEN", "signed out"))
        });
    assert_eq!(world.get("/api/v1/users/me").await.status, 401);
}

#[tokio::test]
async fn the_first_start_hands_out_one_code() {
    let world = World::start().await;
    let link = world.setup_link.clone().expect("a link");
    let code = link
        .strip_prefix(&format!("{}/setup#code=", world.base))
        .expect("our address");
    assert!(code.len() >= 22, "{link}");
    world
        .stubs
        .on(&format!("{USERS}/GetSetupState"), |_: GetSetupStateRequest| {
            Ok(GetSetupStateResponse { needs_setup: true })
        });
    let state = answer(world.request(Method::GET, "/api/v1/setup")).await;
    assert_eq!(state.json, json!({ "needs_setup": true }));

    let expected = code.to_owned();
    world.stubs.on(
        &format!("{USERS}/RedeemSetupCode"),
        move |request: RedeemSetupCodeRequest| {
            if request.code == expected {
                Ok(RedeemSetupCodeResponse {
                    session: Some(session()),
                })
            } else {
                Err(Fault::unauthenticated("BAD_SETUP_CODE", "the code is not valid"))
            }
        },
    );
    let redeem = |code: &str| {
        world
            .request(Method::POST, "/api/v1/setup")
            .json(&json!({ "code": code }))
    };
    assert_eq!(answer(redeem("guess")).await.status, 401);
    assert_eq!(answer(redeem("")).await.status, 400);
    let got = answer(redeem(code)).await;
    assert_eq!(got.status, 201, "{}", got.text);
    assert!(got.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn callers_who_ask_too_much_are_told_when_to_come_back() {
    let world = World::start_with(|config| config.rate_limit.requests_per_minute = 3).await;
    list_nothing(&world);
    for _ in 0..3 {
        assert_eq!(world.get("/api/v1/chats").await.status, 200);
    }
    let got = world.get("/api/v1/chats").await;
    assert_eq!(got.status, 429);
    assert_eq!(got.headers["retry-after"], "20");
    assert_eq!(answer(world.request(Method::GET, "/healthz")).await.status, 200);
}

#[tokio::test]
async fn only_administrators_reach_what_is_theirs() {
    let world = World::start().await;
    for (method, path) in [
        (Method::GET, "/api/v2/ai/providers"),
        (Method::POST, "/api/v2/ai/providers"),
        (Method::POST, "/api/v2/ai/providers/test"),
        (Method::GET, "/api/v2/ai/providers/detect"),
        (Method::DELETE, "/api/v2/ai/providers/x"),
        (Method::POST, "/api/v1/chats/model-configs"),
        (Method::POST, "/api/v2/users"),
        (Method::DELETE, "/api/v2/users/bob"),
        (Method::PUT, "/api/v2/users/bob/status/suspend"),
        (Method::PUT, "/api/v1/chats/config/system-prompt"),
    ] {
        let got = world.send(method.clone(), path, &json!({})).await;
        assert_eq!(got.status, 403, "{method} {path}: {}", got.text);
    }
    assert_eq!(world.get("/api/v1/chats/config/system-prompt").await.status, 404);
}
