//! The tools of a request, in an order that never changes by itself, so that the vendor's cache holds.

use serde_json::{Value, json};

use crate::{
    anthropic::{
        WEB_SEARCH,
        family::Family,
        options::Settings,
        wire::{Block, Content, Message, Tool, ToolChoice, WebSearch},
    },
    call::{self, COMPUTER, ToolChoice as Wanted},
};

/// Longest name of a tool the vendor takes.
const MAX_NAME_BYTES: usize = 64;

/// What the vendor does not take at the top of a schema.
const REFUSED_AT_TOP: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// A name as the vendor takes it: letters, digits, `_` and `-`.
pub(super) fn name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let plain = name.chars().take(MAX_NAME_BYTES);
    let plain: String = plain.map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain.is_empty() { "unknown".to_owned() } else { plain }
}

/// The vendor's search, unless a tool of ours has its name.
pub(super) fn offered_search(request: &call::Request, settings: &Settings) -> Option<WebSearch> {
    let is_taken = request.tools.iter().any(|tool| tool.name == WEB_SEARCH);
    settings.web_search.clone().filter(|_| !is_taken)
}

/// What is on offer. A conversation in which tools were called needs some, so the called ones stand in where nothing is offered.
pub(super) fn offered(
    request: &call::Request,
    model: &str,
    web_search: Option<WebSearch>,
    turns: &[Message],
) -> Vec<Tool> {
    let computer = Family::of(model).computer;
    let own = request.tools.iter().map(|tool| match (tool.computer, computer) {
        (Some(display), Some(computer)) => Tool::Computer {
            r#type: computer.tool(),
            name: COMPUTER,
            display_width_px: display.width_px,
            display_height_px: display.height_px,
        },
        (Some(_) | None, _) => Tool::Own {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input_schema: schema(&tool.input_schema),
        },
    });
    let offered: Vec<Tool> = own.chain(web_search.map(Tool::WebSearch)).collect();
    if offered.is_empty() { called(turns) } else { offered }
}

/// Whether they may be called; `None` where that goes without saying.
pub(super) fn choice(request: &call::Request, settings: &Settings, tools: &[Tool]) -> Option<ToolChoice> {
    if tools.is_empty() {
        return None;
    }
    let is_offered = !request.tools.is_empty() || matches!(tools, [Tool::WebSearch(_)]);
    let disable_parallel_tool_use = settings.is_parallel_disabled;
    match &request.tool_choice {
        Wanted::None => Some(ToolChoice::None),
        _ if !is_offered => Some(ToolChoice::None),
        Wanted::Auto => disable_parallel_tool_use.then_some(ToolChoice::Auto {
            disable_parallel_tool_use,
        }),
        Wanted::Required => Some(ToolChoice::Any {
            disable_parallel_tool_use,
        }),
        Wanted::Named(wanted) => Some(ToolChoice::Tool {
            name: wanted.clone(),
            disable_parallel_tool_use,
        }),
    }
}

/// Whether the model has no choice but to call a tool. The vendor lets it not think then.
pub(super) fn is_forced(choice: Option<&ToolChoice>) -> bool {
    matches!(choice, Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. }))
}

/// Stand-ins for the tools that were called, by first call.
fn called(turns: &[Message]) -> Vec<Tool> {
    let mut names: Vec<&String> = Vec::new();
    for block in turns.iter().flat_map(|turn| &turn.content) {
        if let Block {
            content: Content::ToolUse { name, .. },
            ..
        } = block
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    let stand_in = |name: &String| Tool::Own {
        name: name.clone(),
        description: String::new(),
        input_schema: json!({ "type": "object" }),
    };
    names.into_iter().map(stand_in).collect()
}

/// A schema as the vendor takes it: an object at the top, without alternatives there.
fn schema(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.retain(|name, _| !REFUSED_AT_TOP.contains(&name.as_str()));
        fields.insert("type".to_owned(), Value::from("object"));
        schema
    } else {
        json!({ "type": "object" })
    }
}
