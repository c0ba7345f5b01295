//! Any history becomes a request that the vendor's rules accept, repaired before or not.

use proptest::{collection::vec, prelude::*};
use tandem_chat_core::{history, part::SourcePart};

use super::*;

const IDS: [&str; 5] = [
    "call_1",
    "call_2",
    "srvtoolu_1",
    "a b/ü",
    "toolu_012345678901234567890123456789012345678901234567890123456789",
];
const NAMES: [&str; 5] = ["read_file", "web_search", "", "mcp/odd näme", "computer"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-zé]{1,6} ?"]
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
        Just(media("audio/wav", b"RIFF")),
        Just(json!({"data": "not base64!", "mime_type": "image/png"})),
        Just(json!({"action": "left_click", "coordinate": [3, 4]})),
        Just(json!({"actions": [{"type": "click", "x": 3, "y": 4}], "pending_safety_checks": [{"id": "sc_1"}]})),
        Just(json!({"sources": [{"url": "https://a.org"}, 7]})),
    ]
}

fn id() -> impl Strategy<Value = &'static str> {
    (0..IDS.len()).prop_map(|place| IDS[place])
}

fn name() -> impl Strategy<Value = &'static str> {
    (0..NAMES.len()).prop_map(|place| NAMES[place])
}

fn a_call() -> impl Strategy<Value = Part> {
    (id(), name(), value(), any::<bool>()).prop_map(|(id, name, args, provider_executed)| {
        let Part::ToolCall(call) = call(id, name, args) else {
            unreachable!("it is a call")
        };
        Part::ToolCall(ToolCallPart {
            provider_executed,
            ..call
        })
    })
}

fn a_result() -> impl Strategy<Value = Part> {
    let metadata = prop_oneof![
        Just(json!({})),
        Just(json!({"anthropic": {"content": []}})),
        Just(json!({"anthropic": {"content": {"type": "web_search_tool_result_error", "error_code": "x"}}})),
        Just(json!({"anthropic": {"content": [{"type": "other"}]}})),
    ];
    (id(), name(), value(), any::<[bool; 3]>(), metadata).prop_map(|(id, name, value, flags, metadata)| {
        Part::ToolResult(ToolResultPart {
            is_error: flags[0],
            is_media: flags[1],
            provider_executed: flags[2],
            provider_metadata: metadata.as_object().unwrap().clone(),
            ..result(id, name, value)
        })
    })
}

fn a_file() -> impl Strategy<Value = Part> {
    let kinds = [
        "image/png",
        "image/webp",
        "application/pdf",
        "text/plain",
        "video/mp4",
        "",
    ];
    let bytes: [&[u8]; 5] = [b"", PNG, b"\xff\xd8\xff", b"%PDF-1.7", b"RIFF0000WEBP"];
    (0..kinds.len(), 0..bytes.len()).prop_map(move |(kind, data)| file(kinds[kind], "f", bytes[data]))
}

fn part() -> impl Strategy<Value = Vec<Part>> {
    let unsigned = |signature: &str| {
        Part::Reasoning(ReasoningPart {
            text: "Hm.".to_owned(),
            signature: signature.to_owned(),
            ..ReasoningPart::default()
        })
    };
    prop_oneof![
        4 => text().prop_map(|text| vec![Part::text(text)]),
        2 => a_call().prop_map(|call| vec![call]),
        2 => a_result().prop_map(|result| vec![result]),
        1 => a_file().prop_map(|file| vec![file]),
        1 => any::<bool>().prop_map(|is_shown| test_support::seen_elsewhere("call_1", PNG, is_shown)),
        1 => Just(searched("srvtoolu_1").to_vec()),
        1 => Just(vec![thought(MODEL, None)]),
        1 => Just(vec![thought(MODEL, Some("redacted"))]),
        1 => Just(vec![thought("claude-haiku-4-5", None)]),
        1 => Just(vec![unsigned("")]),
        1 => Just(vec![unsigned("another vendor's")]),
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
    let own = prop_oneof![
        Just(json!({})),
        Just(json!({"effort": "high"})),
        Just(json!({"thinking": {"budget_tokens": 2048}})),
        Just(json!({"send_reasoning": false, "effort": "low"})),
    ];
    let general = prop_oneof![
        Just(json!({})),
        Just(json!({"temperature": 0.3, "top_p": 0.5, "top_k": 3})),
        Just(json!({"top_p": 0.99, "max_output_tokens": 3000})),
    ];
    (own, general, any::<[bool; 2]>()).prop_map(|(mut own, mut options, [searches, is_serial])| {
        own["web_search_enabled"] = json!(searches);
        own["disable_parallel_tool_use"] = json!(is_serial);
        own["allowed_domains"] = json!(["a.org"]);
        own["blocked_domains"] = json!(["b.org"]);
        options["provider_options"] = json!({ "anthropic": own });
        options
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let odd = Tool {
        input_schema: json!({"anyOf": [{"type": "object"}], "description": "x"}),
        description: String::new(),
        ..tool("odd")
    };
    prop_oneof![
        Just(Vec::new()),
        Just(vec![tool("read_file"), odd]),
        Just(vec![tool("web_search")]),
        Just(vec![tool("computer")]),
        Just(vec![tool("read_file"), test_support::computer()]),
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
        limit in prop_oneof![Just(None), Just(Some(1)), Just(Some(1500)), Just(Some(50_000))],
        model in prop_oneof![Just(MODEL), Just("claude-opus-4-6"), Just("claude-opus-4-7"), Just("claude-3-opus"), Just("claude-sonnet-4-5")],
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
