//! A call's arguments, taken field by field. Every error names the field and says what it must be.

use std::time::Duration;

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
        if text.len() > MAX_ARGUMENTS_BYTES {
            return Err(Stop::Failed(format!(
                "the arguments are larger than {MAX_ARGUMENTS_BYTES} bytes"
            )));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_str(text) {
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
