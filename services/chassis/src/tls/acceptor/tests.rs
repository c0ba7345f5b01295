use std::{net::Ipv4Addr, path::PathBuf};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls::install_default_provider;

const NAME: &str = "tandem.test";

/// A directory with the files of a listener.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        install_default_provider();
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> ServerConfig {
        ServerConfig {
            cert_file: self.path("cert.pem"),
            key_file: self.path("key.pem"),
            client_ca_file: None,
        }
    }

    /// Replaces both files with a new certificate, as renewal does; the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        self.replace("cert.pem", &issued.cert.pem());
        self.replace("key.pem", &issued.signing_key.serialize_pem());
        issued.cert.der().clone()
    }

    /// A new file under the name, so that its inode differs even where clocks are coarse.
    fn replace(&self, name: &str, text: &str) {
        let new = self.path("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }
}

/// The certificate a client that trusts `trusted` is shown.
async fn shown(acceptor: &Acceptor, trusted: &CertificateDer<'static>) -> std::io::Result<CertificateDer<'static>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor.clone();
    let serving = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await });
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let client = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    serving.await.unwrap()?;
    Ok(client.get_ref().1.peer_certificates().unwrap()[0].clone())
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client() {
    let files = Files::new();
    let first = files.renew();
    let acceptor = Acceptor::looking_every(Duration::ZERO, files.config()).unwrap();
    assert_eq!(shown(&acceptor, &first).await.unwrap(), first);

    let second = files.renew();

    assert_eq!(shown(&acceptor, &second).await.unwrap(), second);
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_certificate_in_place() {
    let files = Files::new();
    let first = files.renew();
    let acceptor = Acceptor::looking_every(Duration::ZERO, files.config()).unwrap();

    files.replace("cert.pem", "half a certific");
    assert_eq!(shown(&acceptor, &first).await.unwrap(), first);
    let other = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    files.replace("cert.pem", &other.cert.pem());
    assert_eq!(
        shown(&acceptor, &first).await.unwrap(),
        first,
        "its key is not there yet"
    );

    files.replace("key.pem", &other.signing_key.serialize_pem());
    assert_eq!(shown(&acceptor, other.cert.der()).await.unwrap(), *other.cert.der());
}

#[tokio::test]
async fn the_files_are_not_looked_at_for_every_client() {
    let files = Files::new();
    let first = files.renew();
    let acceptor = Acceptor::new(files.config()).unwrap();
    files.renew();
    assert_eq!(shown(&acceptor, &first).await.unwrap(), first);
}

#[test]
fn a_start_with_unusable_files_says_which() {
    let files = Files::new();
    let said = |files: &Files| files.config().load().unwrap_err().to_string();
    assert_eq!(
        said(&files),
        format!("could not read {}", files.path("cert.pem").display())
    );

    files.renew();
    files.replace("key.pem", "no key");
    assert_eq!(
        said(&files),
        format!("{} holds no usable PEM", files.path("key.pem").display())
    );

    let other = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    files.replace("key.pem", &other.signing_key.serialize_pem());
    assert!(said(&files).ends_with("cannot be used together"), "{}", said(&files));

    files.replace("cert.pem", "");
    assert!(said(&files).ends_with("cannot be used together"), "{}", said(&files));
}
