//! Calls of the vendor's tool for using a computer.

use super::*;
use crate::responses::convert::computer;

fn actions() -> Value {
    json!([{"type": "click", "x": 3, "y": 4, "button": "left"}, {"type": "screenshot"}])
}

fn checks() -> Value {
    json!([{"id": "sc_1", "code": "malicious_instructions", "message": "Look."}])
}

/// A whole item of that id.
fn whole(id: &str, call_id: &str) -> Value {
    json!({
        "type": "computer_call", "id": id, "call_id": call_id, "status": "completed", "actions": actions(),
        "pending_safety_checks": checks(),
    })
}

fn begins(id: &str, call_id: &str) -> Value {
    json!({"type": "computer_call", "id": id, "call_id": call_id, "pending_safety_checks": []})
}

/// A call as it is handed out.
fn handed_out(call_id: &str, args: Value, item: &Value, reasoning_id: Option<&str>) -> Delta {
    let item = serde_json::from_value(item.clone()).unwrap();
    let Part::ToolCall(made) = test_support::call(call_id, "computer", args) else {
        unreachable!("it is a call")
    };
    Delta::Part(Part::ToolCall(ToolCallPart {
        provider_metadata: computer::metadata(&origin(), &item, reasoning_id),
        ..made
    }))
}

fn recorded() -> String {
    start() + &reasoned() + &item(2, begins("cu_1", "call_a"), &[], whole("cu_1", "call_a")) + &end()
}

#[test]
fn a_call_is_handed_out_with_what_it_asks_for_and_what_it_needs() {
    let args = json!({"actions": actions(), "pending_safety_checks": checks()});
    let deltas = ok(&recorded());
    let Some(Delta::ReasoningDone(thought)) = deltas.iter().rfind(|delta| matches!(delta, Delta::ReasoningDone(_)))
    else {
        panic!("it has thought")
    };
    let reasoning_id = thought.provider_metadata["openai"]["item_id"].as_str();
    let expected = [
        call_delta("call_a", "computer", ""),
        call_delta("call_a", "computer", &args.to_string()),
        handed_out("call_a", args, &whole("cu_1", "call_a"), reasoning_id),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(deltas[deltas.len() - 4..], expected);
}

#[test]
fn the_older_tool_asks_for_one_action() {
    let action = json!({"type": "keypress", "keys": ["CTRL", "A"]});
    let whole = json!({
        "type": "computer_call", "id": "cu_1", "call_id": "call_a", "status": "completed", "action": action,
        "pending_safety_checks": [],
    });
    let args = json!({"action": action, "pending_safety_checks": []});
    let expected = handed_out("call_a", args.clone(), &whole, None);
    let streamed = ok(&(start() + &item(0, begins("cu_1", "call_a"), &[], whole.clone()) + &end()));
    assert_eq!(streamed[2], expected);
    let body = json!({"id": "resp_1", "status": "completed", "usage": usage(), "output": [whole]});
    assert_eq!(ok(&body.to_string())[2], expected, "not streamed");
}

#[test]
fn a_call_that_was_cut_off_asks_for_nothing() {
    let incomplete = json!({
        "id": "resp_1", "status": "incomplete", "usage": usage(), "incomplete_details": {"reason": "max_output_tokens"},
    });
    let begun = event(
        "response.output_item.added",
        json!({"output_index": 0, "item": begins("cu_1", "call_a")}),
    );
    let ended = event("response.incomplete", json!({ "response": incomplete }));
    let deltas = ok(&(start() + &begun + &ended));
    let Some(Delta::Part(Part::ToolCall(call))) = deltas.get(2) else {
        panic!("{deltas:?}")
    };
    assert_eq!(call.args, json!({"pending_safety_checks": []}));
    assert_eq!(deltas.last(), Some(&finish(FinishReason::Length)));
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    test_support::check_noise(parse, "openai", &[recorded().as_bytes()]);
}

#[test]
fn a_stream_split_or_cut_at_any_byte_says_the_same_or_is_worth_another_try() {
    let recorded = recorded();
    test_support::check_splits(parse, &recorded, &ok(&recorded));
    let end = recorded.find("event: response.completed").unwrap();
    test_support::check_cuts(parse, "openai", &recorded, end);
}
