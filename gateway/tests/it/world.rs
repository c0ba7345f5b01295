//! A running gateway, its stubs, and a client for it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tandem_chassis::{
    Runtime,
    identity::{ServiceName, ServiceSecret},
    status::Fault,
    transport::{Address, Listener},
};
use tandem_gateway::{Config, Peers};
use tandem_proto::storage::v1::{AuthenticateRequest, AuthenticateResponse, BootstrapRequest, BootstrapResponse, User};
use tokio::{net::TcpStream, sync::oneshot};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, client::IntoClientRequest},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use uuid::Uuid;

use crate::stubs::Stubs;

pub const ADA: Uuid = Uuid::from_u128(0xada);
pub const ADMIN: Uuid = Uuid::from_u128(0xadd);
pub const ORGANIZATION: Uuid = Uuid::from_u128(0x0e6);
pub const CHAT: Uuid = Uuid::from_u128(0xc4a7);

/// Tokens the stubs know.
pub const ADAS_TOKEN: &str = "tdm_ada_secret";
pub const ADMINS_TOKEN: &str = "tdm_admin_secret";

/// Far longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const USERS: &str = "tandem.storage.v1.UserService";
pub const CHATS: &str = "tandem.storage.v1.ChatService";
pub const FILES: &str = "tandem.storage.v1.FileService";
pub const COMMANDS: &str = "tandem.orchestrator.v1.ChatCommandService";
pub const STREAMS: &str = "tandem.orchestrator.v1.ChatStreamService";

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct World {
    pub stubs: Stubs,
    pub runtime: Runtime,
    /// `http://127.0.0.1:port`
    pub base: String,
    pub setup_link: Option<String>,
    client: reqwest::Client,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// With another configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(plain_listener().await, change).await
    }

    /// With another configuration, behind a listener of the test's own.
    pub async fn start_on(listener: Listener, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_between(listener, memory_listener().await, change).await
    }

    /// With another configuration, and services behind a listener of the test's own.
    pub async fn start_between(listener: Listener, services: Listener, change: impl FnOnce(&mut Config)) -> Self {
        let (mut world, link) = Self::launch(listener, Some(services), change).await;
        world.setup_link = tokio::time::timeout(LIMIT, link).await.unwrap().ok();
        world
    }

    /// With nobody behind it.
    pub async fn alone() -> Self {
        Self::launch(plain_listener().await, None, |_| ()).await.0
    }

    async fn launch(
        listener: Listener,
        services: Option<Listener>,
        change: impl FnOnce(&mut Config),
    ) -> (Self, oneshot::Receiver<String>) {
        let process = Runtime::new(ServiceSecret::generate().unwrap());
        let runtime = process.for_service(ServiceName::Gateway);
        let stubs = Stubs::new(process.verifier());
        let peers = match services {
            Some(services) => {
                let address = services.address().clone();
                stubs.serve(services);
                address
            }
            None => Address::Memory(Uuid::new_v4().to_string()),
        };
        script_accounts(&stubs);
        let mut config = Config {
            peers: Peers {
                orchestrator: peers.clone(),
                storage: peers.clone(),
                provider_gateway: peers.clone(),
                tool_runner: peers,
            },
            ..Config::default()
        };
        change(&mut config);
        let base = listener.address().to_string();
        let (send, link) = oneshot::channel();
        tokio::spawn({
            let runtime = runtime.clone();
            async move {
                tandem_gateway::run(config, listener, runtime, Some(send))
                    .await
                    .unwrap()
            }
        });
        let world = Self {
            stubs,
            runtime,
            base,
            setup_link: None,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(LIMIT)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        };
        (world, link)
    }

    /// A request of nobody.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(ADAS_TOKEN)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        answer(self.request(method, path).bearer_auth(ADAS_TOKEN).json(body)).await
    }

    pub async fn raw(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        answer(self.request(method, path).bearer_auth(ADAS_TOKEN).body(body.into())).await
    }

    /// Opens a socket, or gives the status of the refusal.
    pub async fn socket(&self, path: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
        let url = format!("{}{path}", self.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.runtime.shutdown.stop();
    }
}

async fn memory_listener() -> Listener {
    let address = Address::Memory(Uuid::new_v4().to_string());
    Listener::bind(&address).await.unwrap()
}

pub async fn plain_listener() -> Listener {
    Listener::bind(&"http://127.0.0.1:0".parse().unwrap()).await.unwrap()
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

/// A user as storage describes them.
pub fn user(id: Uuid, name: &str, is_admin: bool) -> User {
    User {
        id: id.to_string(),
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        name: name.to_uppercase(),
        is_admin,
        status: 1,
        organization_ids: vec![ORGANIZATION.to_string()],
        has_password: true,
        ..User::default()
    }
}

fn script_accounts(stubs: &Stubs) {
    stubs.on(&format!("{USERS}/Bootstrap"), |_: BootstrapRequest| {
        Ok(BootstrapResponse {
            is_created: true,
            is_setup_code_active: true,
        })
    });
    stubs.on(&format!("{USERS}/Authenticate"), |request: AuthenticateRequest| {
        let account = match request.token.as_str() {
            ADAS_TOKEN => user(ADA, "ada", false),
            ADMINS_TOKEN => user(ADMIN, "admin", true),
            _ => return Err(Fault::unauthenticated("BAD_TOKEN", "the token is not valid")),
        };
        Ok(AuthenticateResponse {
            user: Some(account),
            credential_id: "session-1".to_owned(),
            is_session: true,
        })
    });
    stubs.on("grpc.health.v1.Health/Check", |_: HealthCheckRequest| {
        Ok(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        })
    });
}
