//! A Chat Completions request.

use serde_json::Value;
use tandem_chat_core::{message::Role, part::Part};
use tandem_protocols::call::ToolChoice;

use super::{
    begin,
    conversation::{Arguments, Conversation, Output, call, call_id},
    effort,
    fields::{Fields, is_nothing, objects},
    media, output, set_number, set_stop, tokens,
    tools::{Tools, VENDORS_OWN, require, restrict},
    verbosity,
};
use crate::bridge::translate::{Asked, Refused, free_form};

/// What says nothing to a model: who asks, where it is kept, how fast, in which lottery.
const PASSED_OVER: [&str; 11] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "prediction",
    "seed",
    "moderation",
];

/// Understands a request.
///
/// # Errors
/// [`Refused`].
pub(super) fn read(mut fields: Fields) -> Result<Asked, Refused> {
    let mut asked = begin(&mut fields)?;
    for name in ["top_k", "presence_penalty", "frequency_penalty"] {
        set_number(&mut fields, name, &mut asked.overrides)?;
    }
    set_stop(&mut fields, "stop", &mut asked.overrides)?;
    // The newer name is the more specific one.
    let older = tokens(&mut fields, "max_tokens")?;
    asked.max_output_tokens = tokens(&mut fields, "max_completion_tokens")?.or(older);
    asked.effort = effort(&mut fields, "reasoning_effort")?;
    asked.verbosity = verbosity(&mut fields, "verbosity")?;
    asked.output = output::format(&mut fields, "response_format")?;
    asked.is_serial = fields.flag("parallel_tool_calls")? == Some(false);
    let streaming = fields.object("stream_options")?;
    let includes = streaming.map(|mut options| options.flag("include_usage")).transpose()?;
    asked.wants_usage = !asked.is_stream || includes.flatten().unwrap_or(false);
    refuse(&mut fields)?;
    tools(&mut fields, &mut asked)?;
    choice(&mut fields, &mut asked)?;
    let mut conversation = Conversation::default();
    for message in fields.objects("messages")? {
        self::message(message, &mut conversation)?;
    }
    asked.messages = conversation.finish("messages")?;
    fields.pass_over(&PASSED_OVER);
    fields.end()?;
    Ok(asked)
}

/// What no other vendor's request could carry.
fn refuse(fields: &mut Fields) -> Result<(), Refused> {
    fields.refuse_unless(
        "n",
        |n| *n == 1,
        "Only one answer is given at a time. Ask several times.",
    )?;
    let logprobs = "This model's provider does not tell probabilities. Leave it out.";
    fields.refuse_unless("logprobs", is_nothing, logprobs)?;
    fields.refuse_unless("top_logprobs", is_nothing, logprobs)?;
    let bias = "This model's provider knows no bias for tokens. Leave it out.";
    fields.refuse_unless("logit_bias", is_nothing, bias)?;
    let is_words = |modalities: &Value| {
        modalities
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one == "text"))
    };
    fields.refuse_unless("modalities", is_words, "This model answers in text only.")?;
    fields.refuse_unless("audio", is_nothing, "This model answers in text only.")?;
    fields.refuse_unless("web_search_options", |_| false, VENDORS_OWN)?;
    let older = "This is the older form. Use tools and tool_choice.";
    fields.refuse_unless("functions", is_nothing, older)?;
    fields.refuse_unless("function_call", |choice| *choice == "auto" || *choice == "none", older)
}

fn tools(fields: &mut Fields, asked: &mut Asked) -> Result<(), Refused> {
    let mut tools = Tools::default();
    for mut tool in fields.objects("tools")? {
        let kind = tool.kind()?;
        if kind == "custom" {
            let Some(custom) = tool.object("custom")? else {
                return Err(tool.refused("custom", "It is missing."));
            };
            tools.add_free_form(custom)?;
            continue;
        }
        let Some(mut function) = tool
            .object("function")?
            .filter(|_| kind == "function" || kind.is_empty())
        else {
            return Err(tool.refused("type", "Only tools of type function or custom can be carried."));
        };
        let name = function.text("name")?.unwrap_or_default();
        let description = function.text("description")?;
        let field = function.path("name");
        tools.add(name, description, function.take("parameters"), &field)?;
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
                kind @ ("function" | "custom") => {
                    let name = choice.object(kind)?.map(|mut tool| tool.required_text("name"));
                    let name = name.transpose()?.ok_or_else(|| wrong(fields))?;
                    require(asked, Some(name), &format!("tool_choice.{kind}.name"))
                }
                "allowed_tools" => allowed(choice, asked),
                _ => Err(wrong(fields)),
            }
        }
    }
}

/// Only some of the tools may be called: the others are not offered.
fn allowed(mut choice: Fields, asked: &mut Asked) -> Result<(), Refused> {
    const NAME: &str = "tool_choice.allowed_tools";
    let Some(mut allowed) = choice.object("allowed_tools")? else {
        return Err(choice.refused("allowed_tools", "It is missing."));
    };
    let mut names = Vec::new();
    for mut tool in allowed.objects("tools")? {
        let named = match tool.object("function")? {
            Some(function) => Some(function),
            None => tool.object("custom")?,
        };
        let name = named.map(|mut named| named.required_text("name")).transpose()?;
        names.push(name.unwrap_or_default());
    }
    restrict(asked, &names, NAME)?;
    match allowed.text("mode")?.as_deref() {
        Some("required") => require(asked, None, NAME),
        _ => Ok(()),
    }
}

fn message(mut message: Fields, conversation: &mut Conversation) -> Result<(), Refused> {
    match message.required_text("role")?.as_str() {
        "system" | "developer" => {
            let parts = content(&mut message, false)?;
            conversation.say(Role::System, parts, false)
        }
        "user" => {
            let mut parts = content(&mut message, true)?;
            // There is no other place for who of several people is speaking.
            if let Some(name) = message.text("name")?.filter(|name| !name.is_empty()) {
                parts.insert(0, Part::text(format!("[{name} says:]")));
            }
            conversation.say(Role::User, parts, false)
        }
        "assistant" => {
            let parts = assistant(&mut message)?;
            conversation.say(Role::Assistant, parts, false)
        }
        "tool" => {
            let field = message.path("tool_call_id");
            let id = call_id(&message.required_text("tool_call_id")?, &field)?;
            let mut output = Output::default();
            for part in content(&mut message, true)? {
                match part {
                    Part::Text(text) => output.texts.push(text.text),
                    Part::File(file) => output.files.push(file),
                    _ => {}
                }
            }
            conversation.result(id, output)
        }
        _ => Err(message.refused("role", "It must be system, developer, user, assistant or tool.")),
    }
}

fn assistant(message: &mut Fields) -> Result<Vec<Part>, Refused> {
    let mut parts = if message.has("content") {
        content(message, false)?
    } else {
        Vec::new()
    };
    parts.extend(message.text("refusal")?.map(Part::text));
    let spoken =
        "What was said in an audio answer is kept by the provider that said it. Send its transcript as content.";
    message.refuse_unless("audio", is_nothing, spoken)?;
    message.refuse_unless("function_call", is_nothing, "This is the older form. Use tool_calls.")?;
    for mut asked in message.objects("tool_calls")? {
        if let Some(mut custom) = asked.object("custom")? {
            let id = call_id(&asked.required_text("id")?, &asked.path("id"))?;
            let name = custom.required_text("name")?;
            let input = free_form::arguments(custom.text("input")?.unwrap_or_default());
            parts.push(call(id, name, Arguments::Object(input)));
            continue;
        }
        let Some(mut function) = asked.object("function")? else {
            return Err(asked.refused(
                "function",
                "Only calls of functions and of custom tools can be carried.",
            ));
        };
        let id = call_id(&asked.required_text("id")?, &asked.path("id"))?;
        let name = function.required_text("name")?;
        let arguments = match function.take("arguments") {
            None => Arguments::Text(String::new()),
            Some(Value::String(text)) => Arguments::Text(text),
            Some(Value::Object(arguments)) => Arguments::Object(arguments),
            Some(_) => return Err(function.refused("arguments", "It must be JSON as text.")),
        };
        parts.push(call(id, name, arguments));
    }
    Ok(parts)
}

/// A text, or pieces.
///
/// * `shows`: whether files may be among them.
fn content(message: &mut Fields, shows: bool) -> Result<Vec<Part>, Refused> {
    let path = message.path("content");
    match message.take("content") {
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
        "text" => Ok(Part::text(piece.text("text")?.unwrap_or_default())),
        "refusal" => Ok(Part::text(piece.text("refusal")?.unwrap_or_default())),
        "image_url" if shows => {
            let path = piece.path("image_url");
            let url = match piece.take("image_url") {
                Some(Value::String(url)) => url,
                Some(value) => Fields::of(value, path.as_str())?.required_text("url")?,
                None => return Err(Refused::new(path, "It is missing.")),
            };
            media::picture(&url, &path).map(Part::File)
        }
        "file" if shows => {
            let Some(mut file) = piece.object("file")? else {
                return Err(piece.refused("file", "It is missing."));
            };
            let name = file.text("filename")?.unwrap_or_default();
            let path = file.path("file_data");
            match file.text("file_data")? {
                Some(data) => media::named(&data, &name, &path).map(Part::File),
                None => Err(media::elsewhere(&path)),
            }
        }
        "input_audio" => Err(piece.refused("type", "This model's provider is not told audio. Send a transcript.")),
        _ => Err(piece.refused(
            "type",
            format!("A piece of this type cannot be carried here: {kind:.40}."),
        )),
    }
}
