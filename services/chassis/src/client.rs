//! The client side of every gRPC call: channels to an [`Address`], and requests that carry identity, deadline and
//! trace. Retrying is the caller's decision, because only it knows what is safe to repeat.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint, Uri},
};

use crate::{
    MAX_HEADER_BYTES,
    identity::{self, ServiceName, Signer, User},
    telemetry, tls,
    transport::{Address, memory},
};

mod replicas;

pub use replicas::Replicas;

/// Time to establish a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A silent connection is probed after the first, and given up when the probe is not answered within the second: a peer that vanished
/// without a word is noticed within 10 s.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Flow-control windows. One connection carries all calls between two services, so its window must hold many streams
/// whose readers are slow; a stream's own window bounds what one of them can hold.
pub const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Metadata key that says the deadline ends with the opening of the stream; see [`Outbound::open_stream`].
pub(crate) const DEADLINE_SCOPE: &str = "tandem-deadline-scope";
pub(crate) const DEADLINE_SCOPE_OPENING: &str = "opening";

/// Why a channel could not be made. Being unable to *reach* the address is not an error here: channels connect lazily.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("address {address} is not usable")]
    Address {
        address: Address,
        #[source]
        source: tonic::transport::Error,
    },
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("a service without an address cannot be called")]
    NoAddress,
}

/// Builds outgoing requests in the name of one service. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    signer: Signer,
    service: ServiceName,
}

impl Outbound {
    /// Requests signed by `signer`.
    pub fn new(signer: Signer) -> Self {
        let service = signer.service();
        Self { signer, service }
    }

    /// The service these requests come from.
    pub fn service(&self) -> ServiceName {
        self.service
    }

    /// A request for `user` (or for the service itself) that must be over, response stream included, within
    /// `deadline`. Carries identity, `grpc-timeout` and the W3C trace context of the current span.
    pub fn request<T>(&self, user: Option<&User>, deadline: Duration, message: T) -> Request<T> {
        let mut request = Request::new(message);
        match self.signer.authorization(user) {
            Ok(authorization) => {
                request.metadata_mut().insert("authorization", authorization);
            }
            // The server refuses the call as unauthenticated, which is the honest outcome for the caller too.
            Err(error) => tracing::error!(%error, "could not sign an outgoing request"),
        }
        request.set_timeout(deadline);
        telemetry::inject(request.metadata_mut());
        request
    }

    /// What a request asks for, as text that says nothing to others: for [`crate::idempotency::Attempt`]. See [`Signer::fingerprint`].
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn fingerprint(&self, bytes: &[u8]) -> Result<String, identity::Error> {
        self.signer.fingerprint(bytes)
    }

    /// Like [`Outbound::request`] for a stream that lives as long as both sides want (watching, links): `opening`
    /// bounds only the time until the server accepts it. Dead peers are noticed by keep-alive.
    pub fn open_stream<T>(&self, user: Option<&User>, opening: Duration, message: T) -> Request<T> {
        let mut request = self.request(user, opening, message);
        request.metadata_mut().insert(
            DEADLINE_SCOPE,
            MetadataValue::<Ascii>::from_static(DEADLINE_SCOPE_OPENING),
        );
        request
    }
}

/// A channel to `address`. Connects at first use and again after each break. `tls` matters for `https` only.
///
/// # Errors
/// Unreadable certificate files, or an address that is no URI.
pub fn channel(address: &Address, tls: &tls::ClientConfig) -> Result<Channel, Error> {
    match address {
        Address::Http { .. } => Ok(network_endpoint(address)?.connect_lazy()),
        Address::Https { .. } => {
            let endpoint = network_endpoint(address)?
                .tls_config(tls.load()?)
                .map_err(|source| Error::Address {
                    address: address.clone(),
                    source,
                })?;
            Ok(endpoint.connect_lazy())
        }
        Address::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
            });
            Ok(local_endpoint().connect_with_connector_lazy(connector))
        }
        Address::Memory(name) => {
            let name = name.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let name = name.clone();
                async move { memory::connect(&name).await.map(TokioIo::new) }
            });
            Ok(local_endpoint().connect_with_connector_lazy(connector))
        }
    }
}

fn network_endpoint(address: &Address) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(address.to_string()).map_err(|source| Error::Address {
        address: address.clone(),
        source,
    })?;
    Ok(common(endpoint)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// Sockets that cannot break half-way need no probes; the URI is a formality of HTTP/2.
fn local_endpoint() -> Endpoint {
    common(Endpoint::from_static("http://local.tandem"))
}

fn common(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
