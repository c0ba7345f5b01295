//! Deletes what has been kept long enough, also of users and providers that are gone. Any replica may do it; two at once do no harm.

use std::time::Duration;

use tandem_chassis::{client::Outbound, lifecycle::Shutdown, status::Fault, with_message_limits};
use tandem_proto::storage::v1::{PruneInterceptionsRequest, interception_service_client::InterceptionServiceClient};
use tonic::transport::Channel;

/// Storage keeps everything at least this long.
pub const MIN_RETENTION: Duration = Duration::from_secs(60 * 60);

/// Between two looks; the first is at the start.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Between two pieces of the same look, so that deleting is nothing others wait for.
const PAUSE: Duration = Duration::from_millis(200);

/// Time for storage to delete a piece.
const DEADLINE: Duration = Duration::from_secs(20);

/// Exchanges deleted at once, with all that was recorded of them.
const PIECE: i32 = 1_000;

/// Deletes exchanges that ended longer than `max_age` ago, until the service drains. Shorter than [`MIN_RETENTION`] counts as that.
pub async fn keep_to(max_age: Duration, outbound: Outbound, storage: Channel, shutdown: Shutdown) {
    let mut client = with_message_limits!(InterceptionServiceClient::new(storage));
    let max_age = prost_types::Duration::try_from(max_age.max(MIN_RETENTION)).ok();
    loop {
        let request = PruneInterceptionsRequest { max_age, limit: PIECE };
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
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.draining() => return,
        }
    }
}
