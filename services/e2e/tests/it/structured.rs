//! Programs that want answers of a form, from models of each dialect: the vendor is asked to enforce it, or a tool takes the answer, or
//! the program is refused by name. The fake refuses what the vendor would refuse of a form.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{RecordedRequest, Reply, Script},
    world::{Rest, World},
};

use crate::{Result, programs};

const CLAUDE: &str = "claude-sonnet-4-5";
const OLD_CLAUDE: &str = "claude-opus-4-1";
const NEWEST_CLAUDE: &str = "claude-sonnet-5-5";
const AWS: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const OLD_AWS: &str = "us.anthropic.claude-opus-4-1-20250805-v1:0";
const GPT: &str = "gpt-5.2";
const GEMINI: &str = "gemini-2.5-flash";

const CHAT: &str = "/openai/v1/chat/completions";
const RESPONSES: &str = "/openai/v1/responses";
const MESSAGES: &str = "/anthropic/v1/messages";

/// An answer of the form.
const OSLO: &str = "{\"city\":\"Oslo\"}";

/// A world with models of each dialect.
async fn world() -> Result<(World, Rest)> {
    programs::world(&[
        ("anthropic", &[CLAUDE, OLD_CLAUDE, NEWEST_CLAUDE]),
        ("bedrock", &[AWS, OLD_AWS]),
        ("openai", &[GPT]),
        ("google", &[GEMINI]),
    ])
    .await
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
        "additionalProperties": false,
    })
}

/// A request of each dialect for an answer of that form.
fn asked(path: &str, model: &str) -> Value {
    let messages = json!([{ "role": "user", "content": "Where?" }]);
    match path {
        CHAT => json!({
            "model": model, "messages": messages,
            "response_format": { "type": "json_schema", "json_schema": { "name": "place", "schema": schema(), "strict": true } },
        }),
        RESPONSES => json!({
            "model": model, "input": "Where?",
            "text": { "format": { "type": "json_schema", "name": "place", "schema": schema(), "strict": true } },
        }),
        _ => json!({
            "model": model, "max_tokens": 100, "messages": messages,
            "output_config": { "format": { "type": "json_schema", "schema": schema() } },
        }),
    }
}

/// What the model said, in any dialect.
fn said(answer: &Value) -> &Value {
    let places = [
        "/choices/0/message/content",
        "/output/0/content/0/text",
        "/content/0/text",
    ];
    places
        .iter()
        .find_map(|place| answer.pointer(place))
        .unwrap_or(&Value::Null)
}

/// The schema as a vendor is told it.
fn told(request: &RecordedRequest) -> &Value {
    let places = [
        "/response_format/json_schema/schema",
        "/text/format/schema",
        "/output_config/format/schema",
        "/generationConfig/responseJsonSchema",
    ];
    places
        .iter()
        .find_map(|place| request.body.pointer(place))
        .unwrap_or(&Value::Null)
}

#[tokio::test]
async fn the_form_of_an_answer_is_enforced_by_vendors_of_every_dialect() -> Result {
    let (world, bridge) = world().await?;
    for path in [CHAT, RESPONSES, MESSAGES] {
        for model in ["fake-model", GPT, CLAUDE, AWS, GEMINI] {
            world.fake().script(Script::reply(Reply::text(OSLO)));
            let answer = bridge.post(path, &asked(path, model)).await?.expect(200)?;
            assert_eq!(said(&answer), OSLO, "{path} {model}");
            let request = world.fake().completions().pop().expect("it was asked");
            assert_eq!(
                told(&request)["required"],
                json!(["city"]),
                "{path} {model}: {}",
                request.body
            );
        }
    }
    world.fake().check_no_rejections()
}

/// What was said in a stream of any dialect.
fn streamed(text: &str) -> String {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let words = events.filter_map(|event| {
        let words = match event["type"].as_str() {
            Some("response.output_text.delta") => &event["delta"],
            Some("content_block_delta") => &event["delta"]["text"],
            _ => &event["choices"][0]["delta"]["content"],
        };
        words.as_str().map(str::to_owned)
    });
    words.collect()
}

/// How an answer of any dialect says that the model was done.
fn end(answer: &Value) -> &str {
    let places = ["/choices/0/finish_reason", "/stop_reason", "/status"];
    let found = places.iter().find_map(|place| answer.pointer(place)?.as_str());
    found.unwrap_or_default()
}

#[tokio::test]
async fn the_form_is_taken_by_a_tool_that_no_program_sees_where_no_vendor_enforces_it() -> Result {
    let (world, bridge) = world().await?;
    let mut any_json = asked(CHAT, CLAUDE);
    any_json["response_format"] = json!({ "type": "json_object" });
    for (path, body, tool, done) in [
        (CHAT, asked(CHAT, OLD_CLAUDE), "place", "stop"),
        (CHAT, asked(CHAT, OLD_AWS), "place", "stop"),
        (CHAT, any_json, "answer", "stop"),
        (RESPONSES, asked(RESPONSES, OLD_CLAUDE), "place", "completed"),
        (RESPONSES, asked(RESPONSES, OLD_AWS), "place", "completed"),
        (MESSAGES, asked(MESSAGES, OLD_AWS), "answer", "end_turn"),
    ] {
        let reply = Reply::text("Here you are: ").tool_call(tool, json!({ "city": "Oslo" }));
        for is_stream in [false, true] {
            let mut body = body.clone();
            body["stream"] = json!(is_stream);
            world.fake().script(Script::reply(reply.clone()));
            let answer = bridge.post(path, &body).await?;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert!(!answer.text.contains("toolu_"), "no call is seen: {}", answer.text);
            if is_stream {
                assert_eq!(streamed(&answer.text), OSLO, "{body}: {}", answer.text);
                assert!(answer.text.contains(&format!("\"{done}\"")), "{}", answer.text);
            } else {
                assert_eq!((said(&answer.json), end(&answer.json)), (&json!(OSLO), done), "{body}");
            }
            let request = world.fake().completions().pop().expect("it was asked");
            assert_eq!(request.body["tool_choice"], json!({ "type": "tool", "name": tool }));
            let tools = request.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(matches!(tools, [only] if only["name"] == tool), "{}", request.body);
            assert_eq!(tools[0]["input_schema"]["type"], "object", "{}", request.body);
            assert_eq!(told(&request), &Value::Null, "{}", request.body);
        }
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn the_form_that_a_tool_takes_stands_beside_a_programs_own_tools() -> Result {
    let (world, bridge) = world().await?;
    let place = json!({ "city": "Oslo" });
    for model in [OLD_CLAUDE, OLD_AWS, GEMINI] {
        let mut body = asked(CHAT, model);
        body["tools"] = json!([{ "type": "function", "function": { "name": "place" } }]);
        let own = Reply::call("place", json!({}));
        let form = Reply::call("place_2", place.clone());
        let both = own.clone().tool_call("place_2", place.clone());
        for (reply, content, calls, done) in [
            (own, Value::Null, 1, "tool_calls"),
            (form, json!(OSLO), 0, "stop"),
            (both, json!(OSLO), 1, "tool_calls"),
        ] {
            world.fake().script(Script::reply(reply));
            let answer = bridge.post(CHAT, &body).await?.expect(200)?;
            let message = &answer["choices"][0]["message"];
            assert_eq!(
                (&message["content"], end(&answer)),
                (&content, done),
                "{model}: {answer}"
            );
            let seen = message["tool_calls"].as_array().map_or(0, Vec::len);
            assert_eq!(seen, calls, "{model}: {answer}");
            let request = world.fake().completions().pop().expect("it was asked");
            let forced = match model {
                GEMINI => &request.body["toolConfig"]["functionCallingConfig"]["mode"],
                _ => &request.body["tool_choice"]["type"],
            };
            let forced = forced.as_str().unwrap_or_default().to_lowercase();
            assert_eq!(forced, "any", "{model}: {}", request.body);
        }
        body["tool_choice"] = json!("none");
        world
            .fake()
            .script(Script::reply(Reply::call("place_2", place.clone())));
        let answer = bridge.post(CHAT, &body).await?.expect(200)?;
        assert_eq!(said(&answer), OSLO, "{model}: {answer}");
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn the_form_that_a_tool_takes_is_told_as_far_as_it_came_and_its_absence_is_an_error() -> Result {
    let (world, bridge) = world().await?;
    for model in [OLD_CLAUDE, OLD_AWS] {
        let cut = Reply::new()
            .tool_call_raw(None, "place", "{\"city\":\"Os")
            .finish("length");
        world.fake().script(Script::reply(cut));
        let answer = bridge.post(CHAT, &asked(CHAT, model)).await?.expect(200)?;
        assert_eq!(
            (said(&answer), end(&answer)),
            (&json!("{\"city\":\"Os"), "length"),
            "{answer}"
        );
        world
            .fake()
            .script(Script::reply(Reply::text("I would rather not say.")));
        let answer = bridge.post(CHAT, &asked(CHAT, model)).await?.expect(502)?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("did not answer in the form"), "{answer}");
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_form_that_nobody_would_keep_the_model_to_is_refused_by_name() -> Result {
    let (world, bridge) = world().await?;
    let mut any_json = asked(CHAT, NEWEST_CLAUDE);
    any_json["response_format"] = json!({ "type": "json_object" });
    let mut thinking = asked(CHAT, OLD_CLAUDE);
    thinking["reasoning_effort"] = json!("high");
    let mut list = asked(CHAT, OLD_AWS);
    list["response_format"]["json_schema"]["schema"] = json!({ "type": "array", "items": { "type": "string" } });
    for (body, why) in [
        (any_json, "enforces a schema only"),
        (thinking, "cannot think while"),
        (list, "into a field of an object"),
    ] {
        let answer = bridge.post(CHAT, &body).await?.expect(400)?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("response_format") && message.contains(why), "{answer}");
    }
    let mut body = asked(RESPONSES, OLD_CLAUDE);
    body["reasoning"] = json!({ "effort": "low" });
    let answer = bridge.post(RESPONSES, &body).await?.expect(400)?;
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("text.format")),
        "{answer}"
    );
    assert!(world.fake().completions().is_empty(), "nobody was asked");
    Ok(())
}
