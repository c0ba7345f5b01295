//! Storage through its own door, on a real PostgreSQL.

mod chats;
mod feed;
mod files;
mod harness;
mod idempotency;
mod leases;
mod live_turn;
mod model;
mod postgres;
mod settings;
mod spend;
mod stage;
mod titles;
mod tools;
mod turns;
mod users;
