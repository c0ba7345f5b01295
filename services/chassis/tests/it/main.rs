//! The chassis as a whole process uses it: what an operator and a trace collector see.

mod admin;
mod otlp;
mod tls;
