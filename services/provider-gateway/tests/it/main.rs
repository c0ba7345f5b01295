//! The provider gateway as its callers see it, on a stub storage and a fake vendor.

mod admin;
mod complete;
mod messages;
mod spend;
mod storage;
mod vendor;
mod world;
