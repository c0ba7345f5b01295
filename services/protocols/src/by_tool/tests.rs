use futures::executor::block_on;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;
use tandem_chat_core::{
    message::{Message, Role, Usage},
    part::SourcePart,
};

use super::*;
use crate::{Kind, anthropic, test_support as asked};

const OLD_CLAUDE: &str = "claude-opus-4-1";

fn model(options: Value) -> Model {
    Model {
        model: OLD_CLAUDE.to_owned(),
        ..asked::model(Kind::Anthropic, options)
    }
}

fn city() -> OutputFormat {
    OutputFormat::Schema(OutputSchema {
        name: "city".to_owned(),
        description: "A city.".to_owned(),
        schema: json!({"type": "object", "properties": {"name": {"type": "string"}}}),
        is_strict: true,
    })
}

fn request(format: OutputFormat, tools: &[&str], tool_choice: ToolChoice) -> Request {
    let messages = vec![Message::new(Role::User, vec![Part::text("Where?")])];
    Request {
        tool_choice,
        output: Some(format),
        ..asked::request(messages, tools.iter().map(|name| asked::tool(name)).collect())
    }
}

fn call_of(request: Request, options: Value) -> Call {
    Call {
        request: Arc::new(request),
        model: Arc::new(model(options)),
        key: None,
    }
}

fn names(request: &Request) -> Vec<&str> {
    request.tools.iter().map(|tool| tool.name.as_str()).collect()
}

fn id(id: &str) -> ToolCallId {
    ToolCallId::new(id).unwrap()
}

fn piece(call: &str, tool: &str, arguments: &str) -> Delta {
    Delta::ToolCall(ToolCallDelta {
        tool_call_id: id(call),
        tool_name: tool.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn whole(call: &str, tool: &str, args: Value) -> Delta {
    Delta::Part(asked::call(call, tool, args))
}

/// A call whose arguments could not be read.
fn broken(call: &str, tool: &str) -> Delta {
    let mut open = tool_call::OpenCall::new(id(call));
    open.name_once(tool);
    open.append("{\"name\":\"Os");
    Delta::Part(Part::ToolCall(open.into_part()))
}

fn used() -> Usage {
    Usage {
        input_tokens: Some(7),
        output_tokens: Some(3),
        ..Usage::default()
    }
}

fn end(reason: FinishReason) -> Delta {
    Delta::Finish(Finish {
        reason,
        usage: used(),
        response_id: "r".to_owned(),
    })
}

/// What a caller is told of an answer to a request with the form `city`.
fn told(deltas: Vec<Delta>) -> (Vec<Delta>, Option<Failure>) {
    told_of(Form::new(Some("city".to_owned())), deltas)
}

fn told_of(form: Form, deltas: Vec<Delta>) -> (Vec<Delta>, Option<Failure>) {
    let mut told = form.told(stream::iter(deltas.into_iter().map(Ok)).boxed());
    let mut all = Vec::new();
    while let Some(next) = block_on(told.next()) {
        match next {
            Ok(delta) => all.push(delta),
            Err(failure) => return (all, Some(failure)),
        }
    }
    (all, None)
}

fn text_of(deltas: &[Delta]) -> String {
    let texts = deltas.iter().filter_map(|delta| match delta {
        Delta::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn the_form_is_one_tool_more_that_the_model_must_call_or_another() {
    let named = |name: &str| ToolChoice::Named(name.to_owned());
    for (tools, choice, offered, forced) in [
        (&[][..], ToolChoice::Auto, &["city"][..], named("city")),
        (&["look"], ToolChoice::Auto, &["look", "city"], ToolChoice::Required),
        (&["look"], ToolChoice::None, &["look", "city"], named("city")),
        (&["look"], ToolChoice::Required, &["look"], ToolChoice::Required),
        (&["look", "run"], named("run"), &["look", "run"], named("run")),
    ] {
        let (prepared, form) = prepared(
            Protocol::Messages,
            call_of(request(city(), tools, choice.clone()), json!({})),
        )
        .unwrap();
        let request = &prepared.request;
        assert_eq!(names(request), offered, "{choice:?}");
        assert_eq!((&request.tool_choice, &request.output), (&forced, &None), "{choice:?}");
        let is_answered = form.unwrap().tool.is_some();
        assert_eq!(is_answered, offered.contains(&"city"), "{choice:?}");
    }
}

#[test]
fn where_the_vendor_sees_to_the_form_nothing_is_changed() {
    let call = Call {
        model: Arc::new(asked::model(Kind::OpenAiCompat, json!({}))),
        ..call_of(request(city(), &["look"], ToolChoice::Auto), json!({}))
    };
    let (prepared, form) = prepared(Protocol::ChatCompletions, call.clone()).unwrap();
    assert!(form.is_none() && Arc::ptr_eq(&prepared.request, &call.request));
}

#[test]
fn a_model_that_nobody_keeps_to_the_form_is_not_asked() {
    let mut call = call_of(request(OutputFormat::Json, &[], ToolChoice::Auto), json!({}));
    call.model = Arc::new(Model {
        model: "claude-sonnet-5-5".to_owned(),
        ..model(json!({}))
    });
    let failure = prepared(Protocol::Messages, call).unwrap_err();
    assert_eq!(asked::kind_of(&failure, "anthropic"), (ErrorKind::Config, false));
    assert!(failure.text.contains("Send the schema"), "{}", failure.text);
}

#[test]
fn the_tool_has_a_name_that_no_other_has_and_says_what_it_is_for() {
    let long = "x".repeat(MAX_NAME_BYTES);
    let named = |name: &str| {
        OutputFormat::Schema(OutputSchema {
            name: name.to_owned(),
            description: String::new(),
            schema: json!({}),
            is_strict: false,
        })
    };
    let others = ["city", "city_2", "answer", &long].map(asked::tool);
    assert_eq!(tool(&city(), &others).name, "city_3");
    assert_eq!(tool(&city(), &others[1..]).name, "city");
    assert_eq!(tool(&OutputFormat::Json, &others).name, "answer_2");
    let numbered = tool(&named(&long), &others).name;
    assert_eq!((numbered.len(), numbered.ends_with("x_2")), (MAX_NAME_BYTES, true));
    let place = tool(&city(), &[]);
    assert!(place.description.ends_with("\n\nA city."), "{}", place.description);
    assert_eq!(place.input_schema["properties"]["name"]["type"], "string");
    for open in [OutputFormat::Json, named("any")] {
        let expected = json!({"type": "object", "additionalProperties": true});
        assert_eq!(tool(&open, &[]).input_schema, expected);
    }
}

#[test]
fn only_objects_without_alternatives_at_the_top_are_inputs() {
    for (schema, is) in [
        (json!({"type": "object"}), true),
        (json!({"type": ["object", "null"], "$defs": {"a": {"anyOf": []}}}), true),
        (json!({"properties": {"a": {"oneOf": []}}}), true),
        (json!({"type": "array"}), false),
        (json!({"type": "object", "anyOf": [{"required": ["a"]}]}), false),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}), false),
        (json!({"const": {}}), false),
        (json!(true), false),
    ] {
        assert_eq!(is_input(&schema), is, "{schema}");
    }
}

#[test]
fn the_vendors_search_is_not_offered_beside_the_form_and_thinking_is_left_out() {
    let options = json!({"provider_options": {"anthropic": {"web_search_enabled": true, "effort": "high"}}});
    let asked = request(city(), &["look"], ToolChoice::Auto);
    let (prepared, _) = prepared(Protocol::Messages, call_of(asked, options)).unwrap();
    let sent = anthropic::body(&prepared.request, &prepared.model).unwrap();
    let tools: Vec<&Value> = sent["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(tools, ["look", "city"]);
    assert_eq!(sent["tool_choice"], json!({"type": "any"}));
    assert!(!sent.contains_key("thinking") && !sent.contains_key("output_config"));
    let own = &prepared.model.options["provider_options"]["anthropic"];
    assert_eq!(own, &json!({"effort": "high"}), "the rest is as it was set");
}

#[test]
fn what_the_model_says_beside_the_form_is_left_out() {
    let source = SourcePart {
        url: "https://a.example".to_owned(),
        ..SourcePart::default()
    };
    let proof = ReasoningPart {
        signature: "of the words".to_owned(),
        ..ReasoningPart::default()
    };
    let (deltas, failure) = told(vec![
        Delta::Reasoning("Hm.".to_owned()),
        Delta::ReasoningDone(proof),
        Delta::Text("Here you are: ".to_owned()),
        Delta::Part(Part::Source(source)),
        Delta::Part(asked::file("image/png", "a", b"x")),
        piece("a", "city", ""),
        piece("a", "city", "{\"name\":"),
        piece("a", "city", "\"Oslo\"}"),
        whole("a", "city", json!({"name": "Oslo"})),
        Delta::Text("I hope this helps.".to_owned()),
        end(FinishReason::ToolCalls),
    ]);
    let expected = [
        Delta::Reasoning("Hm.".to_owned()),
        Delta::ReasoningDone(ReasoningPart::default()),
        Delta::Text(String::new()),
        Delta::Text("{\"name\":".to_owned()),
        Delta::Text("\"Oslo\"}".to_owned()),
        end(FinishReason::Stop),
    ];
    assert_eq!((deltas.as_slice(), failure), (&expected[..], None));
}

#[test]
fn of_several_calls_of_the_form_the_first_one_counts() {
    let (deltas, failure) = told(vec![
        piece("a", "city", "{"),
        piece("b", "city", "{\"name\":\"Rome\"}"),
        piece("a", "city", "}"),
        whole("b", "city", json!({"name": "Rome"})),
        whole("a", "city", json!({})),
        broken("c", "city"),
        end(FinishReason::ToolCalls),
    ]);
    assert_eq!((text_of(&deltas).as_str(), failure), ("{}", None));
    assert_eq!(deltas.last(), Some(&end(FinishReason::Stop)));
}

#[test]
fn calls_of_the_callers_own_tools_are_handed_on_with_the_form_and_without() {
    let look = [piece("l", "look", "{}"), whole("l", "look", json!({}))];
    let form = [piece("a", "city", "{}"), whole("a", "city", json!({}))];
    let last = [end(FinishReason::ToolCalls)];
    let (deltas, failure) = told([&look[..], &last].concat());
    assert_eq!((deltas, failure), ([&look[..], &last].concat(), None));
    for both in [[&form[..], &look], [&look[..], &form]] {
        let (deltas, failure) = told([&both.concat()[..], &last].concat());
        assert_eq!((text_of(&deltas).as_str(), failure), ("{}", None));
        assert!(
            look.iter().chain(&last).all(|delta| deltas.contains(delta)),
            "{deltas:?}"
        );
    }
    // Where they were required, no form was on offer: a tool of its name is the caller's.
    let (deltas, failure) = told_of(Form::new(None), [&form[..], &last].concat());
    assert_eq!((deltas, failure), ([&form[..], &last].concat(), None));
}

#[test]
fn an_answer_that_came_without_pieces_is_told_at_its_end() {
    let (deltas, failure) = told(vec![
        piece("a", "city", ""),
        whole("a", "city", json!({"name": "Oslo"})),
        end(FinishReason::ToolCalls),
    ]);
    assert_eq!((text_of(&deltas).as_str(), failure), ("{\"name\":\"Oslo\"}", None));
    let (deltas, _) = told(vec![
        piece("a", "city", ""),
        whole("a", "city", json!({})),
        end(FinishReason::Length),
    ]);
    assert_eq!(text_of(&deltas), "", "what was cut off is not made whole");
}

#[test]
fn an_answer_that_was_cut_off_is_told_as_far_as_it_came() {
    for reason in [FinishReason::Length, FinishReason::ContentFilter] {
        let (deltas, failure) = told(vec![
            piece("a", "city", "{\"name\":\"Os"),
            broken("a", "city"),
            end(reason),
        ]);
        assert_eq!((text_of(&deltas).as_str(), failure), ("{\"name\":\"Os", None));
        assert_eq!(deltas.last(), Some(&end(reason)));
        let (deltas, failure) = told(vec![Delta::Text("I would rather".to_owned()), end(reason)]);
        assert_eq!((deltas, failure), (vec![end(reason)], None));
    }
}

#[test]
fn an_answer_without_the_form_fails_and_is_paid_for() {
    for (deltas, why) in [
        (vec![Delta::Text("It is Oslo.".to_owned())], NOT_GIVEN),
        (vec![piece("a", "city", "{\"name\":\"Os"), broken("a", "city")], BROKEN),
    ] {
        for reason in [FinishReason::Stop, FinishReason::ToolCalls] {
            let (told, failure) = told([&deltas[..], &[end(reason)]].concat());
            assert_eq!(told.last(), Some(&Delta::Spent(used())));
            let failure = failure.unwrap();
            assert_eq!(asked::kind_of(&failure, "anthropic"), (ErrorKind::Generic, false));
            assert_eq!(failure.text, why);
        }
    }
}

#[test]
fn failures_of_the_vendor_are_handed_on() {
    let broken = Failure::known(ErrorKind::Overloaded, "full");
    let deltas = [Ok(piece("a", "city", "{")), Err(broken.clone())];
    let mut told = Form::new(Some("city".to_owned())).told(stream::iter(deltas).boxed());
    assert_eq!(block_on(told.next()), Some(Ok(Delta::Text("{".to_owned()))));
    assert_eq!(block_on(told.next()), Some(Err(broken)));
    assert_eq!(block_on(told.next()), None);
}

/// An answer by the form as the vendor streams it.
fn streamed(arguments: &[&str]) -> String {
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    let started = json!({"type": "tool_use", "id": "toolu_1", "name": "city", "input": {}});
    let mut text = event(json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9}}}));
    text += &event(json!({"type": "content_block_start", "index": 0, "content_block": started}));
    for arguments in arguments {
        let delta = json!({"type": "input_json_delta", "partial_json": arguments});
        text += &event(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }
    text += &event(json!({"type": "content_block_stop", "index": 0}));
    text +=
        &event(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}));
    text + &event(json!({"type": "message_stop"}))
}

fn pieces<'a>(text: &'a str, places: &[Index]) -> Vec<&'a str> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| text.floor_char_boundary(place.index(text.len() + 1)))
        .collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    vec((any::<String>(), value), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn arguments_cut_anywhere_arrive_as_the_same_text(
        answer in objects(),
        is_pretty in any::<bool>(),
        in_events in vec(any::<Index>(), 0..8),
        in_bytes in vec(any::<Index>(), 0..8),
    ) {
        let written = match is_pretty {
            true => serde_json::to_string_pretty(&answer).unwrap(),
            false => answer.to_string(),
        };
        let answered = streamed(&pieces(&written, &in_events));
        let parser = anthropic::parser(&request(city(), &[], ToolChoice::Auto), &model(json!({})));
        let bytes: Vec<&[u8]> = pieces(&answered, &in_bytes).into_iter().map(str::as_bytes).collect();
        let (deltas, failure) = asked::parse(parser, &bytes);
        prop_assert_eq!(failure, None);
        let (told, failure) = told(deltas);
        prop_assert_eq!(failure, None);
        prop_assert_eq!(text_of(&told), written);
        let is_plain = |delta: &Delta| matches!(delta, Delta::Text(_) | Delta::Finish(Finish { reason: FinishReason::Stop, .. }));
        prop_assert!(told.iter().all(is_plain), "{:?}", told);
    }
}
