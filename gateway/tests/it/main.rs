//! The gateway over real HTTP, with scripted services behind it.

mod again;
mod approvals;
mod auth;
mod bridge;
mod bridge_records;
mod chats;
mod idempotency;
mod live;
mod mcp;
mod stubs;
mod surface;
mod titles;
mod tls;
mod usage;
mod world;
