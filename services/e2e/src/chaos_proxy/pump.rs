//! One direction of one connection: reads, waits as the weather demands, writes, counts.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Climate, Direction, Socket};

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// Reads on their way; together with [`READ_BYTES`] what a direction holds at most.
const QUEUE: usize = 64;

/// One direction of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub direction: Direction,
    /// Its number, from 0.
    pub connection: u64,
}

impl Way {
    fn is_held(self, climate: &Climate) -> bool {
        climate.holds(self.direction, self.connection)
    }
}

/// Bytes a direction may still carry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Budget {
    Endless,
    Bytes(u64),
}

/// What went one way on all connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Bytes delivered.
    pub bytes: AtomicU64,
    /// Bytes that came while the way was lost.
    pub held: AtomicU64,
    /// Connections whose sender has ended them.
    pub ends: AtomicU64,
}

/// Why a pump stopped early.
pub(super) enum Stop {
    /// The budget is used up and its last byte has been written.
    Spent,
    Io(io::Error),
}

/// Pumps until `from` has no more; then `to` is told so by a half-close.
pub(super) async fn run(
    from: &Socket,
    to: &Socket,
    way: Way,
    climate: watch::Receiver<Climate>,
    budget: Budget,
    counts: &Counts,
) -> Result<(), Stop> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reading = read(from, way, climate.clone(), counts, sender);
    let writing = write(to, way, climate, budget, counts, receiver);
    tokio::try_join!(reading, writing)?;
    Ok(())
}

async fn read(
    from: &Socket,
    way: Way,
    mut climate: watch::Receiver<Climate>,
    counts: &Counts,
    queue: mpsc::Sender<(Instant, Bytes)>,
) -> Result<(), Stop> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        from.readable().await.map_err(Stop::Io)?;
        let n = match from.try_read(&mut buffer) {
            Ok(0) => {
                counts.ends.fetch_add(1, Ordering::AcqRel);
                return Ok(());
            }
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => {
                counts.ends.fetch_add(1, Ordering::AcqRel);
                // News of a reset takes the same way as bytes do.
                let calm = climate.wait_for(|climate| !way.is_held(climate)).await;
                drop(calm);
                return Err(Stop::Io(error));
            }
        };
        let delay = {
            let climate = climate.borrow();
            if way.is_held(&climate) {
                counts.held.fetch_add(n as u64, Ordering::AcqRel);
            }
            climate.of(way.direction).delay
        };
        let due = Instant::now() + delay;
        let bytes = Bytes::copy_from_slice(&buffer[..n]);
        if queue.send((due, bytes)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    to: &Socket,
    way: Way,
    mut climate: watch::Receiver<Climate>,
    mut budget: Budget,
    counts: &Counts,
    mut queue: mpsc::Receiver<(Instant, Bytes)>,
) -> Result<(), Stop> {
    if matches!(budget, Budget::Bytes(0)) {
        return Err(Stop::Spent);
    }
    while let Some((due, mut bytes)) = queue.recv().await {
        tokio::time::sleep_until(due).await;
        // The sender lives as long as the proxy; without it the connection is about to be dropped anyway.
        let calm = climate.wait_for(|climate| !way.is_held(climate)).await;
        drop(calm);
        if let Budget::Bytes(left) = &mut budget {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        write_all(to, &bytes).await.map_err(Stop::Io)?;
        counts.bytes.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        if matches!(budget, Budget::Bytes(0)) {
            return Err(Stop::Spent);
        }
    }
    match rustix::net::shutdown(to, rustix::net::Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(Stop::Io(error.into())),
    }
}

async fn write_all(to: &Socket, mut bytes: &[u8]) -> io::Result<()> {
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
