#![doc = include_str!("../README.md")]

mod again;
mod assets;
mod auth;
mod bridge;
mod clients;
mod config;
mod first_start;
#[cfg(test)]
mod hostile;
mod http;
mod idempotency;
mod json;
mod metrics;
mod observe;
mod peers;
mod problem;
mod rest;
mod search;
mod service;
mod sniff;
mod ws;

pub use config::{Config, Limits, Peers, RateLimit, Sessions};
pub use service::run;
