//! Asks a vendor for its models to find out whether address and key work, and says in words what to do if they do not.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use tandem_chassis::identity::User;
use tandem_chat_core::id::KeyId;
use tandem_proto::provider::v1::{TestProviderRequest, TestProviderResponse};
use tonic::Status;
use url::Url;
use uuid::Uuid;

use super::{Shared, models, validate::{Check, parse_base_url}};
use crate::{
    catalog::Provider,
    outbound::{self, Refused, Unresolved},
    provider::{Kind, openai},
    secret::ApiKey,
};

/// Time for the whole question.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked, and with which key.
struct Question {
    kind: Kind,
    base_url: String,
    key: Option<ApiKey>,
}

/// Tests a stored provider, or type, address and key as given. Whatever the vendor does is an answer, not an error.
///
/// # Errors
/// A request that names no provider and has no usable type or address; storage's own errors.
pub(super) async fn test(
    shared: &Shared,
    user: &User,
    wanted: &TestProviderRequest,
) -> Result<TestProviderResponse, Status> {
    let question = question(shared, user, wanted).await?;
    if question.kind == Kind::Demo {
        return Ok(answer(Ok(vec![crate::provider::demo::MODEL.to_owned()]), Duration::ZERO));
    }
    if question.key.is_none() && question.kind.needs_key() {
        return Ok(answer(Err("This provider needs an API key. Add one and test again.".to_owned()), Duration::ZERO));
    }
    let started = shared.clock.monotonic();
    let outcome = match tokio::time::timeout(PATIENCE, ask(shared, &question)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!(
            "The server did not answer within {} seconds. Check the address and whether the server is running.",
            PATIENCE.as_secs()
        )),
    };
    Ok(answer(outcome, shared.clock.monotonic() - started))
}

async fn question(shared: &Shared, user: &User, wanted: &TestProviderRequest) -> Result<Question, Status> {
    let given = |text: &str| {
        let key = ApiKey::new(KeyId::new(Uuid::nil()), text);
        (!text.is_empty()).then_some(key)
    };
    if wanted.provider_id.is_empty() {
        let mut check = Check::default();
        let kind = check.kind(&wanted.r#type);
        let base_url = match kind {
            Some(Kind::Demo) => String::new(),
            _ => check.base_url(kind, &wanted.base_url),
        };
        check.keys("api_key", (!wanted.api_key.is_empty()).then_some(wanted.api_key.as_str()));
        check.finish()?;
        return Ok(Question {
            kind: kind.unwrap_or(Kind::OpenAiCompat),
            base_url,
            key: given(&wanted.api_key),
        });
    }
    let row = shared.provider(user, &wanted.provider_id).await?;
    let base_url = row.base_url.clone();
    let provider = Provider::open(row, shared.catalog.keyring())?;
    let key = match given(&wanted.api_key) {
        Some(key) => Some(key),
        None => provider.keys.first().cloned(),
    };
    Ok(Question {
        kind: provider.kind,
        base_url,
        key,
    })
}

/// The models, or a sentence about what went wrong.
async fn ask(shared: &Shared, question: &Question) -> Result<Vec<String>, String> {
    let base: Url = parse_base_url(&question.base_url).map_err(|problem| format!("The address {problem}."))?;
    let request = shared.outbound.get(openai::endpoint(&base, "models"));
    let mut request = request.map_err(|refused| sentence(&refused.to_string()))?;
    if let Some(key) = &question.key {
        request = request.header(http::header::AUTHORIZATION, openai::authorization(key).map_err(|failure| sentence(&failure.text))?);
    }
    let response = request.send().await.map_err(|error| unanswered(error, &base))?;
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(status, question.key.is_some()));
    }
    let is_page = is_page(&response);
    let body = models::read(response).await.map_err(|error| sentence(&error.to_string()))?;
    match models::parse(&body) {
        Some(models) => Ok(models),
        None if is_page || body.trim_ascii_start().starts_with(b"<") => Err(
            "The address answered with a web page, not with an API. Check the base URL; it usually ends in /v1.".to_owned(),
        ),
        None => Err("The server answered, but not with a list of models. Check the base URL; it usually ends in /v1.".to_owned()),
    }
}

fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with("text/html"))
}

fn refusal(status: StatusCode, has_key: bool) -> String {
    let code = status.as_u16();
    match code {
        401 | 403 if has_key => "The server rejected the API key. Check that it is complete and still valid.".to_owned(),
        401 | 403 => "The server wants an API key. Add one and test again.".to_owned(),
        404 | 405 => "The server has no list of models at this address. Check the base URL; it usually ends in /v1.".to_owned(),
        429 => "The key works, but the vendor limits its rate at the moment. Try again in a minute.".to_owned(),
        300..=399 => "The address redirects elsewhere. Enter the final address as base URL.".to_owned(),
        500..=599 => format!("The server has a problem of its own (status {code}). Try again later."),
        _ => format!("The server refused the request (status {code})."),
    }
}

/// Why there was no answer at all.
fn unanswered(error: reqwest::Error, base: &Url) -> String {
    let error = error.without_url();
    let host = base.host_str().unwrap_or_default();
    if let Some(refused) = outbound::find_source::<Refused>(&error) {
        return sentence(&refused.to_string());
    }
    if outbound::find_source::<Unresolved>(&error).is_some() {
        return format!("There is no server called {host}. Check the address for typing errors.");
    }
    let io = outbound::find_source::<std::io::Error>(&error).map(std::io::Error::kind);
    match io {
        Some(std::io::ErrorKind::ConnectionRefused) => {
            let port = base.port_or_known_default().unwrap_or_default();
            format!("Nothing listens at {host} on port {port}. Check the address and whether the server is running.")
        }
        Some(std::io::ErrorKind::TimedOut) => timed_out(host),
        _ if error.is_timeout() => timed_out(host),
        _ if error.is_connect() => format!("Could not connect to {host}: {}.", outbound::chain(&error)),
        _ => format!("The connection to {host} broke: {}.", outbound::chain(&error)),
    }
}

fn timed_out(host: &str) -> String {
    format!("{host} did not answer in time. Check the address, the network and whether the server is running.")
}

/// A text as a sentence: a capital first, a stop last.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = chars.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}

fn answer(outcome: Result<Vec<String>, String>, latency: Duration) -> TestProviderResponse {
    let latency = prost_types::Duration::try_from(latency).ok();
    match outcome {
        Ok(models) => TestProviderResponse {
            is_ok: true,
            message: match models.len() {
                1 => "The connection works. The server offers 1 model.".to_owned(),
                count => format!("The connection works. The server offers {count} models."),
            },
            models,
            latency,
        },
        Err(message) => TestProviderResponse {
            is_ok: false,
            message,
            models: Vec::new(),
            latency,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        assert!(refusal(StatusCode::UNAUTHORIZED, true).contains("rejected the API key"));
        assert!(refusal(StatusCode::UNAUTHORIZED, false).contains("Add one"));
        assert!(refusal(StatusCode::NOT_FOUND, true).contains("base URL"));
        assert!(refusal(StatusCode::BAD_GATEWAY, true).contains("502"));
    }

    #[test]
    fn texts_become_sentences() {
        assert_eq!(sentence("no way"), "No way.");
        assert_eq!(sentence("done."), "Done.");
        assert_eq!(sentence(""), ".");
    }
}
