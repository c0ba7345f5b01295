//! Spend limits and costs: what is refused, what is counted, and that no crowd and no crash gets around it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Rest, Service, User, World, id_of, text},
};

use crate::{LIMIT, Result, settled};

/// A token of output costs a thousandth of a dollar, and an answer may have a hundred of them.
const PRICE_PER_TOKEN: i64 = 1_000;
const LONGEST: i64 = 100 * PRICE_PER_TOKEN;

/// Sets what the world's model costs, before it is first asked.
async fn price(world: &World, input: &str, output: &str) -> Result {
    let cost = json!({ "input_price_per_million_tokens": input, "output_price_per_million_tokens": output });
    let path = format!("/api/v1/chats/model-configs/{}", world.model_config_id());
    let change = json!({ "model_config": { "max_output_tokens": 100, "cost": cost } });
    world.rest().patch(&path, &change).await?.expect(200)?;
    Ok(())
}

/// A world whose output has its price and whose users may spend as they like, but for one.
async fn limited(limit_micros: i64) -> Result<(World, User)> {
    let world = World::start().await?;
    price(&world, "0", "1000").await?;
    let all = json!({ "spend_limit_micros": 1_000_000_000_000_i64, "period": "month" });
    world
        .rest()
        .put("/api/v1/chats/usage-limits", &all)
        .await?
        .expect(200)?;
    let ada = world.create_user("ada").await?;
    let path = format!("/api/v1/chats/usage-limits/overrides/{}", ada.id);
    let own = json!({ "spend_limit_micros": limit_micros });
    world.rest().put(&path, &own).await?.expect(200)?;
    Ok((world, ada))
}

async fn spent(rest: &Rest) -> Result<i64> {
    let status = rest.get("/api/v1/chats/usage-limits/status").await?.expect(200)?;
    status["current_spend"].as_i64().context("a status without a spend")
}

async fn summary(rest: &Rest) -> Result<Value> {
    rest.get("/api/v1/chats/cost/me/summary").await?.expect(200)
}

/// Waits until the summary tells of so many answers.
async fn summary_of(rest: &Rest, count: i64) -> Result<Value> {
    let started = Instant::now();
    loop {
        let summary = summary(rest).await?;
        let told = summary["priced_message_count"].as_i64();
        if told == Some(count) {
            return Ok(summary);
        }
        ensure!(started.elapsed() < LIMIT, "not of {count} answers: {summary}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until a chat of this user rests; the chat.
async fn rested(user: &User, id: &str) -> Result<Value> {
    let started = Instant::now();
    loop {
        let chat = user.rest.get(&format!("/api/v1/chats/{id}")).await?.expect(200)?;
        if chat["status"] == "waiting" || chat["status"] == "error" {
            return Ok(chat);
        }
        ensure!(started.elapsed() < LIMIT, "the chat does not rest: {chat}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn who_has_spent_the_limit_is_refused_and_others_are_not() -> Result {
    let (world, ada) = limited(LONGEST).await?;
    world.fake().script(Script::always(Reply::text("Fine.").usage(10, 60)));
    let chat = world.create_chat_of(&ada, "first").await?;
    let id = id_of(&chat)?;
    rested(&ada, id).await?;
    assert_eq!(spent(&ada.rest).await?, 60 * PRICE_PER_TOKEN);
    let messages = format!("/api/v1/chats/{id}/messages");
    let message = json!({ "content": text("second") });
    ada.rest.post(&messages, &message).await?.expect(200)?;
    assert_eq!(rested(&ada, id).await?["status"], "waiting");
    assert_eq!(spent(&ada.rest).await?, 120 * PRICE_PER_TOKEN);

    let said = ada.rest.get(&messages).await?.expect(200)?;
    let said = said["messages"].as_array().context("messages")?;
    let first = said
        .iter()
        .find(|message| message["role"] == "user")
        .context("a message")?["id"]
        .clone();
    let create = json!({ "organization_id": ada.organization_id, "content": text("new") });
    for prefix in ["/api/v1", "/api/experimental", "/api/v2"] {
        let status = ada
            .rest
            .get(&format!("{prefix}/chats/usage-limits/status"))
            .await?
            .expect(200)?;
        assert_eq!(
            (&status["is_limited"], &status["period"], &status["spend_limit_micros"]),
            (&json!(true), &json!("month"), &json!(LONGEST))
        );
        let at = |path: &str| format!("{prefix}/chats{path}");
        for answer in [
            ada.rest.post(&at(""), &create).await?,
            ada.rest.post(&at(&format!("/{id}/messages")), &message).await?,
            ada.rest
                .patch(&at(&format!("/{id}/messages/{first}")), &message)
                .await?,
            ada.rest
                .post(&at(&format!("/{id}/title/regenerate")), &json!({}))
                .await?,
            ada.rest.post(&at(&format!("/{id}/title/propose")), &json!({})).await?,
        ] {
            let refused = answer.expect(409)?;
            assert_eq!(
                (
                    &refused["spent_micros"],
                    &refused["limit_micros"],
                    &refused["resets_at"]
                ),
                (&json!(120 * PRICE_PER_TOKEN), &json!(LONGEST), &status["period_end"])
            );
            ensure!(refused["message"].is_string(), "{refused}");
        }
    }
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());

    let other = world.create_chat("I may").await?;
    settled(&world, id_of(&other)?).await?;
    // More to spend, and it goes on.
    let path = format!("/api/v1/chats/usage-limits/overrides/{}", ada.id);
    world.rest().delete(&path).await?.expect(204)?;
    ada.rest.post(&messages, &message).await?.expect(200)?;
    assert_eq!(rested(&ada, id).await?["status"], "waiting");
    Ok(())
}

#[tokio::test]
async fn a_turn_that_meets_the_limit_at_a_later_step_says_so_and_keeps_what_it_has() -> Result {
    let (world, ada) = limited(LONGEST).await?;
    world.fake().script(Script::turn([
        Reply::call("execute", json!({ "command": "echo one" })).usage(10, 100),
        Reply::text("Never asked."),
    ]));
    let chat = world.create_chat_of(&ada, "work").await?;
    let id = id_of(&chat)?;
    let chat = rested(&ada, id).await?;
    assert_eq!(
        (&chat["status"], &chat["last_error"]["kind"]),
        (&json!("error"), &json!("usage_limit"))
    );
    assert_eq!(chat["last_error"]["retryable"], false);
    assert_eq!(world.fake().completions().len(), 1, "{}", world.fake().summary());
    let said = ada
        .rest
        .get(&format!("/api/v1/chats/{id}/messages"))
        .await?
        .expect(200)?;
    let roles: Vec<_> = said["messages"]
        .as_array()
        .context("messages")?
        .iter()
        .map(|it| it["role"].clone())
        .collect();
    assert_eq!(roles, ["tool", "assistant", "user"]);
    assert_eq!(spent(&ada.rest).await?, LONGEST);
    Ok(())
}

#[tokio::test]
async fn twenty_chats_at_once_overspend_by_less_than_one_answer() -> Result {
    const CHATS: usize = 20;
    const AT_ONCE: usize = 5;
    const USED: i64 = 60 * PRICE_PER_TOKEN;
    let limit = LONGEST * i64::try_from(AT_ONCE)?;
    let (world, ada) = limited(limit).await?;
    world
        .fake()
        .script(Script::always(Reply::text("Fine.").gate("go").usage(10, 60)));
    let mut ids = Vec::new();
    for number in 0..CHATS {
        let chat = world.create_chat_of(&ada, &format!("chat {number}")).await?;
        ids.push(id_of(&chat)?.to_owned());
    }
    let asked = world
        .fake()
        .wait_until(LIMIT, |requests| requests.len() >= AT_ONCE)
        .await?;
    assert_eq!(asked.len(), AT_ONCE, "no more than what is reserved can pay for");
    world.fake().open("go");

    let mut answered = 0;
    for id in &ids {
        let chat = rested(&ada, id).await?;
        if chat["status"] == "waiting" {
            answered += 1;
        } else {
            assert_eq!(chat["last_error"]["kind"], "usage_limit", "{chat}");
        }
    }
    let spent = spent(&ada.rest).await?;
    assert_eq!(spent, answered * USED, "each answer is paid for once");
    assert!(
        spent >= limit,
        "{answered} were answered, though there was room for more: {spent} of {limit}"
    );
    assert!(spent < limit + LONGEST, "{spent} of {limit}");
    assert_eq!(world.fake().completions().len(), usize::try_from(answered)?);
    Ok(())
}

#[tokio::test]
async fn an_answer_is_paid_for_once_though_nobody_was_there_to_hear_it() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    price(&world, "1000", "1000").await?;
    world.fake().script(Script::reply(
        Reply::text("Half ").gate("rest").and_text("and half.").usage(11, 7),
    ));
    let chat = world.create_chat("Tell me").await?;
    let id = id_of(&chat)?.to_owned();
    world.fake().wait_at_gate("rest", LIMIT).await?;
    world.kill9_service(Service::Orchestrator).await?;
    world.fake().open("rest");
    let alone = summary_of(world.rest(), 1).await?;
    assert_eq!(alone["total_cost_micros"], 18_000);
    assert_eq!(alone["by_chat"][0]["root_chat_id"], id.as_str());

    world.restart().await?;
    let shown = settled(&world, &id).await?;
    assert_eq!(shown, ["user: Tell me", "assistant: Half and half."]);
    assert_eq!(world.fake().completions().len(), 1, "{}", world.fake().summary());
    let after = summary(world.rest()).await?;
    assert_eq!(
        (&after["total_cost_micros"], &after["priced_message_count"]),
        (&json!(18_000), &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn what_a_killed_process_had_reserved_does_not_stand_in_its_chats_own_way() -> Result {
    // Room for one answer only, and its reservation outlives the process for ten minutes.
    let (mut world, ada) = limited(LONGEST).await?;
    world.fake().script(Script::turn([
        Reply::text("Once").gate("never"),
        Reply::text("Once upon a time.").usage(10, 60),
    ]));
    let chat = world.create_chat_of(&ada, "Tell me a story").await?;
    world.fake().wait_at_gate("never", LIMIT).await?;
    world.kill9().await?;
    world.restart().await?;
    let chat = rested(&ada, id_of(&chat)?).await?;
    assert_eq!(chat["status"], "waiting", "{chat}");
    assert_eq!(spent(&ada.rest).await?, 60 * PRICE_PER_TOKEN);
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn what_was_spent_is_the_sum_of_what_the_vendor_has_counted() -> Result {
    let world = World::builder()
        .env("TANDEM_ORCHESTRATOR__SIDE_JOBS__TITLES", "true")
        .start()
        .await?;
    price(&world, "0.15", "0.6").await?;
    let title = Script::always(Reply::text("Some words").usage(31, 3)).when_any_message_says("You name conversations.");
    world.fake().script(title);
    let counted = [(11, 7), (1, 1), (130, 9), (2_000, 400)];
    let replies = [
        Reply::text("One.").usage(11, 7),
        Reply::text("Two.").usage(1, 1),
        Reply::call("execute", json!({ "command": "echo three" })).usage(130, 9),
        Reply::text("Three.").usage(2_000, 400),
    ];
    world.fake().script(Script::turn(replies));
    let first = world.create_chat("first").await?;
    let first = id_of(&first)?;
    settled(&world, first).await?;
    world.send(first, "second").await?;
    settled(&world, first).await?;
    let second = world.create_chat("third").await?;
    settled(&world, id_of(&second)?).await?;

    // Hundredths of micros; each call is rounded up by itself.
    let cost = |(input, output): (i64, i64)| (15 * input + 60 * output + 99) / 100;
    let title = cost((31, 3));
    let expected: i64 = counted.iter().copied().map(cost).sum::<i64>() + 2 * title;
    let summary = summary_of(world.rest(), 6).await?;
    assert_eq!(
        (
            &summary["total_cost_micros"],
            &summary["total_input_tokens"],
            &summary["total_output_tokens"]
        ),
        (&json!(expected), &json!(2_142 + 62), &json!(417 + 6))
    );
    assert_eq!(summary["unpriced_message_count"], 0);
    let models = summary["by_model"].as_array().context("models")?;
    assert_eq!(models.len(), 1);
    assert_eq!(
        (
            &models[0]["model_config_id"],
            &models[0]["total_cost_micros"],
            &models[0]["message_count"]
        ),
        (&json!(world.model_config_id()), &json!(expected), &json!(6))
    );
    let chats = summary["by_chat"].as_array().context("chats")?;
    let dearest = cost(counted[2]) + cost(counted[3]) + title;
    let chats: Vec<_> = chats
        .iter()
        .map(|it| (&it["root_chat_id"], &it["total_cost_micros"]))
        .collect();
    assert_eq!(
        chats,
        [
            (&second["id"], &json!(dearest)),
            (&json!(first), &json!(expected - dearest))
        ]
    );

    let users = world.rest().get("/api/v1/chats/cost/users").await?.expect(200)?;
    assert_eq!(users["count"], 1);
    assert_eq!(
        (
            &users["users"][0]["user_id"],
            &users["users"][0]["total_cost_micros"],
            &users["users"][0]["chat_count"]
        ),
        (&json!(world.admin().id), &json!(expected), &json!(2))
    );
    Ok(())
}
