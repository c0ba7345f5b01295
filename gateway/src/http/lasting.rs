//! Answers that last for hours, such as event streams, leave the HTTP machinery once their head is known: its buffers, 24 KiB for each
//! connection, are for requests, and nobody makes another one here. What follows is written in chunks until the answer or the reader
//! ends; then the connection closes.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, http::HeaderName, response::Response};
use hyper::{Method, Version, body::Body as _, header};
use tandem_chassis::transport::Connection;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::Notify,
    time::timeout,
};

/// What is ready is written at once up to about this much, in bytes; one piece alone may be longer.
const FULL_BYTES: usize = 64 * 1024;

/// Time what is ready has to leave.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Bytes read at a time of what readers say, which nobody listens to.
const HEARD_BYTES: usize = 64;

/// Fields that belong to the connection and are written here.
const OWN_FIELDS: [HeaderName; 3] = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// Marks a response that lasts. It brings its own date.
#[derive(Clone, Copy)]
pub struct Lasting;

/// A connection that is lent to HTTP until an answer takes it.
#[derive(Clone)]
pub(super) struct Lent(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    offered: Notify,
}

struct State {
    /// Nothing once it is taken.
    connection: Option<Connection>,
    /// Nothing that was given to be written is left.
    is_flushed: bool,
    offered: Option<Response>,
}

impl Lent {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                connection: Some(connection),
                is_flushed: true,
                offered: None,
            }),
            offered: Notify::new(),
        }))
    }

    /// Offers a response that lasts and never comes back; any other is handed back at once. So is one behind an answer that has not
    /// left yet, and one in a version of HTTP that shares connections.
    pub(super) async fn pass(&self, (method, version): (Method, Version), response: Response) -> Response {
        let is_lasting = response.extensions().get::<Lasting>().is_some();
        if !is_lasting || method != Method::GET || version != Version::HTTP_11 {
            return response;
        }
        {
            let mut state = self.lock();
            if !state.is_flushed {
                return response;
            }
            state.offered = Some(response);
        }
        self.0.offered.notify_one();
        std::future::pending().await
    }

    /// Waits for a response that lasts; with it the connection goes.
    pub(super) async fn taken(&self) -> (Connection, Response) {
        loop {
            self.0.offered.notified().await;
            let mut state = self.lock();
            if let Some(response) = state.offered.take()
                && let Some(connection) = state.connection.take()
            {
                return (connection, response);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the connection. One that was taken is not there any more.
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Connection>, &mut bool) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut state = self.lock();
        let State {
            connection, is_flushed, ..
        } = &mut *state;
        match connection {
            Some(connection) => act(Pin::new(connection), is_flushed),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|connection, _| connection.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|connection, is_flushed| {
            *is_flushed = false;
            connection.poll_write(cx, bytes)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever buffers above flushes what is below last.
        self.with(|connection, is_flushed| {
            let flushed = connection.poll_flush(cx);
            *is_flushed |= flushed.is_ready();
            flushed
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|connection, _| connection.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|connection, is_flushed| {
            *is_flushed = false;
            connection.poll_write_vectored(cx, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.lock()
            .connection
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}

/// Writes an answer to its end, or until the reader leaves.
///
/// * `limit`: time what is ready has to leave.
///
/// # Errors
/// As the connection says; `TimedOut` when the reader takes nothing for too long.
pub(super) async fn write<C>(mut connection: C, response: Response, limit: Duration) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    send(&mut connection, &head(&response), limit).await?;
    let mut body = response.into_body();
    loop {
        let mut heard = [0; HEARD_BYTES];
        tokio::select! {
            gathered = gather(&mut body) => {
                let (bytes, is_over) = gathered?;
                send(&mut connection, &bytes, limit).await?;
                if is_over {
                    return timeout(limit, connection.shutdown()).await?;
                }
            }
            // Only the end of what they say means anything.
            heard = connection.read(&mut heard) => if heard? == 0 {
                return Ok(());
            },
        }
    }
}

async fn send<C: AsyncWrite + Unpin>(connection: &mut C, bytes: &[u8], limit: Duration) -> io::Result<()> {
    let sending = async {
        connection.write_all(bytes).await?;
        connection.flush().await
    };
    timeout(limit, sending).await?
}

fn head(response: &Response) -> Vec<u8> {
    let status = response.status();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default()
    )
    .into_bytes();
    let mut field = |name: &[u8], value: &[u8]| {
        for piece in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    };
    for (name, value) in response.headers() {
        if !OWN_FIELDS.contains(name) {
            field(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    field(b"transfer-encoding", b"chunked");
    field(b"connection", b"close");
    head.extend_from_slice(b"\r\n");
    head
}

/// What is ready, as chunks, once there is something; and whether that is all there will be. Dropping the future loses nothing.
async fn gather(body: &mut Body) -> io::Result<(Vec<u8>, bool)> {
    let mut chunks = Vec::new();
    poll_fn(|cx| {
        while chunks.len() < FULL_BYTES {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    // An empty chunk would be the end.
                    Ok(data) if !data.is_empty() => {
                        chunks.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                        chunks.extend_from_slice(&data);
                        chunks.extend_from_slice(b"\r\n");
                    }
                    Ok(_) | Err(_) => {}
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => {
                    chunks.extend_from_slice(b"0\r\n\r\n");
                    return Poll::Ready(Ok((std::mem::take(&mut chunks), true)));
                }
                Poll::Pending if chunks.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok((std::mem::take(&mut chunks), false)))
    })
    .await
}

#[cfg(test)]
mod tests;
