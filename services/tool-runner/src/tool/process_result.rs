//! Waiting for a process, stopping it, and showing what it did. Shared by `execute` and `process_output`.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{OperationErrorKind, ProcessSignal, ProcessSnapshot, SignalProcess, WaitProcess};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Stop;
use super::process_list::PROCESS_TIME;
use crate::agents::{Connection, Refusal};
use crate::call::Context;

/// Longest time a tool waits for a process.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// Longest single wait the agent accepts; longer ones are several.
const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// Time between asking a process to end and ending it, and for it to be gone then.
const TERMINATE_TIME: Duration = Duration::from_secs(2);
const KILL_TIME: Duration = Duration::from_secs(1);

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

/// Waits for a process. Finds it again when the connection breaks meanwhile.
///
/// # Errors
/// The process is not known, or cannot be found again.
pub(super) async fn wait(
    context: &Context<'_>,
    mut connection: Connection,
    process_id: &str,
    timeout: Duration,
    mut is_following: bool,
) -> Result<Waited, Stop> {
    let deadline = Instant::now() + timeout;
    loop {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let once = wait_once(context, &connection, process_id, remaining.min(MAX_WAIT), is_following);
        let answer = tokio::select! {
            answer = once => answer,
            () = context.call.cancelled.cancelled() => return Ok(Waited::Cancelled(connection)),
        };
        match answer {
            Ok(snapshot) if !snapshot.is_running => return Ok(Waited::Exited(snapshot)),
            Ok(snapshot) if Instant::now() >= deadline => return Ok(Waited::TimedOut(snapshot)),
            // Live output would begin again from its start.
            Ok(_) => is_following = false,
            Err(Refusal::Broken | Refusal::Late) => {
                connection = context.workspace().await.map_err(|_| Stop::Unknown)?.connection;
                is_following = false;
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

/// One wait, showing output as it comes if asked to.
pub(super) async fn wait_once(
    context: &Context<'_>,
    connection: &Connection,
    process_id: &str,
    timeout: Duration,
    is_following: bool,
) -> Result<ProcessSnapshot, Refusal> {
    let (sender, mut live) = mpsc::channel(LIVE_QUEUE);
    let operation = Operation::WaitProcess(WaitProcess {
        process_id: process_id.to_owned(),
        timeout: prost_types::Duration::try_from(timeout).ok(),
        is_following,
    });
    let output = is_following.then_some(sender);
    let call = connection.call(&context.input().chat_id, operation, timeout + PROCESS_TIME, output);
    tokio::pin!(call);
    let answer = loop {
        tokio::select! {
            biased;
            Some(text) = live.recv() => context.call.print(&text),
            answer = &mut call => break answer?,
        }
    };
    while let Ok(text) = live.try_recv() {
        context.call.print(&text);
    }
    match answer {
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
        last = wait_once(context, connection, process_id, time, false).await.ok();
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
    result
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
