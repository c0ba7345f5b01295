//! `process_signal`: ends a process and everything it started.

use serde_json::{Value, json};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{ProcessSignal, SignalProcess};

use super::arguments::{Arguments, must_be};
use super::process_list::PROCESS_TIME;
use super::{Outcome, Stop};
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Sends a signal to a process this chat started, and to everything that process started. Use terminate \
        first, and kill when that does not help.";
    let schema = json!({
        "type": "object",
        "properties": {
            "process_id": { "type": "string", "description": "Id from execute or process_list." },
            "signal": {
                "type": "string",
                "enum": ["terminate", "kill"],
                "description": "terminate asks it to end (SIGTERM); kill ends it at once (SIGKILL).",
            },
        },
        "required": ["process_id", "signal"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let process_id = arguments.text("process_id")?;
    let (signal, name) = match arguments.text("signal")? {
        "terminate" => (ProcessSignal::Terminate, "SIGTERM"),
        "kill" => (ProcessSignal::Kill, "SIGKILL"),
        _ => return Err(must_be("signal", "terminate or kill")),
    };
    if context.is_resumed {
        return Err(Stop::Unknown);
    }
    let ready = context.workspace().await?;
    let request = SignalProcess {
        process_id: process_id.to_owned(),
        signal: signal.into(),
    };
    let operation = Operation::SignalProcess(request);
    let answer = ready
        .connection
        .call(&context.input().chat_id, operation, PROCESS_TIME, None)
        .await;
    match answer.map_err(Stop::writing)? {
        Answer::SignalProcess(_) => {
            let message = format!("{name} was sent to process {process_id}.");
            Ok(Outcome::Done(json!({ "success": true, "message": message })))
        }
        other => Err(Stop::unexpected(other)),
    }
}
