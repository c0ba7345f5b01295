//! What a workspace is made of, as the API server is told: a claim for its home, a secret with its agent's token, a pod.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tandem_chassis::transport::Address;

use crate::config::Config;

/// Key of the build a pod or a secret was made for.
pub(crate) const BUILD: &str = "tandem/build-id";

/// Key of the workspace an object belongs to.
const WORKSPACE: &str = "tandem/workspace-id";

/// Keys within the secret.
const TOKEN_KEY: &str = "token";
const CA_KEY: &str = "ca.crt";

/// The container chats work in.
pub(crate) const CONTAINER: &str = "workspace";

/// Where the home directory is.
const HOME: &str = "/home/tandem";

/// Where the agent's program is put, and from where in its image.
const PROGRAM_DIR: &str = "/opt/tandem";
const PROGRAM_IN_IMAGE: &str = "/usr/local/bin/tandem";

/// More than the agent's program ever is. The directory counts as its node's disk.
const PROGRAM_SIZE: &str = "512Mi";

/// Where the certificates are that the agent trusts.
const CA_DIR: &str = "/etc/tandem";

/// What one workspace is made of.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The workspace; a uuid.
    pub workspace_id: String,
    /// Whose it is.
    pub owner_id: String,
    /// The organisation it is in.
    pub organization_id: String,
    /// The build it is started by; a uuid.
    pub build_id: String,
    /// The image commands find themselves in.
    pub image: String,
    /// Processors, as Kubernetes writes them; empty: the namespace's default.
    pub cpu: String,
    /// Memory, likewise.
    pub memory: String,
    /// Size of the home directory; empty: the setting's. Counts when the claim is made.
    pub home_size: String,
}

/// The name of a workspace's pod and claim.
pub(crate) fn workspace_name(workspace_id: &str) -> String {
    format!("tandem-{workspace_id}")
}

/// The name of a build's secret.
pub(crate) fn secret_name(build_id: &str) -> String {
    format!("tandem-{build_id}")
}

/// Selects everything of a workspace.
pub(crate) fn selector(workspace_id: &str) -> String {
    format!("{WORKSPACE}={workspace_id}")
}

/// Writes objects. What all of them have in common is here once.
pub(crate) struct Writer<'a> {
    pub(crate) config: &'a Config,
    pub(crate) namespace: &'a str,
    pub(crate) agent_url: &'a Address,
    /// What agents trust instead of their image's certificates.
    pub(crate) agent_ca: Option<&'a str>,
    pub(crate) place: &'a Place,
}

impl Writer<'_> {
    fn metadata(&self, name: &str, is_of_build: bool) -> Value {
        let place = self.place;
        let mut metadata = json!({
            "name": name,
            "namespace": self.namespace,
            "labels": {
                "app.kubernetes.io/name": "tandem-workspace",
                "app.kubernetes.io/managed-by": "tandem",
                WORKSPACE: place.workspace_id,
                "tandem/owner-id": place.owner_id,
                "tandem/organization-id": place.organization_id,
            },
        });
        if is_of_build {
            metadata["annotations"] = json!({ BUILD: place.build_id });
        }
        metadata
    }

    /// The home directory.
    pub(crate) fn claim(&self) -> Value {
        let size = match self.place.home_size.as_str() {
            "" => &self.config.home_size,
            size => size,
        };
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": size } },
        });
        if let Some(class) = &self.config.storage_class {
            spec["storageClassName"] = json!(class);
        }
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": self.metadata(&workspace_name(&self.place.workspace_id), false),
            "spec": spec,
        })
    }

    /// The agent's token. Immutable: of several attempts of a build, the first decides.
    pub(crate) fn secret(&self, token: &SecretString) -> Value {
        let mut data = json!({ TOKEN_KEY: STANDARD.encode(token.expose_secret()) });
        if let Some(ca) = self.agent_ca {
            data[CA_KEY] = json!(STANDARD.encode(ca));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.metadata(&secret_name(&self.place.build_id), true),
            "type": "Opaque",
            "immutable": true,
            "data": data,
        })
    }

    /// The pod. It may do nothing a user's program need not, and knows nothing of the cluster it runs in.
    pub(crate) fn pod(&self) -> Value {
        let (place, config) = (self.place, self.config);
        let secret = secret_name(&place.build_id);
        let program = match &config.agent_image {
            Some(_) => format!("{PROGRAM_DIR}/tandem"),
            None => "tandem".to_owned(),
        };
        let mut command = vec![program, "agent".to_owned(), "--dir".to_owned(), HOME.to_owned()];
        let mut mounts = vec![json!({ "name": "home", "mountPath": HOME })];
        let claim = json!({ "claimName": workspace_name(&place.workspace_id) });
        let mut volumes = vec![json!({ "name": "home", "persistentVolumeClaim": claim })];
        if self.agent_ca.is_some() {
            command.extend(["--ca-file".to_owned(), format!("{CA_DIR}/{CA_KEY}")]);
            mounts.push(json!({ "name": "ca", "mountPath": CA_DIR, "readOnly": true }));
            // The token is not among the files.
            let items = json!([{ "key": CA_KEY, "path": CA_KEY }]);
            volumes.push(json!({ "name": "ca", "secret": { "secretName": secret, "items": items } }));
        }
        let mut first = Vec::new();
        if let Some(image) = &config.agent_image {
            let shared = json!({ "name": "program", "mountPath": PROGRAM_DIR });
            first.push(json!({
                "name": "program",
                "image": image,
                "command": ["cp", PROGRAM_IN_IMAGE, format!("{PROGRAM_DIR}/tandem")],
                "volumeMounts": [shared],
                "resources": self.resources(),
                "securityContext": confined(),
            }));
            mounts.push(json!({ "name": "program", "mountPath": PROGRAM_DIR, "readOnly": true }));
            volumes.push(json!({ "name": "program", "emptyDir": { "sizeLimit": PROGRAM_SIZE } }));
        }
        let token = json!({ "secretKeyRef": { "name": secret, "key": TOKEN_KEY } });
        let mut spec = json!({
            // An agent that falls is started again where it was, and its token is still good.
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": config.stop_grace.as_secs(),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // Orphans of commands are then collected by the pod's own first process, not left to the agent.
            "shareProcessNamespace": true,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": config.user_id,
                "runAsGroup": config.user_id,
                "fsGroup": config.user_id,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": CONTAINER,
                "image": place.image,
                "command": command,
                "workingDir": HOME,
                "env": [
                    { "name": "HOME", "value": HOME },
                    { "name": "TANDEM_AGENT_URL", "value": self.agent_url.to_string() },
                    { "name": "TANDEM_AGENT_TOKEN", "valueFrom": token },
                ],
                "volumeMounts": mounts,
                "resources": self.resources(),
                "securityContext": confined(),
            }],
            "volumes": volumes,
        });
        if !first.is_empty() {
            spec["initContainers"] = json!(first);
        }
        if let Some(class) = &config.runtime_class {
            spec["runtimeClassName"] = json!(class);
        }
        if !config.image_pull_secrets.is_empty() {
            let names = config.image_pull_secrets.iter().map(|name| json!({ "name": name }));
            spec["imagePullSecrets"] = names.collect();
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.metadata(&workspace_name(&place.workspace_id), true),
            "spec": spec,
        })
    }

    /// What is asked for is also the most, so that workspaces do not live at their neighbours' expense.
    fn resources(&self) -> Value {
        let wanted = [
            ("cpu", &self.place.cpu),
            ("memory", &self.place.memory),
            ("ephemeral-storage", &self.config.ephemeral_storage),
        ];
        let wanted: Value = wanted
            .into_iter()
            .filter(|(_, amount)| !amount.is_empty())
            .map(|(name, amount)| (name.to_owned(), json!(amount)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        json!({ "requests": wanted, "limits": wanted })
    }
}

fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "privileged": false,
        "capabilities": { "drop": ["ALL"] },
    })
}
