//! Connecting an account to an MCP server, as a browser does it.

use reqwest::{Method, header};
use tandem_chassis::status::Fault;
use tandem_proto::tool::v1::{
    BeginMcpOAuth2Request, BeginMcpOAuth2Response, FinishMcpOAuth2Request, FinishMcpOAuth2Response,
};

use crate::world::{ADAS_TOKEN, Answer, World, answer};

const MCP: &str = "tandem.tool.v1.McpAdminService";
const ID: &str = "5f3a1b6c-0000-4000-8000-000000000000";

fn path(rest: &str) -> String {
    format!("/api/experimental/mcp/servers/{ID}/oauth2/{rest}")
}

async fn world() -> World {
    let world = World::start().await;
    world
        .stubs
        .on(&format!("{MCP}/BeginMcpOAuth2"), |_: BeginMcpOAuth2Request| {
            Ok(BeginMcpOAuth2Response {
                authorization_url: "https://accounts.example.com/authorize?state=s1".to_owned(),
                state: "s1".to_owned(),
                verifier: "v1".to_owned(),
            })
        });
    world
        .stubs
        .on(&format!("{MCP}/FinishMcpOAuth2"), |request: FinishMcpOAuth2Request| {
            assert_eq!((request.server_id.as_str(), request.verifier.as_str()), (ID, "v1"));
            match request.code.as_str() {
                "good" => Ok(FinishMcpOAuth2Response {}),
                _ => Err(Fault::unavailable("MCP_EXCHANGE_FAILED", "The code is too old.")),
            }
        });
    world
}

async fn come_back(world: &World, query: &str, cookies: &str) -> Answer {
    let request = world
        .request(Method::GET, &path(&format!("callback?{query}")))
        .bearer_auth(ADAS_TOKEN)
        .header(header::COOKIE, cookies);
    answer(request).await
}

fn cookies() -> String {
    format!("mcp_oauth2_state_{ID}=s1; mcp_oauth2_verifier_{ID}=v1")
}

#[tokio::test]
async fn a_browser_is_sent_away_with_what_it_has_to_bring_back() {
    let world = world().await;
    let sent = world.get(&path("connect")).await;
    assert_eq!(sent.status, 307);
    assert_eq!(
        sent.headers[header::LOCATION],
        "https://accounts.example.com/authorize?state=s1"
    );
    let set: Vec<&str> = sent
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let rest = format!("Path={}; HttpOnly; SameSite=Lax; Max-Age=600", path("callback"));
    assert_eq!(
        set,
        [
            format!("mcp_oauth2_state_{ID}=s1; {rest}"),
            format!("mcp_oauth2_verifier_{ID}=v1; {rest}"),
        ]
    );
}

#[tokio::test]
async fn who_comes_back_with_both_is_connected_and_the_window_closes() {
    let world = world().await;
    let back = come_back(&world, "code=good&state=s1", &cookies()).await;
    assert_eq!(back.status, 200);
    assert!(
        back.text.contains("mcp-oauth2-complete") && back.text.contains(ID),
        "{}",
        back.text
    );
    let policy = back.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let nonce = back
        .text
        .split("nonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    assert!(
        policy.contains(&format!("'nonce-{nonce}'")) && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert_eq!(
        back.headers.get_all(header::SET_COOKIE).iter().count(),
        2,
        "both cookies are taken away"
    );
}

#[tokio::test]
async fn anything_else_is_refused_before_a_code_is_exchanged() {
    let world = world().await;
    for (query, cookies, status) in [
        ("code=good&state=other", cookies(), 400),
        ("code=good&state=s1", String::new(), 400),
        ("code=good", cookies(), 400),
        ("state=s1", cookies(), 400),
        ("error=access_denied&error_description=no&state=s1", cookies(), 400),
        ("code=old&state=s1", cookies(), 502),
    ] {
        let back = come_back(&world, query, &cookies).await;
        assert_eq!(back.status, status, "{query} {}", back.text);
    }
    let exchanged = world.stubs.calls("FinishMcpOAuth2").len();
    assert_eq!(exchanged, 1, "only the code that was good enough to try");
    let unsigned = answer(world.request(Method::GET, &path("connect"))).await;
    assert_eq!(unsigned.status, 401);
}

#[tokio::test]
async fn a_server_that_cannot_be_connected_to_is_the_askers_mistake() {
    let world = World::start().await;
    world.stubs.on(
        &format!("{MCP}/BeginMcpOAuth2"),
        |_: BeginMcpOAuth2Request| -> Result<BeginMcpOAuth2Response, Fault> {
            Err(Fault::wrong_state(
                "MCP_NOT_OAUTH2",
                "The MCP server asks for no account.",
            ))
        },
    );
    let refused = world.get(&path("connect")).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}
