//! Forges: where repositories are hosted and changes are proposed. Two kinds of interface, one answer.

mod github;
mod gitlab;
mod http;
mod place;

use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;
use tandem_chassis::clock::Clock;
use tandem_chassis::outbound::Outbound;
use tandem_proto::common::v1::DiffStatus;
use time::OffsetDateTime;
use url::Url;

use http::Http;
pub(crate) use place::Place;

/// Forges an installation can name.
const MAX_FORGES: usize = 32;

/// How a forge is spoken to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// As github.com.
    GitHub,
    /// As gitlab.com.
    GitLab,
}

/// A forge that is not known by its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The host of its repositories, with its port where that is not the usual one.
    pub host: String,
    /// How it is spoken to.
    pub kind: Kind,
    /// Where its interface is; unset: where forges of its kind have it.
    #[serde(default)]
    pub api_url: Option<Url>,
}

/// Why a forge gave no answer.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// Not before then.
    #[error("the forge wants to be asked less often")]
    Limited(OffsetDateTime),
    /// The token is no good, or not for this repository.
    #[error("the forge refuses the credential")]
    Refused,
    #[error("the forge knows no such thing")]
    NotFound,
    #[error("{0}")]
    Other(String),
}

/// All forges. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Forges {
    known: Arc<[Config]>,
    http: Http,
}

impl Kind {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        }
    }
}

impl Forges {
    pub(crate) fn new(config: &super::Config, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self {
            known: config.forges.iter().take(MAX_FORGES).cloned().collect(),
            http: Http::new(outbound, clock),
        }
    }

    /// The forge and the project an address of a repository is of, if it is one of a kind we know.
    pub(crate) fn place(&self, origin: &str) -> Option<Place> {
        Place::parse(origin, &self.known)
    }

    /// The pull request of a branch; `None` when there is none. The open one, or else the one that changed last.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn pull_request(
        &self,
        place: &Place,
        branch: &str,
        token: &SecretString,
    ) -> Result<Option<DiffStatus>, Failure> {
        let asking = self.http.with(token);
        match place.kind {
            Kind::GitHub => github::pull_request(asking, place, branch).await,
            Kind::GitLab => gitlab::pull_request(asking, place, branch).await,
        }
    }

    /// The diff of a pull request, or of a branch against the one changes go to.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn diff(
        &self,
        place: &Place,
        branch: &str,
        number: Option<i32>,
        token: &SecretString,
    ) -> Result<String, Failure> {
        let asking = self.http.with(token);
        match place.kind {
            Kind::GitHub => github::diff(asking, place, branch, number).await,
            Kind::GitLab => gitlab::diff(asking, place, branch, number).await,
        }
    }
}

/// A word of a forge's, as far as there is room for it.
fn bounded(text: impl Into<String>, most: usize) -> String {
    let mut text = text.into();
    if text.len() > most {
        let end = (0..=most)
            .rev()
            .find(|place| text.is_char_boundary(*place))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// An address of a forge's, if it is one that a browser may be sent to.
fn web_address(text: Option<String>) -> String {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let url = text
        .filter(|text| text.len() <= 2_048)
        .and_then(|text| Url::parse(&text).ok());
    url.filter(is_web).map(String::from).unwrap_or_default()
}
