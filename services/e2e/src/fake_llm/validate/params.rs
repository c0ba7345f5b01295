//! Top-level parameters: which exist, their types and ranges, and which may not go together.

use serde_json::{Map, Value};

use super::{VendorError, unsupported, wrong_type};

/// Every parameter of the endpoint. Others are refused by name.
const KNOWN: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

pub(super) struct Flags {
    pub stream: bool,
    pub include_usage: bool,
    pub may_obfuscate: bool,
}

pub(super) fn known(request: &Map<String, Value>) -> Result<(), VendorError> {
    let strangers: Vec<&str> = request
        .keys()
        .map(String::as_str)
        .filter(|key| !KNOWN.contains(key))
        .collect();
    let plural = match strangers.len() {
        0 => return Ok(()),
        1 => "",
        _ => "s",
    };
    let names = strangers.join(", ");
    let message = format!("Unrecognized request argument{plural} supplied: {names}");
    Err(VendorError::invalid(message, None, None))
}

/// The model's name. An empty list of `models` knows every name.
pub(super) fn model(request: &Map<String, Value>, models: &[String]) -> Result<String, VendorError> {
    let name = match request.get("model") {
        None | Some(Value::Null) => "",
        Some(Value::String(name)) => name,
        Some(other) => return Err(wrong_type("model", "a string", other)),
    };
    if name.is_empty() {
        let message = "you must provide a model parameter";
        return Err(VendorError::invalid(message, None, None));
    }
    if !models.is_empty() && !models.iter().any(|known| known == name) {
        return Err(VendorError::of_code("model_not_found", 404, name));
    }
    Ok(name.to_owned())
}

pub(super) fn check(request: &Map<String, Value>) -> Result<Flags, VendorError> {
    let stream = boolean(request, "stream")?.unwrap_or(false);
    let (include_usage, obfuscation) = stream_options(request, stream)?;
    for (name, min, max) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
    ] {
        decimal(request, name, min, max)?;
    }
    for name in ["max_tokens", "max_completion_tokens"] {
        positive(request, name)?;
    }
    if present(request, "max_tokens") && present(request, "max_completion_tokens") {
        return Err(VendorError::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            Some("max_tokens"),
            Some("invalid_parameter_combination"),
        ));
    }
    if let Some(n) = positive(request, "n")?
        && n != 1
    {
        let message = "Only one choice per request is supported here.";
        return Err(VendorError::invalid(message, Some("n"), Some("unsupported_value")));
    }
    if let Some(effort) = text(request, "reasoning_effort")? {
        let efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];
        if !efforts.contains(&effort) {
            return Err(unsupported("reasoning_effort", effort, &efforts));
        }
    }
    response_format(request.get("response_format").unwrap_or(&Value::Null))?;
    for name in ["user", "prompt_cache_key", "safety_identifier", "service_tier"] {
        text(request, name)?;
    }
    Ok(Flags {
        stream,
        include_usage,
        may_obfuscate: obfuscation,
    })
}

/// The form of the answer.
fn response_format(format: &Value) -> Result<(), VendorError> {
    let kinds = ["text", "json_object", "json_schema"];
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        Some("text" | "json_object") => Ok(()),
        Some("json_schema") => {
            let path = "response_format.json_schema";
            let wanted = &format["json_schema"];
            if !wanted["name"].is_string() {
                return Err(super::missing(&format!("{path}.name")));
            }
            if !wanted["schema"].is_object() {
                return Err(wrong_type(&format!("{path}.schema"), "an object", &wanted["schema"]));
            }
            Ok(())
        }
        Some(other) => Err(unsupported("response_format.type", other, &kinds)),
        None => Err(super::missing("response_format.type")),
    }
}

/// `include_usage` and `include_obfuscation`.
fn stream_options(request: &Map<String, Value>, stream: bool) -> Result<(bool, bool), VendorError> {
    let options = match request.get("stream_options") {
        None | Some(Value::Null) => return Ok((false, true)),
        Some(Value::Object(options)) => options,
        Some(other) => return Err(wrong_type("stream_options", "an object", other)),
    };
    if !stream {
        return Err(VendorError::invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("stream_options"),
            None,
        ));
    }
    super::only(options, "stream_options", &["include_usage", "include_obfuscation"])?;
    let flag = |name: &str, default: bool| match options.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(wrong_type(&format!("stream_options.{name}"), "a boolean", other)),
    };
    Ok((flag("include_usage", false)?, flag("include_obfuscation", true)?))
}

/// Whether a parameter is given with a value.
pub(super) fn present(request: &Map<String, Value>, name: &str) -> bool {
    request.get(name).is_some_and(|value| !value.is_null())
}

pub(super) fn boolean(request: &Map<String, Value>, name: &str) -> Result<Option<bool>, VendorError> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong_type(name, "a boolean", other)),
    }
}

fn text<'a>(request: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, VendorError> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(name, "a string", other)),
    }
}

fn positive(request: &Map<String, Value>, name: &str) -> Result<Option<u64>, VendorError> {
    let value = match request.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    if !value.is_i64() && !value.is_u64() {
        return Err(wrong_type(name, "an integer", value));
    }
    match value.as_u64() {
        Some(number) if number >= 1 => Ok(Some(number)),
        _ => Err(VendorError::invalid(
            format!("Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."),
            Some(name),
            Some("integer_below_min_value"),
        )),
    }
}

fn decimal(request: &Map<String, Value>, name: &str, min: f64, max: f64) -> Result<(), VendorError> {
    let value = match request.get(name) {
        None | Some(Value::Null) => return Ok(()),
        Some(value) => value,
    };
    let Some(number) = value.as_f64() else {
        return Err(wrong_type(name, "a decimal", value));
    };
    let (side, sign, bound) = if number < min {
        ("below minimum", ">=", min)
    } else if number > max {
        ("above maximum", "<=", max)
    } else {
        return Ok(());
    };
    let code = match side {
        "below minimum" => "decimal_below_min_value",
        _ => "decimal_above_max_value",
    };
    Err(VendorError::invalid(
        format!("Invalid '{name}': decimal {side} value. Expected a value {sign} {bound}, but got {value} instead."),
        Some(name),
        Some(code),
    ))
}
