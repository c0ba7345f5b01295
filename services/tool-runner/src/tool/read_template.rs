//! `read_template`: what a workspace of a template is, and what can be chosen about it.

use serde_json::{Map, Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{GetTemplateRequest, ParameterType, TemplateParameter, TemplatePreset};
use tonic::Code;

use super::arguments::{Arguments, must_be};
use super::{Outcome, Stop};
use crate::call::Context;

/// Most characters of a readme and of a parameter's description.
const MAX_README: usize = 8_000;
const MAX_DESCRIPTION: usize = 300;

/// What is said of a template that is not there for this chat.
pub(super) const UNKNOWN: &str = "There is no such template for this chat. Use list_templates to see those there are.";

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Shows a template: its readme, the parameters that can be chosen and its presets. Ids come from list_templates.";
    let schema = json!({
        "type": "object",
        "properties": { "template_id": { "type": "string", "description": "Id from list_templates." } },
        "required": ["template_id"],
    });
    (description, schema)
}

/// The id of a template among the arguments.
pub(super) fn template_id(arguments: &Arguments) -> Result<String, Stop> {
    let id = arguments.text("template_id")?;
    match uuid::Uuid::try_parse(id.trim()) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err(must_be("template_id", "a uuid from list_templates")),
    }
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let input = context.input();
    let message = GetTemplateRequest {
        template_id: template_id(arguments)?,
        chat_id: input.chat_id.clone(),
    };
    let request = context.clients().request(&input.user, message);
    let found = context.clients().templates.clone().get_template(request).await;
    let found = found.map_err(|status| match status.code() {
        Code::NotFound => Stop::Failed(UNKNOWN.to_owned()),
        _ => Stop::Failed(Fault::from(status).message),
    })?;
    let template = found
        .into_inner()
        .template
        .ok_or_else(|| Stop::Failed(UNKNOWN.to_owned()))?;
    let spec = template.spec.unwrap_or_default();
    let mut shown = Map::from_iter([
        ("id".to_owned(), template.id.into()),
        ("name".to_owned(), template.name.into()),
        ("active_version_id".to_owned(), template.active_version_id.into()),
    ]);
    add(&mut shown, "display_name", &template.display_name, usize::MAX);
    add(&mut shown, "description", &template.description, usize::MAX);
    add(&mut shown, "readme", &template.readme, MAX_README);
    let mut result = json!({
        "template": shown,
        "parameters": spec.parameters.iter().map(parameter).collect::<Vec<_>>(),
    });
    if !spec.presets.is_empty() {
        result["presets"] = spec.presets.iter().map(preset).collect();
    }
    Ok(Outcome::Done(result))
}

fn parameter(parameter: &TemplateParameter) -> Value {
    let kind = match parameter.r#type() {
        ParameterType::Number => "number",
        ParameterType::Bool => "bool",
        ParameterType::List => "list(string)",
        ParameterType::String | ParameterType::Unspecified => "string",
    };
    let mut shown = Map::from_iter([
        ("name".to_owned(), parameter.name.as_str().into()),
        ("type".to_owned(), kind.into()),
        ("required".to_owned(), parameter.is_required.into()),
        ("mutable".to_owned(), parameter.is_mutable.into()),
    ]);
    add(&mut shown, "display_name", &parameter.display_name, usize::MAX);
    add(&mut shown, "description", &parameter.description, MAX_DESCRIPTION);
    add(&mut shown, "validation_regex", &parameter.validation_regex, usize::MAX);
    if let Some(value) = &parameter.default_value {
        shown.insert("default".to_owned(), value.as_str().into());
    }
    for (key, bound) in [
        ("validation_min", parameter.validation_min),
        ("validation_max", parameter.validation_max),
    ] {
        if let Some(bound) = bound {
            shown.insert(key.to_owned(), bound.into());
        }
    }
    if !parameter.options.is_empty() {
        let options = parameter.options.iter().map(|option| {
            let mut shown = Map::from_iter([
                ("name".to_owned(), option.name.as_str().into()),
                ("value".to_owned(), option.value.as_str().into()),
            ]);
            add(&mut shown, "description", &option.description, MAX_DESCRIPTION);
            Value::from(shown)
        });
        shown.insert("options".to_owned(), options.collect());
    }
    shown.into()
}

fn preset(preset: &TemplatePreset) -> Value {
    let mut values: Vec<(&String, &String)> = preset.parameters.iter().collect();
    values.sort();
    let values = values
        .into_iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    let mut shown = Map::from_iter([
        ("id".to_owned(), preset.id.as_str().into()),
        ("name".to_owned(), preset.name.as_str().into()),
        ("default".to_owned(), preset.is_default.into()),
        ("parameters".to_owned(), values.collect()),
    ]);
    add(&mut shown, "description", &preset.description, MAX_DESCRIPTION);
    shown.into()
}

/// Adds text that is not empty, at most so many characters of it.
fn add(shown: &mut Map<String, Value>, key: &str, text: &str, most: usize) {
    if !text.is_empty() {
        let text: String = text.chars().take(most).collect();
        shown.insert(key.to_owned(), text.into());
    }
}
