//! The calls this service answers.

mod mcp;
mod tools;
mod workspaces;

pub(crate) use mcp::McpRpc;
pub(crate) use tools::ToolRpc;
pub(crate) use workspaces::WorkspaceRpc;
