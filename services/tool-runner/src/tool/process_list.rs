//! `process_list`: the chat's processes.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ListProcesses, ProcessSnapshot};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Outcome, Stop, out_of_memory};
use crate::call::Context;

/// Time for one short operation on processes.
pub(super) const PROCESS_TIME: Duration = Duration::from_secs(30);

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Lists the processes this chat started, running ones first and at most 10, with their ids for \
        process_output and process_signal.";
    (description, json!({ "type": "object", "properties": {} }))
}

pub(super) async fn run(context: &Context<'_>) -> Result<Outcome, Stop> {
    let ready = context.workspace().await?;
    let operation = Operation::ListProcesses(ListProcesses {});
    let answer = ready
        .connection
        .call(&context.input().chat_id, operation, PROCESS_TIME, None)
        .await;
    match answer.map_err(Stop::reading)? {
        Answer::ListProcesses(result) => {
            let processes: Vec<Value> = result.processes.iter().map(shown).collect();
            Ok(Outcome::Done(json!({ "processes": processes })))
        }
        other => Err(Stop::unexpected(other)),
    }
}

fn shown(process: &ProcessSnapshot) -> Value {
    let mut shown = json!({
        "id": process.process_id,
        "command": process.command,
        "workdir": process.working_directory,
        "background": process.is_background,
        "running": process.is_running,
        "started_at": written(process.started_at.as_ref()),
    });
    if !process.is_running {
        shown["exit_code"] = process.exit_code.into();
        if let Some(killed) = out_of_memory(process) {
            shown["error"] = killed.into();
        }
        shown["exited_at"] = written(process.exited_at.as_ref()).into();
    }
    shown
}

fn written(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(time?.seconds).ok()?;
    time.format(&Rfc3339).ok()
}
