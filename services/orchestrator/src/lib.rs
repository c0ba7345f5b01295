#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod clients;
mod config;
mod due;
mod error;
mod hints;
mod log;
mod metrics;
mod poll;
mod reader;
mod relay;
mod room;
mod rpc;
mod service;
mod title;
mod turn;
mod watch;
mod worker;

pub use config::{Config, Lease, Peers, SideJobs, Turns};
pub use error::Error;
pub use service::run;
