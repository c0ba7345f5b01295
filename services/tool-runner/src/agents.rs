//! The agents that are connected, and those that are expected.
//!
//! Knows tokens and connections; who starts agents, and why, is `workspace`'s and `backend`'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

mod connection;
mod git;
mod link;

pub(crate) use connection::{Connection, Refusal};
pub(crate) use git::{GitQuestion, GitQuestions, MAX_DIFF_BYTES};
pub(crate) use link::LinkRpc;

/// All agents of this tool-runner. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Agents {
    expected: Arc<Mutex<HashMap<String, Expected>>>,
    git: git::GitNews,
}

#[derive(Default)]
struct Expected {
    /// Agents we started know it from us; `None`: storage knows whom to let in.
    token: Option<SecretString>,
    connection: watch::Sender<Option<Connection>>,
}

impl Agents {
    /// Where chats work, as agents tell.
    pub(crate) fn git_heads(&self) -> &crate::git::Heads {
        &self.git.heads
    }

    fn git_news_of<'a>(&'a self, workspace_id: &'a str) -> git::GitNewsOf<'a> {
        git::GitNewsOf {
            news: &self.git,
            workspace_id,
        }
    }

    /// What git processes ask.
    pub(crate) fn git_questions(&self) -> &GitQuestions {
        &self.git.questions
    }

    /// From now on an agent with this token is let in for the workspace; an earlier one is sent away.
    pub(crate) fn expect(&self, workspace_id: &str, token: SecretString) {
        let expected = Expected {
            token: Some(token),
            connection: watch::Sender::new(None),
        };
        if let Some(earlier) = self.lock().insert(workspace_id.to_owned(), expected) {
            close(&earlier);
        }
    }

    /// An agent that somebody else starts may come, and is waited for.
    pub(crate) fn await_external(&self, workspace_id: &str) {
        self.lock().entry(workspace_id.to_owned()).or_default();
    }

    /// No agent is let in for the workspace any more.
    pub(crate) fn forget(&self, workspace_id: &str) {
        if let Some(earlier) = self.lock().remove(workspace_id) {
            close(&earlier);
        }
    }

    /// The workspace's connection, if there is one now.
    pub(crate) fn connected(&self, workspace_id: &str) -> Option<Connection> {
        let expected = self.lock();
        let connection = expected.get(workspace_id)?.connection.borrow().clone();
        connection.filter(Connection::is_open)
    }

    /// The workspaces whose agents are connected now, whoever started those.
    pub(crate) fn connected_ids(&self) -> Vec<String> {
        let expected = self.lock();
        let connected = expected
            .iter()
            .filter(|(_, entry)| entry.connection.borrow().as_ref().is_some_and(Connection::is_open));
        connected.map(|(id, _)| id.clone()).collect()
    }

    /// Waits for the workspace's agent to connect.
    pub(crate) async fn wait(&self, workspace_id: &str, limit: Duration) -> Option<Connection> {
        let mut connection = self.lock().get(workspace_id)?.connection.subscribe();
        let connected = async {
            connection
                .wait_for(|current| current.as_ref().is_some_and(Connection::is_open))
                .await
                .ok()
                .and_then(|found| found.clone())
        };
        tokio::time::timeout(limit, connected).await.ok().flatten()
    }

    /// Lets an agent in, in place of the connection it had before.
    fn admit(&self, workspace_id: &str, token: &str, connection: &Connection) -> bool {
        let expected = self.lock();
        let Some(entry) = expected.get(workspace_id) else {
            return false;
        };
        let is_known = entry
            .token
            .as_ref()
            .is_some_and(|known| bool::from(known.expose_secret().as_bytes().ct_eq(token.as_bytes())));
        if !is_known {
            return false;
        }
        entry.replace(connection);
        true
    }

    /// Lets an agent in that storage knows. An agent of ours keeps its place.
    fn admit_external(&self, workspace_id: &str, connection: &Connection) -> bool {
        let mut expected = self.lock();
        let entry = expected.entry(workspace_id.to_owned()).or_default();
        if entry.token.is_some() {
            return false;
        }
        entry.replace(connection);
        true
    }

    /// A connection ended; another one may have taken its place already.
    fn left(&self, workspace_id: &str, connection: &Connection) {
        if let Some(entry) = self.lock().get(workspace_id) {
            entry.connection.send_if_modified(|current| {
                let is_same = current.as_ref().is_some_and(|current| current.is_same(connection));
                if is_same {
                    *current = None;
                }
                is_same
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    fn replace(&self, connection: &Connection) {
        if let Some(earlier) = self.connection.send_replace(Some(connection.clone())) {
            earlier.close();
        }
    }
}

fn close(expected: &Expected) {
    if let Some(connection) = expected.connection.send_replace(None) {
        connection.close();
    }
}
