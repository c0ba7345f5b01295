//! tandem-workspace-agent
