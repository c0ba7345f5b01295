//! People are asked before a call runs: what was shown runs, once, whoever dies meanwhile.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Rest, Service, User, World, id_of, text},
};

use crate::{LIMIT, Result, drills::effects, settled, tools};

/// A command whose effect can be counted, and that no policy knows to be harmless.
fn effect(name: &str) -> Value {
    json!({ "command": format!("echo done >> effects-{name}; cat effects-{name}") })
}

/// A chat that asks, whose first step makes these calls.
async fn asking(world: &World, user: &User, mode: &str, name: &str, first: Reply) -> Result<String> {
    let message = format!("Ask me, {name}.");
    world
        .fake()
        .script(Script::turn([first, Reply::text("That was it.")]).when_user_says(&message));
    let body = json!({
        "organization_id": user.organization_id, "content": text(&message), "approval_mode": mode,
    });
    let chat = user.rest.post("/api/v1/chats", &body).await?.expect(201)?;
    assert_eq!(chat["approval_mode"], mode);
    Ok(id_of(&chat)?.to_owned())
}

/// What a reader that comes now sees waiting.
async fn waiting(world: &World, id: &str) -> Result<Vec<Value>> {
    world.wait_for_status(id, "requires_action", LIMIT).await?;
    let late = world.stream(id).await?;
    let is_asked = |event: &Value| event["type"] == "action_required";
    let events = late.wait_until(LIMIT, |events| events.iter().any(is_asked)).await?;
    let asked = events
        .iter()
        .rfind(|event| is_asked(event))
        .cloned()
        .unwrap_or_default();
    let calls = asked["action_required"]["tool_calls"].as_array();
    Ok(calls.cloned().unwrap_or_default())
}

fn decision(call: &Value, decision: &str) -> Value {
    json!({ "tool_call_id": call["tool_call_id"], "digest": call["approval"]["digest"], "decision": decision })
}

async fn decide(rest: &Rest, id: &str, decisions: &[Value]) -> Result<tandem_e2e::world::Answer> {
    let body = json!({ "decisions": decisions });
    rest.post(&format!("/api/v1/chats/{id}/approvals"), &body).await
}

#[tokio::test]
async fn s27_what_was_shown_runs_once_its_owner_has_approved_it() -> Result {
    let world = World::start().await?;
    let step = Reply::text("May I?")
        .tool_call_with_id("call_look", "execute", json!({ "command": "pwd" }))
        .tool_call_with_id("call_write", "execute", effect("shown"))
        .tool_call_with_id("call_no", "execute", effect("declined"));
    let id = asking(&world, world.admin(), "risky", "owner", step).await?;
    let calls = waiting(&world, &id).await?;
    let ids: Vec<_> = calls.iter().map(|call| call["tool_call_id"].clone()).collect();
    assert_eq!(
        ids,
        ["call_write", "call_no"],
        "a harmless one is not asked about: {calls:#?}"
    );
    for call in &calls {
        assert_eq!(call["approval"]["risk"], "unknown", "{call}");
        assert!(
            call["approval"]["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty())
        );
    }
    let chat = world.chat(&id).await?;
    assert!(chat["action_expires_at"].is_string(), "{chat}");

    // Nobody else may; nothing else is approved; half an answer is none.
    let stranger = world.create_user("mallory").await?;
    let both = [decision(&calls[0], "approve"), decision(&calls[1], "decline")];
    decide(&stranger.rest, &id, &both).await?.expect(404)?;
    let mut swapped = both.clone();
    swapped[0]["digest"] = calls[1]["approval"]["digest"].clone();
    decide(world.rest(), &id, &swapped).await?.expect(409)?;
    for wrong in [&both[..1], &[both[0].clone(), both[0].clone()], &[]] {
        decide(world.rest(), &id, wrong).await?.expect(400)?;
    }
    assert_eq!(world.chat(&id).await?["status"], "requires_action");

    let mut both = both;
    both[1]["reason"] = json!("Not today.");
    decide(world.rest(), &id, &both).await?.expect(200)?;
    decide(world.rest(), &id, &both).await?.expect(409)?;
    let shown = settled(&world, &id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: That was it."));
    let results = tools::results(&tools::last_request(&world));
    let told = serde_json::to_string(&results)?;
    assert_eq!(told.matches("done").count(), 1, "{told}");
    assert!(told.contains("declined") && told.contains("Not today."), "{told}");
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn modes_ask_for_what_they_say_and_can_be_changed() -> Result {
    let world = World::start().await?;
    let write = json!({ "path": "notes.txt", "content": "x" });
    let step = || Reply::text("So.").tool_call("write_file", write.clone());
    let risky = asking(&world, world.admin(), "risky", "risky", step()).await?;
    assert_eq!(
        settled(&world, &risky).await?.len(),
        4,
        "its effect is seen from its arguments"
    );
    let always = asking(&world, world.admin(), "always", "always", step()).await?;
    let calls = waiting(&world, &always).await?;
    assert_eq!(calls[0]["approval"]["risk"], "changes", "{calls:?}");
    // Whoever does not want to be asked any more changes the chat, and is asked this last time.
    let path = format!("/api/v1/chats/{always}");
    let never = json!({ "approval_mode": "never" });
    world.rest().patch(&path, &never).await?.expect(204)?;
    decide(world.rest(), &always, &[decision(&calls[0], "approve")])
        .await?
        .expect(200)?;
    settled(&world, &always).await?;
    let forbidden = json!({ "command": "rm -rf /" });
    let step = Reply::text("So.").tool_call("execute", forbidden);
    let refused = asking(&world, world.admin(), "risky", "refused", step).await?;
    settled(&world, &refused).await?;
    let results = tools::results(&tools::last_request(&world));
    assert!(serde_json::to_string(&results)?.contains("refused"), "{results:#?}");
    Ok(())
}

#[tokio::test]
async fn a_step_asks_its_owner_first_and_its_client_afterwards() -> Result {
    let world = World::start().await?;
    let step = Reply::text("Both.")
        .tool_call_with_id("call_sky", "weather", json!({ "city": "Oslo" }))
        .tool_call_with_id("call_write", "execute", effect("mixed"));
    let steps = [step, Reply::text("That was both.")];
    world.fake().script(Script::turn(steps).when_user_says("Do both."));
    let tool = json!({ "name": "weather", "description": "Asks the sky.", "input_schema": { "type": "object" } });
    let body = json!({
        "organization_id": world.admin().organization_id, "content": text("Do both."), "approval_mode": "risky",
        "unsafe_dynamic_tools": [tool],
    });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    let calls = waiting(&world, id).await?;
    let [call] = &calls[..] else {
        panic!("only what needs a person: {calls:#?}")
    };
    assert_eq!(call["tool_call_id"], "call_write");
    // What the client returns now would be the answer to another question.
    let path = format!("/api/v1/chats/{id}/tool-results");
    let sunny = json!({ "results": [{ "tool_call_id": "call_sky", "output": "sunny", "is_error": false }] });
    world.rest().post(&path, &sunny).await?.expect(409)?;
    decide(world.rest(), id, &[decision(call, "approve")])
        .await?
        .expect(200)?;

    let late = world.stream(id).await?;
    let asks_client = |event: &Value| event["action_required"]["tool_calls"][0]["tool_call_id"] == "call_sky";
    late.wait_until(LIMIT, |events| events.iter().any(asks_client)).await?;
    world.wait_for_status(id, "requires_action", LIMIT).await?;
    world.rest().post(&path, &sunny).await?.expect(204)?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: That was both."));
    let told = serde_json::to_string(&tools::results(&tools::last_request(&world)))?;
    assert!(told.contains("sunny") && told.matches("done").count() == 1, "{told}");
    world.fake().check_no_rejections()
}

/// D48: the page is closed, the gateway and the orchestrator are killed, and another device answers.
#[tokio::test]
async fn d48_an_approval_outlives_everybody_and_the_first_answer_wins() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    for round in 0..crate::drills::rounds() {
        let name = format!("outlives-{round}");
        let step = Reply::text("May I?").tool_call("execute", effect(&name));
        let id = asking(&world, world.admin(), "risky", &name, step).await?;
        let stream = world.stream(&id).await?;
        let shown = waiting(&world, &id).await?;
        drop(stream);
        for service in [Service::Gateway, Service::Orchestrator, Service::ToolRunner] {
            world.kill9_service(service).await?;
        }
        world.restart().await?;
        let calls = waiting(&world, &id).await?;
        assert_eq!(calls, shown, "what is asked has changed");
        let [yes, no] = ["approve", "decline"].map(|word| [decision(&calls[0], word)]);
        let (one, two) = tokio::try_join!(decide(world.rest(), &id, &yes), decide(world.rest(), &id, &no))?;
        let is_approved = one.status == 200;
        let late = if is_approved { &two } else { &one };
        assert_eq!((one.status.min(two.status), late.status), (200, 409));
        settled(&world, &id).await?;
        let output = effects(&world, &id).await?.to_string();
        let ran = output.matches("done").count();
        assert_eq!(ran, usize::from(is_approved), "{output}");
    }
    world.fake().check_no_rejections()
}
