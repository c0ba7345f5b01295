//! Waiting for an agent that runs elsewhere: on a user's host, or in a pod. The wait begins at once; storage and the cluster are asked only
//! when it takes long, whether there is still something to wait for.

use std::time::Duration;

use tandem_chassis::identity::User;
use tandem_kubernetes::State;
use tandem_proto::storage::v1::{FindChatWorkspaceRequest, TemplateBackend, Workspace, WorkspaceStatus};

use super::{Error, Workspaces};
use crate::agents::Connection;

/// Time for all of it.
const DIAL_TIME: Duration = Duration::from_secs(30);

/// When storage is asked.
const VALIDATION_DELAY: Duration = Duration::from_secs(5);

/// An agent that was away for this long, and is no user's to bring back, is not waited for again.
const AWAY_TIME: Duration = Duration::from_secs(90);

impl Workspaces {
    /// The connection of an agent that somebody else keeps running; `None` when the chat has another workspace by now.
    ///
    /// # Errors
    /// Why there is none, with what to do about it.
    pub(super) async fn dial(
        &self,
        user: &User,
        chat_id: &str,
        workspace: &Workspace,
    ) -> Result<Option<Connection>, Error> {
        if let Some(error) = offline(workspace) {
            return Err(error);
        }
        let id = &workspace.id;
        self.0.agents.await_external(id);
        if let Some(connection) = self.0.agents.wait(id, VALIDATION_DELAY).await {
            return Ok(Some(connection));
        }
        // An answer that does not come changes nothing: the agent may.
        match self.find(user, chat_id).await {
            Ok(None) => return Err(Error::NoAgent),
            Ok(Some(now)) if now.id != *id => return Ok(None),
            Ok(Some(now)) if now.status() != WorkspaceStatus::Running => return Err(Error::NoAgent),
            Ok(Some(_)) | Err(_) => {}
        }
        if let Some(why) = self.lost_pod(workspace).await {
            return Err(Error::Pod(why));
        }
        if let Some(connection) = self.0.agents.wait(id, DIAL_TIME.saturating_sub(VALIDATION_DELAY)).await {
            return Ok(Some(connection));
        }
        let now = self.find(user, chat_id).await.ok().flatten();
        Err(now.as_ref().and_then(late).unwrap_or(Error::TimedOut))
    }

    /// Why the workspace's pod will not have an agent again, in words; `None` where it may, or where the cluster does not say.
    async fn lost_pod(&self, workspace: &Workspace) -> Option<String> {
        if workspace.backend() != TemplateBackend::Kubernetes {
            return None;
        }
        let Some(cluster) = &self.0.cluster else {
            return Some("this deployment has no Kubernetes backend any more.".to_owned());
        };
        match cluster.state(&workspace.id).await {
            Ok(State::Gone) => Some("the cluster has none.".to_owned()),
            Ok(State::Broken(why)) => Some(why),
            Ok(State::Waiting(_) | State::Running) => None,
            Err(error) => {
                tracing::debug!(workspace_id = workspace.id, %error, "a pod cannot be looked at");
                None
            }
        }
    }

    /// The workspace a chat is bound to, if there is one.
    ///
    /// # Errors
    /// Storage's.
    pub(crate) async fn find(&self, user: &User, chat_id: &str) -> Result<Option<Workspace>, tonic::Status> {
        let chat_id = chat_id.to_owned();
        let request = self.0.clients.request(user, FindChatWorkspaceRequest { chat_id });
        let found = self.0.clients.workspaces.clone().find_chat_workspace(request).await?;
        Ok(found.into_inner().workspace)
    }
}

/// What is known of an agent that was waited for in vain; `None` where it may be on its way.
fn late(workspace: &Workspace) -> Option<Error> {
    let away = workspace.agent.as_ref().map_or(0, |agent| agent.disconnected_ms);
    let is_away = Duration::from_millis(away.unsigned_abs()) >= AWAY_TIME;
    let is_pod = workspace.backend() == TemplateBackend::Kubernetes;
    (is_pod && is_away)
        .then_some(Error::Away)
        .or_else(|| offline(workspace))
}

/// What is known of a host that is not there; `None` where it may be on its way. Pods are the cluster's to speak of.
fn offline(workspace: &Workspace) -> Option<Error> {
    if workspace.backend() == TemplateBackend::Kubernetes {
        return None;
    }
    let agent = workspace.agent.clone().unwrap_or_default();
    if agent.is_connected {
        return None;
    }
    if agent.first_connected_at.is_none() {
        return Some(Error::ExternalNever);
    }
    // It comes back by itself when only its link broke.
    let is_returning = Duration::from_millis(agent.disconnected_ms.unsigned_abs()) < DIAL_TIME;
    (!is_returning).then_some(Error::ExternalGone)
}

#[cfg(test)]
mod tests {
    use tandem_proto::storage::v1::WorkspaceAgentState;

    use super::*;

    fn of(agent: WorkspaceAgentState) -> Option<Error> {
        offline(&Workspace {
            agent: Some(agent),
            ..Workspace::default()
        })
    }

    #[test]
    fn an_agent_that_never_came_is_told_from_one_that_left() {
        assert_eq!(of(WorkspaceAgentState::default()), Some(Error::ExternalNever));
        let left = |disconnected_ms| WorkspaceAgentState {
            first_connected_at: Some(prost_types::Timestamp::default()),
            disconnected_ms,
            ..WorkspaceAgentState::default()
        };
        assert_eq!(of(left(90_000)), Some(Error::ExternalGone));
        assert_eq!(of(left(2_000)), None, "its link may have broken just now");
        let here = WorkspaceAgentState {
            is_connected: true,
            ..WorkspaceAgentState::default()
        };
        assert_eq!(of(here), None);
    }

    #[test]
    fn a_pods_agent_is_waited_for_until_it_has_been_away_for_long() {
        let pod = |disconnected_ms| Workspace {
            backend: TemplateBackend::Kubernetes.into(),
            agent: Some(WorkspaceAgentState {
                first_connected_at: Some(prost_types::Timestamp::default()),
                disconnected_ms,
                ..WorkspaceAgentState::default()
            }),
            ..Workspace::default()
        };
        assert_eq!(offline(&pod(600_000)), None, "the cluster is asked first");
        assert_eq!(late(&pod(60_000)), None);
        assert_eq!(late(&pod(90_000)), Some(Error::Away));
    }
}
