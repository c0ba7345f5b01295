//! The envelopes of what is secret about servers: each bound to its row and its field, so that none opens in another place.

use secrecy::SecretString;
use tandem_chassis::seal::envelope::{self, Error};
use tandem_chassis::seal::keyring::Keyring;
use uuid::Uuid;

/// Which secret of a server it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    OAuth2Secret,
    ApiKey,
    CustomHeaders,
}

impl Field {
    fn place(self, server: Uuid) -> Vec<u8> {
        let field = match self {
            Self::OAuth2Secret => b"tandem mcp oauth2 secret 1\0".as_slice(),
            Self::ApiKey => b"tandem mcp api key 1\0".as_slice(),
            Self::CustomHeaders => b"tandem mcp custom headers 1\0".as_slice(),
        };
        [field, server.as_bytes()].concat()
    }
}

/// Seals a secret of a server.
///
/// # Errors
/// As [`envelope::seal`].
pub(crate) fn seal(keyring: &Keyring, server: Uuid, field: Field, text: &str) -> Result<Vec<u8>, Error> {
    envelope::seal(keyring, &field.place(server), text)
}

/// Opens a secret of a server; `None` when there is none.
///
/// # Errors
/// As [`envelope::open`].
pub(crate) fn open(
    keyring: &Keyring,
    server: Uuid,
    field: Field,
    envelope: &[u8],
) -> Result<Option<SecretString>, Error> {
    if envelope.is_empty() {
        return Ok(None);
    }
    envelope::open(keyring, &field.place(server), envelope).map(Some)
}

/// Seals a user's token for a server.
///
/// # Errors
/// As [`envelope::seal`].
pub(crate) fn seal_token(keyring: &Keyring, server: Uuid, user: Uuid, text: &str) -> Result<Vec<u8>, Error> {
    envelope::seal(keyring, &token_place(server, user), text)
}

/// Opens a user's token for a server.
///
/// # Errors
/// As [`envelope::open`].
pub(crate) fn open_token(keyring: &Keyring, server: Uuid, user: Uuid, envelope: &[u8]) -> Result<SecretString, Error> {
    envelope::open(keyring, &token_place(server, user), envelope)
}

fn token_place(server: Uuid, user: Uuid) -> Vec<u8> {
    [b"tandem mcp token 1\0".as_slice(), server.as_bytes(), user.as_bytes()].concat()
}
