//! Tokens of agents that storage knows: those of users' own hosts, and those of pods.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tandem_chassis::status::Fault;
use tonic::Status;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// A token that names its workspace, so that it is all an agent has to be told.
///
/// # Errors
/// There is no source of randomness.
pub(crate) fn new(workspace_id: &str) -> Result<SecretString, Status> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Fault::internal("NO_RANDOMNESS", error))?;
    Ok(SecretString::from(format!(
        "tandem_agent_{workspace_id}_{}",
        hex::encode(bytes)
    )))
}

/// What storage keeps of a token.
pub(crate) fn hash(token: &SecretString) -> Vec<u8> {
    Sha256::digest(token.expose_secret().as_bytes()).to_vec()
}
