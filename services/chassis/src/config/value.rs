//! The tree as something serde can read. File values are what TOML says they are; a variable is read as what the
//! target asks for.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{Error, MapAccessDeserializer, StringDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{secret::SECRET, tree::Node};

#[derive(Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a Node);

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Node::Table(table) => visitor.visit_map(Entries {
                rest: table.iter(),
                value: None,
            }),
            Node::Array(nodes) => visitor.visit_seq(Elements(nodes.iter())),
            Node::Text(text) => visitor.visit_str(text),
            Node::Integer(number) => visitor.visit_i64(*number),
            Node::Float(number) => visitor.visit_f64(*number),
            Node::Boolean(truth) => visitor.visit_bool(*truth),
            Node::Variable { text, .. } => match parsed(text) {
                Some(node) => Value(&node).deserialize_any(visitor),
                None => visitor.visit_str(text),
            },
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Node::Variable { text, .. } => visitor.visit_str(text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Node::Variable { name, text } = self.0 else {
            return self.deserialize_any(visitor);
        };
        match parsed(text) {
            Some(list @ Node::Array(_)) => Value(&list).deserialize_any(visitor),
            _ => {
                let list: Vec<_> = text
                    .split(',')
                    .map(|item| Node::Variable {
                        name: name.clone(),
                        text: item.trim().to_owned(),
                    })
                    .collect();
                visitor.visit_seq(Elements(list.iter()))
            }
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SECRET {
            // A secret is text or a table; a text that happens to look like a number must not become one.
            self.deserialize_str(visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Node::Text(text) => visit_variant(text.clone(), visitor),
            Node::Variable { text, .. } => match parsed(text) {
                Some(table @ Node::Table(_)) => Value(&table).deserialize_enum("", &[], visitor),
                _ => visit_variant(text.clone(), visitor),
            },
            Node::Table(table) => visitor.visit_enum(MapAccessDeserializer::new(Entries {
                rest: table.iter(),
                value: None,
            })),
            Node::Array(_) | Node::Integer(_) | Node::Float(_) | Node::Boolean(_) => {
                Err(Error::custom("expected one of the named values"))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct map identifier ignored_any
    }
}

fn visit_variant<'de, V: Visitor<'de>>(text: String, visitor: V) -> Result<V::Value, Error> {
    let variant: StringDeserializer<Error> = text.into_deserializer();
    visitor.visit_enum(variant)
}

/// A variable's text as a TOML value, if it is one.
fn parsed(text: &str) -> Option<Node> {
    let mut table: toml::Table = format!("value = {text}").parse().ok()?;
    // Text with line breaks could add keys of its own.
    if table.len() != 1 {
        return None;
    }
    table.remove("value").map(Node::from_value)
}

struct Entries<'a> {
    rest: std::collections::btree_map::Iter<'a, String, Node>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(Value(value)),
            None => Err(Error::custom("a value was read before its key")),
        }
    }
}

struct Elements<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.next().map(|node| seed.deserialize(Value(node))).transpose()
    }
}
