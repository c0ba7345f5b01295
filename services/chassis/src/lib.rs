//! What every Tandem service shares: how it reads its configuration, says who is calling, serves and calls gRPC,
//! reports errors, logs, counts, and stops.
//!
//! Nothing here knows a chat, a provider or a table: a thing belongs in this crate only if it would make sense in a
//! service about something else.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | file + environment into one checked struct |
//! | [`identity`] | the shared service secret, caller tokens, [`identity::Caller`] |
//! | [`client`] | outgoing requests and channels |
//! | [`server`] | the one server stack, layer by layer |
//! | [`transport`] | addresses and listeners: TCP, TLS, Unix socket, in memory |
//! | [`status`] | [`status::Fault`], the error every service speaks |
//! | [`idempotency`] | the mark of a request that may be sent again |
//! | [`mod@fault`] | points at which tests end or crash a process |
//! | [`lifecycle`] | drain, stop, signals, named tasks |
//! | [`runtime`] | the parts `run` of every service receives |
//! | [`outbound`], [`hop`] | HTTP to addresses that people have typed; headers that go no further than one connection |
//! | [`seal`] | secrets at rest |
//! | [`telemetry`], [`metrics`], [`health`], [`admin`] | what an operator sees |
//! | [`clock`], [`backoff`], [`tls`] | time, retries, certificates |

pub mod admin;
pub mod backoff;
pub mod client;
pub mod clock;
pub mod config;
pub mod fault;
pub mod health;
pub mod hop;
pub mod idempotency;
pub mod identity;
pub mod lifecycle;
pub mod metrics;
pub mod outbound;
pub mod runtime;
pub mod seal;
pub mod server;
pub mod sniff;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod transport;

pub use runtime::{RunError, Runtime};

/// Largest gRPC message either side sends or accepts, in bytes. Larger content travels as a stream.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Largest list of request or response headers either side accepts, in bytes. Holds a caller token of a user in some
/// hundred organisations, or the largest error.
pub const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Applies [`MAX_MESSAGE_BYTES`] to a generated client or server, both ways.
///
/// The setters are inherent methods of each generated type, so no function can do this:
/// `with_message_limits!(StorageServer::new(rpc))`, `with_message_limits!(StorageClient::new(channel))`.
#[macro_export]
macro_rules! with_message_limits {
    ($endpoint:expr) => {
        $endpoint
            .max_decoding_message_size($crate::MAX_MESSAGE_BYTES)
            .max_encoding_message_size($crate::MAX_MESSAGE_BYTES)
    };
}
