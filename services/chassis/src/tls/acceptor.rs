//! Handshakes of a listener, with the certificate its files hold now.
//!
//! Whoever renews certificates replaces files. The first connection after [`LOOK_INTERVAL`] looks whether they changed;
//! files that cannot be used leave the certificate before them in place and are said once, not at each look.

use std::{
    fmt,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Error, ServerConfig, read};

/// Time a client has for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at the files.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What is spoken within: gRPC needs HTTP/2, WebSockets HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The server's side of TLS. Cheap to clone; clones share the certificate.
#[derive(Clone)]
pub struct Acceptor(Arc<Shared>);

struct Shared {
    files: ServerConfig,
    look_interval: Duration,
    state: Mutex<State>,
}

struct State {
    config: Arc<rustls::ServerConfig>,
    /// The files as last looked at, whether they could be used or not.
    seen: Vec<Option<Stamp>>,
    looked_at: Instant,
}

/// What tells one version of a file from another: device, inode, modification time, size.
type Stamp = (u64, u64, i64, i64, u64);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.0.files).finish()
    }
}

impl Acceptor {
    pub(super) fn new(files: ServerConfig) -> Result<Self, Error> {
        Self::looking_every(LOOK_INTERVAL, files)
    }

    fn looking_every(look_interval: Duration, files: ServerConfig) -> Result<Self, Error> {
        // Before reading: a change in between is then seen at the next look.
        let seen = stamps(&files);
        let config = Arc::new(build(&files)?);
        Ok(Self(Arc::new(Shared {
            files,
            look_interval,
            state: Mutex::new(State {
                config,
                seen,
                looked_at: Instant::now(),
            }),
        })))
    }

    /// Speaks TLS on `stream`, within [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    /// `TimedOut`, or what is wrong with the client's side.
    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let handshake = async {
            let config = self.current().await;
            TlsAcceptor::from(config).accept(stream).await
        };
        tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await?
    }

    /// The certificate for the next connection.
    async fn current(&self) -> Arc<rustls::ServerConfig> {
        {
            let mut state = self.lock();
            if state.looked_at.elapsed() < self.0.look_interval {
                return Arc::clone(&state.config);
            }
            state.looked_at = Instant::now();
        }
        let looking = self.clone();
        // It fails only when the runtime ends; the certificate stays then.
        let _ = tokio::task::spawn_blocking(move || looking.look()).await;
        Arc::clone(&self.lock().config)
    }

    fn look(&self) {
        let files = &self.0.files;
        let now = stamps(files);
        if self.lock().seen == now {
            return;
        }
        let built = build(files);
        let mut state = self.lock();
        state.seen = now;
        match built {
            Ok(config) => {
                state.config = Arc::new(config);
                tracing::info!(cert_file = %files.cert_file.display(), "certificate read anew");
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the changed certificate files cannot be used; the certificate before them stays"
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(files: &ServerConfig) -> Result<rustls::ServerConfig, Error> {
    let chain = certificates(&files.cert_file)?;
    let key = read(&files.key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|source| Error::Pem {
        path: files.key_file.clone(),
        source,
    })?;
    let builder = rustls::ServerConfig::builder();
    let builder = match &files.client_ca_file {
        Some(path) => builder.with_client_cert_verifier(verifier(path)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| Error::Certificate {
            cert_file: files.cert_file.clone(),
            key_file: files.key_file.clone(),
            source,
        })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Demands a certificate signed by one of those in `path`.
fn verifier(path: &Path) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Error> {
    let unusable = |message: String| Error::Authority {
        path: path.to_owned(),
        message,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|source| Error::Pem {
            path: path.to_owned(),
            source,
        })
}

fn stamps(files: &ServerConfig) -> Vec<Option<Stamp>> {
    [&files.cert_file, &files.key_file]
        .into_iter()
        .chain(&files.client_ca_file)
        .map(|path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
        })
        .collect()
}

#[cfg(test)]
mod tests;
