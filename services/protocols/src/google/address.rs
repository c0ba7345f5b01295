//! Where the vendor is and how a key is shown to it.
//!
//! Base addresses come with and without the version, and with the end of the vendor's OpenAI-compatible face, where older versions
//! looked for it; all mean the same.

use ::http::{HeaderMap, HeaderName, header};
use url::Url;

use crate::{ApiKey, Failure, http::credential};

/// The version whose features are used; the stable one lacks some.
const VERSION: &str = "v1beta";

/// The end of the vendor's OpenAI-compatible face.
const COMPATIBLE: &str = "openai";

/// The vendor's own domain.
const DOMAIN: &str = "googleapis.com";

/// How the vendor begins tokens that stand for a person or a service.
const TOKEN_PREFIX: &str = "ya29.";

/// Models in one answer; the vendor gives no more.
const MODELS_PER_PAGE: &str = "1000";

/// Where models are listed.
pub(crate) fn models(base_url: &Url) -> Url {
    let mut url = below(base_url, &["models"]);
    url.query_pairs_mut().append_pair("pageSize", MODELS_PER_PAGE);
    url
}

/// Where a model streams its answers.
///
/// * `model`: with or without the folder it is in.
pub(super) fn stream(base_url: &Url, model: &str) -> Url {
    let (folder, name) = match model.split_once('/') {
        Some((folder @ ("models" | "tunedModels"), name)) => (folder, name),
        Some(_) | None => ("models", model),
    };
    let mut url = below(base_url, &[folder, &format!("{name}:streamGenerateContent")]);
    url.query_pairs_mut().append_pair("alt", "sse");
    url
}

/// The headers of every request. A gateway's own key is shown both ways, since gateways differ in where they look; the vendor's is not,
/// since the vendor would take one of them for something else.
///
/// # Errors
/// A key with characters no header can carry.
pub(crate) fn headers(base_url: &Url, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let Some(key) = key else {
        return Ok(headers);
    };
    let is_token = key.expose().starts_with(TOKEN_PREFIX);
    if !is_token {
        headers.insert(HeaderName::from_static("x-goog-api-key"), credential("", key)?);
    }
    if is_token || !is_at_vendor(base_url) {
        headers.insert(header::AUTHORIZATION, credential("Bearer ", key)?);
    }
    Ok(headers)
}

fn below(base_url: &Url, segments: &[&str]) -> Url {
    let kept: Vec<&str> = base_url.path_segments().into_iter().flatten().collect();
    let mut kept: Vec<&str> = kept.into_iter().filter(|segment| !segment.is_empty()).collect();
    if kept.last() == Some(&COMPATIBLE) {
        kept.pop();
    }
    if !kept.iter().any(|segment| is_version(segment)) {
        kept.push(VERSION);
    }
    let mut url = base_url.clone();
    url.set_path(&kept.join("/"));
    // Every http address has a path; a model's name stays one segment of it, whatever it holds.
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(segments);
    }
    url
}

fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
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

    const VENDOR: &str = "https://generativelanguage.googleapis.com";

    #[test]
    fn every_form_of_the_base_address_means_the_same() {
        for base in ["", "/", "/v1beta", "/v1beta/", "/v1beta/openai", "/v1beta/openai/"] {
            let base: Url = format!("{VENDOR}{base}").parse().unwrap();
            assert_eq!(models(&base).as_str(), format!("{VENDOR}/v1beta/models?pageSize=1000"));
            for model in ["gemini-3-pro", "models/gemini-3-pro"] {
                let url = stream(&base, model);
                let expected = format!("{VENDOR}/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse");
                assert_eq!(url.as_str(), expected);
            }
        }
        let gateway = "http://gateway/a%20b/v1alpha/".parse().unwrap();
        let url = stream(&gateway, "tunedModels/mine");
        assert_eq!(
            url.as_str(),
            "http://gateway/a%20b/v1alpha/tunedModels/mine:streamGenerateContent?alt=sse"
        );
    }

    #[test]
    fn a_models_name_cannot_lead_elsewhere() {
        let base = format!("{VENDOR}/v1beta").parse().unwrap();
        let url = stream(&base, "../../x?y#z");
        assert!(url.path().starts_with("/v1beta/models/"), "{url}");
        assert_eq!(url.query(), Some("alt=sse"));
    }

    #[test]
    fn each_kind_of_key_is_shown_where_it_is_looked_for() {
        let shown = |base: &str, key: &str| {
            let key = ApiKey::new(KeyId::new(Uuid::nil()), key);
            let headers = headers(&base.parse().unwrap(), Some(&key)).unwrap();
            assert!(!format!("{headers:?}").contains(key.expose()), "never printed");
            let show = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (show("x-goog-api-key"), show("authorization"))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(shown(VENDOR, "AIza-x"), (text("AIza-x"), None));
        assert_eq!(shown(VENDOR, "ya29.x"), (None, text("Bearer ya29.x")));
        assert_eq!(
            shown("http://gateway", "gateway-key"),
            (text("gateway-key"), text("Bearer gateway-key"))
        );
        assert_eq!(
            shown("https://googleapis.com.evil.example", "gateway-key").1,
            text("Bearer gateway-key")
        );
    }
}
