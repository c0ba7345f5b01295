//! How much one request may do with injected tools. What is used up ends in an answer, not in an error: the model is then asked to
//! answer with what it has.

use std::time::Duration;

use tokio::time::Instant;

use super::{Call, Done, Injector, Offer, Outcome};
use crate::bridge::sniff::cut;

/// How often the model is asked in one request.
const MAX_ROUNDS: u32 = 16;

/// Tools run in one request.
const MAX_CALLS: usize = 64;

/// What all their results may come to, in bytes.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// How long after its beginning a request still runs tools.
const MAX_TIME: Duration = Duration::from_secs(10 * 60);

/// What is told to a model whose call is not run any more.
const USED_UP: &str = "Not run: this request has used up its tool calls. Answer with what you know.";

/// What is left of it.
pub(in crate::bridge) struct Budget {
    /// How often the model may still be asked.
    rounds: u32,
    calls: usize,
    result_bytes: usize,
    ends_at: Instant,
}

impl Budget {
    /// All of it, with the first round taken.
    pub(in crate::bridge) fn new() -> Self {
        Self {
            rounds: MAX_ROUNDS - 1,
            calls: MAX_CALLS,
            result_bytes: MAX_RESULT_BYTES,
            ends_at: Instant::now() + MAX_TIME,
        }
    }

    /// Whether the model may still call tools in the next round.
    pub(in crate::bridge) fn has_more(&self) -> bool {
        self.rounds > 0 && self.calls > 0 && self.result_bytes > 0 && Instant::now() < self.ends_at
    }

    /// Runs the calls of a round, in their order, and takes the next round; what there is nothing left for is not run.
    pub(in crate::bridge) async fn run(&mut self, injector: &Injector, offer: &Offer, calls: Vec<Call>) -> Vec<Done> {
        self.rounds = self.rounds.saturating_sub(1);
        let mut done = Vec::with_capacity(calls.len().min(MAX_CALLS));
        for call in calls {
            let outcome = if self.calls == 0 || self.result_bytes == 0 || Instant::now() >= self.ends_at {
                Outcome::not_run(USED_UP)
            } else {
                self.calls -= 1;
                let mut outcome = injector.call(offer, &call).await;
                self.keep(&mut outcome);
                outcome
            };
            done.push((call, outcome));
        }
        done
    }

    /// Cuts a result to what is left for results.
    fn keep(&mut self, outcome: &mut Outcome) {
        let kept = cut(&outcome.text, self.result_bytes).len();
        if kept < outcome.text.len() {
            outcome.text.truncate(kept);
            outcome
                .text
                .push_str("\n[cut: the results of this request are too long]");
            self.result_bytes = 0;
        } else {
            self.result_bytes -= kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_cut_to_what_is_left_and_then_nothing_more_is_run() {
        let mut budget = Budget::new();
        let mut result = |bytes: usize| {
            let mut outcome = Outcome {
                text: "x".repeat(bytes),
                is_error: false,
                not_run: String::new(),
            };
            budget.keep(&mut outcome);
            (outcome.text.len(), budget.has_more())
        };
        assert_eq!(result(MAX_RESULT_BYTES - 10), (MAX_RESULT_BYTES - 10, true));
        let (length, has_more) = result(11);
        assert!((10..100).contains(&length) && !has_more);
    }
}
