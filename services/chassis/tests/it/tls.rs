//! Services behind certificates of a private authority, as an operator sets them up.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tandem_chassis::{
    Runtime, client,
    identity::{ServiceName, ServiceSecret},
    server::{self, Server},
    status::{Code, Fault},
    tls::{ClientConfig, ServerConfig},
    transport::{Address, Listener},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const LIMIT: Duration = Duration::from_secs(10);
const NAME: &str = "tandem.internal";

/// A private authority that writes what it issues into a folder.
struct Authority {
    folder: PathBuf,
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self {
            folder: folder.to_owned(),
            name,
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate.
    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A certificate for [`NAME`] and its key, as files.
    fn issue(&self, holder: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.folder.join(format!("{}-{holder}.{kind}", self.name));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }
}

/// A service that listens with TLS.
struct Service {
    address: Address,
    runtime: Runtime,
    serving: JoinHandle<Result<(), server::Error>>,
}

impl Service {
    async fn start(authority: &Authority, client_ca_file: Option<PathBuf>) -> Self {
        let (cert_file, key_file) = authority.issue("service");
        let config = ServerConfig {
            cert_file,
            key_file,
            client_ca_file,
        };
        let address = "https://127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind_with(&address, Some(config.load().unwrap()))
            .await
            .unwrap();
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        runtime.health.set_serving(true);
        let address = listener.address().clone();
        let server = Server::new(ServiceName::Storage, &runtime);
        let serving = tokio::spawn(server.serve(listener, runtime.shutdown.draining()));
        Self {
            address,
            runtime,
            serving,
        }
    }

    /// Asks for its health as a client with `config`.
    async fn ask(&self, config: &ClientConfig) -> Result<ServingStatus, Fault> {
        let mut client = HealthClient::new(client::channel(&self.address, config).unwrap());
        let asked = client.check(HealthCheckRequest::default());
        let answer = tokio::time::timeout(LIMIT, asked).await.unwrap().map_err(Fault::from)?;
        Ok(answer.into_inner().status())
    }
}

fn trusting(authority: &Authority) -> ClientConfig {
    ClientConfig {
        ca_file: Some(authority.file()),
        domain: Some(NAME.to_owned()),
        ..ClientConfig::default()
    }
}

#[tokio::test]
async fn a_client_reaches_only_the_service_its_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let (house, stranger) = (
        Authority::new(folder.path(), "house"),
        Authority::new(folder.path(), "stranger"),
    );
    let service = Service::start(&house, None).await;

    assert_eq!(service.ask(&trusting(&house)).await.unwrap(), ServingStatus::Serving);

    let other_name = ClientConfig {
        domain: Some("elsewhere.internal".to_owned()),
        ..trusting(&house)
    };
    let public_only = ClientConfig {
        ca_file: None,
        ..trusting(&house)
    };
    for refused in [trusting(&stranger), other_name, public_only] {
        assert_eq!(service.ask(&refused).await.unwrap_err().code, Code::Unavailable);
    }
    let plain = Address::Http {
        host: "127.0.0.1".to_owned(),
        port: service.address.host_port().unwrap().1,
    };
    let mut client = HealthClient::new(client::channel(&plain, &ClientConfig::default()).unwrap());
    assert!(
        client.check(HealthCheckRequest::default()).await.is_err(),
        "without TLS"
    );
}

#[tokio::test]
async fn a_service_that_asks_for_certificates_admits_only_those_of_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (house, stranger) = (
        Authority::new(folder.path(), "house"),
        Authority::new(folder.path(), "stranger"),
    );
    let service = Service::start(&house, Some(house.file())).await;
    let with = |authority: &Authority| {
        let (cert_file, key_file) = authority.issue("client");
        ClientConfig {
            cert_file: Some(cert_file),
            key_file: Some(key_file),
            ..trusting(&house)
        }
    };

    assert_eq!(service.ask(&with(&house)).await.unwrap(), ServingStatus::Serving);

    for refused in [trusting(&house), with(&stranger)] {
        assert_eq!(service.ask(&refused).await.unwrap_err().code, Code::Unavailable);
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let house = Authority::new(folder.path(), "house");
    let service = Service::start(&house, None).await;
    let port = service.address.host_port().unwrap().1;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }

    assert_eq!(service.ask(&trusting(&house)).await.unwrap(), ServingStatus::Serving);

    service.runtime.shutdown.drain();
    let ended = tokio::time::timeout(LIMIT, service.serving).await;
    ended
        .expect("unfinished handshakes do not hold a drain up")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn https_without_a_certificate_is_not_served_in_clear() {
    let refused = Listener::bind(&"https://127.0.0.1:0".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("needs a certificate"), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_a_listeners_own_is_shown_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = Authority::new(folder.path(), "own").issue("listener");
    let own = ServerConfig {
        cert_file,
        key_file,
        client_ca_file: None,
    };
    let bind = async |address: &str, own| Listener::bind_certified(&address.parse().unwrap(), own).await;
    let bound = bind("https://127.0.0.1:0", Some(&own)).await.unwrap();
    assert!(matches!(bound.address(), Address::Https { .. }));
    assert!(bind("http://127.0.0.1:0", None).await.is_ok());
    for (address, own, why) in [
        ("http://127.0.0.1:0", Some(&own), "is no https address"),
        ("https://127.0.0.1:0", None, "needs a certificate"),
    ] {
        let refused = bind(address, own).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(why), "{refused}");
    }
}
