//! Configuration: a TOML file, then the environment, into one struct that is checked before anything opens.
//!
//! Defaults live in the structs (`#[serde(default)]`), unknown keys are refused by them (`deny_unknown_fields`). This
//! module owns where values come from, how they are spelled, and errors that say which value is wrong and who set it.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

pub mod byte_size;
pub mod duration;
mod secret;
mod tree;
mod value;

pub use secret::Secret;

/// Exit code of a process whose configuration cannot be used.
pub const EX_CONFIG: u8 = 64;

/// Largest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why there is no configuration. The text names the key and who set it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read configuration file {file}")]
    Read {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration file {file} is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge { file: PathBuf },
    #[error("configuration file {file} is no TOML: {message}")]
    Syntax { file: PathBuf, message: String },
    #[error("environment variable {name} is not UTF-8")]
    NotUnicode { name: String },
    #[error("environment variable {name} sets a key inside {other}, which is set as a whole")]
    Overlap { name: String, other: String },
    #[error("configuration key `{path}` ({origin}): {message}")]
    Invalid {
        /// Dotted path of the key; `.` is the whole configuration.
        path: String,
        origin: Origin,
        message: String,
    },
}

/// Who set a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    File(PathBuf),
    Variable(String),
    /// Nobody did, and there is no default.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "from file {}", path.display()),
            Self::Variable(name) => write!(f, "from environment variable {name}"),
            Self::Unset => f.write_str("not set"),
        }
    }
}

/// Reads `file`, if given, then every environment variable that starts with `env_prefix`.
///
/// With prefix `TANDEM_STORAGE__`, the variable `TANDEM_STORAGE__POOL__MAX_CONNECTIONS` sets `pool.max_connections`.
/// A variable's text is taken as it is where the target is text, and as a TOML value where it is a number, a boolean,
/// a list (also `a,b,c`) or a table. An empty variable counts as not set.
///
/// # Errors
/// Any [`Error`]; nothing has been opened then, and the process should exit with [`EX_CONFIG`].
pub fn load<T: DeserializeOwned>(file: Option<&Path>, env_prefix: &str) -> Result<T, Error> {
    load_from(file, env_prefix, std::env::vars_os())
}

/// Like [`load`], with the environment given.
///
/// # Errors
/// As [`load`].
pub fn load_from<T: DeserializeOwned>(
    file: Option<&Path>,
    env_prefix: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<T, Error> {
    let mut root = match file {
        Some(file) => tree::Node::from_toml(parse(file)?),
        None => tree::Node::empty_table(),
    };
    for (name, text) in tree::variables(env_prefix, environment)? {
        root.set(env_prefix, &name, text)?;
    }
    serde_path_to_error::deserialize(value::Value(&root)).map_err(|error| {
        let message = error.inner().to_string();
        let (path, origin) = root.locate(error.path(), &message, file);
        Error::Invalid { path, origin, message }
    })
}

fn parse(file: &Path) -> Result<toml::Table, Error> {
    let read_error = |source| Error::Read {
        file: file.to_owned(),
        source,
    };
    if std::fs::metadata(file).map_err(read_error)?.len() > MAX_FILE_BYTES {
        return Err(Error::TooLarge { file: file.to_owned() });
    }
    let text = std::fs::read_to_string(file).map_err(read_error)?;
    text.parse().map_err(|error: toml::de::Error| Error::Syntax {
        file: file.to_owned(),
        message: describe(&text, &error),
    })
}

/// The parser's message with the line, but without the line's text, which may hold a secret.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
