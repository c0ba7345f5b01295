//! Which program asks, in which session, and what of a credential is shown.
//!
//! All of it is what clients say of themselves: good for sums and lists, and for nothing else.

use http::{HeaderMap, header};
use serde::Deserialize;

/// Longest name of a session that is kept.
const MAX_SESSION_BYTES: usize = 128;

/// Longest name of a program that is kept.
const MAX_AGENT_BYTES: usize = 256;

/// A program that is known by what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Mux.
    Mux,
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Zed.
    Zed,
    /// GitHub Copilot in an editor.
    CopilotEditor,
    /// GitHub Copilot at a prompt.
    CopilotCli,
    /// Kilo Code.
    KiloCode,
    /// Roo Code.
    RooCode,
    /// Coder Agents.
    CoderAgents,
    /// Charm Crush.
    CharmCrush,
    /// Cursor.
    Cursor,
    /// Anything else.
    Unknown,
}

/// How each begins what it calls itself, lower-case. The first that fits counts.
const AGENTS: [(&str, Client); 10] = [
    ("mux/", Client::Mux),
    ("claude", Client::ClaudeCode),
    ("codex", Client::Codex),
    ("zed/", Client::Zed),
    ("githubcopilotchat/", Client::CopilotEditor),
    ("copilot/", Client::CopilotCli),
    ("kilo-code/", Client::KiloCode),
    ("roo-code/", Client::RooCode),
    ("coder-agents/", Client::CoderAgents),
    ("charm crush/", Client::CharmCrush),
];

impl Client {
    /// By a request's headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let agent = user_agent(headers);
        let begins = |prefix: &str| {
            agent
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if let Some((_, client)) = AGENTS.iter().find(|(prefix, _)| begins(prefix)) {
            return *client;
        }
        match text(headers, "originator") {
            "kilo-code" => Self::KiloCode,
            "roo-code" => Self::RooCode,
            _ if headers.contains_key("x-cursor-client-version") => Self::Cursor,
            _ => Self::Unknown,
        }
    }

    /// Its name in records and metrics; empty when it is not known.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mux => "Mux",
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::Zed => "Zed",
            Self::CopilotEditor => "GitHub Copilot (VS Code)",
            Self::CopilotCli => "GitHub Copilot (CLI)",
            Self::KiloCode => "Kilo Code",
            Self::RooCode => "Roo Code",
            Self::CoderAgents => "Coder Agents",
            Self::CharmCrush => "Charm Crush",
            Self::Cursor => "Cursor",
            Self::Unknown => "",
        }
    }

    /// The session the request belongs to, if the program tells; at most 128 bytes.
    ///
    /// * `metadata`: that member of the body, as JSON.
    pub fn session(self, headers: &HeaderMap, metadata: Option<&str>) -> String {
        let header = match self {
            Self::ClaudeCode => "x-claude-code-session-id",
            Self::Codex => "session_id",
            Self::Mux => "x-mux-workspace-id",
            Self::CopilotEditor => "x-interaction-id",
            Self::CopilotCli => "x-client-session-id",
            Self::KiloCode => "x-kilocode-taskid",
            Self::CoderAgents => "x-coder-chat-id",
            Self::Zed | Self::RooCode | Self::CharmCrush | Self::Cursor | Self::Unknown => return String::new(),
        };
        let told = text(headers, header).trim();
        if !told.is_empty() || self != Self::ClaudeCode {
            return bounded(told);
        }
        metadata
            .and_then(session_of_user)
            .map(|session| bounded(&session))
            .unwrap_or_default()
    }
}

/// What the program calls itself; at most 256 bytes.
pub fn user_agent(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent.unwrap_or_default();
    &agent[..agent.floor_char_boundary(MAX_AGENT_BYTES)]
}

/// Both ends of a credential: four characters of each if it is long, fewer the shorter it is.
pub fn hint(credential: &str) -> String {
    let count = credential.chars().count();
    let shown = match count {
        20.. => 4,
        10.. => 2,
        5.. => 1,
        _ => 0,
    };
    if count <= 2 * shown {
        return "...".to_owned();
    }
    let head: String = credential.chars().take(shown).collect();
    let tail: String = credential.chars().skip(count - shown).collect();
    format!("{head}...{tail}")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A session that is too long to be kept whole is none: cut, it could be another one's.
fn bounded(text: &str) -> String {
    let text = text.trim();
    if text.len() > MAX_SESSION_BYTES {
        String::new()
    } else {
        text.to_owned()
    }
}

/// The session in what is called the user's id: JSON, or what stands behind `_session_`.
fn session_of_user(metadata: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    #[derive(Deserialize)]
    struct User {
        session_id: Option<String>,
    }
    let user = serde_json::from_str::<Metadata>(metadata).ok()?.user_id?;
    if let Ok(User { session_id }) = serde_json::from_str::<User>(&user) {
        return session_id;
    }
    user.rsplit_once("_session_").map(|(_, session)| session.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (http::HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn programs_are_known_by_what_they_send() {
        for (pairs, expected) in [
            (vec![("user-agent", "claude-cli/2.0 (external)")], "Claude Code"),
            (vec![("user-agent", "Codex_CLI_RS/0.1")], "Codex"),
            (vec![("user-agent", "mux/1.0")], "Mux"),
            (vec![("user-agent", "Zed/0.2")], "Zed"),
            (
                vec![("user-agent", "GitHubCopilotChat/0.3")],
                "GitHub Copilot (VS Code)",
            ),
            (vec![("user-agent", "copilot/1")], "GitHub Copilot (CLI)"),
            (vec![("user-agent", "Charm Crush/0.1")], "Charm Crush"),
            (vec![("originator", "kilo-code")], "Kilo Code"),
            (vec![("user-agent", "x"), ("originator", "roo-code")], "Roo Code"),
            (vec![("x-cursor-client-version", "1")], "Cursor"),
            (vec![("user-agent", "my-claude")], ""),
            (vec![], ""),
        ] {
            assert_eq!(Client::of(&headers(&pairs)).as_str(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn sessions_are_found_where_each_program_puts_them() {
        let none = headers(&[]);
        assert_eq!(Client::Codex.session(&headers(&[("session_id", " s1 ")]), None), "s1");
        let claude = |headers: &HeaderMap, user: &str| {
            let metadata = json!({ "user_id": user }).to_string();
            Client::ClaudeCode.session(headers, Some(&metadata))
        };
        assert_eq!(
            claude(&headers(&[("x-claude-code-session-id", "h")]), "x_session_b"),
            "h"
        );
        assert_eq!(claude(&none, "user_a_account_b_session_c-1"), "c-1");
        assert_eq!(claude(&none, r#"{"device_id":"d","session_id":"j"}"#), "j");
        assert_eq!(claude(&none, "nobody"), "");
        assert_eq!(Client::ClaudeCode.session(&none, Some("7")), "");
        assert_eq!(
            Client::Codex.session(&headers(&[("session_id", &"x".repeat(129))]), None),
            ""
        );
        assert_eq!(Client::Unknown.session(&headers(&[("session_id", "x")]), None), "");
    }

    #[test]
    fn a_hint_shows_the_ends_and_never_the_whole() {
        for (credential, expected) in [
            ("sk-ant-0123456789abcdef", "sk-a...cdef"),
            ("0123456789", "01...89"),
            ("01234", "0...4"),
            ("0123", "..."),
            ("", "..."),
            ("ääääääääääääääääääää", "ääää...ääää"),
        ] {
            assert_eq!(hint(credential), expected);
        }
    }
}
