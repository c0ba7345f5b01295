//! Storage through its own door, on a real PostgreSQL.

mod files;
mod harness;
mod idempotency;
mod live_turn;
mod postgres;
mod settings;
mod tools;
mod users;
