//! Sealed keys: the house's envelopes, each bound to the row of its key, so a ciphertext moved to another row does not open.

use secrecy::SecretString;
use tandem_chassis::seal::envelope;
pub use tandem_chassis::seal::envelope::Error;
use tandem_chat_core::id::{KeyId, ProviderId, UserId};

use super::keyring::Keyring;

/// The row a sealed key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The provider.
    pub provider: ProviderId,
    /// The key within its pool.
    pub key: KeyId,
    /// Who brought it; `None` for the provider's own keys.
    pub user: Option<UserId>,
}

impl Row {
    /// What both seals are bound to: a label and both ids, all of fixed length.
    fn place(self) -> Vec<u8> {
        let (provider, key) = (self.provider.uuid(), self.key.uuid());
        match self.user {
            None => {
                let label = b"tandem provider key 1\0".as_slice();
                [label, provider.as_bytes(), key.as_bytes()].concat()
            }
            Some(user) => {
                let label = b"tandem user provider key 1\0".as_slice();
                [label, user.uuid().as_bytes(), provider.as_bytes(), key.as_bytes()].concat()
            }
        }
    }
}

/// Seals `text` for `row` under the current key-encryption key.
///
/// # Errors
/// [`Error::NoKek`], [`Error::Entropy`].
pub fn seal(keyring: &Keyring, row: Row, text: &str) -> Result<Vec<u8>, Error> {
    envelope::seal(keyring, &row.place(), text)
}

/// Whether the present key-encryption key sealed it. Says nothing about whether it opens.
pub fn is_current(keyring: &Keyring, envelope: &[u8]) -> bool {
    let version = envelope::version(envelope);
    version.is_some() && version == keyring.current().map(super::keyring::Kek::version)
}

/// Opens an envelope that was sealed for `row`.
///
/// # Errors
/// [`Error::NoKek`], [`Error::UnknownKek`] when the right key-encryption key is missing, [`Error::Refused`] for everything else.
pub fn open(keyring: &Keyring, row: Row, envelope: &[u8]) -> Result<SecretString, Error> {
    envelope::open(keyring, &row.place(), envelope)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use tandem_chassis::seal::keyring::{KEY_BYTES, Kek};
    use uuid::Uuid;

    use super::*;

    fn row(provider: u128, key: u128) -> Row {
        Row {
            provider: ProviderId::new(Uuid::from_u128(provider)),
            key: KeyId::new(Uuid::from_u128(key)),
            user: None,
        }
    }

    #[test]
    fn a_sealed_key_opens_in_its_own_row_only() {
        let keyring = Keyring::new(Some(Kek::new([1; KEY_BYTES])), Vec::new());
        let envelope = seal(&keyring, row(1, 2), "sk-canary").unwrap();
        assert_eq!(
            open(&keyring, row(1, 2), &envelope).unwrap().expose_secret(),
            "sk-canary"
        );
        for elsewhere in [row(1, 3), row(9, 2), row(2, 1), of_user(5)] {
            assert_eq!(open(&keyring, elsewhere, &envelope).unwrap_err(), Error::Refused);
        }
    }

    fn of_user(user: u128) -> Row {
        Row {
            user: Some(UserId::new(Uuid::from_u128(user))),
            ..row(1, 2)
        }
    }

    #[test]
    fn a_users_key_opens_for_that_user_only() {
        let keyring = Keyring::new(Some(Kek::new([1; KEY_BYTES])), Vec::new());
        let envelope = seal(&keyring, of_user(5), "sk-canary").unwrap();
        assert_eq!(
            open(&keyring, of_user(5), &envelope).unwrap().expose_secret(),
            "sk-canary"
        );
        for elsewhere in [of_user(6), row(1, 2)] {
            assert_eq!(open(&keyring, elsewhere, &envelope).unwrap_err(), Error::Refused);
        }
    }

    #[test]
    fn what_the_present_key_encryption_key_sealed_is_told_apart() {
        let [old, new] = [1, 2].map(|byte| [byte; KEY_BYTES]);
        let before = Keyring::new(Some(Kek::new(old)), Vec::new());
        let after = Keyring::new(Some(Kek::new(new)), vec![Kek::new(old)]);
        let envelope = seal(&before, row(1, 2), "k").unwrap();
        assert!(is_current(&before, &envelope) && !is_current(&after, &envelope));
        assert!(!is_current(&Keyring::default(), &envelope) && !is_current(&before, b"x"));
    }

    /// Keys sealed by earlier releases must open: what the envelope is bound to may not change.
    #[test]
    fn an_envelope_of_an_earlier_release_opens() {
        let keyring = Keyring::new(Some(Kek::new([1; KEY_BYTES])), Vec::new());
        let sealed = "01560adae2030303030303030303030303f8601699fb81316ea5f5ec6cc0142aa7a822b35e93dad4a5b409a75db657986ca4\
            7c3db5ae99e53f16775093d4f2481004040404040404040404040417ece3eb483bf0efb3cdc89e75d87f2d49e6ff05cdcd00\
            933b";
        let envelope: Vec<u8> = (0..sealed.len() / 2)
            .map(|byte| u8::from_str_radix(&sealed[2 * byte..2 * byte + 2], 16).unwrap())
            .collect();
        assert_eq!(
            open(&keyring, row(1, 2), &envelope).unwrap().expose_secret(),
            "sk-canary"
        );
    }
}
