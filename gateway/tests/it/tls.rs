//! The gateway's own listener with a certificate: REST, sockets, cookies.

use std::{path::Path, sync::Arc};

use reqwest::{Certificate, Method};
use serde_json::json;
use tandem_chassis::{
    status::Fault,
    tls::{Acceptor, ServerConfig},
    transport::Listener,
};
use tandem_proto::{
    orchestrator::v1::{WatchChatsRequest, WatchChatsResponse},
    storage::v1::{ListChatsRequest, ListChatsResponse, LoginRequest, LoginResponse, Session},
};
use tokio::{net::TcpStream, sync::mpsc::unbounded_channel};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName},
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::world::{ADA, ADAS_TOKEN, CHATS, LIMIT, STREAMS, USERS, World, answer, user};

/// A gateway behind a certificate for `localhost`, and what its clients trust.
struct Secured {
    world: World,
    trusted: CertificateDer<'static>,
    /// `https://localhost:port`
    base: String,
    _files: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let (acceptor, trusted) = issue(files.path());
        let address = "https://localhost:0".parse().unwrap();
        let listener = Listener::bind_with(&address, Some(acceptor)).await.unwrap();
        let world = World::start_on(listener, |_| ()).await;
        world.stubs.on(&format!("{CHATS}/ListChats"), |_: ListChatsRequest| {
            Ok(ListChatsResponse::default())
        });
        Self {
            base: world.base.clone(),
            world,
            trusted,
            _files: files,
        }
    }

    /// A client that speaks HTTP/1.1 only, or the best both know.
    fn client(&self, is_old: bool) -> reqwest::Client {
        let certificate = Certificate::from_der(&self.trusted).unwrap();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .tls_certs_only([certificate]);
        if is_old {
            builder = builder.http1_only();
        }
        builder.build().unwrap()
    }
}

fn issue(folder: &Path) -> (Acceptor, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = ServerConfig {
        cert_file: folder.join("cert.pem"),
        key_file: folder.join("key.pem"),
        client_ca_file: None,
    };
    std::fs::write(&config.cert_file, issued.cert.pem()).unwrap();
    std::fs::write(&config.key_file, issued.signing_key.serialize_pem()).unwrap();
    (config.load().unwrap(), issued.cert.der().clone())
}

#[tokio::test]
async fn rest_answers_over_tls_and_not_in_clear() {
    let secured = Secured::start().await;
    for (is_old, version) in [(true, reqwest::Version::HTTP_11), (false, reqwest::Version::HTTP_2)] {
        let request = secured.client(is_old).get(format!("{}/api/v1/chats", secured.base));
        let response = request.bearer_auth(ADAS_TOKEN).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
    }
    let plain = secured.base.replacen("https", "http", 1);
    let refused = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(refused.get(format!("{plain}/healthz")).send().await.is_err());
}

#[tokio::test]
async fn a_browser_signs_in_over_tls_and_its_cookie_stays_there() {
    let secured = Secured::start().await;
    secured.world.stubs.on(&format!("{USERS}/Login"), |_: LoginRequest| {
        Ok(LoginResponse {
            session: Some(Session {
                token: "tdm_session_secret".to_owned(),
                user: Some(user(ADA, "ada", false)),
                expires_at: Some(prost_types::Timestamp {
                    seconds: 32_503_680_000,
                    nanos: 0,
                }),
            }),
        })
    });
    let url = format!("{}/api/v1/users/login", secured.base);
    let login = secured
        .client(false)
        .request(Method::POST, url)
        .header("origin", &secured.base)
        .json(&json!({ "email": "ada@example.com", "password": "long enough" }));
    let got = answer(login).await;
    assert_eq!(got.status, 201, "{}", got.text);
    let cookie = got.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("tandem_session=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let link = secured.world.setup_link.as_deref().unwrap();
    assert!(link.starts_with(&format!("{}/setup", secured.base)), "{link}");
}

#[tokio::test]
async fn a_socket_opens_over_tls_for_pages_of_this_server_only() {
    let secured = Secured::start().await;
    // What the socket would show ends at once; that it opens is what counts here.
    let path = format!("{STREAMS}/WatchChats");
    secured.world.stubs.on_stream(&path, |_: WatchChatsRequest| {
        Ok(unbounded_channel::<Result<WatchChatsResponse, Fault>>().1)
    });
    let mut roots = RootCertStore::empty();
    roots.add(secured.trusted.clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let authority = secured.base.trim_start_matches("https://").to_owned();
    let mut statuses = Vec::new();
    for origin in [secured.base.clone(), secured.base.replacen("https", "http", 1)] {
        let stream = TcpStream::connect(&authority).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let url = format!("wss://{authority}/api/v1/chats/watch");
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        headers.insert("cookie", format!("tandem_session={ADAS_TOKEN}").parse().unwrap());
        statuses.push(match tokio_tungstenite::client_async(request, stream).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!(statuses, [101, 403]);
}
