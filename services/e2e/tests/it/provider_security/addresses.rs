//! S07: whatever an address is written like, nothing inside the network is called by it, at any place where people enter addresses.

mod corpus;

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tandem_e2e::world::{Answer, World, id_of};
use tokio::{net::TcpListener, task::JoinSet};

use self::corpus::{Address, Told};
use crate::{Result, tell};

/// Listens at one port of all this machine's addresses and counts whoever comes.
struct Canary {
    port: u16,
    visits: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Canary {
    async fn start() -> Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let port = first.local_addr()?.port();
        // Where the machine has no IPv6 there is nothing to be reached by it either.
        let second = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await;
        let (visits, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for listener in std::iter::once(first).chain(second) {
            let visits = Arc::clone(&visits);
            tasks.spawn(async move {
                while listener.accept().await.is_ok() {
                    visits.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Ok(Self {
            port,
            visits,
            _tasks: tasks,
        })
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// The places where people enter addresses that this system then calls.
struct Doors<'a> {
    world: &'a World,
    /// A provider that is moved to each address.
    moving: String,
}

impl Doors<'_> {
    async fn create(&self, url: &str, number: usize) -> Result<Answer> {
        let body = json!({
            "type": "openai-compat", "name": format!("p{number}"), "display_name": "", "enabled": true, "base_url": url,
            "api_keys": ["sk-any-0123456789"],
        });
        self.world.rest().post("/api/v1/ai/providers", &body).await
    }

    async fn change(&self, url: &str) -> Result<Answer> {
        let path = format!("/api/v1/ai/providers/{}", self.moving);
        self.world.rest().patch(&path, &json!({ "base_url": url })).await
    }

    async fn test(&self, url: &str) -> Result<Answer> {
        let body = json!({ "type": "openai-compat", "base_url": url, "api_key": "sk-any-0123456789" });
        self.world.rest().post("/api/v1/ai/providers/test", &body).await
    }

    async fn mcp(&self, url: &str, number: usize) -> Result<Answer> {
        let body = json!({
            "display_name": "m", "slug": format!("m{number}"), "transport": "streamable_http", "url": url, "auth_type": "none",
            "availability": "default_off", "enabled": true,
        });
        self.world.rest().post("/api/v1/mcp/servers", &body).await
    }

    /// Signing in at a server: three addresses more.
    async fn oauth(&self, url: &str, number: usize) -> Result<[Answer; 2]> {
        let body = |auth: &str, token: &str, slug: String| {
            json!({
                "display_name": "m", "slug": slug, "transport": "streamable_http", "url": "https://mcp.example.com/mcp",
                "auth_type": "oauth2", "oauth2_client_id": "id", "oauth2_client_secret": "s", "oauth2_auth_url": auth,
                "oauth2_token_url": token, "availability": "default_off", "enabled": true,
            })
        };
        let path = "/api/v1/mcp/servers";
        let public = "https://login.example.com/o";
        Ok([
            self.world
                .rest()
                .post(path, &body(url, public, format!("a{number}")))
                .await?,
            self.world
                .rest()
                .post(path, &body(public, url, format!("t{number}")))
                .await?,
        ])
    }
}

/// Whether an answer refuses the address, by its field.
fn is_refused(answer: &Answer, field: &str) -> bool {
    let fields = answer.json["validations"].as_array().into_iter().flatten();
    answer.status == 400 && fields.map(|violation| &violation["field"]).any(|named| named == field)
}

async fn closed() -> Result<World> {
    let mut builder = World::builder()
        .without_provider()
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "0");
    for service in ["PROVIDER_GATEWAY", "TOOL_RUNNER"] {
        for setting in ["ALLOW_LOOPBACK", "ALLOW_PRIVATE_NETWORKS"] {
            builder = builder.env(format!("TANDEM_{service}__OUTBOUND__{setting}"), "false");
        }
    }
    builder.start().await
}

/// Says which of the places did what it should not.
async fn knock(doors: &Doors<'_>, address: &Address, number: usize) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let url = &address.url;
    let mut judge = |door: &str, is_right: bool, answer: &Answer| {
        if !is_right {
            wrong.push(format!("{door} {url}: {} {}", answer.status, answer.text));
        }
    };
    let is_named = address.told == Told::ByItsName;
    let answer = doors.create(url, number).await?;
    // A name says nothing until it is looked up, which is when it is called.
    judge(
        "create",
        if is_named {
            answer.status == 201
        } else {
            is_refused(&answer, "base_url")
        },
        &answer,
    );
    let answer = doors.change(url).await?;
    judge(
        "change",
        if is_named {
            answer.status == 200
        } else {
            is_refused(&answer, "base_url")
        },
        &answer,
    );
    let answer = doors.test(url).await?;
    let is_unreached = answer.status == 200 && answer.json["ok"] != true && answer.json["success"] != true;
    judge(
        "test",
        if is_named {
            is_unreached
        } else {
            is_refused(&answer, "base_url")
        },
        &answer,
    );
    let answer = doors.mcp(url, number).await?;
    if answer.status == 201 {
        let path = format!("/api/v1/mcp/servers/{}", id_of(&answer.json)?);
        let tools = doors.world.rest().get(&format!("{path}/tools")).await?;
        let is_unreached = tools.status != 200 || tools.json["health"]["outcome"] != "connected";
        judge("mcp", is_named && is_unreached, &tools);
        doors.world.rest().delete(&path).await?;
    } else {
        judge("mcp", !is_named && is_refused(&answer, "url"), &answer);
    }
    for answer in doors.oauth(url, number).await? {
        // Nothing is called before somebody signs in; what can be judged at once is.
        let path = answer.json["id"].as_str().map(|id| format!("/api/v1/mcp/servers/{id}"));
        judge(
            "oauth",
            if is_named {
                answer.status == 201
            } else {
                answer.status == 400
            },
            &answer,
        );
        if let Some(path) = path {
            doors.world.rest().delete(&path).await?;
        }
    }
    Ok(wrong)
}

#[tokio::test]
async fn s07_no_spelling_of_an_address_leads_inside_the_network() -> Result {
    let canary = Canary::start().await?;
    let corpus = corpus::addresses(canary.port);
    assert!(corpus.len() >= 150, "only {} addresses", corpus.len());
    let world = closed().await?;
    let moving = super::register(&world, "openai-compat", "moving", "https://models.example.com/v1", &[]).await?;
    let doors = Doors { world: &world, moving };
    let mut wrong = Vec::new();
    for (number, address) in corpus.iter().enumerate() {
        wrong.extend(knock(&doors, address, number).await?);
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert_eq!(canary.visits(), 0, "somebody came");
    tell(&format!("S07 {} addresses at 6 places: 0 connections", corpus.len()));
    Ok(())
}

/// With the defaults, which allow this machine and private networks: what serves credentials to whoever asks is refused all the same.
#[tokio::test]
async fn s07_metadata_services_are_never_called_whatever_is_allowed() -> Result {
    let world = World::start().await?;
    let moving = super::register(&world, "openai-compat", "moving", "https://models.example.com/v1", &[]).await?;
    let doors = Doors { world: &world, moving };
    for address in corpus::addresses(80).iter().filter(|address| address.is_never) {
        for answer in [doors.change(&address.url).await?, doors.test(&address.url).await?] {
            assert!(is_refused(&answer, "base_url"), "{}: {}", address.url, answer.text);
        }
    }
    Ok(())
}

/// A server that sends whoever asks elsewhere.
struct Redirector {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Redirector {
    async fn start(status: u16, location: String) -> Result<Self> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, asked) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let answer = format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = vec![0; 64 << 10];
                    // Whatever it asks for.
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Ok(Self {
            address,
            asked,
            _task: task,
        })
    }
}

/// S02 and S07: a redirect is told, not followed, wherever the request came from; so no key goes with it.
#[tokio::test]
async fn s02_redirects_are_not_followed_and_no_key_goes_with_them() -> Result {
    let (world, canary) = (World::start().await?, Canary::start().await?);
    let location = format!("http://127.0.0.1:{}/v1/chat/completions", canary.port);
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Redirector::start(status, location.clone()).await?;
        let base_url = format!("http://{}/v1", elsewhere.address);
        let name = format!("moved{status}");
        let provider = super::register(&world, "openai-compat", &name, &base_url, &["sk-canary-0123456789"]).await?;
        let model = world.register_model(&provider, "fake-model").await?;
        let id = super::chat_with(&world, &model, "Hello").await?;
        let chat = super::rested(&world, &id).await?;
        assert_eq!(
            (&chat["status"], &chat["last_error"]["kind"]),
            (&json!("error"), &json!("config")),
            "{status}: {chat}"
        );
        let asked = json!({ "provider_id": provider });
        let tested = world
            .rest()
            .post("/api/v1/ai/providers/test", &asked)
            .await?
            .expect(200)?;
        assert!(tested.to_string().contains("redirect"), "{status}: {tested}");
        let server = json!({
            "display_name": "m", "slug": name, "transport": "streamable_http", "url": format!("http://{}/mcp", elsewhere.address),
            "auth_type": "api_key", "api_key_header": "x-key", "api_key_value": "mcp-canary-0123456789", "availability": "default_off",
            "enabled": true,
        });
        let server = world.rest().post("/api/v1/mcp/servers", &server).await?.expect(201)?;
        let path = format!("/api/v1/mcp/servers/{}/tools", server["id"].as_str().context("an id")?);
        let tools: Value = world.rest().get(&path).await?.json;
        assert_ne!(tools["health"]["outcome"], "connected", "{status}: {tools}");
        assert!(
            elsewhere.asked.load(Ordering::SeqCst) >= 3,
            "{status}: each of them asked"
        );
    }
    assert_eq!(canary.visits(), 0, "somebody followed");
    assert!(!world.logs().contains("canary-0123"));
    Ok(())
}
