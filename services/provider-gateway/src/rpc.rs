//! The gRPC face: who may call, and how the contracts' messages become proven values and back.
//!
//! Owns permissions and conversion. Everything else is done by the modules it calls.

mod admin;
mod complete;
mod convert;

pub use admin::Admin;
pub use complete::Completions;
