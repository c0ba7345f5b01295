//! The whole system as its users drive it: REST and WebSocket in front, a fake LLM behind.
//!
//! `TANDEM_E2E_MODE=separate` runs the same tests with every service as a process of its own.

mod anthropic;
mod approvals;
mod bad_input;
mod bad_provider;
mod bedrock;
mod bridge;
mod client_tools;
mod clocks;
mod computer;
mod context;
mod crash;
mod crowds;
mod cursor;
mod custom_tools;
mod database;
mod drills;
mod every_call;
#[path = "../../../kubernetes/tests/it/fake.rs"]
#[expect(dead_code, reason = "what only tests of the client need")]
mod fake_kubernetes;
mod fallback;
mod git;
mod google;
mod idempotency;
mod interrupt;
mod isolation;
mod kubernetes;
mod life;
mod mcp;
mod memory;
mod network;
mod poison;
mod programs;
mod provider_drills;
mod provider_gateways;
mod provider_health;
mod provider_security;
mod providers;
mod queue;
mod refusals;
mod relay;
mod responses;
mod safeties;
mod sealing;
mod side_jobs;
mod spend;
mod storms;
mod structured;
mod tool_drills;
mod tools;
mod turn;
mod upstream;
mod user_keys;
mod vendors;
mod workspaces;

use std::time::Duration;

use serde_json::Value;
use tandem_e2e::{
    fake_llm::RecordedRequest,
    world::{World, lines},
};

type Result<T = ()> = anyhow::Result<T>;

/// For anything the system does by itself, on a busy machine. Tests wait on conditions, this only ends them.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the end of the turn; the durable messages as short lines.
async fn settled(world: &World, chat_id: &str) -> Result<Vec<String>> {
    world.wait_for_status(chat_id, "waiting", LIMIT).await?;
    Ok(lines(&world.messages(chat_id).await?))
}

/// The conversation a request carried: role and text of each message, instructions left out.
fn conversation(request: &RecordedRequest) -> Vec<(String, String)> {
    let text = |content: &Value| match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    request
        .messages()
        .iter()
        .filter(|message| message["role"] != "system" && message["role"] != "developer")
        .map(|message| {
            (
                message["role"].as_str().unwrap_or_default().to_owned(),
                text(&message["content"]),
            )
        })
        .collect()
}

fn pair(role: &str, text: &str) -> (String, String) {
    (role.to_owned(), text.to_owned())
}

/// A figure for whoever runs the drills; shown where a test's output is.
fn tell(figure: &str) {
    use std::io::Write as _;
    // A figure nobody reads is no failure.
    let _ = writeln!(std::io::stderr(), "{figure}");
}
