//! A small REST client: one user's token, JSON in and out, nothing hidden.

use anyhow::{Context as _, ensure};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// A caller of the REST face. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// `null` when the body is empty or no JSON.
    pub json: Value,
    what: String,
}

impl Answer {
    /// The JSON, if the status is as expected.
    ///
    /// # Errors
    /// Shows the request and the whole answer.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        ensure!(
            self.status == status,
            "{} was answered {} instead of {status}: {}",
            self.what,
            self.status,
            self.text
        );
        Ok(self.json)
    }
}

impl Rest {
    /// A caller of `http://host:port` with this token, or none.
    pub fn new(client: reqwest::Client, base: impl Into<String>, token: Option<String>) -> Self {
        Self {
            client,
            base: base.into(),
            token,
        }
    }

    /// The same server for somebody else.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// The same caller at another server, `http://host:port`.
    pub fn at(&self, base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            ..self.clone()
        }
    }

    /// The same server for nobody.
    pub fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// The token this caller shows.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `http://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// # Errors
    /// When no answer came; any status is an answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// # Errors
    /// When no answer came.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// # Errors
    /// When no answer came.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// # Errors
    /// When no answer came.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// # Errors
    /// When no answer came.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// Any bytes as a body, called JSON, for bad input.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn raw(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> anyhow::Result<Answer> {
        let request = self
            .request(method.clone(), path)
            .header("content-type", "application/json")
            .body(body.into());
        finish(request, format!("{method} {path}")).await
    }

    /// A request to build further, already authorised.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let what = format!("{method} {path}");
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        finish(request, what).await
    }
}

/// Sends a built request.
///
/// # Errors
/// When no answer came.
pub async fn finish(request: reqwest::RequestBuilder, what: String) -> anyhow::Result<Answer> {
    let response = request.send().await.with_context(|| format!("{what} got no answer"))?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.with_context(|| format!("{what} was cut short"))?;
    Ok(Answer {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
        what,
    })
}
