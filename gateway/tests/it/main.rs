//! The gateway over real HTTP, with scripted services behind it.

mod auth;
mod chats;
mod idempotency;
mod live;
mod stubs;
mod surface;
mod world;
