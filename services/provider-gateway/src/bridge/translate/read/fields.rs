//! One object of a body, whose fields are taken out one by one. Null counts as absent, as with the vendors.

use serde_json::{Map, Value};

use crate::bridge::translate::Refused;

/// An object and where it stands.
pub(super) struct Fields {
    /// Empty for the outermost one.
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// An object at a place.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, Refused> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            _ => Err(Refused::new(path, "It must be an object.")),
        }
    }

    /// Where a field of it stands.
    pub(super) fn path(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// Refuses one of its fields.
    pub(super) fn refused(&self, name: &str, message: impl Into<String>) -> Refused {
        Refused::new(self.path(name), message)
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// Whether it is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refused> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refused(name, "It must be a text.")),
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn required_text(&mut self, name: &str) -> Result<String, Refused> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.refused(name, "It is missing."))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Refused> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.refused(name, "It must be true or false.")),
        }
    }

    /// A whole number from 0.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, Refused> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => {
                let wrong = || self.refused(name, "It must be a whole number, not below 0.");
                value.as_u64().map(Some).ok_or_else(wrong)
            }
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<Value>, Refused> {
        match self.take(name) {
            None => Ok(None),
            Some(number @ Value::Number(_)) => Ok(Some(number)),
            Some(_) => Err(self.refused(name, "It must be a number.")),
        }
    }

    /// A list; empty where there is none.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, Refused> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.refused(name, "It must be a list.")),
        }
    }

    /// A list of objects, each with its place.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Self>, Refused> {
        let path = self.path(name);
        objects(self.list(name)?, &path)
    }

    /// An object within it.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Refused> {
        let path = self.path(name);
        self.take(name).map(|value| Self::of(value, path)).transpose()
    }

    /// What its `type` says; empty where it says nothing.
    pub(super) fn kind(&mut self) -> Result<String, Refused> {
        Ok(self.text("type")?.unwrap_or_default())
    }

    /// Leaves out what says nothing to a model.
    pub(super) fn pass_over(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Refuses a field unless it is absent or has a value that asks for nothing.
    pub(super) fn refuse_unless(
        &mut self,
        name: &str,
        asks_for_nothing: impl Fn(&Value) -> bool,
        message: &str,
    ) -> Result<(), Refused> {
        match self.take(name) {
            Some(value) if !asks_for_nothing(&value) => Err(self.refused(name, message)),
            _ => Ok(()),
        }
    }

    /// Everything that is known has been taken out.
    ///
    /// # Errors
    /// Something is left that is not null.
    pub(super) fn end(self) -> Result<(), Refused> {
        let left = self.map.iter().find(|(_, value)| !value.is_null());
        match left {
            None => Ok(()),
            Some((name, _)) => Err(self.refused(
                name,
                "Tandem does not know this field and cannot carry it to the provider of this model. Leave it out.",
            )),
        }
    }
}

/// The objects of a list at a place.
pub(super) fn objects(values: Vec<Value>, path: &str) -> Result<Vec<Fields>, Refused> {
    let places = values.into_iter().enumerate();
    places
        .map(|(place, value)| Fields::of(value, format!("{path}[{place}]")))
        .collect()
}

/// Whether a list or object is empty, a flag false, a number 0.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
