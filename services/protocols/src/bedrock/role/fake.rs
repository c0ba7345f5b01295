//! AWS's services that give credentials, on this machine: they keep what they are asked, and answer what they are told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};
use url::form_urlencoded;

use crate::bedrock::sign::{self, Credentials, Scope};

/// When tests take place.
pub(super) const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// All of the services, each at its path.
#[derive(Clone)]
pub(super) struct Aws {
    pub(super) base: String,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    asked: Mutex<Vec<Asked>>,
    /// By path. The last one stays.
    answers: Mutex<HashMap<String, VecDeque<(StatusCode, String)>>>,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Aws {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let aws = Self {
            base: format!("http://{}/", listener.local_addr().unwrap()),
            inner: Arc::default(),
        };
        let router = Router::new().fallback(Self::answered).with_state(aws.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        aws
    }

    async fn answered(
        State(aws): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, String) {
        let path = uri.path().to_owned();
        aws.inner.asked.lock().unwrap().push(Asked {
            method,
            uri,
            headers,
            body,
        });
        let mut answers = aws.inner.answers.lock().unwrap();
        let answers = answers.entry(path).or_default();
        match answers.len() {
            0 => (StatusCode::NOT_FOUND, String::new()),
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    }

    /// Answers this at a path, after whatever else it has been told.
    pub(super) fn answer(&self, path: &str, status: StatusCode, body: impl Into<String>) {
        let mut answers = self.inner.answers.lock().unwrap();
        answers
            .entry(path.to_owned())
            .or_default()
            .push_back((status, body.into()));
    }

    /// What was asked, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }
}

impl Asked {
    /// What is said in it, by name.
    pub(super) fn form(&self) -> HashMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// Whether it is signed by these credentials, now, for the token service of a region.
    pub(super) fn is_signed_by(&self, credentials: &Credentials, region: &str, base: &str) -> bool {
        let shown = self.headers["authorization"].to_str().unwrap();
        let (_, behind) = shown.split_once("SignedHeaders=").unwrap();
        let (names, _) = behind.split_once(',').unwrap();
        // The signature adds these itself.
        let added = ["host", "x-amz-date", "x-amz-security-token"];
        let names = names.split(';').filter(|name| !added.contains(name));
        let value = |name: &str| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                self.headers[name].clone(),
            )
        };
        let mut headers = HeaderMap::from_iter(names.map(value));
        let scope = Scope {
            region,
            service: "sts",
            now: NOW,
        };
        let url = base.parse().unwrap();
        sign::sign("POST", &url, &mut headers, self.body.as_bytes(), credentials, &scope).unwrap();
        headers["authorization"] == shown
    }
}

/// Credentials as the token service writes them.
pub(super) fn of_sts(id: &str, expires_at: OffsetDateTime) -> String {
    let expires_at = expires_at.format(&Rfc3339).unwrap();
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/a/b</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>canary-secret-{id}</SecretAccessKey>\
         <SessionToken>canary-session-{id}</SessionToken><Expiration>{expires_at}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

/// The same credentials, as they are signed with.
pub(super) fn credentials(id: &str) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        secret: format!("canary-secret-{id}").into(),
        session_token: Some(format!("canary-session-{id}").into()),
    }
}
