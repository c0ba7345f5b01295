//! Between the dialects that programs speak and the one request and the events of the engine.
//!
//! [`read`] makes a neutral request of a body, [`Encoder`] writes events as an answer of the client's dialect, [`Asked::options`] puts
//! what a client set beside what an administrator set. It is the other direction of what `provider/*` does, and is tested against that.
//! Pure: no IO and no clock. Which model is meant, who may ask it and what it costs is not known here.
//!
//! What changes an answer is carried or refused by name, never dropped. What is passed over says nothing to a model: names of users
//! and caches, tiers of service, the seed of a lottery, and whether a schema or a grammar is enforced beyond being told.

mod asked;
mod encode;
mod failure;
mod free_form;
mod options;
mod read;
mod sealed;

pub use asked::{Asked, Effort, Refused, Thinking};
pub use encode::{Answering, Encoder, ping};
pub use failure::{body as failure_body, status as failure_status};
pub use read::read;

#[cfg(test)]
mod tests;
