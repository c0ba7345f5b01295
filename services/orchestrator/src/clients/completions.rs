//! Provider-gateway's replicas. A completion is a task of one of them: whoever continues or stops it asks that one.

use tandem_chassis::client::{Error, Replicas};
use tandem_chassis::transport::Address;
use tandem_chassis::{tls, with_message_limits};
use tandem_proto::provider::v1::completion_service_client::CompletionServiceClient;
use tonic::Status;
use tonic::transport::Channel;

/// A completion, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) completion_id: String,
    /// Of the replica; empty where an older record does not name it.
    pub(crate) address: String,
}

/// Clients of the replicas. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Completions(Replicas);

impl Completions {
    pub(crate) fn new(addresses: &[Address], tls: &tls::ClientConfig) -> Result<Self, Error> {
        Ok(Self(Replicas::new(addresses.to_vec(), tls.clone())?))
    }

    /// Where the next completion is to run.
    pub(crate) async fn choose(&self) -> String {
        self.0.choose().await.to_string()
    }

    /// The client of the replica that holds a completion, or is to hold it.
    ///
    /// # Errors
    /// Unavailable: the address cannot be used.
    pub(crate) async fn of(&self, held: &Held) -> Result<CompletionServiceClient<Channel>, Status> {
        let address = match held.address.as_str() {
            "" => self.0.choose().await,
            address => address.parse().map_err(unusable)?,
        };
        let channel = self.0.at(&address).map_err(unusable)?;
        Ok(with_message_limits!(CompletionServiceClient::new(channel)))
    }

    /// A replica could not be reached: the next completions go to others, if there are any.
    pub(crate) fn rest(&self, held: &Held) {
        if let Ok(address) = held.address.parse() {
            self.0.rest(&address);
        }
    }

    /// Whether a completion's replica is one of the service's no more, as far as names tell.
    pub(crate) async fn is_gone(&self, held: &Held) -> bool {
        match held.address.parse() {
            Ok(address) => self.0.is_gone(&address).await,
            Err(_) => false,
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("the replica's address cannot be used: {error}"))
}
