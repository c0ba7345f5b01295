//! Why an orchestrator could not start. Failures of turns are data (`ChatError`), failures of calls are the callee's status.

/// Why [`crate::run`] ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address or certificate that cannot be used.
    #[error("a peer's address cannot be used")]
    Peer(#[from] tandem_chassis::client::Error),
    /// The server could not start or ended.
    #[error("the server could not run")]
    Server(#[from] tandem_chassis::server::Error),
}
