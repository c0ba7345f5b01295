//! The calls this service answers.

mod tools;
mod workspaces;

pub(crate) use tools::ToolRpc;
pub(crate) use workspaces::WorkspaceRpc;
