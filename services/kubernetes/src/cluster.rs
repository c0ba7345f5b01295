//! Making, watching and ending the pods of workspaces. Each step may be done twice, also by two runners at once.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tandem_chassis::transport::Address;
use uuid::Uuid;

use crate::api::{Api, Kind};
use crate::config::Config;
use crate::error::Error;
use crate::manifest::{Place, Writer, secret_name, selector, workspace_name};
use crate::pod::{Pod, State};

/// Longest that [`Cluster::start_timeout`] can be told to be.
pub const LONGEST_START: Duration = Duration::from_secs(10 * 60);

/// Longest that [`Cluster::end_pod`] waits for a pod to go, whatever the settings are.
pub const LONGEST_END: Duration = MAX_GRACE.saturating_add(GOING_TIME).saturating_add(STRIKING_TIME);

/// Longest grace, so that a stop ends within the time of a build.
const MAX_GRACE: Duration = Duration::from_secs(5 * 60);

/// Time beyond its grace for a pod to go. Then its node is taken for lost, and the pod is struck off.
const GOING_TIME: Duration = Duration::from_secs(30);

/// Time for a pod that is struck off.
const STRIKING_TIME: Duration = Duration::from_secs(10);

/// How often a pod that is to go is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Largest file of certificates.
const MAX_CA_BYTES: usize = 512 * 1024;

/// A cluster in which workspaces are pods. Cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    api: Api,
    config: Config,
    agent_url: Address,
    agent_ca: Option<String>,
}

#[derive(Deserialize)]
struct TokenSecret {
    #[serde(default)]
    data: TokenData,
}

#[derive(Default, Deserialize)]
struct TokenData {
    token: Option<SecretString>,
}

impl Cluster {
    /// Reads the credentials and checks the settings. Calls nobody.
    ///
    /// * `agents_url`: where agents dial in unless the settings say otherwise.
    ///
    /// # Errors
    /// Credentials or settings that cannot be used.
    pub async fn new(config: &Config, agents_url: &Address) -> Result<Self, Error> {
        let refuse = |name, problem| Err(Error::Setting { name, problem });
        let agent_url = config.agent_url.as_ref().unwrap_or(agents_url).clone();
        if !matches!(agent_url, Address::Http { .. } | Address::Https { .. }) {
            return refuse(
                "agent_url",
                "is not set, and pods cannot reach a socket of this machine: set agent.listen, and agent_url to where pods reach it",
            );
        }
        if config.user_id == 0 {
            return refuse("user_id", "must not be 0: nothing in a pod runs as root");
        }
        if config.start_timeout.is_zero() || config.start_timeout > LONGEST_START {
            return refuse("start_timeout", "must be more than 0 and at most 10m");
        }
        if config.stop_grace > MAX_GRACE {
            return refuse("stop_grace", "must be at most 5m");
        }
        if config.call_timeout.is_zero() {
            return refuse("call_timeout", "must be more than 0");
        }
        let agent_ca = match &config.agent_ca_file {
            Some(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let read = read.map_err(|source| Error::File {
                    path: path.clone(),
                    source,
                })?;
                if read.len() > MAX_CA_BYTES {
                    return refuse("agent_ca_file", "is larger than 512 KiB");
                }
                Some(read)
            }
            None => None,
        };
        Ok(Self(Arc::new(Shared {
            api: Api::new(config).await?,
            config: config.clone(),
            agent_url,
            agent_ca,
        })))
    }

    /// The namespace of everything that is made.
    pub fn namespace(&self) -> &str {
        self.0.api.namespace()
    }

    /// Time for a pod to come up.
    pub fn start_timeout(&self) -> Duration {
        self.0.config.start_timeout
    }

    /// The token the agent of this build has: `fresh`, or that of an earlier attempt.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn keep_token(&self, place: &Place, fresh: SecretString) -> Result<SecretString, Error> {
        check(place)?;
        let name = secret_name(&place.build_id);
        if let Some(kept) = self.token(&name).await? {
            return Ok(kept);
        }
        let secret = self.writer(place).secret(&fresh);
        let Err(error) = self.0.api.apply(Kind::Secret, &name, &secret).await else {
            return Ok(fresh);
        };
        // Another attempt may have been faster.
        if error.is_fixed()
            && let Some(kept) = self.token(&name).await?
        {
            return Ok(kept);
        }
        Err(error.without(&[fresh.expose_secret(), &STANDARD.encode(fresh.expose_secret())]))
    }

    async fn token(&self, name: &str) -> Result<Option<SecretString>, Error> {
        let Some(secret) = self.0.api.find::<TokenSecret>(Kind::Secret, name).await? else {
            return Ok(None);
        };
        let encoded = secret.data.token.ok_or(Error::Garbled)?;
        let token = STANDARD.decode(encoded.expose_secret()).map_err(|_| Error::Garbled)?;
        let token = String::from_utf8(token).map_err(|_| Error::Garbled)?;
        Ok(Some(SecretString::from(token)))
    }

    /// Makes the home directory unless it is there; one that is there stays as it is. Whether it was made.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn make_home(&self, place: &Place) -> Result<bool, Error> {
        check(place)?;
        let name = workspace_name(&place.workspace_id);
        if self
            .0
            .api
            .find::<serde_json::Value>(Kind::Claim, &name)
            .await?
            .is_some()
        {
            return Ok(false);
        }
        let claim = self.writer(place).claim();
        self.0.api.apply(Kind::Claim, &name, &claim).await?;
        Ok(true)
    }

    /// Whether the pod of this very build is there, up or on its way.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn has_pod_of(&self, place: &Place) -> Result<bool, Error> {
        check(place)?;
        let pod: Option<Pod> = self.0.api.find(Kind::Pod, &workspace_name(&place.workspace_id)).await?;
        Ok(pod.is_some_and(|pod| pod.is_alive_for(&place.build_id)))
    }

    /// Makes the pod. One of the workspace's must not be there, but for the same build's.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn make_pod(&self, place: &Place) -> Result<(), Error> {
        check(place)?;
        let pod = self.writer(place).pod();
        self.0
            .api
            .apply(Kind::Pod, &workspace_name(&place.workspace_id), &pod)
            .await
    }

    /// How the workspace's pod is.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn state(&self, workspace_id: &str) -> Result<State, Error> {
        let name = workspace_name(&parsed(workspace_id)?);
        let pod: Option<Pod> = self.0.api.find(Kind::Pod, &name).await?;
        Ok(pod.map_or(State::Gone, |pod| pod.state()))
    }

    /// Ends the workspace's pod and waits until it is gone; there may be none. What it has in its home stays.
    ///
    /// # Errors
    /// The cluster's; the pod may be there still.
    pub async fn end_pod(&self, workspace_id: &str) -> Result<(), Error> {
        let name = workspace_name(&parsed(workspace_id)?);
        let grace = self.0.config.stop_grace;
        self.0.api.delete(Kind::Pod, &name, Some(grace)).await?;
        if self.is_gone_within(&name, grace + GOING_TIME).await? {
            return Ok(());
        }
        // A node that is lost confirms nothing.
        tracing::warn!(workspace_id, "the pod does not end, striking it off");
        self.0.api.delete(Kind::Pod, &name, Some(Duration::ZERO)).await?;
        match self.is_gone_within(&name, STRIKING_TIME).await? {
            true => Ok(()),
            false => Err(Error::Lingers),
        }
    }

    async fn is_gone_within(&self, name: &str, limit: Duration) -> Result<bool, Error> {
        let watching = async {
            while self.0.api.find::<Pod>(Kind::Pod, name).await?.is_some() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Ok(true)
        };
        tokio::time::timeout(limit, watching).await.unwrap_or(Ok(false))
    }

    /// Deletes the tokens of all builds of the workspace.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn delete_tokens(&self, workspace_id: &str) -> Result<(), Error> {
        self.0
            .api
            .delete_all(Kind::Secret, &selector(&parsed(workspace_id)?))
            .await
    }

    /// Deletes the home directory, for good.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn delete_home(&self, workspace_id: &str) -> Result<(), Error> {
        let name = workspace_name(&parsed(workspace_id)?);
        self.0.api.delete(Kind::Claim, &name, None).await
    }

    fn writer<'a>(&'a self, place: &'a Place) -> Writer<'a> {
        Writer {
            config: &self.0.config,
            namespace: self.namespace(),
            agent_url: &self.0.agent_url,
            agent_ca: self.0.agent_ca.as_deref(),
            place,
        }
    }
}

/// Ids become names and labels.
fn check(place: &Place) -> Result<(), Error> {
    for id in [
        &place.workspace_id,
        &place.build_id,
        &place.owner_id,
        &place.organization_id,
    ] {
        parsed(id)?;
    }
    Ok(())
}

fn parsed(id: &str) -> Result<String, Error> {
    let id = Uuid::try_parse(id).map_err(|_| Error::Id)?;
    Ok(id.to_string())
}
