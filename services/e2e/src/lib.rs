//! Black-box and fault testing of the whole system: the stand-ins around it and the world that starts it.
//!
//! This file is a table of contents. Nothing here is linked into a shipped program.

pub mod bench;
pub mod chaos_proxy;
pub mod fake_llm;
pub mod http;
pub mod world;
