//! `process_output`: what a process printed, waiting for it if asked to.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::process_result::{MAX_TIMEOUT, Waited, result, wait};
use super::{Outcome, Stop};
use crate::call::Context;

/// How long it waits when not told.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Shows what a process this chat started has printed (its beginning and end, 32 KiB in all) and whether it \
        still runs. Waits for its end up to wait_timeout first.";
    let schema = json!({
        "type": "object",
        "properties": {
            "process_id": { "type": "string", "description": "Id from execute or process_list." },
            "wait_timeout": {
                "type": "string",
                "description": "How long to wait for the end, for example \"30s\". Default \"10s\"; \"0s\" answers at once.",
            },
        },
        "required": ["process_id"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let process_id = arguments.text("process_id")?;
    let timeout = arguments
        .optional_duration("wait_timeout")?
        .unwrap_or(DEFAULT_WAIT)
        .min(MAX_TIMEOUT);
    let ready = context.workspace().await?;
    let shown = match wait(context, ready.connection, process_id, timeout, None).await {
        Ok(Waited::Exited(snapshot)) => result(context, &snapshot),
        Ok(Waited::TimedOut(snapshot)) => {
            let mut shown = result(context, &snapshot);
            shown["note"] = "process is still running".into();
            shown
        }
        Ok(Waited::Cancelled(_)) => return Err(Stop::Failed("interrupted; the process was left running".to_owned())),
        // Looking changes nothing, so nothing about it is unknown.
        Err(Stop::Unknown) => {
            return Err(Stop::Failed(
                "the connection to the workspace broke; try again".to_owned(),
            ));
        }
        Err(stop) => return Err(stop),
    };
    Ok(Outcome::Done(shown))
}
