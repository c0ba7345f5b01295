//! The thread that starts agents.
//!
//! A sandbox that dies with its parent dies with the *thread* that started it, and threads of a runtime come and go. This one stays.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// A handle of the thread; it ends with its last handle.
#[derive(Clone, Debug)]
pub(super) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread. Must be called within the runtime that will wait for the children.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn new() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("agent spawner".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                for mut job in queue {
                    let child = job.command.spawn();
                    // Whoever asked may have gone; the child is killed by its drop then.
                    let _ = job.reply.send(child);
                }
            })?;
        Ok(Self { jobs })
    }

    /// Starts a program.
    ///
    /// # Errors
    /// As the system says.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts agents has ended");
        self.jobs.send(Job { command, reply }).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
