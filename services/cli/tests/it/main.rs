//! The program as its operator starts it.

mod admin;
mod process;
mod tls;
