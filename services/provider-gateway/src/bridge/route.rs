//! Which paths are answered, and what they mean.
//!
//! What is not named here is not handed on: a provider's keys may be those of its administrator. A path that could mean another one to
//! whoever resolves it (`..`, doubled or encoded slashes) is none of these.

use http::Method;

use super::dialect::{Dialect, Family, Layout};

/// Prefixes below which a provider is named. The second is the later name of the first.
const PROVIDER_PREFIXES: [&str; 2] = ["/api/v2/aibridge/", "/api/v2/ai-gateway/"];

/// What a path is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount<'a> {
    /// The model chooses the provider.
    Any(Family),
    /// The path names the provider.
    Provider(&'a str),
}

/// A path, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// What it is below.
    pub mount: Mount<'a>,
    /// The rest, without the slash before it.
    pub rest: &'a str,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// An answer of a model.
    Answer(Dialect),
    /// How many tokens a prompt has.
    CountTokens,
    /// The list of models.
    Models,
    /// One model.
    Model(&'a str),
    /// Whatever the provider has at that path below its version.
    Versioned(&'a str),
    /// Whatever the provider has at that path below its root.
    Rooted(&'a str),
}

/// Takes a path apart; `None` if nothing is answered below it.
pub fn find(path: &str) -> Option<Place<'_>> {
    if !is_plain(path) {
        return None;
    }
    if let Some(rest) = path.strip_prefix("/openai/v1/") {
        let mount = Mount::Any(Family::OpenAi);
        return Some(Place { mount, rest });
    }
    if let Some(rest) = path.strip_prefix("/anthropic/v1/") {
        let mount = Mount::Any(Family::Anthropic);
        return Some(Place { mount, rest });
    }
    let below = PROVIDER_PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let (name, rest) = below.split_once('/')?;
    let mount = Mount::Provider(name);
    (!name.is_empty()).then_some(Place { mount, rest })
}

/// The family in whose words a refusal is told before anything is known of the request.
pub fn family_of(path: &str) -> Family {
    let is_anthropic = path.starts_with("/anthropic/") || path.contains("/v1/messages") || path.contains("/api/event_");
    if is_anthropic {
        Family::Anthropic
    } else {
        Family::OpenAi
    }
}

impl<'a> Place<'a> {
    /// What it asks for, at a provider that is asked that way.
    pub fn endpoint(&self, layout: Layout, method: &Method) -> Option<Endpoint<'a>> {
        let family = layout.family();
        match (self.mount, layout) {
            (Mount::Any(_), _) => common(family, method, self.rest),
            (Mount::Provider(_), Layout::Copilot) => at_copilot(method, self.rest),
            (Mount::Provider(_), Layout::OpenAi | Layout::Anthropic) => match self.rest.strip_prefix("v1/") {
                Some(rest) => common(family, method, rest).or_else(|| passed_on(family, method, rest)),
                None => self
                    .rest
                    .strip_prefix("api/event_logging/")
                    .filter(|rest| layout == Layout::Anthropic && !rest.is_empty())
                    .map(|_| Endpoint::Rooted(self.rest)),
            },
        }
    }
}

/// What there is at GitHub Copilot. Whoever asks does so with their own credential, so nothing is at stake but what is theirs.
fn at_copilot<'a>(method: &Method, rest: &'a str) -> Option<Endpoint<'a>> {
    let answer = match rest {
        "chat/completions" => Some(Dialect::ChatCompletions),
        "responses" => Some(Dialect::Responses),
        "v1/messages" => Some(Dialect::Messages),
        _ => None,
    };
    if let Some(dialect) = answer {
        return (method == Method::POST).then_some(Endpoint::Answer(dialect));
    }
    let is_known = rest == "models" || below(rest, &["models/", "agents/", "mcp/", ".well-known/"]);
    is_known.then_some(Endpoint::Versioned(rest))
}

/// Whether a path has something behind one of these.
fn below(rest: &str, prefixes: &[&str]) -> bool {
    prefixes
        .iter()
        .any(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
}

/// What is there below both kinds of mount.
fn common<'a>(family: Family, method: &Method, rest: &'a str) -> Option<Endpoint<'a>> {
    let (is_get, is_post) = (method == Method::GET || method == Method::HEAD, method == Method::POST);
    match (family, rest) {
        (Family::OpenAi, "chat/completions") if is_post => Some(Endpoint::Answer(Dialect::ChatCompletions)),
        (Family::OpenAi, "responses") if is_post => Some(Endpoint::Answer(Dialect::Responses)),
        (Family::Anthropic, "messages") if is_post => Some(Endpoint::Answer(Dialect::Messages)),
        (Family::Anthropic, "messages/count_tokens") if is_post => Some(Endpoint::CountTokens),
        (_, "models") if is_get => Some(Endpoint::Models),
        (_, rest) if is_get => match rest.strip_prefix("models/") {
            None | Some("") => None,
            Some(model) => Some(Endpoint::Model(model)),
        },
        _ => None,
    }
}

/// What a named provider is asked as it is.
fn passed_on<'a>(family: Family, method: &Method, rest: &'a str) -> Option<Endpoint<'a>> {
    // What asks a model is metered and limited elsewhere; here a response is only read, ended or deleted, and a prompt counted.
    let asks_no_model = method != Method::POST || rest.ends_with("/cancel") || rest == "responses/input_tokens";
    let is_known = match family {
        // Models are only read, which `common` has: nobody deletes one with the deployment's key.
        Family::OpenAi => {
            rest == "conversations"
                || below(rest, &["conversations/"])
                || (asks_no_model && below(rest, &["responses/"]))
        }
        Family::Anthropic => false,
    };
    is_known.then_some(Endpoint::Versioned(rest))
}

/// Whether a path means the same to everybody: no steps up, no doubled slashes, nothing encoded that changes where it leads.
fn is_plain(path: &str) -> bool {
    let decoded = percent_decoded(path);
    let is_step = |segment: &[u8]| matches!(segment, b"." | b"..");
    let has_odd = decoded.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control());
    let mut segments = decoded.split(|byte| *byte == b'/').skip(1).peekable();
    let mut is_plain = decoded.first() == Some(&b'/') && !has_odd;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        is_plain &= !is_step(segment) && (is_last || !segment.is_empty());
    }
    is_plain
}

/// The bytes behind every `%xx`. Once is enough: whoever is asked decodes once.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let escaped = match (first, rest) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                bytes = &rest[2..];
            }
            None => {
                decoded.push(*first);
                bytes = rest;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint<'a>(method: &Method, path: &'a str, layout: impl Into<Layout>) -> Option<Endpoint<'a>> {
        find(path)?.endpoint(layout.into(), method)
    }

    #[test]
    fn every_route_is_found_below_its_mounts() {
        use Family::{Anthropic, OpenAi};
        let (get, post) = (Method::GET, Method::POST);
        for (method, path, family, expected) in [
            (
                &post,
                "/openai/v1/chat/completions",
                OpenAi,
                Endpoint::Answer(Dialect::ChatCompletions),
            ),
            (
                &post,
                "/openai/v1/responses",
                OpenAi,
                Endpoint::Answer(Dialect::Responses),
            ),
            (&get, "/openai/v1/models", OpenAi, Endpoint::Models),
            (&get, "/openai/v1/models/a/b", OpenAi, Endpoint::Model("a/b")),
            (
                &post,
                "/anthropic/v1/messages",
                Anthropic,
                Endpoint::Answer(Dialect::Messages),
            ),
            (
                &post,
                "/anthropic/v1/messages/count_tokens",
                Anthropic,
                Endpoint::CountTokens,
            ),
            (
                &get,
                "/anthropic/v1/models/claude",
                Anthropic,
                Endpoint::Model("claude"),
            ),
            (
                &post,
                "/api/v2/aibridge/p/v1/chat/completions",
                OpenAi,
                Endpoint::Answer(Dialect::ChatCompletions),
            ),
            (
                &post,
                "/api/v2/ai-gateway/p/v1/messages",
                Anthropic,
                Endpoint::Answer(Dialect::Messages),
            ),
            (
                &get,
                "/api/v2/aibridge/p/v1/responses/r1",
                OpenAi,
                Endpoint::Versioned("responses/r1"),
            ),
            (
                &Method::DELETE,
                "/api/v2/aibridge/p/v1/conversations/c",
                OpenAi,
                Endpoint::Versioned("conversations/c"),
            ),
            (
                &post,
                "/api/v2/aibridge/p/v1/conversations",
                OpenAi,
                Endpoint::Versioned("conversations"),
            ),
            (
                &post,
                "/api/v2/aibridge/p/api/event_logging/batch",
                Anthropic,
                Endpoint::Rooted("api/event_logging/batch"),
            ),
        ] {
            assert_eq!(endpoint(method, path, family), Some(expected), "{method} {path}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        use Family::{Anthropic, OpenAi};
        for (path, family) in [
            ("/openai/v1/completions", OpenAi),
            ("/openai/v1/files", OpenAi),
            ("/openai/v1/responses/r1", OpenAi),
            ("/openai/v1/conversations", OpenAi),
            ("/openai/chat/completions", OpenAi),
            ("/anthropic/v1/messages/batches", Anthropic),
            ("/api/v2/aibridge/p/v1/files", OpenAi),
            ("/api/v2/aibridge/p/v1/messages", OpenAi),
            ("/api/v2/aibridge/p/v1/chat/completions", Anthropic),
            ("/api/v2/aibridge/p/v1/responses/", OpenAi),
            ("/api/v2/aibridge/p/api/event_logging/", Anthropic),
            ("/api/v2/aibridge/p/api/organizations", Anthropic),
            ("/api/v2/aibridge//v1/models", OpenAi),
            ("/api/v2/aibridge/p", OpenAi),
            ("/api/v2/other/p/v1/models", OpenAi),
        ] {
            assert_eq!(endpoint(&Method::POST, path, family), None, "{path}");
        }
    }

    #[test]
    fn models_are_only_read() {
        use Family::{Anthropic, OpenAi};
        for path in ["/v1/models", "/v1/models/m"] {
            for prefix in ["/api/v2/aibridge/p", "/api/v2/ai-gateway/p", "/openai", "/anthropic"] {
                let path = format!("{prefix}{path}");
                for family in [OpenAi, Anthropic] {
                    assert!(endpoint(&Method::GET, &path, family).is_some(), "{path}");
                    for method in [Method::DELETE, Method::POST, Method::PUT, Method::PATCH] {
                        assert_eq!(endpoint(&method, &path, family), None, "{method} {path}");
                    }
                }
            }
        }
    }

    #[test]
    fn copilot_is_asked_without_a_version() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, rest, expected) in [
            (
                &post,
                "chat/completions",
                Some(Endpoint::Answer(Dialect::ChatCompletions)),
            ),
            (&post, "responses", Some(Endpoint::Answer(Dialect::Responses))),
            (&post, "v1/messages", Some(Endpoint::Answer(Dialect::Messages))),
            (&get, "models", Some(Endpoint::Versioned("models"))),
            (&post, "models/session", Some(Endpoint::Versioned("models/session"))),
            (&post, "agents/a/b", Some(Endpoint::Versioned("agents/a/b"))),
            (&Method::DELETE, "mcp/x", Some(Endpoint::Versioned("mcp/x"))),
            (&get, ".well-known/x", Some(Endpoint::Versioned(".well-known/x"))),
            (&get, "chat/completions", None),
            (&post, "v1/chat/completions", None),
            (&get, "v1/models", None),
            (&post, "responses/r1", None),
            (&get, "agents", None),
            (&get, "agents/", None),
            (&get, "user", None),
        ] {
            let path = format!("/api/v2/aibridge/copilot/{rest}");
            assert_eq!(endpoint(method, &path, Layout::Copilot), expected, "{method} {rest}");
            assert!(
                rest.starts_with("v1/") || endpoint(method, &path, Layout::OpenAi).is_none(),
                "{rest} is Copilot's alone"
            );
        }
        assert_eq!(
            endpoint(&get, "/api/v2/aibridge/copilot/agents/../user", Layout::Copilot),
            None
        );
    }

    #[test]
    fn no_spelling_leads_past_the_list() {
        for path in [
            "/api/v2/aibridge/p/v1/responses/../files",
            "/api/v2/aibridge/p/v1/responses/%2e%2e/files",
            "/api/v2/aibridge/p/v1/responses/%2E./files",
            "/api/v2/aibridge/p/v1/responses/x%2f..%2ffiles",
            "/api/v2/aibridge/p/v1/responses/./x",
            "/api/v2/aibridge/p/v1/responses//x",
            "/api/v2/aibridge/p/v1/responses/..%5cfiles",
            "/api/v2/aibridge/p/v1/responses/a\\..\\b",
            "/api/v2/aibridge/p/v1/responses/..",
            "/api/v2/aibridge/p/v1/responses/a%0d%0ab",
            "/api/v2/aibridge/../users",
            "openai/v1/models",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
        assert!(find("/api/v2/aibridge/p/v1/responses/a%20b").is_some());
    }
}
