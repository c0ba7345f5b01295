//! Storage through its own door, on a real PostgreSQL.

mod approvals;
mod chats;
mod context;
mod feed;
mod files;
mod git;
mod harness;
mod idempotency;
mod interceptions;
mod leases;
mod live_turn;
mod mcp;
mod model;
mod postgres;
mod provider_keys;
mod settings;
mod skills;
mod spend;
mod stage;
mod titles;
mod tools;
mod turns;
mod users;
mod workspaces;
