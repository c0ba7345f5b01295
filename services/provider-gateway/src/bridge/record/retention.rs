//! Deletes what has been kept long enough, also of users and providers that are gone. Any replica may do it; two at once do no harm.

use std::time::Duration;

use tandem_chassis::{client::Outbound, lifecycle::Shutdown, status::Fault, with_message_limits};
use tandem_proto::storage::v1::{PruneInterceptionsRequest, interception_service_client::InterceptionServiceClient};
use tonic::transport::Channel;

/// Storage keeps everything at least this long.
const MIN_RETENTION: Duration = Duration::from_secs(60 * 60);

/// Longer is for ever, which is said otherwise.
const MAX_RETENTION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Between two looks; the first is at the start.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Between two pieces of the same look, so that deleting is nothing others wait for.
const PAUSE: Duration = Duration::from_millis(200);

/// Time for storage to delete a piece.
const DEADLINE: Duration = Duration::from_secs(20);

/// Exchanges deleted at once, with all that was recorded of them.
const PIECE: i32 = 1_000;

/// How long exchanges are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge(prost_types::Duration);

/// What cannot be kept to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bridge.retention must be 0s, or from one hour to a hundred years")]
pub struct BadAge;

impl MaxAge {
    /// As configured; `None` for ever.
    ///
    /// # Errors
    /// [`BadAge`]: shorter than [`MIN_RETENTION`], or longer than [`MAX_RETENTION`].
    pub fn of(retention: Duration) -> Result<Option<Self>, BadAge> {
        if retention.is_zero() {
            return Ok(None);
        }
        if !(MIN_RETENTION..=MAX_RETENTION).contains(&retention) {
            return Err(BadAge);
        }
        let age = prost_types::Duration::try_from(retention).map_err(|_| BadAge)?;
        Ok(Some(Self(age)))
    }
}

/// Deletes exchanges that ended longer than `max_age` ago, until the service drains: then also in the middle of a piece.
pub async fn keep_to(max_age: MaxAge, outbound: Outbound, storage: Channel, shutdown: Shutdown) {
    tokio::select! {
        () = delete(max_age, outbound, storage) => {}
        () = shutdown.draining() => {}
    }
}

async fn delete(MaxAge(max_age): MaxAge, outbound: Outbound, storage: Channel) {
    let mut client = with_message_limits!(InterceptionServiceClient::new(storage));
    loop {
        let request = PruneInterceptionsRequest {
            max_age: Some(max_age),
            limit: PIECE,
        };
        let pruned = client
            .prune_interceptions(outbound.request(None, DEADLINE, request))
            .await;
        let pause = match pruned.map_err(Fault::from) {
            Ok(pruned) if pruned.get_ref().has_more => PAUSE,
            Ok(_) => INTERVAL,
            Err(fault) => {
                tracing::warn!(%fault, "old records of exchanges could not be deleted");
                INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tandem_chassis::{
        Runtime, client,
        identity::{ServiceName, ServiceSecret},
        tls::ClientConfig,
        transport::{Address, Listener},
    };

    use super::*;

    #[test]
    fn only_what_can_be_kept_to_is_taken() {
        assert_eq!(MaxAge::of(Duration::ZERO), Ok(None));
        let second = Duration::from_secs(1);
        for good in [MIN_RETENTION, MAX_RETENTION] {
            let seconds = i64::try_from(good.as_secs()).unwrap();
            let age = prost_types::Duration { seconds, nanos: 0 };
            assert_eq!(MaxAge::of(good), Ok(Some(MaxAge(age))));
        }
        for bad in [second, MIN_RETENTION - second, MAX_RETENTION + second, Duration::MAX] {
            assert_eq!(MaxAge::of(bad), Err(BadAge), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_drain_ends_it_while_storage_does_not_answer() {
        let address = Address::Memory("a storage that is silent".to_owned());
        let mut connections = Listener::bind(&address).await.unwrap().incoming();
        let storage = client::channel(&address, &ClientConfig::default()).unwrap();
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let (outbound, shutdown) = (runtime.outbound(ServiceName::ProviderGateway), runtime.shutdown.clone());
        let max_age = MaxAge::of(MIN_RETENTION).unwrap().unwrap();
        let keeping = tokio::spawn(keep_to(max_age, outbound, storage, shutdown.clone()));
        // It is called, and says nothing.
        let _silent = connections.next().await.unwrap().unwrap();
        assert!(!keeping.is_finished());
        shutdown.drain();
        let ended = tokio::time::timeout(DEADLINE / 4, keeping).await;
        ended.expect("long before the call's own deadline").unwrap();
    }
}
