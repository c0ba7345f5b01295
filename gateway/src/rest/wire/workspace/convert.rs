//! Shapes of the wire from and to the contracts.

use super::*;

/// A number's name in a table of names.
fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> String {
    let found = names.iter().find(|(_, known)| *known == value);
    found.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

fn value_of<T: Copy>(names: &[(&'static str, T)], field: &str, name: &str) -> Result<T, Violation> {
    let found = names.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| Violation {
        field: field.to_owned(),
        description: "is none of its values".to_owned(),
    })
}

impl TemplateSpec {
    /// The contract's message.
    ///
    /// # Errors
    /// 400 for names of no backend or type.
    pub fn into_wire(self) -> Result<proto::TemplateSpec, Problem> {
        let refused = |broken: Violation| Problem::field(broken.field, broken.description);
        let backend = value_of(&BACKENDS, "spec.backend", &self.backend).map_err(refused)?;
        let mut parameters = Vec::new();
        for (index, parameter) in self.parameters.into_iter().enumerate() {
            let field = format!("spec.parameters[{index}].type");
            let kind = value_of(&TYPES, &field, &parameter.kind).map_err(refused)?;
            parameters.push(parameter.into_wire(kind));
        }
        Ok(proto::TemplateSpec {
            backend: backend.into(),
            kubernetes: self.kubernetes.map(|pod| proto::KubernetesSettings {
                image: pod.image,
                cpu: pod.cpu,
                memory: pod.memory,
                home_size: pod.home_size,
            }),
            environment: self.environment.into_iter().collect(),
            startup_script: self.startup_script,
            startup_timeout_ms: self.startup_timeout_ms,
            default_ttl_ms: self.default_ttl_ms,
            parameters,
            presets: self.presets.into_iter().map(Into::into).collect(),
        })
    }
}

impl TemplateParameter {
    fn into_wire(self, kind: proto::ParameterType) -> proto::TemplateParameter {
        let options = self.options.into_iter().map(|option| proto::ParameterOption {
            name: option.name,
            value: option.value,
            description: option.description,
        });
        proto::TemplateParameter {
            name: self.name,
            r#type: kind.into(),
            is_required: self.required,
            is_mutable: self.mutable,
            display_name: self.display_name,
            description: self.description,
            default_value: self.default,
            options: options.collect(),
            validation_regex: self.validation_regex,
            validation_min: self.validation_min,
            validation_max: self.validation_max,
        }
    }
}

impl From<TemplatePreset> for proto::TemplatePreset {
    fn from(preset: TemplatePreset) -> Self {
        Self {
            id: preset.id,
            name: preset.name,
            description: preset.description,
            is_default: preset.default,
            parameters: preset.parameters.into_iter().collect(),
        }
    }
}

impl From<proto::TemplateSpec> for TemplateSpec {
    fn from(spec: proto::TemplateSpec) -> Self {
        Self {
            backend: name_of(&BACKENDS, spec.backend()),
            kubernetes: spec.kubernetes.map(|pod| KubernetesSettings {
                image: pod.image,
                cpu: pod.cpu,
                memory: pod.memory,
                home_size: pod.home_size,
            }),
            environment: spec.environment.into_iter().collect(),
            startup_script: spec.startup_script,
            startup_timeout_ms: spec.startup_timeout_ms,
            default_ttl_ms: spec.default_ttl_ms,
            parameters: spec.parameters.into_iter().map(Into::into).collect(),
            presets: spec.presets.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<proto::TemplateParameter> for TemplateParameter {
    fn from(parameter: proto::TemplateParameter) -> Self {
        let options = parameter.options.iter().map(|option| TemplateParameterOption {
            name: option.name.clone(),
            value: option.value.clone(),
            description: option.description.clone(),
        });
        Self {
            kind: name_of(&TYPES, parameter.r#type()),
            options: options.collect(),
            name: parameter.name,
            required: parameter.is_required,
            mutable: parameter.is_mutable,
            display_name: parameter.display_name,
            description: parameter.description,
            default: parameter.default_value,
            validation_regex: parameter.validation_regex,
            validation_min: parameter.validation_min,
            validation_max: parameter.validation_max,
        }
    }
}

impl From<proto::TemplatePreset> for TemplatePreset {
    fn from(preset: proto::TemplatePreset) -> Self {
        Self {
            id: preset.id,
            name: preset.name,
            description: preset.description,
            default: preset.is_default,
            parameters: preset.parameters.into_iter().collect(),
        }
    }
}

impl From<proto::Template> for Template {
    fn from(template: proto::Template) -> Self {
        Self {
            id: template.id,
            organization_id: template.organization_id,
            name: template.name,
            display_name: template.display_name,
            description: template.description,
            readme: template.readme,
            icon: template.icon_url,
            deprecated: template.is_deprecated,
            built_in: template.is_builtin,
            require_active_version: template.requires_active_version,
            active_version_id: template.active_version_id,
            active_version_number: template.active_version_number,
            active_developers: template.active_user_count,
            spec: template.spec.unwrap_or_default().into(),
            created_at: time(template.created_at.as_ref()),
            updated_at: time(template.updated_at.as_ref()),
        }
    }
}

impl From<WorkspaceView> for Workspace {
    fn from(view: WorkspaceView) -> Self {
        let workspace = view.workspace.unwrap_or_default();
        let status = workspace.status();
        let agent = agent(&workspace, view.is_agent_connected);
        let stops_at = workspace
            .last_used_at
            .filter(|_| workspace.ttl_ms > 0 && status == proto::WorkspaceStatus::Running);
        let stops_at = stops_at.map(|last| prost_types::Timestamp {
            seconds: last.seconds.saturating_add(workspace.ttl_ms / 1_000),
            nanos: last.nanos,
        });
        Self {
            backend: name_of(&BACKENDS, workspace.backend()),
            status: status_name(status).to_owned(),
            agent,
            stops_at: some_time(stops_at.as_ref()),
            id: workspace.id,
            name: workspace.name,
            owner_id: workspace.owner_id,
            owner_username: workspace.owner_username,
            organization_id: workspace.organization_id,
            template_id: workspace.template_id,
            template_name: workspace.template_name,
            template_version_id: workspace.template_version_id,
            status_message: some_text(workspace.status_message),
            parameters: workspace.parameters.into_iter().collect(),
            ttl_ms: workspace.ttl_ms,
            latest_build: workspace.latest_build.map(Into::into),
            created_at: time(workspace.created_at.as_ref()),
            last_used_at: time(workspace.last_used_at.as_ref()),
        }
    }
}

fn agent(workspace: &proto::Workspace, is_connected: bool) -> WorkspaceAgent {
    let agent = workspace.agent.clone().unwrap_or_default();
    let is_local = workspace.backend() == proto::TemplateBackend::Local;
    let status = match workspace.status() {
        proto::WorkspaceStatus::Running | proto::WorkspaceStatus::Starting => match (is_connected, is_local) {
            (true, _) => "connected",
            (false, true) if workspace.status() == proto::WorkspaceStatus::Running => "resting",
            (false, _) if agent.first_connected_at.is_none() => "connecting",
            (false, _) => "disconnected",
        },
        _ => "none",
    };
    WorkspaceAgent {
        status: status.to_owned(),
        has_token: agent.has_token,
        first_connected_at: some_time(agent.first_connected_at.as_ref()),
        last_connected_at: some_time(agent.last_connected_at.as_ref()),
        disconnected_at: some_time(agent.disconnected_at.as_ref()),
    }
}

fn status_name(status: proto::WorkspaceStatus) -> &'static str {
    match status {
        proto::WorkspaceStatus::Stopped | proto::WorkspaceStatus::Unspecified => "stopped",
        proto::WorkspaceStatus::Starting => "starting",
        proto::WorkspaceStatus::Running => "running",
        proto::WorkspaceStatus::Failed => "failed",
        proto::WorkspaceStatus::Deleted => "deleted",
        proto::WorkspaceStatus::Stopping => "stopping",
        proto::WorkspaceStatus::Deleting => "deleting",
    }
}

impl From<proto::WorkspaceBuild> for WorkspaceBuild {
    fn from(build: proto::WorkspaceBuild) -> Self {
        let transition = match build.transition() {
            proto::WorkspaceTransition::Start => "start",
            proto::WorkspaceTransition::Stop => "stop",
            proto::WorkspaceTransition::Delete => "delete",
            proto::WorkspaceTransition::Unspecified => "",
        };
        let status = match build.status() {
            proto::BuildStatus::Pending => "pending",
            proto::BuildStatus::Running | proto::BuildStatus::Canceling => "running",
            proto::BuildStatus::Succeeded => "succeeded",
            proto::BuildStatus::Failed => "failed",
            proto::BuildStatus::Canceled => "canceled",
            proto::BuildStatus::Unspecified => "",
        };
        let reason = match build.reason() {
            proto::BuildReason::Chat => "chat",
            proto::BuildReason::Idle => "idle",
            proto::BuildReason::User | proto::BuildReason::Unspecified => "user",
        };
        let startup = match build.startup() {
            proto::StartupOutcome::Unspecified => None,
            proto::StartupOutcome::Succeeded => Some("succeeded"),
            proto::StartupOutcome::Failed => Some("failed"),
            proto::StartupOutcome::Timeout => Some("timeout"),
            proto::StartupOutcome::Unknown => Some("unknown"),
        };
        Self {
            transition: transition.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            startup: startup.map(str::to_owned),
            id: build.id,
            number: build.number,
            initiator_id: some_text(build.initiator_id),
            error: some_text(build.error),
            error_code: some_text(build.error_code),
            log: some_text(build.log),
            created_at: time(build.created_at.as_ref()),
            started_at: some_time(build.started_at.as_ref()),
            finished_at: some_time(build.finished_at.as_ref()),
        }
    }
}

impl From<ConfinementMechanism> for WorkspaceConfinementMechanism {
    fn from(mechanism: ConfinementMechanism) -> Self {
        Self {
            name: mechanism.name,
            enforced: mechanism.is_enforced,
            detail: mechanism.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn shown(
        backend: proto::TemplateBackend,
        status: proto::WorkspaceStatus,
        is_connected: bool,
        was_seen: bool,
    ) -> Workspace {
        let agent = proto::WorkspaceAgentState {
            first_connected_at: was_seen.then(Timestamp::default),
            ..proto::WorkspaceAgentState::default()
        };
        let workspace = proto::Workspace {
            backend: backend.into(),
            status: status.into(),
            ttl_ms: 90_000,
            last_used_at: Some(Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            agent: Some(agent),
            ..proto::Workspace::default()
        };
        Workspace::from(WorkspaceView {
            workspace: Some(workspace),
            is_agent_connected: is_connected,
        })
    }

    #[test]
    fn an_agent_that_rests_is_told_from_one_that_is_away() {
        use proto::{TemplateBackend as Backend, WorkspaceStatus as Status};
        let cases = [
            (Backend::Local, Status::Running, true, true, "connected"),
            (Backend::Local, Status::Running, false, true, "resting"),
            (Backend::Local, Status::Starting, false, false, "connecting"),
            (Backend::Local, Status::Stopped, false, true, "none"),
            (Backend::External, Status::Running, false, false, "connecting"),
            (Backend::External, Status::Running, false, true, "disconnected"),
        ];
        for (backend, status, is_connected, was_seen, expected) in cases {
            let shown = shown(backend, status, is_connected, was_seen);
            assert_eq!(
                shown.agent.status, expected,
                "{backend:?} {status:?} {is_connected} {was_seen}"
            );
        }
    }

    #[test]
    fn only_what_runs_says_when_it_stops() {
        use proto::{TemplateBackend as Backend, WorkspaceStatus as Status};
        let stops_at = |status| shown(Backend::Local, status, true, true).stops_at;
        assert_eq!(stops_at(Status::Running).as_deref(), Some("2023-11-14T22:14:50Z"));
        assert_eq!(stops_at(Status::Stopped), None);
    }

    #[test]
    fn a_spec_comes_back_as_it_was_written() {
        let text = serde_json::json!({
            "backend": "external",
            "environment": { "A": "b" },
            "startup_script": "",
            "startup_timeout_ms": 0,
            "default_ttl_ms": 60_000,
            "parameters": [{
                "name": "size", "type": "number", "required": true, "mutable": false, "display_name": "Size", "description": "",
                "default": "2", "options": [{ "name": "two", "value": "2", "description": "" }], "validation_regex": "",
                "validation_min": 1.0, "validation_max": 8.0,
            }],
            "presets": [{ "id": "", "name": "p", "description": "", "default": true, "parameters": { "size": "2" } }],
        });
        let spec: TemplateSpec = serde_json::from_value(text.clone()).unwrap();
        let back = TemplateSpec::from(spec.into_wire().unwrap());
        assert_eq!(serde_json::to_value(back).unwrap(), text);
        let unknown: Result<TemplateSpec, _> =
            serde_json::from_value(serde_json::json!({ "backend": "local", "scirpt": "x" }));
        assert!(unknown.is_err());
    }
}
