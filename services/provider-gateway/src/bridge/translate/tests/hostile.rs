//! Whatever comes, something is understood or refused; nothing panics, nothing grows beyond its bounds.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Names and words that mean something somewhere.
const WORDS: [&str; 72] = [
    "model",
    "messages",
    "input",
    "role",
    "content",
    "type",
    "text",
    "user",
    "assistant",
    "system",
    "tool",
    "tools",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "thinking",
    "signature",
    "redacted_thinking",
    "data",
    "image",
    "image_url",
    "url",
    "source",
    "base64",
    "media_type",
    "file",
    "file_data",
    "filename",
    "input_text",
    "input_image",
    "input_file",
    "output_text",
    "message",
    "function_call",
    "function_call_output",
    "custom",
    "custom_tool_call",
    "custom_tool_call_output",
    "format",
    "grammar",
    "syntax",
    "lark",
    "definition",
    "output",
    "reasoning",
    "summary",
    "encrypted_content",
    "web_search_call",
    "action",
    "sources",
    "server_tool_use",
    "web_search_tool_result",
    "document",
    "title",
    "citations",
    "stream",
    "stop",
    "tool_choice",
    "allowed_tools",
    "mode",
    "required",
    "instructions",
    "is_error",
    "tdm1.e30",
    "data:a;base64,AAAA",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(WORDS.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((word(), inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Something with the outlines of a request.
fn outlined() -> impl Strategy<Value = Value> {
    let role = select(vec!["user", "assistant", "system", "tool", "developer", "?"]);
    let kinds = select(WORDS.to_vec());
    let block = (kinds.clone(), anything()).prop_map(|(kind, fields)| {
        let mut block = if fields.is_object() {
            fields
        } else {
            json!({"text": fields})
        };
        block["type"] = json!(kind);
        block
    });
    let entry = (role, vec(block, 0..4), kinds, anything()).prop_map(|(role, content, kind, fields)| {
        let mut entry = if fields.is_object() { fields } else { json!({}) };
        entry["role"] = json!(role);
        entry["content"] = json!(content);
        if kind.starts_with("function") || kind.starts_with("custom") || kind == "reasoning" {
            entry["type"] = json!(kind);
        }
        entry
    });
    (vec(entry, 0..5), anything()).prop_map(|(entries, fields)| {
        let mut body = if fields.is_object() { fields } else { json!({}) };
        body["model"] = json!("m");
        body["messages"] = json!(entries);
        body["input"] = json!(entries);
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_json_is_understood_or_refused(anything in anything(), outlined in outlined()) {
        for dialect in Dialect::ALL {
            for body in [&anything, &outlined] {
                if let Ok(asked) = read(dialect, body.to_string().as_bytes()) {
                    prop_assert!(!asked.messages.is_empty() && !asked.model.is_empty());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_understood_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        for dialect in Dialect::ALL {
            prop_assert!(read(dialect, &bytes).is_err());
        }
    }
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let deep = format!(
        "{{\"model\":\"m\",\"messages\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for dialect in Dialect::ALL {
        assert_eq!(read(dialect, deep.as_bytes()).unwrap_err().field, "");
    }
}

#[test]
fn more_pieces_or_tools_than_are_possible_are_refused() {
    let messages = vec![json!({"role": "user", "content": "x"}); 60_000];
    let body = json!({"model": "m", "messages": messages});
    let refused = read(Dialect::ChatCompletions, body.to_string().as_bytes()).unwrap_err();
    assert!(refused.message.contains("more than"), "{refused}");
    let tools: Vec<Value> = (0..600)
        .map(|place| json!({"name": format!("t{place}"), "input_schema": {}}))
        .collect();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools});
    let refused = read(Dialect::Messages, body.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused.field, "tools[512].name");
}

#[test]
fn the_name_of_a_file_is_bounded() {
    let name = "n".repeat(10_000);
    let body = json!({"model": "m", "input": [{"role": "user", "content": [
        {"type": "input_file", "filename": name, "file_data": "data:text/plain;base64,aGk="}]}]});
    let asked = understood(Dialect::Responses, &body);
    let Part::File(file) = &asked.messages[0].parts[0] else {
        panic!("a file")
    };
    assert!(file.name.len() <= 256);
}
