//! The one file a planning turn may write.

use super::Stop;
use crate::agents::Connection;
use crate::call::Context;

/// Refuses every path but the chat's plan file in a planning turn.
pub(super) fn check(context: &Context<'_>, connection: &Connection, path: &str) -> Result<(), Stop> {
    let input = context.input();
    if !input.kind.writes_plan_file_only() {
        return Ok(());
    }
    let relative = format!(".tandem/plans/PLAN-{}.md", input.chat_id);
    let absolute = format!("{}/{relative}", connection.home());
    if path == relative || path == absolute {
        return Ok(());
    }
    Err(Stop::Failed(format!(
        "while planning, only the plan file may be written: {absolute}"
    )))
}
