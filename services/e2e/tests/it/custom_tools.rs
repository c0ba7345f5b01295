//! Programs with tools whose input is a text of a free form (`custom`), as coding agents have for their patches, and models of vendors
//! that know no such tools.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{RecordedRequest, Reply, Script},
    world::{Rest, World},
};

use crate::{Result, programs};

const CLAUDE: &str = "claude-test-model";
const GEMINI: &str = "gemini-2.5-flash";

const GRAMMAR: &str = "start: \"*** Begin Patch\" /(.|\\n)+/ \"*** End Patch\"";
const PATCH: &str = "*** Begin Patch\n*** Add File: a.txt\n+say \"hi\" \\ 😀\n*** End Patch";

/// A world with a model of each dialect that has no tools of a free form.
async fn world() -> Result<(World, Rest)> {
    programs::world(&[("anthropic", &[CLAUDE]), ("google", &[GEMINI])]).await
}

/// The events of a stream.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// What the vendor was sent last.
fn asked(world: &World) -> RecordedRequest {
    world.fake().completions().pop().expect("it was asked")
}

fn responses(model: &str, input: Value) -> Value {
    let format = json!({ "type": "grammar", "syntax": "lark", "definition": GRAMMAR });
    let tool = json!({ "type": "custom", "name": "apply_patch", "description": "Edits files.", "format": format });
    json!({ "model": model, "input": input, "tools": [tool], "store": false })
}

fn chat(model: &str, messages: Value) -> Value {
    let format = json!({ "type": "grammar", "grammar": { "syntax": "lark", "definition": GRAMMAR } });
    let custom = json!({ "name": "apply_patch", "description": "Edits files.", "format": format });
    json!({ "model": model, "messages": messages, "tools": [{ "type": "custom", "custom": custom }] })
}

#[tokio::test]
async fn a_tool_of_a_free_form_is_called_and_answered_through_vendors_that_have_none() -> Result {
    let (world, bridge) = world().await?;
    for model in [CLAUDE, GEMINI, "fake-model"] {
        let call = || Reply::call("apply_patch", json!({ "input": PATCH }));
        world
            .fake()
            .script(Script::turn([call(), call(), Reply::text("Changed.")]));
        let question = json!({ "role": "user", "content": "Change it." });

        let whole = bridge
            .post("/openai/v1/responses", &responses(model, json!([question])))
            .await?
            .expect(200)?;
        let item = &whole["output"][0];
        assert_eq!(
            (&item["type"], &item["name"], &item["input"]),
            (&json!("custom_tool_call"), &json!("apply_patch"), &json!(PATCH)),
            "{model}: {whole}"
        );
        let told = asked(&world).body.to_string();
        assert!(
            told.contains("*** End Patch") && told.contains("Lark grammar"),
            "{model}: {told}"
        );

        let mut body = responses(model, json!([question]));
        body["stream"] = json!(true);
        let streamed = bridge.post("/openai/v1/responses", &body).await?;
        let events = events(&streamed.text);
        let of = |kind: &str| {
            events
                .iter()
                .filter(move |event| event["type"] == kind)
                .collect::<Vec<_>>()
        };
        let deltas = of("response.custom_tool_call_input.delta");
        let text: String = deltas.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(text, PATCH, "{model}: {}", streamed.text);
        assert_eq!(of("response.custom_tool_call_input.done")[0]["input"], PATCH);
        let item = &of("response.output_item.done")[0]["item"];
        assert!(item["id"].as_str().is_some_and(|id| id.starts_with("ctc_")), "{item}");

        let output = json!({ "type": "custom_tool_call_output", "call_id": item["call_id"], "output": "Done: a.txt" });
        let answer = bridge
            .post(
                "/openai/v1/responses",
                &responses(model, json!([question, item, output])),
            )
            .await?
            .expect(200)?;
        assert_eq!(
            answer["output"][0]["content"][0]["text"], "Changed.",
            "{model}: {answer}"
        );
        let told = asked(&world).body.to_string();
        assert!(
            told.contains("+say ") && told.contains("Done: a.txt"),
            "{model}: {told}"
        );
    }
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_program_of_chat_completions_calls_a_tool_of_a_free_form_too() -> Result {
    let (world, bridge) = world().await?;
    for model in [CLAUDE, GEMINI] {
        let call = || Reply::call("apply_patch", json!({ "input": PATCH }));
        world
            .fake()
            .script(Script::turn([call(), call(), Reply::text("Changed.")]));
        let question = json!({ "role": "user", "content": "Change it." });

        let mut body = chat(model, json!([question]));
        body["stream"] = json!(true);
        let streamed = bridge.post("/openai/v1/chat/completions", &body).await?;
        let events = events(&streamed.text);
        let pieces = events
            .iter()
            .map(|event| &event["choices"][0]["delta"]["tool_calls"][0]["custom"]);
        let text: String = pieces.filter_map(|piece| piece["input"].as_str()).collect();
        assert_eq!(text, PATCH, "{model}: {}", streamed.text);

        let mut body = chat(model, json!([question]));
        body["tool_choice"] = json!({ "type": "custom", "custom": { "name": "apply_patch" } });
        let whole = bridge.post("/openai/v1/chat/completions", &body).await?.expect(200)?;
        let message = &whole["choices"][0]["message"];
        let called = &message["tool_calls"][0];
        assert_eq!(
            (&called["type"], &called["custom"]),
            (&json!("custom"), &json!({ "name": "apply_patch", "input": PATCH })),
            "{model}: {whole}"
        );

        let output = json!({ "role": "tool", "tool_call_id": called["id"], "content": "Done: a.txt" });
        let answer = bridge
            .post(
                "/openai/v1/chat/completions",
                &chat(model, json!([question, message, output])),
            )
            .await?
            .expect(200)?;
        assert_eq!(
            answer["choices"][0]["message"]["content"], "Changed.",
            "{model}: {answer}"
        );
        assert!(asked(&world).body.to_string().contains("Done: a.txt"), "{model}");
    }
    world.fake().check_no_rejections()
}
