#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod agents;
mod backend;
mod call;
mod clients;
mod config;
mod error;
mod mcp;
mod metrics;
mod rpc;
mod service;
mod tool;
mod workspace;

pub use config::{Config, Limits, Peers};
pub use error::Error;
pub use mcp::Config as McpConfig;
pub use service::run;
