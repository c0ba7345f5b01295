//! What an administrator set for a model, checked by type while it becomes fields of a request.
//!
//! Owns shapes and the error that names a wrong one. Which options there are, and what they are called on the wire, is each
//! protocol's.

use serde_json::{Map, Value};

/// An option that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's option {path} must be {expected}")]
pub(crate) struct InvalidOption {
    path: String,
    expected: &'static str,
}

impl InvalidOption {
    /// * `expected`: continues the sentence "must be …".
    pub(super) fn new(path: String, expected: &'static str) -> Self {
        Self { path, expected }
    }
}

/// What a field must be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Number,
    Integer,
    Boolean,
    Text,
    Object,
    Texts,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Text => value.is_string(),
            Self::Object => value.is_object(),
            Self::Texts => value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Text => "text",
            Self::Object => "an object",
            Self::Texts => "a list of texts",
        }
    }
}

/// Option, field of the request, shape.
pub(super) type Field = (&'static str, &'static str, Shape);

/// Puts each of the `known` options that is set into `fields`, under its name on the wire.
///
/// * `path`: what stands before an option's name in the error; empty or ending with a full stop.
///
/// # Errors
/// [`InvalidOption`] names the first option of the wrong type; `fields` has those before it.
pub(super) fn copy(
    options: &Map<String, Value>,
    path: &str,
    known: &[Field],
    fields: &mut Map<String, Value>,
) -> Result<(), InvalidOption> {
    for (option, field, shape) in known {
        if let Some(value) = checked(options, path, option, *shape)? {
            fields.insert((*field).to_owned(), value.clone());
        }
    }
    Ok(())
}

/// One option, if it is set; null counts as not set.
///
/// # Errors
/// [`InvalidOption`]: it is of the wrong type.
pub(super) fn checked<'a>(
    options: &'a Map<String, Value>,
    path: &str,
    option: &str,
    shape: Shape,
) -> Result<Option<&'a Value>, InvalidOption> {
    match options.get(option).filter(|value| !value.is_null()) {
        Some(value) if shape.fits(value) => Ok(Some(value)),
        Some(_) => Err(InvalidOption {
            path: format!("{path}{option}"),
            expected: shape.expected(),
        }),
        None => Ok(None),
    }
}

/// The options that are for one vendor only, if there are any.
pub(super) fn own<'a>(options: &'a Map<String, Value>, vendor: &str) -> Option<&'a Map<String, Value>> {
    options.get("provider_options")?.get(vendor)?.as_object()
}
