//! Any history becomes a request that the vendor's rules accept, repaired before or not.

use proptest::{collection::vec, prelude::*};
use tandem_chat_core::{history, part::SourcePart};

use super::*;

const IDS: [&str; 4] = ["call_1", "call_2", "a b/ü", "s1"];
const NAMES: [&str; 6] = ["read_file", "web_search", "", "mcp/odd näme", "1password", "computer"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" \n".to_owned()),
        Just("words".to_owned()),
        "[a-zé]{1,6} ?"
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let media = |mime: &str, data: &[u8]| json!({"data": STANDARD.encode(data), "mime_type": mime, "text": ""});
    prop_oneof![
        Just(Value::Null),
        text().prop_map(Value::from),
        Just(json!({"path": "x"})),
        Just(json!([1])),
        Just(media("image/png", PNG)),
        Just(media("image/png", b"none")),
        Just(media("image/png", b"")),
        Just(media("application/pdf", b"%PDF-1.7")),
        Just(media("audio/wav", b"RIFF")),
        Just(json!({"data": "not base64!", "mime_type": "image/png"})),
        Just(json!({"action": "left_click", "coordinate": [3, 4]})),
        Just(json!({"actions": [{"type": "click", "x": 3, "y": 4}], "pending_safety_checks": [{"id": "sc_1"}]})),
    ]
}

fn id() -> impl Strategy<Value = &'static str> {
    (0..IDS.len()).prop_map(|place| IDS[place])
}

fn name() -> impl Strategy<Value = &'static str> {
    (0..NAMES.len()).prop_map(|place| NAMES[place])
}

fn model() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(MODEL), Just(OLDER), Just(PAINTER)]
}

fn a_call() -> impl Strategy<Value = Part> {
    let metadata = prop_oneof![
        Just(json!({})),
        Just(json!({"google": {"model": 7}})),
        Just(json!({"google": {"model": MODEL, "piece": {"toolResponse": {}}}})),
        Just(json!({"anthropic": {}})),
    ];
    (id(), name(), value(), any::<bool>(), metadata).prop_map(|(id, name, args, provider_executed, metadata)| {
        let Part::ToolCall(call) = call(id, name, args) else {
            unreachable!("it is a call")
        };
        Part::ToolCall(ToolCallPart {
            provider_executed,
            provider_metadata: metadata.as_object().unwrap().clone(),
            ..call
        })
    })
}

fn a_result() -> impl Strategy<Value = Part> {
    (id(), name(), value(), any::<[bool; 3]>()).prop_map(|(id, name, value, flags)| {
        Part::ToolResult(ToolResultPart {
            is_error: flags[0],
            is_media: flags[1],
            provider_executed: flags[2],
            ..result(id, name, value)
        })
    })
}

fn a_file() -> impl Strategy<Value = Part> {
    let kinds = [
        "image/png",
        "image/heic",
        "application/pdf",
        "text/plain",
        "video/mp4",
        "",
    ];
    let bytes: [&[u8]; 5] = [b"", PNG, b"\xff\xd8\xff", b"%PDF-1.7", b"RIFF0000WEBP"];
    (0..kinds.len(), 0..bytes.len()).prop_map(move |(kind, data)| {
        // What a film or a heic picture begins with is not looked at.
        let data = if matches!(kinds[kind], "image/heic") {
            b"ftyp"
        } else {
            bytes[data]
        };
        file(kinds[kind], "f", data)
    })
}

fn part() -> impl Strategy<Value = Vec<Part>> {
    let foreign = Part::Reasoning(ReasoningPart {
        text: "Hm.".to_owned(),
        signature: "another vendor's".to_owned(),
        ..ReasoningPart::default()
    });
    prop_oneof![
        4 => text().prop_map(|text| vec![Part::text(text)]),
        2 => a_call().prop_map(|call| vec![call]),
        2 => a_result().prop_map(|result| vec![result]),
        1 => a_file().prop_map(|file| vec![file]),
        1 => any::<bool>().prop_map(|is_shown| test_support::seen_elsewhere("call_1", PNG, is_shown)),
        1 => model().prop_map(|model| searched(model, "s1").to_vec()),
        1 => model().prop_map(|model| signed_picture(model).to_vec()),
        1 => model().prop_map(|model| vec![thought(model)]),
        1 => model().prop_map(|model| vec![signed_call(model, "call_1")]),
        1 => model().prop_map(|model| vec![signed_call(model, "call_2")]),
        1 => model().prop_map(|model| vec![Part::text("More words"), signed_words(model, 5)]),
        1 => model().prop_map(|model| vec![signed_words(model, 0)]),
        1 => Just(vec![foreign]),
        1 => Just(vec![Part::Source(SourcePart::default())]),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![
        1 => Just(Role::System),
        3 => Just(Role::User),
        4 => Just(Role::Assistant),
        3 => Just(Role::Tool),
    ];
    let message = (role, vec(part(), 0..4)).prop_map(|(role, parts)| Message::new(role, parts.concat()));
    vec(message, 0..10)
}

fn options() -> impl Strategy<Value = Value> {
    let thinking = prop_oneof![
        Just(Value::Null),
        Just(json!({"thinking_level": "medium"})),
        Just(json!({"thinking_budget": 0, "include_thoughts": true})),
        Just(json!({"thinking_budget": 2048, "thinking_level": "low"})),
    ];
    (thinking, any::<[bool; 3]>()).prop_map(|(thinking, [searches, is_cached, is_open])| {
        json!({
            "temperature": 0.3, "top_p": 0.5, "top_k": 3,
            "provider_options": {"google": {
                "thinking_config": thinking,
                "web_search_enabled": searches,
                "cached_content": if is_cached { "cachedContents/1" } else { "" },
                "threshold": if is_open { json!("OFF") } else { Value::Null },
            }},
        })
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let odd = Tool {
        input_schema: json!({
            "anyOf": [{"type": "object"}], "$schema": "x", "properties": {"a": {"type": "array"}}, "required": ["b"],
        }),
        description: String::new(),
        ..tool("1password")
    };
    prop_oneof![
        Just(Vec::new()),
        Just(vec![tool("read_file"), odd, tool("_1password")]),
        Just(vec![tool("web_search")]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_history_becomes_a_request_that_is_accepted(
        messages in messages(),
        tools in tools(),
        options in options(),
        choice in 0..4_usize,
        limit in prop_oneof![Just(None), Just(Some(1)), Just(Some(50_000))],
        model in model(),
    ) {
        let repaired = history::repair(messages.clone());
        for messages in [messages, repaired] {
            let mut asked = test_support::request(messages, tools.clone());
            asked.max_output_tokens = limit;
            asked.tool_choice = test_support::tool_choice(choice, &tools);
            ask(&asked, model, options.clone()).unwrap();
        }
    }
}
