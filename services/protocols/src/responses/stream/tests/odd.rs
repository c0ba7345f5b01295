//! What servers send that they should not.

use super::*;

fn delta(kind: &str, fields: Value) -> String {
    event(&format!("response.{kind}.delta"), fields)
}

#[test]
fn what_servers_leave_out_is_done_without() {
    let unnamed = |fields: Value| format!("data: {fields}\n\n");
    let stream = [
        unnamed(json!({"type": "response.output_text.delta", "delta": "a"})),
        delta("output_text", json!({"output_index": 0, "delta": "b"})),
        event(
            "response.output_item.done",
            json!({"output_index": 1, "item": {"type": "function_call", "name": "t", "arguments": "{\"x\":1}"}}),
        ),
        unnamed(json!({"type": "response.completed"})),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let made = format!("call_{}_0", &COMPLETION.uuid().simple().to_string()[8..]);
    let last = Delta::Finish(Finish {
        reason: FinishReason::ToolCalls,
        usage: Usage::default(),
        response_id: String::new(),
    });
    assert_eq!(
        ok(&stream),
        [
            text("a"),
            text("b"),
            call_delta(&made, "t", ""),
            call_delta(&made, "t", "{\"x\":1}"),
            call(&made, "t", json!({"x": 1})),
            last,
        ]
    );
}

#[test]
fn items_that_only_the_end_has_are_taken_from_it_and_others_not_twice() {
    let response = json!({"id": "resp_1", "status": "completed", "usage": usage(), "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "call_a", "name": "t", "arguments": "{}"},
    ]});
    let stream = start() + &said(0, &["hi"]) + &event("response.completed", json!({ "response": response }));
    let expected = [
        text("hi"),
        call_delta("call_a", "t", ""),
        call_delta("call_a", "t", "{}"),
        call("call_a", "t", json!({})),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(ok(&stream), expected);
}

#[test]
fn reasoning_that_is_not_a_summary_is_shown_and_never_both() {
    let events = [
        ("reasoning_text.delta", json!({"content_index": 0, "delta": "raw"})),
        (
            "reasoning_summary_text.delta",
            json!({"summary_index": 0, "delta": "summary"}),
        ),
        ("reasoning_text.done", json!({"content_index": 0, "text": "raw"})),
    ];
    let reasoning = json!({"type": "reasoning", "id": "rs_1"});
    let stream = start() + &item(0, reasoning.clone(), &events, reasoning.clone()) + &end();
    let done = Delta::ReasoningDone(ReasoningPart::default());
    assert_eq!(ok(&stream), [thinks("raw"), done, finish(FinishReason::Stop)]);
    let silent = start() + &item(0, reasoning.clone(), &[], reasoning) + &end();
    assert_eq!(
        ok(&silent),
        [finish(FinishReason::Stop)],
        "nothing to show and nothing to send back"
    );
}

#[test]
fn a_refusal_is_what_the_model_says() {
    let stream = start() + &delta("refusal", json!({"output_index": 0, "delta": "I cannot."})) + &end();
    assert_eq!(ok(&stream), [text("I cannot."), finish(FinishReason::Stop)]);
}

#[test]
fn what_is_unknown_is_passed_over() {
    let stream = start()
        + &item(
            0,
            json!({"type": "mcp_call", "name": "y"}),
            &[("mcp_call_arguments.delta", json!({"delta": "{}"}))],
            json!({"type": "mcp_call"}),
        )
        + &event("response.something_new", json!({"output_index": 0}))
        + &event("keepalive", json!({}))
        + &delta("function_call_arguments", json!({"output_index": 9, "delta": "{"}))
        + &said(1, &["hi"])
        + &delta("output_text", json!({"output_index": 1, "delta": "late"}))
        + &end();
    assert_eq!(ok(&stream), [text("hi"), finish(FinishReason::Stop)]);
}

#[test]
fn arguments_that_are_no_object_travel_beside_an_empty_one() {
    for broken in ["{\"a\":", "[1]", "\"text\""] {
        let deltas = ok(&(start() + &called(0, "call_a", "t", &[broken]) + &end()));
        let Delta::Part(Part::ToolCall(call)) = &deltas[2] else {
            panic!("a call: {deltas:?}")
        };
        assert_eq!(call.args, json!({}));
        assert_eq!(call.provider_metadata["invalid_arguments"], broken);
    }
}

#[test]
fn a_call_that_the_end_cut_off_is_a_call() {
    let begins = json!({"type": "function_call", "call_id": "call_a", "name": "t", "arguments": ""});
    let stream = start()
        + &event("response.output_item.added", json!({"output_index": 0, "item": begins}))
        + &delta(
            "function_call_arguments",
            json!({"output_index": 0, "delta": "{\"a\":"}),
        )
        + &event(
            "response.incomplete",
            json!({"response": {"incomplete_details": {"reason": "max_output_tokens"}}}),
        );
    let deltas = ok(&stream);
    assert!(matches!(&deltas[2], Delta::Part(Part::ToolCall(call)) if call.args == json!({})));
    assert!(matches!(&deltas[3], Delta::Finish(finish) if finish.reason == FinishReason::Length));
}

#[test]
fn endless_calls_items_and_secrets_are_bounded() {
    let calls: String = (0..200).map(|index| called(index, "call_a", "t", &["{}"])).collect();
    assert_eq!(kind_of(&fails(&(start() + &calls))), (ErrorKind::Generic, false));
    let items: String = (0..1100).map(|index| said(index, &["x"])).collect();
    assert_eq!(kind_of(&fails(&(start() + &items))), (ErrorKind::Generic, false));
    let huge = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "x".repeat(2_000_000)});
    let stream = start() + &item(0, json!({"type": "reasoning"}), &[], huge) + &end();
    assert_eq!(ok(&stream), [finish(FinishReason::Stop)]);
}

#[test]
fn what_is_no_answer_says_so() {
    let page = fails("<!doctype html><html><title> Sign in </title></html>");
    assert_eq!(kind_of(&page), (ErrorKind::Config, false));
    assert!(page.text.contains("Responses API"), "{}", page.text);
    for empty in ["", " \r\n", ": ping\n\n", "data: [DONE]\n\n"] {
        assert_eq!(kind_of(&fails(empty)), (ErrorKind::Timeout, true), "{empty:?}");
    }
    let given_up = event(
        "response.failed",
        json!({"response": {"status": "failed", "error": null}}),
    );
    assert_eq!(kind_of(&fails(&given_up)), (ErrorKind::Timeout, true));
    for garbage in [
        "data: {\"choices\": [{\"delta\": {\"content\": \"hi\"}}]}\n\n",
        "data: hello\n\n",
        "data: {\"type\": 7}\n\n",
        "data: {broken\n\n",
        "event: error\ndata: no\n\n",
        "[1, 2",
        "{\"models\": []}",
        "{\"error\": {\"message\": \"no\"}}",
        "{not json}",
    ] {
        assert!(!fails(garbage).text.is_empty(), "{garbage}");
    }
}

#[test]
fn nonsense_is_not_counted() {
    let usage = json!({"input_tokens": -1, "output_tokens": 1.5, "total_tokens": "many", "input_tokens_details": []});
    let stream = event("response.completed", json!({"response": {"id": 7, "usage": usage}}));
    let Some(Delta::Finish(finish)) = ok(&stream).pop() else {
        panic!("an end")
    };
    assert_eq!((finish.usage, finish.response_id), (Usage::default(), String::new()));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
        parse(&[&bytes]);
        parse(&[b"data: ", &bytes, b"\n\n"]);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(place in 0_usize..8_000, byte in proptest::prelude::any::<u8>()) {
        for recorded in [recorded(), searching()] {
            let mut bytes = recorded.into_bytes();
            let place = place % bytes.len();
            bytes[place] = byte;
            parse(&[&bytes]);
        }
    }

    #[test]
    fn no_order_of_events_makes_it_panic(order in proptest::collection::vec(0_usize..64, 0..60)) {
        let recorded = recorded() + &searching();
        let events: Vec<&str> = recorded.split_inclusive("\n\n").collect();
        let shuffled: String = order.iter().map(|place| events[place % events.len()]).collect();
        parse(&[shuffled.as_bytes()]);
    }
}
