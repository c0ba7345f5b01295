//! A tool-runner with real agents and a stub of storage.

mod confinement;
mod execute;
mod files;
mod harness;
mod hostile;
mod journal;
mod life;
mod mcp;
mod mcp_oauth;
mod mcp_server;
mod stub;
