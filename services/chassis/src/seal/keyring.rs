//! The key-encryption keys this process has: one that seals, and earlier ones that still open.
//!
//! Owns where they come from. Losing the file makes everything sealed with it unreadable, so nothing here ever replaces one.

use std::{
    fmt,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config::Secret;

/// Length of a key.
pub const KEY_BYTES: usize = 32;

/// Largest key file read.
const MAX_FILE_BYTES: u64 = 1024;

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not 32 bytes in hex or base64.
    #[error("the key-encryption key from {origin} must be 32 bytes as hex or base64")]
    Malformed {
        /// Where it came from.
        origin: String,
    },
    /// The file cannot be read.
    #[error("could not read key-encryption key {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be created.
    #[error("could not create key-encryption key {path}")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("key-encryption key {path} is readable by others; its mode must be 0600")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
}

/// One key-encryption key. Cannot be printed; wiped from memory when dropped.
pub struct Kek {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    version: u32,
}

impl Kek {
    /// A key from its bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let digest = Sha256::new()
            .chain_update(b"tandem key-encryption key version\0")
            .chain_update(bytes.as_slice())
            .finalize();
        let version = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Self { bytes, version }
    }

    /// Which key this is: a fingerprint, so that a wrong key is told from a damaged envelope.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn parse(text: &str, origin: impl fmt::Display) -> Result<Self, Error> {
        let text = text.trim();
        let decoded = Zeroizing::new(match text.len() {
            HEX_CHARS => decode_hex(text).unwrap_or_default(),
            _ => STANDARD.decode(text).unwrap_or_default(),
        });
        let bytes: [u8; KEY_BYTES] = decoded.as_slice().try_into().map_err(|_| Error::Malformed {
            origin: origin.to_string(),
        })?;
        Ok(Self::new(bytes))
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({:08x}, redacted)", self.version)
    }
}

/// Length of a key as hex; base64 of 32 bytes is 44 characters.
const HEX_CHARS: usize = 2 * KEY_BYTES;

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    digits?
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

/// Where a service's configuration says its keys are.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The sealing key: 32 bytes as hex or base64. Wins over `kek_file`.
    pub kek: Option<&'a Secret>,
    /// File with that key, mode 0600.
    pub kek_file: Option<&'a Path>,
    /// Creates `kek_file` with a fresh key if it is missing.
    pub create_kek_file: bool,
    /// Earlier sealing keys, which still open what they sealed.
    pub previous_keks: &'a [Secret],
}

/// All key-encryption keys.
#[derive(Debug, Default)]
pub struct Keyring {
    current: Option<Kek>,
    previous: Vec<Kek>,
}

impl Keyring {
    /// A ring whose `current` seals and whose `previous` only open.
    pub fn new(current: Option<Kek>, previous: Vec<Kek>) -> Self {
        Self { current, previous }
    }

    /// The ring a configuration asks for. Without any key it is empty: nothing can be sealed then.
    ///
    /// # Errors
    /// [`Error`]; a key that cannot be used is better noticed at start than at the first secret.
    pub fn load(sources: Sources<'_>) -> Result<Self, Error> {
        let current = match (sources.kek, sources.kek_file) {
            (Some(text), _) => Some(Kek::parse(text.expose(), "the configuration")?),
            (None, Some(path)) if sources.create_kek_file => Some(load_or_create(path)?),
            (None, Some(path)) => Some(load(path)?),
            (None, None) => None,
        };
        let previous = sources
            .previous_keks
            .iter()
            .map(|text| Kek::parse(text.expose(), "previous_keks"))
            .collect::<Result<_, _>>()?;
        Ok(Self::new(current, previous))
    }

    /// The key that seals.
    pub fn current(&self) -> Option<&Kek> {
        self.current.as_ref()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.previous.is_empty()
    }

    pub(super) fn find(&self, version: u32) -> Option<&Kek> {
        self.current
            .iter()
            .chain(&self.previous)
            .find(|kek| kek.version == version)
    }
}

/// Reads the key of a file, or creates the file with a fresh key and mode 0600; missing directories above it get mode 0700.
/// Of several processes that create it at once, all end with the same key.
///
/// # Errors
/// [`Error`]; an existing file is never replaced.
pub fn load_or_create(path: &Path) -> Result<Kek, Error> {
    match load(path) {
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    create(path).map_err(|source| Error::Create {
        path: path.to_owned(),
        source,
    })?;
    load(path)
}

fn load(path: &Path) -> Result<Kek, Error> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(read_error)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned() });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(Error::Malformed {
            origin: path.display().to_string(),
        });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(read_error)?);
    Kek::parse(&text, path.display())
}

/// Writes beside the file and links into place, so that nobody reads half a key and the first of several writers wins.
fn create(path: &Path) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| io::Error::other("no source of randomness"))?;
    let text = Zeroizing::new(format!("{}\n", STANDARD.encode(bytes.as_slice())));
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", uuid::Uuid::new_v4()));
    let draft = PathBuf::from(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_are_the_same_key() {
        let bytes = [0xa7; KEY_BYTES];
        let expected = Kek::new(bytes).version();
        let hex = "a7".repeat(32);
        let base64 = STANDARD.encode(bytes);
        for text in [hex.as_str(), &hex.to_uppercase(), &base64, &format!(" {base64}\n")] {
            assert_eq!(Kek::parse(text, "test").unwrap().version(), expected, "{text}");
        }
        for text in ["", "a7", &"zz".repeat(32), &"é".repeat(32), "not a key at all"] {
            assert!(Kek::parse(text, "test").is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_is_created_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets/kek");
        let first = load_or_create(&path).unwrap();
        let second = load_or_create(&path).unwrap();
        assert_eq!(first.version(), second.version());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn a_file_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_create(&path), Err(Error::Exposed { .. })));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        load_or_create(&path).unwrap();
        std::fs::write(&path, "half a k").unwrap();
        assert!(matches!(load_or_create(&path), Err(Error::Malformed { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a k");
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let ring = Keyring::new(Some(Kek::new([0xa7; KEY_BYTES])), Vec::new());
        let text = format!("{ring:?}");
        assert!(!text.contains("a7a7") && !text.contains("167"), "{text}");
    }
}
