use serde_json::{Value, json};

use super::*;

fn checked(value: Value) -> Result<Vec<ToolCallDecision>, Problem> {
    let body: ApprovalsBody = serde_json::from_value(value).unwrap();
    decisions(body.decisions)
}

/// An acceptable word on the call `name`, with one member replaced.
fn word(name: &str, member: &str, value: impl Into<Value>) -> Value {
    let mut word = json!({ "tool_call_id": name, "digest": "0".repeat(64), "decision": "decline" });
    word[member] = value.into();
    word
}

#[test]
fn decisions_are_read_as_they_are_meant() {
    let given = json!({ "decisions": [
        { "tool_call_id": "a", "digest": "00fF".repeat(16), "decision": "approve", "reason": null, "unknown": 1 },
        { "tool_call_id": "b", "digest": "10".repeat(32), "decision": "decline", "reason": "é".repeat(512) },
    ]});
    let expected = [
        ToolCallDecision {
            tool_call_id: "a".to_owned(),
            digest: [0x00, 0xff].repeat(16),
            is_approved: true,
            reason: String::new(),
        },
        ToolCallDecision {
            tool_call_id: "b".to_owned(),
            digest: vec![0x10; 32],
            is_approved: false,
            reason: "é".repeat(512),
        },
    ];
    assert_eq!(checked(given).unwrap(), expected);
    let longest = word(&"i".repeat(256), "unknown", 1);
    assert_eq!(checked(json!({ "decisions": [longest] })).unwrap().len(), 1);
    let most: Vec<Value> = (0..128).map(|number| word(&number.to_string(), "unknown", 1)).collect();
    assert_eq!(checked(json!({ "decisions": most })).unwrap().len(), 128);
}

#[test]
fn what_cannot_be_accepted_is_named() {
    let fine = || word("fine", "unknown", 1);
    let too_many: Vec<Value> = (0..129).map(|number| word(&number.to_string(), "unknown", 1)).collect();
    let table = [
        (json!({}), "decisions"),
        (json!({ "decisions": null }), "decisions"),
        (json!({ "decisions": [] }), "decisions"),
        (json!({ "decisions": too_many }), "decisions"),
    ];
    let members = [
        ("tool_call_id", json!("")),
        ("tool_call_id", json!("i".repeat(257))),
        ("tool_call_id", json!("fine")),
        ("digest", json!(null)),
        ("digest", json!("")),
        ("digest", json!("0".repeat(63))),
        ("digest", json!("0".repeat(65))),
        ("digest", json!("0".repeat(62))),
        ("digest", json!("0".repeat(66))),
        ("digest", json!("g".repeat(64))),
        ("digest", json!("é".repeat(32))),
        ("decision", json!(null)),
        ("decision", json!("")),
        ("decision", json!("Approve")),
        ("decision", json!("approved")),
        ("reason", json!("r".repeat(1025))),
        ("reason", json!("é".repeat(513))),
    ];
    let members = members.map(|(member, value)| {
        let bad = json!({ "decisions": [fine(), word("bad", member, value)] });
        (bad, format!("decisions[1].{member}"))
    });
    let mut approved = word("bad", "reason", "because");
    approved["decision"] = json!("approve");
    let approved = (
        json!({ "decisions": [fine(), approved] }),
        "decisions[1].reason".to_owned(),
    );
    let table = table.map(|(body, field)| (body, field.to_owned()));
    for (body, field) in table.into_iter().chain(members).chain([approved]) {
        let problem = checked(body.clone()).expect_err(&field);
        assert_eq!(problem.status(), 400);
        assert!(
            format!("{problem:?}").contains(&format!("\"{field}\"")),
            "{body}: {problem:?}"
        );
    }
}
