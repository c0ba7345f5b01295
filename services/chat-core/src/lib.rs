#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod approval;
pub mod chat;
pub mod classify;
pub mod command_policy;
pub mod context;
pub mod cursor;
pub mod error;
pub mod history;
pub mod id;
pub mod input;
pub mod label;
pub mod message;
pub mod part;
pub mod prompt;
pub mod refusal;
pub mod retry;
pub mod stored;
pub mod title;
pub mod tool_policy;
pub mod tool_results;
pub mod turn_summary;
pub mod violation;
pub mod wire;
