//! What one exchange comes to: it is opened once, closed once whatever happens, and then counted, paid and recorded.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use tandem_chat_core::{error::ErrorKind, id::CompletionId, wire::time_to_wire};
use tandem_proto::storage::v1::{CredentialKind, Interception};
use tandem_protocols::call::Purpose;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use super::{
    Parts,
    caller::Caller,
    client::{self, Client},
    dialect::Dialect,
    metrics::Ended,
    peek::Peek,
    prompt::Last,
    record::Recording,
    refusal::{Reason, Refusal},
    sniff::Heard,
};
use crate::{
    catalog::Model,
    meter,
    spend::{Account, Order, Payer, Prompt, ledger::Bill},
};

/// The HTTP status recorded for an exchange whose client left before there was one.
const CLIENT_LEFT: u16 = 499;

/// One exchange with a model.
pub struct Tab {
    parts: Arc<Parts>,
    /// Names it everywhere.
    pub id: Uuid,
    /// In whose name.
    pub caller: Arc<Caller>,
    /// With which model.
    pub model: Arc<Model>,
    /// How it is written.
    pub dialect: Dialect,
    /// By which program.
    client: Client,
    /// The caller's own vendor credential is used.
    pub brings_key: bool,
    body_bytes: usize,
    max_output_tokens: Option<u32>,
    account: Account,
    started_at: Instant,
    /// Names to the ledger what is asked of the vendor now: the exchange, or a later round of it.
    order: Uuid,
    /// When that began.
    ordered_at: Instant,
    /// What was heard in the rounds before.
    earlier: Heard,
    is_open: bool,
    /// `None` if nothing is recorded of it.
    recording: Option<Recording>,
    /// Somebody else tells the ledger.
    is_paid_elsewhere: bool,
    /// What the client has seen of it.
    status: u16,
    /// The engine waits for it.
    _open: TaskTrackerToken,
}

/// What is needed to open one.
pub struct Opening<'a> {
    /// In whose name.
    pub caller: &'a Arc<Caller>,
    /// How the request is written.
    pub dialect: Dialect,
    /// The request's own headers.
    pub headers: &'a HeaderMap,
    /// Its body, gone through.
    pub peek: &'a Peek<'a>,
    /// The length of its body.
    pub body_bytes: usize,
    /// With which model.
    pub model: Arc<Model>,
    /// The caller's own vendor credential is used.
    pub brings_key: bool,
    /// A credential of which both ends are recorded.
    pub credential: Option<&'a str>,
}

impl Tab {
    /// Begins an exchange.
    ///
    /// # Errors
    /// There is no room for its records.
    pub fn open(parts: &Arc<Parts>, opening: Opening<'_>) -> Result<Self, Refusal> {
        let Opening {
            caller,
            dialect,
            headers,
            peek,
            body_bytes,
            model,
            brings_key,
            credential,
        } = opening;
        let (id, now) = (Uuid::now_v7(), parts.clock.monotonic());
        let mut tab = Self {
            parts: Arc::clone(parts),
            id,
            caller: Arc::clone(caller),
            model,
            dialect,
            client: Client::of(headers),
            brings_key,
            body_bytes,
            max_output_tokens: peek.max_output_tokens,
            account: Account::default(),
            started_at: now,
            order: id,
            ordered_at: now,
            earlier: Heard::default(),
            is_open: true,
            recording: None,
            is_paid_elsewhere: false,
            status: CLIENT_LEFT,
            _open: parts.open.token(),
        };
        parts.metrics.began(dialect.path());
        if parts.recorder.is_on() {
            let last = peek.conversation.map(|conversation| Last::of(dialect, conversation));
            let Last { prompt, answered_call } = last.unwrap_or_default();
            if prompt.is_some() {
                parts.metrics.prompted(tab.client.as_str());
            }
            let start = tab.interception(headers, peek, answered_call, credential);
            let recording = parts.recorder.begin(tab.id, start, prompt);
            tab.recording = recording.map_err(|full| {
                tracing::warn!(%full, "an exchange was refused");
                let text = "There is no room for the record of another exchange now; try again.";
                Refusal::new(Reason::Unavailable, text).after(Duration::from_secs(1))
            })?;
        }
        Ok(tab)
    }

    fn interception(
        &self,
        headers: &HeaderMap,
        peek: &Peek<'_>,
        answered_call: String,
        credential: Option<&str>,
    ) -> Interception {
        let provider = &self.model.provider;
        let credential_kind = if self.brings_key {
            CredentialKind::Byok
        } else {
            CredentialKind::Centralized
        };
        let metadata = peek.metadata.map(|metadata| metadata.get());
        Interception {
            id: self.id.to_string(),
            initiator_id: self.caller.user.to_string(),
            credential_id: self.caller.credential_id.clone(),
            provider_id: provider.id.to_string(),
            provider_type: provider.kind.as_str().to_owned(),
            provider_name: provider.name.clone(),
            model: peek.model.clone().into_owned(),
            client: self.client.as_str().to_owned(),
            user_agent: client::user_agent(headers).to_owned(),
            client_session_id: self.client.session(headers, metadata),
            correlating_tool_call_id: answered_call,
            credential_kind: credential_kind.into(),
            credential_hint: credential.map(client::hint).unwrap_or_default(),
            started_at: Some(time_to_wire(self.parts.clock.now())),
            ended_at: None,
            session_id: String::new(),
            thread_root_id: String::new(),
            thread_parent_id: String::new(),
            initiator_username: self.caller.username.clone(),
        }
    }

    /// Sets aside what it may cost, if its payer has a limit.
    ///
    /// # Errors
    /// The limit is reached.
    pub async fn reserve(&self) -> Result<(), Refusal> {
        let (order, payer) = (self.order(), Some(self.payer()));
        let reserving = self.parts.ledger.reserve(&order, payer, &self.model, &self.account);
        reserving.await.map_err(|refusal| {
            let reason = match refusal.kind {
                // Others hold what is left of the limit: it may well be given back.
                ErrorKind::UsageLimit if refusal.is_retryable => Reason::RateLimited,
                ErrorKind::UsageLimit => Reason::SpendLimit,
                _ => Reason::Unavailable,
            };
            Refusal::new(reason, refusal.message).after(refusal.retry_after)
        })
    }

    /// The vendor has accepted the request, so it costs something.
    pub fn accepted(&self) {
        self.account.start();
    }

    /// The client sees this status from now on.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// What it costs is told by whoever runs it.
    pub fn is_paid_elsewhere(&mut self) {
        self.is_paid_elsewhere = true;
    }

    /// Who pays for it.
    pub fn payer(&self) -> Payer {
        Payer {
            owner: self.caller.user,
            root_chat: None,
            brings_key: self.brings_key,
        }
    }

    /// Ends the exchange; only the first time counts.
    pub fn close(&mut self, heard: &mut Heard, is_complete: bool) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        self.settle(heard);
        heard.follow(std::mem::take(&mut self.earlier));
        let usage = std::mem::take(&mut heard.usage);
        let provider = &self.model.provider.name;
        let model = self.configured_model();
        self.parts.metrics.used(provider, model, self.client.as_str(), &usage);
        let after = self.parts.clock.monotonic() - self.started_at;
        self.parts.metrics.ended(&Ended {
            provider,
            model,
            route: self.dialect.path(),
            client: self.client.as_str(),
            is_complete,
            after,
        });
        tracing::debug!(
            interception_id = %self.id,
            provider,
            model = self.model.model,
            status = self.status,
            is_complete,
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            "bridged exchange ended"
        );
        if let Some(recording) = self.recording.take() {
            recording.end(self.parts.clock.now(), self.status, Some(&usage), heard);
        }
    }

    /// The vendor has answered, and will be asked once more in the same exchange: what it has told so far is paid, and kept for the end.
    pub fn pay_round(&mut self, mut heard: Heard) {
        self.settle(&mut heard);
        heard.follow(std::mem::take(&mut self.earlier));
        self.earlier = heard;
        self.account = Account::default();
        self.order = Uuid::now_v7();
    }

    /// The vendor is asked once more, with a body of so many bytes; returns when what was set aside for the round before is not in the way.
    pub async fn ask_again(&mut self, body_bytes: usize) {
        self.parts.ledger.settled(Some(self.payer()), &self.model).await;
        self.ordered_at = self.parts.clock.monotonic();
        self.body_bytes = body_bytes;
    }

    /// Another model is asked, since this one's vendor had no room. What that had accepted all the same is paid, by estimate. Returns when
    /// what was set aside for it is not in the way.
    pub async fn hand_over(&mut self, model: Arc<Model>) {
        self.pay_round(Heard::default());
        self.parts.ledger.settled(Some(self.payer()), &self.model).await;
        self.model = model;
        self.is_paid_elsewhere = false;
        self.ordered_at = self.parts.clock.monotonic();
    }

    /// What was heard in the rounds that are paid.
    pub fn earlier(&mut self) -> &mut Heard {
        &mut self.earlier
    }

    /// Pays for what was asked of the vendor.
    fn settle(&self, heard: &mut Heard) {
        meter::forget_impossible(&mut heard.usage);
        if self.is_paid_elsewhere {
            return;
        }
        self.account.say_bytes(heard.said_bytes);
        let cost_usd_micros = meter::cost_usd_micros(&self.model.options, &heard.usage);
        self.parts.ledger.finished(&self.bill(), &heard.usage, cost_usd_micros);
        if self.configured_model().is_some() {
            self.parts.service_metrics.used(&self.model, &heard.usage);
        }
    }

    /// The model's name; `None` for one nobody configured, which is in no label and no list: clients make up its name.
    pub fn configured_model(&self) -> Option<&str> {
        (!self.model.id.uuid().is_nil()).then_some(self.model.model.as_str())
    }

    /// Names what is asked of the vendor now: no two of an exchange share it, or only the first would be paid.
    pub fn completion_id(&self) -> CompletionId {
        CompletionId::new(self.order)
    }

    fn order(&self) -> Order<'_> {
        Order {
            id: self.completion_id(),
            model_config_id: self.model.id,
            chat_id: None,
            purpose: Purpose::Bridge,
            prompt: Prompt::Bytes(self.body_bytes),
            max_output_tokens: self.max_output_tokens,
        }
    }

    fn bill(&self) -> Bill<'_> {
        Bill {
            order: self.order(),
            payer: Some(self.payer()),
            model: &self.model,
            account: &self.account,
            runtime: self.parts.clock.monotonic() - self.ordered_at,
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if self.is_open {
            self.close(&mut Heard::default(), false);
        }
    }
}
