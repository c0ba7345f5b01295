#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod agents;
mod backend;
mod build;
mod call;
mod clients;
mod config;
mod context;
mod error;
mod git;
mod mcp;
mod metrics;
mod rpc;
mod service;
mod tool;
mod workspace;

pub use config::{Config, Limits, Network, Peers};
pub use error::Error;
pub use git::{Config as GitConfig, ForgeConfig, ForgeKind};
pub use mcp::Config as McpConfig;
pub use service::run;
