//! Tools on offer, and whether they may be called.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};
use tandem_protocols::call::{Tool, ToolChoice};

use super::fields::Fields;
use crate::bridge::translate::{
    Asked, Refused,
    free_form::{self, Grammar},
};

/// Tools in one request.
const MAX_TOOLS: usize = 512;

/// Longest name of a tool.
const MAX_NAME_BYTES: usize = 64;

/// Said of tools that a vendor runs itself.
pub(super) const VENDORS_OWN: &str = "Tools that a provider runs itself cannot be carried to another one. Offer functions only, or ask for a model of that provider.";

/// Longest definition of a grammar.
const MAX_GRAMMAR_BYTES: usize = 32 * 1024;

/// Tools being read.
#[derive(Default)]
pub(super) struct Tools {
    tools: Vec<Tool>,
    names: HashSet<String>,
    free_form: BTreeSet<String>,
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
            computer: None,
        });
        Ok(())
    }

    /// Adds a tool whose input is a text of a free form.
    ///
    /// # Errors
    /// As [`Tools::add`], or what the text must look like is told in a way nobody knows.
    pub(super) fn add_free_form(&mut self, mut tool: Fields) -> Result<(), Refused> {
        let grammar = grammar(&mut tool)?;
        let name = tool.text("name")?.unwrap_or_default();
        let own = tool.text("description")?.unwrap_or_default();
        let description = free_form::description(&own, grammar.as_ref());
        let field = tool.path("name");
        self.add(name.clone(), Some(description), Some(free_form::schema()), &field)?;
        self.free_form.insert(name);
        Ok(())
    }

    /// All of them, in order, are what is offered.
    pub(super) fn finish(self, asked: &mut Asked) {
        asked.tools = self.tools;
        asked.free_form = self.free_form;
    }
}

/// What a text of a free form must look like; `None` where it may be any.
fn grammar(tool: &mut Fields) -> Result<Option<Grammar>, Refused> {
    let Some(mut format) = tool.object("format")? else {
        return Ok(None);
    };
    match format.kind()?.as_str() {
        "text" => return Ok(None),
        "grammar" => {}
        _ => return Err(format.refused("type", "It must be text or grammar.")),
    }
    // Chat Completions has it within, Responses beside its type.
    let mut grammar = match format.object("grammar")? {
        Some(inner) => inner,
        None => format,
    };
    let syntax = match grammar.required_text("syntax")?.as_str() {
        "lark" => "Lark grammar",
        "regex" => "regular expression",
        _ => return Err(grammar.refused("syntax", "It must be lark or regex.")),
    };
    let definition = grammar.required_text("definition")?;
    if definition.len() > MAX_GRAMMAR_BYTES {
        let text = format!("A grammar of at most {MAX_GRAMMAR_BYTES} bytes is possible.");
        return Err(grammar.refused("definition", text));
    }
    Ok(Some(Grammar { syntax, definition }))
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
