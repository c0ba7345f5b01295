//! A body in a client's dialect, understood.
//!
//! The outermost object is read strictly: a field nobody here knows might change the answer, so it is refused by name, as the vendors
//! do. Within messages fields that are not known are passed over: clients send back what they were given, with everything around it.

mod chat;
mod conversation;
mod fields;
mod media;
mod messages;
mod output;
mod responses;
mod tools;

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tandem_protocols::call::ToolChoice;

pub(super) use self::media::elsewhere;

use self::fields::Fields;
use super::{Asked, Refused};
use crate::bridge::dialect::Dialect;

/// Sequences of one request that end an answer.
const MAX_STOP_SEQUENCES: usize = 64;

/// Understands a body. Linear in it.
///
/// * `body`: at most what the bridge reads; JSON nested no deeper than 128.
///
/// # Errors
/// [`Refused`]: it is not JSON of that dialect, or asks for what cannot be carried to another vendor.
pub fn read(dialect: Dialect, body: &[u8]) -> Result<Asked, Refused> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refused::new("", format!("The body is not JSON that can be read: {error}.")))?;
    let fields = Fields::of(value, "")?;
    match dialect {
        Dialect::ChatCompletions => chat::read(fields),
        Dialect::Responses => responses::read(fields),
        Dialect::Messages => messages::read(fields),
    }
}

/// What every dialect calls the same, taken out of the outermost object.
fn begin(fields: &mut Fields) -> Result<Asked, Refused> {
    let model = fields.required_text("model")?;
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let mut overrides = Map::new();
    for name in ["temperature", "top_p"] {
        set_number(fields, name, &mut overrides)?;
    }
    Ok(Asked {
        model,
        messages: Vec::new(),
        tools: Vec::new(),
        free_form: BTreeSet::new(),
        tool_choice: ToolChoice::Auto,
        max_output_tokens: None,
        overrides,
        effort: None,
        thinking: None,
        verbosity: None,
        output: None,
        is_serial: false,
        wants_search: None,
        is_stream,
        wants_usage: true,
    })
}

fn set_number(fields: &mut Fields, name: &str, overrides: &mut Map<String, Value>) -> Result<(), Refused> {
    if let Some(number) = fields.number(name)? {
        overrides.insert(name.to_owned(), number);
    }
    Ok(())
}

/// Sequences that end an answer: one text or several. Empty ones end nothing.
fn set_stop(fields: &mut Fields, name: &str, overrides: &mut Map<String, Value>) -> Result<(), Refused> {
    let wrong = |fields: &Fields| fields.refused(name, "It must be a text or a list of texts.");
    let texts = match fields.take(name) {
        None => return Ok(()),
        Some(Value::String(text)) => vec![Value::String(text)],
        Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => texts,
        Some(_) => return Err(wrong(fields)),
    };
    let texts: Vec<Value> = texts.into_iter().filter(|text| text != "").collect();
    if texts.len() > MAX_STOP_SEQUENCES {
        let text = format!("At most {MAX_STOP_SEQUENCES} sequences are possible.");
        return Err(fields.refused(name, text));
    }
    if !texts.is_empty() {
        overrides.insert("stop_sequences".to_owned(), Value::Array(texts));
    }
    Ok(())
}

/// The longest answer wanted.
fn tokens(fields: &mut Fields, name: &str) -> Result<Option<u32>, Refused> {
    let Some(count) = fields.count(name)? else {
        return Ok(None);
    };
    let count = u32::try_from(count).ok().filter(|count| *count > 0);
    let wrong = || fields.refused(name, "It must be a whole number from 1 to 4294967295.");
    count.map(Some).ok_or_else(wrong)
}

/// One of three words for how much an answer says.
fn verbosity(fields: &mut Fields, name: &str) -> Result<Option<&'static str>, Refused> {
    let Some(word) = fields.text(name)? else {
        return Ok(None);
    };
    let known = ["low", "medium", "high"].into_iter().find(|known| *known == word);
    let wrong = || fields.refused(name, "It must be low, medium or high.");
    known.map(Some).ok_or_else(wrong)
}

/// The effort under that name.
fn effort(fields: &mut Fields, name: &str) -> Result<Option<super::Effort>, Refused> {
    let Some(word) = fields.text(name)? else {
        return Ok(None);
    };
    let wrong = || fields.refused(name, "It must be none, minimal, low, medium, high, xhigh or max.");
    super::Effort::find(&word).map(Some).ok_or_else(wrong)
}
