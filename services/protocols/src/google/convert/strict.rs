//! The vendor's rules for a request, as its answers to mistakes tell them. Written apart from what makes requests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

type Check = Result<(), String>;

macro_rules! rule {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}

/// Words of a schema the vendor reads.
const SCHEMA: [&str; 22] = [
    "$ref",
    "$defs",
    "type",
    "format",
    "title",
    "description",
    "default",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
    "propertyOrdering",
];

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    begins && name.len() <= 64 && name.bytes().all(fits)
}

/// Checks a whole request.
///
/// * `is_third`: the model is of the third generation.
/// * `is_image`: it answers with pictures.
/// * `signed`: signatures the vendor knows, with what they came with.
pub(super) fn check(request: &Value, is_third: bool, is_image: bool, signed: &[(&str, Value)]) -> Check {
    let has = |name: &str| !request[name].is_null();
    if has("cachedContent") {
        let others = ["systemInstruction", "tools", "toolConfig"]
            .iter()
            .any(|name| has(name));
        rule!(
            !others,
            "CachedContent can not be used with system_instruction, tools or tool_config"
        );
    }
    if has("systemInstruction") {
        let parts = list(&request["systemInstruction"], "parts");
        rule!(!parts.is_empty(), "system_instruction.parts: required");
        for part in parts {
            let text = part["text"].as_str().unwrap_or_default();
            rule!(
                !text.is_empty() && fields(part) == ["text"],
                "system_instruction: only text"
            );
        }
    }
    tools(request, is_third)?;
    generation(&request["generationConfig"], request["tools"].is_array(), is_third)?;
    turns(list(request, "contents"), is_third, is_image, signed)
}

fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect()
}

fn turns(contents: &[Value], is_third: bool, is_image: bool, signed: &[(&str, Value)]) -> Check {
    rule!(!contents.is_empty(), "contents is not specified");
    rule!(contents[0]["role"] == "user", "the conversation must begin with a user");
    rule!(
        contents[contents.len() - 1]["role"] == "user",
        "Please ensure that single turn requests end with a user role"
    );
    let mut ids = Vec::new();
    let mut open: Vec<(&Value, &Value)> = Vec::new();
    for (place, content) in contents.iter().enumerate() {
        let parts = list(content, "parts");
        rule!(!parts.is_empty(), "contents[{place}].parts: must not be empty");
        let is_model = content["role"] == "model";
        rule!(
            is_model || content["role"] == "user",
            "contents[{place}].role: Please use a valid role"
        );
        if place > 0 && contents[place - 1]["role"] == content["role"] {
            let before = &contents[place - 1]["parts"][0]["functionResponse"];
            let own = &parts[0]["functionResponse"];
            rule!(
                before.is_object() && own.is_null(),
                "contents[{place}]: the same role twice"
            );
        }
        let responses: Vec<(&Value, &Value)> = named(parts, "functionResponse");
        rule!(
            responses == open,
            "contents[{place}]: the number of function response parts must equal the number of function call parts"
        );
        rule!(
            responses.is_empty() || responses.len() == parts.len(),
            "contents[{place}]: responses beside something else"
        );
        open = named(parts, "functionCall");
        rule!(is_model || open.is_empty(), "contents[{place}]: a user calls");
        for (id, _) in &open {
            rule!(!ids.contains(id), "contents[{place}]: {id} twice");
            ids.push(id);
        }
        if is_third && let Some(first) = parts.iter().find(|part| part["functionCall"].is_object()) {
            rule!(
                first["thoughtSignature"].is_string(),
                "Function call is missing a thought_signature, position {place}"
            );
        }
        let is_said = |part: &Value| part["thought"] != true && part["text"] != "";
        rule!(parts.iter().any(is_said), "contents[{place}]: nothing said");
        for part in parts {
            piece(part, is_model, is_third, is_image, signed).map_err(|error| format!("contents[{place}]: {error}"))?;
        }
        natives(parts).map_err(|error| format!("contents[{place}]: {error}"))?;
    }
    Ok(())
}

fn named<'a>(parts: &'a [Value], kind: &str) -> Vec<(&'a Value, &'a Value)> {
    let found = parts.iter().map(|part| &part[kind]).filter(|found| found.is_object());
    found.map(|found| (&found["id"], &found["name"])).collect()
}

/// Calls of the vendor's own tools have their result behind them.
fn natives(parts: &[Value]) -> Check {
    let place = |kind: &str, id: &Value| {
        parts
            .iter()
            .position(|part| part[kind].is_object() && part[kind]["id"] == *id)
    };
    for part in parts {
        for (kind, other) in [("toolCall", "toolResponse"), ("toolResponse", "toolCall")] {
            if part[kind].is_object() {
                let id = &part[kind]["id"];
                let (call, response) = (place("toolCall", id), place("toolResponse", id));
                rule!(call.is_some() && call < response, "{kind} {id} without {other}");
            }
        }
    }
    Ok(())
}

fn piece(part: &Value, is_model: bool, is_third: bool, is_image: bool, signed: &[(&str, Value)]) -> Check {
    let kinds = [
        "text",
        "inlineData",
        "functionCall",
        "functionResponse",
        "toolCall",
        "toolResponse",
    ];
    let data: Vec<&str> = fields(part).into_iter().filter(|name| kinds.contains(name)).collect();
    rule!(data.len() == 1, "exactly one of data must be set: {part}");
    let kind = data[0];
    let signature = part["thoughtSignature"].as_str();
    if let Some(signature) = signature {
        rule!(is_model, "a user signs");
        let call = &part["functionCall"];
        let given = match kind {
            "functionCall" => Value::from(vec![call["name"].clone(), call["args"].clone()]),
            kind => part[kind].clone(),
        };
        let came_with = |(known, with): &(&str, Value)| *known == signature && given == *with;
        let is_stand_in = signature == "skip_thought_signature_validator" && kind == "functionCall";
        rule!(
            is_stand_in || signed.iter().any(came_with) || kind.starts_with("tool"),
            "Thought signature is not valid: {part}"
        );
    }
    match kind {
        "text" => {
            let text = part["text"].as_str().unwrap_or_default();
            rule!(!text.trim().is_empty() || signature.is_some(), "empty text");
        }
        "inlineData" => {
            rule!(!is_model || is_image, "inline data of a model that makes none");
            inline(&part["inlineData"])?;
        }
        "functionCall" => {
            rule!(
                is_name(part[kind]["name"].as_str().unwrap_or_default()),
                "function_call.name: {part}"
            );
            rule!(part[kind]["args"].is_object(), "function_call.args");
        }
        "functionResponse" => {
            rule!(
                is_name(part[kind]["name"].as_str().unwrap_or_default()),
                "function_response.name: {part}"
            );
            let response = fields(&part[kind]["response"]);
            rule!(
                response == ["output"] || response == ["error"],
                "function_response.response: {part}"
            );
            let inner = list(&part[kind], "parts");
            rule!(
                is_third || inner.is_empty(),
                "multimodal function response is not supported by the model"
            );
            for blob in inner {
                inline(&blob["inlineData"])?;
            }
        }
        _ => rule!(is_model, "{kind} of a user"),
    }
    Ok(())
}

fn inline(blob: &Value) -> Check {
    let bytes = STANDARD.decode(blob["data"].as_str().unwrap_or_default());
    let bytes = bytes.map_err(|error| format!("inline_data: {error}"))?;
    rule!(!bytes.is_empty(), "inline_data: empty");
    let found = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', ..] => "image/webp",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        _ => return Ok(()),
    };
    let named = blob["mimeType"].as_str().unwrap_or_default();
    rule!(
        named == found || named.starts_with("audio/") || named.starts_with("video/"),
        "{named}, not {found}"
    );
    Ok(())
}

fn tools(request: &Value, is_third: bool) -> Check {
    let tools = list(request, "tools");
    rule!(tools.len() <= 1, "more than one tool object");
    let config = &request["toolConfig"];
    let Some(tools) = tools.first() else {
        rule!(config.is_null(), "tool_config without tools");
        return Ok(());
    };
    let functions = list(tools, "functionDeclarations");
    let is_mixed = !functions.is_empty() && !tools["googleSearch"].is_null();
    rule!(!is_mixed || is_third, "Tool use with function calling is unsupported");
    rule!(
        is_mixed == (config["includeServerSideToolInvocations"] == true),
        "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling."
    );
    let mut names = Vec::new();
    for function in functions {
        let name = function["name"].as_str().unwrap_or_default();
        rule!(is_name(name), "Invalid function name: {name}");
        rule!(!names.contains(&name), "Duplicate function declaration found: {name}");
        names.push(name);
        let parameters = &function["parametersJsonSchema"];
        if !parameters.is_null() {
            rule!(
                parameters["type"] == "object",
                "parameters schema should be of type OBJECT"
            );
            schema(parameters)?;
        }
    }
    Ok(())
}

fn schema(schema: &Value) -> Check {
    for (name, value) in schema.as_object().into_iter().flatten() {
        rule!(SCHEMA.contains(&name.as_str()), "schema: {name} is not supported");
        match name.as_str() {
            "properties" | "$defs" => value
                .as_object()
                .into_iter()
                .flatten()
                .try_for_each(|(_, value)| self::schema(value))?,
            "anyOf" | "prefixItems" => value.as_array().into_iter().flatten().try_for_each(self::schema)?,
            "items" => self::schema(value)?,
            "required" => {
                for required in value.as_array().into_iter().flatten() {
                    let defined = !schema["properties"][required.as_str().unwrap_or_default()].is_null();
                    rule!(defined, "required[{required}]: property is not defined");
                }
            }
            _ => {}
        }
    }
    rule!(
        schema["type"] != "array" || !schema["items"].is_null(),
        "items: missing field"
    );
    Ok(())
}

fn generation(config: &Value, has_tools: bool, is_third: bool) -> Check {
    let known = [
        "maxOutputTokens",
        "temperature",
        "topP",
        "topK",
        "presencePenalty",
        "frequencyPenalty",
        "thinkingConfig",
        "responseMimeType",
        "responseJsonSchema",
    ];
    rule!(
        config["responseJsonSchema"].is_null() || config["responseMimeType"] == "application/json",
        "response_json_schema requires response_mime_type to be application/json"
    );
    rule!(
        is_third || !has_tools || config["responseMimeType"].is_null(),
        "Function calling with a response mime type: 'application/json' is unsupported"
    );
    for name in fields(config) {
        rule!(
            known.contains(&name),
            "Invalid JSON payload received. Unknown name \"{name}\""
        );
    }
    let thinking = &config["thinkingConfig"];
    let (budget, level) = (&thinking["thinkingBudget"], &thinking["thinkingLevel"]);
    rule!(
        budget.is_null() || level.is_null(),
        "You can only set only one of thinking budget and thinking level."
    );
    rule!(
        is_third || level.is_null(),
        "Thinking level is not supported for this model."
    );
    rule!(
        *budget != 0 || thinking["includeThoughts"].is_null(),
        "include_thoughts is only enabled when thinking is enabled"
    );
    rule!(
        config["maxOutputTokens"].as_u64().is_none_or(|limit| limit > 0),
        "max_output_tokens must be positive"
    );
    Ok(())
}
