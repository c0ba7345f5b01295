//! Why a command is not harmless, in words for people.

use std::fmt;

/// Longest name of a program that is shown, in bytes.
const MAX_NAME_BYTES: usize = 40;

/// Why a command is unknown or forbidden. Shown as a sentence without its full stop, at most 120 bytes of ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is what its sentence says")]
pub enum Reason {
    TooLong,
    TooDeep,
    Empty,
    Characters,
    Unfinished,
    Syntax,
    Substitution,
    Expansion,
    Quoting,
    Continuation,
    HereDocument,
    Function,
    Control,
    Braces,
    Assignment,
    Output,
    Input,
    Pattern,
    HiddenName,
    Path,
    Device,
    /// A program that is not known.
    Program(String),
    /// An option of a known program.
    Option(String),
    /// The arguments of a known program.
    Arguments(String),
    GitConfiguration,
    /// A program that the directory's files can exchange.
    Exchanged(String),

    Removes,
    Formats,
    WritesDisk,
    ForkBomb,
    EndsMachine,
    ChangesRights,
    RunsDownload,
    EndsEverything,
}

impl Reason {
    /// The program is not known.
    pub(super) fn program(name: &str) -> Self {
        Self::Program(shown(name))
    }

    /// The program is known, this option of it is not.
    pub(super) fn option(name: &str) -> Self {
        Self::Option(shown(name))
    }

    /// The program is known, what it is given is not.
    pub(super) fn arguments(name: &str) -> Self {
        Self::Arguments(shown(name))
    }

    /// The program may be another one here.
    pub(super) fn exchanged(name: &str) -> Self {
        Self::Exchanged(shown(name))
    }
}

/// A name that people can be shown.
fn shown(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-[:".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_plain) {
        name.to_owned()
    } else {
        "a program with an unusual name".to_owned()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLong => "It is too long to be looked at",
            Self::TooDeep => "It has too many commands inside of commands to be looked at",
            Self::Empty => "It has no command that could be looked at",
            Self::Characters => "It has characters that people cannot see, or that look like others",
            Self::Unfinished => "It has a quote or a bracket that does not end",
            Self::Syntax => "It is not written as shells understand it",
            Self::Substitution => "It makes its words from the output of other commands",
            Self::Expansion => "It depends on variables",
            Self::Quoting => "It has quotes that shells read in different ways",
            Self::Continuation => "It has a word that goes on in the next line",
            Self::HereDocument => "It hands a text to a command",
            Self::Function => "It defines a function",
            Self::Control => "It has conditions, loops or groups",
            Self::Braces => "It has braces that shells expand in different ways",
            Self::Assignment => "It sets variables",
            Self::Output => "It writes its output to a place that may be a file",
            Self::Input => "It reads from a place that may be a device or a connection",
            Self::Pattern => "It has a pattern, and names of files that match it may be taken for options",
            Self::HiddenName => "It writes the name of a program in an unusual way",
            Self::Path => "It runs a program by its path",
            Self::Device => "It uses a device",
            Self::Program(name) => return write!(f, "It runs {name}, which is not known to be harmless"),
            Self::Option(name) => return write!(f, "It runs {name} with an option that is not known to be harmless"),
            Self::Arguments(name) => {
                return write!(f, "It runs {name} with arguments that are not known to be harmless");
            }
            Self::GitConfiguration => "It runs git so that the repository's configuration may start any program",
            Self::Exchanged(name) => {
                return write!(
                    f,
                    "It runs {name}, which files of the directory may exchange for any program"
                );
            }
            Self::Removes => "It deletes the whole disk, the home directory or what is above the directory",
            Self::Formats => "It formats a disk",
            Self::WritesDisk => "It writes over a disk",
            Self::ForkBomb => "It starts itself again and again",
            Self::EndsMachine => "It ends or restarts the machine",
            Self::ChangesRights => "It changes the rights of all files",
            Self::RunsDownload => "It pipes a download into a shell or an interpreter",
            Self::EndsEverything => "It ends all processes",
        };
        f.write_str(text)
    }
}
