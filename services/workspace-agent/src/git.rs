//! Repositories that chats work in: which they are, how they differ from their last commit, and credentials for their hosts.
//!
//! A repository is somebody else's: its settings name programs, and none of them is ever run from here.

mod askpass;
mod command;
mod compare;
mod patch;
mod paths;
mod process_tree;
mod remote;
mod repositories;
mod repository;

pub use askpass::answer_if_asked;
pub(crate) use askpass::{Askpass, Questions};
pub(crate) use repositories::{Repositories, Work};

/// What the agent has to do with git. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) repositories: Repositories,
    pub(crate) questions: Questions,
    /// What makes git in the workspace ask here for credentials.
    pub(crate) variables: std::sync::Arc<Vec<(String, String)>>,
}

#[cfg(test)]
mod tests;
