//! The calls this service answers.

mod bridge;
mod git;
mod mcp;
mod tools;
mod workspaces;

pub(crate) use bridge::BridgeRpc;
pub(crate) use git::GitRpc;
pub(crate) use mcp::McpRpc;
pub(crate) use tools::ToolRpc;
pub(crate) use workspaces::WorkspaceRpc;
