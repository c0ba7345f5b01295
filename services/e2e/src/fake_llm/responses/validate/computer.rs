//! The vendor's tool for using a computer: who is offered which, what its calls look like, and what may come of one.

use serde_json::{Map, Value};

use super::{
    super::super::{
        validate::{missing, unknown, unsupported},
        wire::VendorError,
    },
    Check, word,
};

/// Beginnings of names of models without the newer tool, among those that reason.
const OLDER: [&str; 8] = ["gpt-5-", "gpt-5.0", "gpt-5.1", "gpt-5.2", "gpt-5.3", "o1", "o3", "o4"];
const PREVIEW: &str = "computer-use-preview";
const ENVIRONMENTS: [&str; 5] = ["windows", "mac", "linux", "ubuntu", "browser"];

fn refused(message: impl Into<String>, param: &str) -> VendorError {
    VendorError::invalid(message, Some(param), None)
}

/// Checks a tool on offer.
pub(super) fn tool(tool: &Value, kind: &str, fields: &Map<String, Value>, model: &str, path: &str) -> Check {
    let is_preview = kind == "computer_use_preview";
    let has_newer = model.starts_with("gpt-5.") && !OLDER.iter().any(|older| model.starts_with(older));
    let is_taken = match is_preview {
        true => model.starts_with(PREVIEW),
        false => has_newer,
    };
    if !is_taken {
        return Err(refused(
            format!("Hosted tool '{kind}' is not supported with {model}."),
            "tools",
        ));
    }
    let known: &[&str] = match is_preview {
        true => &["type", "display_width", "display_height", "environment"],
        false => &["type"],
    };
    let extra = tool
        .as_object()
        .and_then(|tool| tool.keys().find(|name| !known.contains(&name.as_str())));
    if let Some(extra) = extra {
        return Err(unknown(&format!("{path}.{extra}")));
    }
    if !is_preview {
        return Ok(());
    }
    for side in ["display_width", "display_height"] {
        if tool[side].as_u64().is_none_or(|px| px == 0) {
            return Err(missing(&format!("{path}.{side}")));
        }
    }
    word(&tool["environment"], &format!("{path}.environment"), &ENVIRONMENTS)?;
    if tool["environment"].is_null() {
        return Err(missing(&format!("{path}.environment")));
    }
    match fields.get("truncation") {
        Some(truncation) if truncation == "auto" => Ok(()),
        Some(_) | None => Err(refused(
            format!("The computer_use_preview tool requires 'truncation' to be 'auto' with {model}."),
            "truncation",
        )),
    }
}

/// Checks a call that comes back.
pub(super) fn call(item: &Value, path: &str) -> Check {
    for name in ["id", "status"] {
        if !item[name].is_string() {
            return Err(missing(&format!("{path}.{name}")));
        }
    }
    if !item["pending_safety_checks"].is_array() {
        return Err(missing(&format!("{path}.pending_safety_checks")));
    }
    let known = [
        "click",
        "double_click",
        "drag",
        "keypress",
        "move",
        "screenshot",
        "scroll",
        "type",
        "wait",
    ];
    let check = |action: &Value, path: String| match action["type"].as_str() {
        Some(kind) if known.contains(&kind) => Ok(()),
        Some(kind) => Err(unsupported(&format!("{path}.type"), kind, &known)),
        None => Err(missing(&format!("{path}.type"))),
    };
    match (item["actions"].as_array(), &item["action"]) {
        (Some(actions), Value::Null) if !actions.is_empty() => {
            let mut actions = actions.iter().enumerate();
            actions.try_for_each(|(index, action)| check(action, format!("{path}.actions[{index}]")))
        }
        (None, action) if item["actions"].is_null() => check(action, format!("{path}.action")),
        _ => Err(refused(
            format!("Invalid '{path}'. Expected either action or actions."),
            path,
        )),
    }
}

/// Checks what came of a call.
///
/// * `pending`: safety checks of the call; `None` where it is not known here.
pub(super) fn output(item: &Value, pending: Option<&Value>, path: &str) -> Check {
    match item["output"]["type"].as_str() {
        Some("computer_screenshot") => {}
        Some(kind) => {
            return Err(unsupported(
                &format!("{path}.output.type"),
                kind,
                &["computer_screenshot"],
            ));
        }
        None => return Err(missing(&format!("{path}.output.type"))),
    }
    let ids = |checks: &Value| -> Vec<String> {
        let checks = checks.as_array().into_iter().flatten();
        checks
            .filter_map(|check| check["id"].as_str().map(str::to_owned))
            .collect()
    };
    let acknowledged = ids(&item["acknowledged_safety_checks"]);
    let open = pending.map(ids).unwrap_or_default();
    match open.iter().find(|id| !acknowledged.contains(id)) {
        Some(id) => Err(refused(
            format!("Safety check {id} of the computer call has not been acknowledged."),
            path,
        )),
        None => Ok(()),
    }
}
