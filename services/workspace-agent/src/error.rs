//! What can go wrong: [`Error`] ends the agent, [`Failure`] is an answer to one operation, in words for the model.

use std::path::PathBuf;

use rustix::io::Errno;
use tandem_proto::workspace::v1::{OperationError, OperationErrorKind};

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard input could not be read.
    #[error("standard input cannot be read")]
    Input(#[source] std::io::Error),
    /// The first line is no setup.
    #[error("the setup is not valid (line {line}, column {column})")]
    Setup {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// The home directory cannot be used.
    #[error("home directory {path} cannot be used")]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Privileges or limits could not be given up.
    #[error("the agent could not confine itself: {what}")]
    Confine {
        /// The step that failed.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The link's address cannot be used.
    #[error("the link's address cannot be used")]
    Link(#[from] tandem_chassis::client::Error),
    /// The link does not know this workspace or its token.
    #[error("the link refused this agent")]
    Refused,
    /// No thread could be started.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
    /// The agent's thread died.
    #[error("the agent's thread panicked")]
    Panicked,
}

/// Why an operation did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: OperationErrorKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: OperationErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Invalid, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Limit, message)
    }

    pub(crate) fn outside(path: &str) -> Self {
        let message = format!("{path}: the path leads outside the workspace. Use a path below the home directory.");
        Self::new(OperationErrorKind::OutsideWorkspace, message)
    }

    /// What the system said about `path`.
    pub(crate) fn system(path: &str, errno: Errno) -> Self {
        let (kind, text) = match errno {
            Errno::NOENT => (OperationErrorKind::NotFound, "file does not exist"),
            Errno::ACCESS | Errno::PERM => (OperationErrorKind::Permission, "permission denied"),
            Errno::ROFS => (OperationErrorKind::Permission, "the file system is read-only"),
            Errno::XDEV => return Self::outside(path),
            Errno::LOOP => (OperationErrorKind::Invalid, "too many symbolic links"),
            Errno::NOTDIR => (OperationErrorKind::Invalid, "a part of the path is not a directory"),
            Errno::ISDIR => (OperationErrorKind::Invalid, "is a directory, not a file"),
            Errno::NAMETOOLONG => (OperationErrorKind::Invalid, "the path is too long"),
            Errno::NXIO => (OperationErrorKind::Invalid, "not a regular file"),
            Errno::NOSPC | Errno::DQUOT => (OperationErrorKind::NoSpace, "no space left"),
            Errno::FBIG => (OperationErrorKind::TooLarge, "the file would be too large"),
            Errno::MFILE | Errno::NFILE => (OperationErrorKind::Limit, "too many open files"),
            other => {
                let system = std::io::Error::from(other);
                return Self::new(OperationErrorKind::Io, format!("{path}: {system}"));
            }
        };
        Self::new(kind, format!("{path}: {text}"))
    }

    /// Like [`Failure::system`] for errors of the standard library.
    pub(crate) fn io(path: &str, error: &std::io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(errno) => Self::system(path, errno),
            None => Self::new(OperationErrorKind::Io, format!("{path}: {error}")),
        }
    }
}

impl From<Failure> for OperationError {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            message: failure.message,
        }
    }
}
