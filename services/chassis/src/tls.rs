//! Certificates from PEM files, for listeners and clients. No files means no TLS on a listener, and the system's roots
//! on a client. A listener notices new files by itself; a client reads its own once, at start.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem;
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

mod acceptor;

pub use acceptor::Acceptor;

/// Why certificates could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("a client certificate needs both cert_file and key_file")]
    Incomplete,
    #[error("{path} holds no usable PEM")]
    Pem {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("certificate {cert_file} and key {key_file} cannot be used together")]
    Certificate {
        cert_file: PathBuf,
        key_file: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("{path} holds no certificate authority that can be used: {message}")]
    Authority { path: PathBuf, message: String },
}

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Certificate chain, leaf first, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// When set, clients must present a certificate signed by one of these (mTLS).
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

impl ServerConfig {
    /// Reads the files.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Incomplete`].
    pub fn load(&self) -> Result<Acceptor, Error> {
        install_default_provider();
        Acceptor::new(self.clone())
    }
}

/// TLS of a client. The default trusts what the system trusts and presents no certificate.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Trust these instead of the system's roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// Certificate to present (mTLS), PEM; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// Private key of `cert_file`, PEM.
    pub key_file: Option<PathBuf>,
    /// Name the server's certificate must carry, when it differs from the address.
    pub domain: Option<String>,
}

impl ClientConfig {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Incomplete`] for half an identity.
    pub fn load(&self) -> Result<ClientTlsConfig, Error> {
        install_default_provider();
        let mut config = ClientTlsConfig::new();
        config = match &self.ca_file {
            Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
            None => config.with_enabled_roots(),
        };
        match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                config = config.identity(Identity::from_pem(read(cert)?, read(key)?));
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return Err(Error::Incomplete),
        }
        if let Some(domain) = &self.domain {
            config = config.domain_name(domain.clone());
        }
        Ok(config)
    }
}

/// Makes aws-lc-rs the process's TLS provider. Call once in every `main`; further calls change nothing.
pub fn install_default_provider() {
    // An error means a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
