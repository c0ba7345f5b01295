//! `FeedService`: who to wake, and what happened to a user's chats.

use std::collections::HashMap;
use std::pin::Pin;

use futures::Stream;
use sqlx::PgPool;
use tandem_chassis::identity::Caller;
use tandem_chassis::status::Fault;
use tandem_proto::common::v1::WatchEvent;
use tandem_proto::storage::v1::feed_service_server::FeedService;
use tandem_proto::storage::v1::{
    ListWatchEventsRequest, ListWatchEventsResponse, SubscribeHintsRequest, SubscribeHintsResponse,
};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::db::changes::{self, FeedPosition};
use crate::db::chats;
use crate::error::Error;
use crate::hints::{Hints, News};

const MAX_EVENTS: i64 = 256;

/// Hints handed to a subscriber at once.
const MAX_HINTS: usize = 256;

/// Serves [`FeedService`].
pub(crate) struct Feed {
    pool: PgPool,
    hints: Hints,
}

impl Feed {
    pub(crate) fn new(pool: PgPool, hints: Hints) -> Self {
        Self { pool, hints }
    }

    async fn list(&self, user: Uuid, request: ListWatchEventsRequest) -> Result<ListWatchEventsResponse, Error> {
        let mut tx = self.pool.begin().await?;
        if request.after_cursor.is_empty() {
            let end = changes::feed_end(&mut tx).await?;
            tx.commit().await?;
            return Ok(ListWatchEventsResponse {
                next_cursor: cursor(end),
                ..ListWatchEventsResponse::default()
            });
        }
        let after = parse(&request.after_cursor)?;
        let limit = i64::from(request.limit).clamp(0, MAX_EVENTS);
        let rows = changes::feed(&mut tx, user, after, if limit == 0 { MAX_EVENTS } else { limit }).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.chat_id).collect();
        let found = chats::by_ids(&mut tx, &ids, user).await?;
        tx.commit().await?;
        let now: HashMap<Uuid, _> = found.iter().map(|row| (row.id, convert::chat(row))).collect();
        let mut events = Vec::new();
        for row in &rows {
            let Some(chat) = now.get(&row.chat_id) else { continue };
            for (index, kind) in row.watch_kinds.iter().enumerate() {
                // Coming back behind the first of two events of one change shows that change again, which is harmless: events
                // carry the row as it is now.
                let is_last = index + 1 == row.watch_kinds.len();
                let position = if is_last {
                    row.position
                } else {
                    FeedPosition {
                        seq: row.position.seq - 1,
                        ..row.position
                    }
                };
                events.push(WatchEvent {
                    kind: *kind,
                    chat: Some(chat.clone()),
                    cursor: cursor(position),
                });
            }
        }
        let next = rows.last().map_or(after, |row| row.position);
        Ok(ListWatchEventsResponse {
            events,
            next_cursor: cursor(next),
            is_expired: false,
        })
    }
}

fn cursor(position: FeedPosition) -> String {
    format!("w{}.{}", position.xid, position.seq)
}

fn parse(text: &str) -> Result<FeedPosition, Error> {
    let parsed = text
        .strip_prefix('w')
        .and_then(|text| text.split_once('.'))
        .and_then(|(xid, seq)| {
            let (xid, seq): (i64, i64) = (xid.parse().ok()?, seq.parse().ok()?);
            (xid >= 0 && seq >= 0).then_some(FeedPosition { xid, seq })
        });
    parsed.ok_or_else(|| {
        Fault::invalid("INVALID_CURSOR", "The cursor is not one this server handed out.")
            .violation("after_cursor", "must be the cursor of an event")
            .into()
    })
}

type HintStream = Pin<Box<dyn Stream<Item = Result<SubscribeHintsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl FeedService for Feed {
    type SubscribeHintsStream = HintStream;

    async fn subscribe_hints(
        &self,
        request: Request<SubscribeHintsRequest>,
    ) -> Result<Response<Self::SubscribeHintsStream>, Status> {
        // Hints name chats of everybody: services only.
        if Caller::of(&request)?.user.is_some() {
            return Err(Fault::forbidden("SERVICES_ONLY", "Hints are for services.").into());
        }
        let news = self.hints.subscribe();
        let stream = futures::stream::unfold(news, |mut news| async move {
            let answer = next(&mut news).await?;
            Some((Ok(answer), news))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_watch_events(
        &self,
        request: Request<ListWatchEventsRequest>,
    ) -> Result<Response<ListWatchEventsResponse>, Status> {
        let user = authz::user(&request)?;
        Ok(Response::new(self.list(user, request.into_inner()).await?))
    }
}

/// Waits for news, then takes what else is there.
async fn next(news: &mut broadcast::Receiver<News>) -> Option<SubscribeHintsResponse> {
    let mut answer = SubscribeHintsResponse::default();
    match news.recv().await {
        Ok(first) => add(&mut answer, first),
        Err(RecvError::Lagged(_)) => answer.is_gap = true,
        Err(RecvError::Closed) => return None,
    }
    while answer.hints.len() < MAX_HINTS {
        match news.try_recv() {
            Ok(next) => add(&mut answer, next),
            Err(TryRecvError::Lagged(_)) => answer.is_gap = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Some(answer)
}

fn add(answer: &mut SubscribeHintsResponse, news: News) {
    match news {
        News::Hint(hint) => answer.hints.push(hint.to_wire()),
        News::Gap => answer.is_gap = true,
    }
}
