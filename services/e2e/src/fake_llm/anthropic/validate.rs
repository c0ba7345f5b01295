//! Refuses what the vendor would refuse, in the vendor's words: parameters, tools, thinking, and the order of turns.
//!
//! What may stand in a turn is [`content`]'s.

mod computer;
mod content;

use serde_json::{Map, Value, json};

use super::{
    super::{
        validate::{Accepted, Rules},
        wire::VendorError,
    },
    Version, invalid,
};

/// Estimated bytes of text per token.
const BYTES_PER_TOKEN: usize = 4;
/// Fewest tokens to think with.
const MIN_BUDGET: u64 = 1024;
/// Marks of cached prefixes in one request.
const MAX_MARKS: usize = 4;
const KNOWN: [&str; 16] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "container",
];

/// Models that cannot be held to a form of their answers.
const WITHOUT_FORM: [&str; 3] = ["claude-3", "claude-opus-4-1", "claude-sonnet-4-2"];

/// What the version of 2026 no longer takes.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

type Check<T = ()> = Result<T, VendorError>;

/// Checks a request body.
///
/// * `betas`: what it uses of what is in trial.
///
/// # Errors
/// The vendor's answer to the first mistake found.
pub(in super::super) fn check(body: &[u8], rules: &Rules, version: Version, betas: &[&str]) -> Check<Accepted> {
    let request = parse(body)?;
    let fields = object(&request)?;
    sampling(fields, version)?;
    let max_tokens = match fields.get("max_tokens").map(Value::as_u64) {
        Some(Some(count)) if count > 0 => count,
        Some(_) => return Err(invalid("max_tokens: Input should be greater than or equal to 1")),
        None => return Err(invalid("max_tokens: Field required")),
    };
    known(fields, max_tokens, &request, rules, betas)
}

/// Checks a request to count tokens, which has no room for an answer to ask for; how many tokens it has, as JSON.
///
/// # Errors
/// As [`check`].
pub(in super::super) fn count(body: &[u8], rules: &Rules, version: Version, betas: &[&str]) -> Check<Vec<u8>> {
    let request = parse(body)?;
    let fields = object(&request)?;
    sampling(fields, version)?;
    if let Some(extra) = ["max_tokens", "stream"].iter().find(|name| fields.contains_key(**name)) {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let accepted = known(fields, u64::MAX, &request, rules, betas)?;
    Ok(json!({ "input_tokens": accepted.prompt_tokens })
        .to_string()
        .into_bytes())
}

fn sampling(fields: &Map<String, Value>, version: Version) -> Check {
    let is_gone = |name: &&str| version == Version::Of2026 && fields.contains_key(*name);
    match SAMPLING.iter().find(|name| is_gone(name)) {
        Some(name) => Err(invalid(format!("{name}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn parse(body: &[u8]) -> Check<Value> {
    serde_json::from_slice(body).map_err(|_| invalid("The request body is not valid JSON."))
}

fn object(request: &Value) -> Check<&Map<String, Value>> {
    request.as_object().ok_or_else(|| invalid("Input should be an object"))
}

fn known(
    fields: &Map<String, Value>,
    max_tokens: u64,
    request: &Value,
    rules: &Rules,
    betas: &[&str],
) -> Check<Accepted> {
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(invalid(format!("{unknown}: Extra inputs are not permitted")));
    }
    let model = text(fields, "model")?;
    if !rules.models.is_empty() && !rules.models.iter().any(|known| known == model) {
        return Err(invalid(format!("model: {model}")).with_status(404));
    }
    let messages = messages(fields, rules)?;
    system(fields.get("system"))?;
    tools(fields, messages)?;
    computer::check(fields, model, betas)?;
    choice(fields)?;
    form(&fields.get("output_config").unwrap_or(&Value::Null)["format"], model)?;
    turns(messages, model)?;
    thinking(fields, messages, max_tokens)?;
    marks(request)?;
    Ok(accepted(fields, model, messages))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Check<&'a str> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(invalid(format!("{name}: Input should be a valid string"))),
        None => Err(invalid(format!("{name}: Field required"))),
    }
}

fn messages<'a>(fields: &'a Map<String, Value>, rules: &Rules) -> Check<&'a [Value]> {
    match fields.get("messages") {
        Some(Value::Array(messages)) if messages.is_empty() => {
            Err(invalid("messages: at least one message is required"))
        }
        Some(Value::Array(messages)) if messages.len() > rules.max_messages => Err(invalid("messages: too many")),
        Some(Value::Array(messages)) => Ok(messages),
        Some(_) => Err(invalid("messages: Input should be a valid list")),
        None => Err(invalid("messages: Field required")),
    }
}

fn system(system: Option<&Value>) -> Check {
    match system {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(index, block)| {
            let path = format!("system.{index}");
            if block["type"] != "text" {
                return Err(invalid(format!("{path}.type: Input should be 'text'")));
            }
            content::words(block, &path)
        }),
        Some(_) => Err(invalid("system: Input should be a valid list")),
    }
}

fn tools(fields: &Map<String, Value>, messages: &[Value]) -> Check {
    let tools = fields
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let name = tool["name"].as_str().unwrap_or_default();
        if !content::is_plain(name) || name.len() > content::MAX_NAME_CHARS {
            let message = format!("tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'");
            return Err(invalid(message));
        }
        if names.contains(&name) {
            return Err(invalid("tools: Tool names must be unique."));
        }
        names.push(name);
        let is_own = tool.get("type").is_none_or(|kind| kind == "custom");
        if is_own && tool["input_schema"]["type"] != "object" {
            return Err(invalid(format!(
                "tools.{index}.custom.input_schema.type: Input should be 'object'"
            )));
        }
        if is_own
            && ["oneOf", "allOf", "anyOf"]
                .iter()
                .any(|key| tool["input_schema"].get(key).is_some())
        {
            let message = "input_schema does not support oneOf, allOf, or anyOf at the top level";
            return Err(invalid(format!("tools.{index}.custom.{message}")));
        }
    }
    if fields.contains_key("tool_choice") && tools.is_empty() {
        return Err(invalid("tool_choice may only be specified while providing tools."));
    }
    let is_call = |block: &Value| block["type"] == "tool_use";
    let has_calls = messages.iter().flat_map(blocks).any(is_call);
    if has_calls && tools.is_empty() {
        return Err(invalid(
            "Requests which have `tool_use` or `tool_result` blocks in messages must define tools",
        ));
    }
    Ok(())
}

/// A tool that must be called is one of those on offer, and is called without thinking.
fn choice(fields: &Map<String, Value>) -> Check {
    let Some(choice) = fields.get("tool_choice") else {
        return Ok(());
    };
    if choice["type"] != "any" && choice["type"] != "tool" {
        return Ok(());
    }
    if fields.contains_key("thinking") {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    let mut tools = fields.get("tools").and_then(Value::as_array).into_iter().flatten();
    if choice["type"] == "tool" && !tools.any(|tool| tool["name"] == choice["name"]) {
        let message = format!(
            "Tool '{}' not found in provided tools",
            choice["name"].as_str().unwrap_or_default()
        );
        return Err(invalid(message));
    }
    Ok(())
}

/// The form an answer is held to: a schema whose objects are all closed. Older models know of none.
fn form(format: &Value, model: &str) -> Check {
    if format.is_null() {
        return Ok(());
    }
    if WITHOUT_FORM.iter().any(|known| model.contains(known)) {
        let message = format!("'{model}' does not support output format.");
        return Err(invalid(message));
    }
    if format["type"] != "json_schema" || !format["schema"].is_object() {
        return Err(invalid("output_config.format.type: Input should be 'json_schema'"));
    }
    closed(&format["schema"])
}

fn closed(schema: &Value) -> Check {
    match schema {
        Value::Object(fields) => {
            if schema["type"] == "object" && schema["additionalProperties"] != false {
                let message = "For 'object' type, 'additionalProperties' must be explicitly set to false";
                return Err(invalid(format!("output_config.format.schema: {message}")));
            }
            fields.values().try_for_each(closed)
        }
        Value::Array(schemas) => schemas.iter().try_for_each(closed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The blocks of a message; none when its content is a string.
pub(super) fn blocks(message: &Value) -> &[Value] {
    message["content"].as_array().map_or(&[], Vec::as_slice)
}

/// User and assistant in turns, the user first and last; results right behind their calls.
fn turns(messages: &[Value], model: &str) -> Check {
    let mut open = Vec::new();
    let mut ids = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages.{index}");
        let role = message["role"].as_str().unwrap_or_default();
        if !["user", "assistant"].contains(&role) {
            let message = format!("{path}.role: Input should be 'user' or 'assistant'");
            return Err(invalid(message));
        }
        if role != ["user", "assistant"][index % 2] {
            let message = "messages: roles must alternate between \"user\" and \"assistant\", but found multiple";
            return Err(invalid(format!("{message} \"{role}\" roles in a row")));
        }
        content::check(message, &path, model, index + 1 == messages.len())?;
        content::pair(message, &path, &open)?;
        open.clear();
        for block in blocks(message) {
            if matches!(block["type"].as_str(), Some("tool_use" | "server_tool_use")) {
                let id = block["id"].as_str().unwrap_or_default();
                if ids.contains(&id) {
                    return Err(invalid(format!("{path}: `tool_use` ids must be unique")));
                }
                ids.push(id);
                if block["type"] == "tool_use" {
                    open.push(id);
                }
            }
        }
    }
    if messages.len().is_multiple_of(2) && !messages.last().is_some_and(content::is_interrupted) {
        let message =
            "This model does not support assistant message prefill. The conversation must end with a user message.";
        return Err(invalid(message));
    }
    Ok(())
}

fn thinking(fields: &Map<String, Value>, messages: &[Value], max_tokens: u64) -> Check {
    let Some(thinking) = fields.get("thinking") else {
        return match fields.contains_key("temperature") && fields.contains_key("top_p") {
            true => Err(invalid(
                "`temperature` and `top_p` cannot both be specified for this model.",
            )),
            false => Ok(()),
        };
    };
    if fields.contains_key("temperature") || fields.contains_key("top_k") {
        return Err(invalid(
            "`temperature` and `top_k` may not be set when thinking is enabled.",
        ));
    }
    if thinking["type"] != "enabled" {
        return Ok(());
    }
    let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
    if budget < MIN_BUDGET {
        return Err(invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ));
    }
    if budget >= max_tokens {
        return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    let has_result = |message: &Value| blocks(message).iter().any(|block| block["type"] == "tool_result");
    let asked = messages
        .iter()
        .rposition(|message| message["role"] == "user" && !has_result(message));
    let first = messages.get(asked.map_or(0, |asked| asked + 1));
    let found = first.map(|first| first["content"][0]["type"].as_str().unwrap_or("text"));
    match found {
        Some(found) if !matches!(found, "thinking" | "redacted_thinking") => Err(invalid(format!(
            "Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        ))),
        Some(_) | None => Ok(()),
    }
}

fn marks(value: &Value) -> Check {
    let count = count_marks(value);
    if count > MAX_MARKS {
        let message = format!("A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {count}.");
        return Err(invalid(message));
    }
    Ok(())
}

fn count_marks(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            let own = usize::from(fields.get("cache_control").is_some_and(|mark| !mark.is_null()));
            own + fields.values().map(count_marks).sum::<usize>()
        }
        Value::Array(values) => values.iter().map(count_marks).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn accepted(fields: &Map<String, Value>, model: &str, messages: &[Value]) -> Accepted {
    let texts: Vec<String> = messages.iter().map(content::text_of).collect();
    let said = |message: &Value| message["role"] == "user" && !content::said(message).is_empty();
    let last_user = messages.iter().rfind(|message| said(message)).map(content::said);
    let first_user = messages.iter().find(|message| said(message)).map(content::said);
    let name = fields.get("metadata").and_then(|metadata| metadata["user_id"].as_str());
    let system = fields.get("system").map_or(0, |system| system.to_string().len());
    let bytes = system + texts.iter().map(String::len).sum::<usize>();
    Accepted {
        model: model.to_owned(),
        stream: fields.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        may_obfuscate: false,
        texts,
        last_user: last_user.unwrap_or_default(),
        conversation: name.map(str::to_owned).or(first_user).unwrap_or_default(),
        prompt_tokens: bytes.div_ceil(BYTES_PER_TOKEN) as u64,
    }
}
