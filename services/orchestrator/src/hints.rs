//! Listening to storage: which chats to look at. What a hint says is never believed, only followed.

use std::sync::Arc;
use std::time::Duration;

use tandem_chassis::backoff::Backoff;
use tandem_proto::storage::v1::SubscribeHintsRequest;
use tonic::Status;

use crate::clients::Clients;
use crate::room::Hub;
use crate::worker::Worker;

const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// Follows the feed for ever, opening it again when it breaks.
pub(crate) async fn follow(clients: Clients, hub: Arc<Hub>, worker: Worker) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        if let Err(status) = follow_once(&clients, &hub, &worker, &mut backoff).await {
            tracing::warn!(code = ?status.code(), error = status.message(), "hints broke off, asking again");
        }
        // What was said meanwhile is not repeated.
        hub.alarm();
        worker.search();
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

async fn follow_once(clients: &Clients, hub: &Hub, worker: &Worker, backoff: &mut Backoff) -> Result<(), Status> {
    let request = clients
        .outbound
        .open_stream(None, OPEN_DEADLINE, SubscribeHintsRequest {});
    let mut hints = clients.feed.clone().subscribe_hints(request).await?.into_inner();
    hub.alarm();
    worker.search();
    while let Some(answer) = hints.message().await? {
        backoff.reset();
        if answer.is_gap {
            hub.alarm();
            worker.search();
        }
        for hint in answer.hints {
            hub.hint(&hint.chat_id, hint.version);
            if !hint.is_unwatched {
                hub.hint_owner(&hint.owner_id);
            }
            worker.look_at(&hint.chat_id, hint.version);
            if hint.is_runnable {
                worker.hear(&hint.chat_id, hint.version);
            }
        }
    }
    Ok(())
}
