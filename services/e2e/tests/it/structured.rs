//! Programs that want answers of a form, from models of each dialect: the vendor is asked to enforce it, or the program is refused by
//! name. The fake refuses what the vendor would refuse of a form.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, RecordedRequest, Reply, Script},
    world::{Rest, World, free_address},
};

use crate::Result;

const CLAUDE: &str = "claude-sonnet-4-5";
const OLD_CLAUDE: &str = "claude-opus-4-1";
const GPT: &str = "gpt-5.2";
const GEMINI: &str = "gemini-2.5-flash";

/// A world with the bridge's own listener and a model of each dialect, and a client of it.
async fn world() -> Result<(World, Rest)> {
    let address = free_address()?;
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
        .fake(FakeLlm::builder().models(["fake-model", CLAUDE, OLD_CLAUDE, GPT, GEMINI]))
        .start()
        .await?;
    let root = world.fake().base_url().trim_end_matches("/v1").to_owned();
    for (kind, base_url, models) in [
        ("anthropic", root.clone(), &[CLAUDE, OLD_CLAUDE][..]),
        ("openai", world.fake().base_url(), &[GPT]),
        ("google", root, &[GEMINI]),
    ] {
        let body = json!({
            "type": kind, "name": format!("{kind}-provider"), "display_name": kind, "enabled": true,
            "base_url": base_url, "api_keys": [world.fake().api_key()],
        });
        let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
        for model in models {
            world
                .register_model(provider["id"].as_str().unwrap_or_default(), model)
                .await?;
        }
    }
    let bridge = world.rest().at(format!("http://{address}"));
    Ok((world, bridge))
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
        "/openai/v1/chat/completions" => json!({
            "model": model, "messages": messages,
            "response_format": { "type": "json_schema", "json_schema": { "name": "place", "schema": schema(), "strict": true } },
        }),
        "/openai/v1/responses" => json!({
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
    for path in [
        "/openai/v1/chat/completions",
        "/openai/v1/responses",
        "/anthropic/v1/messages",
    ] {
        for model in ["fake-model", GPT, CLAUDE, GEMINI] {
            let json = "{\"city\":\"Oslo\"}";
            world.fake().script(Script::reply(Reply::text(json)));
            let answer = bridge.post(path, &asked(path, model)).await?.expect(200)?;
            assert_eq!(said(&answer), json, "{path} {model}");
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

#[tokio::test]
async fn a_form_that_nobody_would_enforce_is_refused_by_name() -> Result {
    let (world, bridge) = world().await?;
    let path = "/openai/v1/chat/completions";
    let mut any_json = asked(path, CLAUDE);
    any_json["response_format"] = json!({ "type": "json_object" });
    let mut with_tools = asked(path, GEMINI);
    with_tools["tools"] = json!([{ "type": "function", "function": { "name": "look" } }]);
    for (body, why) in [
        (asked(path, OLD_CLAUDE), "does not enforce the form"),
        (any_json, "enforces a schema only"),
        (with_tools, "while tools are on offer"),
    ] {
        let answer = bridge.post(path, &body).await?.expect(400)?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("response_format") && message.contains(why), "{answer}");
    }
    let body = asked("/openai/v1/responses", OLD_CLAUDE);
    let answer = bridge.post("/openai/v1/responses", &body).await?.expect(400)?;
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("text.format")),
        "{answer}"
    );
    assert!(world.fake().completions().is_empty(), "nobody was asked");
    Ok(())
}
