//! A Responses request.

use serde_json::{Value, json};
use tandem_chat_core::{
    message::Role,
    part::{Part, ProviderMetadata},
};
use tandem_protocols::{call::ToolChoice, remote::Remote};

use super::{
    begin,
    conversation::{Arguments, Conversation, Output, call, call_id, search, thought},
    effort,
    fields::{Fields, is_nothing, objects},
    media, output, tokens,
    tools::{Tools, VENDORS_OWN, require, restrict},
    verbosity,
};
use crate::bridge::translate::{Asked, Refused, free_form};

/// What says nothing to a model, or is about what is kept at a vendor.
const PASSED_OVER: [&str; 13] = [
    "user",
    "metadata",
    "client_metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "stream_options",
    "truncation",
    "max_tool_calls",
    "context_management",
];

const KEPT: &str = "Tandem keeps no responses. Send the whole conversation as input.";

/// Understands a request.
///
/// # Errors
/// [`Refused`].
pub(super) fn read(mut fields: Fields) -> Result<Asked, Refused> {
    let mut asked = begin(&mut fields)?;
    asked.max_output_tokens = tokens(&mut fields, "max_output_tokens")?;
    asked.is_serial = fields.flag("parallel_tool_calls")? == Some(false);
    if let Some(mut reasoning) = fields.object("reasoning")? {
        asked.effort = effort(&mut reasoning, "effort")?;
        reasoning.pass_over(&["summary", "generate_summary", "encrypted_content"]);
        reasoning.end()?;
    }
    if let Some(mut text) = fields.object("text")? {
        asked.verbosity = verbosity(&mut text, "verbosity")?;
        asked.output = output::format(&mut text, "format")?;
        text.end()?;
    }
    refuse(&mut fields)?;
    tools(&mut fields, &mut asked)?;
    choice(&mut fields, &mut asked)?;
    let mut conversation = Conversation::default();
    if let Some(text) = fields.text("instructions")? {
        conversation.say(Role::System, vec![Part::text(text)], false)?;
    }
    match fields.take("input") {
        Some(Value::String(text)) => conversation.say(Role::User, vec![Part::text(text)], false)?,
        Some(Value::Array(items)) => {
            for item in objects(items, "input")? {
                self::item(item, &mut conversation)?;
            }
        }
        Some(_) | None => return Err(fields.refused("input", "It must be a text or a list of items.")),
    }
    asked.messages = conversation.finish("input")?;
    fields.pass_over(&PASSED_OVER);
    fields.end()?;
    Ok(asked)
}

/// What no other vendor's request could carry.
fn refuse(fields: &mut Fields) -> Result<(), Refused> {
    fields.refuse_unless("previous_response_id", is_nothing, KEPT)?;
    fields.refuse_unless("conversation", is_nothing, KEPT)?;
    fields.refuse_unless(
        "background",
        is_nothing,
        "Responses are given at once, not in the background.",
    )?;
    fields.refuse_unless(
        "prompt",
        is_nothing,
        "Templates that a provider keeps cannot be used. Send the text itself.",
    )?;
    let logprobs = "This model's provider does not tell probabilities. Leave it out.";
    fields.refuse_unless("top_logprobs", is_nothing, logprobs)?;
    for (place, include) in fields.list("include")?.iter().enumerate() {
        if include == "message.output_text.logprobs" {
            return Err(Refused::new(format!("include[{place}]"), logprobs));
        }
    }
    Ok(())
}

fn tools(fields: &mut Fields, asked: &mut Asked) -> Result<(), Refused> {
    let mut tools = Tools::default();
    for mut tool in fields.objects("tools")? {
        let kind = tool.kind()?;
        if kind.starts_with("web_search") {
            asked.wants_search = Some(tool.path("type"));
            continue;
        }
        if kind == "custom" {
            tools.add_free_form(tool)?;
            continue;
        }
        if kind != "function" {
            return Err(tool.refused("type", VENDORS_OWN));
        }
        let name = tool.text("name")?.unwrap_or_default();
        let description = tool.text("description")?;
        let field = tool.path("name");
        tools.add(name, description, tool.take("parameters"), &field)?;
    }
    tools.finish(asked);
    Ok(())
}

fn choice(fields: &mut Fields, asked: &mut Asked) -> Result<(), Refused> {
    const NAME: &str = "tool_choice";
    let wrong = |fields: &Fields| fields.refused(NAME, "It must be auto, none, required, or name a tool.");
    match fields.take(NAME) {
        None => Ok(()),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(()),
            "none" => {
                asked.tool_choice = ToolChoice::None;
                Ok(())
            }
            "required" => require(asked, None, NAME),
            _ => Err(wrong(fields)),
        },
        Some(value) => {
            let mut choice = Fields::of(value, NAME)?;
            match choice.kind()?.as_str() {
                "function" | "custom" => require(asked, Some(choice.required_text("name")?), "tool_choice.name"),
                "allowed_tools" => {
                    let mut tools = choice.objects("tools")?;
                    let names: Result<Vec<String>, Refused> =
                        tools.iter_mut().map(|tool| tool.required_text("name")).collect();
                    restrict(asked, &names?, "tool_choice.tools")?;
                    match choice.text("mode")?.as_deref() {
                        Some("required") => require(asked, None, NAME),
                        _ => Ok(()),
                    }
                }
                _ => Err(wrong(fields)),
            }
        }
    }
}

fn item(mut item: Fields, conversation: &mut Conversation) -> Result<(), Refused> {
    let kind = item.kind()?;
    match kind.as_str() {
        "message" | "" => message(item, conversation),
        "function_call" => {
            let id = call_id(&item.required_text("call_id")?, &item.path("call_id"))?;
            let name = item.required_text("name")?;
            let arguments = Arguments::Text(item.text("arguments")?.unwrap_or_default());
            conversation.say(Role::Assistant, vec![call(id, name, arguments)], true)
        }
        "custom_tool_call" => {
            let id = call_id(&item.required_text("call_id")?, &item.path("call_id"))?;
            let name = item.required_text("name")?;
            let input = free_form::arguments(item.text("input")?.unwrap_or_default());
            conversation.say(Role::Assistant, vec![call(id, name, Arguments::Object(input))], true)
        }
        "function_call_output" | "custom_tool_call_output" => {
            let id = call_id(&item.required_text("call_id")?, &item.path("call_id"))?;
            let output = output(&mut item)?;
            conversation.result(id, output)
        }
        "reasoning" => {
            let part = reasoning(item)?;
            conversation.say(Role::Assistant, vec![part], true)
        }
        "web_search_call" => {
            let parts = searched(item)?;
            conversation.say(Role::Assistant, parts.into(), true)
        }
        "item_reference" => Err(item.refused("type", KEPT)),
        _ => Err(item.refused(
            "type",
            format!("An item of this type cannot be carried here: {kind:.40}."),
        )),
    }
}

fn message(mut item: Fields, conversation: &mut Conversation) -> Result<(), Refused> {
    match item.required_text("role")?.as_str() {
        "system" | "developer" => conversation.say(Role::System, content(&mut item, "content", false)?, false),
        "user" => conversation.say(Role::User, content(&mut item, "content", true)?, false),
        "assistant" => conversation.say(Role::Assistant, content(&mut item, "content", false)?, true),
        _ => Err(item.refused("role", "It must be system, developer, user or assistant.")),
    }
}

/// A text, or pieces.
///
/// * `shows`: whether files may be among them.
fn content(item: &mut Fields, name: &str, shows: bool) -> Result<Vec<Part>, Refused> {
    let path = item.path(name);
    match item.take(name) {
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(pieces)) => {
            let pieces = objects(pieces, &path)?;
            pieces.into_iter().map(|piece| self::piece(piece, shows)).collect()
        }
        Some(_) | None => Err(Refused::new(path, "It must be a text or a list of pieces.")),
    }
}

fn piece(mut piece: Fields, shows: bool) -> Result<Part, Refused> {
    let kind = piece.kind()?;
    match kind.as_str() {
        "input_text" | "output_text" | "text" => Ok(Part::text(piece.text("text")?.unwrap_or_default())),
        "refusal" => Ok(Part::text(piece.text("refusal")?.unwrap_or_default())),
        "input_image" if shows => {
            let path = piece.path("image_url");
            match piece.text("image_url")? {
                Some(url) => media::picture(&url, &path).map(Part::File),
                None => Err(media::elsewhere(&path)),
            }
        }
        "input_file" if shows => {
            let name = piece.text("filename")?.unwrap_or_default();
            let path = piece.path("file_data");
            match piece.text("file_data")? {
                Some(data) => media::named(&data, &name, &path).map(Part::File),
                None => match piece.text("file_url")? {
                    Some(url) => media::document(&url, &piece.path("file_url")).map(Part::File),
                    None => Err(media::elsewhere(&path)),
                },
            }
        }
        _ => Err(piece.refused(
            "type",
            format!("A piece of this type cannot be carried here: {kind:.40}."),
        )),
    }
}

/// What a tool returned. Whether it failed is not told apart in this dialect.
fn output(item: &mut Fields) -> Result<Output, Refused> {
    let mut output = Output::default();
    for part in content(item, "output", true)? {
        match part {
            Part::Text(text) => output.texts.push(text.text),
            // What came of a call is shown within it, or not at all.
            Part::File(file) if Remote::of(&file).is_some() => return Err(media::elsewhere(&file.name)),
            Part::File(file) => output.files.push(file),
            _ => {}
        }
    }
    Ok(output)
}

/// What the model thought. Several paragraphs of it are one text.
fn reasoning(mut item: Fields) -> Result<Part, Refused> {
    let mut texts = Vec::new();
    for list in ["summary", "content"] {
        if texts.is_empty() {
            for mut piece in item.objects(list)? {
                texts.extend(piece.text("text")?);
            }
        }
    }
    let proof = item.text("encrypted_content")?.unwrap_or_default();
    let mut bare = ProviderMetadata::new();
    if let Some(id) = item.text("id")?.filter(|_| !proof.is_empty()) {
        bare.insert("openai".to_owned(), json!({ "item_id": id }));
    }
    Ok(thought(texts.join("\n\n"), proof, bare))
}

/// A search that a vendor ran.
fn searched(mut item: Fields) -> Result<[Part; 2], Refused> {
    let id = call_id(&item.required_text("id")?, &item.path("id"))?;
    let mut action = item.take("action").unwrap_or_else(|| json!({}));
    let sources = action.as_object_mut().and_then(|action| action.remove("sources"));
    let source = |source: &Value| Some(json!({ "url": source.get("url")?.as_str()? }));
    let sources = sources.as_ref().and_then(Value::as_array).into_iter().flatten();
    let result = json!({ "sources": sources.filter_map(source).collect::<Vec<Value>>() });
    Ok(search(id, action, result, ProviderMetadata::new()))
}
