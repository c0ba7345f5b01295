//! What a workspace is, as a version of a template says it: checked where it comes in, kept as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1 as wire;
use uuid::Uuid;

mod kubernetes;
pub(crate) mod parameters;

use kubernetes::Kubernetes;
use parameters::Kind;

const MAX_ENVIRONMENT: usize = 100;
const MAX_ENVIRONMENT_BYTES: usize = 64 * 1024;
const MAX_SCRIPT_BYTES: usize = 64 * 1024;
const MAX_STARTUP_MS: i64 = 10 * 60 * 1_000;
/// Longest time to live, and the shortest but for none.
pub(crate) const MAX_TTL_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
pub(crate) const MIN_TTL_MS: i64 = 60 * 1_000;
const MAX_PARAMETERS: usize = 50;
const MAX_PRESETS: usize = 50;
const MAX_OPTIONS: usize = 100;
const MAX_NAME_BYTES: usize = 64;
const MAX_SHOWN_NAME_BYTES: usize = 128;
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// All of it, as JSON.
const MAX_SPEC_BYTES: usize = 256 * 1024;

/// Names by which workspaces find the database, us or each other; a template may not set them.
const RESERVED_PREFIX: &str = "TANDEM_";

/// The field of what is wrong with the spec as a whole.
const WHOLE: &str = "";

/// A field and what is wrong with it.
pub(crate) type Broken = (String, String);

/// One version of a template; its backend is a column of its own.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Spec {
    pub(crate) kubernetes: Option<Kubernetes>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) startup_script: String,
    pub(crate) startup_timeout_ms: i64,
    pub(crate) default_ttl_ms: i64,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) presets: Vec<Preset>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    pub(crate) is_mutable: bool,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) default_value: Option<String>,
    pub(crate) options: Vec<Choice>,
    pub(crate) validation_regex: String,
    pub(crate) validation_min: Option<f64>,
    pub(crate) validation_max: Option<f64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) description: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Preset {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) is_default: bool,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The backend's name as stored; `None` for none.
pub(crate) fn backend_name(backend: wire::TemplateBackend) -> Option<&'static str> {
    match backend {
        wire::TemplateBackend::Local => Some("local"),
        wire::TemplateBackend::External => Some("external"),
        wire::TemplateBackend::Kubernetes => Some("kubernetes"),
        wire::TemplateBackend::Unspecified => None,
    }
}

/// The backend of a stored name.
pub(crate) fn backend_of(name: &str) -> wire::TemplateBackend {
    match name {
        "local" => wire::TemplateBackend::Local,
        "external" => wire::TemplateBackend::External,
        "kubernetes" => wire::TemplateBackend::Kubernetes,
        _ => wire::TemplateBackend::Unspecified,
    }
}

/// A spec as a request has it, with its backend, or everything that is wrong with it.
pub(crate) fn proven(spec: wire::TemplateSpec) -> Result<(&'static str, Spec), Vec<Broken>> {
    let mut broken = Vec::new();
    let mut refuse = |field: &str, problem: &str| broken.push((field.to_owned(), problem.to_owned()));
    let backend = spec.backend();
    let name = backend_name(backend).unwrap_or_default();
    match backend {
        wire::TemplateBackend::Unspecified => refuse("backend", "must be local, external or kubernetes"),
        wire::TemplateBackend::External if !spec.startup_script.is_empty() => refuse(
            "startup_script",
            "is not run on hosts of users' own; leave it out for external templates",
        ),
        wire::TemplateBackend::External | wire::TemplateBackend::Local | wire::TemplateBackend::Kubernetes => {}
    }
    let bytes: usize = spec
        .environment
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if spec.environment.len() > MAX_ENVIRONMENT || bytes > MAX_ENVIRONMENT_BYTES {
        refuse("environment", "must have at most 100 variables and 64 KiB");
    }
    if let Some(name) = spec.environment.keys().find(|name| !is_variable(name)) {
        let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
        refuse(
            "environment",
            &format!("{shown:?} cannot be the name of a variable, or is reserved"),
        );
    }
    if spec.environment.values().any(|value| value.contains('\0')) {
        refuse("environment", "must not contain NUL characters");
    }
    if spec.startup_script.len() > MAX_SCRIPT_BYTES || spec.startup_script.contains('\0') {
        refuse("startup_script", "must have at most 64 KiB and no NUL characters");
    }
    if !(0..=MAX_STARTUP_MS).contains(&spec.startup_timeout_ms) {
        refuse("startup_timeout_ms", "must be 0 to 600000");
    }
    if !is_ttl(spec.default_ttl_ms) {
        refuse("default_ttl_ms", "must be 0, or 60000 to 2592000000");
    }
    broken.extend(kubernetes::broken(backend, spec.kubernetes.as_ref()));
    if spec.parameters.len() > MAX_PARAMETERS {
        broken.push(("parameters".to_owned(), "must be at most 50".to_owned()));
    }
    if spec.presets.len() > MAX_PRESETS {
        broken.push(("presets".to_owned(), "must be at most 50".to_owned()));
    }
    let mut names = BTreeSet::new();
    let mut parameters = Vec::new();
    for (index, parameter) in spec.parameters.into_iter().take(MAX_PARAMETERS).enumerate() {
        if !names.insert(parameter.name.clone()) {
            broken.push((format!("parameters[{index}].name"), "is there twice".to_owned()));
        }
        match Parameter::proven(parameter) {
            Ok(parameter) => parameters.push(parameter),
            Err((field, problem)) => broken.push((format!("parameters[{index}].{field}"), problem)),
        }
    }
    let mut presets = Vec::new();
    for (index, preset) in spec.presets.into_iter().take(MAX_PRESETS).enumerate() {
        match Preset::proven(preset, &parameters) {
            Ok(preset) => presets.push(preset),
            Err((field, problem)) => broken.push((format!("presets[{index}].{field}"), problem)),
        }
    }
    if presets.iter().filter(|preset| preset.is_default).count() > 1 {
        broken.push(("presets".to_owned(), "only one may be the default".to_owned()));
    }
    if !broken.is_empty() {
        return Err(broken);
    }
    let spec = Spec {
        kubernetes: spec.kubernetes.map(Kubernetes::from),
        environment: spec.environment.into_iter().collect(),
        startup_script: spec.startup_script,
        startup_timeout_ms: spec.startup_timeout_ms,
        default_ttl_ms: spec.default_ttl_ms,
        parameters,
        presets,
    };
    // A spec that cannot be written as JSON is no smaller than the bound.
    let bytes = serde_json::to_vec(&spec).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_SPEC_BYTES {
        let problem = format!("must have at most {MAX_SPEC_BYTES} bytes as JSON, all in all");
        return Err(vec![(WHOLE.to_owned(), problem)]);
    }
    Ok((name, spec))
}

/// Whether it is a time to live: none, or one within the bounds.
pub(crate) fn is_ttl(ttl_ms: i64) -> bool {
    ttl_ms == 0 || (MIN_TTL_MS..=MAX_TTL_MS).contains(&ttl_ms)
}

/// Refuses a text that is too long, or that the database cannot store.
fn bounded(field: &str, text: &str, max: usize) -> Result<(), Broken> {
    if text.len() > max || text.contains('\0') {
        let problem = format!("must have at most {max} bytes and no NUL characters");
        return Err((field.to_owned(), problem));
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= MAX_NAME_BYTES
        && !name.starts_with(RESERVED_PREFIX)
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

impl Parameter {
    fn proven(parameter: wire::TemplateParameter) -> Result<Self, Broken> {
        let refuse = |field: &str, problem: &str| Err((field.to_owned(), problem.to_owned()));
        let kind = match parameter.r#type() {
            wire::ParameterType::String => Kind::String,
            wire::ParameterType::Number => Kind::Number,
            wire::ParameterType::Bool => Kind::Bool,
            wire::ParameterType::List => Kind::List,
            wire::ParameterType::Unspecified => return refuse("type", "must be string, number, bool or list"),
        };
        let is_name = parameter
            .name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase())
            && parameter
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name || parameter.name.len() > MAX_NAME_BYTES {
            return refuse(
                "name",
                "must be lower-case letters, digits and underscores after a letter, at most 64",
            );
        }
        if parameter.options.len() > MAX_OPTIONS {
            return refuse("options", "must be at most 100");
        }
        bounded("display_name", &parameter.display_name, MAX_SHOWN_NAME_BYTES)?;
        bounded("description", &parameter.description, MAX_TEXT_BYTES)?;
        bounded("validation_regex", &parameter.validation_regex, MAX_TEXT_BYTES)?;
        for (index, option) in parameter.options.iter().enumerate() {
            let field = |name: &str| format!("options[{index}].{name}");
            bounded(&field("name"), &option.name, MAX_SHOWN_NAME_BYTES)?;
            bounded(&field("value"), &option.value, parameters::MAX_VALUE_BYTES)?;
            bounded(&field("description"), &option.description, MAX_TEXT_BYTES)?;
        }
        let parameter = Self {
            kind,
            name: parameter.name,
            is_required: parameter.is_required,
            is_mutable: parameter.is_mutable,
            display_name: parameter.display_name,
            description: parameter.description,
            default_value: parameter.default_value,
            options: parameter.options.into_iter().map(Choice::from).collect(),
            validation_regex: parameter.validation_regex,
            validation_min: parameter.validation_min,
            validation_max: parameter.validation_max,
        };
        if !parameter.validation_regex.is_empty() && parameter.pattern().is_none() {
            return refuse("validation_regex", "is not a regular expression, or is too large");
        }
        if let Some(value) = &parameter.default_value
            && let Err(problem) = parameter.check(value)
        {
            return refuse("default_value", &problem);
        }
        Ok(parameter)
    }
}

impl Preset {
    fn proven(preset: wire::TemplatePreset, known: &[Parameter]) -> Result<Self, Broken> {
        let refuse = |field: &str, problem: String| Err((field.to_owned(), problem));
        if preset.name.trim().is_empty() {
            return refuse("name", "must not be empty".to_owned());
        }
        bounded("name", &preset.name, MAX_NAME_BYTES)?;
        bounded("description", &preset.description, MAX_TEXT_BYTES)?;
        let id = match preset.id.as_str() {
            "" => Uuid::now_v7(),
            id => match Uuid::try_parse(id) {
                Ok(id) => id,
                Err(_) => return refuse("id", "must be a uuid".to_owned()),
            },
        };
        for (name, value) in &preset.parameters {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == *name) else {
                let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
                return refuse("parameters", format!("names no parameter: {shown:?}"));
            };
            if let Err(problem) = parameter.check(value) {
                return refuse("parameters", format!("{name} {problem}"));
            }
        }
        Ok(Self {
            id,
            name: preset.name,
            description: preset.description,
            is_default: preset.is_default,
            parameters: preset.parameters.into_iter().collect(),
        })
    }
}

impl From<wire::ParameterOption> for Choice {
    fn from(option: wire::ParameterOption) -> Self {
        Self {
            name: option.name,
            value: option.value,
            description: option.description,
        }
    }
}

impl Spec {
    /// The message of the contract.
    pub(crate) fn to_wire(&self, backend: &str) -> wire::TemplateSpec {
        wire::TemplateSpec {
            backend: backend_of(backend).into(),
            kubernetes: self.kubernetes.clone().map(Into::into),
            environment: self.environment.clone().into_iter().collect(),
            startup_script: self.startup_script.clone(),
            startup_timeout_ms: self.startup_timeout_ms,
            default_ttl_ms: self.default_ttl_ms,
            parameters: self.parameters.iter().map(parameter_to_wire).collect(),
            presets: self.presets.iter().map(preset_to_wire).collect(),
        }
    }
}

fn parameter_to_wire(parameter: &Parameter) -> wire::TemplateParameter {
    let options = parameter.options.iter().map(|option| wire::ParameterOption {
        name: option.name.clone(),
        value: option.value.clone(),
        description: option.description.clone(),
    });
    wire::TemplateParameter {
        name: parameter.name.clone(),
        r#type: match parameter.kind {
            Kind::String => wire::ParameterType::String.into(),
            Kind::Number => wire::ParameterType::Number.into(),
            Kind::Bool => wire::ParameterType::Bool.into(),
            Kind::List => wire::ParameterType::List.into(),
        },
        is_required: parameter.is_required,
        is_mutable: parameter.is_mutable,
        display_name: parameter.display_name.clone(),
        description: parameter.description.clone(),
        default_value: parameter.default_value.clone(),
        options: options.collect(),
        validation_regex: parameter.validation_regex.clone(),
        validation_min: parameter.validation_min,
        validation_max: parameter.validation_max,
    }
}

fn preset_to_wire(preset: &Preset) -> wire::TemplatePreset {
    wire::TemplatePreset {
        id: preset.id.to_string(),
        name: preset.name.clone(),
        description: preset.description.clone(),
        is_default: preset.is_default,
        parameters: preset.parameters.clone().into_iter().collect(),
    }
}
