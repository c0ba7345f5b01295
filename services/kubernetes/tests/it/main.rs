//! The cluster's side of workspaces, against an API server of our own.

mod cluster;
mod fake;
mod faults;
