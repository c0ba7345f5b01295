//! Tools on offer, and whether they may be called.

use std::collections::HashSet;

use serde_json::{Value, json};
use tandem_protocols::call::{Tool, ToolChoice};

use crate::bridge::translate::{Asked, Refused};

/// Tools in one request.
const MAX_TOOLS: usize = 512;

/// Longest name of a tool.
const MAX_NAME_BYTES: usize = 64;

/// Said of tools that a vendor runs itself.
pub(super) const VENDORS_OWN: &str = "Tools that a provider runs itself cannot be carried to another one. Offer functions only, or ask for a model of that provider.";

/// Said of tools whose input has no schema.
pub(super) const FREE_FORM: &str = "A tool whose input is of a free form cannot be carried to this model's provider. Offer a function with a field for the text.";

/// Tools being read.
#[derive(Default)]
pub(super) struct Tools {
    tools: Vec<Tool>,
    names: HashSet<String>,
}

impl Tools {
    /// Adds a tool.
    ///
    /// * `field`: where it stands.
    ///
    /// # Errors
    /// Its name or schema cannot be told to every vendor, or there are too many.
    pub(super) fn add(
        &mut self,
        name: String,
        description: Option<String>,
        schema: Option<Value>,
        field: &str,
    ) -> Result<(), Refused> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.tools.len() >= MAX_TOOLS {
            return Err(Refused::new(field, format!("At most {MAX_TOOLS} tools are possible.")));
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_plain) {
            let text = format!("The name must be 1 to {MAX_NAME_BYTES} characters of a-z, A-Z, 0-9, _ and -.");
            return Err(Refused::new(field, text));
        }
        if !self.names.insert(name.clone()) {
            return Err(Refused::new(field, "Two tools have the same name."));
        }
        let input_schema = match schema {
            None => json!({ "type": "object", "properties": {} }),
            Some(schema @ Value::Object(_)) => schema,
            Some(_) => return Err(Refused::new(field, "The schema of its input must be an object.")),
        };
        self.tools.push(Tool {
            name,
            description: description.unwrap_or_default(),
            input_schema,
        });
        Ok(())
    }

    /// All of them, in order.
    pub(super) fn finish(self) -> Vec<Tool> {
        self.tools
    }
}

/// Makes a choice that requires a call, of any tool or of one.
///
/// * `field`: where it stands.
///
/// # Errors
/// There is no such tool.
pub(super) fn require(asked: &mut Asked, name: Option<String>, field: &str) -> Result<(), Refused> {
    asked.tool_choice = match name {
        None if asked.tools.is_empty() => return Err(Refused::new(field, "It requires a tool, but none is offered.")),
        None => ToolChoice::Required,
        Some(name) if asked.tools.iter().any(|tool| tool.name == name) => ToolChoice::Named(name),
        Some(_) => return Err(Refused::new(field, "It names a tool that is not offered.")),
    };
    Ok(())
}

/// Leaves only the named tools on offer.
///
/// * `field`: where the names stand.
///
/// # Errors
/// One of them is not offered.
pub(super) fn restrict(asked: &mut Asked, names: &[String], field: &str) -> Result<(), Refused> {
    let is_offered = |name: &String| asked.tools.iter().any(|tool| tool.name == *name);
    if !names.iter().all(is_offered) {
        return Err(Refused::new(field, "It names a tool that is not offered."));
    }
    asked.tools.retain(|tool| names.contains(&tool.name));
    Ok(())
}
