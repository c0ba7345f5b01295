#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod breaker;
mod catalog;
mod completion;
pub mod config;
mod detect;
pub mod error;
mod key_pool;
mod meter;
mod metrics;
mod outbound;
mod probe;
mod provider;
mod rpc;
pub mod secret;
mod service;
mod spend;

pub use config::Config;
pub use error::RunError;
pub use service::run;
