//! Where Azure OpenAI is and how a key is shown to it. It speaks OpenAI's protocols, with models named after deployments.
//!
//! Only the addresses without a version of their own for each date are known: `https://…/openai/v1/…`.

use ::http::{HeaderMap, HeaderName};
use url::Url;

use super::{
    Failure,
    http::{credential, endpoint},
};
use crate::ApiKey;

/// The path's part for the vendor's protocols.
const OPENAI: &str = "openai";

/// The path's part for their version.
const VERSION: &str = "v1";

/// The address of `path` below a base address, which may name the resource alone or lead all the way to the version.
pub(super) fn below(base_url: &Url, path: &str) -> Url {
    let base = base_url.path().trim_end_matches('/');
    let between = match base.rsplit('/').next() {
        Some(VERSION) => String::new(),
        Some(OPENAI) => format!("{VERSION}/"),
        Some(_) | None => format!("{OPENAI}/{VERSION}/"),
    };
    endpoint(base_url, &format!("{between}{path}"))
}

/// The header that shows a key.
///
/// # Errors
/// A key with characters no header can carry.
pub(super) fn headers(key: &ApiKey) -> Result<HeaderMap, Failure> {
    let name = HeaderName::from_static("api-key");
    Ok(HeaderMap::from_iter([(name, credential("", key)?)]))
}

#[cfg(test)]
mod tests {
    use tandem_chat_core::id::KeyId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_version_is_part_of_the_address_once() {
        for base in [
            "https://team.openai.azure.com",
            "https://team.openai.azure.com/",
            "https://team.openai.azure.com/openai",
            "https://team.openai.azure.com/openai/v1",
            "https://team.openai.azure.com/openai/v1/",
        ] {
            assert_eq!(
                below(&base.parse().unwrap(), "responses").as_str(),
                "https://team.openai.azure.com/openai/v1/responses"
            );
        }
        assert_eq!(
            below(&"http://gateway/azure/v1".parse().unwrap(), "models").as_str(),
            "http://gateway/azure/v1/models"
        );
    }

    #[test]
    fn a_key_has_a_header_of_its_own() {
        let key = ApiKey::new(KeyId::new(Uuid::nil()), "canary");
        let headers = headers(&key).unwrap();
        assert_eq!(headers["api-key"], "canary");
        assert!(!headers.contains_key("authorization"));
        assert!(!format!("{headers:?}").contains("canary"), "never printed");
    }
}
