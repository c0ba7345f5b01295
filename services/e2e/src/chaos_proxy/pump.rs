//! One direction of one connection: reads, waits as the weather demands, writes, counts.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Climate, Direction};

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// Reads on their way; together with [`READ_BYTES`] what a direction holds at most.
const QUEUE: usize = 64;

/// Bytes a direction may still carry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Budget {
    Endless,
    Bytes(u64),
}

/// Why a pump stopped early.
pub(super) enum Stop {
    /// The budget is used up and its last byte has been written.
    Spent,
    Io(io::Error),
}

/// Pumps until `from` has no more; then `to` is told so by a half-close.
pub(super) async fn run(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction,
    climate: watch::Receiver<Climate>,
    budget: Budget,
    count: &AtomicU64,
) -> Result<(), Stop> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reading = read(from, direction, climate.clone(), sender);
    let writing = write(to, direction, climate, budget, count, receiver);
    tokio::try_join!(reading, writing)?;
    Ok(())
}

async fn read(
    from: &TcpStream,
    direction: Direction,
    climate: watch::Receiver<Climate>,
    queue: mpsc::Sender<(Instant, Bytes)>,
) -> Result<(), Stop> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        from.readable().await.map_err(Stop::Io)?;
        let n = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(Stop::Io(error)),
        };
        let due = Instant::now() + climate.borrow().of(direction).delay;
        let bytes = Bytes::copy_from_slice(&buffer[..n]);
        if queue.send((due, bytes)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    to: &TcpStream,
    direction: Direction,
    mut climate: watch::Receiver<Climate>,
    mut budget: Budget,
    count: &AtomicU64,
    mut queue: mpsc::Receiver<(Instant, Bytes)>,
) -> Result<(), Stop> {
    if matches!(budget, Budget::Bytes(0)) {
        return Err(Stop::Spent);
    }
    while let Some((due, mut bytes)) = queue.recv().await {
        tokio::time::sleep_until(due).await;
        // The sender lives as long as the proxy; without it the connection is about to be dropped anyway.
        let calm = climate.wait_for(|climate| !climate.of(direction).held).await;
        drop(calm);
        if let Budget::Bytes(left) = &mut budget {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        write_all(to, &bytes).await.map_err(Stop::Io)?;
        count.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        if matches!(budget, Budget::Bytes(0)) {
            return Err(Stop::Spent);
        }
    }
    match rustix::net::shutdown(to, rustix::net::Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(Stop::Io(error.into())),
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
