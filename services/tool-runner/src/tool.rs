//! The tools: what the model is told of them, and running one.
//!
//! Whatever goes wrong inside a tool is a result with words for the model. Journalling and joining are `call`'s.

use serde_json::Value;
use tandem_chat_core::tool_policy::{BuiltinTool, TurnKind};
use tandem_proto::common::v1::ToolDefinition;
use tandem_proto::workspace::v1::reply::Result as Answer;

use crate::agents::Refusal;
use crate::call::Context;
use crate::mcp;
use crate::workspace;

mod arguments;
mod ask_user_question;
mod attach_file;
mod create_workspace;
mod duration;
mod edit_files;
mod execute;
mod list_templates;
mod plan;
mod process_list;
mod process_output;
mod process_result;
mod process_signal;
mod propose_plan;
mod read_file;
mod read_skill;
mod read_skill_file;
mod read_template;
mod start_workspace;
mod stop_workspace;
mod stored;
mod workspace_life;
mod write_file;

use arguments::Arguments;
pub(crate) use process_result::out_of_memory;

/// What is said of a call nobody knows the outcome of.
pub(crate) const UNKNOWN: &str = "The outcome of this call is unknown: it was started, and what became of it cannot be found out. Check before repeating it.";

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A result, also one that reports a failure in its fields.
    Done(Value),
    /// The call did not happen; why, for the model.
    Failed(String),
    /// Whether it took effect cannot be known.
    Unknown(String),
}

/// Why a tool stops early; becomes an [`Outcome`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    Failed(String),
    Unknown,
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(message) => Self::Failed(message),
            Stop::Unknown => Self::Unknown(UNKNOWN.to_owned()),
        }
    }
}

impl From<workspace::Error> for Stop {
    fn from(error: workspace::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Stop {
    /// A refused operation that changes nothing.
    fn reading(refusal: Refusal) -> Self {
        Self::Failed(refusal.to_string())
    }

    /// A refused operation that may have changed something.
    fn writing(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(_) | Refusal::Busy => Self::Failed(refusal.to_string()),
            Refusal::Broken | Refusal::Late => Self::Unknown,
        }
    }

    /// An agent that answers something else.
    fn unexpected(_: Answer) -> Self {
        Self::Failed("the workspace answered something unexpected".to_owned())
    }
}

/// The tools of a turn, in their stable order.
pub(crate) fn definitions(kind: TurnKind) -> Vec<ToolDefinition> {
    kind.builtin_tools().filter_map(definition).collect()
}

/// What the model is told of a tool; `None` for those that run elsewhere.
fn definition(tool: BuiltinTool) -> Option<ToolDefinition> {
    let (description, schema) = match tool {
        BuiltinTool::ReadFile => read_file::definition(),
        BuiltinTool::WriteFile => write_file::definition(),
        BuiltinTool::EditFiles => edit_files::definition(),
        BuiltinTool::AttachFile => attach_file::definition(),
        BuiltinTool::Execute => execute::definition(),
        BuiltinTool::ProcessOutput => process_output::definition(),
        BuiltinTool::ProcessList => process_list::definition(),
        BuiltinTool::ProcessSignal => process_signal::definition(),
        BuiltinTool::ListTemplates => list_templates::definition(),
        BuiltinTool::ReadTemplate => read_template::definition(),
        BuiltinTool::CreateWorkspace => create_workspace::definition(),
        BuiltinTool::StartWorkspace => start_workspace::definition(),
        BuiltinTool::StopWorkspace => stop_workspace::definition(),
        BuiltinTool::AskUserQuestion => ask_user_question::definition(),
        BuiltinTool::ProposePlan => propose_plan::definition(),
        BuiltinTool::ReadSkill => read_skill::definition(),
        BuiltinTool::ReadSkillFile => read_skill_file::definition(),
        _ => return None,
    };
    Some(ToolDefinition {
        name: tool.as_str().to_owned(),
        description: description.to_owned(),
        input_schema_json: schema.to_string(),
        computer: None,
    })
}

/// Runs a call to its outcome.
pub(crate) async fn run(context: &Context<'_>) -> Outcome {
    dispatch(context).await.unwrap_or_else(Outcome::from)
}

async fn dispatch(context: &Context<'_>) -> Result<Outcome, Stop> {
    let input = context.input();
    let tool = input
        .tool_name
        .parse::<BuiltinTool>()
        .ok()
        .filter(|tool| definition(*tool).is_some());
    let Some(tool) = tool else {
        if let Some(outcome) = foreign(context).await? {
            return Ok(outcome);
        }
        let shown: String = input.tool_name.chars().take(64).collect();
        return Err(Stop::Failed(format!("There is no tool named {shown:?}.")));
    };
    if !input.kind.allows(tool) {
        return Err(Stop::Failed(format!("{tool} may not be used in this turn.")));
    }
    let arguments = Arguments::parse_unambiguous(&input.arguments_json)?;
    match tool {
        BuiltinTool::ReadFile => read_file::run(context, &arguments).await,
        BuiltinTool::WriteFile => write_file::run(context, &arguments).await,
        BuiltinTool::EditFiles => edit_files::run(context, &arguments).await,
        BuiltinTool::AttachFile => attach_file::run(context, &arguments).await,
        BuiltinTool::Execute => execute::run(context, &arguments).await,
        BuiltinTool::ProcessOutput => process_output::run(context, &arguments).await,
        BuiltinTool::ProcessList => process_list::run(context).await,
        BuiltinTool::ProcessSignal => process_signal::run(context, &arguments).await,
        BuiltinTool::ListTemplates => list_templates::run(context, &arguments).await,
        BuiltinTool::ReadTemplate => read_template::run(context, &arguments).await,
        BuiltinTool::CreateWorkspace => create_workspace::run(context, &arguments).await,
        BuiltinTool::StartWorkspace => start_workspace::run(context, &arguments).await,
        BuiltinTool::StopWorkspace => stop_workspace::run(context).await,
        BuiltinTool::AskUserQuestion => ask_user_question::run(&arguments),
        BuiltinTool::ProposePlan => propose_plan::run(context, &arguments).await,
        BuiltinTool::ReadSkill => read_skill::run(context, &arguments).await,
        BuiltinTool::ReadSkillFile => read_skill_file::run(context, &arguments).await,
        _ => Err(Stop::Failed(format!("{tool} does not run here."))),
    }
}

/// A tool of an MCP server; `None` where there is no server the name belongs to.
async fn foreign(context: &Context<'_>) -> Result<Option<Outcome>, Stop> {
    if context.input().tool_name == mcp::FIND_TOOLS {
        let arguments = Arguments::parse(&context.input().arguments_json)?;
        return Ok(Some(context.find_tools(&arguments.into_object()).await));
    }
    if context.is_resumed {
        // The server may have acted on the call, and cannot be asked.
        return Err(Stop::Unknown);
    }
    let arguments = Arguments::parse(&context.input().arguments_json)?;
    Ok(context.mcp(arguments.into_object()).await)
}

impl From<Result<mcp::Converted, mcp::CallError>> for Outcome {
    fn from(answer: Result<mcp::Converted, mcp::CallError>) -> Self {
        match answer {
            Ok(result) if !result.is_error => Self::Done(result.value),
            Ok(result) => Self::Failed(result.value.as_str().unwrap_or_default().to_owned()),
            Err(error) if error.is_unknown => Self::Unknown(error.text),
            Err(error) => Self::Failed(error.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_offered_in_their_stable_order_with_object_schemas() {
        let names: Vec<String> = definitions(TurnKind::Root).into_iter().map(|tool| tool.name).collect();
        let all = [
            "read_file",
            "write_file",
            "edit_files",
            "attach_file",
            "execute",
            "process_output",
            "process_list",
            "process_signal",
            "list_templates",
            "read_template",
            "create_workspace",
            "start_workspace",
            "stop_workspace",
            "read_skill",
            "read_skill_file",
        ];
        assert_eq!(names, all);
        for tool in definitions(TurnKind::Root) {
            let schema: Value = serde_json::from_str(&tool.input_schema_json).unwrap();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert!(tool.description.len() > 40, "{}", tool.name);
        }
    }

    #[test]
    fn planning_turns_ask_and_propose() {
        let names: Vec<String> = definitions(TurnKind::PlanRoot)
            .into_iter()
            .map(|tool| tool.name)
            .collect();
        let all = [
            "read_file",
            "write_file",
            "edit_files",
            "attach_file",
            "execute",
            "process_output",
            "ask_user_question",
            "list_templates",
            "read_template",
            "create_workspace",
            "start_workspace",
            "stop_workspace",
            "propose_plan",
            "read_skill",
            "read_skill_file",
        ];
        assert_eq!(names, all);
    }

    #[test]
    fn exploring_turns_get_no_writing_tools() {
        let names: Vec<String> = definitions(TurnKind::Explore)
            .into_iter()
            .map(|tool| tool.name)
            .collect();
        let all = [
            "read_file",
            "execute",
            "process_output",
            "read_skill",
            "read_skill_file",
        ];
        assert_eq!(names, all);
    }
}
