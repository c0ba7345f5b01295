//! The vendor's own tool for using a computer in a history: calls that go back exactly as they came, with a picture of the display.
//!
//! The vendor takes a call only where the tool is on offer, in that tool's own shape, with the reasoning it followed, and answered by a
//! picture, once a person has acknowledged every safety check it was made under. Every other call is told like one of a tool of ours, with
//! its result as it is: one that another vendor made, one that failed, one that nobody has acknowledged.
//!
//! Which checks are acknowledged is in the result, beside the picture: `acknowledged_safety_checks`, a list of their ids. Without it none
//! is. Only whoever has asked a person may write it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tandem_chat_core::{
    id::ToolCallId,
    message::{Message, Role},
    part::{Part, ProviderMetadata, ToolCallPart, ToolResultPart},
};

use super::{media, search, thinking};
use crate::{
    call::COMPUTER,
    responses::{
        METADATA, Origin,
        family::Computer,
        wire::{Item, Screenshot, event},
    },
    words::{self, Media},
};

/// The one state in which a call is complete.
const COMPLETED: &str = "completed";

const ITEM: &str = "computer_call";
const ID: &str = "id";
const STATUS: &str = "status";

const ACTION: &str = "action";
const ACTIONS: &str = "actions";
const PENDING: &str = "pending_safety_checks";

/// The field of a result with the ids of acknowledged checks.
const ACKNOWLEDGED: &str = "acknowledged_safety_checks";

/// What travels with a call.
///
/// * `reasoning_id`: the reasoning before it in the same response, if any.
pub(in crate::responses) fn metadata(
    origin: &Origin,
    item: &event::Item,
    reasoning_id: Option<&str>,
) -> ProviderMetadata {
    let mut own = thinking::marked(origin);
    let status = item.status.as_deref().unwrap_or(COMPLETED);
    own[ITEM] = json!({ ID: item.id.as_deref().unwrap_or_default(), STATUS: status });
    if let Some(id) = reasoning_id {
        own[search::NEEDS] = Value::from(id);
    }
    ProviderMetadata::from_iter([(METADATA.to_owned(), own)])
}

/// What a call asks for: `actions`, or the one `action`, in the vendor's words, and `pending_safety_checks`.
pub(in crate::responses) fn arguments(item: &event::Item) -> Map<String, Value> {
    let mut arguments = Map::new();
    let is_set = |actions: &Value| actions.as_array().is_some_and(|actions| !actions.is_empty());
    if is_set(&item.actions) {
        arguments.insert(ACTIONS.to_owned(), item.actions.clone());
    } else if item.action.is_object() {
        arguments.insert(ACTION.to_owned(), item.action.clone());
    }
    let checks = Some(&item.pending_safety_checks).filter(|checks| checks.is_array());
    arguments.insert(PENDING.to_owned(), checks.cloned().unwrap_or_else(|| json!([])));
    arguments
}

/// Whether a call was an item of the vendor's.
pub(super) fn is_item(call: &ToolCallPart) -> bool {
    let own = call.provider_metadata.get(METADATA);
    own.is_some_and(|own| own.get(ITEM).is_some())
}

/// A call as the vendor made it.
pub(super) struct Native<'a> {
    /// The item's.
    pub(super) id: &'a str,
    /// The reasoning without which the vendor does not take it.
    pub(super) needs: Option<&'a str>,
    arguments: &'a Map<String, Value>,
}

impl<'a> Native<'a> {
    fn of(call: &'a ToolCallPart, origin: &Origin, tool: Computer) -> Option<Self> {
        let own = call.provider_metadata.get(METADATA)?;
        let item = own.get(ITEM)?;
        let id = item.get(ID)?.as_str()?;
        let arguments = call.args.as_object()?;
        let has_type = |action: &Value| action.get("type").is_some_and(Value::is_string);
        let list = |name: &str| arguments.get(name).and_then(Value::as_array);
        let is_in_shape = match tool {
            Computer::Batches => {
                list(ACTIONS).is_some_and(|actions| !actions.is_empty() && actions.iter().all(has_type))
            }
            Computer::Preview => arguments.get(ACTION).is_some_and(has_type),
        };
        let is_sendable = call.tool_name == COMPUTER
            && !call.provider_executed
            && is_in_shape
            && list(PENDING).is_some_and(|checks| checks.iter().all(|check| check_id(check).is_some()))
            && thinking::is_id(id, "")
            && thinking::is_from(own, origin, true)
            && item.get(STATUS).and_then(Value::as_str) == Some(COMPLETED);
        is_sendable.then_some(Self {
            id,
            needs: search::needs(call),
            arguments,
        })
    }

    /// The call as it is sent back.
    pub(super) fn item(&self, sent_id: &str) -> Item {
        let is_sent = |(name, _): &(&String, &Value)| [ACTION, ACTIONS, PENDING].contains(&name.as_str());
        let arguments = self.arguments.iter().filter(is_sent);
        Item::ComputerCall {
            id: self.id.to_owned(),
            call_id: sent_id.to_owned(),
            status: COMPLETED,
            arguments: arguments.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

fn check_id(check: &Value) -> Option<&str> {
    check.get(ID).and_then(Value::as_str)
}

/// What the display showed after a call.
pub(super) struct Screen {
    image_url: String,
    acknowledged: Vec<Value>,
    detail: Option<&'static str>,
    /// What was said beside the picture, which the vendor has no place for.
    pub(super) text: Option<String>,
}

impl Screen {
    /// `None` where the vendor would not take it.
    fn of(native: &Native<'_>, result: &ToolResultPart, tool: Computer) -> Option<Self> {
        let media = Media::of(result).filter(|_| !result.is_error)?;
        let named = result.result.get(ACKNOWLEDGED).and_then(Value::as_array);
        let is_acknowledged = |check: &&Value| {
            let id = check_id(check);
            named.is_some_and(|ids| ids.iter().any(|named| id.is_some() && named.as_str() == id))
        };
        let pending = native.arguments.get(PENDING).and_then(Value::as_array)?;
        let acknowledged: Vec<Value> = pending.iter().filter(is_acknowledged).cloned().collect();
        if acknowledged.len() < pending.len() {
            return None;
        }
        Some(Self {
            image_url: media::returned_picture(&media)?,
            acknowledged,
            detail: (tool == Computer::Batches).then_some("original"),
            text: media.text.map(str::to_owned),
        })
    }

    /// The output of the call.
    pub(super) fn item(self, sent_id: String) -> Item {
        Item::ComputerCallOutput {
            call_id: sent_id,
            acknowledged_safety_checks: self.acknowledged,
            output: Screenshot::ComputerScreenshot {
                image_url: self.image_url,
                detail: self.detail,
            },
        }
    }
}

/// A message's calls that can be sent back as they came, each with the result that is due to it.
#[derive(Default)]
pub(super) struct Screens<'a>(HashMap<&'a ToolCallId, (Native<'a>, Screen)>);

impl<'a> Screens<'a> {
    /// Finds them. Ids that occur more than once make none.
    ///
    /// * `rest`: the messages behind it.
    /// * `tool`: the one on offer, if any.
    pub(super) fn of(parts: &'a [Part], rest: &'a [Message], origin: &Origin, tool: Option<Computer>) -> Self {
        let Some(tool) = tool else { return Self::default() };
        let calls = parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        let mut found: HashMap<&ToolCallId, Option<Native<'a>>> = HashMap::new();
        for call in calls {
            let native = Native::of(call, origin, tool);
            let seen = found.entry(&call.tool_call_id);
            seen.and_modify(|before| *before = None).or_insert(native);
        }
        found.retain(|_, native| native.is_some());
        let mut screens = Self::default();
        if found.is_empty() {
            return screens;
        }
        for result in due(parts, rest) {
            // Of several results of a call only the first one is its own.
            if let Some(native) = found.remove(&result.tool_call_id).flatten()
                && let Some(screen) = Screen::of(&native, result, tool)
            {
                screens.0.insert(&result.tool_call_id, (native, screen));
            }
        }
        screens
    }

    /// A call as the vendor made it, if it has its picture.
    pub(super) fn native(&self, call: &ToolCallPart) -> Option<&Native<'a>> {
        self.0.get(&call.tool_call_id).map(|(native, _)| native)
    }

    /// The picture of a call.
    pub(super) fn take(&mut self, call: &ToolCallPart) -> Option<(Native<'a>, Screen)> {
        self.0.remove(&call.tool_call_id)
    }
}

/// The results that the calls of a message get: those before anybody says something else.
fn due<'a>(parts: &'a [Part], rest: &'a [Message]) -> impl Iterator<Item = &'a ToolResultPart> {
    let is_silent = |message: &&Message| match message.role {
        Role::Tool => true,
        Role::Assistant => false,
        Role::System => !message.parts.iter().any(|part| words::text_of(part).is_some()),
        Role::User => !message.parts.iter().any(says),
    };
    let silent = rest.iter().take_while(is_silent);
    // What a user says comes behind the results in the same message.
    let speaking = rest.iter().find(|message| !is_silent(message));
    let speaking = speaking.filter(|message| message.role == Role::User);
    let behind = silent.chain(speaking).filter(|message| message.role != Role::System);
    let all = parts.iter().chain(behind.flat_map(|message| &message.parts));
    all.filter_map(|part| match part {
        Part::ToolResult(result) if !result.provider_executed => Some(result),
        _ => None,
    })
}

/// Whether a part of a user's message is shown to the model.
fn says(part: &Part) -> bool {
    matches!(part, Part::File(_)) || words::text_of(part).is_some()
}

/// A call whose picture is no longer shown, as one of a tool of ours. The vendor takes no call without its picture.
pub(super) fn unseen(call_id: &str, arguments: &Map<String, Value>) -> Item {
    Item::FunctionCall {
        call_id: call_id.to_owned(),
        name: COMPUTER.to_owned(),
        arguments: Value::Object(arguments.clone()).to_string(),
    }
}
