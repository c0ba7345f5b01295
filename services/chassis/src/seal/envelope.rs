//! Sealed texts: AES-256-GCM under a data key of its own each, which is itself sealed under the key-encryption key.
//!
//! Layout of an envelope: format (1 byte), version of the key-encryption key (4), nonce (12), sealed data key (48), nonce (12),
//! sealed text (its length + 16). Both seals are bound to the place the text belongs to, so a ciphertext moved elsewhere does not open.
//! Nonces are random; each data key seals one text, and each key-encryption key far fewer than 2^32 data keys (NIST SP 800-38D, 8.3).

use aes_gcm::{
    Aes256Gcm,
    aead::{Aead, KeyInit, Payload},
};
use secrecy::SecretString;
use zeroize::{Zeroize, Zeroizing};

use super::keyring::{KEY_BYTES, Kek, Keyring};

/// The one format there is.
const FORMAT: u8 = 1;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;
const VERSION_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + VERSION_BYTES + NONCE_BYTES + WRAPPED_BYTES + NONCE_BYTES;

/// Why something could not be sealed or opened. No text contains a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No key-encryption key is configured.
    #[error("no key-encryption key is configured")]
    NoKek,
    /// Sealed with a key-encryption key this process does not have.
    #[error("sealed with key-encryption key {version:08x}, which is not configured here")]
    UnknownKek {
        /// The version the envelope names.
        version: u32,
    },
    /// Damaged, or sealed for another place.
    #[error("the envelope is damaged or belongs to another place")]
    Refused,
    /// The system gave no random bytes.
    #[error("no source of randomness")]
    Entropy,
}

/// What both seals are bound to: the place and the version of the key.
fn associated_data(place: &[u8], version: u32) -> Vec<u8> {
    [place, version.to_be_bytes().as_slice()].concat()
}

/// Seals `text` for `place` under the current key-encryption key. A place is a label and ids of fixed length, so that no two of them
/// are the same bytes.
///
/// # Errors
/// [`Error::NoKek`], [`Error::Entropy`].
pub fn seal(keyring: &Keyring, place: &[u8], text: &str) -> Result<Vec<u8>, Error> {
    let kek = keyring.current().ok_or(Error::NoKek)?;
    let data_key = Zeroizing::new(random::<KEY_BYTES>()?);
    let bound_to = associated_data(place, kek.version());
    let (wrap_nonce, text_nonce) = (random::<NONCE_BYTES>()?, random::<NONCE_BYTES>()?);
    let wrapped = encrypt(kek.bytes(), &wrap_nonce, data_key.as_slice(), &bound_to)?;
    let sealed = encrypt(&data_key, &text_nonce, text.as_bytes(), &bound_to)?;

    let mut envelope = Vec::with_capacity(HEADER_BYTES + sealed.len());
    envelope.push(FORMAT);
    envelope.extend_from_slice(&kek.version().to_be_bytes());
    envelope.extend_from_slice(&wrap_nonce);
    envelope.extend_from_slice(&wrapped);
    envelope.extend_from_slice(&text_nonce);
    envelope.extend_from_slice(&sealed);
    Ok(envelope)
}

/// Opens an envelope that was sealed for `place`.
///
/// # Errors
/// [`Error::NoKek`], [`Error::UnknownKek`] when the right key-encryption key is missing, [`Error::Refused`] for everything else.
pub fn open(keyring: &Keyring, place: &[u8], envelope: &[u8]) -> Result<SecretString, Error> {
    let parts = Parts::of(envelope).ok_or(Error::Refused)?;
    let kek: &Kek = keyring.find(parts.version).ok_or(if keyring.is_empty() {
        Error::NoKek
    } else {
        Error::UnknownKek { version: parts.version }
    })?;
    let bound_to = associated_data(place, parts.version);
    let data_key = decrypt(kek.bytes(), parts.wrap_nonce, parts.wrapped, &bound_to)?;
    let data_key: Zeroizing<[u8; KEY_BYTES]> =
        Zeroizing::new(data_key.as_slice().try_into().map_err(|_| Error::Refused)?);
    let text = decrypt(&data_key, parts.text_nonce, parts.sealed, &bound_to)?;
    let text = std::str::from_utf8(&text).map_err(|_| Error::Refused)?;
    Ok(SecretString::from(text))
}

/// The version of the key-encryption key that an envelope names; `None` for what is no envelope. Says nothing about whether it opens.
pub fn version(envelope: &[u8]) -> Option<u32> {
    Parts::of(envelope).map(|parts| parts.version)
}

struct Parts<'a> {
    version: u32,
    wrap_nonce: &'a [u8; NONCE_BYTES],
    wrapped: &'a [u8],
    text_nonce: &'a [u8; NONCE_BYTES],
    sealed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(envelope: &'a [u8]) -> Option<Self> {
        let (format, rest) = envelope.split_first()?;
        let (version, rest) = rest.split_first_chunk::<VERSION_BYTES>()?;
        let (wrap_nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_BYTES)?;
        let (text_nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        (*format == FORMAT).then_some(Self {
            version: u32::from_be_bytes(*version),
            wrap_nonce,
            wrapped,
            text_nonce,
            sealed,
        })
    }
}

fn encrypt(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], text: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, Error> {
    let payload = Payload {
        msg: text,
        aad: bound_to,
    };
    Aes256Gcm::new(key.into())
        .encrypt(nonce.into(), payload)
        .map_err(|_| Error::Refused)
}

fn decrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    sealed: &[u8],
    bound_to: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let payload = Payload {
        msg: sealed,
        aad: bound_to,
    };
    Aes256Gcm::new(key.into())
        .decrypt(nonce.into(), payload)
        .map(Zeroizing::new)
        .map_err(|_| Error::Refused)
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        bytes.zeroize();
        return Err(Error::Entropy);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(Some(Kek::new([byte; KEY_BYTES])), Vec::new())
    }

    #[test]
    fn what_was_sealed_opens_in_its_own_place() {
        let keyring = keyring(1);
        let envelope = seal(&keyring, b"row 1 2", "sk-canary").unwrap();
        assert_eq!(
            open(&keyring, b"row 1 2", &envelope).unwrap().expose_secret(),
            "sk-canary"
        );
        assert!(!envelope.windows(6).any(|bytes| bytes == b"canary"));
    }

    #[test]
    fn an_envelope_names_the_key_that_sealed_it() {
        let keyring = keyring(1);
        let envelope = seal(&keyring, b"row", "k").unwrap();
        assert_eq!(version(&envelope), keyring.current().map(Kek::version));
        assert_eq!(version(&envelope[1..]), None);
        assert_eq!(version(&[]), None);
    }

    #[test]
    fn sealing_twice_gives_different_envelopes() {
        let keyring = keyring(1);
        let (first, second) = (seal(&keyring, b"row 1 2", "k"), seal(&keyring, b"row 1 2", "k"));
        assert_ne!(first.unwrap(), second.unwrap());
    }

    #[test]
    fn ciphertexts_moved_elsewhere_do_not_open() {
        let keyring = keyring(1);
        let envelope = seal(&keyring, b"row 1 2", "sk-canary").unwrap();
        for elsewhere in [b"row 1 3".as_slice(), b"row 9 2", b"row"] {
            assert_eq!(open(&keyring, elsewhere, &envelope).unwrap_err(), Error::Refused);
        }
    }

    #[test]
    fn a_wrong_or_missing_key_encryption_key_is_named_as_such() {
        let sealer = keyring(1);
        let envelope = seal(&sealer, b"row 1 2", "sk-canary").unwrap();
        let version = sealer.current().unwrap().version();
        assert_eq!(
            open(&keyring(2), b"row 1 2", &envelope).unwrap_err(),
            Error::UnknownKek { version }
        );
        let none = Keyring::new(None, Vec::new());
        assert_eq!(open(&none, b"row 1 2", &envelope).unwrap_err(), Error::NoKek);
        assert_eq!(seal(&none, b"row 1 2", "k").unwrap_err(), Error::NoKek);
    }

    #[test]
    fn an_earlier_key_encryption_key_still_opens() {
        let envelope = seal(&keyring(1), b"row 1 2", "sk-canary").unwrap();
        let rotated = Keyring::new(Some(Kek::new([2; KEY_BYTES])), vec![Kek::new([1; KEY_BYTES])]);
        assert_eq!(
            open(&rotated, b"row 1 2", &envelope).unwrap().expose_secret(),
            "sk-canary"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let keyring = keyring(1);
        let envelope = seal(&keyring, b"row 1 2", "k").unwrap();
        for place in 0..envelope.len() {
            let mut flipped = envelope.clone();
            flipped[place] ^= 1;
            assert!(open(&keyring, b"row 1 2", &flipped).is_err(), "byte {place}");
            assert!(
                open(&keyring, b"row 1 2", &envelope[..place]).is_err(),
                "cut at {place}"
            );
        }
    }
}
