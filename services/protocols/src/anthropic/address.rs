//! Where the vendor is and how a key is shown to it.
//!
//! Base addresses come with and without the version at their end; both mean the same. The vendor's own keys travel in its own header;
//! tokens of people, and those of gateways in front of the vendor, as bearer tokens.

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::{
    ApiKey, Failure,
    http::{credential, endpoint},
};

/// The version of the protocol, which every request names.
const VERSION: &str = "2023-06-01";

/// The path's part for it.
const VERSION_PATH: &str = "v1";

/// How the vendor begins its keys.
const KEY_PREFIX: &str = "sk-ant-";

/// How the vendor begins tokens that stand for a person.
const TOKEN_PREFIX: &str = "sk-ant-oat";

/// The vendor's own domain.
const DOMAIN: &str = "anthropic.com";

/// The address of `path` below a base address.
pub(crate) fn below(base_url: &Url, path: &str) -> Url {
    if base_url.path().trim_end_matches('/').ends_with("/v1") {
        endpoint(base_url, path)
    } else {
        endpoint(base_url, &format!("{VERSION_PATH}/{path}"))
    }
}

/// The headers of every request. A gateway's own key is shown both ways, since gateways differ in where they look; the vendor's is not,
/// since the vendor would take one of them for something else.
///
/// # Errors
/// A key with characters no header can carry.
pub(crate) fn headers(base_url: &Url, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
    let version = HeaderName::from_static("anthropic-version");
    let mut headers = HeaderMap::from_iter([(version, HeaderValue::from_static(VERSION))]);
    let Some(key) = key else {
        return Ok(headers);
    };
    let is_token = key.expose().starts_with(TOKEN_PREFIX);
    let is_vendors = is_at_vendor(base_url) || key.expose().starts_with(KEY_PREFIX);
    if !is_token {
        headers.insert(HeaderName::from_static("x-api-key"), credential("", key)?);
    }
    if is_token || !is_vendors {
        headers.insert(header::AUTHORIZATION, credential("Bearer ", key)?);
    }
    Ok(headers)
}

fn is_at_vendor(base_url: &Url) -> bool {
    let host = base_url.host_str().unwrap_or_default();
    host.strip_suffix(DOMAIN)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use tandem_chat_core::id::KeyId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_version_is_part_of_the_address_once() {
        for base in [
            "https://api.anthropic.com",
            "https://api.anthropic.com/v1",
            "https://api.anthropic.com/v1/",
        ] {
            let url = below(&base.parse().unwrap(), "messages");
            assert_eq!(url.as_str(), "https://api.anthropic.com/v1/messages");
        }
        let url = below(&"http://gateway/team/anthropic/".parse().unwrap(), "models");
        assert_eq!(url.as_str(), "http://gateway/team/anthropic/v1/models");
    }

    #[test]
    fn each_kind_of_key_is_shown_where_it_is_looked_for() {
        let shown = |base: &str, key: &str| {
            let key = ApiKey::new(KeyId::new(Uuid::nil()), key);
            let headers = headers(&base.parse().unwrap(), Some(&key)).unwrap();
            assert_eq!(headers["anthropic-version"], VERSION);
            assert!(!format!("{headers:?}").contains(key.expose()), "never printed");
            let show = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (show("x-api-key"), show("authorization"))
        };
        let text = |text: &str| Some(text.to_owned());
        let vendor = "https://api.anthropic.com/v1";
        assert_eq!(shown(vendor, "sk-ant-api03-x"), (text("sk-ant-api03-x"), None));
        assert_eq!(shown(vendor, "odd"), (text("odd"), None));
        assert_eq!(shown(vendor, "sk-ant-oat01-x"), (None, text("Bearer sk-ant-oat01-x")));
        let gateway = "https://notanthropic.com";
        assert_eq!(shown(gateway, "sk-ant-api03-x"), (text("sk-ant-api03-x"), None));
        assert_eq!(shown(gateway, "sk-1234"), (text("sk-1234"), text("Bearer sk-1234")));
    }
}
