//! The script a template has run at each start, as a process of the workspace's agent. It belongs to no chat. A script that fails leaves
//! a workspace that can be worked in, and is told of.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tandem_proto::storage::v1::StartupOutcome;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ProcessSignal, ProcessSnapshot, SignalProcess, StartProcess, WaitProcess};
use uuid::Builder;

use super::Job;
use crate::agents::{Connection, Refusal};
use crate::tool::out_of_memory;
use crate::workspace::environment;

/// Time for a script whose template says nothing, and the most.
const DEFAULT_TIME: Duration = Duration::from_secs(10 * 60);

/// Time for one wait; then what was printed meanwhile is shown.
const WAIT_TIME: Duration = Duration::from_secs(5);

/// Time for an agent to answer what takes none.
const ASK_TIME: Duration = Duration::from_secs(15);

/// Longest time for all of it: the script, and asking to start it, to wait for it and to end it.
pub(super) const LONGEST: Duration = DEFAULT_TIME.saturating_add(ASK_TIME.saturating_mul(3));

/// Runs the build's script, if there is one.
pub(super) async fn run(connection: &Connection, job: &Job) -> StartupOutcome {
    connection.set_environment(environment::of(&job.spec, &job.workspace));
    if job.spec.startup_script.trim().is_empty() {
        return StartupOutcome::Unspecified;
    }
    let limit = match job.spec.startup_timeout_ms {
        0 => DEFAULT_TIME,
        limit => Duration::from_millis(limit.unsigned_abs()).min(DEFAULT_TIME),
    };
    job.log.line("Running the startup script.");
    match follow(connection, job, limit).await {
        Ok(outcome) => outcome,
        Err(refusal) => {
            job.log
                .line(&format!("How the startup script ended is not known: {refusal}."));
            StartupOutcome::Unknown
        }
    }
}

async fn follow(connection: &Connection, job: &Job, limit: Duration) -> Result<StartupOutcome, Refusal> {
    // The same for every attempt: an agent that lives on has it already.
    let process_id = process_id(&job.build.id);
    let start = StartProcess {
        process_id: process_id.clone(),
        command: job.spec.startup_script.clone(),
        is_background: true,
        ..StartProcess::default()
    };
    connection
        .call("", Operation::StartProcess(start), ASK_TIME, None)
        .await?;
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let turn = left.min(WAIT_TIME);
        let wait = WaitProcess {
            process_id: process_id.clone(),
            timeout: prost_types::Duration::try_from(turn).ok(),
            ..WaitProcess::default()
        };
        let answer = connection
            .call("", Operation::WaitProcess(wait), turn + ASK_TIME, None)
            .await?;
        if let Answer::Process(snapshot) = &answer {
            job.log.output(&snapshot.output);
        }
        match answer {
            Answer::Process(snapshot) if !snapshot.is_running => return Ok(ended(job, &snapshot)),
            Answer::Process(_) if left > turn => {}
            Answer::Process(_) => {
                let signal = SignalProcess {
                    process_id,
                    signal: ProcessSignal::Kill.into(),
                };
                connection
                    .call("", Operation::SignalProcess(signal), ASK_TIME, None)
                    .await?;
                job.log
                    .line(&format!("The startup script did not end within {} s.", limit.as_secs()));
                return Ok(StartupOutcome::Timeout);
            }
            _ => return Ok(StartupOutcome::Unknown),
        }
    }
}

fn ended(job: &Job, snapshot: &ProcessSnapshot) -> StartupOutcome {
    if snapshot.exit_code == 0 {
        job.log.line("The startup script ended well.");
        return StartupOutcome::Succeeded;
    }
    job.log.line(&match out_of_memory(snapshot) {
        Some(killed) => format!("The startup script was {killed}."),
        None => format!("The startup script failed with exit code {}.", snapshot.exit_code),
    });
    StartupOutcome::Failed
}

/// A UUID (version 8) made of the build's id.
fn process_id(build_id: &str) -> String {
    let digest = Sha256::digest(format!("startup script of {build_id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
