//! Titles and turn summaries: made by a model beside the turns, late and perhaps never, and never in anybody's way.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{RecordedRequest, Reply, Script},
    world::{World, id_of, text},
};

use crate::{LIMIT, Result, settled};

/// What requests for titles and for labels say, and no other does.
const TITLE: &str = "You name conversations.";
const LABEL: &str = "You label what an assistant has done.";

/// A model that Tandem knows to be fast.
const FAST_MODEL: &str = "gpt-4o-mini";

async fn world() -> Result<World> {
    World::builder().side_jobs().start().await
}

/// Answers every title request like this from now on, if no earlier script does.
fn titled(world: &World, reply: Reply) {
    world.fake().script(Script::always(reply).when_any_message_says(TITLE));
}

fn is_for(request: &RecordedRequest, instruction: &str) -> bool {
    request
        .messages()
        .iter()
        .any(|message| message["content"].to_string().contains(instruction))
}

/// Waits until the chat looks so; the chat.
async fn until(world: &World, chat_id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let started = std::time::Instant::now();
    loop {
        let chat = world.chat(chat_id).await?;
        if is_so(&chat) {
            return Ok(chat);
        }
        anyhow::ensure!(started.elapsed() < LIMIT, "not {what}: {chat}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn rename(world: &World, chat_id: &str, title: &str) -> Result {
    let answer = world
        .rest()
        .patch(&format!("/api/v1/chats/{chat_id}"), &json!({ "title": title }))
        .await?;
    answer.expect(204)?;
    Ok(())
}

async fn ask(world: &World, chat_id: &str, what: &str) -> Result<tandem_e2e::world::Answer> {
    world
        .rest()
        .post(&format!("/api/v1/chats/{chat_id}/title/{what}"), &json!({}))
        .await
}

/// Waits until the model has heard `count` requests for titles.
async fn title_requests(world: &World, count: usize) -> Result<Vec<RecordedRequest>> {
    let is_heard = |requests: &[RecordedRequest]| requests.iter().filter(|it| is_for(it, TITLE)).count() >= count;
    let mut requests = world.fake().wait_until(LIMIT, is_heard).await?;
    requests.retain(|request| is_for(request, TITLE));
    Ok(requests)
}

#[tokio::test]
async fn a_new_chat_is_named_while_its_answer_streams() -> Result {
    let world = world().await?;
    let watch = world.watch().await?;
    titled(&world, Reply::text("\"Repair of the\n").and_text("garden door.\""));
    world
        .fake()
        .script(Script::turn([Reply::text("Half ").gate("rest").and_text("and half.")]));
    let chat = world.create_chat("Please repair the door of the garden house").await?;
    let id = id_of(&chat)?;
    assert_eq!(chat["title"], "Please repair the door of the…");
    world.fake().wait_at_gate("rest", LIMIT).await?;
    // Two lines are no title.
    title_requests(&world, 1).await?;
    world.fake().open("rest");
    assert_eq!(settled(&world, id).await?.len(), 2);

    world.fake().reset();
    titled(&world, Reply::text("\"Garden door repair.\""));
    world
        .fake()
        .script(Script::turn([Reply::text("Half ").gate("rest").and_text("and half.")]));
    let chat = world.create_chat("Please repair the door of the garden house").await?;
    let id = id_of(&chat)?;
    let named = until(&world, id, "named", |chat| chat["title"] == "Garden door repair").await?;
    assert_eq!(named["status"], "running");
    world.fake().open("rest");
    assert_eq!(settled(&world, id).await?.len(), 2);

    // The answer was asked for first, and the title without any tool.
    let requests = world.fake().completions();
    assert_eq!(
        requests.iter().map(|it| is_for(it, TITLE)).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(requests[1].tool_names().is_empty(), "{:?}", requests[1].tool_names());
    let is_mine = |event: &&Value| event["chat"]["id"] == id;
    let ended = |event: &&Value| event["kind"] == "status_change" && event["chat"]["status"] == "waiting";
    let events = watch
        .wait_until(LIMIT, |events| events.iter().filter(is_mine).any(|event| ended(&event)))
        .await?;
    let mut mine = events.iter().filter(is_mine);
    assert!(mine.any(|event| event["kind"] == "title_change" && event["chat"]["title"] == "Garden door repair"));
    let last = mine.find(ended).map(|event| event["chat"]["title"].clone());
    assert_eq!(
        last,
        Some(json!("Garden door repair")),
        "the end of the turn does not bring the old title back"
    );

    // Later turns name nothing.
    world.send(id, "Thanks").await?;
    settled(&world, id).await?;
    assert_eq!(world.chat(id).await?["title"], "Garden door repair");
    assert_eq!(world.fake().completions().len(), 3, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn a_title_is_made_anew_or_proposed_one_at_a_time() -> Result {
    let world = world().await?;
    let chat = world.create_chat("Hello there").await?;
    let id = id_of(&chat)?.to_owned();
    settled(&world, &id).await?;
    // The echo is no title.
    title_requests(&world, 1).await?;
    world.fake().reset();

    world
        .fake()
        .script(Script::reply(Reply::text("Proposed words")).when_any_message_says(TITLE));
    let proposed = ask(&world, &id, "propose").await?.expect(200)?;
    assert_eq!(proposed, json!({ "title": "Proposed words" }));
    let before = world.chat(&id).await?;
    assert_eq!(before["title"], "Hello there");

    world
        .fake()
        .script(Script::reply(Reply::text("New").gate("title").and_text(" words")).when_any_message_says(TITLE));
    let (first, refused) = tokio::try_join!(ask(&world, &id, "regenerate"), async {
        world.fake().wait_at_gate("title", LIMIT).await?;
        let refused = ask(&world, &id, "propose").await?;
        world.fake().open("title");
        Ok(refused)
    })?;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let named = first.expect(200)?;
    assert_eq!(
        (&named["title"], &named["updated_at"]),
        (&json!("New words"), &before["updated_at"])
    );
    assert_eq!(world.chat(&id).await?["title"], "New words");

    world
        .fake()
        .script(Script::reply(Reply::fail(400, "invalid_request_error")).when_any_message_says(TITLE));
    let failed = ask(&world, &id, "regenerate").await?;
    assert_eq!(failed.status, 502, "{}", failed.text);
    assert!(
        failed.json["message"]
            .as_str()
            .is_some_and(|text| !text.contains("Something went wrong")),
        "{}",
        failed.text
    );
    world
        .fake()
        .script(Script::reply(Reply::text("Last words")).when_any_message_says(TITLE));
    assert_eq!(
        ask(&world, &id, "regenerate").await?.expect(200)?["title"],
        "Last words",
        "a failure blocks nobody"
    );

    let other = world.create_user("other").await?;
    let refused = other
        .rest
        .post(&format!("/api/v1/chats/{id}/title/regenerate"), &json!({}))
        .await?;
    assert_eq!(refused.status, 404, "{}", refused.text);
    assert_eq!(
        settled(&world, &id).await?,
        ["user: Hello there", "assistant: You said: Hello there"]
    );
    Ok(())
}

#[tokio::test]
async fn the_operators_choice_names_chats_and_has_no_substitute() -> Result {
    let world = world().await?;
    let path = "/api/v1/chats/config/model-override/title_generation";
    let unset = json!({ "context": "title_generation", "model_config_id": "", "is_malformed": false });
    assert_eq!(world.rest().get(path).await?.expect(200)?, unset);
    for bad in ["nonsense", "00000000-0000-0000-0000-000000000000"] {
        let refused = world.rest().put(path, &json!({ "model_config_id": bad })).await?;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text);
    }
    assert_eq!(
        world
            .rest()
            .get("/api/v1/chats/config/model-override/nothing")
            .await?
            .status,
        400
    );
    let other = world.create_user("other").await?;
    assert_eq!(other.rest.get(path).await?.status, 404);
    assert_eq!(
        other.rest.put(path, &json!({ "model_config_id": "" })).await?.status,
        403
    );

    let model = world.register_model(world.provider_id(), "o4-mini").await?;
    world
        .rest()
        .put(path, &json!({ "model_config_id": model }))
        .await?
        .expect(204)?;
    assert_eq!(world.rest().get(path).await?.expect(200)?["model_config_id"], *model);
    titled(&world, Reply::text("Chosen words"));
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    until(&world, id, "named", |chat| chat["title"] == "Chosen words").await?;
    let asked = title_requests(&world, 1).await?;
    assert_eq!(asked[0].body["model"], "o4-mini");

    settled(&world, id).await?;
    let gone = format!("/api/v1/chats/model-configs/{model}");
    world.rest().delete(&gone).await?.expect(204)?;
    // What was read of models counts for a while.
    let started = std::time::Instant::now();
    while ask(&world, id, "propose").await?.status != 502 {
        assert!(started.elapsed() < LIMIT, "a deleted model still names chats");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_turn_that_ends_well_is_labelled_by_a_fast_model() -> Result {
    let world = world().await?;
    titled(&world, Reply::text("Some title"));
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?.to_owned();
    let ended = world.wait_for_status(&id, "waiting", LIMIT).await?;
    assert_eq!(ended["last_turn_summary"], "Finished", "no fast model is configured");

    world.register_model(world.provider_id(), FAST_MODEL).await?;
    let watch = world.watch().await?;
    world
        .fake()
        .script(Script::always(Reply::text("Repaired the door.")).when_any_message_says(LABEL));
    // Models are read anew after a while.
    let started = std::time::Instant::now();
    loop {
        world.send(&id, "Repair the door").await?;
        let ended = world.wait_for_status(&id, "waiting", LIMIT).await?;
        if world.fake().completions().iter().any(|request| is_for(request, LABEL)) {
            let version = &ended["updated_at"];
            let labelled = until(&world, &id, "labelled", |chat| {
                chat["last_turn_summary"] == "Repaired the door"
            })
            .await?;
            assert_eq!(&labelled["updated_at"], version);
            break;
        }
        assert!(started.elapsed() < LIMIT, "nobody is asked for a label");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let asked = world
        .fake()
        .completions()
        .into_iter()
        .find(|request| is_for(request, LABEL));
    assert_eq!(
        asked.map(|request| request.body["model"].clone()),
        Some(json!(FAST_MODEL))
    );
    let is_told =
        |event: &Value| event["kind"] == "summary_change" && event["chat"]["last_turn_summary"] == "Repaired the door";
    watch.wait_until(LIMIT, |events| events.iter().any(is_told)).await?;

    world
        .fake()
        .script(Script::reply(Reply::fail(400, "invalid_request_error")).when_user_says("Fail"));
    world.send(&id, "Fail").await?;
    let failed = world.wait_for_status(&id, "error", LIMIT).await?;
    assert_eq!(failed["last_turn_summary"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_demo_model_names_chats_too() -> Result {
    let world = World::builder().side_jobs().without_provider().start().await?;
    let provider = json!({ "type": "demo", "name": "demo", "display_name": "Demo", "enabled": true });
    let provider = world
        .rest()
        .post("/api/v2/ai/providers", &provider)
        .await?
        .expect(201)?;
    world.register_model(id_of(&provider)?, "tandem-demo").await?;
    for (asked, title) in [("count to 3", "Count to 3"), ("Why?", "Why?")] {
        let chat = world.create_chat(asked).await?;
        let id = id_of(&chat)?;
        settled(&world, id).await?;
        until(&world, id, "named", |chat| chat["title"] == title).await?;
    }
    let chat = world
        .create_chat("please count to 2 and then count to 3 for me")
        .await?;
    let id = id_of(&chat)?;
    until(&world, id, "named", |chat| chat["title"] == "Count to 2 and count to 3").await?;
    Ok(())
}

#[tokio::test]
async fn an_operator_can_switch_them_off() -> Result {
    let world = World::start().await?;
    world.register_model(world.provider_id(), FAST_MODEL).await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "Again").await?;
    settled(&world, id).await?;
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());
    assert_eq!(world.chat(id).await?["title"], "Hello");
    titled(&world, Reply::text("Asked for this"));
    assert_eq!(
        ask(&world, id, "regenerate").await?.expect(200)?["title"],
        "Asked for this"
    );
    Ok(())
}

/// D33: what is late overwrites nothing newer, and nobody waits for it.
#[tokio::test]
async fn d33_late_titles_and_labels_lose_against_people_and_newer_turns() -> Result {
    let world = world().await?;
    world.register_model(world.provider_id(), FAST_MODEL).await?;
    titled(&world, Reply::text("Late").gate("title").and_text(" title"));
    world
        .fake()
        .script(Script::reply(Reply::text("Old").gate("label").and_text(" label")).when_any_message_says(LABEL));
    let chat = world.create_chat("First question").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.fake().wait_at_gate("title", LIMIT).await?;
    world.fake().wait_at_gate("label", LIMIT).await?;
    rename(&world, id, "Mine").await?;
    // Turns go on as if nobody were late.
    world
        .fake()
        .script(Script::always(Reply::text("New label")).when_any_message_says(LABEL));
    for question in ["Second question", "Third question"] {
        world.send(id, question).await?;
        let shown = settled(&world, id).await?;
        assert_eq!(shown.last(), Some(&format!("assistant: You said: {question}")));
    }
    until(&world, id, "labelled", |chat| chat["last_turn_summary"] == "New label").await?;
    let before = world.chat(id).await?;
    world
        .rest()
        .patch(&format!("/api/v1/chats/{id}"), &json!({ "archived": true }))
        .await?
        .expect(204)?;
    world.fake().open("title");
    world.fake().open("label");
    // A replica that ends waits for its jobs: whatever they had to write is written then.
    let mut world = world;
    for status in world.terminate().await? {
        assert!(status.success(), "ended with {status}");
    }
    world.restart().await?;
    let after = world.chat(id).await?;
    for member in ["title", "last_turn_summary", "updated_at"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(after["archived"], true);
    Ok(())
}

/// D33: many at once, each late by another while, against renames, turns, edits, stops and archiving.
#[tokio::test]
async fn d33_racing_titles_and_labels_never_win_against_newer_state() -> Result {
    const CHATS: usize = 12;
    let world = world().await?;
    world.register_model(world.provider_id(), FAST_MODEL).await?;
    for place in 0..CHATS {
        let name = format!("Number {place}.");
        let late = |words: &str| Reply::text(words).delay_first(Duration::from_millis(40 * place as u64));
        world.fake().script(Script {
            matcher: tandem_e2e::fake_llm::Matcher {
                last_user_contains: Some(name.clone()),
                ..Script::always(late("x")).when_any_message_says(TITLE).matcher
            },
            ..Script::always(late("Generated title"))
        });
        world.fake().script(Script {
            matcher: tandem_e2e::fake_llm::Matcher {
                last_user_contains: Some(name),
                ..Script::always(late("x")).when_any_message_says(LABEL).matcher
            },
            ..Script::always(late("Generated label"))
        });
    }
    let races = (0..CHATS).map(|place| {
        let world = &world;
        async move {
            let chat = world.create_chat(&format!("Number {place}.")).await?;
            let id = id_of(&chat)?.to_owned();
            let mine = format!("Mine {place}");
            rename(world, &id, &mine).await?;
            world.wait_for_status(&id, "waiting", LIMIT).await?;
            let path = format!("/api/v1/chats/{id}");
            match place % 3 {
                0 => {
                    world.send(&id, &format!("Number {place}. Again")).await?;
                    world.interrupt(&id).await?;
                }
                1 => {
                    world.send(&id, &format!("Number {place}. Again")).await?;
                    world.wait_for_status(&id, "waiting", LIMIT).await?;
                }
                _ => {
                    world
                        .rest()
                        .patch(&path, &json!({ "archived": true }))
                        .await?
                        .expect(204)?;
                }
            }
            Ok::<_, anyhow::Error>((id, mine))
        }
    });
    let raced = try_join_all(races).await?;
    // Whatever is late has come when the replica has ended in order: it waits for its jobs.
    let mut world = world;
    for status in world.terminate().await? {
        assert!(status.success(), "ended with {status}");
    }
    world.restart().await?;
    for (place, (id, mine)) in raced.iter().enumerate() {
        let chat = world.wait_for_status(id, "waiting", LIMIT).await?;
        assert_eq!(chat["title"], **mine, "a person's title wins");
        assert_eq!(chat["archived"], place % 3 == 2);
        let summary = chat["last_turn_summary"].as_str();
        if place % 3 == 0 {
            // Stopped: no label, unless its turn had ended before the stop came.
            let has_answered = settled(&world, id).await?.len() == 4;
            assert!(summary.is_none() || has_answered, "{chat}");
        } else {
            assert!(matches!(summary, Some("Finished" | "Generated label")), "{chat}");
        }
    }
    Ok(())
}

/// D33: a replica that ends waits for its jobs a moment, and then goes without them.
#[tokio::test]
async fn d33_jobs_that_hang_do_not_keep_a_process_from_ending() -> Result {
    let mut world = world().await?;
    titled(&world, Reply::text("Never").gate("never").and_text(" said"));
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?.to_owned();
    settled(&world, &id).await?;
    world.fake().wait_at_gate("never", LIMIT).await?;
    let asked = world.create_chat("Other").await?;
    let other = id_of(&asked)?.to_owned();
    settled(&world, &other).await?;
    let rest = world.rest().clone();
    let path = format!("/api/v1/chats/{other}/title/regenerate");
    let waiting = tokio::spawn(async move { rest.post(&path, &json!({})).await });
    title_requests(&world, 3).await?;
    for status in world.terminate().await? {
        assert!(status.success(), "ended with {status}");
    }
    // Whoever waited has been told something, or has lost the connection.
    if let Ok(answer) = waiting.await? {
        assert!(answer.status >= 500, "{}", answer.text);
    }
    world.restart().await?;
    assert_eq!(world.chat(&id).await?["title"], "Hello");
    world.fake().reset();
    titled(&world, Reply::text("Said after all"));
    assert_eq!(
        ask(&world, &other, "regenerate").await?.expect(200)?["title"],
        "Said after all"
    );
    let body = json!({ "content": text("Still there?") });
    world
        .rest()
        .post(&format!("/api/v1/chats/{id}/messages"), &body)
        .await?
        .expect(200)?;
    let shown = settled(&world, &id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Still there?")
    );
    Ok(())
}
