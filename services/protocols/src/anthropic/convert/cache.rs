//! Marks the ends of prefixes that the vendor shall keep, so that the next step reads them from its cache.
//!
//! The marks are computed anew for each request and move with its end; histories carry none.

use super::prompt::Prompt;
use crate::anthropic::wire::{Block, CacheControl};

/// Turns at the end that are marked. With the instructions that makes three marks; the vendor takes four.
const MARKED_TURNS: usize = 2;

/// Marks the last instruction and the last two turns.
pub(super) fn mark(prompt: &mut Prompt) {
    if let Some(last) = prompt.system.last_mut() {
        set(last);
    }
    for turn in prompt.turns.iter_mut().rev().take(MARKED_TURNS) {
        // Thinking cannot be marked; a turn never ends with it, see [`super::prompt`].
        if let Some(last) = turn.content.iter_mut().rev().find(|block| !block.is_thinking()) {
            set(last);
        }
    }
}

fn set(block: &mut Block) {
    block.cache_control = Some(CacheControl { r#type: "ephemeral" });
}
