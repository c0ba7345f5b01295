//! Several replicas of provider-gateway: an answer is continued where it is held, and one replica's death is not the others'.

use std::time::Duration;

use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Builder, Service, Stream, Transcript, World, id_of},
};

use crate::{LIMIT, Result, settled};

/// Chats that are answered at once: more than enough for both replicas to hold some.
const CHATS: usize = 6;

fn two() -> Builder {
    World::builder()
        .provider_gateways(2)
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "1s")
}

/// Chats whose answers have begun and wait at the gate, with their readers.
async fn begun(world: &World) -> Result<Vec<(String, Stream)>> {
    let held = Reply::text("Half of it").gate("held").and_text(" and the rest.");
    world.fake().script(Script::always(held).when_user_says("Tell"));
    let mut chats = Vec::new();
    for number in 0..CHATS {
        let chat = world.create_chat(&format!("Tell me {number}")).await?;
        let id = id_of(&chat)?.to_owned();
        let stream = world.stream(&id).await?;
        stream
            .wait_until(LIMIT, |events| Transcript::of(events).live_text == "Half of it")
            .await?;
        chats.push((id, stream));
    }
    Ok(chats)
}

async fn assert_all_answered(world: &World, chats: &[(String, Stream)]) -> Result {
    for (number, (id, _)) in chats.iter().enumerate() {
        let answer = "assistant: Half of it and the rest.".to_owned();
        assert_eq!(settled(world, id).await?, [format!("user: Tell me {number}"), answer]);
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_is_continued_at_the_replica_that_holds_it() -> Result {
    let mut world = two().start().await?;
    let chats = begun(&world).await?;
    world.kill9_service(Service::Orchestrator).await?;
    world.restart().await?;
    // The new owners have asked for nothing while the vendor waited, and attach while it speaks.
    world.fake().open("held");
    assert_all_answered(&world, &chats).await?;
    let asked = world.fake().completions().len();
    assert_eq!(
        asked,
        CHATS,
        "answers were asked for, and paid, again: {}",
        world.fake().summary()
    );
    Ok(())
}

#[tokio::test]
async fn one_that_dies_takes_only_its_own_answers_with_it() -> Result {
    let mut world = two().start().await?;
    let chats = begun(&world).await?;
    world.kill9_replica(Service::ProviderGateway, 1).await?;
    // What the dead one held is asked for again at the other, which is all there is.
    let lost = |asked: usize| asked - CHATS;
    let started = std::time::Instant::now();
    while world.fake().completions().len() == CHATS && started.elapsed() < LIMIT {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.fake().open("held");
    assert_all_answered(&world, &chats).await?;
    let asked = lost(world.fake().completions().len());
    assert!(
        (1..CHATS).contains(&asked),
        "{asked} of {CHATS} answers were asked for again"
    );
    Ok(())
}
