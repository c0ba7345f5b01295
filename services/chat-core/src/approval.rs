//! Which tool calls wait for a person's word.
//!
//! Owns the modes, the risks, and which of them meet. It does not own what a command may do (`command_policy`), nor the approvals
//! themselves, which are rows of storage. Confinement is the boundary; this is for people who want to be asked before it is reached.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

mod risk;

pub use risk::{Assessment, MAX_RISK_REASON_BYTES, risk_of};

/// How long an approval starts the call it was given for.
pub const VALID_FOR: Duration = Duration::from_secs(15 * 60);

/// Bytes of what a person may say to the model when declining.
pub const MAX_REASON_BYTES: usize = 1024;

/// What is asked before a tool runs; each asks for all that the ones before it ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApprovalMode {
    /// Nothing.
    #[default]
    Never,
    /// Calls whose effects cannot be told.
    Risky,
    /// Every call that changes something.
    Always,
}

/// What a call may do, as far as its name and arguments tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToolRisk {
    /// It reads.
    None,
    /// It changes files or workspaces, in ways that its arguments show.
    Changes,
    /// Nobody can tell.
    Unknown,
    /// Nobody would want it.
    Forbidden,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It runs.
    Open,
    /// A person is asked.
    Asks,
    /// It does not run, whatever anybody says.
    Closed,
}

impl ApprovalMode {
    /// Every mode, the most lenient first.
    pub const ALL: [Self; 3] = [Self::Never, Self::Risky, Self::Always];

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Risky => "risky",
            Self::Always => "always",
        }
    }

    /// What becomes of a call of that risk.
    pub const fn gate(self, risk: ToolRisk) -> Gate {
        match (self, risk) {
            (Self::Never, _) | (_, ToolRisk::None) | (Self::Risky, ToolRisk::Changes) => Gate::Open,
            (Self::Risky | Self::Always, ToolRisk::Unknown) | (Self::Always, ToolRisk::Changes) => Gate::Asks,
            (Self::Risky | Self::Always, ToolRisk::Forbidden) => Gate::Closed,
        }
    }
}

impl fmt::Display for ApprovalMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of never, risky and always")]
pub struct UnknownMode;

impl FromStr for ApprovalMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(UnknownMode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stricter_mode_never_lets_more_through() {
        use ToolRisk as Risk;
        let strictness = |gate| match gate {
            Gate::Open => 0,
            Gate::Asks => 1,
            Gate::Closed => 2,
        };
        for risk in [Risk::None, Risk::Changes, Risk::Unknown, Risk::Forbidden] {
            let gates = ApprovalMode::ALL.map(|mode| strictness(mode.gate(risk)));
            assert!(gates.is_sorted(), "{risk:?}: {gates:?}");
        }
        assert_eq!(ApprovalMode::Risky.gate(Risk::Changes), Gate::Open);
        assert_eq!(ApprovalMode::Risky.gate(Risk::Unknown), Gate::Asks);
        assert_eq!(ApprovalMode::Always.gate(Risk::Changes), Gate::Asks);
        assert_eq!(ApprovalMode::Always.gate(Risk::Forbidden), Gate::Closed);
        assert_eq!(ApprovalMode::Never.gate(Risk::Forbidden), Gate::Open);
    }

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in ApprovalMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert_eq!("".parse::<ApprovalMode>(), Err(UnknownMode));
    }
}
