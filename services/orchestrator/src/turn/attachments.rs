//! Files that tools keep with the chat. Their results name them; readers see them as parts of the assistant's.

use serde::Deserialize;
use tandem_chat_core::tool_policy::{BuiltinTool, TurnKind};
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{FilePart, MessageVisibility, Part, Role, ToolResultPart};
use tandem_proto::storage::v1::NewMessage;

/// What a result says of the file it is about.
#[derive(Deserialize)]
struct Kept {
    file_id: String,
    media_type: String,
    name: Option<String>,
    path: Option<String>,
}

/// The result of a tool that ran, with the tool; `None` for failures and for tools that are not ours.
fn done(result: &Part) -> Option<(BuiltinTool, &ToolResultPart)> {
    match &result.kind {
        Some(Kind::ToolResult(result)) if !result.is_error => Some((result.tool_name.parse().ok()?, result)),
        _ => None,
    }
}

/// The file that a result is about, if its tool keeps files.
pub(super) fn of_result(result: &Part) -> Option<Part> {
    let (tool, result) = done(result)?;
    if !matches!(tool, BuiltinTool::AttachFile | BuiltinTool::ProposePlan) {
        return None;
    }
    let kept = match serde_json::from_str::<Kept>(&result.result_json) {
        Ok(kept) if !kept.file_id.is_empty() && !kept.media_type.is_empty() => kept,
        Ok(_) | Err(_) => {
            tracing::warn!(tool = %tool, "the result names no file, none is shown");
            return None;
        }
    };
    let last = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let file = FilePart {
        media_type: kept.media_type,
        name: kept.name.or(kept.path.map(last)).unwrap_or_default(),
        file_id: kept.file_id,
        data: Vec::new(),
    };
    Some(Part {
        kind: Some(Kind::File(file)),
        provider_metadata_json: String::new(),
    })
}

/// The message that shows files; `None` when there are none. The model knows of them from the results.
pub(super) fn message(files: Vec<Part>) -> Option<NewMessage> {
    (!files.is_empty()).then(|| NewMessage {
        role: Role::Assistant.into(),
        parts: files,
        visibility: MessageVisibility::User.into(),
        ..NewMessage::default()
    })
}

/// Whether a turn of that kind is over with this result.
pub(super) fn ends_turn(kind: TurnKind, result: &Part) -> bool {
    done(result).is_some_and(|(tool, _)| kind.ends_after(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(tool_name: &str, result_json: &str, is_error: bool) -> Part {
        let result = ToolResultPart {
            tool_name: tool_name.to_owned(),
            result_json: result_json.to_owned(),
            is_error,
            ..ToolResultPart::default()
        };
        Part {
            kind: Some(Kind::ToolResult(result)),
            ..Part::default()
        }
    }

    #[test]
    fn a_kept_file_becomes_a_part() {
        let named = r#"{"ok":true,"file_id":"f","media_type":"image/png","name":"a.png","path":"/w/b.png"}"#;
        let plan = r#"{"ok":true,"file_id":"f","media_type":"text/markdown","path":"/w/PLAN-c.md","kind":"plan"}"#;
        for (tool, json, name) in [("attach_file", named, "a.png"), ("propose_plan", plan, "PLAN-c.md")] {
            let Some(Kind::File(file)) = of_result(&result(tool, json, false)).unwrap().kind else {
                panic!("no file");
            };
            assert_eq!((file.file_id.as_str(), file.name.as_str()), ("f", name));
        }
        for (tool, json, is_error) in [
            ("attach_file", named, true),
            ("execute", named, false),
            ("somebody__attach_file", named, false),
            ("attach_file", r#"{"file_id":"f"}"#, false),
            ("attach_file", r#"{"file_id":"","media_type":"x"}"#, false),
            ("attach_file", r#""text""#, false),
        ] {
            assert_eq!(of_result(&result(tool, json, is_error)), None, "{tool} {json}");
        }
    }

    #[test]
    fn a_planning_turn_ends_with_its_plan_or_its_question() {
        for tool in ["propose_plan", "ask_user_question"] {
            assert!(ends_turn(TurnKind::PlanRoot, &result(tool, "{}", false)), "{tool}");
            assert!(
                !ends_turn(TurnKind::PlanRoot, &result(tool, "\"wrong\"", true)),
                "{tool}"
            );
            assert!(!ends_turn(TurnKind::Root, &result(tool, "{}", false)), "{tool}");
        }
        assert!(!ends_turn(TurnKind::PlanRoot, &result("execute", "{}", false)));
    }
}
