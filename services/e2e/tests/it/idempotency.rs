//! Requests that are sent again: duplicates at once, and answers that were lost on the way.

use std::{net::SocketAddr, time::Duration};

use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    chaos_proxy::{ChaosProxy, Direction, Ending},
    fake_llm::{Reply, Script},
    http,
    world::{Answer, Rest, Service, World, finish, id_of, text},
};

use crate::{LIMIT, Result, settled};

/// Lost answers to one kind of request.
const LOSSES: u32 = 20;

/// Between two tries while a service is away.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A request under a key.
pub async fn post(rest: &Rest, path: &str, key: &str, body: &Value) -> Result<Answer> {
    let request = rest.request(Method::POST, path).header("Idempotency-Key", key);
    finish(request.json(body), format!("POST {path} ({key})")).await
}

/// Sends the same again for as long as services are away, as a careful client does.
async fn insist(rest: &Rest, path: &str, key: &str, body: &Value) -> Result<Answer> {
    loop {
        let answer = post(rest, path, key, body).await?;
        if answer.status != 503 {
            return Ok(answer);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer
        .headers
        .get("idempotency-replayed")
        .is_some_and(|value| value == "true")
}

/// The reason for programs in a refusal.
async fn code(rest: &Rest, path: &str, key: &str, body: &Value, status: u16) -> Result<String> {
    let request = rest.request(Method::POST, path).header("Idempotency-Key", key);
    let request = request.header("Accept", "application/problem+json").json(body);
    let refused = finish(request, format!("POST {path} ({key})")).await?.expect(status)?;
    Ok(refused["code"].as_str().unwrap_or_default().to_owned())
}

/// A chat that has answered its first message, and the path to send it more.
async fn idle_chat(world: &World) -> Result<(String, String)> {
    let id = id_of(&world.create_chat("start").await?)?.to_owned();
    settled(world, &id).await?;
    let path = format!("/api/v1/chats/{id}/messages");
    Ok((id, path))
}

/// How often the user has said this.
async fn said(world: &World, chat: &str, words: &str) -> Result<usize> {
    let line = format!("user: {words}");
    Ok(settled(world, chat)
        .await?
        .iter()
        .filter(|shown| **shown == line)
        .count())
}

async fn proxy(world: &World) -> Result<ChaosProxy> {
    let upstream: SocketAddr = world.rest().base().trim_start_matches("http://").parse()?;
    ChaosProxy::start(upstream).await
}

/// The administrator behind a proxy, with connections of its own.
fn behind(world: &World, proxy: &ChaosProxy, client: reqwest::Client) -> Rest {
    let token = world.rest().token().map(str::to_owned);
    Rest::new(client, format!("http://{}", proxy.address()), token)
}

#[tokio::test]
async fn d44_duplicates_at_once_over_one_connection_and_two_send_one_message() -> Result {
    let world = World::start().await?;
    let (chat, path) = idle_chat(&world).await?;
    for connections in [1, 2] {
        let proxy = proxy(&world).await?;
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = behind(&world, &proxy, http::multiplexing_client()?);
            client.get("/api/v1/users/me").await?.expect(200)?;
            clients.push(client);
        }
        for duplicates in [2, 10, 50] {
            let words = format!("{duplicates} over {connections}");
            let (key, body) = (words.replace(' ', "-"), json!({ "content": text(&words) }));
            let sending = (0..duplicates).map(|number| post(&clients[number % connections], &path, &key, &body));
            let answers = try_join_all(sending).await?;
            let first_comers = answers.iter().filter(|answer| !is_replayed(answer)).count();
            assert_eq!(first_comers, 1, "{words}");
            for answer in &answers {
                assert_eq!((answer.status, &answer.text), (200, &answers[0].text), "{words}");
            }
            assert_eq!(said(&world, &chat, &words).await?, 1);
        }
        assert_eq!(proxy.traffic().connections, connections as u64);
    }
    Ok(())
}

#[tokio::test]
async fn d44_a_key_means_one_request_of_one_caller() -> Result {
    let world = World::start().await?;
    let (chat, path) = idle_chat(&world).await?;
    let body = json!({ "content": text("once") });
    let first = post(world.rest(), &path, "key", &body).await?;
    // The prefixes are names of one address.
    let other_prefix = path.replace("/api/v1", "/api/experimental");
    let again = post(world.rest(), &other_prefix, "key", &body).await?;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert!(!is_replayed(&first) && is_replayed(&again));
    let create = json!({ "organization_id": world.admin().organization_id, "content": text("once") });
    for (path, body) in [
        (path.as_str(), json!({ "content": text("twice") })),
        ("/api/v1/chats", create),
    ] {
        assert_eq!(
            code(world.rest(), path, "key", &body, 422).await?,
            "IDEMPOTENCY_KEY_REUSED"
        );
    }
    assert_eq!(said(&world, &chat, "once").await?, 1);
    let mia = world.create_user("mia").await?;
    let create = json!({ "organization_id": mia.organization_id, "content": text("mine") });
    let hers = post(&mia.rest, "/api/v1/chats", "key", &create).await?;
    assert!(!is_replayed(&hers), "somebody else's key is another key");
    hers.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn d44_a_refusal_leaves_the_key_free() -> Result {
    let world = World::start().await?;
    let (_, path) = idle_chat(&world).await?;
    post(world.rest(), &path, "key", &json!({ "content": [] }))
        .await?
        .expect(400)?;
    let missing = "/api/v1/chats/00000000-0000-4000-8000-000000000000/messages";
    let body = json!({ "content": text("now") });
    post(world.rest(), missing, "key", &body).await?.expect(404)?;
    let sent = post(world.rest(), &path, "key", &body).await?;
    assert!(!is_replayed(&sent));
    sent.expect(200)?;
    let request = world
        .rest()
        .request(Method::POST, &path)
        .header("Idempotency-Key", "two words");
    let refused = finish(request.json(&body), "a bad key".to_owned()).await?.expect(400)?;
    assert_eq!(refused["validations"][0]["field"], "Idempotency-Key");
    Ok(())
}

#[tokio::test]
async fn d44_a_key_outlives_a_crash_of_everything() -> Result {
    let mut world = World::start().await?;
    let (chat, path) = idle_chat(&world).await?;
    let body = json!({ "content": text("once") });
    let first = post(world.rest(), &path, "key", &body).await?;
    world.kill9().await?;
    world.restart().await?;
    let again = post(world.rest(), &path, "key", &body).await?;
    assert!(is_replayed(&again));
    assert_eq!((again.status, again.text), (first.status, first.text));
    assert_eq!(said(&world, &chat, "once").await?, 1);
    Ok(())
}

#[tokio::test]
async fn d44_secrets_are_not_told_again() -> Result {
    let world = World::start().await?;
    let path = format!("/api/v2/users/{}/keys/tokens", world.admin().id);
    let body = json!({ "token_name": "mine" });
    post(world.rest(), &path, "key", &body).await?.expect(201)?;
    let reason = code(world.rest(), &path, "key", &body, 409).await?;
    assert_eq!(reason, "IDEMPOTENT_SECRET_SHOWN_ONCE");
    let tokens = world.rest().get(&path).await?.expect(200)?;
    let mine = tokens
        .as_array()
        .into_iter()
        .flatten()
        .filter(|token| token["token_name"] == "mine");
    assert_eq!(mine.count(), 1);
    Ok(())
}

/// Everything an administrator can make, each made once although its first answer is thought to be lost.
#[tokio::test]
async fn d44_every_post_that_makes_something_makes_it_once() -> Result {
    let world = World::start().await?;
    let organization = &world.admin().organization_id;
    let provider = json!({ "type": "openai-compat", "name": "second", "base_url": world.fake().base_url(), "enabled": true,
        "api_keys": ["sk-0123456789abcdef"] });
    let model = json!({ "ai_provider_id": world.provider_id(), "model": "other", "display_name": "other", "context_limit": 1000 });
    let user = json!({ "username": "ben", "email": "ben@example.com", "password": "correct horse battery",
        "login_type": "password", "organization_ids": [organization] });
    let chat = json!({ "organization_id": organization, "content": text("hello") });
    let requests = [
        ("/api/v2/ai/providers", provider, 201),
        ("/api/v1/chats/model-configs", model, 201),
        ("/api/v2/users", user, 201),
        ("/api/v2/organizations", json!({ "name": "acme" }), 201),
        ("/api/v2/organizations/acme/members/ben", json!({}), 200),
        ("/api/v1/chats", chat, 201),
    ];
    for (path, body, status) in requests {
        let first = post(world.rest(), path, path, &body).await?;
        let again = post(world.rest(), path, path, &body).await?;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        assert!(!is_replayed(&first) && is_replayed(&again), "{path}");
        first.expect(status)?;
    }
    let id = world.rest().get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(id.as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn d44_a_stop_that_comes_again_stops_no_later_turn() -> Result {
    let world = World::start().await?;
    for words in ["first", "second"] {
        let reply = Reply::text("Slow").gate(words).and_text(" and steady");
        world.fake().script(Script::reply(reply).when_user_says(words));
    }
    let chat = id_of(&world.create_chat("first").await?)?.to_owned();
    world.fake().wait_at_gate("first", LIMIT).await?;
    let stop = format!("/api/v1/chats/{chat}/interrupt");
    let stopped = post(world.rest(), &stop, "stop", &json!({})).await?;
    let again = post(world.rest(), &stop, "stop", &json!({})).await?;
    assert!(!is_replayed(&stopped) && is_replayed(&again));
    assert_eq!(again.text, stopped.text);
    assert_eq!(stopped.expect(200)?["status"], "waiting");
    world.send(&chat, "second").await?;
    world.fake().wait_at_gate("second", LIMIT).await?;
    let late = post(world.rest(), &stop, "stop", &json!({})).await?;
    assert!(is_replayed(&late));
    assert_eq!(late.expect(200)?["status"], "running");
    world.fake().open("second");
    let shown = settled(&world, &chat).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: Slow and steady"));
    Ok(())
}

#[tokio::test]
async fn d45_an_answer_lost_at_its_first_byte_comes_again() -> Result {
    let world = World::start().await?;
    let (chat, path) = idle_chat(&world).await?;
    let proxy = proxy(&world).await?;
    for round in 0..LOSSES {
        let words = format!("round {round}");
        let (key, body) = (format!("key-{round}"), json!({ "content": text(&words) }));
        // A connection of its own, which is cut when the answer has begun.
        let client = behind(&world, &proxy, http::client()?);
        proxy.cut_after(Direction::ToClient, 1, Ending::Reset, Some(1));
        let lost = post(&client, &path, &key, &body).await;
        assert!(lost.is_err(), "the answer of round {round} arrived");
        assert_eq!(proxy.traffic().cuts, u64::from(round) + 1);
        let again = post(&client, &path, &key, &body).await?;
        assert!(
            is_replayed(&again),
            "round {round} was carried out again: {}",
            again.text
        );
        let once_more = post(world.rest(), &path, &key, &body).await?;
        assert_eq!(once_more.text, again.text);
        again.expect(200)?;
        assert_eq!(said(&world, &chat, &words).await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn d45_an_answer_lost_between_services_comes_again() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    let (chat, path) = idle_chat(&world).await?;
    for round in 0..2 {
        let words = format!("round {round}");
        let (key, body) = (format!("key-{round}"), json!({ "content": text(&words) }));
        // Storage has committed, and neither the orchestrator nor the gateway hears of it.
        world.faults().kill_at("storage.committed", &chat)?;
        let lost = post(world.rest(), &path, &key, &body).await?;
        assert!([503, 504].contains(&lost.status), "{}: {}", lost.status, lost.text);
        world.faults().fired("storage.committed", LIMIT).await?;
        // It is dead already; this buries it.
        world.kill9_service(Service::Storage).await?;
        world.restart().await?;
        let again = tokio::time::timeout(LIMIT, insist(world.rest(), &path, &key, &body)).await??;
        assert!(is_replayed(&again), "{}", again.text);
        again.expect(200)?;
        assert_eq!(said(&world, &chat, &words).await?, 1);
    }
    Ok(())
}
