#![doc = include_str!("../README.md")]

mod actions;
mod authz;
mod change;
mod config;
mod credentials;
mod db;
mod error;
mod hints;
mod idempotency;
mod names;
pub mod postgres;
mod pulse;
mod rpc;
mod service;
mod spend;
mod template_spec;
mod turn_facts;
mod turn_label;

pub use config::Config;
pub use error::Error;
pub use service::{RunError, run};
