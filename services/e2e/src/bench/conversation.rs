//! One chat as its user drives it: a WebSocket that is read all the time, messages sent over REST, and the instants of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use super::model::{ClockedModel, Exchange, Mark};
use crate::world::{User, text};

/// The longest a turn may take. Reaching it ends the benchmark: a hanging turn is no figure.
const TURN_LIMIT: Duration = Duration::from_secs(60);
/// Time to connect and upgrade.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// A WebSocket to the system.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One turn, as instants of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Just before the message was posted.
    pub posted: Instant,
    /// The post was answered.
    pub accepted: Instant,
    /// The model's side.
    pub model: Exchange,
    /// The first part of the answer was there.
    pub first_part: Instant,
    /// The status said that the chat waits again.
    pub settled: Instant,
}

impl Turn {
    /// From the post to the complete request at the model.
    pub fn to_model(&self) -> Duration {
        self.model.asked - self.posted
    }

    /// From the model's first byte to the first part at the reader.
    pub fn from_model(&self) -> Duration {
        self.first_part - self.model.answered
    }

    /// What the system adds to the time to the first token.
    pub fn added_first(&self) -> Duration {
        self.to_model() + self.from_model()
    }

    /// What the system adds to the whole turn.
    pub fn added_whole(&self) -> Duration {
        self.to_model() + (self.settled - self.model.finished)
    }
}

/// A chat with its reader.
pub struct Conversation {
    user: User,
    chat_id: String,
    socket: Socket,
}

impl Conversation {
    /// Creates a chat, whose first message makes its first turn, and opens its stream; returns when the turn is over.
    ///
    /// # Errors
    /// When the chat is not created or its first turn does not end well.
    pub async fn create(user: &User, model: &ClockedModel, mark: Mark) -> anyhow::Result<Self> {
        let (chat_id, socket) = begin(user, mark).await?;
        let mut conversation = Self {
            user: user.clone(),
            chat_id,
            socket,
        };
        conversation.follow_turn().await?;
        model.take(mark)?;
        Ok(conversation)
    }

    /// Reads on while nothing is expected: whoever does not read answers no pings, and is sent away.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        let reading = async {
            while let Some(message) = self.socket.next().await {
                message?;
            }
            bail!("the connection ended while nothing happened")
        };
        tokio::time::timeout(time, reading).await.unwrap_or(Ok(()))
    }

    /// Sends a message and follows its turn to the end.
    ///
    /// # Errors
    /// When the message is refused, or the turn fails or hangs.
    pub async fn turn(&mut self, model: &ClockedModel, mark: Mark) -> anyhow::Result<Turn> {
        let path = format!("/api/v1/chats/{}/messages", self.chat_id);
        let body = json!({ "content": text(&mark.text()) });
        let rest = self.user.rest.clone();
        let posted = Instant::now();
        let post = async {
            rest.post(&path, &body).await?.expect(200)?;
            anyhow::Ok(Instant::now())
        };
        let (accepted, followed) = tokio::try_join!(post, self.follow_turn())?;
        Ok(Turn {
            posted,
            accepted,
            model: model.take(mark)?,
            first_part: followed.first_part.unwrap_or(followed.settled),
            settled: followed.settled,
        })
    }

    /// The chat's id.
    pub fn id(&self) -> &str {
        &self.chat_id
    }

    async fn follow_turn(&mut self) -> anyhow::Result<Followed> {
        let mut following = Following::default();
        let take = |frame: &Value, now| following.apply(frame, now);
        read_turn(&mut self.socket, &self.chat_id, TURN_LIMIT, take).await
    }
}

/// What a reader saw of a turn.
struct Followed {
    /// Missing when the reader came after it.
    first_part: Option<Instant>,
    settled: Instant,
}

/// A turn being followed.
#[derive(Default)]
struct Following {
    first_part: Option<Instant>,
    is_answered: bool,
}

impl Following {
    /// Takes a frame in; the whole turn when it was the last one.
    fn apply(&mut self, frame: &Value, now: Instant) -> anyhow::Result<Option<Followed>> {
        for event in frame.as_array().context("a frame is an array of events")? {
            match event["type"].as_str().unwrap_or_default() {
                "message_part" => _ = self.first_part.get_or_insert(now),
                "message" if event["message"]["role"] == "user" => self.is_answered = false,
                "message" => self.is_answered = true,
                "error" => bail!("a turn failed: {event}"),
                _ => {}
            }
        }
        // The status may stand before the messages, as it does in a snapshot.
        let is_waiting = frame.as_array().is_some_and(|events| {
            let mut statuses = events.iter().rev().filter(|event| event["type"] == "status");
            statuses
                .next()
                .is_some_and(|event| event["status"]["status"] == "waiting")
        });
        Ok((is_waiting && self.is_answered).then_some(Followed {
            first_part: self.first_part,
            settled: now,
        }))
    }
}

/// Creates a chat, whose marked first message makes its first turn, and opens a reader of it; its id comes with that.
///
/// # Errors
/// When the chat is not created or its stream does not open.
pub async fn begin(user: &User, mark: Mark) -> anyhow::Result<(String, Socket)> {
    let body = json!({ "organization_id": user.organization_id, "content": text(&mark.text()) });
    let chat = user.rest.post("/api/v1/chats", &body).await?.expect(201)?;
    let chat_id = chat["id"].as_str().context("a chat has an id")?.to_owned();
    let socket = open(user, &chat_id).await?;
    Ok((chat_id, socket))
}

/// Reads the frames of a turn, each with the instant when it was there, until `take` makes something of one.
///
/// # Errors
/// When `take` fails, the stream ends, or the turn takes longer than `limit`.
pub async fn read_turn<T>(
    socket: &mut Socket,
    chat_id: &str,
    limit: Duration,
    mut take: impl FnMut(&Value, Instant) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let reading = async {
        loop {
            let Some(frame) = socket.next().await else {
                bail!("the stream of chat {chat_id} ended in a turn");
            };
            let now = Instant::now();
            if let Message::Text(text) = frame?
                && let Some(taken) = take(&serde_json::from_str(&text)?, now)?
            {
                return Ok(taken);
            }
        }
    };
    let outcome = timeout(limit, reading).await;
    outcome.with_context(|| format!("a turn of chat {chat_id} takes longer than {limit:?}"))?
}

/// Opens a reader of a chat.
///
/// # Errors
/// When the upgrade is refused.
pub async fn open(user: &User, chat_id: &str) -> anyhow::Result<Socket> {
    open_behind(user, chat_id, None).await
}

/// Opens a reader of a chat behind an event it knows.
///
/// # Errors
/// When the upgrade is refused.
pub async fn open_behind(user: &User, chat_id: &str, cursor: Option<&str>) -> anyhow::Result<Socket> {
    let base = user.rest.base().replacen("http", "ws", 1);
    let query = cursor
        .map(|cursor| format!("?after_cursor={cursor}"))
        .unwrap_or_default();
    let mut request = format!("{base}/api/v1/chats/{chat_id}/stream{query}").into_client_request()?;
    if let Some(token) = user.rest.token() {
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse()?);
    }
    let connecting = timeout(CONNECT_LIMIT, tokio_tungstenite::connect_async(request));
    let (socket, _) = connecting.await.context("a stream did not open")??;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_with_an_answer_and_the_status_behind_it() {
        let (start, part, end) = (Instant::now(), Instant::now(), Instant::now());
        let frames = [
            (
                json!([{ "type": "message", "message": { "role": "user" } }, { "type": "status", "status": { "status": "pending" } }]),
                start,
            ),
            (json!([{ "type": "message_part" }]), part),
            (json!([{ "type": "message_part" }]), end),
            (json!([{ "type": "message", "message": { "role": "assistant" } }]), end),
        ];
        let mut following = Following::default();
        for (frame, at) in &frames {
            assert!(following.apply(frame, *at).unwrap().is_none(), "{frame}");
        }
        let last = json!([{ "type": "status", "status": { "status": "waiting" } }]);
        let followed = following.apply(&last, end).unwrap().expect("the turn is over");
        assert_eq!((followed.first_part, followed.settled), (Some(part), end));
    }

    #[test]
    fn the_snapshot_of_a_waiting_chat_is_the_end_of_its_turn() {
        let snapshot = json!([
            { "type": "status", "status": { "status": "waiting" } },
            { "type": "message", "message": { "role": "user" } },
            { "type": "message", "message": { "role": "assistant" } },
        ]);
        let followed = Following::default().apply(&snapshot, Instant::now()).unwrap();
        assert!(followed.is_some_and(|followed| followed.first_part.is_none()));
        assert!(
            Following::default()
                .apply(&json!([{ "type": "error" }]), Instant::now())
                .is_err()
        );
    }
}
