//! Who answers an exchange: the model asked for, or one of those that its options name for the time when its vendor has no room.
//!
//! As in chats ([`crate::completion::task`]) only before anything of an answer has come, and only for lack of room; what needs somebody's
//! hand (keys, settings, money) is told as it is. Each is asked in its own words, with what the client has set. Where nobody answers, the
//! client is told why the model asked for did not. An answer of another model says so in a header.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tandem_chat_core::{error::ErrorKind, id::ModelConfigId};

use super::{
    Parts,
    body::{Body, Collected},
    dialect::Family,
    inject::{
        Offer,
        relayed::{self, Declined, Given, Left},
        request::Draft,
    },
    peek::Peek,
    refusal::Refusal,
    relay::{self, Outgoing, Told},
    tab::Tab,
    told,
};
use crate::catalog::Model;

/// Names the model that answers in another's place, as its vendor calls it.
pub(super) static ANSWERED_BY: HeaderName = HeaderName::from_static("x-tandem-fallback-model");

/// What is asked, whoever answers.
pub(super) struct Question<'a> {
    /// What the address asks for beside its path.
    pub(super) query: Option<&'a str>,
    /// The body, gone through.
    pub(super) peek: &'a Peek<'a>,
    /// The body, which takes room as long as anybody may be asked with it.
    pub(super) body: Arc<Collected>,
}

/// An exchange that nobody has answered.
pub(super) struct Unserved {
    tab: Tab,
    why: Why,
}

/// Why nobody has.
pub(super) enum Why {
    /// A refusal of ours.
    Refusal(Refusal),
    /// The vendor's own error.
    Told(Told),
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Told> for Why {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

impl Unserved {
    /// Keeps an exchange for somebody else to answer.
    pub(super) fn new(tab: Tab, why: impl Into<Why>) -> Box<Self> {
        let why = why.into();
        Box::new(Self { tab, why })
    }

    fn lack(&self) -> Option<ErrorKind> {
        match &self.why {
            Why::Refusal(refusal) => refusal.lack,
            Why::Told(told) => told.lack,
        }
    }

    /// Tells the client.
    fn told(self, parts: &Parts) -> Response<Body> {
        let Self { mut tab, why } = self;
        let response = why.response(parts, tab.dialect.family());
        tab.answered(response.status().as_u16());
        response
    }
}

impl Why {
    fn response(self, parts: &Parts, family: Family) -> Response<Body> {
        match self {
            Self::Told(told) => told.response,
            Self::Refusal(refusal) => {
                parts.metrics.refused(refusal.reason.as_str());
                refusal.response(family)
            }
        }
    }
}

/// Answers an exchange; returns with the first words, or with all of them.
pub(super) async fn serve(parts: &Arc<Parts>, tab: Tab, headers: HeaderMap, question: &Question<'_>) -> Response<Body> {
    let others = others(&tab);
    let kept = (!others.is_empty()).then(|| headers.clone());
    let first = match ask(parts, tab, headers, question).await {
        Ok(response) => return response,
        Err(unserved) => *unserved,
    };
    let (Some(headers), Some(lack)) = (kept, first.lack()) else {
        return first.told(parts);
    };
    let Unserved { mut tab, why } = first;
    let asked = Arc::clone(&tab.model);
    for id in others {
        let Some(model) = stand_in(parts, &tab, &asked, id, lack).await else {
            continue;
        };
        let name = model.model.clone();
        tab.hand_over(model).await;
        match ask(parts, tab, headers.clone(), question).await {
            // Also a failure behind words, or behind tools that have run, which is this one's own.
            Ok(mut response) => {
                name_model(&mut response, &name);
                return response;
            }
            Err(unserved) => {
                tracing::info!(model = name, "the fallback does not answer either");
                tab = unserved.tab;
            }
        }
    }
    tab.hand_over(asked).await;
    Unserved { tab, why }.told(parts)
}

/// Those that may answer in a model's place. Nobody pays for another one where a caller brings their own credential.
fn others(tab: &Tab) -> Vec<ModelConfigId> {
    let named = tab.model.fallbacks.iter().filter(|_| !tab.brings_key);
    named.copied().filter(|id| *id != tab.model.id).collect()
}

/// A model that can be called in the place of the one asked for.
async fn stand_in(parts: &Parts, tab: &Tab, asked: &Model, id: ModelConfigId, lack: ErrorKind) -> Option<Arc<Model>> {
    let model = match parts.directory.stand_in(id, &tab.caller).await {
        Ok(model) => model,
        Err(refusal) => {
            tracing::info!(model_config_id = %id, error = refusal.message, "a fallback cannot be called");
            return None;
        }
    };
    tracing::warn!(
        provider = asked.provider.name,
        model = asked.model,
        to_provider = model.provider.name,
        to_model = model.model,
        reason = lack.as_str(),
        "another model is asked"
    );
    parts.service_metrics.fell_back(asked, &model, lack.as_str());
    Some(model)
}

/// Says who answers.
fn name_model(response: &mut Response<Body>, name: &str) {
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert(ANSWERED_BY.clone(), name);
    }
}

/// Asks the model of the tab.
async fn ask(
    parts: &Arc<Parts>,
    mut tab: Tab,
    mut headers: HeaderMap,
    question: &Question<'_>,
) -> Result<Response<Body>, Box<Unserved>> {
    let (dialect, body) = (tab.dialect, &question.body.bytes);
    let Some(protocol) = dialect.native(tab.model.provider.kind) else {
        return told::tell(parts, tab, &headers, body).await;
    };
    if let Some((offer, draft)) = given(parts, &tab, question).await {
        let given = Given {
            tab,
            offer,
            draft,
            protocol,
            headers,
            query: question.query.map(str::to_owned),
            strips_usage: question.peek.adds_usage(dialect),
            body: Arc::clone(&question.body),
        };
        match relayed::relay(parts, given).await {
            Ok(response) => return Ok(response),
            Err(Left::Unserved(unserved)) => return Err(unserved),
            Err(Left::Declined(declined)) => Declined { tab, headers } = *declined,
        }
    }
    let outgoing = Outgoing {
        protocol,
        headers,
        query: question.query,
        peek: question.peek,
        body,
    };
    relay::relay(parts, tab, outgoing).await
}

/// The tools that a request is given which is handed on, and the request that takes them.
async fn given(parts: &Parts, tab: &Tab, question: &Question<'_>) -> Option<(Offer, Draft)> {
    let injector = parts.injector.as_ref()?;
    let (dialect, model) = (tab.dialect, &tab.model.model);
    let body: Bytes = question.peek.for_vendor(dialect, model, &question.body.bytes);
    let draft = Draft::of(dialect, &body)?;
    let offer = injector.offer(&tab.caller.identity, model, draft.own_tools()).await?;
    Some((offer, draft))
}
