#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod admission;
mod breaker;
mod bridge;
mod catalog;
mod completion;
pub mod config;
mod credentials;
mod detect;
pub mod error;
mod health;
mod key_pool;
mod meter;
mod metrics;
mod outbound;
mod probe;
mod rpc;
pub mod secret;
mod service;
mod spend;

pub use config::Config;
pub use error::RunError;
pub use service::run;
