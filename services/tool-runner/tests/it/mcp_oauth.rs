//! Accounts for MCP servers: found out, registered, connected, renewed once, and forgotten.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tandem_proto::storage::v1::{McpAuthType, McpServer};
use tandem_proto::tool::v1::*;
use tonic::Status;

use crate::mcp::{TIME, World, scope};

type Fields = std::collections::HashMap<String, String>;

/// What the authorization server was asked, and how long its tokens live.
#[derive(Clone, Default)]
struct Accounts {
    base: String,
    seen: Arc<Mutex<Vec<(String, Fields)>>>,
    life: Arc<Mutex<i64>>,
    refusal: Arc<Mutex<Option<&'static str>>>,
    /// The address the description names as its own.
    issuer: Arc<Mutex<Option<String>>>,
}

impl Accounts {
    /// An authorization server, and beside it an MCP server that lets nobody in without its newest token.
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accounts = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            life: Arc::new(Mutex::new(3_600)),
            ..Self::default()
        };
        let router = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(issuer))
            .route("/register", post(register))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/mcp", any(guarded))
            .with_state(accounts.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        accounts
    }

    fn asked(&self, what: &str) -> Vec<Fields> {
        let seen = self.seen.lock().unwrap();
        let of = seen.iter().filter(|(place, _)| place == what);
        of.map(|(_, fields)| fields.clone()).collect()
    }

    fn note(&self, what: &str, fields: Fields) {
        self.seen.lock().unwrap().push((what.to_owned(), fields));
    }
}

async fn resource(State(accounts): State<Accounts>) -> Response {
    axum::Json(
        json!({"resource": format!("{}/mcp", accounts.base), "authorization_servers": [accounts.base],
        "scopes_supported": ["read", "write"]}),
    )
    .into_response()
}

async fn issuer(State(accounts): State<Accounts>) -> Response {
    let at = |path: &str| format!("{}{path}", accounts.base);
    let issuer = accounts
        .issuer
        .lock()
        .unwrap()
        .clone()
        .unwrap_or_else(|| accounts.base.clone());
    axum::Json(
        json!({"issuer": issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"), "revocation_endpoint": at("/revoke"),
        "code_challenge_methods_supported": ["S256"]}),
    )
    .into_response()
}

async fn register(State(accounts): State<Accounts>, axum::Json(about): axum::Json<Value>) -> Response {
    let redirect = about["redirect_uris"][0].as_str().unwrap().to_owned();
    accounts.note("register", Fields::from([("redirect_uri".to_owned(), redirect)]));
    let client = json!({"client_id": "client-1", "client_secret": "client-secret-canary"});
    (StatusCode::CREATED, axum::Json(client)).into_response()
}

async fn token(State(accounts): State<Accounts>, headers: HeaderMap, Form(mut fields): Form<Fields>) -> Response {
    if let Some(basic) = headers.get(header::AUTHORIZATION) {
        fields.insert("authorization".to_owned(), basic.to_str().unwrap().to_owned());
    }
    accounts.note("token", fields);
    if let Some(error) = *accounts.refusal.lock().unwrap() {
        return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": error}))).into_response();
    }
    let number = accounts.asked("token").len();
    let life = *accounts.life.lock().unwrap();
    axum::Json(
        json!({"access_token": format!("access-canary-{number}"), "refresh_token": format!("refresh-canary-{number}"),
        "token_type": "bearer", "expires_in": life}),
    )
    .into_response()
}

async fn revoke(State(accounts): State<Accounts>, Form(fields): Form<Fields>) -> StatusCode {
    accounts.note("revoke", fields);
    StatusCode::OK
}

async fn guarded(State(accounts): State<Accounts>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .map_or("", |value| value.to_str().unwrap());
    let newest = format!("Bearer access-canary-{}", accounts.asked("token").len());
    if shown != newest {
        let place = format!(
            "Bearer resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"",
            accounts.base
        );
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, place)]).into_response();
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "stub", "version": "1"}}),
        Some("tools/list") => json!({"tools": [{"name": "mine", "inputSchema": {"type": "object"}}]}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    axum::Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).into_response()
}

const ACCESS_URL: &str = "https://tandem.example.com/";

async fn create(world: &World, accounts: &Accounts) -> Result<McpServerView, Status> {
    let server = McpServer {
        auth_type: McpAuthType::Oauth2.into(),
        url: format!("{}/mcp", accounts.base),
        ..world.server()
    };
    let message = CreateMcpServerRequest {
        server: Some(server),
        secrets: None,
        access_url: ACCESS_URL.to_owned(),
    };
    let request = world
        .harness
        .outbound
        .request(Some(&world.administrator), TIME, message);
    let created = world.harness.mcp.clone().create_mcp_server(request).await?;
    Ok(created.into_inner().server.unwrap())
}

async fn begin(world: &World, server_id: &str) -> BeginMcpOAuth2Response {
    let message = BeginMcpOAuth2Request {
        server_id: server_id.to_owned(),
        access_url: ACCESS_URL.to_owned(),
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    world
        .harness
        .mcp
        .clone()
        .begin_mcp_o_auth2(request)
        .await
        .unwrap()
        .into_inner()
}

async fn finish(world: &World, server_id: &str, verifier: &str) -> Result<(), Status> {
    let message = FinishMcpOAuth2Request {
        server_id: server_id.to_owned(),
        access_url: ACCESS_URL.to_owned(),
        code: "code-1".to_owned(),
        verifier: verifier.to_owned(),
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    world.harness.mcp.clone().finish_mcp_o_auth2(request).await.map(|_| ())
}

async fn view(world: &World, server_id: &str) -> McpServerView {
    let message = GetMcpServerRequest {
        server_id: server_id.to_owned(),
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    let found = world.harness.mcp.clone().get_mcp_server(request).await.unwrap();
    found.into_inner().server.unwrap()
}

async fn disconnect(world: &World, server_id: &str) {
    let message = DisconnectMcpOAuth2Request {
        server_id: server_id.to_owned(),
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    world.harness.mcp.clone().disconnect_mcp_o_auth2(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_out_registered_connected_used_and_disconnected() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    let created = create(&world, &accounts).await.unwrap();
    let server = created.server.clone().unwrap();
    assert_eq!(server.oauth2_client_id, "client-1");
    assert_eq!(server.oauth2_scopes, "read write");
    assert!(server.has_oauth2_secret && !created.is_connected);
    let redirect = format!("{ACCESS_URL}api/experimental/mcp/servers/{}/oauth2/callback", server.id);
    assert_eq!(accounts.asked("register")[0]["redirect_uri"], redirect);
    let scope = scope(&created);
    assert!(world.names(&scope).await.is_empty(), "nobody has connected yet");

    let begun = begin(&world, &server.id).await;
    let url = url::Url::parse(&begun.authorization_url).unwrap();
    let sent: Fields = url.query_pairs().into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.as_bytes()));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("redirect_uri", &redirect),
        ("state", &begun.state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("scope", "read write"),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    finish(&world, &server.id, &begun.verifier).await.unwrap();
    let exchanged = &accounts.asked("token")[0];
    assert_eq!(exchanged["code"], "code-1");
    assert_eq!(exchanged["code_verifier"], begun.verifier);
    assert_eq!(exchanged["resource"], format!("{}/mcp", accounts.base));
    assert!(exchanged["authorization"].starts_with("Basic ") && !exchanged.contains_key("client_secret"));
    assert!(view(&world, &server.id).await.is_connected);
    assert_eq!(world.names(&scope).await, ["stub__mine"]);
    let stored = format!("{:?}", world.harness.storage.tokens.lock().unwrap());
    assert!(!stored.contains("canary"), "tokens are stored sealed");

    disconnect(&world, &server.id).await;
    assert_eq!(accounts.asked("revoke")[0]["token"], "refresh-canary-1");
    assert!(!view(&world, &server.id).await.is_connected);
    assert!(world.names(&scope).await.is_empty());
    disconnect(&world, &server.id).await;
    assert_eq!(accounts.asked("revoke").len(), 1, "there is nothing left to revoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_about_to_expire_is_renewed_once_however_many_want_it() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    let created = create(&world, &accounts).await.unwrap();
    let id = created.server.clone().unwrap().id;
    *accounts.life.lock().unwrap() = 5;
    let begun = begin(&world, &id).await;
    finish(&world, &id, &begun.verifier).await.unwrap();
    *accounts.life.lock().unwrap() = 3_600;
    let scope = scope(&created);
    let turns = futures::future::join_all((0..8).map(|_| world.names(&scope))).await;
    assert!(turns.iter().all(|names| names == &["stub__mine"]), "{turns:?}");
    let asked = accounts.asked("token");
    assert_eq!(asked.len(), 2, "one code, one renewal");
    assert_eq!(asked[1]["refresh_token"], "refresh-canary-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_can_never_be_renewed_asks_for_a_new_connection() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    let created = create(&world, &accounts).await.unwrap();
    let id = created.server.clone().unwrap().id;
    *accounts.life.lock().unwrap() = 1;
    let begun = begin(&world, &id).await;
    finish(&world, &id, &begun.verifier).await.unwrap();
    *accounts.refusal.lock().unwrap() = Some("invalid_grant");
    assert!(world.names(&scope(&created)).await.is_empty());
    assert_eq!(view(&world, &id).await.reconnect_reason, "invalid_grant");
    let asked = accounts.asked("token").len();
    assert!(world.names(&scope(&created)).await.is_empty());
    assert_eq!(accounts.asked("token").len(), asked, "it is not tried again");
    *accounts.refusal.lock().unwrap() = None;
    let begun = begin(&world, &id).await;
    finish(&world, &id, &begun.verifier).await.unwrap();
    assert!(view(&world, &id).await.reconnect_reason.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_or_exchanged_is_told_and_leaves_nothing() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    *accounts.issuer.lock().unwrap() = Some("https://elsewhere.example.com".to_owned());
    let refused = create(&world, &accounts).await.unwrap_err();
    assert!(
        refused.message().contains("does not say where its users sign in"),
        "{refused:?}"
    );
    assert!(world.harness.storage.servers.lock().unwrap().is_empty());
    *accounts.issuer.lock().unwrap() = None;
    let id = create(&world, &accounts).await.unwrap().server.unwrap().id;
    *accounts.refusal.lock().unwrap() = Some("access_denied");
    let begun = begin(&world, &id).await;
    let refused = finish(&world, &id, &begun.verifier).await.unwrap_err();
    assert!(refused.message().contains("access_denied"), "{refused:?}");
    assert!(world.harness.storage.tokens.lock().unwrap().is_empty());
    let plain = world.create_with(world.server(), McpSecrets::default()).await.unwrap();
    let message = BeginMcpOAuth2Request {
        server_id: plain.server.unwrap().id,
        access_url: ACCESS_URL.to_owned(),
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    let refused = world.harness.mcp.clone().begin_mcp_o_auth2(request).await.unwrap_err();
    assert!(refused.message().contains("asks for no account"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_is_stored_when_storage_is_back() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    let created = create(&world, &accounts).await.unwrap();
    let id = created.server.clone().unwrap().id;
    *accounts.life.lock().unwrap() = 5;
    let begun = begin(&world, &id).await;
    finish(&world, &id, &begun.verifier).await.unwrap();
    *accounts.life.lock().unwrap() = 3_600;
    *world.harness.storage.token_failures.lock().unwrap() = 3;
    assert_eq!(world.names(&scope(&created)).await, ["stub__mine"]);
    assert_eq!(*world.harness.storage.token_failures.lock().unwrap(), 0);
    assert_eq!(world.names(&scope(&created)).await, ["stub__mine"]);
    assert_eq!(
        accounts.asked("token").len(),
        2,
        "the refresh token that was taken back is not shown again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_registers_one_client() {
    let (world, accounts) = (World::start().await, Accounts::start().await);
    let mark = tandem_chassis::idempotency::Attempt::new("key-1", "fingerprint-1").unwrap();
    let attempt = async || {
        let server = McpServer {
            auth_type: McpAuthType::Oauth2.into(),
            url: format!("{}/mcp", accounts.base),
            ..world.server()
        };
        let message = CreateMcpServerRequest {
            server: Some(server),
            secrets: None,
            access_url: ACCESS_URL.to_owned(),
        };
        let mut request = world
            .harness
            .outbound
            .request(Some(&world.administrator), TIME, message);
        mark.attach(&mut request);
        let created = world.harness.mcp.clone().create_mcp_server(request).await.unwrap();
        created.into_inner().server.unwrap().server.unwrap()
    };
    let (first, second) = (attempt().await, attempt().await);
    assert_eq!(
        first.id, second.id,
        "browsers come back to the address that was registered"
    );
    assert_eq!(accounts.asked("register").len(), 1);
}
