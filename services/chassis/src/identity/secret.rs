//! The secret all services of one installation share.

use std::{
    fmt,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use zeroize::Zeroizing;

use super::Error;

/// At least 32 random bytes known to every service and nobody else. Never printed; wiped from memory when the last
/// copy goes.
#[derive(Clone)]
pub struct ServiceSecret(Arc<Zeroizing<Vec<u8>>>);

/// HMAC-SHA-256 gains nothing from longer keys and loses strength with shorter ones (RFC 7518 §3.2).
const MIN_BYTES: usize = 32;

impl ServiceSecret {
    /// A fresh random secret.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; MIN_BYTES]);
        getrandom::fill(&mut bytes).map_err(|_| Error::Entropy)?;
        Ok(Self(Arc::new(bytes)))
    }

    /// Reads a secret from hex text; surrounding white space is ignored.
    ///
    /// # Errors
    /// [`Error::SecretNotHex`], or [`Error::SecretTooShort`] below 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let bytes = hex::decode(text.trim()).map_err(|_| Error::SecretNotHex)?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < MIN_BYTES {
            return Err(Error::SecretTooShort { min: MIN_BYTES });
        }
        Ok(Self(Arc::new(bytes)))
    }

    /// Reads the secret file (hex text), or creates it with a fresh secret and mode 0600; missing directories above it
    /// are made with mode 0700. Two processes that create at once end with the same secret.
    ///
    /// # Errors
    /// A file others can read is refused rather than trusted ([`Error::SecretExposed`]).
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        match Self::load(path) {
            Err(Error::SecretRead { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        Self::create(path)?;
        Self::load(path)
    }

    /// The bytes, for signing with them. Do not keep or print them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn load(path: &Path) -> Result<Self, Error> {
        let read_error = |source| Error::SecretRead {
            path: path.to_owned(),
            source,
        };
        let mode = std::fs::metadata(path).map_err(read_error)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::SecretExposed { path: path.to_owned() });
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(read_error)?);
        Self::from_hex(&text)
    }

    /// Writes a fresh secret beside `path` and links it into place, so that a reader never sees half a file and the
    /// first of several writers wins.
    fn create(path: &Path) -> Result<(), Error> {
        let write_error = |source| Error::SecretWrite {
            path: path.to_owned(),
            source,
        };
        let secret = Self::generate()?;
        if let Some(parent) = path.parent() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(write_error)?;
        }
        let temporary = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(write_error)?;
        let text = Zeroizing::new(hex::encode(secret.bytes()));
        let linked = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| match std::fs::hard_link(&temporary, path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            });
        // The link is the file now; a leftover name would only be untidy.
        let removed = std::fs::remove_file(&temporary);
        linked.and(removed).map_err(write_error)
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(redacted)")
    }
}
