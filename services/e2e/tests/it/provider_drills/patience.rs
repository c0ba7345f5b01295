//! D41: a rate limit in the middle of a stream, with nobody to fall back on: turns wait, cost nothing meanwhile, and stop at once.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tandem_e2e::{
    bench::process::running_time,
    fake_llm::{Reply, Script},
    world::{Transcript, id_of, lines},
};

use super::{MACHINE, crowded, half_and_worst};
use crate::{LIMIT, Result, drills::rounds, tell};

/// How long the processor is watched.
const WATCHED: Duration = Duration::from_secs(3);
/// Part of one processor that waiting turns may take. One that is asked again and again without a pause takes all of it.
const MAX_SHARE: f64 = 0.25;
/// Within which a waiting turn must stop.
const STOPS: Duration = Duration::from_millis(500);

#[tokio::test]
async fn d41_turns_limited_in_mid_stream_wait_without_work_and_stop_at_once() -> Result {
    let chats = 10 * rounds();
    let world = crowded().start().await?;
    let limited = Reply::text("Said three words.").error_event_at(2, "rate_limit_exceeded");
    world.fake().script(Script::always(limited).when_user_says("Hurry"));
    let begun = (0..chats).map(|number| {
        let world = &world;
        async move {
            let chat = world.create_chat(&format!("Hurry {number}.")).await?;
            let id = id_of(&chat)?.to_owned();
            let stream = world.stream(&id).await?;
            // The third wait is long enough to watch what it costs.
            let waits = |events: &[serde_json::Value]| Transcript::of(events).retries.len() >= 3;
            let events = stream.wait_until(LIMIT, waits).await?;
            let seen = Transcript::of(&events);
            assert!(
                seen.retries.iter().all(|retry| retry["kind"] == "rate_limit"),
                "{:?}",
                seen.retries
            );
            assert_eq!(seen.live_text, "", "what was said before is withdrawn");
            anyhow::Ok(id)
        }
    });
    let ids = try_join_all(begun).await?;

    let process = world.process_ids()[0];
    let (before, watched) = (running_time(process)?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let used = running_time(process)?.saturating_sub(before);
    let share = used.as_secs_f64() / watched.elapsed().as_secs_f64();
    assert!(
        share < MAX_SHARE,
        "{chats} waiting turns took {:.1} % of a processor",
        share * 100.0
    );

    let mut times = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let asked = Instant::now();
        world.interrupt(id).await?;
        // One that is being tried again at this moment first gives that up.
        world.wait_for_status(id, "waiting", LIMIT).await?;
        times.push(asked.elapsed());
        assert_eq!(lines(&world.messages(id).await?), [format!("user: Hurry {number}.")]);
    }
    let (half, worst) = half_and_worst(times);
    assert!(worst < STOPS + MACHINE, "stopped after {worst:?}");
    let asked = world.fake().completions().len();
    tell(&format!(
        "D41 {chats} turns limited in mid-stream ({asked} requests): {:.1} % of a processor while they wait, stopped after {half:.1?} (half), \
         {worst:.1?} (worst)",
        share * 100.0
    ));
    Ok(())
}
