//! The provider gateway as its callers see it, on a stub storage and a fake vendor.

mod admin;
mod admission;
mod bridge;
mod complete;
mod computer;
mod fallback;
mod health;
mod messages;
mod spend;
mod storage;
mod tool_runner;
mod user_keys;
mod vendor;
mod world;
