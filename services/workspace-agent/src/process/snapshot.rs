//! A process as it is now, and following it until it ends.

use std::time::Duration;

use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{LinkRequest, ProcessChunk, ProcessSnapshot};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::manager::Process;
use super::output::{decode, incomplete_tail};

/// Longest wait for a process.
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// How often new output is passed on.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

/// Most bytes passed on at a time.
const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    /// -1 when a signal ended it.
    pub(crate) code: i32,
    /// 0 when it ended by itself.
    pub(crate) signal: i32,
    /// Of processes of the workspace, while it ran.
    pub(crate) out_of_memory_kills: u64,
    /// Of the workspace; 0: not known.
    pub(crate) memory_limit_bytes: u64,
    pub(crate) at: OffsetDateTime,
}

/// Where a followed process's output goes.
pub(crate) struct Outlet<'a> {
    pub(crate) operation_id: u64,
    pub(crate) link: &'a mpsc::Sender<LinkRequest>,
    /// Bytes of output that were passed on before.
    pub(crate) from_position: u64,
}

impl Outlet<'_> {
    async fn send(&self, output: String, next_position: u64) {
        if !output.is_empty() {
            let message = Message::Chunk(ProcessChunk {
                operation_id: self.operation_id,
                output,
                next_position,
            });
            // A broken link is noticed by its reader.
            let _ = self.link.send(LinkRequest { message: Some(message) }).await;
        }
    }
}

/// The process as it is now.
pub(crate) fn take(process: &Process) -> ProcessSnapshot {
    // Before the output: what is printed between the two is shown with a process that still runs, never lost.
    let exit = *process.exit.borrow();
    let (output, truncation) = process.output().text();
    ProcessSnapshot {
        process_id: process.request.process_id.clone(),
        output,
        truncation,
        is_running: exit.is_none(),
        exit_code: exit.map_or(0, |exit| exit.code),
        started_at: Some(timestamp(process.started_at)),
        exited_at: exit.map(|exit| timestamp(exit.at)),
        command: process.request.command.clone(),
        working_directory: process.directory.to_string_lossy().into_owned(),
        is_background: process.request.is_background,
        exit_signal: exit.map_or(0, |exit| exit.signal),
        out_of_memory_kills: exit.map_or(0, |exit| exit.out_of_memory_kills),
        memory_limit_bytes: exit.map_or(0, |exit| exit.memory_limit_bytes),
    }
}

/// Waits until the process ends or `timeout` passes. `outlet` gets new output as it comes, from its place on.
pub(crate) async fn wait(process: &Process, timeout: Duration, outlet: Option<Outlet<'_>>) -> ProcessSnapshot {
    let mut exit = process.exit.subscribe();
    let deadline = tokio::time::sleep(timeout.min(MAX_WAIT));
    tokio::pin!(deadline);
    let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut follower = Follower {
        position: outlet.as_ref().map_or(0, |outlet| outlet.from_position),
        held: Vec::new(),
    };
    loop {
        tokio::select! {
            () = ended(&mut exit) => break,
            () = &mut deadline => break,
            _ = ticks.tick(), if outlet.is_some() => {
                if let (Some(outlet), Some(text)) = (&outlet, follower.next(process)) {
                    outlet.send(text, follower.passed_on()).await;
                }
            }
        }
    }
    if let Some(outlet) = &outlet {
        while let Some(text) = follower.next(process) {
            outlet.send(text, follower.passed_on()).await;
        }
    }
    take(process)
}

async fn ended(exit: &mut watch::Receiver<Option<Exit>>) {
    // An error means the process is gone from memory, which cannot happen while it is borrowed.
    let _ = exit.wait_for(Option::is_some).await;
}

/// A reader's place in a process's output.
struct Follower {
    position: u64,
    /// The beginning of a character whose rest has not come yet.
    held: Vec<u8>,
}

impl Follower {
    fn next(&mut self, process: &Process) -> Option<String> {
        let (bytes, position) = {
            let output = process.output();
            // Whoever names the place may name one that is not there yet.
            if output.total() <= self.position {
                return None;
            }
            output.since(self.position, MAX_CHUNK_BYTES - 4)
        };
        if position - bytes.len() as u64 != self.position {
            self.held.clear();
        }
        self.position = position;
        self.held.extend(bytes);
        let whole = self.held.len() - incomplete_tail(&self.held);
        let text = decode(&self.held[..whole]);
        self.held.drain(..whole);
        // An empty text keeps the loop that drains the rest going.
        Some(text)
    }

    /// Bytes that need not be passed on again: what is held back does.
    fn passed_on(&self) -> u64 {
        self.position - self.held.len() as u64
    }
}

fn timestamp(at: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
    }
}
