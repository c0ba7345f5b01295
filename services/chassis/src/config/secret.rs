//! A secret in a configuration: written literally or as the file that holds it, and never written out again.

use std::{fmt, io::Read, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};

/// The name under which secrets ask for their value; see `value.rs`.
pub(super) const SECRET: &str = "tandem_chassis::config::Secret";

/// Largest secret file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A secret text. `key = "literal"`, or `key = { file = "/run/secrets/key" }` (white space around the content is cut).
/// The file is read on load. Prints and serialises as `"redacted"`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The text as the type that travels on.
    pub fn into_inner(self) -> SecretString {
        self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// For comparing configurations. Not constant-time: never check a password with it.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("redacted")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(SECRET, &["file"], SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as text, or { file = \"path\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some((key, path)) = map.next_entry::<String, PathBuf>()? else {
            return Err(A::Error::missing_field("file"));
        };
        if key != "file" {
            return Err(A::Error::unknown_field(&key, &["file"]));
        }
        if let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
            return Err(A::Error::unknown_field(&key, &["file"]));
        }
        let unreadable = |error: std::io::Error| {
            A::Error::custom(format_args!("could not read secret file {}: {error}", path.display()))
        };
        let mut text = String::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
            .map_err(unreadable)?;
        Ok(Secret::from(text.trim()))
    }
}
