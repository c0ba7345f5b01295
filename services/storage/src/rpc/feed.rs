//! `FeedService`: who to wake, and what happened to a user's chats.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use tandem_chassis::identity::Caller;
use tandem_chassis::status::Fault;
use tandem_proto::common::v1::WatchEvent;
use tandem_proto::storage::v1::feed_service_server::FeedService;
use tandem_proto::storage::v1::{
    ChatVersion, ListChatVersionsRequest, ListChatVersionsResponse, ListWatchEventsRequest, ListWatchEventsResponse,
    SubscribeHintsRequest, SubscribeHintsResponse,
};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::db::changes::{self, FeedPosition};
use crate::db::{Pool, chats};
use crate::error::Error;
use crate::hints::{Hints, News};

const MAX_EVENTS: i32 = 256;

/// The longest a change takes from its transaction's begin, by which its age counts, to its commit, at which readers see it.
const MAX_COMMIT_DELAY: Duration = Duration::from_secs(60);

/// Chats asked about at once.
const MAX_VERSIONS: usize = 10_000;

/// Hints handed to a subscriber at once.
const MAX_HINTS: usize = 256;

/// Serves [`FeedService`].
pub(crate) struct Feed {
    pool: Pool,
    hints: Hints,
    /// How long changes are kept.
    retention: Duration,
}

impl Feed {
    pub(crate) fn new(pool: Pool, hints: Hints, retention: Duration) -> Self {
        Self { pool, hints, retention }
    }

    async fn list(&self, user: Uuid, request: ListWatchEventsRequest) -> Result<ListWatchEventsResponse, Error> {
        let limit = match request.limit {
            0 => MAX_EVENTS,
            limit if (1..=MAX_EVENTS).contains(&limit) => limit,
            _ => return Err(convert::one("limit", &format!("must be 1 to {MAX_EVENTS}"))),
        };
        let asked = match request.after_cursor.as_str() {
            "" => None,
            text => Some(Cursor::parse(text, user)?),
        };
        let mut tx = self.pool.begin().await?;
        let end = changes::feed_end(&mut tx).await?;
        let now = end.now.unix_timestamp();
        let after = match asked {
            // A place that this database has not reached is one of a database that was set back since.
            Some(asked) if !asked.is_expired(now, self.retention) && asked.position.xid < end.first_unheard => asked,
            other => {
                tx.commit().await?;
                let next = Cursor {
                    position: end.position,
                    told: 0,
                    issued_at: now,
                    feed: user,
                };
                return Ok(ListWatchEventsResponse {
                    next_cursor: next.to_string(),
                    is_expired: other.is_some(),
                    ..ListWatchEventsResponse::default()
                });
            }
        };
        let rows = changes::feed(&mut tx, user, after.behind(), i64::from(limit)).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.chat_id).collect();
        let found = chats::by_ids(&mut tx, &ids, user).await?;
        tx.commit().await?;
        let shown: HashMap<Uuid, _> = found.iter().map(|row| (row.id, convert::chat(row))).collect();

        let limit = usize::try_from(limit).unwrap_or_default();
        let mut next = after;
        let mut events = Vec::new();
        for row in &rows {
            let told = if row.position == after.position { after.told } else { 0 };
            for (index, kind) in row.watch_kinds.iter().enumerate().skip(told) {
                if events.len() == limit {
                    break;
                }
                let is_last = index + 1 == row.watch_kinds.len();
                next.position = row.position;
                next.told = if is_last { 0 } else { index + 1 };
                if let Some(chat) = shown.get(&row.chat_id) {
                    events.push(WatchEvent {
                        kind: *kind,
                        chat: Some(chat.clone()),
                        cursor: next.to_string(),
                    });
                }
            }
        }
        if rows.len() < limit && events.len() < limit {
            // All there is was told, so what is missing is not older than this moment.
            next.issued_at = now;
        }
        Ok(ListWatchEventsResponse {
            events,
            next_cursor: next.to_string(),
            is_expired: false,
        })
    }
}

/// A reader's place in a feed, as text `w<xid>.<seq>.<told>.<issued_at>.<feed>`.
///
/// Nobody's cursor is good for another feed: behind it lies what its owner has not heard, and nothing says what the other has.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cursor {
    /// The change read last.
    position: FeedPosition,
    /// How many of that change's events were told; 0 = all of them.
    told: usize,
    /// When nothing behind it was left to tell, in seconds by the database's clock.
    issued_at: i64,
    /// Whose feed it is.
    feed: Uuid,
}

impl Cursor {
    /// The place behind which what is missing begins: a change of which a part was told is read again.
    fn behind(&self) -> FeedPosition {
        FeedPosition {
            seq: self.position.seq - i64::from(self.told > 0),
            ..self.position
        }
    }

    /// Whether a change behind it may have been dropped.
    fn is_expired(&self, now: i64, retention: Duration) -> bool {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let kept_since = now.saturating_sub(seconds(retention));
        self.issued_at.saturating_sub(seconds(MAX_COMMIT_DELAY)) < kept_since
    }

    /// A cursor of this user's feed.
    fn parse(text: &str, user: Uuid) -> Result<Self, Error> {
        let cursor = Self::read(text).ok_or_else(|| refused("The cursor is not one this server handed out."))?;
        if cursor.feed == user {
            Ok(cursor)
        } else {
            Err(refused("The cursor is one of another user's feed."))
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (numbers, feed) = text.strip_prefix('w')?.rsplit_once('.')?;
        let numbers: Vec<i64> = numbers.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let &[xid, seq, told, issued_at] = numbers.as_slice() else {
            return None;
        };
        (xid >= 0 && seq >= 0 && issued_at >= 0).then_some(Self {
            position: FeedPosition { xid, seq },
            told: usize::try_from(told).ok()?,
            issued_at,
            feed: Uuid::try_parse(feed).ok()?,
        })
    }
}

fn refused(why: &str) -> Error {
    Fault::invalid("INVALID_CURSOR", why)
        .violation(
            "after_cursor",
            "must be the cursor of an event of the caller's own feed",
        )
        .into()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FeedPosition { xid, seq } = self.position;
        let (told, issued_at, feed) = (self.told, self.issued_at, self.feed.simple());
        write!(f, "w{xid}.{seq}.{told}.{issued_at}.{feed}")
    }
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

    async fn list_chat_versions(
        &self,
        request: Request<ListChatVersionsRequest>,
    ) -> Result<Response<ListChatVersionsResponse>, Status> {
        authz::orchestrator(&request)?;
        let asked = request.into_inner().chat_ids;
        if asked.len() > MAX_VERSIONS {
            return Err(convert::one("chat_ids", "must not hold more than 10,000").into());
        }
        let list = async {
            let ids = asked.iter().map(|id| convert::id(id, "chat_ids"));
            let ids: Vec<Uuid> = ids.collect::<Result<_, Error>>()?;
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(chats::versions(&mut conn, &ids).await?)
        };
        let versions = list.await?.into_iter().map(|(id, version)| ChatVersion {
            chat_id: id.to_string(),
            version,
        });
        Ok(Response::new(ListChatVersionsResponse {
            versions: versions.collect(),
        }))
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn issued_at(issued_at: i64) -> Cursor {
        let position = FeedPosition { xid: 7, seq: i64::MAX };
        Cursor {
            position,
            told: 1,
            issued_at,
            feed: Uuid::from_u128(1),
        }
    }

    #[test]
    fn a_cursor_expires_before_what_is_behind_it_is_dropped() {
        let now = 100 * DAY;
        let is_expired = |age: i64| issued_at(now - age).is_expired(now, Duration::from_secs(7 * 86_400));
        assert_eq!([0, DAY, 7 * DAY - 60].map(is_expired), [false; 3]);
        assert_eq!([7 * DAY - 59, 7 * DAY, 99 * DAY].map(is_expired), [true; 3]);
        assert!(
            issued_at(now).is_expired(now, Duration::ZERO),
            "where nothing is kept, no cursor is any good"
        );
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_by_its_owner_only() {
        let cursor = issued_at(5);
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text, cursor.feed).ok(), Some(cursor));
        assert!(Cursor::parse(&text, Uuid::from_u128(2)).is_err());
        assert_eq!(cursor.behind().seq, i64::MAX - 1);
    }

    #[test]
    fn the_longest_cursor_is_within_what_the_contract_says() {
        let longest = Cursor {
            position: FeedPosition {
                xid: i64::MAX,
                seq: i64::MAX,
            },
            told: usize::MAX,
            issued_at: i64::MAX,
            feed: Uuid::max(),
        };
        assert!(longest.to_string().len() <= 128);
    }
}
