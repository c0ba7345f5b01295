//! Which tools a turn may use, and which must be called alone.
//!
//! Owns the availability matrix and the exclusive rule. Definitions, schemas and execution are tool-runner's; whether a tool's
//! further conditions hold (a skill exists, the advisor is switched on) is known by whoever assembles the turn.

mod builtin;

pub use builtin::{BuiltinTool, UnknownTool};

/// What sort of turn it is, as far as tools are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnKind {
    /// A root chat at work.
    Root,
    /// A general subagent at work.
    Child,
    /// A subagent that only looks.
    Explore,
    /// A subagent that uses a computer.
    ComputerUse,
    /// A root chat that plans.
    PlanRoot,
    /// A subagent of a chat that plans.
    PlanChild,
}

/// What a subagent was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChildMode {
    /// Anything.
    #[default]
    General,
    /// Reading only.
    Explore,
    /// Using a computer.
    ComputerUse,
}

impl TurnKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Root,
        Self::Child,
        Self::Explore,
        Self::ComputerUse,
        Self::PlanRoot,
        Self::PlanChild,
    ];

    /// The kind of a root chat's turn.
    pub const fn of_root(is_planning: bool) -> Self {
        if is_planning { Self::PlanRoot } else { Self::Root }
    }

    /// The kind of a subagent's turn. Exploring is narrower than planning already; a computer is never used while planning.
    pub const fn of_child(mode: ChildMode, is_planning: bool) -> Self {
        match (mode, is_planning) {
            (ChildMode::Explore, _) => Self::Explore,
            (ChildMode::General | ChildMode::ComputerUse, true) => Self::PlanChild,
            (ChildMode::General, false) => Self::Child,
            (ChildMode::ComputerUse, false) => Self::ComputerUse,
        }
    }

    /// The built-in tools of such a turn, in the stable order in which they are offered to the model.
    pub fn builtin_tools(self) -> impl Iterator<Item = BuiltinTool> {
        BuiltinTool::ALL.into_iter().filter(move |tool| self.allows(*tool))
    }

    /// Whether such a turn may use a built-in tool.
    pub const fn allows(self, tool: BuiltinTool) -> bool {
        use BuiltinTool as Tool;
        match tool {
            Tool::ReadFile | Tool::Execute | Tool::ProcessOutput | Tool::ReadSkill | Tool::ReadSkillFile => true,
            Tool::WriteFile | Tool::EditFiles | Tool::AttachFile => {
                matches!(self, Self::Root | Self::Child | Self::ComputerUse | Self::PlanRoot)
            }
            Tool::ProcessList | Tool::ProcessSignal => matches!(self, Self::Root | Self::Child | Self::ComputerUse),
            Tool::ListTemplates
            | Tool::ReadTemplate
            | Tool::CreateWorkspace
            | Tool::StartWorkspace
            | Tool::StopWorkspace
            | Tool::SpawnAgent
            | Tool::WaitAgent => matches!(self, Self::Root | Self::PlanRoot),
            Tool::ProposePlan | Tool::AskUserQuestion => matches!(self, Self::PlanRoot),
            Tool::MessageAgent | Tool::CloseAgent | Tool::Advisor => matches!(self, Self::Root),
        }
    }

    /// Whether such a turn may use a tool that is not built in. While planning everything unknown is refused.
    pub const fn allows_foreign(self, tool: ForeignTool) -> bool {
        match tool {
            ForeignTool::ExternalMcp {
                is_allowed_in_plan,
                is_in_snapshot,
            } => match self {
                Self::Root | Self::Child | Self::ComputerUse => true,
                Self::Explore => is_in_snapshot,
                Self::PlanRoot => is_allowed_in_plan,
                Self::PlanChild => false,
            },
            ForeignTool::WorkspaceMcp => matches!(self, Self::Root | Self::Child | Self::ComputerUse),
            ForeignTool::Dynamic => matches!(self, Self::Root),
            ForeignTool::WebSearch => {
                matches!(self, Self::Root | Self::Child | Self::ComputerUse | Self::Explore)
            }
            ForeignTool::Computer => matches!(self, Self::ComputerUse),
        }
    }

    /// Whether writing tools may touch the chat's plan file only.
    pub const fn writes_plan_file_only(self) -> bool {
        matches!(self, Self::PlanRoot)
    }

    /// Whether the turn ends after a step in which this tool ran, handing control back to the user.
    pub const fn ends_after(self, tool: BuiltinTool) -> bool {
        matches!(self, Self::PlanRoot) && matches!(tool, BuiltinTool::ProposePlan | BuiltinTool::AskUserQuestion)
    }
}

/// A tool that comes from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForeignTool {
    /// Of an MCP server the administrator configured.
    ExternalMcp {
        /// The server is marked as harmless while planning.
        is_allowed_in_plan: bool,
        /// The server was among its parent's when the exploring chat was made.
        is_in_snapshot: bool,
    },
    /// Of an MCP server inside the workspace.
    WorkspaceMcp,
    /// Run by the client.
    Dynamic,
    /// Run by the model's vendor.
    WebSearch,
    /// The vendor's computer tool.
    Computer,
}

/// What the calls of one step get instead of running, if one of them must be called alone and is not.
///
/// * `names`: the step's calls without those the vendor runs itself, in call order.
/// * returns one error text per call, in the same order; `None` if all may run.
pub fn refuse_mixed(names: &[&str], is_exclusive: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let exclusive = names.iter().copied().find(|name| is_exclusive(name))?;
    if names.len() == 1 {
        return None;
    }
    let text = |name: &&str| {
        if is_exclusive(name) {
            format!("{name} must be called by itself. No tool of this step was run.")
        } else {
            format!("Skipped because {exclusive} must be called by itself.")
        }
    };
    Some(names.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix as a page: one line a tool, one column a kind.
    #[test]
    fn the_matrix_of_builtin_tools() {
        let line = |tool: BuiltinTool| {
            let marks = TurnKind::ALL.map(|kind| if kind.allows(tool) { "x" } else { "." });
            format!("{} {tool}", marks.join(" "))
        };
        insta::assert_snapshot!(BuiltinTool::ALL.map(line).join("\n"));
    }

    #[test]
    fn children_cannot_make_children() {
        for kind in [
            TurnKind::Child,
            TurnKind::Explore,
            TurnKind::ComputerUse,
            TurnKind::PlanChild,
        ] {
            assert!(
                !kind.allows(BuiltinTool::SpawnAgent) && !kind.allows(BuiltinTool::MessageAgent),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn planning_refuses_everything_foreign_except_servers_marked_harmless() {
        let mcp = |is_allowed_in_plan| ForeignTool::ExternalMcp {
            is_allowed_in_plan,
            is_in_snapshot: true,
        };
        assert!(TurnKind::PlanRoot.allows_foreign(mcp(true)));
        for tool in [
            mcp(false),
            ForeignTool::WorkspaceMcp,
            ForeignTool::Dynamic,
            ForeignTool::WebSearch,
        ] {
            assert!(!TurnKind::PlanRoot.allows_foreign(tool), "{tool:?}");
            assert!(!TurnKind::PlanChild.allows_foreign(tool), "{tool:?}");
        }
        assert!(!TurnKind::PlanChild.allows_foreign(ForeignTool::Computer));
    }

    #[test]
    fn the_kind_follows_from_family_mode_and_plan() {
        assert_eq!(TurnKind::of_root(true), TurnKind::PlanRoot);
        assert_eq!(TurnKind::of_child(ChildMode::Explore, true), TurnKind::Explore);
        assert_eq!(TurnKind::of_child(ChildMode::ComputerUse, true), TurnKind::PlanChild);
        assert_eq!(TurnKind::of_child(ChildMode::General, false), TurnKind::Child);
    }

    #[test]
    fn an_exclusive_tool_runs_only_alone() {
        let is_exclusive = |name: &str| name == "advisor";
        assert_eq!(refuse_mixed(&[], is_exclusive), None);
        assert_eq!(refuse_mixed(&["advisor"], is_exclusive), None);
        assert_eq!(refuse_mixed(&["execute", "read_file"], is_exclusive), None);
        let texts = refuse_mixed(&["execute", "advisor"], is_exclusive).unwrap();
        assert_eq!(
            texts,
            [
                "Skipped because advisor must be called by itself.",
                "advisor must be called by itself. No tool of this step was run.",
            ]
        );
        assert_eq!(refuse_mixed(&["advisor", "advisor"], is_exclusive).unwrap().len(), 2);
    }
}
