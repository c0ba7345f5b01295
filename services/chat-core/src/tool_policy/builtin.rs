//! The names of the built-in tools.
//!
//! Owns the list and its stable order, which vendors' prompt caches depend on. What each tool does is tool-runner's.

use std::fmt;
use std::str::FromStr;

/// Declares the tools with the names the model sees, in the order in which they are offered.
macro_rules! builtin_tools {
    ($($name:ident = $text:literal,)*) => {
        /// A tool that Tandem itself provides.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is the tool of the same name")]
        pub enum BuiltinTool {
            $($name,)*
        }

        impl BuiltinTool {
            /// Every built-in tool, in the order in which they are offered.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The name the model calls it by.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

builtin_tools! {
    ReadFile = "read_file",
    WriteFile = "write_file",
    EditFiles = "edit_files",
    AttachFile = "attach_file",
    Execute = "execute",
    ProcessOutput = "process_output",
    ProcessList = "process_list",
    ProcessSignal = "process_signal",
    AskUserQuestion = "ask_user_question",
    ListTemplates = "list_templates",
    ReadTemplate = "read_template",
    CreateWorkspace = "create_workspace",
    StartWorkspace = "start_workspace",
    StopWorkspace = "stop_workspace",
    ProposePlan = "propose_plan",
    SpawnAgent = "spawn_agent",
    WaitAgent = "wait_agent",
    MessageAgent = "message_agent",
    CloseAgent = "close_agent",
    ReadSkill = "read_skill",
    ReadSkillFile = "read_skill_file",
    Advisor = "advisor",
}

impl BuiltinTool {
    /// Whether the tool must be the only call of its step.
    pub const fn is_exclusive(self) -> bool {
        matches!(self, Self::Advisor)
    }
}

impl fmt::Display for BuiltinTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BuiltinTool {
    type Err = UnknownTool;

    /// Knows `interrupt_agent` as another name of `close_agent`.
    fn from_str(name: &str) -> Result<Self, UnknownTool> {
        if name == "interrupt_agent" {
            return Ok(Self::CloseAgent);
        }
        Self::ALL
            .into_iter()
            .find(|tool| tool.as_str() == name)
            .ok_or(UnknownTool)
    }
}

/// The name is not that of a built-in tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a built-in tool")]
pub struct UnknownTool;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for tool in BuiltinTool::ALL {
            assert_eq!(tool.as_str().parse(), Ok(tool));
        }
        assert_eq!("interrupt_agent".parse(), Ok(BuiltinTool::CloseAgent));
        assert_eq!("rm".parse::<BuiltinTool>(), Err(UnknownTool));
    }
}
