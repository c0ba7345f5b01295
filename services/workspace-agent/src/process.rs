//! Processes of the workspace: started in groups of their own, known by ids the caller chose, seen only by their chat.

mod environment;
mod leftovers;
mod manager;
mod memory;
mod output;
mod snapshot;

pub(crate) use environment::environment;
pub(crate) use leftovers::end as end_leftovers;
pub(crate) use manager::Manager;
pub(crate) use memory::Memory;
pub(crate) use snapshot::{Outlet, wait};

#[cfg(test)]
use manager::Process;

#[cfg(test)]
mod tests;
