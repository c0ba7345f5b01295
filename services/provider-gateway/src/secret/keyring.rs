//! The key-encryption keys this process has: one that seals, and earlier ones that still open.
//!
//! Owns which of this service's settings name them; what they are and where they come from is the house's.

pub use tandem_chassis::seal::keyring::*;

use crate::config::Config;

/// The ring a configuration asks for. Without any key it is empty: nothing can be sealed then, and the demo model still works.
///
/// # Errors
/// [`Error`]; a key that cannot be used is better noticed at start than at the first message.
pub fn load(config: &Config) -> Result<Keyring, Error> {
    Keyring::load(Sources {
        kek: config.kek.as_ref(),
        kek_file: config.kek_file.as_deref(),
        create_kek_file: config.create_kek_file,
        previous_keks: &config.previous_keks,
    })
}
