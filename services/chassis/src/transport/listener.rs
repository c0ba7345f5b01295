//! Bound addresses, and the one connection type they all give.

use std::{
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::Sleep,
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::{Address, memory::MemoryListener};

/// Pause after a failed accept. The usual cause is having no file descriptor left, which trying harder does not cure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address, ready to accept. Dropping it closes it; a Unix socket's file goes with it.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: Address,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "held for its drop")] SocketFile,
    ),
    Memory(MemoryListener),
}

/// Removes the socket's file when the listener goes.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good; nothing else can be done while dropping.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds `address`. A Unix socket gets mode 0600, and a socket file nobody answers on is replaced.
    ///
    /// # Errors
    /// As the system says; `AddrInUse` when somebody listens there already.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Http { host, port } | Address::Https { host, port } => {
                // A URL writes IPv6 hosts in brackets, the resolver wants them bare.
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let listener = TcpListener::bind((bare, *port)).await?;
                let port = listener.local_addr()?.port();
                let host = host.clone();
                let address = match address {
                    Address::Https { .. } => Address::Https { host, port },
                    _ => Address::Http { host, port },
                };
                Ok(Self {
                    kind: Kind::Tcp(listener),
                    address,
                })
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Ok(Self {
                    kind: Kind::Unix(listener, file),
                    address: address.clone(),
                })
            }
            Address::Memory(name) => {
                let listener = MemoryListener::bind(name)?;
                let address = Address::Memory(listener.name().to_owned());
                Ok(Self {
                    kind: Kind::Memory(listener),
                    address,
                })
            }
        }
    }

    /// The address clients reach this listener at: as asked for, with the real port in place of 0.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The connections, as a stream that never ends by itself.
    pub fn incoming(self) -> Incoming {
        Incoming {
            kind: self.kind,
            pause: None,
        }
    }
}

/// Removes a socket file left by a process that is gone.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists and is no socket", path.display()),
        ));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("somebody listens on {}", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Connections to a [`Listener`].
#[derive(Debug)]
pub struct Incoming {
    kind: Kind,
    /// Set after a failed accept; nothing is accepted until it is over.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.kind.poll_accept(cx)) {
                // The client gave up while it was waiting; that says nothing about the next one.
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "could not accept a connection");
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
                accepted => return Poll::Ready(accepted),
            }
        }
    }
}

impl Kind {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                // Small frames must leave at once: Nagle's algorithm would hold tokens back for 40 ms. It fails only on
                // a connection that is broken already, which its first read will tell.
                let _ = stream.set_nodelay(true);
                Some(Connection::Tcp(stream))
            }),
            Self::Unix(listener, _) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Some(Connection::Unix(stream))),
            Self::Memory(listener) => listener.poll_accept(cx).map(|pipe| Ok(pipe.map(Connection::Memory))),
        }
        .map(Result::transpose)
    }
}

/// One accepted connection.
#[derive(Debug)]
pub enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
    Memory(DuplexStream),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

macro_rules! forward {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Connection::Tcp($inner) => $call,
            Connection::Unix($inner) => $call,
            Connection::Memory($inner) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Memory(pipe) => pipe.is_write_vectored(),
        }
    }
}
