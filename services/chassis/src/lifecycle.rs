//! Starting to stop: the two steps of shutdown, the signals that ask for them, and the tasks that must end first.
//! What draining *means* (handing chats back, ending streams) is each service's own.

mod shutdown;
mod tasks;

pub use shutdown::{Shutdown, signals};
pub use tasks::{OnEnd, Tasks};
