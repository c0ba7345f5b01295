//! D35 and D36 in the other vendors' words: an error at each place of a stream that began well, and a connection that breaks all over it.

use futures::future::try_join_all;
use serde_json::json;
use tandem_e2e::{
    fake_llm::{FakeLlm, Outcome, Reply, Script},
    world::{Transcript, World, id_of, text},
};

use super::crowded;
use crate::{LIMIT, Result, drills::rounds, settled};

/// Chats at once.
const AT_ONCE: usize = 24;

/// How one vendor is spoken to, and what its errors are called.
struct Vendor {
    kind: &'static str,
    model: &'static str,
    /// Events of the short answer before its end.
    events: usize,
    /// Code, the kind it must count as, and whether waiting helps.
    codes: &'static [(&'static str, &'static str, bool)],
}

const VENDORS: [Vendor; 3] = [
    Vendor {
        kind: "anthropic",
        model: "claude-test-model",
        events: 7,
        codes: &[
            ("overloaded_error", "overloaded", true),
            ("api_error", "generic", true),
            ("rate_limit_exceeded", "rate_limit", true),
        ],
    },
    Vendor {
        kind: "openai",
        model: "gpt-4o",
        events: 7,
        codes: &[
            ("overloaded", "overloaded", true),
            ("rate_limit_exceeded", "rate_limit", true),
            ("insufficient_quota", "usage_limit", false),
        ],
    },
    Vendor {
        kind: "google",
        model: "gemini-3-test",
        events: 3,
        codes: &[
            ("overloaded", "overloaded", true),
            ("rate_limit_exceeded", "rate_limit", true),
            ("server_error", "generic", true),
        ],
    },
];

/// A world with each vendor's model; their ids in order.
async fn world() -> Result<(World, Vec<String>)> {
    let models = VENDORS.iter().map(|vendor| vendor.model).chain(["fake-model"]);
    let world = crowded()
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__FAILURE_THRESHOLD", "100000")
        .fake(FakeLlm::builder().models(models))
        .start()
        .await?;
    let root = world.fake().base_url().trim_end_matches("/v1").to_owned();
    let mut ids = Vec::new();
    for vendor in &VENDORS {
        let base_url = if vendor.kind == "google" {
            root.clone()
        } else {
            world.fake().base_url()
        };
        let body = json!({
            "type": vendor.kind, "name": vendor.kind, "display_name": vendor.kind, "enabled": true,
            "base_url": base_url, "api_keys": [world.fake().api_key()],
        });
        let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
        ids.push(world.register_model(id_of(&provider)?, vendor.model).await?);
    }
    Ok((world, ids))
}

/// A chat with this model that is read until it rests; what was seen, and its id.
async fn told(world: &World, model: &str, message: &str) -> Result<(String, Transcript)> {
    let body = json!({
        "organization_id": world.admin().organization_id, "content": text(message), "model_config_id": model,
    });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?.to_owned();
    let stream = world.stream(&id).await?;
    let rests = |seen: &Transcript| seen.is_settled() || seen.status() == "error";
    let events = stream.wait_until(LIMIT, |events| rests(&Transcript::of(events))).await;
    let events = events.map_err(|error| error.context(message.to_owned()))?;
    Ok((id, Transcript::of(&events)))
}

#[tokio::test]
async fn d35_every_vendors_error_inside_a_stream_counts_like_its_status() -> Result {
    let (world, ids) = world().await?;
    let world = &world;
    // Each place in the long form.
    let step = if rounds() > 1 { 1 } else { 3 };
    let cases = VENDORS.iter().zip(&ids).flat_map(|(vendor, id)| {
        let places = move |code| {
            let places = (0..=vendor.events).step_by(step);
            places.map(move |place| (vendor, id, code, place))
        };
        vendor.codes.iter().flat_map(places)
    });
    let cases = cases.map(|(vendor, id, (code, kind, is_retried), place)| async move {
        let message = format!("{} {code} at {place}.", vendor.kind);
        let broken = Reply::text("Said three words.").error_event_at(place, *code);
        world
            .fake()
            .script(Script::turn([broken, Reply::text("Said in full.")]).when_user_says(&message));
        let (chat, seen) = told(world, id, &message).await?;
        assert_eq!(seen.live_text, "", "{message}");
        if *is_retried {
            // One vendor's words end with a signature of theirs.
            let last = seen.lines().pop().unwrap_or_default();
            assert!(last.starts_with("assistant: Said in full."), "{message}: {last}");
            let kinds: Vec<_> = seen.retries.iter().map(|retry| &retry["kind"]).collect();
            assert_eq!(kinds, [kind], "{message}: {:?}", seen.retries);
        } else {
            assert_eq!(
                seen.errors.first().map(|error| &error["kind"]),
                Some(&json!(kind)),
                "{message}: {:?}",
                seen.errors
            );
        }
        world.send(&chat, "Still there?").await?;
        let last = settled(world, &chat).await?.pop().unwrap_or_default();
        assert!(
            last.starts_with("assistant: You said: Still there?"),
            "{message}: {last}"
        );
        anyhow::Ok(())
    });
    try_join_all(cases).await?;
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn d36_every_vendors_stream_cut_at_any_byte_is_told_again_in_full() -> Result {
    let (world, ids) = world().await?;
    let world = &world;
    let call = json!({ "command": "echo once" });
    let recordings = [
        ("words", Reply::text("Grüße, 終 and some more words.")),
        ("command", Reply::text("I run it.").tool_call("execute", call)),
    ];
    let mut cuts = Vec::new();
    for (vendor, id) in VENDORS.iter().zip(&ids) {
        for (name, reply) in &recordings {
            let message = format!("{} whole {name}.", vendor.kind);
            world
                .fake()
                .script(Script::turn([reply.clone(), Reply::text("The end.")]).when_user_says(&message));
            let (_, seen) = told(world, id, &message).await?;
            let whole = seen.lines().split_off(1);
            let first = world
                .fake()
                .completions()
                .into_iter()
                .find(|request| request.conversation.contains(&message));
            let bytes = usize::try_from(first.map_or(0, |request| request.bytes_sent))?;
            assert!(bytes > 200, "{message} only {bytes} bytes");
            let step = bytes.div_ceil(4 * rounds()).max(1);
            cuts.extend(
                (0..bytes)
                    .step_by(step)
                    .map(|at| (vendor, id, *name, reply.clone(), at, whole.clone())),
            );
        }
    }
    for batch in cuts.chunks(AT_ONCE) {
        world.fake().reset();
        let turns = batch.iter().map(|(vendor, id, name, reply, at, whole)| async move {
            let message = format!("{} {name} cut at {at}.", vendor.kind);
            let cut = if at % 2 == 0 {
                reply.clone().reset_at_byte(*at)
            } else {
                reply.clone().cut_at_byte(*at)
            };
            world
                .fake()
                .script(Script::turn([cut, reply.clone(), Reply::text("The end.")]).when_user_says(&message));
            let (_, seen) = told(world, id, &message).await?;
            assert_eq!(seen.repeated, [0_i64; 0], "{message}");
            // A step whose end was all that was lost stands, and the next one took its words.
            let mut expected = whole.clone();
            if seen.retries.is_empty() && whole.len() > 1 {
                expected.splice(0..0, whole[..whole.len() - 1].iter().cloned());
            }
            assert_eq!(seen.lines().split_off(1), expected, "{message}");
            anyhow::Ok(())
        });
        try_join_all(turns).await?;
        let completions = world.fake().completions();
        let fired = completions
            .iter()
            .filter(|request| request.outcome == Outcome::Cut)
            .count();
        assert_eq!(fired, batch.len(), "{}", world.fake().summary());
        world.fake().check_no_rejections()?;
    }
    crate::tell(&format!(
        "D36 {} cuts of the streams of 3 vendors' protocols",
        cuts.len()
    ));
    Ok(())
}
