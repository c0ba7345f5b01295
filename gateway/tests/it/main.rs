//! The gateway over real HTTP, with scripted services behind it.

mod again;
mod auth;
mod chats;
mod idempotency;
mod live;
mod stubs;
mod surface;
mod tls;
mod usage;
mod world;
