//! The values as found, each remembering whether the file or a variable set it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde_path_to_error::Segment;

use super::{Error, Origin};

/// Between the levels of a key in a variable's name.
const SEPARATOR: &str = "__";

#[derive(Debug)]
pub(super) enum Node {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Text of an environment variable; what it means depends on what the target wants.
    Variable {
        name: String,
        text: String,
    },
}

/// The variables under `prefix` that are not empty, sorted by name so that errors do not depend on the system's order.
pub(super) fn variables(
    prefix: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<String, String>, Error> {
    environment
        .into_iter()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text)))
        .filter(|(name, text)| name.len() > prefix.len() && name.starts_with(prefix) && !text.is_empty())
        .map(|(name, text)| match text.into_string() {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(Error::NotUnicode { name }),
        })
        .collect()
}

impl Node {
    pub(super) fn empty_table() -> Self {
        Self::Table(BTreeMap::new())
    }

    pub(super) fn from_toml(table: toml::Table) -> Self {
        Self::Table(
            table
                .into_iter()
                .map(|(key, value)| (key, Self::from_value(value)))
                .collect(),
        )
    }

    pub(super) fn from_value(value: toml::Value) -> Self {
        match value {
            toml::Value::Table(table) => Self::from_toml(table),
            toml::Value::Array(values) => Self::Array(values.into_iter().map(Self::from_value).collect()),
            toml::Value::String(text) => Self::Text(text),
            toml::Value::Integer(number) => Self::Integer(number),
            toml::Value::Float(number) => Self::Float(number),
            toml::Value::Boolean(truth) => Self::Boolean(truth),
            toml::Value::Datetime(moment) => Self::Text(moment.to_string()),
        }
    }

    /// Puts a variable at its place, over what the file says there.
    pub(super) fn set(&mut self, prefix: &str, name: &str, text: String) -> Result<(), Error> {
        let key = name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
        let mut node = self;
        for segment in key.split(SEPARATOR) {
            node = node.child(name, segment)?;
        }
        match node {
            // Names sort a variable for a whole table before those for its keys, so this one cannot hide others.
            Self::Table(table) if contains_variable(table) => Err(Error::Overlap {
                name: name.to_owned(),
                other: "another variable".to_owned(),
            }),
            _ => {
                *node = Self::Variable {
                    name: name.to_owned(),
                    text,
                };
                Ok(())
            }
        }
    }

    fn child(&mut self, name: &str, segment: &str) -> Result<&mut Self, Error> {
        if let Self::Variable { name: other, .. } = self {
            return Err(Error::Overlap {
                name: name.to_owned(),
                other: other.clone(),
            });
        }
        if !matches!(self, Self::Table(_)) {
            *self = Self::empty_table();
        }
        let Self::Table(table) = self else {
            unreachable!("the node was just made a table");
        };
        Ok(table.entry(segment.to_owned()).or_insert_with(Self::empty_table))
    }

    /// The path of a wrong value as text, and who set it. An unknown key is reported at its table, with the key only
    /// in the message (in backquotes), so that one level is looked up by it.
    pub(super) fn locate(
        &self,
        path: &serde_path_to_error::Path,
        message: &str,
        file: Option<&Path>,
    ) -> (String, Origin) {
        let mut text = path.to_string();
        let mut node = Some(self);
        for segment in path {
            node = node.and_then(|node| node.step(segment));
        }
        if let Some(Self::Table(table)) = node
            && message.starts_with("unknown field")
            && let Some(key) = message.split('`').nth(1)
            && let Some(found) = table.get(key)
        {
            node = Some(found);
            text = match text.as_str() {
                "." => key.to_owned(),
                parent => format!("{parent}.{key}"),
            };
        }
        let origin = match (node, file) {
            (Some(Self::Table(_)), _) if message.starts_with("missing field") => Origin::Unset,
            (None, _) => Origin::Unset,
            (Some(node), file) => node
                .variable()
                .map(|name| Origin::Variable(name.to_owned()))
                .or_else(|| file.map(|file| Origin::File(PathBuf::from(file))))
                .unwrap_or(Origin::Unset),
        };
        (text, origin)
    }

    fn step(&self, segment: &Segment) -> Option<&Self> {
        match (self, segment) {
            (Self::Table(table), Segment::Map { key } | Segment::Enum { variant: key }) => table.get(key),
            (Self::Array(nodes), Segment::Seq { index }) => nodes.get(*index),
            // A variable that holds a whole list or table answers for what is inside it.
            (Self::Variable { .. }, _) => Some(self),
            _ => None,
        }
    }

    /// The variable that set this value, or the first one that set a part of it.
    fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable { name, .. } => Some(name),
            Self::Table(table) => table.values().find_map(Self::variable),
            Self::Array(_) | Self::Text(_) | Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => None,
        }
    }
}

fn contains_variable(table: &BTreeMap<String, Node>) -> bool {
    table.values().any(|node| node.variable().is_some())
}
