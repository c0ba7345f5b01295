#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod api;
mod cluster;
mod config;
mod error;
mod manifest;
mod pod;

pub use cluster::{Cluster, LONGEST_END, LONGEST_START};
pub use config::Config;
pub use error::Error;
pub use manifest::Place;
pub use pod::State;
