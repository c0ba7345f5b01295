//! Hands on what is not understood, where the list of routes allows it: with the provider's credential, counted and not recorded.

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, header};
use tokio::time::timeout;

use super::{
    Exchange,
    body::Body,
    dialect::{Dialect, Family},
    directory::{Found, Listed},
    headers,
    peek::Peek,
    refusal::{Reason, Refusal},
    relay::{add_query, refused_address, unanswered, with_key},
    translate,
};
use crate::{
    catalog::Provider,
    completion::{Purpose, Request},
    provider::{Kind, Protocol},
    secret::redact,
    spend::{Order, estimate},
};

/// Largest error body handed on.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// What a client without a name is called.
const AGENT: HeaderValue = HeaderValue::from_static("tandem-bridge");

impl Exchange<'_> {
    /// Hands a request on to the provider the path names.
    ///
    /// * `is_versioned`: `path` is below the version of the provider's protocol, else below its root.
    pub(super) async fn pass_on(self, path: &str, is_versioned: bool, body: Bytes) -> Result<Response<Body>, Refusal> {
        let Some(listed) = self.fixed.clone() else {
            return Err(Refusal::new(
                Reason::NoRoute,
                format!("route not supported: {} {path}", self.method),
            ));
        };
        self.pass_to(&listed, path, is_versioned, body).await
    }

    /// Counts the tokens of a prompt: by the vendor if it is spoken to in that way, else by an estimate.
    pub(super) async fn count_tokens(self, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let dialect = Dialect::Messages;
        let peek = Peek::of(dialect, body)?;
        let found = self
            .parts
            .directory
            .find(&peek.model, dialect, self.fixed.as_ref())
            .await?;
        if dialect.native(found.provider.kind).is_some() {
            let sent = peek.for_vendor(dialect, &found.model, body);
            return self.pass_to(&found.provider, "messages/count_tokens", true, sent).await;
        }
        estimated(&found, body)
    }

    async fn pass_to(
        self,
        listed: &Listed,
        path: &str,
        is_versioned: bool,
        body: Bytes,
    ) -> Result<Response<Body>, Refusal> {
        let brings_key = self.brings_key();
        let provider = self
            .parts
            .directory
            .provider_for(listed, self.caller, brings_key)
            .await?;
        let Some((protocol, mut url)) = address(&provider, path, is_versioned) else {
            let text = format!("The provider {} has nothing at that path.", provider.name);
            return Err(Refusal::new(Reason::NoRoute, text));
        };
        add_query(&mut url, self.uri.query());
        self.parts.metrics.passed_on(&provider.name, route(path), self.method);
        let keys = self.parts.health.pools.in_turn(provider.id, &provider.keys);
        let key = keys.ok().and_then(|keys| keys.into_iter().next());
        let key = key.or_else(|| provider.keys.first().cloned());
        let mut sent = headers::for_vendor(self.headers, brings_key);
        sent.entry(header::USER_AGENT).or_insert(AGENT);
        let sent = with_key(protocol, &provider, key.as_ref(), sent)?;
        let request = self.parts.outbound.request(self.method.clone(), url);
        let request = request
            .map_err(|refused| refused_address(&refused))?
            .headers(sent)
            .body(body);
        let limit = self.parts.guards.startup;
        let sent = timeout(limit, request.send()).await.map_err(|_| {
            let (name, limit) = (&provider.name, limit.as_secs());
            let text = format!("The provider {name} did not answer within {limit} seconds; try again.");
            Refusal::new(Reason::TooSlow, text)
        })?;
        let response = sent.map_err(|error| unanswered(&provider, error).0)?;
        if response.status().is_redirection() {
            let text = format!(
                "The provider {} redirects elsewhere, which is not followed.",
                provider.name
            );
            return Err(Refusal::new(Reason::Upstream, text));
        }
        Ok(self::response(response, &provider, self.parts.guards.silence).await)
    }
}

/// Where a path is, and how its credential is shown.
fn address(provider: &Provider, path: &str, is_versioned: bool) -> Option<(Protocol, url::Url)> {
    let protocol = match provider.kind {
        Kind::Anthropic => Protocol::Messages,
        kind => Dialect::ChatCompletions.native(kind)?,
    };
    let versioned = protocol.url(provider.kind, &provider.base_url, if is_versioned { path } else { "" })?;
    if is_versioned {
        return Some((protocol, versioned));
    }
    let mut url = versioned;
    let base = url.path().trim_end_matches('/').trim_end_matches("/v1").to_owned();
    url.set_path(&format!("{base}/{path}"));
    Some((protocol, url))
}

/// An answer as it comes. Errors are read whole, since vendors put credentials into them.
async fn response(response: reqwest::Response, provider: &Provider, silence: std::time::Duration) -> Response<Body> {
    let status = response.status();
    let mut headers = headers::for_client(response.headers().clone());
    let mut pieces = response.bytes_stream();
    let body = if status.is_client_error() || status.is_server_error() {
        let mut body = Vec::new();
        let reading = async {
            while let Some(Ok(piece)) = pieces.next().await {
                let room = MAX_ERROR_BYTES - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if body.len() == MAX_ERROR_BYTES {
                    break;
                }
            }
        };
        // What came until then is all there is to say.
        let _ = timeout(silence, reading).await;
        headers.remove(header::CONTENT_LENGTH);
        Body::full(Bytes::from(redact(&String::from_utf8_lossy(&body), &provider.keys)))
    } else {
        Body::passed(pieces, silence)
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// The first part of a path, for metrics.
fn route(path: &str) -> &'static str {
    match path.split('/').next().unwrap_or_default() {
        "conversations" => "conversations",
        "models" => "models",
        "responses" => "responses",
        "messages" => "messages",
        "api" => "api",
        _ => "other",
    }
}

/// What a prompt comes to, where its vendor does not count.
fn estimated(found: &Found, body: &Bytes) -> Result<Response<Body>, Refusal> {
    let asked = translate::read(Dialect::Messages, body).map_err(|refused| refused_field(&refused))?;
    let request = Request {
        id: uuid::Uuid::nil().into(),
        model_config_id: found.config_id(),
        messages: asked.messages,
        tools: asked.tools,
        tool_choice: asked.tool_choice,
        max_output_tokens: None,
        chat_id: None,
        purpose: Purpose::Bridge,
    };
    let count = estimate::input_tokens(&Order::from(&request));
    let mut response = Response::new(Body::full(Bytes::from(format!(r#"{{"input_tokens":{count}}}"#))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// A field that cannot be understood or carried.
pub(super) fn refused_field(refused: &translate::Refused) -> Refusal {
    let text = match refused.field.as_str() {
        "" => refused.message.clone(),
        field => format!("{field}: {}", refused.message),
    };
    Refusal::new(Reason::Invalid, text)
}

/// Whose models are listed by asking the provider itself.
pub(super) fn lists_itself(listed: &Listed) -> bool {
    match Family::of(listed.kind) {
        Family::Anthropic => listed.kind == Kind::Anthropic,
        Family::OpenAi => Dialect::ChatCompletions.native(listed.kind).is_some(),
    }
}
