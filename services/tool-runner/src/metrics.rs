//! What an operator can see of tool calls and workspaces.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tandem_chassis::metrics::{Registry, STAGE_SECONDS};
use tandem_chat_core::tool_policy::BuiltinTool;
use tandem_proto::tool::v1::McpOutcome;

use crate::call::End;

/// What stands for the names of tools that do not exist: models invent them without end.
const OTHER: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ToolLabels {
    tool_name: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    tool_name: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct McpLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StartLabels {
    outcome: &'static str,
}

/// The counters of one tool-runner. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    running: Gauge,
    calls: Family<CallLabels, Counter>,
    seconds: Family<ToolLabels, Histogram>,
    agents: Gauge,
    starts: Family<StartLabels, Counter>,
    mcp_connections: Family<McpLabels, Counter>,
    mcp_seconds: Family<McpLabels, Histogram>,
    git_watches: Gauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            running: registry.register("tool_calls_running", "Tool calls running now", Gauge::default()),
            calls: registry.register("tool_calls", "Tool calls that ended, by outcome", Family::default()),
            seconds: registry.register(
                "tool_call_duration_seconds",
                "From the intent of a tool call to its result",
                Family::new_with_constructor(|| Histogram::new(STAGE_SECONDS)),
            ),
            agents: registry.register(
                "workspace_agents_connected",
                "Agents of workspaces connected now",
                Gauge::default(),
            ),
            starts: registry.register(
                "workspace_agent_starts",
                "Agents started, by whether they came up",
                Family::default(),
            ),
            mcp_connections: registry.register(
                "mcp_connections",
                "MCP servers asked for their tools, by outcome",
                Family::default(),
            ),
            mcp_seconds: registry.register(
                "mcp_call_duration_seconds",
                "From the request to an MCP server to its answer, by whether there was one",
                Family::new_with_constructor(|| Histogram::new(STAGE_SECONDS)),
            ),
            git_watches: registry.register(
                "git_watches",
                "Chats whose repositories are watched now, however many read",
                Gauge::default(),
            ),
        }
    }

    /// Counts a chat whose repositories are watched for as long as the guard lives.
    pub(crate) fn git_watched(&self) -> Counted {
        Counted::new(&self.git_watches)
    }

    /// Counts a running call for as long as the guard lives.
    pub(crate) fn call_running(&self) -> Counted {
        Counted::new(&self.running)
    }

    /// Counts a connected agent for as long as the guard lives.
    pub(crate) fn agent_connected(&self) -> Counted {
        Counted::new(&self.agents)
    }

    /// A call ended; `None` when nobody knows how. The time of those that were not started says nothing.
    pub(crate) fn call_ended(&self, tool_name: &str, end: Option<&End>, after: Duration) {
        let tool_name = label(tool_name);
        let (outcome, has_run) = match end {
            None => ("lost", true),
            Some(End::Outcome(outcome)) if outcome.is_replayed => ("replayed", true),
            Some(End::Outcome(outcome)) if outcome.is_unknown => ("unknown", true),
            Some(End::Outcome(outcome)) if outcome.is_error => ("error", true),
            Some(End::Outcome(_)) => ("done", true),
            Some(End::AwaitsApproval(_)) => ("awaits_approval", false),
            Some(End::Declined(_)) => ("declined", false),
            Some(End::Refused(_)) => ("refused", false),
        };
        self.calls.get_or_create(&CallLabels { tool_name, outcome }).inc();
        if !has_run {
            return;
        }
        let labels = ToolLabels { tool_name };
        self.seconds.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// An MCP server was asked for its tools.
    pub(crate) fn mcp_connected(&self, outcome: McpOutcome) {
        let outcome = match outcome {
            McpOutcome::Connected => "connected",
            McpOutcome::NoTools => "no_tools",
            McpOutcome::Timeout => "timeout",
            McpOutcome::Error | McpOutcome::Unspecified => "error",
        };
        self.mcp_connections.get_or_create(&McpLabels { outcome }).inc();
    }

    /// An MCP server was asked to run a tool.
    pub(crate) fn mcp_called(&self, is_answered: bool, after: Duration) {
        let outcome = if is_answered { "answered" } else { "failed" };
        let labels = McpLabels { outcome };
        self.mcp_seconds.get_or_create(&labels).observe(after.as_secs_f64());
    }

    pub(crate) fn agent_started(&self, is_up: bool) {
        let outcome = if is_up { "up" } else { "failed" };
        self.starts.get_or_create(&StartLabels { outcome }).inc();
    }
}

fn label(tool_name: &str) -> &'static str {
    tool_name.parse::<BuiltinTool>().map_or(OTHER, BuiltinTool::as_str)
}

/// One in a gauge.
pub(crate) struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::common::v1::ApprovalRequest;
    use tandem_proto::tool::v1::ToolOutcome;

    use super::*;

    #[test]
    fn invented_names_share_one_label() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry);
        for name in ["execute", "fly", "swim"] {
            let end = End::Outcome(ToolOutcome::default());
            metrics.call_ended(name, Some(&end), Duration::from_millis(20));
        }
        let end = End::AwaitsApproval(ApprovalRequest::default());
        metrics.call_ended("write_file", Some(&end), Duration::ZERO);
        metrics.call_ended("execute", None, Duration::ZERO);
        let text = registry.render();
        for line in [
            r#"tandem_tool_calls_total{tool_name="other",outcome="done"} 2"#,
            r#"tandem_tool_calls_total{tool_name="execute",outcome="done"} 1"#,
            r#"tandem_tool_calls_total{tool_name="execute",outcome="lost"} 1"#,
            r#"tandem_tool_calls_total{tool_name="write_file",outcome="awaits_approval"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        let untimed = r#"tandem_tool_call_duration_seconds_count{tool_name="write_file"}"#;
        assert!(!text.contains(untimed), "{text}");
    }

    #[test]
    fn gauges_fall_when_their_guard_goes() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry);
        let running = metrics.call_running();
        assert!(registry.render().contains("tandem_tool_calls_running 1"));
        drop(running);
        assert!(registry.render().contains("tandem_tool_calls_running 0"));
    }
}
