//! Where workspaces live. One backend so far: directories of this machine.

mod cgroup;
mod local;
pub(crate) mod passage;
mod sandbox;
mod spawner;
mod users;

pub(crate) use local::{Local, Running};
