//! Looks for model servers on this machine, at the ports where they usually listen.
//!
//! Only loopback is ever probed, and only when the configuration allows it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use url::Url;

use crate::{outbound::Outbound, probe};

/// Time for each server; loopback answers at once or not at all.
const TIMEOUT: Duration = Duration::from_millis(300);

/// Where to look and what is usually there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `ollama`, `llamacpp`, `vllm` or `lmstudio`.
    pub kind: &'static str,
    /// The port on loopback.
    pub port: u16,
}

/// The usual ports.
pub const TARGETS: [Target; 4] = [
    Target {
        kind: "ollama",
        port: 11434,
    },
    Target {
        kind: "llamacpp",
        port: 8080,
    },
    Target {
        kind: "vllm",
        port: 8000,
    },
    Target {
        kind: "lmstudio",
        port: 1234,
    },
];

/// A server that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is, as far as it says; else what is usually at its port.
    pub kind: &'static str,
    /// The base address to configure.
    pub base_url: String,
    /// Its models.
    pub models: Vec<String>,
}

/// Probes all targets at once; the result is in their order.
pub async fn local(outbound: &Outbound, targets: &[Target]) -> Vec<Found> {
    let found = join_all(targets.iter().map(|target| probe_one(outbound, target))).await;
    found.into_iter().flatten().collect()
}

async fn probe_one(outbound: &Outbound, target: &Target) -> Option<Found> {
    let base_url = format!("http://127.0.0.1:{}/v1", target.port);
    let url: Url = base_url.parse().ok()?;
    let (models, list) = probe::models_at(outbound, &url, TIMEOUT).await?;
    Some(Found {
        kind: owner(&list).unwrap_or(target.kind),
        base_url,
        models,
    })
}

/// What the server says of itself in its list of models.
fn owner(list: &Value) -> Option<&'static str> {
    match list.pointer("/data/0/owned_by")?.as_str()? {
        "vllm" => Some("vllm"),
        "llamacpp" | "me" => Some("llamacpp"),
        "library" | "ollama" => Some("ollama"),
        "organization_owner" => Some("lmstudio"),
        _ => None,
    }
}
