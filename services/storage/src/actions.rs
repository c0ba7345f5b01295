//! Clients that do not return: turns that wait too long for a client's own tools, or for a person's word, are failed, by the database's
//! clock.

use std::time::Duration;

use tandem_chat_core::chat::Command;
use tandem_chat_core::error::ChatError;
use uuid::Uuid;

use crate::change::{Open, Payload};
use crate::db::{Pool, chats, in_time};
use crate::error::Error;
use crate::hints::Hints;

/// How often overdue chats are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Chats failed in one look.
const BATCH: i64 = 100;

/// Looks for overdue chats for ever. Any number of processes may do so: each chat is decided under its row lock.
pub(crate) async fn expire(pool: Pool, hints: Hints) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Err(error) = expire_due(&pool, &hints).await {
            tracing::warn!(%error, "could not look for clients that do not return");
        }
    }
}

async fn expire_due(pool: &Pool, hints: &Hints) -> Result<(), Error> {
    let look = async { chats::overdue(&mut *pool.acquire().await?, BATCH).await };
    for chat in in_time(look).await? {
        if let Err(error) = in_time(expire_one(pool, hints, chat)).await {
            tracing::warn!(chat_id = %chat, %error, "could not fail a chat whose client does not return");
        }
    }
    Ok(())
}

async fn expire_one(pool: &Pool, hints: &Hints, chat: Uuid) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    let Some(row) = chats::lock_if_free(&mut tx, chat).await? else {
        return Ok(());
    };
    let now = row.now;
    let mut open = Open::new(tx, row)?;
    let is_for_person = open.row.pending_tool_calls.iter().any(|call| call.approval.is_some());
    let text = if is_for_person {
        "Nobody approved the tool calls in time, so they did not run. Send a message to go on."
    } else {
        "The client did not return the results of its tools in time. Send a message to go on."
    };
    let payload = Payload {
        error: Some(ChatError::generic(text)),
        ..Payload::default()
    };
    if open.apply(&[Command::ExpireAction { now }], payload).await? {
        tracing::info!(chat_id = %chat, "a client did not return");
        open.commit(hints).await?;
    }
    Ok(())
}
