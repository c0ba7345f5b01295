//! Tools whose input is a text of a free form: told to every vendor as functions, and their calls told in the client's own kind.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::Index, sample::select};
use tandem_chat_core::message::Usage;
use tandem_protocols::call::{FinishReason, ToolCallDelta};

use super::{
    frames::frames,
    free_form::{Input, input},
    *,
};
use crate::completion::{Event, Finished};

/// Those that know such tools.
const DIALECTS: [Dialect; 2] = [Dialect::ChatCompletions, Dialect::Responses];

const LARK: &str = "start: \"*** Begin Patch\" /(.|\\n)+/";

/// Arguments, and the text in them.
const ARGUMENTS: [(&str, &str); 26] = [
    (r#"{"input":"x"}"#, "x"),
    (r#"{"input":""}"#, ""),
    ("\n{ \"input\" :\t\"x\" } ", "x"),
    (
        r#"{"input":"a \"b\" \\ \/ \b\f\n\r\t \uD83D\uDE00 \u00e9 😀é"}"#,
        "a \"b\" \\ / \u{8}\u{c}\n\r\t 😀 é 😀é",
    ),
    (r#"{"input":"x","other":["}"]}"#, "x"),
    (r#"{"other":1,"input":"x"}"#, "x"),
    (r#"{"inp\u0075t":"x"}"#, "x"),
    // Of another shape.
    ("", ""),
    (" {} ", ""),
    (r#"{"patch":"x"}"#, r#"{"patch":"x"}"#),
    (r#"{"inputs":"x"}"#, r#"{"inputs":"x"}"#),
    (r#"{"input":7}"#, r#"{"input":7}"#),
    (r#"{"input":null}"#, r#"{"input":null}"#),
    (r#"{"input":{"input":"x"}}"#, r#"{"input":{"input":"x"}}"#),
    (r#""a text""#, r#""a text""#),
    (r#"["x"]"#, r#"["x"]"#),
    ("*** Begin Patch", "*** Begin Patch"),
    (r#"{"in put":"x"}"#, r#"{"in put":"x"}"#),
    // Broken off.
    (r#"{"input":"x\n y"#, "x\n y"),
    (r#"{"input":"x \uD83D\uDE"#, "x "),
    (r#"{"input":"x""#, "x"),
    // No JSON.
    ("{\"input\":\"two\nlines\"}", "two\nlines"),
    (r#"{"input":"C:\users\x"}"#, r"C:\users\x"),
    (
        r#"{"input":"\uDE00 \uD83D\uD83D\n\uD83D"}"#,
        "\u{fffd} \u{fffd}\u{fffd}\n\u{fffd}",
    ),
    (r#"{"input":"rm "a b""}"#, r#"rm "a b""}"#),
    (r#"{"input":"x"}}"#, r#"x"}}"#),
];

/// A tool as a client offers it.
fn patch(dialect: Dialect) -> Value {
    match dialect {
        Dialect::ChatCompletions => {
            let format = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": LARK}});
            json!({"type": "custom", "custom": {"name": "patch", "description": "Edits files.", "format": format}})
        }
        Dialect::Responses | Dialect::Messages => {
            let format = json!({"type": "grammar", "syntax": "lark", "definition": LARK});
            json!({"type": "custom", "name": "patch", "description": "Edits files.", "format": format})
        }
    }
}

fn look(dialect: Dialect) -> Value {
    match dialect {
        Dialect::ChatCompletions => json!({"type": "function", "function": {"name": "look"}}),
        Dialect::Responses | Dialect::Messages => json!({"type": "function", "name": "look"}),
    }
}

/// A request with both tools and that choice among them.
fn asked(dialect: Dialect, choice: &Value) -> Asked {
    let hi = json!([{"role": "user", "content": "Hi"}]);
    let said = match dialect {
        Dialect::ChatCompletions | Dialect::Messages => "messages",
        Dialect::Responses => "input",
    };
    let body = json!({"model": "m", said: hi, "tools": [look(dialect), patch(dialect)], "tool_choice": choice});
    understood(dialect, &body)
}

#[test]
fn every_vendor_is_told_a_function_with_one_text_and_the_grammar_in_words() {
    for dialect in DIALECTS {
        let asked = asked(dialect, &json!("auto"));
        let tool = &asked.tools[1];
        assert_eq!((tool.name.as_str(), asked.tools.len()), ("patch", 2));
        let text = json!({"type": "string", "description": "The whole input of the tool."});
        assert_eq!(
            tool.input_schema,
            json!({"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": false})
        );
        let (own, grammar) = (
            "Edits files.\n\nThe whole input is one text",
            format!("Lark grammar:\n\n{LARK}"),
        );
        let described = &tool.description;
        assert!(
            described.starts_with(own) && described.ends_with(&grammar),
            "{described}"
        );
        assert_eq!(asked.free_form, BTreeSet::from(["patch".to_owned()]));
        for vendor in Dialect::ALL {
            let told = request(asked.messages.clone(), asked.tools.clone());
            let told = vendor_side::written(protocol(vendor), &told, &model(vendor, json!({}))).unwrap();
            assert!(
                Value::Object(told)["tools"].to_string().contains("Lark grammar"),
                "{vendor:?}"
            );
        }
    }
}

#[test]
fn a_tool_that_takes_any_text_is_told_no_grammar() {
    for tool in [
        json!({"type": "custom", "name": "say"}),
        json!({"type": "custom", "name": "say", "description": null, "format": {"type": "text"}}),
    ] {
        let asked = understood(
            Dialect::Responses,
            &json!({"model": "m", "input": "Hi", "tools": [tool]}),
        );
        let described = &asked.tools[0].description;
        assert!(
            described.starts_with("The whole input") && !described.contains("match"),
            "{described}"
        );
    }
}

#[test]
fn a_choice_among_tools_may_name_it() {
    let named = json!({"type": "custom", "custom": {"name": "patch"}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
    let flat = json!({"type": "custom", "name": "patch"});
    let flatly_allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [flat]});
    for (dialect, named, allowed) in [
        (Dialect::ChatCompletions, named, allowed),
        (Dialect::Responses, flat, flatly_allowed),
    ] {
        assert_eq!(
            asked(dialect, &named).tool_choice,
            ToolChoice::Named("patch".to_owned())
        );
        let asked = asked(dialect, &allowed);
        assert_eq!((asked.tools.len(), asked.tools[0].name.as_str()), (1, "patch"));
        assert_eq!(asked.tool_choice, ToolChoice::Required);
    }
}

#[test]
fn calls_and_what_came_of_them_are_read_in_both_dialects() {
    const TEXT: &str = "*** \"Begin\"\n";
    let call_of = |id: &str| json!({"id": id, "type": "custom", "custom": {"name": "patch", "input": TEXT}});
    let chat = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": null, "tool_calls": [call_of("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "Done."},
        {"role": "assistant", "content": "Once more.", "tool_calls": [call_of("b")]},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "No."}]},
    ]});
    let item = |id: &str| json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": id, "name": "patch", "input": TEXT, "status": "completed"});
    let responses = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        item("a"),
        {"type": "custom_tool_call_output", "call_id": "a", "output": "Done."},
        {"role": "assistant", "content": "Once more."},
        item("b"),
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "No."}]},
    ]});
    let called = |id: &str| call(id, "patch", json!({"input": TEXT}));
    let expected = vec![
        user("Hi"),
        Message::new(Role::Assistant, vec![called("a")]),
        returned("a", "patch", json!("Done.")),
        Message::new(Role::Assistant, vec![Part::text("Once more."), called("b")]),
        returned("b", "patch", json!("No.")),
    ];
    assert_eq!(understood(Dialect::ChatCompletions, &chat).messages, expected);
    assert_eq!(understood(Dialect::Responses, &responses).messages, expected);
}

/// What is taken out of arguments that come in pieces.
fn taken(pieces: &[&str]) -> String {
    let mut input = Input::default();
    let mut text: String = pieces.iter().map(|piece| input.push(piece)).collect();
    text.push_str(&input.finish());
    assert_eq!(input.finish(), "", "only once");
    text
}

/// A text cut at these places.
fn cut<'a>(text: &'a str, places: &[Index]) -> Vec<&'a str> {
    let boundary = |place: &Index| text.floor_char_boundary(place.index(text.len() + 1));
    let mut places: Vec<usize> = places.iter().map(boundary).collect();
    places.sort_unstable();
    let begins = [0].into_iter().chain(places.iter().copied());
    let ends = places.iter().copied().chain([text.len()]);
    begins.zip(ends).map(|(begin, end)| &text[begin..end]).collect()
}

#[test]
fn wherever_arguments_are_cut_the_text_is_the_same() {
    for (arguments, expected) in ARGUMENTS {
        assert_eq!(input(arguments), expected, "{arguments}");
        let places: Vec<usize> = (0..=arguments.len())
            .filter(|place| arguments.is_char_boundary(*place))
            .collect();
        for (number, first) in places.iter().enumerate() {
            for second in &places[number..] {
                let (head, tail) = arguments.split_at(*second);
                let (head, middle) = head.split_at(*first);
                assert_eq!(
                    taken(&[head, middle, tail]),
                    expected,
                    "{arguments} at {first} and {second}"
                );
            }
        }
        let ends = places.windows(2).map(|ends| &arguments[ends[0]..ends[1]]);
        assert_eq!(taken(&ends.collect::<Vec<_>>()), expected, "{arguments} one by one");
    }
}

#[test]
fn what_is_known_of_a_text_is_not_waited_with() {
    let mut input = Input::default();
    let pieces = ["{\"input", "\":\"*** Be", "gin\\", "n😀\\ud83d", "\\ude00", "\"}"];
    let told: Vec<String> = pieces.iter().map(|piece| input.push(piece)).collect();
    assert_eq!(told, ["", "*** Be", "gin", "\n😀", "😀", ""]);
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,30}", "[\"\\\\/ubnD83E0{}:, \n😀é]{0,30}"]
}

/// Pieces of JSON that is more or less broken.
fn scraps() -> impl Strategy<Value = String> {
    let known = [
        "{",
        "}",
        "\"input\"",
        "\"",
        ":",
        ",",
        " ",
        "\\",
        "\\u",
        "\\uD83D",
        "\\uDE00",
        "D8",
        "n",
        "é",
        "7",
        "\"x\"",
    ];
    let begun = select(vec!["", "{", "{\"input\":", "{\"input\":\""]);
    (begun, vec(select(known.to_vec()), 0..16)).prop_map(|(begun, scraps)| format!("{begun}{}", scraps.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_comes_through_however_it_is_escaped_and_cut(
        text in words(),
        escapes_all in any::<bool>(),
        places in vec(any::<Index>(), 0..8),
    ) {
        let arguments = if escapes_all {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("{{\"input\": \"{escaped}\"}}")
        } else {
            json!({"input": text}).to_string()
        };
        prop_assert_eq!(taken(&cut(&arguments, &places)), text);
    }

    #[test]
    fn whatever_comes_it_does_not_matter_where_it_is_cut(scraps in scraps(), places in vec(any::<Index>(), 0..8)) {
        let whole = input(&scraps);
        prop_assert_eq!(taken(&cut(&scraps, &places)), whole.clone(), "{}", scraps);
        let is_once = scraps.matches("input").count() == 1;
        if let Ok(Value::Object(fields)) = serde_json::from_str(&scraps)
            && let Some(Value::String(text)) = fields.get("input").filter(|_| is_once)
        {
            prop_assert_eq!(&whole, text, "{}", scraps);
        }
    }
}

fn answering(dialect: Dialect, is_stream: bool) -> Answering {
    let id = if dialect == Dialect::Responses {
        "resp_1"
    } else {
        "chatcmpl-1"
    };
    Answering {
        id: id.to_owned(),
        model: "m".to_owned(),
        created_unix_s: 7,
        is_stream,
        wants_usage: false,
        is_serial: false,
        free_form: BTreeSet::from(["patch".to_owned()]),
    }
}

/// A call whose arguments come in these pieces.
fn events(id: &str, name: &str, pieces: &[&str]) -> Vec<Event> {
    let delta = |arguments: &&str| {
        Event::ToolCallDelta(Box::new(ToolCallDelta {
            tool_call_id: ToolCallId::new(id).unwrap(),
            tool_name: name.to_owned(),
            arguments: (*arguments).to_owned(),
        }))
    };
    let args: Option<serde_json::Map<String, Value>> = serde_json::from_str(&pieces.concat()).ok();
    let part = call(id, name, Value::Object(args.unwrap_or_default()));
    let mut events: Vec<Event> = pieces.iter().map(delta).collect();
    events.push(Event::Part(Box::new(part)));
    events
}

/// An answer with these events.
fn answer(dialect: Dialect, is_stream: bool, events: &[Event]) -> String {
    let mut encoder = Encoder::new(dialect, answering(dialect, is_stream));
    let finished = Event::Finished(Box::new(Finished {
        reason: FinishReason::ToolCalls,
        usage: Usage::default(),
        response_id: String::new(),
        cost_usd_micros: None,
    }));
    let mut bytes = Vec::new();
    for event in events.iter().chain([&finished]) {
        bytes.extend_from_slice(&encoder.event(event));
    }
    bytes.extend_from_slice(&encoder.finish());
    let text = String::from_utf8(bytes).unwrap();
    if is_stream {
        lawful::check(dialect, &text);
    }
    text
}

fn document(dialect: Dialect, events: &[Event]) -> Value {
    serde_json::from_str(&answer(dialect, false, events)).unwrap()
}

/// A call of each kind.
fn both() -> Vec<Event> {
    let pieces = ["{\"in", "put\":\"*** Be", "gin \\uD83D", "\\uDE00\"}"];
    [
        events("a", "patch", &pieces),
        events("b", "look", &["{\"input\":\"x\"}"]),
    ]
    .concat()
}

#[test]
fn responses_events_of_a_call() {
    let frames = frames(&answer(Dialect::Responses, true, &both()));
    let item = |status: &str, input: &str| json!({"type": "custom_tool_call", "id": "ctc_1_0", "call_id": "a", "name": "patch", "input": input, "status": status});
    let event = |number: u64, kind: &str, more: Value| {
        let mut event = json!({"type": format!("response.{kind}"), "sequence_number": number, "output_index": 0});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let delta = |number, delta: &str| {
        let more = json!({"item_id": "ctc_1_0", "delta": delta});
        event(number, "custom_tool_call_input.delta", more)
    };
    let done = item("completed", "*** Begin 😀");
    let expected = [
        event(2, "output_item.added", json!({"item": item("in_progress", "")})),
        delta(3, "*** Be"),
        delta(4, "gin "),
        delta(5, "😀"),
        event(
            6,
            "custom_tool_call_input.done",
            json!({"item_id": "ctc_1_0", "input": "*** Begin 😀"}),
        ),
        event(7, "output_item.done", json!({ "item": done })),
    ];
    let found: Vec<Value> = frames[2..8].iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(found, expected);
    let output = &frames.last().unwrap().1["response"]["output"];
    assert_eq!((&output[0], &output[1]["type"]), (&done, &json!("function_call")));
    assert_eq!(
        output[1]["arguments"], "{\"input\":\"x\"}",
        "a function keeps its arguments"
    );
    assert_eq!(document(Dialect::Responses, &both())["output"], *output);
}

#[test]
fn chat_completions_chunks_of_a_call() {
    let frames = frames(&answer(Dialect::ChatCompletions, true, &both()));
    let calls = frames.iter().filter_map(|(_, chunk)| {
        let call = &chunk.get("choices")?[0]["delta"]["tool_calls"][0];
        (!call.is_null()).then(|| call.clone())
    });
    let more = |input: &str| json!({"index": 0, "custom": {"input": input}});
    let function = json!({"name": "look", "arguments": "{\"input\":\"x\"}"});
    let expected = [
        json!({"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}),
        more("*** Be"),
        more("gin "),
        more("😀"),
        json!({"index": 1, "id": "b", "type": "function", "function": function}),
    ];
    assert_eq!(calls.collect::<Vec<_>>(), expected);
    let choice = &document(Dialect::ChatCompletions, &both())["choices"][0];
    let custom = json!({"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin 😀"}});
    let function = json!({"id": "b", "type": "function", "function": function});
    assert_eq!(
        (&choice["message"]["tool_calls"], &choice["finish_reason"]),
        (&json!([custom, function]), &json!("tool_calls"))
    );
}

/// The text of the first call as a client reads it, streamed or whole.
fn read_by_client(dialect: Dialect, is_stream: bool, events: &[Event]) -> String {
    let text = answer(dialect, is_stream, events);
    let whole = |value: &Value| value.as_str().unwrap().to_owned();
    match (dialect, is_stream) {
        (Dialect::ChatCompletions, true) => frames(&text)
            .iter()
            .filter_map(|(_, chunk)| {
                let input = &chunk.get("choices")?[0]["delta"]["tool_calls"][0]["custom"]["input"];
                input.as_str().map(str::to_owned)
            })
            .collect(),
        (_, true) => whole(&frames(&text).last().unwrap().1["response"]["output"][0]["input"]),
        (_, false) => {
            let answer: Value = serde_json::from_str(&text).unwrap();
            let places = ["/choices/0/message/tool_calls/0/custom/input", "/output/0/input"];
            whole(places.iter().find_map(|place| answer.pointer(place)).unwrap())
        }
    }
}

#[test]
fn arguments_of_another_shape_are_given_as_they_stand() {
    for (arguments, expected) in ARGUMENTS {
        let (first, second) = arguments.split_at(arguments.floor_char_boundary(arguments.len() / 2));
        let complete = events("a", "patch", &[first, second]);
        // An answer that broke off has no end of its call.
        let broken_off = &complete[..2];
        for (dialect, is_stream) in DIALECTS
            .into_iter()
            .flat_map(|dialect| [(dialect, true), (dialect, false)])
        {
            for events in [complete.as_slice(), broken_off] {
                let found = read_by_client(dialect, is_stream, events);
                assert_eq!(found, expected, "{dialect:?} {is_stream} {arguments}");
            }
        }
    }
}

#[test]
fn what_a_client_sends_back_is_the_call_with_its_text() {
    for (arguments, text) in ARGUMENTS {
        let called = events("a", "patch", &[arguments]);
        let question = json!({"role": "user", "content": "Hi"});
        let item = document(Dialect::Responses, &called)["output"][0].clone();
        let output = json!({"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "Done."});
        let responses = json!({"model": "m", "input": [question, item, output]});
        let message = document(Dialect::ChatCompletions, &called)["choices"][0]["message"].clone();
        let output = json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Done."});
        let chat = json!({"model": "m", "messages": [question, message, output]});
        for (dialect, body) in [(Dialect::Responses, responses), (Dialect::ChatCompletions, chat)] {
            let expected = [
                user("Hi"),
                Message::new(Role::Assistant, vec![call("a", "patch", json!({"input": text}))]),
                returned("a", "patch", json!("Done.")),
            ];
            assert_eq!(understood(dialect, &body).messages, expected, "{dialect:?}");
        }
    }
}
