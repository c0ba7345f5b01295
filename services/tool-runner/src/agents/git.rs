//! What agents say about git: changes for those who listen, heads for the record, questions for credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_proto::workspace::v1::{GitChanges, GitCredentialAnswer, GitCredentialQuestion};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Connection;
use crate::git::Heads;

/// Questions that wait to be answered. Git fails when there are more.
const MAX_QUESTIONS: usize = 256;

/// Questions of one connection that wait or are being answered: one workspace must not take all the places there are.
const MAX_OPEN_QUESTIONS: usize = 16;

/// Longest id of a chat, in bytes.
const MAX_ID_BYTES: usize = 64;

/// Longest host, with its port, in bytes.
const MAX_HOST_BYTES: usize = 260;

/// Longest name of a branch, in bytes, as storage takes it.
const MAX_BRANCH_BYTES: usize = 1_024;

/// Longest place of a repository, on disk and elsewhere, in bytes.
const MAX_PLACE_BYTES: usize = 8_192;

/// Repositories and diffs of one message, with room for sentences in place of diffs.
const MAX_REPOSITORIES: usize = 100;
pub(crate) const MAX_DIFF_BYTES: usize = 4 * 1024 * 1024;

/// Chats whose place among others one connection remembers.
const MAX_CHATS: usize = 1_024;

/// A git process's question, and where its answer goes.
pub(crate) struct GitQuestion {
    pub(crate) workspace_id: String,
    pub(crate) connection: Connection,
    pub(crate) question: GitCredentialQuestion,
    /// Its place among those of its connection, until it is answered.
    _place: OwnedSemaphorePermit,
}

/// Questions of all agents, in their order.
pub(crate) struct GitQuestions {
    sender: mpsc::Sender<GitQuestion>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<GitQuestion>>,
}

impl GitQuestions {
    /// Waits for the next one.
    pub(crate) async fn next(&self) -> GitQuestion {
        loop {
            if let Some(question) = self.receiver.lock().await.recv().await {
                return question;
            }
            // The sender is ours, so there is always a next one.
            std::future::pending::<()>().await;
        }
    }
}

impl Default for GitQuestions {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUESTIONS);
        Self {
            sender,
            receiver: receiver.into(),
        }
    }
}

/// Where all agents' news go.
#[derive(Clone, Default)]
pub(super) struct GitNews {
    pub(super) heads: Heads,
    pub(super) questions: Arc<GitQuestions>,
}

/// Whether an agent keeps to what the contract says of its repositories: it is not ours to trust.
fn is_bounded(changes: &GitChanges) -> bool {
    let places = changes.repositories.iter().all(|repository| {
        repository.branch.len() <= MAX_BRANCH_BYTES
            && repository.root.len() <= MAX_PLACE_BYTES
            && repository.remote_origin.len() <= MAX_PLACE_BYTES
    });
    let diffs: usize = changes
        .repositories
        .iter()
        .map(|repository| repository.unified_diff.len())
        .sum();
    changes.chat_id.len() <= MAX_ID_BYTES
        && changes.repositories.len() <= MAX_REPOSITORIES
        && places
        && diffs <= MAX_DIFF_BYTES
}

/// The same for one workspace.
#[derive(Clone, Copy)]
pub(super) struct GitNewsOf<'a> {
    pub(super) news: &'a GitNews,
    pub(super) workspace_id: &'a str,
}

impl GitNewsOf<'_> {
    /// Changes of repositories.
    pub(super) fn changed(self, connection: &Connection, changes: GitChanges) {
        if !is_bounded(&changes) {
            tracing::warn!(
                workspace_id = self.workspace_id,
                "an agent tells more of repositories than there may be"
            );
            return;
        }
        if changes.operation_id == 0 {
            self.news.heads.seen(self.workspace_id, changes);
        } else {
            connection.git().changed(changes);
        }
    }

    /// A git process asks.
    pub(super) fn asked(self, connection: &Connection, question: GitCredentialQuestion) {
        let workspace_id = self.workspace_id;
        if question.chat_id.len() > MAX_ID_BYTES || question.host.len() > MAX_HOST_BYTES {
            tracing::warn!(workspace_id, "an agent asks for a credential in too many words");
            return;
        }
        let Ok(place) = Arc::clone(&connection.git().places).try_acquire_owned() else {
            tracing::warn!(workspace_id, "a workspace asks for too many credentials at once");
            // Git fails at once and does not wait for what will not come.
            connection.answer_git(GitCredentialAnswer {
                question_id: question.id,
                ..GitCredentialAnswer::default()
            });
            return;
        };
        let question = GitQuestion {
            workspace_id: workspace_id.to_owned(),
            connection: connection.clone(),
            question,
            _place: place,
        };
        if self.news.questions.sender.try_send(question).is_err() {
            tracing::warn!(workspace_id, "too many git processes ask for credentials");
        }
    }
}

/// Of one connection: who listens to which chat, which chats are above which, and how many questions are open.
pub(crate) struct GitDesk {
    listeners: Mutex<HashMap<String, mpsc::Sender<GitChanges>>>,
    ancestors: Mutex<HashMap<String, Vec<String>>>,
    places: Arc<Semaphore>,
}

impl Default for GitDesk {
    fn default() -> Self {
        Self {
            listeners: Mutex::default(),
            ancestors: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_OPEN_QUESTIONS)),
        }
    }
}

/// Listens as long as it lives.
pub(crate) struct Listening<'a> {
    desk: &'a GitDesk,
    chat_id: String,
    sender: mpsc::WeakSender<GitChanges>,
}

impl GitDesk {
    /// Changes in a chat's repositories go to this sender, as long as the guard lives.
    pub(crate) fn listen(&self, chat_id: &str, sender: mpsc::Sender<GitChanges>) -> Listening<'_> {
        let weak = sender.downgrade();
        self.listeners().insert(chat_id.to_owned(), sender);
        Listening {
            desk: self,
            chat_id: chat_id.to_owned(),
            sender: weak,
        }
    }

    /// How many listen.
    pub(super) fn listening(&self) -> usize {
        self.listeners().len()
    }

    /// The chat's work counts for the root above it, too.
    pub(crate) fn relate(&self, chat_id: &str, root_chat_id: &str) {
        if root_chat_id.is_empty() || root_chat_id == chat_id {
            return;
        }
        let mut ancestors = self.ancestors.lock().unwrap_or_else(PoisonError::into_inner);
        if ancestors.len() >= MAX_CHATS {
            ancestors.clear();
        }
        ancestors.insert(chat_id.to_owned(), vec![root_chat_id.to_owned()]);
    }

    /// Chats above this one.
    pub(super) fn ancestors(&self, chat_id: &str) -> Vec<String> {
        let ancestors = self.ancestors.lock().unwrap_or_else(PoisonError::into_inner);
        ancestors.get(chat_id).cloned().unwrap_or_default()
    }

    fn changed(&self, changes: GitChanges) {
        let mut listeners = self.listeners();
        let chat_id = changes.chat_id.clone();
        if let Some(listener) = listeners.get(&chat_id)
            && listener.try_send(changes).is_err()
        {
            // What is missed cannot be made up for: the channel ends, and the watch is begun anew.
            listeners.remove(&chat_id);
        }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<GitChanges>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut listeners = self.desk.listeners();
        let ours = self.sender.upgrade();
        let is_ours = |other: &mpsc::Sender<GitChanges>| ours.as_ref().is_some_and(|ours| ours.same_channel(other));
        if listeners.get(&self.chat_id).is_some_and(is_ours) {
            listeners.remove(&self.chat_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::workspace::v1::link_response::Message;
    use tandem_proto::workspace::v1::{GitRepository, Hello};

    use super::*;

    #[tokio::test]
    async fn one_workspace_leaves_places_for_the_questions_of_others() {
        let news = GitNews::default();
        let of = GitNewsOf {
            news: &news,
            workspace_id: "workspace",
        };
        let (sender, mut said) = mpsc::channel(MAX_QUESTIONS);
        let connection = Connection::new(&Hello::default(), sender);
        let question = |id| GitCredentialQuestion {
            id,
            chat_id: "chat".to_owned(),
            host: "h.example".to_owned(),
        };
        for id in 0..=MAX_OPEN_QUESTIONS as u64 {
            of.asked(&connection, question(id));
        }
        let Message::GitCredentialAnswer(refused) = said.recv().await.unwrap().unwrap().message.unwrap() else {
            panic!("an answer expected");
        };
        assert_eq!((refused.question_id, refused.password.as_str()), (16, ""));
        // Another workspace is not held up.
        let (sender, _said) = mpsc::channel(1);
        let other = Connection::new(&Hello::default(), sender);
        of.asked(&other, question(100));
        for id in 0..MAX_OPEN_QUESTIONS as u64 {
            assert_eq!(news.questions.next().await.question.id, id);
        }
        assert_eq!(news.questions.next().await.question.id, 100);
        // What is answered makes room.
        of.asked(&connection, question(200));
        assert_eq!(news.questions.next().await.question.id, 200);
        assert!(said.try_recv().is_err());
    }

    #[test]
    fn an_agent_is_heard_within_bounds_only() {
        let told = |repositories: Vec<GitRepository>| GitChanges {
            chat_id: uuid::Uuid::nil().to_string(),
            repositories,
            ..GitChanges::default()
        };
        let of = |branch: usize, diff: usize| GitRepository {
            branch: "b".repeat(branch),
            unified_diff: "d".repeat(diff),
            ..GitRepository::default()
        };
        assert!(is_bounded(&told(vec![of(MAX_BRANCH_BYTES, MAX_DIFF_BYTES)])));
        assert!(is_bounded(&told(vec![of(1, 0); MAX_REPOSITORIES])));
        assert!(!is_bounded(&told(vec![of(1, 0); MAX_REPOSITORIES + 1])));
        assert!(!is_bounded(&told(vec![of(MAX_BRANCH_BYTES + 1, 0)])));
        assert!(!is_bounded(&told(vec![of(1, MAX_DIFF_BYTES), of(1, 1)])));
    }
}
