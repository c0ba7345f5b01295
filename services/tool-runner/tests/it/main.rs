//! A tool-runner with real agents and a stub of storage.

mod approvals;
mod confinement;
mod context;
mod execute;
mod files;
mod git;
mod harness;
mod hostile;
mod journal;
mod life;
mod link;
mod mcp;
mod mcp_accepted;
mod mcp_hostile;
mod mcp_limits;
mod mcp_oauth;
mod mcp_server;
mod stub;
mod workspaces;
mod workspaces_stub;
