//! A connection to a service that breaks under a request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reqwest::Method;
use serde_json::json;
use tandem_chassis::transport::Address;
use tandem_proto::storage::v1::{
    CreateApiTokenRequest, CreateApiTokenResponse, ListApiTokensRequest, ListApiTokensResponse,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::world::{USERS, World, plain_listener};

/// Between the gateway and storage: drops the connection instead of passing the next answer on, once armed.
#[derive(Clone, Default)]
struct Scissors {
    is_armed: Arc<AtomicBool>,
}

impl Scissors {
    async fn stand_before(&self, target: &Address) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scissors = self.clone();
        let (_, target) = target.host_port().unwrap();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                tokio::spawn(scissors.clone().carry(near, far));
            }
        });
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    async fn carry(self, mut near: TcpStream, mut far: TcpStream) {
        let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
        loop {
            let is_open = tokio::select! {
                read = near.read(&mut asked) => match read {
                    Ok(length @ 1..) => far.write_all(&asked[..length]).await.is_ok(),
                    _ => false,
                },
                read = far.read(&mut answered) => match read {
                    Ok(_) if self.is_armed.swap(false, Ordering::SeqCst) => false,
                    Ok(length @ 1..) => near.write_all(&answered[..length]).await.is_ok(),
                    _ => false,
                },
            };
            if !is_open {
                return;
            }
        }
    }

    fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }
}

/// A gateway whose storage loses the connection whenever it answers for the first time.
async fn world() -> World {
    let scissors = Scissors::default();
    let services = plain_listener().await;
    let address = scissors.stand_before(services.address()).await;
    let gateway = plain_listener().await;
    let world = World::start_between(gateway, services, |config| config.peers.storage = address).await;
    let (reading, is_first_read) = (scissors.clone(), AtomicBool::new(true));
    world
        .stubs
        .on(&format!("{USERS}/ListApiTokens"), move |_: ListApiTokensRequest| {
            if is_first_read.swap(false, Ordering::SeqCst) {
                reading.arm();
            }
            Ok(ListApiTokensResponse::default())
        });
    let is_first_write = AtomicBool::new(true);
    world
        .stubs
        .on(&format!("{USERS}/CreateApiToken"), move |_: CreateApiTokenRequest| {
            if is_first_write.swap(false, Ordering::SeqCst) {
                scissors.arm();
            }
            Ok(CreateApiTokenResponse::default())
        });
    world
}

#[tokio::test]
async fn a_read_is_made_once_more() {
    let world = world().await;
    let got = world.get("/api/v1/users/me/keys/tokens").await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(world.stubs.calls("ListApiTokens").len(), 2);
}

#[tokio::test]
async fn a_write_is_not() {
    let world = world().await;
    let body = json!({ "token_name": "laptop" });
    let got = world.send(Method::POST, "/api/v1/users/me/keys/tokens", &body).await;
    assert_eq!(got.status, 503, "{}", got.text);
    assert_eq!(world.stubs.calls("CreateApiToken").len(), 1);
}
