//! Where AWS serves models, and in which region.
//!
//! Addresses that end with AWS's OpenAI-compatible face mean that face: older versions knew no other.

use url::Url;

use super::sign::encoded;
use crate::http::endpoint;

/// Where models answer.
const RUNTIME: &str = "bedrock-runtime";

/// Where they are listed.
const CONTROL: &str = "bedrock";

/// AWS's own domain.
const DOMAIN: &str = ".amazonaws.com";

/// The region where nobody says one. Only bearer tokens go there by themselves.
const DEFAULT_REGION: &str = "us-east-1";

/// The end of AWS's OpenAI-compatible face.
const COMPATIBLE: &str = "/openai/v1";

/// Longest name between two dots of a host.
const MAX_LABEL_BYTES: usize = 63;

/// Whether AWS's OpenAI-compatible face is meant.
pub(crate) fn is_compatible(base_url: &Url) -> bool {
    base_url.path().trim_end_matches('/').ends_with(COMPATIBLE)
}

/// Where models are listed. At AWS that is another host than the one that answers.
pub(crate) fn models(base_url: &Url) -> Url {
    let mut url = base_url.clone();
    let host = region(base_url).map(|region| host(CONTROL, region));
    // A host made of a region is one; an address that refuses it stays as it is.
    let _ = host.map(|host| url.set_host(Some(&host)));
    let mut url = endpoint(&url, "foundation-models");
    url.query_pairs_mut().append_pair("byProvider", "Anthropic");
    url
}

/// Where a model streams its answers.
pub(super) fn stream(base_url: &Url, model: &str) -> Url {
    endpoint(
        base_url,
        &format!("model/{}/invoke-with-response-stream", encoded(model)),
    )
}

/// The region an address of AWS's is in; `None` at anybody else's.
pub(super) fn region(base_url: &Url) -> Option<&str> {
    let rest = base_url.host_str()?.strip_suffix(DOMAIN)?;
    let (service, region) = rest.split_once('.')?;
    matches!(service, RUNTIME | "bedrock-runtime-fips").then_some(region)
}

/// The address for a region, where the row has none of its own but the default.
pub(super) fn in_region(base_url: &Url, region: &str) -> Url {
    let mut url = base_url.clone();
    if is_default(base_url) {
        // As above.
        let _ = url.set_host(Some(&host(RUNTIME, region)));
    }
    url
}

/// Whether nobody chose the address.
pub(super) fn is_default(base_url: &Url) -> bool {
    base_url.host_str() == Some(&host(RUNTIME, DEFAULT_REGION))
}

/// Whether it can be a region's name, and so one part of a host: nothing else moves a request to another host.
pub(super) fn is_region(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=MAX_LABEL_BYTES).contains(&name.len()) && name.bytes().all(is_plain);
    is_label && !name.starts_with('-') && !name.ends_with('-')
}

fn host(service: &str, region: &str) -> String {
    format!("{service}.{region}{DOMAIN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_models_name_is_one_segment_of_the_path() {
        let base = url("https://bedrock-runtime.us-east-1.amazonaws.com");
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v1:0";
        assert_eq!(
            stream(&base, arn).path(),
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude-v1%3A0/invoke-with-response-stream"
        );
    }

    #[test]
    fn the_region_is_read_off_the_vendors_addresses_only() {
        for (address, expected) in [
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", Some("eu-west-1")),
            (
                "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/",
                Some("us-gov-west-1"),
            ),
            ("https://bedrock.eu-west-1.amazonaws.com", None),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com.evil.example", None),
            ("http://127.0.0.1:8080", None),
        ] {
            assert_eq!(region(&url(address)), expected, "{address}");
        }
    }

    #[test]
    fn a_region_is_one_part_of_a_host() {
        for region in ["eu-west-1", "us-gov-west-1", "x"] {
            assert!(is_region(region), "{region}");
        }
        let long = "a".repeat(64);
        for other in [
            "",
            "evil.example",
            "a/b",
            "a@b",
            "US-EAST-1",
            "-a",
            "a-",
            "a b",
            "a:1",
            &long,
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn only_the_default_address_moves_to_another_region() {
        let moved = |address: &str| in_region(&url(address), "eu-west-1").to_string();
        assert_eq!(
            moved("https://bedrock-runtime.us-east-1.amazonaws.com/"),
            "https://bedrock-runtime.eu-west-1.amazonaws.com/"
        );
        for own in [
            "https://bedrock-runtime.us-west-2.amazonaws.com/",
            "http://127.0.0.1:8080/x",
        ] {
            assert_eq!(moved(own), own);
        }
    }

    #[test]
    fn models_are_listed_at_another_host() {
        assert_eq!(
            models(&url("https://bedrock-runtime.eu-west-1.amazonaws.com")).as_str(),
            "https://bedrock.eu-west-1.amazonaws.com/foundation-models?byProvider=Anthropic"
        );
        assert_eq!(
            models(&url("http://gateway/aws/")).as_str(),
            "http://gateway/aws/foundation-models?byProvider=Anthropic"
        );
    }

    #[test]
    fn the_older_face_is_known_by_its_end() {
        assert!(is_compatible(&url(
            "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/"
        )));
        assert!(!is_compatible(&url(
            "https://bedrock-runtime.us-east-1.amazonaws.com/v1"
        )));
    }
}
