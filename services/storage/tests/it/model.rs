//! Random commands against a reference model: after each one, the chat must be as the model says.
//!
//! `TANDEM_FUZZ_OPS` is how many commands are tried, `TANDEM_FUZZ_SEED` plays one run again. For a long run, without the runner's limit
//! for ordinary tests: `TANDEM_FUZZ_OPS=100000 cargo test --workspace --test it d46_`.

mod reference;
mod walk;

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::stage::Stage;
use walk::Walk;

/// Commands of an ordinary run.
const OPS: u64 = 2_000;

/// Walks at once, each on a database of its own.
const WALKS: u64 = 4;

/// Commands on one chat; then the next chat begins, so that long histories do not slow the run down.
const OPS_PER_CHAT: u64 = 80;

/// Chats more that a walk may take until everything has happened to it that has to.
const MORE_CHATS: u64 = 30;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
    )
}

/// Numbers that look random and come again from the same seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let word = word ^ (word >> 31);
        usize::try_from(word % u64::try_from(sides).unwrap()).unwrap()
    }

    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

#[tokio::test]
async fn d46_random_commands_lose_and_double_nothing() {
    let ops = number("TANDEM_FUZZ_OPS").unwrap_or(OPS);
    let seed = number("TANDEM_FUZZ_SEED")
        .unwrap_or_else(|| u64::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().unwrap()));
    let walks = (0..WALKS).map(|place| async move {
        let stage = Stage::start().await;
        let mut dice = Dice(seed.wrapping_add(place));
        let mut outcomes = BTreeMap::new();
        let mut left = ops.div_ceil(WALKS);
        // Chance may leave an outcome out for long: each walk goes on until it has seen them all.
        let mut more = if ops >= OPS { MORE_CHATS } else { 0 };
        while left > 0 || (more > 0 && missing(&outcomes).is_some()) {
            let length = if left > 0 { left.min(OPS_PER_CHAT) } else { OPS_PER_CHAT };
            Walk::begin(&stage, &mut dice, seed, &mut outcomes)
                .await
                .go(length)
                .await;
            more -= u64::from(left == 0);
            left = left.saturating_sub(length);
        }
        outcomes
    });
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for (outcome, count) in join_all(walks).await.into_iter().flatten() {
        *outcomes.entry(outcome).or_default() += count;
    }
    // A run that never got anywhere would prove nothing.
    assert!(outcomes.values().sum::<u64>() >= ops);
    if ops >= OPS {
        assert_eq!(missing(&outcomes), None, "never happened, seed {seed}: {outcomes:#?}");
    }
}

/// An outcome that has to happen and has not.
fn missing(outcomes: &BTreeMap<String, u64>) -> Option<&'static str> {
    let mut needed = walk::NEEDED.iter().copied();
    needed.find(|needed| !outcomes.contains_key(*needed))
}
