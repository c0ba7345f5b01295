//! The chat as a state machine: the only place that knows what a command means in a status.
//!
//! Owns states, commands, their table and its proof. It does not own rows, time or tasks: storage calls [`decide`] inside the
//! transaction that holds the chat's row and carries out the [`Decision`]; nothing else in the house assigns a status.

mod command;
mod decide;
mod decision;
mod rejection;
mod state;
pub mod table;

#[cfg(test)]
mod laws;

pub use command::{BusyBehavior, Calls, Command, CommandKind};
pub use decide::{decide, decide_all};
pub use decision::{AnswerReason, Decision, Effect};
pub use rejection::{Reason, Rejection};
pub use state::{IllegalState, Lease, Lineage, MAX_QUEUED, Progress, State, Status, StatusKind};
