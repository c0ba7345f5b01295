//! A Messages request.

use serde_json::{Map, Value, json};
use tandem_chat_core::{
    id::ToolCallId,
    message::Role,
    part::{FilePart, Part, ProviderMetadata, ReasoningPart},
};
use tandem_protocols::{call::ToolChoice, remote::Remote};

use super::{
    begin,
    conversation::{Arguments, Conversation, Output, call, call_id, search, thought},
    effort,
    fields::{Fields, is_nothing, objects},
    media, output, set_number, set_stop, tokens,
    tools::{Tools, VENDORS_OWN, require},
};
use crate::bridge::translate::{Asked, Refused, Thinking, sealed};

/// What says nothing to a model: who asks, what is kept for how long, how fast. What context management takes away, a model that is
/// told everything has.
const PASSED_OVER: [&str; 6] = [
    "metadata",
    "service_tier",
    "inference_geo",
    "cache_control",
    "context_management",
    "speed",
];

/// Understands a request.
///
/// # Errors
/// [`Refused`].
pub(super) fn read(mut fields: Fields) -> Result<Asked, Refused> {
    let mut asked = begin(&mut fields)?;
    set_number(&mut fields, "top_k", &mut asked.overrides)?;
    set_stop(&mut fields, "stop_sequences", &mut asked.overrides)?;
    asked.max_output_tokens = tokens(&mut fields, "max_tokens")?;
    asked.thinking = thinking(&mut fields)?;
    if let Some(mut config) = fields.object("output_config")? {
        asked.effort = effort(&mut config, "effort")?;
        asked.output = output::format(&mut config, "format")?;
        config.pass_over(&["task_budget"]);
        config.end()?;
    }
    // The older place of it.
    asked.output = output::format(&mut fields, "output_format")?.or(asked.output);
    fields.refuse_unless("mcp_servers", is_nothing, VENDORS_OWN)?;
    fields.refuse_unless("container", is_nothing, VENDORS_OWN)?;
    tools(&mut fields, &mut asked)?;
    choice(&mut fields, &mut asked)?;
    let mut conversation = Conversation::default();
    let instructions = instructions(&mut fields)?;
    if !instructions.is_empty() {
        conversation.say(Role::System, instructions, false)?;
    }
    let messages = fields.objects("messages")?;
    let mut last = String::new();
    for mut message in messages {
        last = message.required_text("role")?;
        match last.as_str() {
            "user" => user(message, &mut conversation)?,
            "assistant" => assistant(message, &mut conversation)?,
            "system" => {
                let parts = said(&mut message)?;
                conversation.say(Role::System, parts, false)?;
            }
            _ => return Err(message.refused("role", "It must be user or assistant.")),
        }
    }
    if last == "assistant" {
        return Err(Refused::new(
            "messages",
            "This model's provider cannot go on within an answer that has begun. End with a message of the user.",
        ));
    }
    asked.messages = conversation.finish("messages")?;
    fields.pass_over(&PASSED_OVER);
    fields.end()?;
    Ok(asked)
}

fn thinking(fields: &mut Fields) -> Result<Option<Thinking>, Refused> {
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(None);
    };
    match thinking.kind()?.as_str() {
        "disabled" => Ok(Some(Thinking::Off)),
        "adaptive" => Ok(Some(Thinking::Adaptive)),
        "enabled" => {
            let budget = thinking.count("budget_tokens")?.filter(|budget| *budget > 0);
            let wrong = || thinking.refused("budget_tokens", "It must be a whole number above 0.");
            budget.map(|budget| Some(Thinking::Budget(budget))).ok_or_else(wrong)
        }
        _ => Err(thinking.refused("type", "It must be enabled, disabled or adaptive.")),
    }
}

fn tools(fields: &mut Fields, asked: &mut Asked) -> Result<(), Refused> {
    let mut tools = Tools::default();
    for mut tool in fields.objects("tools")? {
        let kind = tool.kind()?;
        if kind.starts_with("web_search_") {
            asked.wants_search = Some(tool.path("type"));
            continue;
        }
        if !kind.is_empty() && kind != "custom" {
            return Err(tool.refused("type", VENDORS_OWN));
        }
        let name = tool.text("name")?.unwrap_or_default();
        let description = tool.text("description")?;
        let field = tool.path("name");
        tools.add(name, description, tool.take("input_schema"), &field)?;
    }
    tools.finish(asked);
    Ok(())
}

fn choice(fields: &mut Fields, asked: &mut Asked) -> Result<(), Refused> {
    let Some(mut choice) = fields.object("tool_choice")? else {
        return Ok(());
    };
    asked.is_serial = choice.flag("disable_parallel_tool_use")?.unwrap_or(false);
    match choice.kind()?.as_str() {
        "auto" => Ok(()),
        "none" => {
            asked.tool_choice = ToolChoice::None;
            Ok(())
        }
        "any" => require(asked, None, "tool_choice"),
        "tool" => {
            let name = choice.required_text("name")?;
            require(asked, Some(name), "tool_choice.name")
        }
        _ => Err(choice.refused("type", "It must be auto, any, tool or none.")),
    }
}

fn instructions(fields: &mut Fields) -> Result<Vec<Part>, Refused> {
    match fields.take("system") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(blocks)) => {
            let blocks = objects(blocks, "system")?;
            blocks.into_iter().map(|mut block| words(&mut block)).collect()
        }
        Some(_) => Err(fields.refused("system", "It must be a text or a list of blocks.")),
    }
}

/// The blocks of a message; a text is one.
fn blocks(message: &mut Fields) -> Result<Vec<Fields>, Refused> {
    let path = message.path("content");
    match message.take("content") {
        Some(Value::String(text)) => objects(vec![json!({ "type": "text", "text": text })], &path),
        Some(Value::Array(blocks)) => objects(blocks, &path),
        Some(_) | None => Err(Refused::new(path, "It must be a text or a list of blocks.")),
    }
}

fn said(message: &mut Fields) -> Result<Vec<Part>, Refused> {
    blocks(message)?
        .into_iter()
        .map(|mut block| words(&mut block))
        .collect()
}

fn words(block: &mut Fields) -> Result<Part, Refused> {
    match block.kind()?.as_str() {
        "text" => Ok(Part::text(block.text("text")?.unwrap_or_default())),
        _ => Err(block.refused("type", "Only texts are possible here.")),
    }
}

fn user(mut message: Fields, conversation: &mut Conversation) -> Result<(), Refused> {
    let mut parts = Vec::new();
    for mut block in blocks(&mut message)? {
        match block.kind()?.as_str() {
            "tool_result" => {
                let (id, output) = result(block)?;
                conversation.result(id, output)?;
            }
            kind => shown(kind, &mut block, &mut parts)?,
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    conversation.say(Role::User, parts, false)
}

/// What a user, or a tool, shows to the model.
fn shown(kind: &str, block: &mut Fields, parts: &mut Vec<Part>) -> Result<(), Refused> {
    match kind {
        "text" => parts.push(Part::text(block.text("text")?.unwrap_or_default())),
        "image" => parts.push(Part::File(source(block, "")?)),
        "document" => document(block, parts)?,
        "search_result" => {
            let (title, origin) = (block.text("title")?, block.text("source")?);
            let heading = [title, origin].into_iter().flatten().collect::<Vec<_>>().join(" ");
            parts.push(Part::text(format!("Search result: {heading}")));
            parts.extend(said(block)?);
        }
        _ => {
            let text = format!("A block of this type cannot be carried here: {kind:.40}.");
            return Err(block.refused("type", text));
        }
    }
    Ok(())
}

fn document(block: &mut Fields, parts: &mut Vec<Part>) -> Result<(), Refused> {
    let citations = block.object("citations")?;
    let cites = citations.map(|mut citations| citations.flag("enabled")).transpose()?;
    if cites.flatten().unwrap_or(false) {
        return Err(block.refused(
            "citations",
            "This model's provider does not cite documents. Leave it out.",
        ));
    }
    let title = block.text("title")?.unwrap_or_default();
    if let Some(context) = block.text("context")? {
        parts.push(Part::text(format!("About the document {title}: {context}")));
    }
    let path = block.path("source");
    let Some(mut origin) = block.object("source")? else {
        return Err(Refused::new(path, "It is missing."));
    };
    match origin.kind()?.as_str() {
        "base64" => parts.push(Part::File(bytes(&mut origin, &title)?)),
        "url" => {
            let url = origin.required_text("url")?;
            parts.push(Part::File(media::document(&url, &origin.path("url"))?));
        }
        "text" => parts.push(Part::File(FilePart {
            media_type: "text/plain".to_owned(),
            name: title,
            file_id: None,
            data: origin.required_text("data")?.into_bytes(),
        })),
        "content" => {
            for mut inner in blocks(&mut origin)? {
                match inner.kind()?.as_str() {
                    kind @ ("text" | "image") => shown(kind, &mut inner, parts)?,
                    _ => return Err(inner.refused("type", "Only texts and images are possible here.")),
                }
            }
        }
        _ => return Err(media::elsewhere(&path)),
    }
    Ok(())
}

fn source(block: &mut Fields, name: &str) -> Result<FilePart, Refused> {
    let path = block.path("source");
    let Some(mut source) = block.object("source")? else {
        return Err(Refused::new(path, "It is missing."));
    };
    match source.kind()?.as_str() {
        "base64" => bytes(&mut source, name),
        "url" => media::picture(&source.required_text("url")?, &source.path("url")),
        _ => Err(media::elsewhere(&path)),
    }
}

fn bytes(source: &mut Fields, name: &str) -> Result<FilePart, Refused> {
    let media_type = source.required_text("media_type")?;
    let data = source.required_text("data")?;
    media::file(&media_type, &data, name, &source.path("data"))
}

fn result(mut block: Fields) -> Result<(ToolCallId, Output), Refused> {
    let id = call_id(&block.required_text("tool_use_id")?, &block.path("tool_use_id"))?;
    let mut output = Output {
        is_error: block.flag("is_error")?.unwrap_or(false),
        ..Output::default()
    };
    if block.has("content") {
        let mut parts = Vec::new();
        for mut inner in blocks(&mut block)? {
            let kind = inner.kind()?;
            shown(&kind, &mut inner, &mut parts)?;
        }
        for part in parts {
            match part {
                Part::Text(text) => output.texts.push(text.text),
                // What came of a call is shown within it, or not at all.
                Part::File(file) if Remote::of(&file).is_some() => return Err(media::elsewhere(&file.name)),
                Part::File(file) => output.files.push(file),
                _ => {}
            }
        }
    }
    Ok((id, output))
}

/// Turns of the assistant that follow each other are one.
fn assistant(mut message: Fields, conversation: &mut Conversation) -> Result<(), Refused> {
    let mut parts = Vec::new();
    let mut searches: Vec<(String, Value)> = Vec::new();
    for mut block in blocks(&mut message)? {
        let kind = block.kind()?;
        match kind.as_str() {
            "text" => parts.push(Part::text(block.text("text")?.unwrap_or_default())),
            "thinking" => {
                let text = block.text("thinking")?.unwrap_or_default();
                let proof = block.text("signature")?.unwrap_or_default();
                parts.push(thought(text, proof, ProviderMetadata::new()));
            }
            "redacted_thinking" => {
                let data = block.required_text("data")?;
                parts.push(redacted(data));
            }
            "tool_use" => {
                let id = call_id(&block.required_text("id")?, &block.path("id"))?;
                let name = block.required_text("name")?;
                let input = match block.take("input") {
                    None => Map::new(),
                    Some(Value::Object(input)) => input,
                    Some(_) => return Err(block.refused("input", "It must be an object.")),
                };
                parts.push(call(id, name, Arguments::Object(input)));
            }
            "server_tool_use" => {
                searches.push((
                    block.required_text("id")?,
                    block.take("input").unwrap_or_else(|| json!({})),
                ));
            }
            "web_search_tool_result" => {
                let id = block.required_text("tool_use_id")?;
                let content = block.take("content").unwrap_or_default();
                if let Some(place) = searches.iter().position(|(call, _)| *call == id) {
                    let (_, input) = searches.remove(place);
                    parts.extend(found(&id, input, content, &block.path("tool_use_id"))?);
                }
            }
            _ => {
                let text = format!("A block of this type cannot be carried here: {kind:.40}.");
                return Err(block.refused("type", text));
            }
        }
    }
    conversation.say(Role::Assistant, parts, true)
}

/// Thinking that only its vendor can read.
fn redacted(data: String) -> Part {
    let (signature, provider_metadata) = sealed::open(&data).unwrap_or_else(|| {
        let own = json!({ "redacted_data": data });
        (
            String::new(),
            ProviderMetadata::from_iter([("anthropic".to_owned(), own)]),
        )
    });
    Part::Reasoning(ReasoningPart {
        signature,
        provider_metadata,
        ..ReasoningPart::default()
    })
}

/// A search that a vendor ran: what it found, in words and as it came.
fn found(id: &str, input: Value, content: Value, field: &str) -> Result<[Part; 2], Refused> {
    let source = |result: &Value| {
        let text = |name: &str| result.get(name).and_then(Value::as_str);
        Some(json!({ "url": text("url")?, "title": text("title").unwrap_or_default() }))
    };
    let sources: Vec<Value> = content.as_array().into_iter().flatten().filter_map(source).collect();
    let metadata = ProviderMetadata::from_iter([("anthropic".to_owned(), json!({ "content": content }))]);
    Ok(search(
        call_id(id, field)?,
        input,
        json!({ "sources": sources }),
        metadata,
    ))
}
