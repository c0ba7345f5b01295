//! Users' credentials for hosts of repositories: sealed for storage, opened for a forge or for a git process that asks.

use std::sync::Arc;

use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tandem_chassis::identity::User;
use tandem_chassis::seal::envelope::{self, Error as SealError};
use tandem_chassis::seal::keyring::Keyring;
use tandem_proto::storage::v1::{FindGitCredentialRequest, GitCredential, MarkDiffStatusStaleRequest};
use tandem_proto::workspace::v1::{GitCredentialAnswer, GitCredentialQuestion};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::agents::{GitQuestion, GitQuestions};
use crate::clients::Clients;

/// Questions answered at once.
const MAX_ANSWERS: usize = 32;

/// Longest name of a host with its port, in bytes.
const MAX_HOST_BYTES: usize = 260;

/// An opened credential.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) username: String,
    pub(crate) token: SecretString,
}

/// Seals and opens credentials. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials {
    clients: Clients,
    keyring: Arc<Keyring>,
}

impl Credentials {
    pub(crate) fn new(clients: Clients, keyring: Arc<Keyring>) -> Self {
        Self { clients, keyring }
    }

    /// Seals a token of a user for a host.
    ///
    /// # Errors
    /// As [`envelope::seal`].
    pub(crate) fn seal(&self, user: Uuid, host: &str, token: &str) -> Result<Vec<u8>, SealError> {
        envelope::seal(&self.keyring, &place(user, host), token)
    }

    /// The user's own credential for a host, if there is one.
    ///
    /// # Errors
    /// Storage does not answer, or the envelope does not open.
    pub(crate) async fn of_user(&self, user: &User, host: &str) -> Result<Option<Opened>, Status> {
        let message = FindGitCredentialRequest {
            host: host.to_owned(),
            ..FindGitCredentialRequest::default()
        };
        self.find(self.clients.request(user, message)).await
    }

    /// The credential of a chat's owner for a host, if there is one; with a workspace, only while the chat works there.
    ///
    /// # Errors
    /// As [`Credentials::of_user`].
    pub(crate) async fn of_chat(
        &self,
        chat_id: &str,
        workspace_id: &str,
        host: &str,
    ) -> Result<Option<Opened>, Status> {
        let message = FindGitCredentialRequest {
            host: host.to_owned(),
            chat_id: chat_id.to_owned(),
            workspace_id: workspace_id.to_owned(),
        };
        self.find(self.clients.own_request(message)).await
    }

    async fn find(&self, request: tonic::Request<FindGitCredentialRequest>) -> Result<Option<Opened>, Status> {
        let found = match self.clients.git.clone().find_git_credential(request).await {
            Ok(found) => found.into_inner().credential,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status),
        };
        found.map(|credential| self.open(credential)).transpose()
    }

    fn open(&self, credential: GitCredential) -> Result<Opened, Status> {
        let user = Uuid::try_parse(&credential.user_id).unwrap_or_default();
        let token = envelope::open(&self.keyring, &place(user, &credential.host), &credential.sealed);
        let token = token.map_err(|error| {
            tracing::error!(%error, "a git credential cannot be opened");
            Status::internal("the credential cannot be opened")
        })?;
        Ok(Opened {
            username: credential.username,
            token,
        })
    }
}

/// Whose secret it is, and for whom.
fn place(user: Uuid, host: &str) -> Vec<u8> {
    let host = Sha256::digest(host.as_bytes());
    [
        b"tandem git credential 1\0".as_slice(),
        user.as_bytes(),
        host.as_slice(),
    ]
    .concat()
}

/// A host as credentials are found by: lower case, with its port where that is not the usual one. `None` for what is no host.
pub(crate) fn host(text: &str) -> Option<String> {
    let host = text.trim().to_ascii_lowercase();
    let is_allowed = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !host.bytes().all(is_allowed) {
        return None;
    }
    // Whatever a browser would not take as a host is none.
    let url = url::Url::parse(&format!("https://{host}/")).ok()?;
    let name = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}

/// Answers questions of git processes until the future is dropped.
pub(super) async fn answer(credentials: &Credentials, clients: &Clients, questions: &GitQuestions) {
    let questions = futures::stream::unfold(questions, |questions| async move {
        Some((questions.next().await, questions))
    });
    questions
        .for_each_concurrent(MAX_ANSWERS, |asked| answer_one(credentials, clients, asked))
        .await;
}

async fn answer_one(credentials: &Credentials, clients: &Clients, asked: GitQuestion) {
    let GitQuestion {
        workspace_id,
        connection,
        question: GitCredentialQuestion {
            id,
            chat_id,
            host: asked_host,
        },
        // Its place is kept until the end.
        ..
    } = asked;
    let found = match host(&asked_host) {
        Some(host) => credentials.of_chat(&chat_id, &workspace_id, &host).await,
        None => Ok(None),
    };
    let found = found.unwrap_or_else(|status| {
        tracing::warn!(
            chat_id,
            error = status.message(),
            "a git process cannot be given a credential"
        );
        None
    });
    tracing::info!(
        chat_id,
        workspace_id,
        host = asked_host,
        is_given = found.is_some(),
        "git asks for a credential"
    );
    let answer = match &found {
        Some(opened) => GitCredentialAnswer {
            question_id: id,
            username: opened.username.clone(),
            password: opened.token.expose_secret().to_owned(),
        },
        None => GitCredentialAnswer {
            question_id: id,
            ..GitCredentialAnswer::default()
        },
    };
    connection.answer_git(answer);
    if found.is_none() {
        return;
    }
    // Whoever speaks with the host may be pushing. That the chat works there has been made sure of by storage.
    let request = clients.own_request(MarkDiffStatusStaleRequest { chat_id });
    if let Err(status) = clients.git.clone().mark_diff_status_stale(request).await {
        tracing::debug!(error = status.message(), "a pull request is not asked for earlier");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_written_in_one_way() {
        let cases = [
            ("GitHub.com", Some("github.com")),
            (" github.com ", Some("github.com")),
            ("git.example.com:443", Some("git.example.com")),
            ("git.example.com:8443", Some("git.example.com:8443")),
            ("[::1]:3000", Some("[::1]:3000")),
            ("git.example.com/path", None),
            ("https://git.example.com", None),
            ("me@git.example.com", None),
            ("git example.com", None),
            ("git.example.com:99999", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_envelope_belongs_to_its_user_and_host() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_ne!(place(one, "a"), place(other, "a"));
        assert_ne!(place(one, "a"), place(one, "b"));
    }
}
