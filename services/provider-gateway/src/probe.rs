//! Asks a provider for its models, to see whether address and key are right, and says the result in words a person can act on.
//!
//! Owns the words. It changes nothing and never fails: a wrong key is an answer.

use std::time::Duration;

use futures::StreamExt;
use http::StatusCode;
use serde_json::Value;
use tandem_chassis::clock::Clock;
use tandem_protocols::{ApiKey, Kind, Protocol, demo, http::endpoint};
use url::Url;

use crate::{
    outbound::{self, Outbound, Refused, Unresolved},
    secret::redact,
};

/// Time for the question.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a second one, at the address that was probably meant.
const HINT_TIMEOUT: Duration = Duration::from_secs(3);

/// Largest list of models read.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Models named.
const MAX_MODELS: usize = 500;

/// Longest name of a model.
const MAX_MODEL_BYTES: usize = 256;

/// What the vendor is told to have said, at most.
const MAX_QUOTE_CHARS: usize = 200;

/// What a test found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// It would work.
    pub is_ok: bool,
    /// What to tell the person; without secrets.
    pub message: String,
    /// Names of models, in the vendor's order.
    pub models: Vec<String>,
    /// How long the vendor took.
    pub latency: Duration,
}

impl Report {
    fn problem(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

/// Tests `kind` at `base_url` with `key`.
pub async fn test(outbound: &Outbound, clock: &dyn Clock, kind: Kind, base_url: &Url, key: Option<&ApiKey>) -> Report {
    let started_at = clock.monotonic();
    let report = match kind.protocol() {
        Protocol::Demo => Report {
            is_ok: true,
            message: "The demo model is built in and always ready.".to_owned(),
            models: vec![demo::MODEL.to_owned()],
            latency: Duration::ZERO,
        },
        // Machines' own credentials are not used for questions.
        Protocol::Bedrock if key.is_none() => Report {
            is_ok: true,
            message: "Without an API key, calls are made with this machine's AWS credentials. The first call will tell whether they suffice."
                .to_owned(),
            ..Report::default()
        },
        _ if key.is_none() && kind.needs_key() => Report::problem(format!("{} needs an API key.", kind.display_name())),
        Protocol::ChatCompletions
        | Protocol::Responses
        | Protocol::Messages
        | Protocol::Gemini
        | Protocol::Bedrock => {
            ask_with_hint(outbound, kind, base_url, key).await
        }
    };
    Report {
        message: redact(&report.message, key.map(std::slice::from_ref).unwrap_or_default()),
        latency: clock.monotonic() - started_at,
        ..report
    }
}

/// What an address answered.
enum Answer {
    Models(Vec<String>),
    /// Not the API, for which a missing `/v1` is the usual cause.
    NotTheApi(String),
    Problem(String),
}

async fn ask_with_hint(outbound: &Outbound, kind: Kind, base_url: &Url, key: Option<&ApiKey>) -> Report {
    match ask(outbound, kind, base_url, key, TIMEOUT).await {
        Answer::Models(models) => Report {
            is_ok: true,
            message: works(models.len()),
            models,
            latency: Duration::ZERO,
        },
        Answer::Problem(problem) => Report::problem(problem),
        Answer::NotTheApi(problem) => {
            let path = base_url.path().trim_end_matches('/');
            // The other protocols find their version by themselves.
            if path.ends_with("/v1") || kind == Kind::Azure || kind.protocol() != Protocol::ChatCompletions {
                return Report::problem(problem);
            }
            let with_version = endpoint(base_url, "v1");
            match ask(outbound, kind, &with_version, key, HINT_TIMEOUT).await {
                Answer::Models(_) => Report::problem(format!(
                    "{problem} It answers at {with_version}: use that as the base URL."
                )),
                Answer::NotTheApi(_) | Answer::Problem(_) => Report::problem(problem),
            }
        }
    }
}

fn works(count: usize) -> String {
    match count {
        0 => "Connected, but the server names no models. Load one there first.".to_owned(),
        1 => "Connected: 1 model is available.".to_owned(),
        count => format!("Connected: {count} models are available."),
    }
}

/// The models at an address that needs no key; `None` if nothing of the kind answers within `limit`.
pub async fn models_at(outbound: &Outbound, base_url: &Url, limit: Duration) -> Option<(Vec<String>, Value)> {
    let body = fetch(outbound, Kind::OpenAiCompat, base_url, None, limit).await.ok()?;
    let (status, body) = body;
    if !status.is_success() {
        return None;
    }
    let value: Value = serde_json::from_slice(&body).ok()?;
    Some((model_names(&value)?, value))
}

async fn ask(outbound: &Outbound, kind: Kind, base_url: &Url, key: Option<&ApiKey>, limit: Duration) -> Answer {
    let (status, body) = match fetch(outbound, kind, base_url, key, limit).await {
        Ok(answered) => answered,
        Err(problem) => return Answer::Problem(problem),
    };
    if status.is_success() {
        let dialect = kind.protocol().display_name();
        return match serde_json::from_slice::<Value>(&body) {
            Ok(value) => match model_names(&value) {
                Some(models) => Answer::Models(models),
                None => Answer::NotTheApi(format!(
                    "The server answered, but not with a list of models. Is this an {dialect} address?"
                )),
            },
            Err(_) => Answer::NotTheApi(format!(
                "The address answered with a web page or other text, not with an {dialect} API. Check the base URL."
            )),
        };
    }
    let said = quote(&body);
    // Google calls a wrong key a malformed request.
    let is_wrong_key = status == StatusCode::BAD_REQUEST && says_wrong_key(&body);
    match if is_wrong_key { StatusCode::UNAUTHORIZED } else { status } {
        StatusCode::UNAUTHORIZED if key.is_none() => Answer::Problem("The server wants an API key.".to_owned()),
        StatusCode::UNAUTHORIZED => Answer::Problem(format!("The server does not accept the API key.{said} Check that it was copied whole.")),
        StatusCode::FORBIDDEN => Answer::Problem(format!("The server knows the API key but does not allow this.{said} Check the key's permissions.")),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Answer::NotTheApi(format!(
            "The server answered, but has no list of models there (status {}). Check the base URL; it usually ends with /v1.",
            status.as_u16()
        )),
        StatusCode::TOO_MANY_REQUESTS => Answer::Problem(format!("The server is limiting the rate of requests, or the quota is used up.{said}")),
        status if status.is_redirection() => Answer::Problem(
            "The address redirects elsewhere. Redirects are not followed, since they could leak the key: enter the final address.".to_owned(),
        ),
        status if status.is_server_error() => {
            Answer::Problem(format!("The server reports a problem of its own (status {}).{said}", status.as_u16()))
        }
        status => Answer::Problem(format!("The server refuses the request (status {}).{said}", status.as_u16())),
    }
}

/// Status and body, or what prevented them, as a sentence.
async fn fetch(
    outbound: &Outbound,
    kind: Kind,
    base_url: &Url,
    key: Option<&ApiKey>,
    limit: Duration,
) -> Result<(StatusCode, Vec<u8>), String> {
    let protocol = kind.protocol();
    let headers = protocol
        .headers(kind, base_url, key)
        .map_err(|_| "The API key has characters that cannot be sent.".to_owned())?;
    let url = protocol.models_url(kind, base_url);
    let request = outbound
        .get(url)
        .map_err(|refused| refused_address(&refused))?
        .headers(headers);
    let exchange = async {
        let response = request.send().await.map_err(|error| unanswered(base_url, error))?;
        let status = response.status();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|error| unanswered(base_url, error))?);
            if body.len() > MAX_BODY_BYTES {
                return Err("The server's list of models is too long.".to_owned());
            }
        }
        Ok((status, body))
    };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(no_answer(base_url, limit)))
}

fn no_answer(base_url: &Url, limit: Duration) -> String {
    format!("{} did not answer within {} seconds.", place(base_url), limit.as_secs())
}

fn refused_address(refused: &Refused) -> String {
    format!("This address is not called: {refused}.")
}

/// Why there was no answer, by type.
fn unanswered(base_url: &Url, error: reqwest::Error) -> String {
    let error = error.without_url();
    let place = place(base_url);
    if let Some(refused) = outbound::find_source::<Refused>(&error) {
        return refused_address(refused);
    }
    if outbound::find_source::<Unresolved>(&error).is_some() {
        return format!(
            "There is no host called {}. Check the spelling.",
            base_url.host_str().unwrap_or_default()
        );
    }
    let io_kind = outbound::find_source::<std::io::Error>(&error).map(std::io::Error::kind);
    let chain = outbound::chain(&error);
    let lower = chain.to_lowercase();
    if io_kind == Some(std::io::ErrorKind::ConnectionRefused) || lower.contains("connection refused") {
        return format!("Nothing answers at {place}: the connection was refused. Is the server running?");
    }
    if lower.contains("certificate") {
        return format!("The TLS certificate of {place} is not trusted: {chain}.");
    }
    if error.is_timeout() {
        return format!("{place} could not be reached in time.");
    }
    if error.is_connect() {
        return format!("{place} cannot be reached: {chain}.");
    }
    format!("The connection to {place} broke: {chain}.")
}

/// Host and port, as a person knows them.
fn place(base_url: &Url) -> String {
    let host = base_url.host_str().unwrap_or_default();
    match base_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether an error's details name the key as what is wrong.
fn says_wrong_key(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let reasons = details.into_iter().flatten().filter_map(|detail| detail.get("reason"));
    reasons.into_iter().any(|reason| reason == "API_KEY_INVALID")
}

/// Names of models in the usual forms of the list. Those that say they cannot answer, such as ones for embeddings, are left out.
fn model_names(list: &Value) -> Option<Vec<String>> {
    let entries = list
        .get("data")
        .or_else(|| list.get("models"))
        .or_else(|| list.get("modelSummaries"))
        .unwrap_or(list)
        .as_array()?;
    let can_answer = |entry: &&Value| {
        let methods = entry.get("supportedGenerationMethods").and_then(Value::as_array);
        methods.is_none_or(|methods| methods.iter().any(|method| method == "generateContent"))
    };
    let names = entries
        .iter()
        .filter(can_answer)
        .filter_map(|entry| {
            let named = || {
                ["id", "modelId", "model", "name"]
                    .into_iter()
                    .find_map(|field| entry.get(field)?.as_str())
            };
            let name = entry.as_str().or_else(named)?;
            Some(name.strip_prefix("models/").unwrap_or(name))
        })
        .filter(|name| !name.is_empty() && name.len() <= MAX_MODEL_BYTES)
        .take(MAX_MODELS)
        .map(str::to_owned);
    Some(names.collect())
}

/// The vendor's own sentence, if it has one.
fn quote(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return String::new();
    };
    let sentence = [
        value.pointer("/error/message"),
        value.get("message"),
        value.get("error"),
        value.get("detail"),
    ]
    .into_iter()
    .flatten()
    .find_map(Value::as_str);
    match sentence.map(str::trim) {
        None | Some("") => String::new(),
        Some(sentence) => {
            let short: String = sentence.chars().take(MAX_QUOTE_CHARS).collect();
            format!(" It says: “{short}”")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_are_found_in_every_usual_list() {
        for list in [
            json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}),
            json!({"models": [{"name": "a"}, {"model": "b"}]}),
            json!([{"id": "a"}, "b", {"id": ""}, 7]),
            json!({"modelSummaries": [{"modelId": "a", "modelName": "A"}, {"modelId": "b"}]}),
            json!({"models": [
                {"name": "models/a", "supportedGenerationMethods": ["generateContent"]},
                {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]},
                {"name": "models/b"},
            ]}),
        ] {
            assert_eq!(model_names(&list).unwrap(), ["a", "b"], "{list}");
        }
        assert_eq!(model_names(&json!({"status": "ok"})), None);
        let many: Vec<Value> = (0..600).map(|number| json!({"id": number.to_string()})).collect();
        assert_eq!(model_names(&json!({ "data": many })).unwrap().len(), MAX_MODELS);
    }
}
