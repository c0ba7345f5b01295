//! A call's arguments, taken field by field. Every error names the field and says what it must be.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Stop;
use super::duration;

/// Longest arguments, in bytes of JSON.
const MAX_ARGUMENTS_BYTES: usize = 1024 * 1024;

/// A JSON object.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Nothing at all counts as an empty object.
    pub(super) fn parse(text: &str) -> Result<Self, Stop> {
        Self::parse_by(text, |text| serde_json::from_str(text))
    }

    /// The same for tools whose fields are known. Fields given twice, or in two spellings, are refused: one of them would silently not
    /// count.
    pub(super) fn parse_unambiguous(text: &str) -> Result<Self, Stop> {
        Self::parse_by(text, |text| {
            serde_json::from_str::<Unambiguous>(text).map(|found| found.0)
        })
    }

    fn parse_by(text: &str, read: impl Fn(&str) -> serde_json::Result<Value>) -> Result<Self, Stop> {
        if text.len() > MAX_ARGUMENTS_BYTES {
            return Err(Stop::Failed(format!(
                "the arguments are larger than {MAX_ARGUMENTS_BYTES} bytes"
            )));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        match read(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Stop::Failed("the arguments must be a JSON object".to_owned())),
            Err(error) => Err(Stop::Failed(format!("the arguments are not valid JSON: {error}"))),
        }
    }

    pub(super) fn from_object(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub(super) fn into_object(self) -> Map<String, Value> {
        self.0
    }

    /// A field; null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Text that must be there and not be blank.
    pub(super) fn text(&self, name: &str) -> Result<&str, Stop> {
        match self.optional_text(name)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) | None => Err(Stop::Failed(format!("{name} is required"))),
        }
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Stop> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(must_be(name, "text")),
        }
    }

    pub(super) fn optional_integer(&self, name: &str) -> Result<Option<i64>, Stop> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| must_be(name, "an integer")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Stop> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| must_be(name, "true or false")),
        }
    }

    pub(super) fn optional_duration(&self, name: &str) -> Result<Option<Duration>, Stop> {
        match self.optional_text(name)? {
            None => Ok(None),
            Some(text) => duration::parse(text)
                .map(Some)
                .ok_or_else(|| must_be(name, "a duration such as \"30s\" or \"5m\"")),
        }
    }
}

/// A value none of whose objects names a field twice, whatever its case.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor).map(Self)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            found.push(item);
        }
        Ok(found.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if !seen.insert(name.to_lowercase()) {
                let shown: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format!("the field {shown:?} is given twice")));
            }
            let Unambiguous(value) = fields.next_value()?;
            found.insert(name, value);
        }
        Ok(found.into())
    }
}

/// A list of objects, each with its place. Some models send the list as JSON inside text.
pub(super) fn list(arguments: &Arguments, name: &str, at: &str) -> Result<Vec<(String, Arguments)>, Stop> {
    let wrong = || within(at, must_be(name, "a list of objects with at least one entry"));
    let items = match arguments.get(name) {
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Unambiguous(Value::Array(items))) => items,
            Ok(_) | Err(_) => return Err(wrong()),
        },
        Some(_) | None => return Err(wrong()),
    };
    if items.is_empty() {
        return Err(wrong());
    }
    let prefix = if at.is_empty() { String::new() } else { format!("{at}.") };
    let entry = |(index, item): (usize, Value)| match item {
        Value::Object(fields) => Ok((format!("{prefix}{name}[{index}]"), Arguments::from_object(fields))),
        _ => Err(wrong()),
    };
    items.into_iter().enumerate().map(entry).collect()
}

/// The same problem, told with the place it is at.
pub(super) fn within(at: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Failed(message) if !at.is_empty() => Stop::Failed(format!("{at}.{message}")),
        other => other,
    }
}

pub(super) fn must_be(name: &str, what: &str) -> Stop {
    Stop::Failed(format!("{name} must be {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Arguments {
        Arguments::parse(text).unwrap()
    }

    fn failed(message: &str) -> Stop {
        Stop::Failed(message.to_owned())
    }

    #[test]
    fn errors_name_the_field() {
        let sent = arguments(r#"{"path":1,"offset":"x","flag":"yes","blank":" ","wait":"soon"}"#);
        assert_eq!(sent.text("path").unwrap_err(), failed("path must be text"));
        assert_eq!(sent.text("blank").unwrap_err(), failed("blank is required"));
        assert_eq!(sent.text("nothing").unwrap_err(), failed("nothing is required"));
        assert_eq!(
            sent.optional_integer("offset").unwrap_err(),
            failed("offset must be an integer")
        );
        assert_eq!(sent.flag("flag").unwrap_err(), failed("flag must be true or false"));
        assert!(sent.optional_duration("wait").is_err());
    }

    #[test]
    fn null_counts_as_absent_and_nothing_as_an_empty_object() {
        assert_eq!(
            arguments(r#"{"offset":null}"#).optional_integer("offset").unwrap(),
            None
        );
        assert!(Arguments::parse("").is_ok());
    }

    #[test]
    fn fields_given_twice_are_refused_at_any_depth() {
        for text in [
            r#"{"path":"a","path":"b"}"#,
            r#"{"path":"a","Path":"b"}"#,
            r#"{"files":[{"path":"a","PATH":"a"}]}"#,
        ] {
            let Err(Stop::Failed(message)) = Arguments::parse_unambiguous(text) else {
                panic!("{text} was accepted");
            };
            assert!(message.contains("is given twice"), "{message}");
            assert!(Arguments::parse(text).is_ok(), "{text}");
        }
        let text = r#"{"a":[1,-2,0.5,"x",null,true,{"b":{}}],"c":18446744073709551615}"#;
        assert_eq!(
            Arguments::parse_unambiguous(text).unwrap().0,
            Arguments::parse(text).unwrap().0
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(
            Arguments::parse("[]").unwrap_err(),
            failed("the arguments must be a JSON object")
        );
        assert!(
            matches!(Arguments::parse("{\"a\"").unwrap_err(), Stop::Failed(text) if text.contains("not valid JSON"))
        );
    }
}
