//! Templates and workspaces as people write and see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_chassis::status::Violation;
use tandem_proto::storage::v1 as proto;
use tandem_proto::tool::v1::{ConfinementMechanism, WorkspaceView};
use utoipa::ToSchema;

use super::{is_false, or_default, some_text, some_time, time};
use crate::problem::Problem;

mod convert;

const BACKENDS: [(&str, proto::TemplateBackend); 3] = [
    ("local", proto::TemplateBackend::Local),
    ("external", proto::TemplateBackend::External),
    ("kubernetes", proto::TemplateBackend::Kubernetes),
];

const TYPES: [(&str, proto::ParameterType); 4] = [
    ("string", proto::ParameterType::String),
    ("number", proto::ParameterType::Number),
    ("bool", proto::ParameterType::Bool),
    ("list", proto::ParameterType::List),
];

/// What a workspace is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    /// `local`, `external` or `kubernetes`.
    pub backend: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesSettings>,
    /// For every process.
    #[serde(default, deserialize_with = "or_default")]
    pub environment: BTreeMap<String, String>,
    /// Run with `sh -c` at each start.
    #[serde(default, deserialize_with = "or_default")]
    pub startup_script: String,
    /// 0: 10 min, which is also the most.
    #[serde(default, deserialize_with = "or_default")]
    pub startup_timeout_ms: i64,
    /// Workspaces nobody uses for this long are stopped; 0: never.
    #[serde(default, deserialize_with = "or_default")]
    pub default_ttl_ms: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: Vec<TemplateParameter>,
    #[serde(default, deserialize_with = "or_default")]
    pub presets: Vec<TemplatePreset>,
}

/// What a pod is made of.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    pub image: String,
    /// As Kubernetes writes it, for example `500m`; empty: the cluster's default.
    #[serde(default, deserialize_with = "or_default")]
    pub cpu: String,
    /// For example `1Gi`; empty: the cluster's default.
    #[serde(default, deserialize_with = "or_default")]
    pub memory: String,
    /// Of the home directory, for example `20Gi`; empty: the deployment's default. Counts when it is made, at the first start.
    #[serde(default, deserialize_with = "or_default")]
    pub home_size: String,
}

/// Something a workspace's maker chooses; values are text, also those of numbers.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateParameter {
    pub name: String,
    /// `string`, `number`, `bool` or `list` (a JSON array of text).
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub required: bool,
    /// May be changed at a later start.
    #[serde(default, deserialize_with = "or_default")]
    pub mutable: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub options: Vec<TemplateParameterOption>,
    /// Must match the whole value.
    #[serde(default, deserialize_with = "or_default")]
    pub validation_regex: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_max: Option<f64>,
}

/// One value to choose.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateParameterOption {
    pub name: String,
    pub value: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
}

/// Parameters by one name.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplatePreset {
    /// Made when left out.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub default: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// What workspaces are made from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Template {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub organization_id: String,
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub readme: String,
    pub icon: String,
    pub deprecated: bool,
    /// Every organisation's `local`.
    pub built_in: bool,
    /// Starts take workspaces to the active version.
    pub require_active_version: bool,
    #[schema(format = Uuid)]
    pub active_version_id: String,
    pub active_version_number: i32,
    /// Users whose workspaces of it were used within 60 days.
    pub active_developers: i32,
    pub spec: TemplateSpec,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// A page of templates.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateList {
    pub templates: Vec<Template>,
    pub count: i32,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateTemplateRequest {
    /// Left out: the caller's only organisation, or the default one.
    pub organization_id: Option<uuid::Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub readme: String,
    #[serde(default, deserialize_with = "or_default")]
    pub icon: String,
    #[serde(default, deserialize_with = "or_default")]
    pub deprecated: bool,
    /// Starts take workspaces to the active version.
    #[serde(default, deserialize_with = "or_default")]
    pub require_active_version: bool,
    pub spec: TemplateSpec,
}

/// What is left out stays. Another spec makes another version; workspaces keep theirs, but for `require_active_version`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateTemplateRequest {
    pub name: Option<String>,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub readme: Option<String>,
    pub icon: Option<String>,
    pub deprecated: Option<bool>,
    pub require_active_version: Option<bool>,
    pub spec: Option<TemplateSpec>,
}

/// A place where agents work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspace {
    #[schema(format = Uuid)]
    pub id: String,
    pub name: String,
    #[schema(format = Uuid)]
    pub owner_id: String,
    pub owner_username: String,
    #[schema(format = Uuid)]
    pub organization_id: String,
    #[schema(format = Uuid)]
    pub template_id: String,
    pub template_name: String,
    #[schema(format = Uuid)]
    pub template_version_id: String,
    /// `local`, `external` or `kubernetes`.
    pub backend: String,
    /// `stopped`, `starting`, `running`, `stopping`, `deleting` or `failed`.
    pub status: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    pub parameters: BTreeMap<String, String>,
    /// 0: never stopped for being idle.
    pub ttl_ms: i64,
    /// When it is stopped unless somebody uses it; left out for those that are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub stops_at: Option<String>,
    pub agent: WorkspaceAgent,
    /// Left out when it was never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_build: Option<WorkspaceBuild>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub last_used_at: String,
}

/// A workspace's agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceAgent {
    /// `connected`, `connecting` (never seen yet), `disconnected`, `resting` (starts when it is needed) or `none` (not running).
    pub status: String,
    /// A token was issued for it.
    #[serde(skip_serializing_if = "is_false")]
    pub has_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub first_connected_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_connected_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub disconnected_at: Option<String>,
}

/// One start, stop or deletion.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceBuild {
    #[schema(format = Uuid)]
    pub id: String,
    pub number: i32,
    /// `start`, `stop` or `delete`.
    pub transition: String,
    /// `pending`, `running`, `succeeded`, `failed` or `canceled`.
    pub status: String,
    /// Who wanted it: `user`, `chat` or `idle`.
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub initiator_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// How the startup script ended: `succeeded`, `failed`, `timeout` or `unknown`; left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<String>,
    /// Only in lists of builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// A page of workspaces.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceList {
    pub workspaces: Vec<Workspace>,
    pub count: i32,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateWorkspaceRequest {
    pub template_id: uuid::Uuid,
    /// Left out: made from the template's.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
    /// Left out: the template's default preset.
    pub preset_id: Option<uuid::Uuid>,
    /// Left out: the template's.
    pub ttl_ms: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateWorkspaceRequest {
    pub name: Option<String>,
    pub ttl_ms: Option<i64>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct StartWorkspaceRequest {
    /// New values of parameters that may be changed.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// How the agent on a user's own host is started; shown this once.
#[derive(Serialize, ToSchema)]
pub struct WorkspaceAgentToken {
    pub token: String,
    pub url: String,
    /// What to run there.
    pub command: String,
}

/// What confines a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceConfinement {
    pub mechanisms: Vec<WorkspaceConfinementMechanism>,
}

/// One way of confining, and whether it is in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceConfinementMechanism {
    pub name: String,
    pub enforced: bool,
    /// What it does, or what is missing for it.
    pub detail: String,
}
