//! Where services meet: addresses as text, and listeners bound to them. What travels over a connection is the business
//! of [`crate::server`] and [`crate::client`].

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod http;
mod listener;
pub(crate) mod memory;

pub use http::HttpListener;
pub use listener::{Connection, Incoming, Listener};

/// Where a service listens or is reached.
///
/// | text | meaning |
/// |---|---|
/// | `http://host:port` | TCP; port 0 lets the system choose when listening |
/// | `https://host:port` | TCP with TLS |
/// | `unix:/absolute/path` | Unix socket |
/// | `memory:name` | a listener of that name in this process |
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Address {
    Http { host: String, port: u16 },
    Https { host: String, port: u16 },
    Unix(PathBuf),
    Memory(String),
}

/// The text is no [`Address`].
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no address; write http://host:port, https://host:port, unix:/path or memory:name")]
pub struct InvalidAddress {
    text: String,
}

impl Address {
    /// The host and port of a TCP address.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        match self {
            Self::Http { host, port } | Self::Https { host, port } => Some((host, *port)),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress {
            text: text.chars().take(200).collect(),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(invalid)?;
        match scheme {
            "http" | "https" => {
                let url = url::Url::parse(text).map_err(|_| invalid())?;
                let is_bare = matches!(url.path(), "" | "/")
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none();
                let host = url.host_str().filter(|_| is_bare).ok_or_else(invalid)?;
                let host = host.to_owned();
                let port = url.port_or_known_default().ok_or_else(invalid)?;
                Ok(match scheme {
                    "http" => Self::Http { host, port },
                    _ => Self::Https { host, port },
                })
            }
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "memory" if !rest.is_empty() => Ok(Self::Memory(rest.to_owned())),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Memory(name) => write!(f, "memory:{name}"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
