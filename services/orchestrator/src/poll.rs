//! Looking after chats that are read here, in case a hint about one was lost: one question for all of them.

use std::sync::Arc;
use std::time::Duration;

use tandem_proto::storage::v1::ListChatVersionsRequest;
use tokio::time::MissedTickBehavior;

use crate::clients::{Clients, STORAGE_DEADLINE};
use crate::room::Hub;

/// How long silence is taken to mean that nothing happened.
const INTERVAL: Duration = Duration::from_secs(10);

/// Chats asked about at once.
const MAX_ASKED: usize = 10_000;

/// Asks for ever.
pub(crate) async fn poll(clients: Clients, hub: Arc<Hub>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for chat_ids in hub.read_chats().chunks(MAX_ASKED) {
            let message = ListChatVersionsRequest {
                chat_ids: chat_ids.to_vec(),
            };
            let request = clients.outbound.request(None, STORAGE_DEADLINE, message);
            match clients.feed.clone().list_chat_versions(request).await {
                Ok(answer) => {
                    for chat in answer.into_inner().versions {
                        hub.hint(&chat.chat_id, chat.version);
                    }
                }
                Err(status) => {
                    tracing::warn!(code = ?status.code(), error = status.message(), "could not look after chats that are read");
                }
            }
        }
    }
}
