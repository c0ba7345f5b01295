//! A conversation of the app's own, written by each vendor's protocol and read back here, makes the same request again.
//!
//! So nothing is lost that a protocol can say. What each dialect cannot say, and a conversation therefore loses on its way to a client
//! and back: in Chat Completions thinking, whether a result failed (its words say so), and which result a picture belongs to (it follows
//! in a message of the user); in Responses whether a result failed, and searches of the vendor's beyond their addresses; in Messages
//! the model that thought, unless the thinking was wrapped here (see `answer`). Where one text of a result ends and the next begins is
//! not kept: a result has one text.

use proptest::{collection::vec, prelude::*, sample::select};
use tandem_chat_core::history;
use tandem_protocols::{
    call::{OutputFormat, OutputSchema, ToolChoice},
    output::{self, Beside},
    vendor_side,
};

use super::*;

const DIALECTS: [Dialect; 3] = Dialect::ALL;

fn words() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zé\"\\\\]{1,8}", 1 => Just("two\n\nparagraphs\u{0}".to_owned())]
}

fn said() -> impl Strategy<Value = Part> {
    words().prop_map(Part::text)
}

fn shown() -> impl Strategy<Value = Part> {
    let files: [(&str, &[u8]); 6] = [
        ("image/png", PNG),
        ("image/webp", b"RIFF0000WEBP"),
        ("application/pdf", b"%PDF-1.7"),
        ("text/plain", "wörds".as_bytes()),
        ("video/mp4", b"?"),
        ("image/png", b""),
    ];
    select(files.to_vec()).prop_map(|(media_type, data)| file(media_type, "f", data))
}

fn args() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"path": "x", "deep": {"a": [1, 2.5, null, true, "ü"]}}),
        json!({"text": "\u{0}\"\\\n"}),
    ])
}

/// What a tool returned; a call may have nothing at all.
fn outcome() -> impl Strategy<Value = Option<(Value, bool, bool)>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let picture = |text: &str| json!({"data": STANDARD.encode(PNG), "mime_type": "image/png", "text": text});
    let values = prop_oneof![
        words().prop_map(|text| (Value::from(text), false)),
        select(vec![
            (Value::Null, false),
            (json!(""), false),
            (json!({"lines": ["a", "b"]}), false),
            (picture("taken"), true),
            (picture(""), true),
            (json!({"data": "AAAA", "mime_type": "audio/wav"}), true),
        ]),
    ];
    prop::option::weighted(
        0.9,
        (values, any::<bool>()).prop_map(|((value, is_media), is_error)| (value, is_error, is_media)),
    )
}

#[derive(Clone, Debug)]
enum Piece {
    Said(Part),
    /// Thinking, by number.
    Thought(usize),
    Call(Value, Option<(Value, bool, bool)>),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        3 => said().prop_map(Piece::Said),
        2 => (0..3_usize).prop_map(Piece::Thought),
        3 => (args(), outcome()).prop_map(|(args, outcome)| Piece::Call(args, outcome)),
    ]
}

#[derive(Clone, Debug)]
enum Turn {
    System(Part),
    User(Vec<Part>),
    Assistant(Vec<Piece>, bool),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        1 => said().prop_map(Turn::System),
        3 => vec(prop_oneof![2 => said(), 1 => shown()], 1..4).prop_map(Turn::User),
        4 => (vec(piece(), 1..5), any::<bool>()).prop_map(|(pieces, reverses)| Turn::Assistant(pieces, reverses)),
    ];
    vec(turn, 1..8)
}

/// Thinking as the vendor of a dialect left it.
fn thought(dialect: Dialect, number: usize, place: usize) -> ReasoningPart {
    let text = ["Hm.", "", "Let me see.\n\nYes."][number];
    let model = model(dialect, json!({}));
    let own = match dialect {
        Dialect::Messages => json!({"anthropic": {"model": model.model}}),
        Dialect::ChatCompletions | Dialect::Responses => {
            let provider = model.provider.id.to_string();
            json!({"openai": {"provider": provider, "model": model.model, "item_id": format!("rs_{place}_{number}")}})
        }
    };
    reasoning(text, &format!("sig{place}{number}"), own)
}

fn conversation(dialect: Dialect, turns: &[Turn]) -> Vec<Message> {
    let mut messages = vec![user("Begin.")];
    for (place, turn) in turns.iter().enumerate() {
        match turn {
            Turn::System(part) => messages.push(Message::new(Role::System, vec![part.clone()])),
            Turn::User(parts) => messages.push(Message::new(Role::User, parts.clone())),
            Turn::Assistant(pieces, reverses) => {
                let (mut parts, mut results) = (Vec::new(), Vec::new());
                for (number, piece) in pieces.iter().enumerate() {
                    match piece {
                        Piece::Said(part) => parts.push(part.clone()),
                        Piece::Thought(kind) => {
                            parts.push(Part::Reasoning(thought(dialect, *kind, place * 10 + number)))
                        }
                        Piece::Call(args, outcome) => {
                            let id = format!("call_{place}_{number}");
                            parts.push(call(&id, "look", args.clone()));
                            let result = outcome.clone().map(|(value, is_error, is_media)| ToolResultPart {
                                is_error,
                                is_media,
                                ..tool_result(&id, "look", value)
                            });
                            results
                                .extend(result.map(|result| Message::new(Role::Tool, vec![Part::ToolResult(result)])));
                        }
                    }
                }
                if *reverses {
                    results.reverse();
                }
                messages.push(Message::new(Role::Assistant, parts));
                messages.extend(results);
            }
        }
    }
    history::repair(messages)
}

/// Forms of an answer.
fn outputs() -> impl Strategy<Value = Option<OutputFormat>> {
    let schema = json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false,
    });
    let schema = |name: &str, description: &str, is_strict| {
        Some(OutputFormat::Schema(OutputSchema {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: schema.clone(),
            is_strict,
        }))
    };
    select(vec![
        None,
        Some(OutputFormat::Json),
        schema("place", "", true),
        schema("a-b_c", "Where it is.", false),
    ])
}

/// Says again whose thinking it is. The dialect has no place for that.
fn own(dialect: Dialect, messages: &mut [Message]) {
    let model = model(dialect, json!({}));
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::Reasoning(reasoning) = part {
            let known = &mut reasoning.provider_metadata;
            match dialect {
                Dialect::Messages => {
                    known.insert("anthropic".to_owned(), json!({"model": model.model}));
                }
                Dialect::Responses => {
                    known["openai"]["provider"] = json!(model.provider.id.to_string());
                    known["openai"]["model"] = json!(model.model);
                }
                Dialect::ChatCompletions => {}
            }
        }
    }
}

/// A Messages request in which texts of a result that follow each other are one.
fn with_one_text_a_result(mut body: Value) -> Value {
    let messages = body["messages"].as_array_mut().into_iter().flatten();
    let blocks = messages
        .filter_map(|message| message["content"].as_array_mut())
        .flatten();
    for pieces in blocks.filter_map(|block| block.get_mut("content")?.as_array_mut()) {
        let mut joined: Vec<Value> = Vec::new();
        for piece in pieces.drain(..) {
            let words = |piece: &Value| piece["text"].as_str().map(str::to_owned);
            let both = joined.last().and_then(words).zip(words(&piece));
            match (joined.last_mut(), both) {
                (Some(last), Some((known, more))) => last["text"] = json!(format!("{known}\n\n{more}")),
                _ => joined.push(piece),
            }
        }
        *pieces = joined;
    }
    body
}

fn tools() -> impl Strategy<Value = (Vec<Tool>, ToolChoice)> {
    let named = |name: &str| ToolChoice::Named(name.to_owned());
    select(vec![
        (Vec::new(), ToolChoice::Auto),
        (vec![tool("look")], ToolChoice::Auto),
        (vec![tool("look"), tool("run")], ToolChoice::Required),
        (vec![tool("look"), tool("run")], named("run")),
        (vec![tool("run")], ToolChoice::None),
    ])
}

/// What an administrator may have set, that a client of that dialect can say.
fn options(dialect: Dialect) -> Vec<Value> {
    let openai = |own: Value| json!({"provider_options": {"openai": own}});
    match dialect {
        Dialect::ChatCompletions => vec![
            json!({}),
            json!({"temperature": 0.5, "top_p": 1, "presence_penalty": -1, "stop_sequences": ["a", "b"]}),
            openai(json!({"reasoning_effort": "low", "text_verbosity": "high", "parallel_tool_calls": false})),
        ],
        Dialect::Responses => vec![
            openai(json!({"store": true})),
            openai(json!({"reasoning_effort": "xhigh", "text_verbosity": "low", "parallel_tool_calls": false})),
        ],
        Dialect::Messages => vec![
            json!({}),
            json!({"temperature": 0.5, "top_k": 3, "stop_sequences": ["a"]}),
            json!({"provider_options": {"anthropic": {"effort": "max", "disable_parallel_tool_use": true}}}),
            json!({"provider_options": {"anthropic": {"thinking": {"budget_tokens": 2048}}}}),
        ],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_vendor_would_be_told_is_what_it_is_told_again(
        turns in turns(),
        (tools, tool_choice) in tools(),
        limit in select(vec![None, Some(3000), Some(64_000)]),
        chosen in 0..12_usize,
        wanted in outputs(),
    ) {
        for dialect in DIALECTS {
            let known = options(dialect);
            let model_then = model(dialect, known[chosen % known.len()].clone());
            let beside = Beside { has_tools: !tools.is_empty(), ..Beside::default() };
            let told = Request {
                tool_choice: tool_choice.clone(),
                max_output_tokens: limit,
                output: wanted.clone().filter(|format| output::refused(format, &model_then, beside).is_none()),
                ..request(conversation(dialect, &turns), tools.clone())
            };
            let body = Value::Object(vendor_side::written(protocol(dialect), &told, &model_then).unwrap());
            let mut asked = understood(dialect, &body);
            own(dialect, &mut asked.messages);
            let plain = model(dialect, json!({}));
            let model_now = Model { options: asked.options(&plain).unwrap(), ..plain };
            let again = Request {
                tool_choice: asked.tool_choice.clone(),
                max_output_tokens: asked.max_output_tokens,
                output: asked.output.map(|output| output.format),
                ..request(asked.messages.clone(), asked.tools.clone())
            };
            let body_again = Value::Object(vendor_side::written(protocol(dialect), &again, &model_now).unwrap());
            prop_assert_eq!(with_one_text_a_result(body), with_one_text_a_result(body_again), "{:?}", dialect);
        }
    }

    #[test]
    fn a_conversation_in_words_comes_back_word_for_word(texts in vec(words(), 1..6), ends_with_user in any::<bool>()) {
        for dialect in DIALECTS {
            let count = texts.len() + usize::from(texts.len() % 2 == 0);
            let mut messages: Vec<Message> = (0..count)
                .map(|place| {
                    let role = if place % 2 == 0 { Role::User } else { Role::Assistant };
                    Message::new(role, vec![Part::text(format!("{place} {}", texts[place % texts.len()]))])
                })
                .collect();
            if ends_with_user && dialect != Dialect::Messages {
                messages.push(Message::new(Role::Assistant, vec![Part::text("begun")]));
            }
            let told = request(messages.clone(), Vec::new());
            let body = vendor_side::written(protocol(dialect), &told, &model(dialect, json!({}))).unwrap();
            prop_assert_eq!(understood(dialect, &Value::Object(body)).messages, messages);
        }
    }
}
