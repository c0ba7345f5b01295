use serde_json::json;
use tandem_chat_core::{error::ErrorKind, part::SourcePart};

use super::*;
use crate::{
    call::ToolCallDelta,
    google::convert::tools,
    test_support::{self, COMPLETION, Understood},
};

const MODEL: &str = "gemini-3-pro-preview";

fn parse(pieces: &[&[u8]]) -> Understood {
    let names = tools::Names::of(&[test_support::tool("1password")]);
    test_support::parse(Parser::new(MODEL, names, COMPLETION, HashSet::new()), pieces)
}

fn ok(text: &str) -> Vec<Delta> {
    test_support::succeeds(parse, text)
}

fn fails(text: &str) -> Failure {
    test_support::fails(parse, text)
}

fn kind_of(failure: &Failure) -> (ErrorKind, bool) {
    test_support::kind_of(failure, "google")
}

fn event(value: &Value) -> String {
    format!("data: {value}\r\n\r\n")
}

fn chunk(parts: Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 109, "totalTokenCount": 109},
        "modelVersion": MODEL, "responseId": "r1",
    })
}

fn last(parts: Value, reason: &str) -> Value {
    let mut chunk = chunk(parts);
    chunk["candidates"][0]["finishReason"] = json!(reason);
    chunk["usageMetadata"] = json!({
        "promptTokenCount": 109, "cachedContentTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 2,
        "totalTokenCount": 116, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 109}],
    });
    chunk
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn finish(reason: FinishReason) -> Delta {
    Delta::Finish(Finish {
        reason,
        usage: Usage {
            input_tokens: Some(9),
            output_tokens: Some(7),
            reasoning_tokens: Some(2),
            total_tokens: Some(116),
            cache_read_tokens: Some(100),
            ..Usage::default()
        },
        response_id: "r1".to_owned(),
    })
}

fn made_id(place: usize) -> String {
    format!("call_{}_{place}", &COMPLETION.uuid().simple().to_string()[8..])
}

/// A call as it is handed out: its name and arguments, then all of it.
fn called(id: &str, name: &str, args: Value, signature: &str) -> [Delta; 2] {
    let Part::ToolCall(mut part) = test_support::call(id, name, args.clone()) else {
        unreachable!("it is a call")
    };
    if !signature.is_empty() {
        part.provider_metadata = signature::of_call(MODEL, signature);
    }
    let delta = ToolCallDelta {
        tool_call_id: part.tool_call_id.clone(),
        tool_name: name.to_owned(),
        arguments: args.to_string(),
    };
    [Delta::ToolCall(delta), Delta::Part(Part::ToolCall(part))]
}

/// A stream as the vendor sends it, with thinking and calls in it.
fn recorded() -> String {
    [
        chunk(json!([{"text": "Hm. ", "thought": true}])),
        chunk(json!([{"text": "Grüße.", "thought": true}])),
        chunk(json!([{"text": "Größe 終 "}])),
        chunk(json!([{"text": "ok."}])),
        chunk(json!([
            {"functionCall": {"name": "execute", "args": {"command": "ls"}, "id": "x1"}, "thoughtSignature": "sig"},
            {"functionCall": {"name": "_1password", "args": {}}},
        ])),
        last(json!([{"functionCall": {"name": "read_file", "args": null}}]), "STOP"),
    ]
    .iter()
    .map(event)
    .collect()
}

fn recorded_deltas() -> Vec<Delta> {
    let mut deltas = vec![
        Delta::Reasoning("Hm. ".to_owned()),
        Delta::Reasoning("Grüße.".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        text("Größe 終 "),
        text("ok."),
    ];
    deltas.extend(called("x1", "execute", json!({"command": "ls"}), "sig"));
    deltas.extend(called(&made_id(1), "1password", json!({}), ""));
    let [Delta::ToolCall(announced), part] = called(&made_id(2), "read_file", json!({}), "") else {
        unreachable!("it is a call")
    };
    deltas.push(Delta::ToolCall(ToolCallDelta {
        arguments: String::new(),
        ..announced
    }));
    deltas.extend([part, finish(FinishReason::ToolCalls)]);
    deltas
}

/// A stream whose words are signed and grounded.
fn searching() -> String {
    let mut end = last(json!([{"text": "so.", "thoughtSignature": "sig"}]), "STOP");
    end["candidates"][0]["groundingMetadata"] = json!({
        "webSearchQueries": ["x"],
        "groundingChunks": [
            {"web": {"uri": "https://a.org", "title": "A"}},
            {"web": {"uri": "https://a.org", "title": "A"}},
            {"retrievedContext": {"uri": "https://b.org"}},
            {"web": {}}, {"new": {"uri": "https://c.org"}}, 7,
        ],
    });
    let native = |kind: &str, more: Value| {
        let mut piece = json!({"toolType": "GOOGLE_SEARCH_WEB", "id": "s1"});
        piece.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{kind: piece, "thoughtSignature": "t"}])
    };
    [
        chunk(native("toolCall", json!({"args": {"queries": ["x"]}}))),
        chunk(native(
            "toolResponse",
            json!({"response": {"search_suggestions": "<p>"}}),
        )),
        chunk(json!([{"text": "It is "}])),
        end,
    ]
    .iter()
    .map(event)
    .collect()
}

#[test]
fn a_whole_stream_is_understood() {
    assert_eq!(ok(&recorded()), recorded_deltas());
}

#[test]
fn deltas_of_a_grounded_answer() {
    insta::assert_debug_snapshot!(ok(&searching()));
}

#[test]
fn signed_words_are_followed_by_what_signs_them() {
    let stream = event(&chunk(json!([{"text": "Some "}])))
        + &event(&last(json!([{"text": "", "thoughtSignature": "sig"}]), "STOP"));
    let carrier = |bytes: usize| Delta::ReasoningDone(signature::of_words(MODEL, "sig".to_owned(), bytes));
    let opened = || Delta::Reasoning(String::new());
    assert_eq!(
        ok(&stream),
        [text("Some "), opened(), carrier(0), finish(FinishReason::Stop)]
    );
    let stream = event(&last(json!([{"text": "words", "thoughtSignature": "sig"}]), "STOP"));
    assert_eq!(
        ok(&stream),
        [text("words"), opened(), carrier(5), finish(FinishReason::Stop)]
    );
    let alone = event(&last(json!([{"text": "", "thoughtSignature": "sig"}]), "STOP"));
    assert_eq!(ok(&alone), [finish(FinishReason::Stop)]);
}

#[test]
fn thinking_may_be_signed_itself() {
    let stream = event(&chunk(
        json!([{"text": "Hm.", "thought": true, "thoughtSignature": "sig"}]),
    )) + &event(&last(json!([{"text": "words"}]), "STOP"));
    let done = ReasoningPart {
        signature: "sig".to_owned(),
        provider_metadata: signature::of_thinking(MODEL),
        ..ReasoningPart::default()
    };
    let expected = [
        Delta::Reasoning("Hm.".to_owned()),
        Delta::ReasoningDone(done),
        text("words"),
        finish(FinishReason::Stop),
    ];
    assert_eq!(ok(&stream), expected);
}

#[test]
fn what_is_an_answer_of_nobody_is_told_apart() {
    test_support::check_garbage(parse, "google");
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    let (recorded, searching) = (recorded(), searching());
    test_support::check_noise(parse, "google", &[recorded.as_bytes(), searching.as_bytes()]);
}

#[test]
fn a_stream_split_at_any_byte_says_the_same() {
    test_support::check_splits(parse, &recorded(), &recorded_deltas());
    test_support::check_splits(parse, &searching(), &ok(&searching()));
}

#[test]
fn a_stream_cut_at_any_byte_is_finished_or_worth_another_try() {
    for recorded in [recorded(), searching()] {
        let end = recorded.rfind("data: ").unwrap();
        test_support::check_cuts(parse, "google", &recorded, end);
    }
}

#[test]
fn an_answer_that_was_not_streamed_is_an_answer() {
    let whole = last(json!([{"text": "Hm.", "thought": true}, {"text": "hi"}]), "STOP");
    let expected = [
        Delta::Reasoning("Hm.".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        text("hi"),
        finish(FinishReason::Stop),
    ];
    assert_eq!(ok(&whole.to_string()), expected);
    let chunks = json!([
        chunk(json!([{"text": "Hm.", "thought": true}])),
        last(json!([{"text": "hi"}]), "STOP")
    ]);
    assert_eq!(ok(&chunks.to_string()), expected);
    assert_eq!(kind_of(&fails(&whole.to_string()[..60])), (ErrorKind::Timeout, true));
}

#[test]
fn what_servers_leave_out_and_add_is_done_without() {
    let stream = [
        event(&json!({"candidates": [{"content": {"role": "model"}}]})),
        event(&json!({"candidates": [], "createTime": "now"})),
        event(&json!({"candidates": [{"content": {"parts": [
            {"inlineData": {"mimeType": "image/png", "data": ""}}, {"executableCode": {"code": "x"}}, {"new": 1},
            {"functionCall": {"args": {}}}, {"toolCall": {}}, {"text": "a"}, 7,
        ]}}]})),
        event(&json!({"candidates": [{"content": null, "finishReason": "STOP"}], "usageMetadata": null})),
        event(&json!({"usageMetadata": {"promptTokenCount": -1, "candidatesTokenCount": 1.5}})),
        "data: [DONE]\n\n".to_owned(),
    ];
    let last = Delta::Finish(Finish {
        reason: FinishReason::Stop,
        usage: Usage::default(),
        response_id: String::new(),
    });
    assert_eq!(ok(&stream.concat()), [text("a"), last]);
}

#[test]
fn every_reason_to_stop_has_its_meaning() {
    for (reason, expected) in [
        ("STOP", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter),
        ("RECITATION", FinishReason::ContentFilter),
        ("PROHIBITED_CONTENT", FinishReason::ContentFilter),
        ("SPII", FinishReason::ContentFilter),
        ("OTHER", FinishReason::Stop),
        ("SOMETHING_NEW", FinishReason::Stop),
    ] {
        let stream = event(&last(json!([{"text": "a"}]), reason));
        assert_eq!(ok(&stream), [text("a"), finish(expected)], "{reason}");
    }
    for reason in ["OTHER", "UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL"] {
        let failure = fails(&event(&last(json!([]), reason)));
        assert_eq!(kind_of(&failure), (ErrorKind::Generic, true), "{reason}");
    }
    let broken = event(&last(json!([{"text": "I look."}]), "MALFORMED_FUNCTION_CALL"));
    assert_eq!(
        kind_of(&fails(&broken)),
        (ErrorKind::Generic, true),
        "the call is missing"
    );
    assert_eq!(
        ok(&event(&last(json!([]), "STOP"))),
        [finish(FinishReason::Stop)],
        "nothing to say"
    );
}

#[test]
fn a_blocked_prompt_says_why() {
    let failure = fails(&event(
        &json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}),
    ));
    assert_eq!(kind_of(&failure), (ErrorKind::ContentFilter, false));
    assert!(failure.text.contains("PROHIBITED_CONTENT"));
}

#[test]
fn arguments_that_are_no_object_travel_beside_an_empty_one() {
    let stream = event(&last(json!([{"functionCall": {"name": "t", "args": [1]}}]), "STOP"));
    let Delta::Part(Part::ToolCall(call)) = &ok(&stream)[1] else {
        panic!("a call")
    };
    assert_eq!(
        (&call.args, &call.provider_metadata["invalid_arguments"]),
        (&json!({}), &json!("[1]"))
    );
}

#[test]
fn endless_calls_signatures_and_sources_are_bounded() {
    let calls: Vec<Value> = (0..200).map(|_| json!({"functionCall": {"name": "t"}})).collect();
    assert_eq!(
        kind_of(&fails(&event(&last(json!(calls), "STOP")))),
        (ErrorKind::Generic, false)
    );
    let long = "x".repeat(MAX_SIGNATURE_BYTES + 1);
    let stream = event(&last(json!([{"text": "a", "thoughtSignature": long}]), "STOP"));
    assert_eq!(ok(&stream), [text("a"), finish(FinishReason::Stop)]);
    let chunks: Vec<Value> = (0..1000)
        .map(|n| json!({"web": {"uri": format!("https://{n}.org")}}))
        .collect();
    let mut end = last(json!([{"text": "a"}]), "STOP");
    end["candidates"][0]["groundingMetadata"] = json!({"groundingChunks": chunks});
    let sources: Vec<Delta> = ok(&event(&end))
        .into_iter()
        .filter(|delta| matches!(delta, Delta::Part(_)))
        .collect();
    assert_eq!(sources.len(), 256);
    assert_eq!(
        sources[0],
        Delta::Part(Part::Source(SourcePart {
            url: "https://0.org".to_owned(),
            ..SourcePart::default()
        }))
    );
}

#[test]
fn an_error_inside_a_stream_is_classified_like_its_status() {
    for (code, status, message, expected) in [
        (
            503,
            "UNAVAILABLE",
            "The model is overloaded.",
            (ErrorKind::Overloaded, true),
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Resource has been exhausted.",
            (ErrorKind::RateLimit, true),
        ),
        (
            500,
            "INTERNAL",
            "An internal error has occurred.",
            (ErrorKind::Generic, true),
        ),
        (403, "PERMISSION_DENIED", "no", (ErrorKind::Auth, false)),
    ] {
        let error = json!({"error": {"code": code, "message": message, "status": status}});
        for before in [String::new(), event(&chunk(json!([{"text": "par"}])))] {
            assert_eq!(kind_of(&fails(&(before + &event(&error)))), expected, "{status}");
        }
        assert_eq!(kind_of(&fails(&error.to_string())), expected, "not streamed: {status}");
        assert_eq!(
            kind_of(&fails(&json!([error]).to_string())),
            expected,
            "in a list: {status}"
        );
    }
}

#[test]
fn what_is_no_answer_says_so() {
    let page = fails("<!doctype html><html><title> Sign in </title></html>");
    assert_eq!(kind_of(&page), (ErrorKind::Config, false));
    assert!(page.text.contains("Gemini API"), "{}", page.text);
    for empty in ["", " \r\n", ": ping\n\n", "data: [DONE]\n\n", "[]"] {
        assert_eq!(kind_of(&fails(empty)), (ErrorKind::Timeout, true), "{empty:?}");
    }
    for garbage in [
        "data: {\"choices\": []}\n\n",
        "data: hello\n\n",
        "data: 7\n\n",
        "[1, 2]",
        "{\"models\": []}",
        "{not json}",
    ] {
        assert!(!fails(garbage).text.is_empty(), "{garbage}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
        parse(&[&bytes]);
        parse(&[b"data: ", &bytes, b"\n\n"]);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic(place in 0_usize..4_000, byte in proptest::prelude::any::<u8>()) {
        for recorded in [recorded(), searching()] {
            let mut bytes = recorded.into_bytes();
            let place = place % bytes.len();
            bytes[place] = byte;
            parse(&[&bytes]);
        }
    }
}

#[test]
fn a_picture_comes_whole_and_its_signature_behind_it() {
    let stream = [
        event(&chunk(
            json!([{"text": "Hm.", "thought": true}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": true}]),
        )),
        event(&chunk(json!([{"text": "Here:"}]))),
        event(&last(
            json!([{"inlineData": {"mimeType": "image/png", "data": "iVBO"}, "thoughtSignature": "s"}]),
            "STOP",
        )),
    ];
    let picture = Part::File(FilePart {
        media_type: "image/png".to_owned(),
        data: b"\x89PN".to_vec(),
        ..FilePart::default()
    });
    let expected = [
        Delta::Reasoning("Hm.".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        text("Here:"),
        Delta::Part(picture),
        Delta::Reasoning(String::new()),
        Delta::ReasoningDone(signature::of_file(MODEL, "s".to_owned())),
        finish(FinishReason::Stop),
    ];
    assert_eq!(ok(&stream.concat()), expected);
}

#[test]
fn pictures_that_are_too_large_or_unreadable_are_told_of_in_words() {
    let large = "A".repeat(MAX_FILES_BYTES / 2 + 4);
    let picture = |data: &str| event(&chunk(json!([{"inlineData": {"mimeType": "image/png", "data": data}}])));
    let stream = [
        picture(&large),
        picture(&large),
        picture("%"),
        event(&last(json!([]), "STOP")),
    ];
    let deltas = ok(&stream.concat());
    assert!(matches!(deltas[0], Delta::Part(Part::File(_))));
    for delta in &deltas[1..3] {
        assert!(
            matches!(delta, Delta::Text(text) if text.contains("image/png")),
            "{delta:?}"
        );
    }
    assert_eq!(deltas.len(), 4);
}
