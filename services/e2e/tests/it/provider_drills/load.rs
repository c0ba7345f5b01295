//! A steady stream of turns, as several people make it: each chat is created, answered and looked at, then the next one begins.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::json;
use tandem_e2e::world::{User, World, id_of, lines, text, wait_for_status};
use tokio::task::JoinSet;

use super::INTERVAL;
use crate::{LIMIT, Result};

/// Whom a stream of turns asks, and what must come of it.
#[derive(Clone)]
pub struct Plan {
    /// Chats that are answered at any time.
    pub at_once: usize,
    /// The first word of each message, behind which comes a number.
    pub word: &'static str,
    /// The model; the default one if absent.
    pub model: Option<String>,
    /// What each turn must be answered.
    pub answer: &'static str,
}

/// Turns that are made until somebody ends them. A turn that fails is an error of whoever looks next.
pub struct Load {
    tasks: JoinSet<Result>,
    is_over: Arc<AtomicBool>,
    /// How long each turn took, from the request to the answer that is stored.
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Load {
    pub fn start(world: &World, plan: &Plan) -> Self {
        let (is_over, times) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<Duration>>>::default());
        let mut tasks = JoinSet::new();
        for place in 0..plan.at_once {
            let (user, plan) = (world.admin().clone(), plan.clone());
            let (is_over, times) = (Arc::clone(&is_over), Arc::clone(&times));
            tasks.spawn(async move {
                let mut number = place * 100_000;
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    turn(&user, &plan, number).await?;
                    number += 1;
                    times
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(begun.elapsed());
                }
                Ok(())
            });
        }
        Self { tasks, is_over, times }
    }

    /// How many turns were answered.
    pub fn done(&self) -> usize {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Until so many more turns are answered.
    pub async fn goes_on(&mut self, more: usize) -> Result {
        let (wanted, started) = (self.done() + more, Instant::now());
        while self.done() < wanted {
            ensure!(started.elapsed() < 2 * LIMIT, "only {} of {wanted} turns", self.done());
            tokio::time::sleep(INTERVAL).await;
            self.check()?;
        }
        Ok(())
    }

    /// Fails when a turn has failed.
    pub fn check(&mut self) -> Result {
        match self.tasks.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }

    /// Lets the turns under way end; how long each of all took.
    pub async fn end(mut self) -> Result<Vec<Duration>> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(std::mem::take(
            &mut *self.times.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

async fn turn(user: &User, plan: &Plan, number: usize) -> Result {
    let message = format!("{} {number}.", plan.word);
    let mut body = json!({ "organization_id": user.organization_id, "content": text(&message) });
    if let Some(model) = &plan.model {
        body["model_config_id"] = json!(model);
    }
    let chat = user.rest.post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    let path = format!("/api/v1/chats/{id}");
    if let Err(error) = wait_for_status(&user.rest, id, "waiting", LIMIT).await {
        let now = user.rest.get(&path).await?.expect(200)?;
        return Err(error.context(now.to_string()));
    }
    let page = user.rest.get(&format!("{path}/messages")).await?.expect(200)?;
    let newest = page["messages"].as_array().and_then(|messages| messages.first());
    let said = lines(newest);
    ensure!(said == [format!("assistant: {}", plan.answer)], "{message} {said:?}");
    Ok(())
}
