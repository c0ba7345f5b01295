//! The key-encryption key is changed under load: replica by replica, then every stored key sealed anew, then the old one gone. Nothing fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, Reply, Script},
    world::{Service, User, World, id_of, lines, text, wait_for_status},
};
use tokio::task::JoinSet;

use crate::{LIMIT, Result};

const OWN: &str = "sk-fake-canary-0000-mia";
const REPLICAS: usize = 2;

/// Chats that are answered at any time while the key is changed.
const AT_ONCE: usize = 4;

/// Chats that must be answered between two steps of the change.
const PER_STEP: usize = 4;

/// One chat from its creation to its answer.
async fn answered(user: &User, number: usize) -> Result {
    let message = format!("Count {number}.");
    let body = json!({ "organization_id": user.organization_id, "content": text(&message) });
    let chat = user.rest.post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    let path = format!("/api/v1/chats/{id}");
    let settled = wait_for_status(&user.rest, id, "waiting", LIMIT).await;
    let now = user.rest.get(&path).await?.expect(200)?;
    settled.map_err(|error| error.context(now.to_string()))?;
    let page = user.rest.get(&format!("{path}/messages")).await?.expect(200)?;
    let newest = page["messages"].as_array().and_then(|messages| messages.first());
    assert_eq!(lines(newest), ["assistant: One two three four five six."], "{message}");
    Ok(())
}

/// Chats of several users, one after the other each, until they are told to stop.
struct Load {
    tasks: JoinSet<Result>,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Load {
    fn start(users: &[User]) -> Self {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for place in 0..AT_ONCE {
            let (user, is_over, done) = (
                users[place % users.len()].clone(),
                Arc::clone(&is_over),
                Arc::clone(&done),
            );
            tasks.spawn(async move {
                let mut number = place * 1000;
                while !is_over.load(Ordering::Relaxed) {
                    answered(&user, number).await?;
                    number += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self { tasks, is_over, done }
    }

    /// Until some more chats are answered.
    async fn goes_on(&mut self) -> Result {
        let wanted = self.done.load(Ordering::Relaxed) + PER_STEP;
        while self.done.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
            // A chat that failed ends its task.
            if let Some(ended) = self.tasks.try_join_next() {
                ended??;
            }
        }
        Ok(())
    }

    async fn end(mut self) -> Result {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Gives all replicas these keys, one replica after the other, while the others answer.
async fn roll(world: &mut World, load: &mut Load, kek: &str, previous: &str) -> Result {
    for replica in 0..REPLICAS {
        world.terminate_replica(Service::ProviderGateway, replica).await?;
        world.set_env(Service::ProviderGateway, replica, "TANDEM_PROVIDER_GATEWAY__KEK", kek)?;
        world.set_env(
            Service::ProviderGateway,
            replica,
            "TANDEM_PROVIDER_GATEWAY__PREVIOUS_KEKS",
            previous,
        )?;
        world.restart().await?;
        load.goes_on().await?;
    }
    Ok(())
}

async fn rotate(world: &World) -> Result<Value> {
    let answer = world
        .rest()
        .raw(Method::POST, "/api/v1/ai/providers/rotate-key", "")
        .await?;
    answer.expect(200)
}

async fn key_states(world: &World) -> Result<Vec<String>> {
    let all = world.rest().get("/api/v1/ai/providers/health").await?.expect(200)?;
    let keys = all["providers"][0]["keys"].as_array().cloned().unwrap_or_default();
    let state = |key: &Value| key["state"].as_str().unwrap_or_default().to_owned();
    Ok(keys.iter().map(state).collect())
}

#[tokio::test]
async fn the_key_encryption_key_is_changed_while_answers_stream() -> Result {
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    let mut world = World::builder()
        .provider_gateways(REPLICAS)
        .env("TANDEM_PROVIDER_GATEWAY__KEK", &old)
        // What is kept of opened keys must not hide what can be opened.
        .env("TANDEM_PROVIDER_GATEWAY__CACHE_TTL", "100ms")
        .fake(FakeLlm::builder().key(OWN))
        .start()
        .await?;
    let slow = Reply::text_in("One two three four five six.", 6).delay_between(Duration::from_millis(40));
    world.fake().script(Script::always(slow).when_any_message_says("Count"));
    let mia = world.create_user("mia").await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let open = json!({ "allow_user_api_key": true, "allow_central_api_key_fallback": true });
    world.rest().patch(&path, &open).await?.expect(200)?;
    let own = json!({ "api_key": OWN });
    mia.rest
        .put("/api/v1/users/me/ai-provider-keys/fake", &own)
        .await?
        .expect(200)?;

    let mut load = Load::start(&[world.admin().clone(), mia]);
    load.goes_on().await?;
    // All can open what the new one seals, before any of them seals with it.
    roll(&mut world, &mut load, &old, &new).await?;
    roll(&mut world, &mut load, &new, &old).await?;
    assert_eq!(
        rotate(&world).await?,
        json!({ "resealed": 2, "current": 0, "unreadable": 0 })
    );
    assert_eq!(
        rotate(&world).await?,
        json!({ "resealed": 0, "current": 2, "unreadable": 0 })
    );
    roll(&mut world, &mut load, &new, "").await?;
    load.end().await?;

    assert_eq!(key_states(&world).await?, ["healthy"]);
    let hints: Vec<String> = world
        .fake()
        .completions()
        .iter()
        .map(|asked| asked.key_hint.clone())
        .collect();
    assert!(hints.iter().any(|hint| hint == "mia") && hints.iter().any(|hint| hint != "mia"));
    world.fake().check_no_rejections()?;
    assert!(!world.logs().contains("canary"));
    Ok(())
}
