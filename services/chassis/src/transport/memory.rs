//! In-process listeners: a name, and a bounded queue of pipes waiting to be accepted. Lets `tandem serve` join all
//! services with the same clients and servers as forty machines, without a socket between them.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::DuplexStream,
    sync::{Notify, mpsc},
};

/// Bytes a pipe holds each way before its writer waits.
const PIPE_BYTES: usize = 128 * 1024;

/// Connections that may wait to be accepted; more wait in `connect`.
const ACCEPT_QUEUE: usize = 64;

/// The names bound in this process. The only global of this crate: a process has one memory, as a machine has one
/// loopback interface.
static BOUND: LazyLock<Mutex<HashMap<String, mpsc::Sender<DuplexStream>>>> = LazyLock::new(Mutex::default);

/// Told at each new name, so that a client may start before its server.
static ANOTHER: Notify = Notify::const_new();

/// A bound name. Free again when dropped.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    name: String,
    incoming: mpsc::Receiver<DuplexStream>,
}

impl MemoryListener {
    /// # Errors
    /// `AddrInUse` while another listener has the name.
    pub(crate) fn bind(name: &str) -> io::Result<Self> {
        let (sender, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let mut bound = lock();
        if bound.contains_key(name) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("memory:{name} is already bound"),
            ));
        }
        bound.insert(name.to_owned(), sender);
        drop(bound);
        ANOTHER.notify_waiters();
        Ok(Self {
            name: name.to_owned(),
            incoming,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next connection. Pending for ever when none comes: the name itself keeps the queue open.
    pub(crate) fn poll_accept(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<DuplexStream>> {
        self.incoming.poll_recv(cx)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        lock().remove(&self.name);
    }
}

/// A connection to the listener called `name`. Waits until the name is bound and the queue has room; the caller's
/// connect timeout bounds both.
///
/// # Errors
/// `ConnectionRefused` when the listener goes away meanwhile.
pub(crate) async fn connect(name: &str) -> io::Result<DuplexStream> {
    let sender = loop {
        // Registered before looking, so that a bind between the look and the wait is not missed.
        let mut another = std::pin::pin!(ANOTHER.notified());
        another.as_mut().enable();
        let found = lock().get(name).cloned();
        match found {
            Some(sender) => break sender,
            None => another.await,
        }
    };
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    sender
        .send(theirs)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::ConnectionRefused, format!("memory:{name} is gone")))?;
    Ok(ours)
}

fn lock() -> MutexGuard<'static, HashMap<String, mpsc::Sender<DuplexStream>>> {
    BOUND.lock().unwrap_or_else(PoisonError::into_inner)
}
