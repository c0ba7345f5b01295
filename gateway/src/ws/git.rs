//! A chat's repositories, live: what differs from the last commit, as the workspace's agent sees it. The reader may ask for another look.

use axum::{extract::State, response::Response};
use tandem_chassis::{
    identity::User,
    status::{Code, Fault},
};
use tandem_proto::tool::v1::{RefreshGitRequest, WatchGitRequest, WatchGitResponse};
use tonic::Streaming;

use super::{
    Door,
    feed::{Feed, Source},
    frame, has_heartbeat,
};
use crate::{
    auth::Principal,
    clients::{Answer, Clients},
    metrics::View,
    problem::Problem,
    rest::{
        Path, id,
        query::Query,
        wire::{
            git::{ChatGitCommand, ChatGitEvent, ChatGitRepository},
            time,
        },
    },
    service::App,
};

/// Longest frame, in bytes: what clients read at most.
const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// What stands for a diff that no frame holds.
const TOO_LARGE: &str = "The diff is too large to show.";

/// Where a chat's repositories are told of.
struct Repositories {
    clients: Clients,
    user: User,
    chat_id: String,
}

impl Repositories {
    /// One frame for all that changed, or one for each where they are too large together.
    fn told(batch: WatchGitResponse) -> Vec<String> {
        let scanned_at = time(batch.scanned_at.as_ref());
        let repositories: Vec<ChatGitRepository> = batch.repositories.into_iter().map(Into::into).collect();
        let frame = |repositories: Vec<ChatGitRepository>| {
            frame::data(&ChatGitEvent::Changes {
                scanned_at: scanned_at.clone(),
                repositories,
            })
        };
        let whole = frame(repositories.clone());
        if whole.len() <= MAX_FRAME_BYTES {
            return vec![whole];
        }
        let one = |mut repository: ChatGitRepository| {
            let text = frame(vec![repository.clone()]);
            if text.len() <= MAX_FRAME_BYTES {
                return text;
            }
            repository.unified_diff = Some(TOO_LARGE.to_owned());
            frame(vec![repository])
        };
        repositories.into_iter().map(one).collect()
    }

    async fn refresh(&self) -> Result<(), Fault> {
        let message = RefreshGitRequest {
            chat_id: self.chat_id.clone(),
        };
        let request = self.clients.ask(&self.user, message);
        self.clients.git.clone().refresh_git(request).await.answer()?;
        Ok(())
    }
}

impl Source for Repositories {
    type Batch = WatchGitResponse;

    const VIEW: View = View::Git;
    const HAS_SNAPSHOT: bool = true;

    async fn open(&self, _: &str) -> Result<Streaming<WatchGitResponse>, Fault> {
        let message = WatchGitRequest {
            chat_id: self.chat_id.clone(),
        };
        let request = self.clients.open(&self.user, message);
        self.clients.git.clone().watch_git(request).await.answer()
    }

    fn cursor(_: &WatchGitResponse) -> Option<String> {
        None
    }

    fn frames(&self, batch: WatchGitResponse) -> Vec<String> {
        Self::told(batch)
    }

    fn events(&self, batch: WatchGitResponse) -> Vec<(Option<String>, String)> {
        Self::told(batch).into_iter().map(|frame| (None, frame)).collect()
    }

    fn heartbeat_frame(&self, server_time: String) -> String {
        frame::data(&ChatGitEvent::Heartbeat { server_time })
    }

    fn heartbeat_data(&self, server_time: String) -> String {
        self.heartbeat_frame(server_time)
    }

    async fn heard(&self, text: &str) -> Option<Vec<String>> {
        let message = match serde_json::from_str::<ChatGitCommand>(text) {
            Ok(command) if command.kind == "refresh" => match self.refresh().await {
                Ok(()) => return Some(Vec::new()),
                Err(fault) if fault.code == Code::Internal => "The repositories cannot be looked at now.".to_owned(),
                Err(fault) => fault.message,
            },
            Ok(_) => "This type of message is not known; there is only \"refresh\".".to_owned(),
            Err(_) => "A message must be a JSON object with a type.".to_owned(),
        };
        Some(vec![frame::data(&ChatGitEvent::Error { message })])
    }
}

/// The repositories a chat works in: all of them first, then those that change. Send `{"type":"refresh"}` to have them looked at now.
#[utoipa::path(get, path = "/chats/{chat}/stream/git", tag = "live", params(
    ("chat" = Uuid, Path),
    ("heartbeat" = Option<i32>, Query, description = "1: a `heartbeat` event at the start and every few seconds"),
), responses(
    (status = 101, description = "A WebSocket; each text frame is a `ChatGitEvent`"),
    (status = 200, body = ChatGitEvent, content_type = "text/event-stream"),
    (status = 400, description = "The chat has no workspace, or none that can be looked at now"),
))]
pub async fn stream_git(
    State(app): State<App>,
    who: Principal,
    Path(chat): Path<String>,
    query: Query,
    door: Door,
) -> Result<Response, Problem> {
    let source = Repositories {
        clients: app.clients.clone(),
        user: who.user().clone(),
        chat_id: id("chat", &chat)?.to_string(),
    };
    let has_heartbeat = has_heartbeat(&query)?;
    let feed = Feed::open(source, String::new()).await;
    let feed = feed.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(door.open(app, who, feed, has_heartbeat, ()))
}

#[cfg(test)]
mod tests {
    use tandem_proto::tool::v1::WatchedRepository;

    use super::*;

    fn batch(diffs: &[String]) -> WatchGitResponse {
        let repository = |diff: &String| WatchedRepository {
            unified_diff: diff.clone(),
            ..WatchedRepository::default()
        };
        WatchGitResponse {
            scanned_at: None,
            repositories: diffs.iter().map(repository).collect(),
        }
    }

    #[test]
    fn frames_are_no_longer_than_clients_read() {
        let (small, large) = ("+1\n".to_owned(), "+\"\n".repeat(900_000));
        assert_eq!(Repositories::told(batch(&[small.clone(), small.clone()])).len(), 1);
        let frames = Repositories::told(batch(&[small, large]));
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME_BYTES));
        assert!(frames[1].contains(TOO_LARGE));
    }
}
