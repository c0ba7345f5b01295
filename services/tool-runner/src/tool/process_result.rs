//! Waiting for a process, stopping it, and showing what it did. Shared by `execute` and `process_output`.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{
    OperationErrorKind, ProcessChunk, ProcessSignal, ProcessSnapshot, SignalProcess, WaitProcess,
};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Stop;
use super::process_list::PROCESS_TIME;
use crate::agents::{Connection, Refusal};
use crate::call::Context;

/// Longest time a tool waits for a process.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// Longest single wait the agent accepts; longer ones are several, each of which shows output from where the last stood.
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// Time before a connection that gave no answer is asked again.
const AGAIN_TIME: Duration = Duration::from_secs(1);

/// Time between asking a process to end and ending it, and for it to be gone then.
const TERMINATE_TIME: Duration = Duration::from_secs(2);
const KILL_TIME: Duration = Duration::from_secs(1);

/// What a shell says of a program that was killed.
const KILLED_IN_SHELL: i32 = 128 + KILL_SIGNAL;
const KILL_SIGNAL: i32 = 9;

/// The kind of that error, for programs.
const OUT_OF_MEMORY: &str = "oom_killed";

/// Chunks of live output waiting to be shown.
const LIVE_QUEUE: usize = 256;

/// How waiting ended.
pub(super) enum Waited {
    Exited(ProcessSnapshot),
    /// It still runs.
    TimedOut(ProcessSnapshot),
    /// The call was cancelled; nothing was done to the process.
    Cancelled(Connection),
}

/// Waits for a process. Finds it again when the connection breaks meanwhile. Its output from `live` on is shown as it comes; `None`: none
/// of it.
///
/// # Errors
/// The process is not known, or cannot be found again.
pub(super) async fn wait(
    context: &Context<'_>,
    mut connection: Connection,
    process_id: &str,
    timeout: Duration,
    mut live: Option<u64>,
) -> Result<Waited, Stop> {
    let deadline = Instant::now() + timeout;
    loop {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let once = wait_once(context, &connection, process_id, remaining.min(MAX_WAIT), &mut live);
        let answer = tokio::select! {
            answer = once => answer,
            () = context.call.cancelled.cancelled() => return Ok(Waited::Cancelled(connection)),
        };
        match answer {
            Ok(snapshot) if !snapshot.is_running => return Ok(Waited::Exited(snapshot)),
            Ok(snapshot) if Instant::now() >= deadline => return Ok(Waited::TimedOut(snapshot)),
            Ok(_) => {}
            Err(Refusal::Broken | Refusal::Late) if Instant::now() >= deadline => return Err(Stop::Unknown),
            Err(Refusal::Broken | Refusal::Late) => {
                let found = context.workspace().await.map_err(|_| Stop::Unknown)?.connection;
                if found.is_same(&connection) {
                    // Its end may not have been noticed yet, or it answers what was not asked.
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN_TIME) => {}
                        () = context.call.cancelled.cancelled() => return Ok(Waited::Cancelled(connection)),
                    }
                }
                connection = found;
            }
            Err(refusal) => return Err(refused(refusal)),
        }
    }
}

fn refused(refusal: Refusal) -> Stop {
    Stop::Failed(refusal.to_string())
}

/// Whether the agent does not know the process.
pub(super) fn is_not_found(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Failed(error) if error.kind() == OperationErrorKind::NotFound)
}

/// One wait, showing output from `live` on as it comes, which goes on there: it becomes `None` where it cannot.
pub(super) async fn wait_once(
    context: &Context<'_>,
    connection: &Connection,
    process_id: &str,
    timeout: Duration,
    live: &mut Option<u64>,
) -> Result<ProcessSnapshot, Refusal> {
    let (sender, mut chunks) = mpsc::channel(LIVE_QUEUE);
    let operation = Operation::WaitProcess(WaitProcess {
        process_id: process_id.to_owned(),
        timeout: prost_types::Duration::try_from(timeout).ok(),
        is_following: live.is_some(),
        from_position: live.unwrap_or_default(),
    });
    let output = live.is_some().then_some(sender);
    let call = connection.call(&context.input().chat_id, operation, timeout + PROCESS_TIME, output);
    tokio::pin!(call);
    let mut show = |chunk: ProcessChunk| {
        context.call.print(&chunk.output);
        // An agent that does not count would begin again from the start.
        *live = live.filter(|_| chunk.next_position > 0).map(|_| chunk.next_position);
    };
    let answer = loop {
        tokio::select! {
            biased;
            Some(chunk) = chunks.recv() => show(chunk),
            answer = &mut call => break answer,
        }
    };
    while let Ok(chunk) = chunks.try_recv() {
        show(chunk);
    }
    match answer? {
        Answer::Process(snapshot) => Ok(snapshot),
        _ => Err(Refusal::Broken),
    }
}

/// Ends a process and everything in its group; its last snapshot, if it could be had.
pub(super) async fn end(context: &Context<'_>, connection: &Connection, process_id: &str) -> Option<ProcessSnapshot> {
    let mut last = None;
    for (signal, time) in [
        (ProcessSignal::Terminate, TERMINATE_TIME),
        (ProcessSignal::Kill, KILL_TIME),
    ] {
        let request = SignalProcess {
            process_id: process_id.to_owned(),
            signal: signal.into(),
        };
        let operation = Operation::SignalProcess(request);
        if let Err(refusal) = connection
            .call(&context.input().chat_id, operation, PROCESS_TIME, None)
            .await
        {
            tracing::debug!(process_id, %refusal, "process cannot be signalled");
        }
        last = wait_once(context, connection, process_id, time, &mut None).await.ok();
        if last.as_ref().is_none_or(|snapshot| !snapshot.is_running) {
            break;
        }
    }
    last
}

/// The fields every result about a process has.
pub(super) fn result(context: &Context<'_>, snapshot: &ProcessSnapshot) -> Value {
    let mut result = json!({
        "success": snapshot.is_running || snapshot.exit_code == 0,
        "exit_code": if snapshot.is_running { 0 } else { snapshot.exit_code },
        "wall_duration_ms": wall_milliseconds(snapshot, context.now()),
    });
    if !snapshot.output.is_empty() {
        result["output"] = snapshot.output.clone().into();
    }
    if let Some(truncation) = &snapshot.truncation {
        result["truncated"] = json!({
            "original_bytes": truncation.original_bytes,
            "retained_bytes": truncation.retained_bytes,
            "omitted_bytes": truncation.omitted_bytes,
            "strategy": "head_tail",
        });
    }
    if let Some(killed) = out_of_memory(snapshot) {
        result["error"] = killed.into();
        result["error_kind"] = OUT_OF_MEMORY.into();
    } else if snapshot.out_of_memory_kills > 0 && result["success"] == false {
        result["note"] = format!("meanwhile a process of the workspace was {}", killed(snapshot)).into();
    }
    result
}

/// What is said of a process that the kernel killed because the workspace's memory was used up.
pub(crate) fn out_of_memory(snapshot: &ProcessSnapshot) -> Option<String> {
    let is_killed = snapshot.exit_signal == KILL_SIGNAL || snapshot.exit_code == KILLED_IN_SHELL;
    let is_ours = !snapshot.is_running && is_killed && snapshot.out_of_memory_kills > 0;
    is_ours.then(|| killed(snapshot))
}

fn killed(snapshot: &ProcessSnapshot) -> String {
    match snapshot.memory_limit_bytes {
        0 => "killed: out of memory".to_owned(),
        limit => format!("killed: out of memory (limit {} MiB)", limit.div_ceil(1 << 20)),
    }
}

/// The same for a process that did not end as it should; `error` says why.
pub(super) fn failed(context: &Context<'_>, snapshot: Option<&ProcessSnapshot>, error: String) -> Value {
    let mut result = snapshot.map_or_else(
        || json!({ "wall_duration_ms": 0 }),
        |snapshot| result(context, snapshot),
    );
    result["success"] = false.into();
    result["exit_code"] = (-1).into();
    result["error"] = error.into();
    if let Some(result) = result.as_object_mut() {
        // It belongs to the error that was there before.
        result.remove("error_kind");
    }
    result
}

fn wall_milliseconds(snapshot: &ProcessSnapshot, now: OffsetDateTime) -> i64 {
    let milliseconds = |time: &prost_types::Timestamp| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000;
    let Some(started) = snapshot.started_at.as_ref().map(milliseconds) else {
        return 0;
    };
    let ended = snapshot.exited_at.as_ref().map_or_else(
        || i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(started),
        milliseconds,
    );
    (ended - started).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_killed_for_want_of_memory_is_told_from_others() {
        let ended = |exit_code, exit_signal, out_of_memory_kills| ProcessSnapshot {
            exit_code,
            exit_signal,
            out_of_memory_kills,
            memory_limit_bytes: 256 << 20,
            ..ProcessSnapshot::default()
        };
        let killed = Some("killed: out of memory (limit 256 MiB)".to_owned());
        assert_eq!(out_of_memory(&ended(-1, 9, 1)), killed);
        assert_eq!(
            out_of_memory(&ended(137, 0, 2)),
            killed,
            "what a shell says of its last program"
        );
        assert_eq!(out_of_memory(&ended(-1, 9, 0)), None, "somebody else killed it");
        assert_eq!(out_of_memory(&ended(-1, 15, 1)), None);
        assert_eq!(out_of_memory(&ended(1, 0, 1)), None, "it ended by itself");
        let unbounded = ProcessSnapshot {
            memory_limit_bytes: 0,
            ..ended(-1, 9, 1)
        };
        assert_eq!(out_of_memory(&unbounded).unwrap(), "killed: out of memory");
    }
}
