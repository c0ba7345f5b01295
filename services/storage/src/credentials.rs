//! Passwords, and the secrets of sessions and tokens: making, hashing, checking. Nothing here is stored or logged in clear.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tandem_chassis::status::Fault;
use tokio::sync::Semaphore;

use crate::error::Error;

/// Hashes computed at once: each takes 19 MiB and a core.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Bytes of randomness in a session's or token's secret.
const SECRET_BYTES: usize = 32;

/// SHA-256 of a secret with full entropy, which is what is stored of it.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// A fresh secret as text: 43 characters.
pub(crate) fn secret() -> Result<String, Error> {
    let mut bytes = [0; SECRET_BYTES];
    fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A fresh token id: ten characters.
pub(crate) fn token_id() -> Result<String, Error> {
    let mut bytes = [0; 5];
    fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// The hash of a password, in PHC form (argon2id with the library's defaults, which are OWASP's).
pub(crate) async fn hash_password(password: String) -> Result<String, Error> {
    blocking(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
    })
    .await?
    .map_err(|error| Fault::internal("PASSWORD_HASH", error).into())
}

/// Whether the password is the one hashed. Costs the same for users that do not exist or have no password.
pub(crate) async fn verify_password(password: String, hash: Option<String>) -> Result<bool, Error> {
    let Some(hash) = hash else {
        hash_password(password).await?;
        return Ok(false);
    };
    blocking(move || {
        let parsed = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
        Ok::<_, String>(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
    })
    .await?
    .map_err(|problem| Error::damaged("users", problem))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let _permit = HASHING
        .acquire()
        .await
        .map_err(|error| Error::from(Fault::internal("PASSWORD_HASH", error)))?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::internal("PASSWORD_HASH", error).into())
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Fault::internal("RANDOMNESS", error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_an_existing_user_is_right() {
        let hash = hash_password("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(
            verify_password("correct horse".to_owned(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!verify_password("wrong horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!verify_password("correct horse".to_owned(), None).await.unwrap());
    }

    #[test]
    fn secrets_differ_and_are_long() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert_eq!(digest(&one).len(), 32);
    }
}
