//! `execute`: a shell command.
//!
//! Its process has an id derived from the call's, so that a call begun by an earlier owner finds it instead of starting another.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::StartProcess;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;

use super::arguments::{Arguments, must_be};
use super::process_list::PROCESS_TIME;
use super::process_result::{MAX_TIMEOUT, Waited, end, failed, is_not_found, result, wait, wait_once};
use super::{Outcome, Stop, duration};
use crate::agents::Connection;
use crate::call::Context;

/// Time for a command in the foreground when not told.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Runs a shell command in the workspace with `sh -c` and shows its output (beginning and end, 32 KiB in all). \
        There is no terminal and no input. A command that is not done within timeout goes on in the background; look at it with \
        process_output. Start servers and other long-running programs with run_in_background.";
    let schema = json!({
        "type": "object",
        "properties": {
            "command": { "type": "string", "description": "The command." },
            "timeout": {
                "type": "string",
                "description": "How long to wait for the end, for example \"30s\" or \"5m\". Default \"10s\".",
            },
            "workdir": {
                "type": "string",
                "description": "Directory to run in, absolute or relative to the home directory. Default: the home directory.",
            },
            "run_in_background": { "type": "boolean", "description": "Do not wait for the end. Default false." },
        },
        "required": ["command"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let asked = arguments.text("command")?;
    let timeout = arguments
        .optional_duration("timeout")?
        .unwrap_or(DEFAULT_TIMEOUT)
        .min(MAX_TIMEOUT);
    if timeout.is_zero() {
        return Err(must_be("timeout", "longer than 0"));
    }
    let (command, has_ampersand) = split_background(asked);
    let is_background = arguments.flag("run_in_background")? || has_ampersand;
    let process_id = context.process_id();
    let start = StartProcess {
        process_id: process_id.clone(),
        command: command.to_owned(),
        working_directory: arguments.optional_text("workdir")?.unwrap_or_default().to_owned(),
        environment: std::collections::HashMap::new(),
        is_background,
    };
    let ready = context.workspace().await?;
    if context.is_resumed {
        rejoin(context, &ready.connection, &process_id).await?;
    } else {
        context.record_place(&ready.workspace_id, &process_id).await;
        begin(context, &ready.connection, start).await?;
    }
    if is_background {
        let shown = json!({
            "success": true,
            "exit_code": 0,
            "wall_duration_ms": 0,
            "background_process_id": process_id,
        });
        return Ok(Outcome::Done(shown));
    }
    let mut shown = match wait(context, ready.connection, &process_id, timeout, Some(0)).await {
        Ok(Waited::Exited(snapshot)) => result(context, &snapshot),
        Ok(Waited::TimedOut(snapshot)) => {
            let error = format!(
                "command timed out after {}; it goes on in the background",
                duration::format(timeout)
            );
            let mut shown = failed(context, Some(&snapshot), error);
            shown["background_process_id"] = process_id.into();
            shown
        }
        Ok(Waited::Cancelled(connection)) => {
            let snapshot = end(context, &connection, &process_id).await;
            failed(context, snapshot.as_ref(), "interrupted".to_owned())
        }
        // It was started: whatever hides it now, it may have done its work.
        Err(_) => return Err(Stop::Unknown),
    };
    if let Some(note) = advice(command).filter(|_| shown["note"].is_null()) {
        shown["note"] = note.into();
    }
    Ok(Outcome::Done(shown))
}

async fn begin(context: &Context<'_>, connection: &Connection, start: StartProcess) -> Result<(), Stop> {
    let process_id = start.process_id.clone();
    let operation = Operation::StartProcess(start);
    let answer = connection
        .call(&context.input().chat_id, operation, PROCESS_TIME, None)
        .await;
    match answer.map_err(Stop::writing) {
        Ok(Answer::StartProcess(_)) => Ok(()),
        Ok(other) => Err(Stop::unexpected(other)),
        Err(Stop::Unknown) => {
            // The agent may have started it and be back already.
            let ready = context.workspace().await.map_err(|_| Stop::Unknown)?;
            rejoin(context, &ready.connection, &process_id).await
        }
        Err(stop) => Err(stop),
    }
}

/// Finds the process of a call that was begun before.
async fn rejoin(context: &Context<'_>, connection: &Connection, process_id: &str) -> Result<(), Stop> {
    match wait_once(context, connection, process_id, Duration::ZERO, &mut None).await {
        Ok(_) => Ok(()),
        Err(refusal) if is_not_found(&refusal) => Err(Stop::Unknown),
        Err(refusal) => {
            tracing::warn!(process_id, %refusal, "process of a resumed call cannot be looked at");
            Err(Stop::Unknown)
        }
    }
}

/// The command without a single trailing `&`, and whether it had one.
fn split_background(command: &str) -> (&str, bool) {
    let trimmed = command.trim_end();
    match trimmed.strip_suffix('&') {
        Some(rest) if !rest.ends_with(['&', '|', '>', '\\']) && !rest.trim().is_empty() => (rest.trim_end(), true),
        Some(_) | None => (command, false),
    }
}

/// What to use instead, for commands that print whole files.
fn advice(command: &str) -> Option<&'static str> {
    let mut words = command.split_ascii_whitespace();
    let is_reading = match words.next()? {
        "cat" => words.next().is_some(),
        "rg" | "grep" => words.clone().next() == Some("-l") || words.any(|word| word.starts_with("--include-all")),
        _ => false,
    };
    is_reading.then_some("read_file shows files with line numbers and without flooding the output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_ampersand_means_background() {
        let cases = [
            ("sleep 1 &", ("sleep 1", true)),
            ("sleep 1&  ", ("sleep 1", true)),
            ("a && b", ("a && b", false)),
            ("a &&", ("a &&", false)),
            ("a |&", ("a |&", false)),
            ("a & b", ("a & b", false)),
            ("echo \\&", ("echo \\&", false)),
            ("&", ("&", false)),
        ];
        for (command, expected) in cases {
            assert_eq!(split_background(command), expected, "{command}");
        }
    }

    #[test]
    fn advice_is_given_for_commands_that_print_files() {
        for command in ["cat a.txt", "grep -l x", "rg foo --include-all"] {
            assert!(advice(command).is_some(), "{command}");
        }
        for command in ["cat", "category a", "grep x", "echo cat x"] {
            assert!(advice(command).is_none(), "{command}");
        }
    }
}
