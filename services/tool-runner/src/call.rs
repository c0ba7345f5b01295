//! Tool calls as tasks: begun once, joined by whoever asks, recorded before and after their effect.
//!
//! Every call a model makes in a chat comes through here, also of tools that only read: what the journal answers decides whether a call
//! runs, and until it has answered nothing is done. Tools that programs use through the bridge do not: they belong to no chat, so there is
//! no mode and nobody who could be asked (`rpc::bridge`).

mod approval;
mod digest;
mod journal;
mod registry;
mod task;

pub(crate) use registry::Registry;
pub(crate) use task::{Context, End, Input, Shared};
