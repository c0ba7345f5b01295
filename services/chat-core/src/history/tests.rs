//! Named cases, and the promise of `repair` checked on arbitrary histories.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::message::Visibility;
use crate::part::{FilePart, TextPart};

fn id(text: &str) -> ToolCallId {
    ToolCallId::new(text).unwrap()
}

fn call(call_id: &str) -> Part {
    Part::ToolCall(ToolCallPart {
        tool_call_id: id(call_id),
        tool_name: "execute".into(),
        args: json!({"command": "ls"}),
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: ProviderMetadata::new(),
    })
}

fn result(call_id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResultPart {
        tool_call_id: id(call_id),
        tool_name: "execute".into(),
        result: json!(text),
        is_error: false,
        is_media: false,
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: ProviderMetadata::new(),
    })
}

fn by_provider(part: Part) -> Part {
    match part {
        Part::ToolCall(call) => Part::ToolCall(ToolCallPart {
            provider_executed: true,
            ..call
        }),
        Part::ToolResult(result) => Part::ToolResult(ToolResultPart {
            provider_executed: true,
            ..result
        }),
        other => other,
    }
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

fn assistant(parts: impl Into<Vec<Part>>) -> Message {
    Message::new(Role::Assistant, parts.into())
}

fn tool(parts: impl Into<Vec<Part>>) -> Message {
    Message::new(Role::Tool, parts.into())
}

/// A prompt in short: one line a message.
fn sketch(messages: &[Message]) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Text(text) => text.text.clone(),
        Part::Reasoning(_) => "(thinks)".to_owned(),
        Part::ToolCall(call) => format!("call {}", call.tool_call_id),
        Part::ToolResult(result) => {
            let text = if result.is_error {
                "error"
            } else {
                result.result.as_str().unwrap_or("?")
            };
            format!("{} = {text}", result.tool_call_id)
        }
        other => format!("{other:?}"),
    };
    let line = |message: &Message| {
        let parts: Vec<String> = message.parts.iter().map(part).collect();
        format!("{}: {}", message.role, parts.join(", "))
    };
    messages.iter().map(line).collect()
}

fn repaired(messages: impl Into<Vec<Message>>) -> Vec<String> {
    sketch(&repair(messages.into()))
}

#[test]
fn a_sound_history_stays_as_it_is() {
    let history = vec![
        Message::new(Role::System, vec![Part::text("be brief")]),
        user("list"),
        assistant([Part::text("sure"), call("a"), call("b")]),
        tool([result("a", "1")]),
        tool([result("b", "2")]),
        assistant([Part::text("done")]),
    ];
    assert_eq!(repair(history.clone()), history);
}

#[test]
fn a_missing_result_becomes_an_interrupted_error() {
    let lines = repaired([
        assistant([call("a"), call("b")]),
        tool([result("b", "2")]),
        user("go on"),
    ]);
    assert_eq!(
        lines,
        [
            "assistant: call a, call b",
            "tool: a = error",
            "tool: b = 2",
            "user: go on"
        ]
    );
}

#[test]
fn results_move_up_to_their_message_and_into_call_order() {
    let lines = repaired([
        assistant([call("a"), call("b")]),
        tool([result("b", "2")]),
        user("still there?"),
        tool([result("a", "1")]),
    ]);
    assert_eq!(
        lines,
        [
            "assistant: call a, call b",
            "tool: a = 1",
            "tool: b = 2",
            "user: still there?"
        ]
    );
}

#[test]
fn an_orphan_result_gets_a_call() {
    let lines = repaired([user("hi"), tool([result("x", "1")]), assistant([Part::text("ok")])]);
    assert_eq!(lines, ["user: hi", "assistant: call x", "tool: x = 1", "assistant: ok"]);
}

#[test]
fn a_second_result_is_dropped() {
    let lines = repaired([assistant([call("a")]), tool([result("a", "1"), result("a", "2")])]);
    assert_eq!(lines, ["assistant: call a", "tool: a = 1"]);
}

/// Some local models number their calls anew in every step.
#[test]
fn repeated_ids_are_renamed_together_with_their_results() {
    let lines = repaired([
        assistant([call("call_0")]),
        tool([result("call_0", "first")]),
        assistant([call("call_0")]),
        tool([result("call_0", "second")]),
    ]);
    assert_eq!(
        lines,
        [
            "assistant: call call_0",
            "tool: call_0 = first",
            "assistant: call call_0_2",
            "tool: call_0_2 = second",
        ]
    );
}

#[test]
fn odd_ids_are_rewritten_for_call_and_result() {
    let lines = repaired([
        assistant([call("functions.ls:0")]),
        tool([result("functions.ls:0", "1")]),
    ]);
    assert_eq!(lines, ["assistant: call functions_ls_0", "tool: functions_ls_0 = 1"]);
}

#[test]
fn provider_executed_halves_are_dropped_and_pairs_stay() {
    let lines = repaired([assistant([
        by_provider(result("late", "x")),
        by_provider(call("late")),
        by_provider(call("pair")),
        by_provider(result("pair", "found")),
        by_provider(result("pair", "twice")),
        Part::text("so"),
    ])]);
    assert_eq!(lines, ["assistant: call pair, pair = found, so"]);
}

#[test]
fn what_no_vendor_takes_back_is_dropped() {
    let unsigned = Part::Reasoning(ReasoningPart {
        text: "hm".into(),
        ..ReasoningPart::default()
    });
    let signed = Part::Reasoning(ReasoningPart {
        signature: "s".into(),
        ..ReasoningPart::default()
    });
    let lines = repaired([
        user(" "),
        assistant([signed.clone()]),
        assistant([
            unsigned,
            signed,
            Part::text("a"),
            Part::text(" \n"),
            Part::File(FilePart::default()),
        ]),
        Message {
            visibility: Visibility::User,
            ..user("for me only")
        },
        Message {
            visibility: Visibility::Model,
            ..user("for the model only")
        },
    ]);
    assert_eq!(lines, ["assistant: (thinks), a", "user: for the model only"]);
}

#[test]
fn a_picture_that_the_model_made_stays_where_it_stood() {
    let picture = Part::File(FilePart {
        media_type: "image/png".into(),
        data: vec![1],
        ..FilePart::default()
    });
    let messages = vec![
        user("paint"),
        assistant([picture.clone(), Part::text("there")]),
        assistant([picture]),
    ];
    assert_eq!(repair(messages.clone()), messages);
}

#[test]
fn arguments_that_are_no_object_become_an_empty_one() {
    let mut odd = call("a");
    if let Part::ToolCall(call) = &mut odd {
        call.args = json!("rm -rf");
        call.tool_name = String::new();
    }
    let prompt = repair([assistant([odd])]);
    let call = local_call(&prompt[0].parts[0]).unwrap();
    assert_eq!((&call.args, call.tool_name.as_str()), (&json!({}), "unknown"));
}

#[test]
fn names_no_vendor_takes_get_near_ones() {
    let mut odd = call("a");
    if let Part::ToolCall(call) = &mut odd {
        call.tool_name = format!("read\u{1b} file.{}", "x".repeat(100));
    }
    let prompt = repair([assistant([odd])]);
    let name = &local_call(&prompt[0].parts[0]).unwrap().tool_name;
    assert_eq!(*name, format!("read__file_{}", "x".repeat(53)));
    let Part::ToolResult(result) = &prompt[1].parts[0] else {
        panic!("{prompt:?}");
    };
    assert_eq!(result.tool_name, *name);
}

#[test]
fn what_was_repaired_is_counted() {
    let sound = [user("hi"), assistant([call("a")]), tool([result("a", "1")])];
    assert!(repair_counted(sound).1.is_empty());
    let broken = [
        user("hi"),
        assistant([call("a"), call("b.c"), by_provider(call("half"))]),
        tool([result("a", "1"), result("a", "2")]),
        tool([result("z", "3")]),
        Message::new(Role::Tool, vec![call("misplaced")]),
    ];
    let counted = Repairs {
        results_made_up: 1,
        calls_made_up: 1,
        dropped: 3,
        renamed: 1,
    };
    assert_eq!(repair_counted(broken).1, counted);
}

fn any_part() -> impl Strategy<Value = Part> {
    let ids = || proptest::sample::select(vec!["a", "b", "c", "a_2", "x.y", "x:y"]);
    prop_oneof![
        proptest::sample::select(vec!["", " ", "word", "more words"]).prop_map(Part::text),
        ids().prop_map(call),
        ids().prop_map(|id| result(id, "r")),
        ids().prop_map(|id| by_provider(call(id))),
        ids().prop_map(|id| by_provider(result(id, "r"))),
        proptest::sample::select(vec!["", "signed"]).prop_map(|signature| {
            Part::Reasoning(ReasoningPart {
                signature: signature.into(),
                ..ReasoningPart::default()
            })
        }),
        Just(Part::File(FilePart::default())),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let role = proptest::sample::select(vec![
        Role::System,
        Role::User,
        Role::Assistant,
        Role::Assistant,
        Role::Tool,
    ]);
    let visibility = proptest::sample::select(vec![
        Visibility::Both,
        Visibility::Both,
        Visibility::Model,
        Visibility::User,
    ]);
    let parts = proptest::collection::vec(any_part(), 0..5);
    (role, visibility, parts).prop_map(|(role, visibility, parts)| Message {
        role,
        visibility,
        parts,
    })
}

/// The promise, read from the outside.
fn check(prompt: &[Message]) -> Result<(), TestCaseError> {
    let mut due: Vec<&ToolCallId> = Vec::new();
    let mut seen = HashSet::new();
    for message in prompt {
        prop_assert!(!message.parts.is_empty(), "an empty message");
        prop_assert!(message.visibility.is_for_model());
        if message.role == Role::Tool {
            let [Part::ToolResult(result)] = message.parts.as_slice() else {
                return Err(TestCaseError::fail("a tool message is one result"));
            };
            prop_assert!(!due.is_empty(), "a result without a call before it");
            prop_assert_eq!(due.remove(0), &result.tool_call_id);
            continue;
        }
        prop_assert!(due.is_empty(), "a call without its result");
        for part in &message.parts {
            check_part(message.role, part)?;
        }
        due = message
            .parts
            .iter()
            .filter_map(local_call)
            .map(|call| &call.tool_call_id)
            .collect();
        for id in &due {
            prop_assert!(
                id.as_str()
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
            );
            prop_assert!(seen.insert(*id), "an id twice");
        }
    }
    prop_assert!(due.is_empty(), "the last calls are unanswered");
    Ok(())
}

fn check_part(role: Role, part: &Part) -> Result<(), TestCaseError> {
    let fits = match part {
        Part::Text(TextPart { text, .. }) => !text.trim().is_empty(),
        Part::ToolCall(_) | Part::Reasoning(_) => role == Role::Assistant,
        Part::ToolResult(result) => role == Role::Assistant && result.provider_executed,
        Part::File(_) | Part::FileReference(_) | Part::ContextFile(_) | Part::Skill(_) => role == Role::User,
        Part::Source(_) => false,
    };
    prop_assert!(fits, "{:?} in a message of {}", part, role);
    Ok(())
}

fn words(messages: &[Message]) -> Vec<String> {
    let visible = messages
        .iter()
        .filter(|message| message.visibility.is_for_model() && message.role != Role::Tool);
    let parts = visible.flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::Text(text) if !text.text.trim().is_empty() => Some(text.text.clone()),
            _ => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn any_history_becomes_a_valid_prompt(history in proptest::collection::vec(any_message(), 0..16)) {
        let prompt = repair(history.clone());
        check(&prompt)?;
        prop_assert_eq!(words(&prompt), words(&history), "words were lost or moved");
        let (again, repairs) = repair_counted(prompt.clone());
        prop_assert_eq!(again, prompt, "repairing twice changed something");
        prop_assert!(repairs.is_empty(), "{:?} in what is repaired", repairs);
    }
}
