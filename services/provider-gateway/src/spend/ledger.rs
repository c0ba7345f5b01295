//! What is set aside in storage before a completion, and recorded after it. The order in which records arrive, and how often, makes no
//! difference to storage; see [`super::teller`] for how they get there.

use std::{sync::Arc, time::Duration};

use tandem_chassis::{client::Outbound, clock::Clock, status::Fault, with_message_limits};
use tandem_chat_core::{error::ErrorKind, message::Usage, wire};
use tandem_proto::storage::v1::{ReserveSpendRequest, UsageRecord, usage_service_client::UsageServiceClient};
use tandem_protocols::call::Purpose;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::transport::Channel;

use super::{
    Account, Config, Order, Payer, estimate,
    teller::{Ended, Entry, MAX_WAITING, SETTLED_DEADLINE, Teller},
};
use crate::{catalog::Model, meter, metrics::Metrics};

/// Time for storage to set something aside; a person waits.
const RESERVE_DEADLINE: Duration = Duration::from_secs(3);

/// How long a caller waits who is told that calls under way may use up the limit.
const RESERVED_PAUSE: Duration = Duration::from_secs(1);

/// Why a completion may not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For people.
    pub message: String,
    /// What went wrong.
    pub kind: ErrorKind,
    /// The same may be allowed soon.
    pub is_retryable: bool,
    /// When to ask again; zero where nothing is known.
    pub retry_after: Duration,
}

/// Reserves and records. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Parts>);

struct Parts {
    outbound: Outbound,
    usage: UsageServiceClient<Channel>,
    config: Config,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Entry>,
}

impl Ledger {
    /// A ledger in `storage`, and the end of it that has to run.
    pub fn new(
        config: Config,
        outbound: Outbound,
        storage: Channel,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
    ) -> (Self, Teller) {
        let (sender, queue) = mpsc::channel(MAX_WAITING);
        let usage = with_message_limits!(UsageServiceClient::new(storage));
        let teller = Teller {
            outbound: outbound.clone(),
            usage: usage.clone(),
            gather: config.gather,
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            queue,
        };
        let parts = Parts {
            outbound,
            usage,
            config,
            metrics,
            clock,
            queue: sender,
        };
        (Self(Arc::new(parts)), teller)
    }

    /// Sets aside what a completion may cost, if its payer has a limit.
    ///
    /// # Errors
    /// The limit is reached or may be by calls under way; or it could not be looked at, and that is a reason to refuse.
    pub async fn reserve(
        &self,
        order: &Order<'_>,
        payer: Option<Payer>,
        model: &Model,
        account: &Account,
    ) -> Result<(), Refusal> {
        let Some(payer) = limited(payer, model) else {
            return Ok(());
        };
        // Before it is asked for: whoever is stopped while asking does not hear of it.
        account.reserve();
        let message = ReserveSpendRequest {
            completion_id: order.id.to_string(),
            owner_id: payer.owner.to_string(),
            chat_id: order.chat_id.map(|id| id.to_string()).unwrap_or_default(),
            micros: estimate::cost_usd_micros(order, model),
            ttl: prost_types::Duration::try_from(self.0.config.reservation_ttl).ok(),
            purpose: purpose(order.purpose).to_owned(),
        };
        let message = self.0.outbound.request(None, RESERVE_DEADLINE, message);
        let answer = self.0.usage.clone().reserve_spend(message).await;
        let refused = answer.err().map(Fault::from);
        let (outcome, answer) = judge(refused, self.0.config.fail_closed);
        self.0.metrics.spend_checked(outcome);
        answer
    }

    /// Waits until storage knows how everything has ended that ended before, if `payer` has a limit: what was set aside for it counts until
    /// then, and would be in the way of what they ask `model` next. They may be refused for that if they ask all the same, which they do when
    /// storage does not take it in time.
    pub async fn settled(&self, payer: Option<Payer>, model: &Model) {
        if limited(payer, model).is_none() {
            return;
        }
        if timeout(SETTLED_DEADLINE, self.answered(Entry::Tell)).await.is_err() {
            tracing::warn!(
                "storage could not be told in time what was used; what was set aside for it may be in the way"
            );
        }
    }

    /// A completion has ended as the vendor intends. What it has not told is estimated.
    pub fn finished(&self, bill: &Bill<'_>, usage: &Usage, cost_usd_micros: Option<i64>) {
        if usage.is_empty() {
            return self.cut_off(bill);
        }
        self.record(bill, usage, cost_usd_micros, false);
    }

    /// A completion has ended otherwise. What the vendor has told stands; of a request that it had accepted, the use is estimated.
    pub fn cut_off(&self, bill: &Bill<'_>) {
        let Bill { model, account, .. } = bill;
        let (usage, is_estimated) = used_so_far(bill);
        if usage.is_empty() {
            if account.is_reserved() {
                self.put(bill, None);
            }
            return;
        }
        self.record(
            bill,
            &usage,
            meter::cost_usd_micros(&model.options, &usage),
            is_estimated,
        );
    }

    fn record(&self, bill: &Bill<'_>, usage: &Usage, cost_micros: Option<i64>, is_estimated: bool) {
        let Bill {
            order, payer, model, ..
        } = bill;
        let Some(payer) = payer else { return };
        let record = UsageRecord {
            completion_id: order.id.to_string(),
            owner_id: payer.owner.to_string(),
            chat_id: order.chat_id.map(|id| id.to_string()).unwrap_or_default(),
            root_chat_id: payer.root_chat.map(|id| id.to_string()).unwrap_or_default(),
            model_config_id: order.model_config_id.to_string(),
            provider_type: model.provider.kind.as_str().to_owned(),
            model: model.model.clone(),
            purpose: purpose(order.purpose).to_owned(),
            usage: wire::usage_to_wire(usage),
            // Not unpriced: it is known what it costs here.
            cost_micros: if payer.brings_key { Some(0) } else { cost_micros },
            is_estimated,
            runtime: prost_types::Duration::try_from(bill.runtime).ok(),
            age: None,
        };
        self.put(bill, Some(Box::new(record)));
    }

    fn put(&self, bill: &Bill<'_>, record: Option<Box<UsageRecord>>) {
        let ended = Ended {
            completion_id: bill.order.id.to_string(),
            record,
            at: self.0.clock.monotonic(),
            is_urgent: bill.account.is_reserved(),
        };
        if self.0.queue.try_send(Entry::Ended(ended)).is_err() {
            self.0.metrics.usage_lost(1);
            tracing::error!(completion_id = %bill.order.id, "too many usage records wait for storage; one was given up");
        }
    }

    /// Tells what is left. Nothing may be recorded after this.
    pub async fn close(&self) {
        self.answered(Entry::Close).await;
    }

    /// Waits for the teller's answer to an entry.
    async fn answered(&self, entry: fn(oneshot::Sender<()>) -> Entry) {
        let (told, wait) = oneshot::channel();
        if self.0.queue.send(entry(told)).await.is_ok() {
            // The teller is gone, or has answered.
            let _ = wait.await;
        }
    }
}

/// What a completion is billed by.
pub struct Bill<'a> {
    pub order: Order<'a>,
    pub payer: Option<Payer>,
    pub model: &'a Model,
    pub account: &'a Account,
    pub runtime: Duration,
}

/// Who pays for what `model` is asked, if they have a limit.
fn limited(payer: Option<Payer>, model: &Model) -> Option<Payer> {
    payer.filter(|payer| model.is_spend_limited && !payer.brings_key)
}

/// What a completion that was cut off has used, and whether some of it is estimated; empty if nothing.
fn used_so_far(Bill { order, account, .. }: &Bill<'_>) -> (Usage, bool) {
    let spent = account.spent();
    if !account.has_started() {
        return (spent.usage, false);
    }
    // What was said before went back to the model with the prompt.
    let input = estimate::input_tokens(order).saturating_add(estimate::output_tokens(spent.said_bytes));
    let said = account.said_bytes().saturating_sub(spent.said_bytes);
    let under_way = Usage {
        input_tokens: Some(input),
        output_tokens: Some(estimate::output_tokens(said)),
        ..Usage::default()
    };
    (account.total(&under_way), true)
}

/// What an answer of storage means, with its name in metrics.
fn judge(refused: Option<Fault>, is_closed: bool) -> (&'static str, Result<(), Refusal>) {
    let Some(fault) = refused else {
        return ("granted", Ok(()));
    };
    match &*fault.reason {
        "USAGE_LIMIT_EXCEEDED" => {
            let refusal = Refusal {
                message: fault.message,
                kind: ErrorKind::UsageLimit,
                is_retryable: false,
                retry_after: Duration::ZERO,
            };
            ("exceeded", Err(refusal))
        }
        "SPEND_RESERVED" => {
            let refusal = Refusal {
                message: fault.message,
                kind: ErrorKind::UsageLimit,
                is_retryable: true,
                retry_after: RESERVED_PAUSE,
            };
            ("reserved", Err(refusal))
        }
        reason => {
            tracing::warn!(reason, is_closed, "the spend limit could not be looked at");
            let refusal = Refusal {
                message: "Your spend limit could not be looked at, and nothing may be spent without.".to_owned(),
                kind: ErrorKind::Timeout,
                is_retryable: true,
                retry_after: RESERVED_PAUSE,
            };
            if is_closed {
                ("closed", Err(refusal))
            } else {
                ("open", Ok(()))
            }
        }
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Answer => "answer",
        Purpose::Title => "title",
        Purpose::TurnSummary => "turn_summary",
        Purpose::Bridge => "bridge",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(fault: Option<Fault>, is_closed: bool) -> (&'static str, Option<(ErrorKind, bool)>) {
        let (outcome, answer) = judge(fault, is_closed);
        (
            outcome,
            answer.err().map(|refusal| (refusal.kind, refusal.is_retryable)),
        )
    }

    #[test]
    fn a_reached_limit_is_final_and_a_reserved_one_is_not() {
        let exceeded = || Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "spent");
        let reserved = || Fault::rate_limited("SPEND_RESERVED", "wait");
        for is_closed in [false, true] {
            assert_eq!(judged(None, is_closed), ("granted", None));
            assert_eq!(
                judged(Some(exceeded()), is_closed),
                ("exceeded", Some((ErrorKind::UsageLimit, false)))
            );
            assert_eq!(
                judged(Some(reserved()), is_closed),
                ("reserved", Some((ErrorKind::UsageLimit, true)))
            );
        }
    }

    #[test]
    fn a_limit_that_cannot_be_looked_at_refuses_only_where_that_is_wanted() {
        let away = || Some(Fault::unavailable("UNREACHABLE", "nobody there"));
        assert_eq!(judged(away(), false), ("open", None));
        assert_eq!(judged(away(), true), ("closed", Some((ErrorKind::Timeout, true))));
    }
}
