//! Refuses what the vendor would refuse, in the vendor's words: fields, settings, tools, and the order of turns.
//!
//! What may stand in a turn is [`content`]'s.

mod content;

use serde_json::{Map, Value};

use super::{
    super::{
        validate::{Accepted, Rules},
        wire::VendorError,
    },
    asked, invalid, is_third, no_route,
};

/// Estimated bytes of text per token.
const BYTES_PER_TOKEN: usize = 4;
const KNOWN: [&str; 7] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
];
const KNOWN_SETTINGS: [&str; 12] = [
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "presencePenalty",
    "frequencyPenalty",
    "thinkingConfig",
    "stopSequences",
    "candidateCount",
    "seed",
    "responseMimeType",
    "responseJsonSchema",
];

type Check<T = ()> = Result<T, VendorError>;

/// Checks a request.
///
/// # Errors
/// The vendor's answer to the first mistake found.
pub(in super::super) fn check(path: &str, query: &str, body: &[u8], rules: &Rules) -> Check<Accepted> {
    let (model, is_stream) = asked(path).ok_or_else(no_route)?;
    if is_stream && !query.split('&').any(|pair| pair == "alt=sse") {
        return Err(invalid("Streams are sent as events here: alt=sse is missing."));
    }
    if !rules.models.is_empty() && !rules.models.iter().any(|known| known == model) {
        let message = format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
        );
        return Err(invalid(message).with_status(404));
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| invalid("Invalid JSON payload received."))?;
    let fields = request
        .as_object()
        .ok_or_else(|| invalid("Invalid JSON payload received."))?;
    known(fields, &KNOWN)?;
    if let Some(settings) = fields.get("generationConfig").and_then(Value::as_object) {
        known(settings, &KNOWN_SETTINGS)?;
        thinking(settings, model)?;
        form(settings, request["tools"].is_array(), model)?;
    }
    system(fields)?;
    tools(fields, model)?;
    let contents = request["contents"].as_array().map_or(&[][..], Vec::as_slice);
    if contents.is_empty() || contents.len() > rules.max_messages {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    turns(contents, model)?;
    Ok(accepted(model, is_stream, &request, contents))
}

fn known(fields: &Map<String, Value>, names: &[&str]) -> Check {
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        ))),
        None => Ok(()),
    }
}

fn thinking(settings: &Map<String, Value>, model: &str) -> Check {
    let Some(thinking) = settings.get("thinkingConfig") else {
        return Ok(());
    };
    let (budget, level) = (thinking.get("thinkingBudget"), thinking.get("thinkingLevel"));
    if budget.is_some() && level.is_some() {
        return Err(invalid(
            "You can only set only one of thinking budget and thinking level.",
        ));
    }
    if level.is_some() && !is_third(model) {
        return Err(invalid("Thinking level is not supported for this model."));
    }
    let shows = thinking.get("includeThoughts") == Some(&Value::Bool(true));
    if shows && budget.and_then(Value::as_i64) == Some(0) {
        return Err(invalid(
            "Unable to submit request because Thinking_config.include_thoughts is only enabled when thinking is enabled.",
        ));
    }
    Ok(())
}

/// The form an answer is held to, which older models do not have beside tools.
fn form(settings: &Map<String, Value>, has_tools: bool, model: &str) -> Check {
    let is_json = settings
        .get("responseMimeType")
        .is_some_and(|kind| kind == "application/json");
    if settings.contains_key("responseJsonSchema") && !is_json {
        return Err(invalid(
            "Setting response_json_schema requires response_mime_type to be application/json.",
        ));
    }
    if is_json && has_tools && !is_third(model) {
        return Err(invalid(
            "Function calling with a response mime type: 'application/json' is unsupported",
        ));
    }
    Ok(())
}

fn system(fields: &Map<String, Value>) -> Check {
    let Some(system) = fields.get("systemInstruction") else {
        return Ok(());
    };
    let parts = system["parts"].as_array().map_or(&[][..], Vec::as_slice);
    match !parts.is_empty() && parts.iter().all(|part| part["text"].is_string()) {
        true => Ok(()),
        false => Err(invalid(
            "* GenerateContentRequest.system_instruction.parts: required field",
        )),
    }
}

fn tools(fields: &Map<String, Value>, model: &str) -> Check {
    let tools = fields
        .get("tools")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if fields.contains_key("cachedContent") && (!tools.is_empty() || fields.contains_key("systemInstruction")) {
        return Err(invalid(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.",
        ));
    }
    let functions = tools
        .iter()
        .filter_map(|tool| tool["functionDeclarations"].as_array())
        .flatten();
    let mut names = Vec::new();
    for (index, function) in functions.enumerate() {
        let name = function["name"].as_str().unwrap_or_default();
        let path = format!("* GenerateContentRequest.tools[0].function_declarations[{index}]");
        if !content::is_name(name) {
            return Err(invalid(format!(
                "{path}.name: Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
            )));
        }
        if names.contains(&name) {
            return Err(invalid(format!("Duplicate function declaration found: {name}")));
        }
        names.push(name);
        schema(&function["parametersJsonSchema"], &format!("{path}.parameters"))?;
    }
    let searches = tools.iter().any(|tool| tool.get("googleSearch").is_some());
    let runs_beside = fields
        .get("toolConfig")
        .is_some_and(|config| config["includeServerSideToolInvocations"] == true);
    match (searches && !names.is_empty(), is_third(model), runs_beside) {
        (true, false, _) => Err(invalid("Tool use with function calling is unsupported by the model.")),
        (true, true, false) => Err(invalid(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling.",
        )),
        _ => Ok(()),
    }
}

/// An object whose required properties exist, and lists that say of what.
fn schema(schema: &Value, path: &str) -> Check {
    if schema.is_null() {
        return Ok(());
    }
    if schema["type"] != "object" {
        return Err(invalid(format!("{path} schema should be of type OBJECT.")));
    }
    let properties = schema["properties"].as_object();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !properties.is_some_and(|properties| properties.contains_key(name)) {
            return Err(invalid(format!("{path}.required: property is not defined: {name}")));
        }
    }
    for (name, property) in properties.into_iter().flatten() {
        if property["type"] == "array" && property["items"].is_null() {
            return Err(invalid(format!("{path}.properties[{name}].items: missing field.")));
        }
        if property["type"] == "object" {
            self::schema(property, &format!("{path}.properties[{name}]"))?;
        }
    }
    Ok(())
}

/// The user first and last; a turn with results behind each with calls, as many and the same.
fn turns(contents: &[Value], model: &str) -> Check {
    let calls_first =
        "Please ensure that function call turn comes immediately after a user turn or after a function response turn.";
    let mut open = Vec::new();
    for (index, turn) in contents.iter().enumerate() {
        let is_model = match turn["role"].as_str() {
            Some("user") => false,
            Some("model") => true,
            _ => return Err(invalid("Please use a valid role: user, model.")),
        };
        if is_model && index == 0 {
            return Err(invalid(calls_first));
        }
        content::check(turn, index, is_model, model)?;
        let answered = content::named(turn, "functionResponse");
        if answered.is_empty() && !open.is_empty() {
            return Err(invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if answered.len() != open.len() {
            return Err(invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        if answered != open {
            return Err(invalid(
                "Function responses must have the ids and names of their function calls.",
            ));
        }
        open = content::named(turn, "functionCall");
        if !open.is_empty() && contents[index - 1]["role"] == "model" {
            return Err(invalid(calls_first));
        }
    }
    match contents.last().map(|last| &last["role"]) {
        Some(role) if role == "user" => Ok(()),
        _ => Err(invalid("Please ensure that the last turn is a user turn.")),
    }
}

fn accepted(model: &str, stream: bool, request: &Value, contents: &[Value]) -> Accepted {
    let users = || {
        let said = contents.iter().filter(|turn| turn["role"] == "user").map(content::said);
        said.filter(|said| !said.is_empty())
    };
    let texts: Vec<String> = contents.iter().map(content::text_of).collect();
    let bytes = texts.iter().map(String::len).sum::<usize>() + request["systemInstruction"].to_string().len();
    Accepted {
        model: model.to_owned(),
        stream,
        include_usage: true,
        may_obfuscate: false,
        last_user: users().next_back().unwrap_or_default(),
        conversation: users().next().unwrap_or_default(),
        texts,
        prompt_tokens: bytes.div_ceil(BYTES_PER_TOKEN) as u64,
    }
}
