//! Bound addresses, and the one connection type they all give.

use std::{
    io,
    net::IpAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::{Address, memory::MemoryListener};
use crate::tls::{Acceptor, ServerConfig};

/// Pause after a failed accept. The usual cause is having no file descriptor left, which trying harder does not cure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the system may hold of what a peer has not taken yet; it doubles the number, and would by itself let it grow to megabytes. A
/// reader that takes nothing is noticed that much sooner, and thousands of them cost that much less.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// TLS handshakes at once; further connections wait in the system's queue. Each ends within seconds.
const MAX_HANDSHAKES: usize = 1_024;

/// A bound address, ready to accept. Dropping it closes it; a Unix socket's file goes with it.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    tls: Option<Acceptor>,
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
    /// As the system says; `AddrInUse` when somebody listens there already, `InvalidInput` for `https:`, which needs
    /// [`Listener::bind_with`].
    pub async fn bind(address: &Address) -> io::Result<Self> {
        Self::bind_with(address, None).await
    }

    /// Like [`Listener::bind`], with the certificate for `https:`. Other addresses have no use for one.
    ///
    /// # Errors
    /// As [`Listener::bind`]; `InvalidInput` for `https:` without a certificate.
    pub async fn bind_with(address: &Address, tls: Option<Acceptor>) -> io::Result<Self> {
        let tls = tls.filter(|_| matches!(address, Address::Https { .. }));
        match address {
            Address::Https { .. } if tls.is_none() => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} needs a certificate"),
            )),
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
                    tls,
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
                    tls,
                    address: address.clone(),
                })
            }
            Address::Memory(name) => {
                let listener = MemoryListener::bind(name)?;
                let address = Address::Memory(listener.name().to_owned());
                Ok(Self {
                    kind: Kind::Memory(listener),
                    tls,
                    address,
                })
            }
        }
    }

    /// Like [`Listener::bind`], for a listener with a certificate of its own rather than that of the process.
    ///
    /// # Errors
    /// As [`Listener::bind_with`]; `InvalidInput` for a certificate at any address but `https:`, where nobody would be shown it. What is
    /// wrong with the files.
    pub async fn bind_certified(address: &Address, tls: Option<&ServerConfig>) -> io::Result<Self> {
        if tls.is_some() && !matches!(address, Address::Https { .. }) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} has a certificate but is no https address"),
            ));
        }
        let acceptor = tls.map(ServerConfig::load).transpose().map_err(io::Error::other)?;
        Self::bind_with(address, acceptor).await
    }

    /// The address clients reach this listener at: as asked for, with the real port in place of 0.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The connections, as a stream that never ends by itself.
    pub fn incoming(self) -> Incoming {
        Incoming {
            kind: self.kind,
            tls: self.tls,
            handshakes: JoinSet::new(),
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

/// Connections to a [`Listener`], TLS already spoken.
#[derive(Debug)]
pub struct Incoming {
    kind: Kind,
    tls: Option<Acceptor>,
    /// Tasks of their own, so that a slow client delays nobody.
    handshakes: JoinSet<io::Result<TlsStream<TcpStream>>>,
    /// Set after a failed accept; nothing is accepted until it is over.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(connection) = self.poll_handshakes(cx) {
                return Poll::Ready(Some(Ok(connection)));
            }
            // The end of a handshake wakes this up.
            if self.handshakes.len() >= MAX_HANDSHAKES {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match (ready!(self.kind.poll_accept(cx)), &self.tls) {
                // The client gave up while it was waiting; that says nothing about the next one.
                (Some(Err(error)), _) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                (Some(Err(error)), _) => {
                    tracing::warn!(%error, "could not accept a connection");
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
                (Some(Ok(Connection::Tcp(stream))), Some(tls)) => {
                    let tls = tls.clone();
                    self.handshakes.spawn(async move { tls.accept(stream).await });
                }
                (accepted, _) => return Poll::Ready(accepted),
            }
        }
    }
}

impl Incoming {
    /// The next connection whose handshake is done. Those that failed are forgotten: anybody can send anything.
    fn poll_handshakes(&mut self, cx: &mut Context<'_>) -> Option<Connection> {
        while let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(cx) {
            match ended {
                Ok(Ok(stream)) => return Some(Connection::Tls(Box::new(stream))),
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(error) => tracing::error!(%error, "TLS handshake fell"),
            }
        }
        None
    }
}

impl Kind {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                // Small frames must leave at once: Nagle's algorithm would hold tokens back for 40 ms. It fails only on
                // a connection that is broken already, which its first read will tell.
                let _ = stream.set_nodelay(true);
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
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
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
    Memory(DuplexStream),
}

impl Connection {
    /// Who is at the other end, if that is a machine.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Unix(_) | Self::Memory(_) => return None,
        };
        stream.peer_addr().ok().map(|address| address.ip())
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

macro_rules! forward {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Connection::Tcp($inner) => $call,
            Connection::Tls($inner) => $call,
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
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Memory(pipe) => pipe.is_write_vectored(),
        }
    }
}
