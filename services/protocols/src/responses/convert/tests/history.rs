//! Any history becomes a request that the vendor's rules accept, repaired before or not.

use proptest::{collection::vec, prelude::*};
use tandem_chat_core::{history, part::SourcePart};

use super::*;

const IDS: [&str; 6] = [
    "call_1",
    "call_2",
    "ws_1",
    "srvtoolu_1",
    "a b/ü",
    "toolu_012345678901234567890123456789012345678901234567890123456789",
];
const NAMES: [&str; 5] = ["read_file", "web_search", "", "mcp/odd näme", "computer"];

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(values.to_vec())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-zé]{1,6} ?"]
}

fn value() -> impl Strategy<Value = Value> {
    let media = |mime: &str, data: &[u8]| json!({"data": STANDARD.encode(data), "mime_type": mime, "text": ""});
    prop_oneof![
        text().prop_map(Value::from),
        one_of(&[
            Value::Null,
            json!({"path": "x"}),
            json!([1]),
            media("image/png", PNG),
            media("image/png", b"none"),
            media("audio/wav", b"RIFF"),
            json!({"data": "not base64!", "mime_type": "image/png"}),
            json!({"action": "left_click", "coordinate": [3, 4]}),
            json!({"sources": [{"url": "https://a.org"}, 7]}),
        ]),
    ]
}

/// What may travel with calls and results.
fn metadata() -> impl Strategy<Value = Value> {
    let [Part::ToolCall(own), _] = searched("ws_1", None) else {
        unreachable!("a call comes first")
    };
    one_of(&[
        json!({}),
        Value::Object(own.provider_metadata),
        json!({"openai": {"item": {"status": "in_progress"}}}),
        json!({"openai": {"reasoning_id": "rs_1"}}),
        json!({"anthropic": {"content": []}}),
    ])
}

fn a_call() -> impl Strategy<Value = Part> {
    (one_of(&IDS), one_of(&NAMES), value(), any::<bool>(), metadata()).prop_map(
        |(id, name, args, provider_executed, metadata)| {
            let Part::ToolCall(call) = call(id, name, args) else {
                unreachable!("it is a call")
            };
            Part::ToolCall(ToolCallPart {
                provider_executed,
                provider_metadata: metadata.as_object().unwrap().clone(),
                ..call
            })
        },
    )
}

fn a_result() -> impl Strategy<Value = Part> {
    (one_of(&IDS), one_of(&NAMES), value(), any::<[bool; 3]>()).prop_map(|(id, name, value, flags)| {
        Part::ToolResult(ToolResultPart {
            is_error: flags[0],
            is_media: flags[1],
            provider_executed: flags[2],
            ..result(id, name, value)
        })
    })
}

/// Calls at a computer, of this vendor and of others, with and without what makes them one.
fn a_computer_call() -> impl Strategy<Value = Vec<Part>> {
    let ids = one_of(&["call_1", "call_2", "call_3"]);
    let items = one_of(&["cu_1", "cu_2", "", "no id"]);
    let args = one_of(&[
        computer::batch(&[]),
        computer::batch(&["sc_1", "sc_2"]),
        computer::one(),
        json!({"actions": [], "pending_safety_checks": []}),
        json!({"actions": [{"type": "wait"}]}),
        json!({"actions": [{"type": "wait"}], "pending_safety_checks": [7]}),
        json!({"action": "left_click", "coordinate": [3, 4]}),
    ]);
    let needs = one_of(&[None, Some("rs_2"), Some("rs_2")]);
    let origin = one_of(&[computer::MODEL, computer::PREVIEW, "another provider's"]);
    (ids, items, args, needs, origin, any::<bool>()).prop_map(|(id, item, args, needs, origin, thinks)| {
        // The vendor binds this item to that reasoning.
        let needs = if item == "cu_2" { Some("rs_2") } else { needs };
        let called = computer::called(origin, id, item, args, needs);
        let thought = needs.filter(|_| thinks).map(|id| thought(origin, id, "Hm."));
        thought.into_iter().chain([called]).collect()
    })
}

/// What a computer answers: a picture, or none.
fn a_screen() -> impl Strategy<Value = Vec<Part>> {
    let ids = one_of(&["call_1", "call_2", "call_3"]);
    let acknowledged = one_of(&[
        json!(null),
        json!(["sc_1"]),
        json!(["sc_2", "sc_1", "sc_9"]),
        json!("sc_1"),
    ]);
    let data = one_of(&[PNG, PNG, b"none"]);
    (ids, acknowledged, data, any::<[bool; 3]>()).prop_map(|(id, acknowledged, data, [is_error, is_media, speaks])| {
        let text = if speaks { "clicked" } else { "" };
        let shown = json!({
            "data": STANDARD.encode(data), "mime_type": "image/png", "text": text,
            "acknowledged_safety_checks": acknowledged,
        });
        vec![Part::ToolResult(ToolResultPart {
            is_error: is_error && speaks,
            is_media: is_media || !speaks,
            ..result(id, "computer", shown)
        })]
    })
}

fn a_file() -> impl Strategy<Value = Part> {
    let types = [
        "image/png",
        "image/webp",
        "application/pdf",
        "text/plain",
        "video/mp4",
        "",
    ];
    let bytes: [&[u8]; 5] = [b"", PNG, b"\xff\xd8\xff", b"%PDF-1.7", b"RIFF0000WEBP"];
    (one_of(&types), one_of(&bytes)).prop_map(|(media_type, data)| file(media_type, "f", data))
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
        4 => a_computer_call(),
        3 => a_screen(),
        3 => (a_computer_call(), a_screen()).prop_map(|(called, shown)| [called, shown].concat()),
        4 => one_of(&[
            searched("ws_1", None).to_vec(),
            searched("ws_2", Some("rs_2")).to_vec(),
            vec![searched("ws_2", Some("rs_2"))[0].clone()],
            vec![thought(MODEL, "rs_1", "Hm.")],
            vec![thought(MODEL, "rs_2", "")],
            vec![thought("o4-mini", "rs_1", "Hm.")],
            vec![thought(MODEL, "not an id", "Hm.")],
            vec![unsigned("")],
            vec![unsigned("another vendor's")],
            vec![Part::Source(SourcePart::default())],
        ]),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![
        1 => Just(Role::System),
        3 => Just(Role::User),
        4 => Just(Role::Assistant),
        3 => Just(Role::Tool),
    ];
    let message = (role, vec(part(), 0..5)).prop_map(|(role, parts)| Message::new(role, parts.concat()));
    vec(message, 0..10)
}

fn options() -> impl Strategy<Value = Value> {
    let own = one_of(&[
        json!({}),
        json!({"reasoning_effort": "none", "reasoning_summary": "auto"}),
        json!({"reasoning_effort": "high", "include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}),
        json!({"log_probs": true, "parallel_tool_calls": false, "max_tool_calls": 3, "strict_json_schema": true}),
    ]);
    let general = one_of(&[
        json!({}),
        json!({"temperature": 0.3, "top_p": 0.5, "top_k": 3, "frequency_penalty": 1}),
        json!({"top_p": 0.99, "max_output_tokens": 3}),
    ]);
    (own, general, any::<[bool; 2]>()).prop_map(|(mut own, mut options, [searches, is_held])| {
        own["web_search_enabled"] = json!(searches);
        own["allowed_domains"] = if is_held { json!(["a.org"]) } else { json!([" "]) };
        options["provider_options"] = json!({ "openai": own });
        options
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let odd = Tool {
        input_schema: json!({"anyOf": [{"type": "object"}], "description": "x"}),
        description: String::new(),
        ..tool("odd")
    };
    one_of(&[
        Vec::new(),
        vec![tool("read_file"), odd],
        vec![tool("web_search")],
        vec![tool("computer")],
        vec![tool("read_file"), test_support::computer()],
        vec![test_support::computer()],
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_history_becomes_a_request_that_is_accepted(
        messages in messages(),
        tools in tools(),
        options in options(),
        choice in 0..4_usize,
        limit in one_of(&[None, Some(1), Some(1500)]),
        model in one_of(&[MODEL, PLAIN, "o4-mini", computer::MODEL, computer::MODEL, computer::PREVIEW]),
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
