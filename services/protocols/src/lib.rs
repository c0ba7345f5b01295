#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod answer;
mod anthropic;
mod azure;
mod bedrock;
mod body;
mod by_tool;
pub mod call;
mod computer;
pub mod demo;
mod google;
pub mod http;
mod key;
mod kind;
mod model;
mod openai;
mod options;
pub mod output;
mod protocol;
pub mod remote;
mod responses;
mod sse;
#[cfg(test)]
mod test_support;
mod tool_call;
#[cfg(any(test, feature = "test-support"))]
pub mod vendor_side;
mod words;

pub use answer::{Delta, Deltas, Failure, Finish};
pub use bedrock::Environment as AwsEnvironment;
pub use key::ApiKey;
pub use kind::Kind;
pub use model::{Model, Provider};
pub use protocol::{Call, Protocol, Protocols};
