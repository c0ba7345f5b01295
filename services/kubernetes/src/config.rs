//! What a tool-runner can be told about the cluster.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tandem_chassis::transport::Address;

/// Where pods are made, and of what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Without it, workspaces of templates for pods cannot be started, stopped or deleted.
    pub enabled: bool,
    /// File with credentials of a cluster, whose current context counts; unset: those of the pod this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of everything that is made; unset: the credentials'.
    pub namespace: Option<String>,
    /// Where agents in pods dial in; unset: where agents on hosts of users' own do.
    pub agent_url: Option<Address>,
    /// PEM file with the certificates agents trust instead of their image's.
    pub agent_ca_file: Option<PathBuf>,
    /// Image whose `/usr/local/bin/tandem` is the agent's program in every pod; unset: the images of templates have `tandem` themselves.
    pub agent_image: Option<String>,
    /// Size of a home directory where the template does not say.
    pub home_size: String,
    /// What a pod may write outside its home, on the disk of its node, as Kubernetes writes it; empty: the namespace's default.
    pub ephemeral_storage: String,
    /// Storage class of home directories; unset: the cluster's default.
    pub storage_class: Option<String>,
    /// Runtime class of pods, such as one with a kernel of their own; unset: the cluster's default.
    pub runtime_class: Option<String>,
    /// Secrets in the namespace with which images are pulled.
    pub image_pull_secrets: Vec<String>,
    /// The user and group of everything in a pod; not 0.
    pub user_id: u32,
    /// Time for a pod to be placed, to pull its image and for its agent to connect; at most 10 min.
    #[serde(with = "tandem_chassis::config::duration")]
    pub start_timeout: Duration,
    /// Time for what runs in a pod to end by itself when it is stopped.
    #[serde(with = "tandem_chassis::config::duration")]
    pub stop_grace: Duration,
    /// Time for one call to the API server.
    #[serde(with = "tandem_chassis::config::duration")]
    pub call_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            kubeconfig: None,
            namespace: None,
            agent_url: None,
            agent_ca_file: None,
            agent_image: None,
            home_size: "10Gi".to_owned(),
            ephemeral_storage: "10Gi".to_owned(),
            storage_class: None,
            runtime_class: None,
            image_pull_secrets: Vec::new(),
            user_id: 1000,
            start_timeout: Duration::from_secs(5 * 60),
            stop_grace: Duration::from_secs(10),
            call_timeout: Duration::from_secs(15),
        }
    }
}
