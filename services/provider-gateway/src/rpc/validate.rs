//! What a provider may look like. All problems of a request are reported at once, each with its field.

use tandem_chassis::status::Fault;
use url::Url;

use crate::provider::Kind;

/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Longest display name, in characters.
const MAX_DISPLAY_NAME_CHARS: usize = 128;

/// Longest base address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Longest key, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 10_240;

/// Keys in one pool.
pub(crate) const MAX_KEYS: usize = 32;

/// Longest settings, in bytes.
const MAX_SETTINGS_BYTES: usize = 64 * 1024;

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub(crate) struct Check {
    violations: Vec<(String, String)>,
}

impl Check {
    fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push((field.into(), description.into()));
    }

    /// The type of that name.
    pub(crate) fn kind(&mut self, name: &str) -> Option<Kind> {
        let kind = Kind::find(name);
        if kind.is_none() {
            let known: Vec<&str> = Kind::ALL.into_iter().map(Kind::as_str).collect();
            self.refuse("type", format!("must be one of {}", known.join(", ")));
        }
        kind
    }

    /// `^[a-z0-9]+(-[a-z0-9]+)*$`, at most 64 bytes.
    pub(crate) fn name(&mut self, name: &str) {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if name.len() > MAX_NAME_BYTES || !name.split('-').all(is_word) {
            self.refuse(
                "name",
                format!("must be 1 to {MAX_NAME_BYTES} lower-case letters and digits, with single hyphens between them"),
            );
        }
    }

    /// Any short text.
    pub(crate) fn display_name(&mut self, name: &str) {
        if name.chars().count() > MAX_DISPLAY_NAME_CHARS || name.chars().any(char::is_control) {
            self.refuse(
                "display_name",
                format!("must be at most {MAX_DISPLAY_NAME_CHARS} characters on one line"),
            );
        }
    }

    /// An absolute `http` or `https` address without credentials, query or fragment. Given back as written, without slashes at its end.
    /// Empty text stands for the type's own address, where it has one.
    pub(crate) fn base_url(&mut self, kind: Option<Kind>, text: &str) -> String {
        let text = text.trim().trim_end_matches('/');
        if text.is_empty() {
            match kind.map(|kind| (kind, kind.default_base_url())) {
                Some((_, Some(default))) => return default.to_owned(),
                Some((kind, None)) => {
                    self.refuse("base_url", format!("must be given for providers of type {}", kind.as_str()));
                }
                None => {}
            }
            return String::new();
        }
        if let Err(problem) = parse_base_url(text) {
            self.refuse("base_url", problem);
        }
        text.to_owned()
    }

    /// A pool of keys; `field` names its list.
    pub(crate) fn keys<'a>(&mut self, field: &str, keys: impl IntoIterator<Item = &'a str>) {
        let mut count = 0;
        for (index, key) in keys.into_iter().enumerate() {
            count += 1;
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                self.refuse(format!("{field}[{index}]"), format!("must be 1 to {MAX_KEY_BYTES} bytes"));
            } else if key.trim() != key {
                self.refuse(format!("{field}[{index}]"), "must not begin or end with white space");
            } else if key.chars().any(|c| c.is_control() || !c.is_ascii()) {
                self.refuse(format!("{field}[{index}]"), "must be plain ASCII without control characters");
            }
        }
        self.key_count(field, count);
    }

    /// The size of a pool.
    pub(crate) fn key_count(&mut self, field: &str, count: usize) {
        if count > MAX_KEYS {
            self.refuse(field, format!("must hold at most {MAX_KEYS} keys"));
        }
    }

    /// Refuses a key id that is not in the pool.
    pub(crate) fn unknown_key(&mut self, field: &str) {
        self.refuse(field, "must be the id of a key of this provider, or empty with a new key");
    }

    /// A JSON object, or empty.
    pub(crate) fn settings(&mut self, json: &str) {
        let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok();
        if json.len() > MAX_SETTINGS_BYTES || (!json.is_empty() && !is_object) {
            self.refuse("settings_json", format!("must be a JSON object of at most {MAX_SETTINGS_BYTES} bytes"));
        }
    }

    /// The verdict.
    ///
    /// # Errors
    /// `Invalid` (`PROVIDER_INVALID`) with every problem.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let fault = Fault::invalid("PROVIDER_INVALID", "The provider's settings cannot be accepted.");
        let add = |fault: Fault, (field, description)| fault.violation(field, description);
        Err(self.violations.into_iter().fold(fault, add))
    }
}

/// A usable base address.
///
/// # Errors
/// What it must be.
pub(crate) fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    const SHAPE: &str = "must be an absolute http or https address";
    let url = Url::parse(text).map_err(|_| SHAPE)?;
    if text.len() > MAX_URL_BYTES || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SHAPE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password; add a key instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: impl FnOnce(&mut Check)) -> Vec<String> {
        let mut collected = Check::default();
        check(&mut collected);
        collected.violations.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn names_are_lower_case_words_with_single_hyphens() {
        for name in ["a", "openai", "my-proxy-2", "0"] {
            assert!(problems(|check| check.name(name)).is_empty(), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "A", "a_b", "ä", "a b", &"a".repeat(65)] {
            assert_eq!(problems(|check| check.name(name)), ["name"], "{name}");
        }
    }

    #[test]
    fn addresses_are_kept_as_written_but_for_slashes_at_the_end() {
        let mut check = Check::default();
        assert_eq!(check.base_url(Some(Kind::OpenAiCompat), " http://localhost:11434/v1/ "), "http://localhost:11434/v1");
        assert_eq!(check.base_url(Some(Kind::OpenAi), ""), "https://api.openai.com/v1");
        assert!(check.finish().is_ok());
        for url in ["", "x", "/v1", "ftp://h/", "http://u:p@h/", "http://h/?k=1", "http://h/#f", "file:///etc/passwd"] {
            let found = problems(|check| drop(check.base_url(Some(Kind::OpenAiCompat), url)));
            assert_eq!(found, ["base_url"], "{url}");
        }
    }

    #[test]
    fn keys_are_bounded_and_clean() {
        assert!(problems(|check| check.keys("api_keys", ["sk-1", &"k".repeat(MAX_KEY_BYTES)])).is_empty());
        let found = problems(|check| check.keys("api_keys", ["", " a", "a\n", "ok", "ö", &"k".repeat(MAX_KEY_BYTES + 1)]));
        assert_eq!(found, ["api_keys[0]", "api_keys[1]", "api_keys[2]", "api_keys[4]", "api_keys[5]"]);
        let found = problems(|check| check.keys("api_keys", std::iter::repeat_n("k", MAX_KEYS + 1)));
        assert_eq!(found, ["api_keys"]);
    }

    #[test]
    fn every_problem_is_reported_at_once_and_no_key_is_repeated() {
        let mut check = Check::default();
        check.kind("copilot");
        check.name("A");
        check.settings("[]");
        check.keys("api_keys", [" sk-canary"]);
        let fault = check.finish().unwrap_err();
        assert_eq!(fault.violations.len(), 4);
        assert!(!fault.to_string().contains("canary"));
    }
}
