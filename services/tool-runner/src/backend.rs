//! Where workspaces live. One backend so far: directories of this machine.

mod local;
mod sandbox;
mod spawner;

pub(crate) use local::{Local, Running};
