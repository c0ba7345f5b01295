//! One call to an API server: within a time, with an answer of bounded size, and with errors in words of our own.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::Request;
use kube::core::params::{DeleteParams, GetParams, ListParams, Patch, PatchParams};
use kube::{Client, Config as Access};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::error::Error;

/// Who owns the fields we write.
const FIELD_MANAGER: &str = "tandem";

/// Largest answer; a pod's state has a few kilobytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Pauses before a call is repeated that had no answer just now. Every call here may be made twice.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// What is made of objects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Pod,
    Secret,
    Claim,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Secret => "secrets",
            Self::Claim => "persistentvolumeclaims",
        }
    }
}

/// An API server, and the namespace we work in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    namespace: String,
    call_timeout: Duration,
}

/// What an API server says besides objects.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Api {
    /// Reads the credentials. Calls nobody.
    ///
    /// # Errors
    /// There are none, or they cannot be used.
    pub(crate) async fn new(config: &Config) -> Result<Self, Error> {
        let mut access = match &config.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| match error {
                    KubeconfigError::ReadConfig(source, path) => Error::File { path, source },
                    other => Error::Credentials(problem(&other)),
                })?;
                let found = Access::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
                found.map_err(|error| Error::Credentials(problem(&error)))?
            }
            None => Access::incluster().map_err(|_| {
                Error::Credentials("there is no service account here; outside a cluster, set kubernetes.kubeconfig")
            })?,
        };
        // One time is kept for all of a call, by `call`.
        access.connect_timeout = None;
        access.read_timeout = None;
        access.write_timeout = None;
        // What is repeated is decided here, within the time of a call.
        access.default_retry = false;
        let namespace = config.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| access.default_namespace.clone());
        let client = Client::try_from(access).map_err(|_| Error::Credentials("no client can be made with them"))?;
        Ok(Self {
            client,
            namespace,
            call_timeout: config.call_timeout,
        })
    }

    /// The namespace of everything that is made.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The object, if there is one.
    pub(crate) async fn find<T: DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<Option<T>, Error> {
        match self.call(|| self.path(kind).get(name, &GetParams::default())).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the object, or makes it so.
    pub(crate) async fn apply(&self, kind: Kind, name: &str, object: &Value) -> Result<(), Error> {
        let how = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        let applied = self.call::<Value>(|| self.path(kind).patch(name, &how, &Patch::Apply(object)));
        applied.await.map(drop)
    }

    /// Begins to delete the object; there may be none.
    pub(crate) async fn delete(&self, kind: Kind, name: &str, grace: Option<Duration>) -> Result<(), Error> {
        let how = DeleteParams {
            grace_period_seconds: grace.map(|grace| u32::try_from(grace.as_secs()).unwrap_or(u32::MAX)),
            ..DeleteParams::default()
        };
        match self.call::<Value>(|| self.path(kind).delete(name, &how)).await {
            Err(error) if !error.is_missing() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Deletes all objects with these labels.
    pub(crate) async fn delete_all(&self, kind: Kind, labels: &str) -> Result<(), Error> {
        let which = ListParams::default().labels(labels);
        let deleted = self.call::<Value>(|| self.path(kind).delete_collection(&DeleteParams::default(), &which));
        deleted.await.map(drop)
    }

    fn path(&self, kind: Kind) -> Request {
        Request::new(format!("/api/v1/namespaces/{}/{}", self.namespace, kind.plural()))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            // Names and paths are made of ids and of the namespace, so that only the latter can be at fault.
            let asked = request().map_err(|_| Error::Setting {
                name: "namespace",
                problem: "cannot be part of an address",
            })?;
            let answer = tokio::time::timeout(self.call_timeout, self.once(asked)).await;
            match (answer.unwrap_or(Err(Error::Late)), pauses.next()) {
                (Err(error), Some(pause)) if error.is_passing() => {
                    tracing::debug!(%error, ?pause, "a call to the cluster failed, trying again");
                    tokio::time::sleep(pause).await;
                }
                (answer, _) => return answer,
            }
        }
    }

    async fn once<T: DeserializeOwned>(&self, request: http::Request<Vec<u8>>) -> Result<T, Error> {
        let answer = self
            .client
            .send(request.map(Body::from))
            .await
            .map_err(|error| match error {
                // Its text may be what a program printed that was to print a token.
                kube::Error::Auth(_) => Error::Credentials("they could not be renewed"),
                _ => Error::Unreachable,
            })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| Error::Garbled)?.to_bytes();
        if status == http::StatusCode::UNAUTHORIZED {
            return Err(Error::Credentials("the API server does not accept them"));
        }
        if !status.is_success() {
            let said: Option<Refusal> = serde_json::from_slice(&body).ok();
            let message = said.map(|said| said.message).unwrap_or_default();
            return Err(Error::refused(status.as_u16(), &message));
        }
        serde_json::from_slice(&body).map_err(|_| Error::Garbled)
    }
}

/// What is wrong with a kubeconfig, without anything that stands in it: the library's own words show lines of the file.
fn problem(error: &KubeconfigError) -> &'static str {
    match error {
        KubeconfigError::CurrentContextNotSet | KubeconfigError::LoadContext(_) => {
            "the file's current context is not there"
        }
        KubeconfigError::LoadClusterOfContext(_)
        | KubeconfigError::MissingClusterUrl
        | KubeconfigError::ParseClusterUrl(_) => "the file does not say where the cluster of its current context is",
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            "the cluster's certificate authority cannot be read"
        }
        KubeconfigError::LoadClientCertificate(_) | KubeconfigError::LoadClientKey(_) => {
            "the client's certificate or key cannot be read"
        }
        _ => "the file is no kubeconfig",
    }
}
