//! The form an answer must have.

use serde_json::Value;
use tandem_protocols::call::{OutputFormat, OutputSchema};

use super::fields::Fields;
use crate::bridge::translate::{Refused, asked::WantedOutput};

/// The name of a schema that has none.
const NAME: &str = "answer";

/// Longest name of a schema.
const MAX_NAME_BYTES: usize = 64;

/// The form under that name: `text`, `json_object`, or `json_schema` with the schema inside or beside its type.
///
/// # Errors
/// It is of another kind, or no schema.
pub(super) fn format(fields: &mut Fields, name: &str) -> Result<Option<WantedOutput>, Refused> {
    let field = fields.path(name);
    let Some(mut wanted) = fields.object(name)? else {
        return Ok(None);
    };
    let format = match wanted.kind()?.as_str() {
        "text" => return Ok(None),
        "json_object" => OutputFormat::Json,
        "json_schema" => match wanted.object("json_schema")? {
            Some(inner) => OutputFormat::Schema(schema(inner)?),
            None => OutputFormat::Schema(schema(wanted)?),
        },
        _ => return Err(wanted.refused("type", "It must be text, json_object or json_schema.")),
    };
    Ok(Some(WantedOutput { field, format }))
}

fn schema(mut fields: Fields) -> Result<OutputSchema, Refused> {
    let name = fields.text("name")?.unwrap_or_else(|| NAME.to_owned());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_plain) {
        let text = format!("The name must be 1 to {MAX_NAME_BYTES} characters of a-z, A-Z, 0-9, _ and -.");
        return Err(fields.refused("name", text));
    }
    let description = fields.text("description")?.unwrap_or_default();
    let is_strict = fields.flag("strict")?.unwrap_or(false);
    let schema = fields
        .take("schema")
        .filter(Value::is_object)
        .ok_or_else(|| fields.refused("schema", "It must be a JSON Schema, which is an object."))?;
    Ok(OutputSchema {
        name,
        description,
        schema,
        is_strict,
    })
}
