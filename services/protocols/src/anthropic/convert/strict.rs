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

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Checks a whole request.
///
/// * `signed`: thinking the vendor knows, as (thinking, signature).
pub(super) fn check(request: &Value, signed: &[(String, String)]) -> Check {
    let max_tokens = request["max_tokens"].as_u64().unwrap_or(0);
    rule!(max_tokens > 0, "max_tokens: must be at least 1");
    let size = request.to_string().len();
    rule!(size <= 32 << 20, "request_too_large: {size}");
    thinking(request, max_tokens)?;
    let mut marks = 0;
    for block in list(request, "system") {
        rule!(block["type"] == "text", "system: only text");
        text(block, "system")?;
        marks += usize::from(!block["cache_control"].is_null());
    }
    tools(request)?;
    choice(request)?;
    let messages = list(request, "messages");
    rule!(!messages.is_empty(), "messages: at least one message is required");
    rule!(
        messages[messages.len() - 1]["role"] == "user",
        "the conversation must end with a user message"
    );
    let (mut ids, mut open, mut images) = (Vec::new(), Vec::new(), 0);
    for (place, message) in messages.iter().enumerate() {
        let role = if place % 2 == 0 { "user" } else { "assistant" };
        rule!(message["role"] == role, "messages.{place}: roles must alternate");
        let content = list(message, "content");
        rule!(!content.is_empty(), "messages.{place}: content must be non-empty");
        let answered = results(content, &open).map_err(|error| format!("messages.{place}: {error}"))?;
        rule!(
            answered == open.len(),
            "messages.{place}: `tool_use` ids without `tool_result` blocks"
        );
        open.clear();
        if role == "assistant" {
            let last = &content[content.len() - 1]["type"];
            rule!(
                last != "thinking" && last != "redacted_thinking",
                "messages.{place}: the final block in an assistant message cannot be `thinking`"
            );
        }
        for (index, block) in content.iter().enumerate() {
            let path = format!("messages.{place}.content.{index}");
            marks += usize::from(!block["cache_control"].is_null());
            images += block_in(block, role, content, index, signed).map_err(|error| format!("{path}: {error}"))?;
            if matches!(block["type"].as_str(), Some("tool_use" | "server_tool_use")) {
                let id = block["id"].as_str().unwrap_or_default().to_owned();
                rule!(!ids.contains(&id), "{path}: `tool_use` ids must be unique");
                ids.push(id.clone());
                if block["type"] == "tool_use" {
                    open.push(id);
                }
            }
        }
    }
    let has_calls = request["messages"].to_string().contains("\"type\":\"tool_use\"");
    rule!(
        !has_calls || !list(request, "tools").is_empty(),
        "requests with `tool_use` must define tools"
    );
    rule!(images <= 100, "too many images: {images}");
    rule!(
        marks <= 4,
        "a maximum of 4 blocks with cache_control may be provided, found {marks}"
    );
    Ok(())
}

fn thinking(request: &Value, max_tokens: u64) -> Check {
    let thinking = &request["thinking"];
    if thinking.is_null() {
        let both = request["temperature"].is_number() && request["top_p"].is_number();
        rule!(!both, "`temperature` and `top_p` cannot both be specified");
        return Ok(());
    }
    for name in ["temperature", "top_k"] {
        rule!(
            request[name].is_null(),
            "`{name}` may not be set when thinking is enabled"
        );
    }
    rule!(
        request["top_p"].as_f64().is_none_or(|p| p >= 0.95),
        "`top_p` must be at least 0.95"
    );
    if thinking["type"] == "enabled" {
        let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
        rule!(budget >= 1024, "thinking.budget_tokens: must be at least 1024");
        rule!(
            budget < max_tokens,
            "`max_tokens` must be greater than `thinking.budget_tokens`"
        );
        let is_result = |block: &&Value| block["type"] == "tool_result";
        let messages = list(request, "messages");
        let start = messages
            .iter()
            .rposition(|m| m["role"] == "user" && list(m, "content").iter().find(is_result).is_none());
        if let Some(first) = messages
            .get(start.map_or(0, |start| start + 1))
            .filter(|m| m["role"] == "assistant")
        {
            let found = first["content"][0]["type"].as_str().unwrap_or_default();
            rule!(
                found.ends_with("thinking"),
                "expected `thinking` or `redacted_thinking`, but found `{found}`"
            );
        }
    }
    Ok(())
}

fn tools(request: &Value) -> Check {
    let mut names = Vec::new();
    for tool in list(request, "tools") {
        let name = tool["name"].as_str().unwrap_or_default();
        rule!(is_plain(name) && name.len() <= 64, "tools: name {name}");
        rule!(!names.contains(&name), "tools: names must be unique");
        names.push(name);
        if tool["type"] == "web_search_20250305" {
            let both = !tool["allowed_domains"].is_null() && !tool["blocked_domains"].is_null();
            rule!(!both, "tools: only one of allowed_domains and blocked_domains");
            continue;
        }
        if tool["type"].is_string() {
            computer(tool, request["model"].as_str().unwrap_or_default())?;
            continue;
        }
        let schema = &tool["input_schema"];
        rule!(schema["type"] == "object", "tools: input_schema.type");
        let alternatives = ["oneOf", "anyOf", "allOf"].iter().any(|name| !schema[*name].is_null());
        rule!(
            !alternatives,
            "input_schema does not support oneOf, allOf, or anyOf at the top level"
        );
    }
    rule!(
        !names.is_empty() || request["tool_choice"].is_null(),
        "tool_choice without tools"
    );
    Ok(())
}

/// The vendor's tool for using a computer, in the version of the model.
fn computer(tool: &Value, model: &str) -> Check {
    let newer = ["opus-4-5", "-4-6", "-4-7", "-5"];
    let is_newer = newer.iter().any(|name| model.contains(name)) && !model.contains("sonnet-4-5");
    let version = if is_newer { "20251124" } else { "20250124" };
    rule!(
        tool["type"] == format!("computer_{version}"),
        "'{model}' does not support tool types: {}",
        tool["type"]
    );
    rule!(tool["name"] == "computer", "tools: name {}", tool["name"]);
    for side in ["display_width_px", "display_height_px"] {
        rule!(tool[side].as_u64().is_some_and(|px| px > 0), "tools: {side}");
    }
    rule!(
        tool["input_schema"].is_null() && tool["description"].is_null(),
        "tools: Extra inputs are not permitted"
    );
    Ok(())
}

/// A model that must call something must not think, and what it must call is on offer.
fn choice(request: &Value) -> Check {
    let choice = &request["tool_choice"];
    let is_forced = choice["type"] == "any" || choice["type"] == "tool";
    rule!(
        !is_forced || request["thinking"].is_null(),
        "Thinking may not be enabled when tool_choice forces tool use."
    );
    let is_offered = list(request, "tools").iter().any(|tool| tool["name"] == choice["name"]);
    rule!(
        choice["type"] != "tool" || is_offered,
        "Tool '{}' not found in provided tools",
        choice["name"]
    );
    Ok(())
}

/// Results stand first, answer the calls of the turn before, each once. Returns how many there are.
fn results(content: &[Value], open: &[String]) -> Result<usize, String> {
    let mut answered = Vec::new();
    for (index, block) in content.iter().enumerate() {
        if block["type"] != "tool_result" {
            continue;
        }
        rule!(index == answered.len(), "`tool_result` blocks must come first");
        let id = block["tool_use_id"].as_str().unwrap_or_default();
        rule!(
            open.iter().any(|call| call == id),
            "unexpected `tool_use_id` found in `tool_result` blocks: {id}"
        );
        rule!(!answered.contains(&id), "each tool_use must have a single result: {id}");
        answered.push(id);
    }
    Ok(answered.len())
}

fn text(block: &Value, path: &str) -> Check {
    let text = block["text"].as_str().unwrap_or_default();
    rule!(
        !text.trim().is_empty(),
        "{path}: text content blocks must contain non-whitespace text"
    );
    Ok(())
}

/// Checks one block; returns how many images it holds.
fn block_in(
    block: &Value,
    role: &str,
    content: &[Value],
    index: usize,
    signed: &[(String, String)],
) -> Result<usize, String> {
    let kind = block["type"].as_str().unwrap_or_default();
    let is_assistants = matches!(
        kind,
        "thinking" | "redacted_thinking" | "tool_use" | "server_tool_use" | "web_search_tool_result"
    );
    let is_users = matches!(kind, "image" | "document" | "tool_result");
    rule!(!(is_assistants && role == "user"), "{kind} in a user message");
    rule!(!(is_users && role == "assistant"), "{kind} in an assistant message");
    match kind {
        "text" => text(block, "text")?,
        "image" => {
            image(block)?;
            return Ok(1);
        }
        "document" => {
            let bytes = STANDARD.decode(block["source"]["data"].as_str().unwrap_or_default());
            rule!(
                bytes.is_ok_and(|bytes| bytes.starts_with(b"%PDF-")),
                "document: not a PDF"
            );
        }
        "thinking" => {
            let is = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
            rule!(
                signed.contains(&(is("thinking"), is("signature"))),
                "invalid `signature` in `thinking` block"
            );
            rule!(block["cache_control"].is_null(), "cache_control on thinking");
        }
        "redacted_thinking" => {
            rule!(
                block["data"] == "redacted",
                "invalid `data` in `redacted_thinking` block"
            );
            rule!(block["cache_control"].is_null(), "cache_control on thinking");
        }
        "tool_use" => {
            rule!(is_plain(block["id"].as_str().unwrap_or_default()), "tool_use.id");
            let name = block["name"].as_str().unwrap_or_default();
            rule!(is_plain(name) && name.len() <= 64, "tool_use.name: {name}");
            rule!(block["input"].is_object(), "tool_use.input");
        }
        "tool_result" => {
            let inner = list(block, "content");
            rule!(!inner.is_empty(), "tool_result without content");
            let mut images = 0;
            for piece in inner {
                match piece["type"].as_str() {
                    Some("text") => text(piece, "tool_result")?,
                    Some("image") => {
                        rule!(
                            block["is_error"] != true,
                            "when `is_error` is true, all content must be text"
                        );
                        image(piece)?;
                        images += 1;
                    }
                    other => return Err(format!("tool_result with {other:?}")),
                }
            }
            return Ok(images);
        }
        "server_tool_use" => {
            let id = block["id"].as_str().unwrap_or_default();
            rule!(
                id.starts_with("srvtoolu_") && block["name"] == "web_search",
                "server_tool_use: {id}"
            );
            let answers = |later: &&Value| later["type"] == "web_search_tool_result" && later["tool_use_id"] == id;
            rule!(
                content[index..].iter().filter(answers).count() == 1,
                "server_tool_use without its result"
            );
        }
        "web_search_tool_result" => {
            let calls = |before: &&Value| before["type"] == "server_tool_use" && before["id"] == block["tool_use_id"];
            rule!(
                content[..index].iter().filter(calls).count() == 1,
                "search result without its call"
            );
            let is_native = |result: &Value| result["type"] == "web_search_result";
            let content = &block["content"];
            let fits = content
                .as_array()
                .map_or(content["type"] == "web_search_tool_result_error", |results| {
                    results.iter().all(is_native)
                });
            rule!(fits, "search result of a wrong form");
        }
        other => return Err(format!("unknown block {other}")),
    }
    Ok(0)
}

fn image(block: &Value) -> Check {
    let source = &block["source"];
    let bytes = STANDARD.decode(source["data"].as_str().unwrap_or_default());
    let bytes = bytes.map_err(|error| format!("image: {error}"))?;
    rule!(bytes.len() <= 5_242_880, "image exceeds 5 MB maximum: {}", bytes.len());
    let found = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'G', b'I', b'F', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        _ => "unknown",
    };
    rule!(
        source["media_type"] == found,
        "image: specified as {}, appears to be {found}",
        source["media_type"]
    );
    Ok(())
}
