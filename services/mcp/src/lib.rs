#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod body;
mod failure;
mod http;
mod pipes;
mod session;
mod sse;
mod values;

pub use failure::Failure;
pub use http::{Http, MAX_ANSWER_BYTES};
pub use pipes::Pipes;
pub use rmcp::model;
pub use session::{Ended, Session};
pub use sse::Sse;
