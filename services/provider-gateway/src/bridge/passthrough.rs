//! Hands on what is not understood, where the list of routes allows it: with the provider's credential, counted and not recorded.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tandem_protocols::{
    Kind, Protocol,
    call::{Purpose, Request},
};
use tokio::time::Instant;

use super::{
    Exchange,
    body::Body,
    dialect::{Dialect, Layout},
    directory::{Found, Listed},
    headers,
    passed::Passed,
    peek::Peek,
    refusal::{Reason, Refusal},
    translate,
    vendor::{Call, Keys, VendorError, add_query},
};
use crate::{
    catalog::Provider,
    config::Guards,
    spend::{Order, estimate},
};

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
        if found.provider.kind == Kind::Anthropic {
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
        self.check_own(listed)?;
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
        let mut headers = headers::for_vendor(self.headers, brings_key);
        headers.entry(header::USER_AGENT).or_insert(AGENT);
        let parts = &**self.parts;
        let call = Call {
            parts,
            provider: &provider,
            protocol,
            method: self.method.clone(),
            url,
            headers,
            body,
            first_by: Instant::now() + parts.guards.startup_at(&provider.base_url),
        };
        // The first healthy one, whatever comes of it: a path that somebody chose says nothing of a key.
        let keys = Keys::of(parts, &provider, brings_key)?;
        let response = call.send(keys.current()).await;
        let response = response.map_err(|unanswered| unanswered.refusal)?;
        if response.status().is_success() {
            return Ok(passed(response, &parts.guards, event_dialect(path)));
        }
        let error = VendorError::read(parts, &provider, response).await;
        if let Some(status) = error.about_key() {
            parts.metrics.passed_on_in_vain(&provider.name, route(path), status);
        }
        error.passed_on(&provider, keys.current())
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

/// The dialect of events at a path, as far as they have one.
fn event_dialect(path: &str) -> Option<Dialect> {
    match route(path) {
        "responses" | "conversations" => Some(Dialect::Responses),
        "messages" => Some(Dialect::Messages),
        "agents" => Some(Dialect::ChatCompletions),
        _ => None,
    }
}

/// An answer as it comes.
///
/// * `dialect`: of its events, should it have some.
fn passed(response: reqwest::Response, guards: &Guards, dialect: Option<Dialect>) -> Response<Body> {
    let status = response.status();
    let mut headers = headers::for_client(response.headers().clone());
    let dialect = dialect.filter(|_| headers::is_events(&headers) && headers::is_plain(&headers));
    if dialect.is_some() {
        // An error may come to stand at its end.
        headers.remove(header::CONTENT_LENGTH);
    }
    let mut answer = Response::new(Body::passed(Passed::new(response.bytes_stream(), guards, dialect)));
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
        "agents" => "agents",
        "mcp" => "mcp",
        ".well-known" => "well-known",
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
        continues: None,
        output: None,
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
    match Layout::of(listed.kind) {
        Layout::Anthropic => listed.kind == Kind::Anthropic,
        Layout::OpenAi | Layout::Copilot => Dialect::ChatCompletions.native(listed.kind).is_some(),
    }
}
