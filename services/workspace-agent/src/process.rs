//! Processes of the workspace: started in groups of their own, known by ids the caller chose, seen only by their chat.

mod environment;
mod manager;
mod output;
mod snapshot;

pub(crate) use manager::Manager;
pub(crate) use snapshot::{Outlet, wait};

#[cfg(test)]
mod tests;
