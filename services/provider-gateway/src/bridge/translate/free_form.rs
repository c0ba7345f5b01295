//! Tools whose input is a text of a free form, told as functions with one text, and their text taken out of a call's arguments again.
//!
//! What such a text must look like is told in words: no other vendor holds a model to a grammar. A text that does not follow it is the
//! tool's to refuse, and the model reads why in the tool's result.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// The one field of the function.
const INPUT: &str = "input";

/// What stands before the text, with space wherever it is not within the field's name.
const OPENING: &[u8] = b"{\"input\":\"";

/// Where the field's name is in it.
const NAME: Range<usize> = 2..8;

/// The sign and the digits of an escaped character.
const UNICODE_BYTES: usize = 5;

/// What a text must look like.
pub(super) struct Grammar {
    /// For people and models: what the definition is written in.
    pub(super) syntax: &'static str,
    /// Not empty.
    pub(super) definition: String,
}

/// What the function is good for and how it is called.
///
/// * `own`: what the tool says of itself; may be empty.
pub(super) fn description(own: &str, grammar: Option<&Grammar>) -> String {
    let mut text = String::from(own.trim_end());
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    // Some tools say of themselves that they take no JSON: that is about the text, not about the call.
    text.push_str(
        "The whole input is one text: give it as the field `input`, exactly as the tool is to read it, without quotes, fences or JSON of its own.",
    );
    if let Some(Grammar { syntax, definition }) = grammar {
        text.push_str(" It must match this ");
        text.push_str(syntax);
        text.push_str(":\n\n");
        text.push_str(definition);
    }
    text
}

/// The schema of the function.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { INPUT: { "type": "string", "description": "The whole input of the tool." } },
        "required": [INPUT],
        "additionalProperties": false,
    })
}

/// The arguments of a call with that text.
pub(super) fn arguments(input: String) -> Map<String, Value> {
    Map::from_iter([(INPUT.to_owned(), Value::String(input))])
}

/// The text in the arguments of a call that is complete.
pub(super) fn input(arguments: &str) -> String {
    let mut input = Input::default();
    let mut text = input.push(arguments);
    text.push_str(&input.finish());
    text
}

/// Takes the text out of arguments as they come, cut anywhere. Arguments that hold no such text are given as they stand. Of JSON that is
/// broken within the text as much is given as can be read, and nothing is left out in its middle: half a command may be another one.
#[derive(Debug, Default)]
pub(super) struct Input {
    place: Place,
    /// How much of [`OPENING`] has come.
    opened: usize,
    /// What is not decided: all there is before the text, an escape without its end, or what stands behind the text.
    held: String,
    /// The first half of a character that is escaped in two.
    half: Option<u16>,
}

/// Where in the arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the text.
    #[default]
    Before,
    /// Within it.
    Within,
    /// Within it, behind a backslash.
    Escape,
    /// Behind a quote that ends it, unless the arguments are no JSON then.
    Behind,
    /// In arguments of another shape.
    Elsewhere,
}

impl Input {
    /// More arguments; what they add to the text, often nothing.
    pub(super) fn push(&mut self, arguments: &str) -> String {
        let mut text = String::new();
        let mut rest = arguments;
        loop {
            if self.place == Place::Within && self.half.is_none() {
                let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
                text.push_str(&rest[..plain]);
                rest = &rest[plain..];
            }
            let mut chars = rest.chars();
            let Some(next) = chars.next() else { return text };
            rest = chars.as_str();
            self.take(next, &mut text);
        }
    }

    /// The arguments are complete, or broke off; what is left of the text. Nothing the second time.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Before | Place::Elsewhere => elsewhere(held),
            Place::Behind if !is_end(&held) => format!("\"{held}"),
            // Half a character is none.
            Place::Behind | Place::Within | Place::Escape => String::new(),
        }
    }

    fn take(&mut self, next: char, text: &mut String) {
        match (self.place, next) {
            (Place::Before, _) => self.open(next),
            (Place::Within, '\\') => self.place = Place::Escape,
            (Place::Within, _) => {
                self.lose_half(text);
                if next == '"' {
                    self.place = Place::Behind;
                } else {
                    text.push(next);
                }
            }
            (Place::Escape, _) if self.held.is_empty() => self.escape(next, text),
            (Place::Escape, _) => self.digit(next, text),
            (Place::Behind | Place::Elsewhere, _) => self.held.push(next),
        }
    }

    fn open(&mut self, next: char) {
        self.held.push(next);
        let is_space = matches!(next, ' ' | '\t' | '\n' | '\r') && !NAME.contains(&self.opened);
        if OPENING.get(self.opened).copied().map(char::from) == Some(next) {
            self.opened += 1;
            if self.opened == OPENING.len() {
                self.held.clear();
                self.place = Place::Within;
            }
        } else if !is_space {
            self.place = Place::Elsewhere;
        }
    }

    /// The first character behind a backslash.
    fn escape(&mut self, next: char, text: &mut String) {
        if next == 'u' {
            self.held.push(next);
            return;
        }
        self.lose_half(text);
        self.place = Place::Within;
        match next {
            '"' | '\\' | '/' => text.push(next),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            // No escape: a backslash somebody forgot to escape.
            _ => text.extend(['\\', next]),
        }
    }

    /// A further character of a number.
    fn digit(&mut self, next: char, text: &mut String) {
        if !next.is_ascii_hexdigit() {
            self.lose_half(text);
            self.place = Place::Within;
            text.push('\\');
            text.push_str(&std::mem::take(&mut self.held));
            self.take(next, text);
            return;
        }
        self.held.push(next);
        if self.held.len() == UNICODE_BYTES {
            let unit = u16::from_str_radix(&self.held[1..], 16).unwrap_or_default();
            self.held.clear();
            self.place = Place::Within;
            self.unit(unit, text);
        }
    }

    /// A character, or half of one.
    fn unit(&mut self, unit: u16, text: &mut String) {
        let is_second = (0xdc00..0xe000).contains(&unit);
        if let Some(half) = self.half.take_if(|_| is_second) {
            text.extend(char::decode_utf16([half, unit]).map(|both| both.unwrap_or(char::REPLACEMENT_CHARACTER)));
            return;
        }
        self.lose_half(text);
        if (0xd800..0xdc00).contains(&unit) {
            self.half = Some(unit);
        } else {
            text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }

    /// The other half of a character has not come.
    fn lose_half(&mut self, text: &mut String) {
        if self.half.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Whether what stands behind the text makes the arguments whole. They may also have broken off there.
fn is_end(held: &str) -> bool {
    held.trim().is_empty() || serde_json::from_str::<IgnoredAny>(&format!("{{\"{INPUT}\":\"\"{held}")).is_ok()
}

/// The text in arguments that do not begin with it: theirs if they have one, nothing if they are empty, else all of them.
fn elsewhere(arguments: String) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&arguments) else {
        return arguments;
    };
    match fields.remove(INPUT) {
        Some(Value::String(text)) => text,
        None if fields.is_empty() => String::new(),
        Some(_) | None => arguments,
    }
}
