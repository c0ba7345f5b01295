//! Asks for a message: body, address and what proves who asks. The exchange itself is [`crate::http`]'s.

use ::http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tandem_chat_core::{classify::Cause, error::ErrorKind};
use url::Url;

use super::{
    address,
    credentials::Environment,
    role::Trouble,
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

/// What is asked of the answer itself.
const OUTPUT_CONFIG: &str = "output_config";

/// What AWS does not take of the protocol: it names the model in the address and knows nothing of the rest.
const REFUSED: [&str; 7] = [
    "model",
    "stream",
    "metadata",
    "service_tier",
    "container",
    "inference_geo",
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
    let beta = anthropic::beta(&request, &model.model);
    let body = body(anthropic::body(&request, &translated(&model))?, beta)?;
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
///
/// * `beta`: what it uses of what is in trial, which the vendor itself is told in a header.
fn body(mut request: Map<String, Value>, beta: Option<&str>) -> Result<Vec<u8>, Failure> {
    request.retain(|name, _| !REFUSED.contains(&name.as_str()));
    // Of what is asked of the answer AWS knows the form, for some models, and nothing else.
    let config = request.remove(OUTPUT_CONFIG);
    if let Some(form) = config.as_ref().and_then(|config| config.get("format")) {
        request.insert(OUTPUT_CONFIG.to_owned(), json!({ "format": form }));
    }
    request.insert("anthropic_version".to_owned(), json!(VERSION));
    if let Some(beta) = beta {
        request.insert("anthropic_beta".to_owned(), json!([beta]));
    }
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
    // Where the address says it, or a token needs none, what this machine names does not matter.
    let is_used = address::is_default(base_url) || (address::region(base_url).is_none() && aws.bearer().is_none());
    if is_used && of_chain.is_some_and(|region| !address::is_region(region)) {
        let text =
            "what this machine names as its AWS region is no region; correct AWS_REGION, or the profile's region";
        return Err(Failure::known(ErrorKind::Config, text));
    }
    if let Some(token) = aws.bearer() {
        let base_url = of_chain.map_or_else(|| base_url.clone(), |region| address::in_region(base_url, region));
        let mut token =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| unsendable())?;
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
        return Ok((address::stream(&base_url, model), headers));
    }
    let Some(credentials) = found.credentials else {
        let text = |trouble: &Trouble| format!("this machine's AWS credentials could not be had: {trouble}");
        return Err(match &found.trouble {
            Some(trouble @ Trouble::Passing(_)) => Failure::new(Cause::Transport, text(trouble)),
            Some(trouble @ Trouble::Lasting(_)) => Failure::known(ErrorKind::Config, text(trouble)),
            None => {
                let text = "there is no API key, and this machine has no AWS credentials";
                Failure::known(ErrorKind::MissingKey, text)
            }
        });
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
