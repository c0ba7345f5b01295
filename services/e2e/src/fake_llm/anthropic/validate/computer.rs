//! The vendor's tool for using a computer: which version of it a model takes, and that a request says that it uses what is in trial.

use serde_json::{Map, Value};

use super::{super::invalid, Check};

/// Each version, what a request says that uses it, and parts of the names of its models. Others take whichever they are offered.
const VERSIONS: [(&str, &str, &[&str]); 2] = [
    (
        "computer_20250124",
        "computer-use-2025-01-24",
        &["3-7", "opus-4-1", "opus-4-2", "sonnet-4-2", "sonnet-4-5", "haiku-4-5"],
    ),
    (
        "computer_20251124",
        "computer-use-2025-11-24",
        &["opus-4-5", "-4-6", "-4-7", "-4-8", "sonnet-5", "opus-5"],
    ),
];

/// Checks the tool, if it is offered.
///
/// * `betas`: what the request uses of what is in trial.
pub(super) fn check(fields: &Map<String, Value>, model: &str, betas: &[&str]) -> Check {
    let tools = fields.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let kind = tool["type"].as_str().unwrap_or_default();
        if kind.starts_with("computer_") {
            one(tool, kind, model, betas).map_err(|error| invalid(format!("tools.{index}: {}", error.message)))?;
        }
    }
    Ok(())
}

fn one(tool: &Value, kind: &str, model: &str, betas: &[&str]) -> Check {
    let Some((_, beta, _)) = VERSIONS.iter().find(|(version, ..)| *version == kind) else {
        return Err(unknown(kind));
    };
    if !betas.contains(beta) {
        // Without the word for it the vendor knows nothing of the tool.
        return Err(unknown(kind));
    }
    let fits = |(.., models): &&(&str, &str, &[&str])| models.iter().any(|part| model.contains(part));
    if let Some((version, ..)) = VERSIONS.iter().find(fits).filter(|(version, ..)| *version != kind) {
        let message = format!("'{model}' does not support tool types: {kind}. Did you mean one of {version}?");
        return Err(invalid(message));
    }
    if tool["name"] != "computer" {
        return Err(invalid(format!("{kind}.name: Input should be 'computer'")));
    }
    for side in ["display_width_px", "display_height_px"] {
        match tool[side].as_u64() {
            Some(px) if px > 0 => {}
            Some(_) => {
                return Err(invalid(format!(
                    "{kind}.{side}: Input should be greater than or equal to 1"
                )));
            }
            None => return Err(invalid(format!("{kind}.{side}: Field required"))),
        }
    }
    let known = [
        "type",
        "name",
        "display_width_px",
        "display_height_px",
        "display_number",
        "enable_zoom",
        "cache_control",
    ];
    let extra = tool
        .as_object()
        .and_then(|fields| fields.keys().find(|name| !known.contains(&name.as_str())));
    match extra {
        Some(extra) => Err(invalid(format!("{kind}.{extra}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn unknown(kind: &str) -> super::VendorError {
    invalid(format!(
        "Input tag '{kind}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', 'text_editor_20250728', 'web_search_20250305'"
    ))
}
