//! Programs that use a computer by the vendors' own tool: where the vendor speaks the program's dialect, calls and pictures go as they are.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Rest, World, finish},
};

use crate::{Result, programs};

const GPT: &str = "gpt-5.4";
const CLAUDE: &str = "claude-opus-4-6";

/// The first bytes of a picture.
const PICTURE: &str = "iVBORw0KGgo=";

/// A world with a model of each vendor's that has the tool.
async fn world() -> Result<(World, Rest)> {
    programs::world(&[("openai", &[GPT]), ("anthropic", &[CLAUDE])]).await
}

#[tokio::test]
async fn a_program_of_responses_sees_calls_and_answers_with_pictures() -> Result {
    let (world, bridge) = world().await?;
    let asked = json!({
        "actions": [{ "type": "click", "x": 3, "y": 4, "button": "left" }],
        "pending_safety_checks": [{ "id": "sc_1", "code": "malicious_instructions", "message": "Look." }],
    });
    let call = Reply::new().tool_call_with_id("call_one", "computer", asked.clone());
    let turn = [call, Reply::text("Bought.")];
    world.fake().script(Script::turn(turn).when_user_says("Buy"));
    let user = json!({ "role": "user", "content": "Buy it" });
    let body = |input: Value| json!({ "model": GPT, "tools": [{ "type": "computer" }], "input": input });
    let answer = bridge
        .post("/openai/v1/responses", &body(json!([user])))
        .await?
        .expect(200)?;
    let call = &answer["output"][0];
    assert_eq!(
        (&call["type"], &call["actions"]),
        (&json!("computer_call"), &asked["actions"]),
        "{answer}"
    );
    let mut shown = json!({
        "type": "computer_call_output", "call_id": "call_one",
        "output": { "type": "computer_screenshot", "image_url": format!("data:image/png;base64,{PICTURE}") },
    });
    let refused = bridge
        .post("/openai/v1/responses", &body(json!([user, call, shown])))
        .await?;
    assert_eq!(
        refused.status, 400,
        "nobody acknowledges for the program: {}",
        refused.text
    );
    shown["acknowledged_safety_checks"] = asked["pending_safety_checks"].clone();
    let answer = bridge
        .post("/openai/v1/responses", &body(json!([user, call, shown])))
        .await?
        .expect(200)?;
    assert_eq!(answer["output"][0]["content"][0]["text"], "Bought.");
    Ok(())
}

#[tokio::test]
async fn a_program_of_messages_says_what_it_uses_and_sees_calls() -> Result {
    let (world, bridge) = world().await?;
    let clicked = json!({ "action": "left_click", "coordinate": [3, 4] });
    let call = Reply::new().tool_call_with_id("toolu_one", "computer", clicked.clone());
    world.fake().script(Script::turn([call]).when_user_says("Buy"));
    let tool = json!({
        "type": "computer_20251124", "name": "computer", "display_width_px": 1600, "display_height_px": 900,
    });
    let body = json!({
        "model": CLAUDE, "max_tokens": 100, "tools": [tool], "messages": [{ "role": "user", "content": "Buy it" }],
    });
    let ask = async |beta: Option<&str>| -> Result<tandem_e2e::world::Answer> {
        let request = bridge
            .without_token()
            .request(Method::POST, "/anthropic/v1/messages")
            .json(&body)
            .header("x-api-key", bridge.token().unwrap_or_default())
            .header("anthropic-version", "2023-06-01");
        let request = match beta {
            Some(beta) => request.header("anthropic-beta", beta),
            None => request,
        };
        finish(request, "messages".to_owned()).await
    };
    let refused = ask(None).await?;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("computer_20251124"), "{}", refused.text);
    let answer = ask(Some("computer-use-2025-11-24")).await?.expect(200)?;
    assert_eq!(
        (&answer["content"][0]["name"], &answer["content"][0]["input"]),
        (&json!("computer"), &clicked)
    );
    Ok(())
}
