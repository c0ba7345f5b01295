//! The socket of one connection: tells when bytes have really left, and can end with a reset.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What the body of a response knows of the socket below the HTTP layer.
#[derive(Default)]
pub(super) struct Wire {
    flushes: AtomicU64,
    flushed: AtomicWaker,
    reset: AtomicBool,
}

impl Wire {
    /// Counts how often everything written so far had left the process.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Ready once a flush later than number `seen` has finished.
    pub fn poll_flushed(&self, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.flushes() > seen {
            return Poll::Ready(());
        }
        self.flushed.register(cx.waker());
        match self.flushes() > seen {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Makes the connection end with RST instead of FIN.
    pub fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Release);
    }
}

/// A TCP stream that keeps its [`Wire`] up to date.
pub(super) struct Io {
    stream: TcpStream,
    wire: Arc<Wire>,
}

impl Io {
    pub fn new(stream: TcpStream, wire: Arc<Wire>) -> Self {
        Self { stream, wire }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.wire.reset.load(Ordering::Acquire)
            && let Err(error) = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))
        {
            tracing::warn!(%error, "connection closes without the reset the script asked for");
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = result {
            self.wire.flushes.fetch_add(1, Ordering::AcqRel);
            self.wire.flushed.wake();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
