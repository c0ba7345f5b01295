//! Asks for a message: body, address and what proves who asks. The exchange itself is [`crate::http`]'s.

use ::http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tandem_chat_core::{classify::Cause, error::ErrorKind};
use url::Url;

use super::{
    address,
    credentials::Environment,
    sign::{self, Scope},
};
use crate::{
    ApiKey, Call, Deltas, Failure, Model, anthropic,
    http::{self, Http},
    openai,
};

/// Largest request AWS reads.
const MAX_REQUEST_BYTES: usize = 20 * 1024 * 1024;

/// The version of the protocol as AWS calls it.
const VERSION: &str = "bedrock-2023-05-31";

/// What AWS does not take of the protocol: it names the model in the address and knows nothing of the rest.
const REFUSED: [&str; 8] = [
    "model",
    "stream",
    "metadata",
    "service_tier",
    "container",
    "inference_geo",
    "output_config",
    "context_management",
];

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(crate) async fn open(http: &Http, aws: &Environment, call: Call) -> Result<Deltas, Failure> {
    if address::is_compatible(&call.model.provider.base_url) {
        return openai::open(http, call).await;
    }
    let Call { request, model, key } = call;
    let body = body(anthropic::body(&request, &translated(&model))?)?;
    let parser = anthropic::parser(&request, &model);
    let base_url = &model.provider.base_url;
    let (url, headers) = match &key {
        Some(key) => (address::stream(base_url, &model.model), bearer(key)?),
        None => proven(http, aws, base_url, &model.model, &body).await?,
    };
    http.post(url, headers, body, parser).await
}

/// The model with its options where the protocol looks for them. AWS has no search.
fn translated(model: &Model) -> Model {
    let mut model = model.clone();
    let options = model.options.get_mut("provider_options").and_then(Value::as_object_mut);
    if let Some(options) = options {
        if let Some(own) = options.remove("bedrock") {
            options.insert("anthropic".to_owned(), own);
        }
        if let Some(own) = options.get_mut("anthropic").and_then(Value::as_object_mut) {
            own.remove("web_search_enabled");
        }
    }
    model
}

/// A request of the protocol as AWS takes it.
fn body(mut request: Map<String, Value>) -> Result<Vec<u8>, Failure> {
    request.retain(|name, _| !REFUSED.contains(&name.as_str()));
    request.insert("anthropic_version".to_owned(), json!(VERSION));
    http::json_within(MAX_REQUEST_BYTES, &request)
}

/// What every request says; all of it is signed.
fn plain() -> HeaderMap {
    let stream = HeaderValue::from_static("application/vnd.amazon.eventstream");
    HeaderMap::from_iter([
        (header::ACCEPT, stream),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ])
}

fn bearer(key: &ApiKey) -> Result<HeaderMap, Failure> {
    let mut headers = plain();
    headers.insert(header::AUTHORIZATION, http::credential("Bearer ", key)?);
    Ok(headers)
}

/// Address and headers with what this machine has. A signature holds for one region, so nobody guesses it.
async fn proven(
    http: &Http,
    aws: &Environment,
    base_url: &Url,
    model: &str,
    body: &[u8],
) -> Result<(Url, HeaderMap), Failure> {
    let found = aws.find(http.now()).await;
    let mut headers = plain();
    let of_chain = found.region.as_deref();
    if let Some(token) = aws.bearer() {
        let base_url = of_chain.map_or_else(|| base_url.clone(), |region| address::in_region(base_url, region));
        let mut token =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| unsendable())?;
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
        return Ok((address::stream(&base_url, model), headers));
    }
    let Some(credentials) = found.credentials else {
        if let Some(trouble) = found.trouble {
            let text = format!("the credentials of this machine's AWS role could not be had: {trouble}");
            return Err(Failure::new(Cause::Transport, text));
        }
        let text = "there is no API key, and this machine has no AWS credentials";
        return Err(Failure::known(ErrorKind::MissingKey, text));
    };
    let own = address::region(base_url).filter(|_| !address::is_default(base_url));
    let Some(region) = own.or(of_chain) else {
        let text = "this machine names no AWS region (AWS_REGION), which its AWS credentials need";
        return Err(Failure::known(ErrorKind::Config, text));
    };
    let url = address::stream(&address::in_region(base_url, region), model);
    let scope = Scope {
        region,
        service: "bedrock",
        now: http.now(),
    };
    sign::sign("POST", &url, &mut headers, body, &credentials, &scope).map_err(|_| unsendable())?;
    Ok((url, headers))
}

fn unsendable() -> Failure {
    let text = "this machine's AWS credentials have characters that cannot be sent";
    Failure::known(ErrorKind::Auth, text)
}

#[cfg(test)]
mod tests;
