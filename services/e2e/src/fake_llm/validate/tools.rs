//! Tool definitions and the choice among them.

use serde_json::{Map, Value};

use super::{
    VendorError, empty_array, long_array,
    messages::tool_name,
    missing, only,
    params::{boolean, present},
    string, unsupported, wrong_type,
};

/// Tools in one request.
const MAX_TOOLS: usize = 128;
/// Depth of a parameter schema that is followed.
const MAX_SCHEMA_DEPTH: usize = 64;
/// JSON Schema's types.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

pub(super) fn check(request: &Map<String, Value>) -> Result<(), VendorError> {
    let mut names = Vec::new();
    match request.get("tools") {
        None | Some(Value::Null) => {}
        Some(Value::Array(tools)) if tools.is_empty() => return Err(empty_array("tools")),
        Some(Value::Array(tools)) if tools.len() > MAX_TOOLS => {
            return Err(long_array("tools", MAX_TOOLS, tools.len()));
        }
        Some(Value::Array(tools)) => {
            for (index, tool) in tools.iter().enumerate() {
                names.push(definition(tool, &format!("tools[{index}]"))?);
            }
        }
        Some(other) => return Err(wrong_type("tools", "an array of objects", other)),
    }
    boolean(request, "parallel_tool_calls")?;
    for name in ["tool_choice", "parallel_tool_calls"] {
        if names.is_empty() && present(request, name) {
            return Err(VendorError::invalid(
                format!("Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."),
                Some(name),
                None,
            ));
        }
    }
    choice(request, &names)
}

fn definition<'a>(tool: &'a Value, path: &str) -> Result<&'a str, VendorError> {
    let Value::Object(tool) = tool else {
        return Err(wrong_type(path, "an object", tool));
    };
    let kind = string(tool, path, "type")?;
    if kind != "function" {
        let known = ["function", "custom"];
        return Err(unsupported(&format!("{path}.type"), kind, &known));
    }
    only(tool, path, &["type", "function"])?;
    let path = format!("{path}.function");
    let function = match tool.get("function") {
        Some(Value::Object(function)) => function,
        Some(other) => return Err(wrong_type(&path, "an object", other)),
        None => return Err(missing(&path)),
    };
    only(function, &path, &["name", "description", "parameters", "strict"])?;
    let name = string(function, &path, "name")?;
    tool_name(name, &format!("{path}.name"))?;
    if function.contains_key("description") {
        string(function, &path, "description")?;
    }
    let parameters_path = format!("{path}.parameters");
    let invalid = |what: String| {
        VendorError::invalid(
            format!("Invalid schema for function '{name}': {what}"),
            Some(&parameters_path),
            Some("invalid_function_parameters"),
        )
    };
    match function.get("parameters") {
        None => {}
        Some(Value::Object(parameters)) => {
            let kind = parameters.get("type");
            if kind.and_then(Value::as_str) != Some("object") {
                let found = kind.map_or_else(|| "None".to_owned(), Value::to_string);
                return Err(invalid(format!(
                    "schema must be a JSON Schema of 'type: \"object\"', got 'type: {found}'."
                )));
            }
            schema(parameters, &mut Vec::new()).map_err(invalid)?;
        }
        Some(other) => return Err(wrong_type(&parameters_path, "an object", other)),
    }
    Ok(name)
}

/// Follows a schema through its parts; the error names the context.
fn schema<'a>(schema: &'a Map<String, Value>, context: &mut Vec<&'a str>) -> Result<(), String> {
    let here = |context: &[&str], what: &str| {
        let names: Vec<String> = context.iter().map(|name| format!("'{name}'")).collect();
        format!("In context=({}), {what}.", names.join(", "))
    };
    if context.len() > MAX_SCHEMA_DEPTH {
        return Err(here(&[], "schema is nested too deeply"));
    }
    let kinds: Vec<&Value> = match schema.get("type") {
        None => Vec::new(),
        Some(Value::Array(kinds)) => kinds.iter().collect(),
        Some(kind) => vec![kind],
    };
    for kind in &kinds {
        if !kind.as_str().is_some_and(|kind| TYPES.contains(&kind)) {
            let what = format!("{kind} is not valid under any of the given schemas");
            return Err(here(context, &what));
        }
    }
    if kinds.iter().any(|kind| *kind == "array") && !schema.contains_key("items") {
        return Err(here(context, "array schema missing items"));
    }
    let properties = match schema.get("properties") {
        None => None,
        Some(Value::Object(properties)) => Some(properties),
        Some(_) => return Err(here(context, "'properties' is not of type 'object'")),
    };
    if let Some(required) = schema.get("required") {
        let names = required.as_array().filter(|names| names.iter().all(Value::is_string));
        if names.is_none() {
            return Err(here(context, "'required' is not an array of strings"));
        }
    }
    for (name, part) in properties.into_iter().flatten() {
        context.extend(["properties", name.as_str()]);
        match part {
            Value::Object(part) => self::schema(part, context)?,
            Value::Bool(_) => {}
            _ => return Err(here(context, "schema is not of type 'object', 'boolean'")),
        }
        context.truncate(context.len() - 2);
    }
    if let Some(Value::Object(items)) = schema.get("items") {
        context.push("items");
        self::schema(items, context)?;
        context.pop();
    }
    Ok(())
}

fn choice(request: &Map<String, Value>, names: &[&str]) -> Result<(), VendorError> {
    match request.get("tool_choice") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(choice)) => {
            let known = ["none", "auto", "required"];
            match known.contains(&choice.as_str()) {
                true => Ok(()),
                false => Err(unsupported("tool_choice", choice, &known)),
            }
        }
        Some(Value::Object(choice)) => {
            string(choice, "tool_choice", "type")?;
            let path = "tool_choice.function";
            let function = match choice.get("function") {
                Some(Value::Object(function)) => function,
                Some(other) => return Err(wrong_type(path, "an object", other)),
                None => return Err(missing(path)),
            };
            let name = string(function, path, "name")?;
            match names.contains(&name) {
                true => Ok(()),
                false => Err(VendorError::invalid(
                    format!("Tool choice '{name}' not found in 'tools' parameter."),
                    Some("tool_choice"),
                    None,
                )),
            }
        }
        Some(other) => Err(wrong_type("tool_choice", "one of a string or an object", other)),
    }
}
