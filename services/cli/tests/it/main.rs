//! The program as its operator starts it.

mod admin;
#[path = "../../../e2e/src/world/ports.rs"]
mod ports;
mod process;
mod tls;
