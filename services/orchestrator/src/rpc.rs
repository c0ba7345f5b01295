//! The contract's face: commands pass through to storage, streams are readers.

mod commands;
mod streams;

pub(crate) use commands::Commands;
pub(crate) use streams::Streams;
