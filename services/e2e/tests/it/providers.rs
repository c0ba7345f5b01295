//! D34 to D38: vendors that ask for patience, break off, talk nonsense or fall silent. Whatever they do, the turn goes on or ends with
//! its reason, and the chat answers the next message.

mod corpus;

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::{Value, json};
use tandem_chassis::clock::{self, Clock as _};
use tandem_e2e::{
    fake_llm::{Outcome, Reply, Script},
    world::{Transcript, World, id_of},
};

use self::corpus::{Expected, Lie};
use crate::{LIMIT, Result, drills::rounds, settled};

/// How far a wait may be from the vendor's wish, in parts of it.
const TOLERANCE: f64 = 0.1;
/// What a busy machine may add to a wait before somebody notices its end.
const MACHINE: f64 = 5.0;

/// Seconds since 1970.
fn now() -> f64 {
    clock::System.now().unix_timestamp_nanos() as f64 / 1e9
}

/// The whole second `seconds` from now, in seconds since 1970 and as HTTP writes it.
fn http_date(seconds: u64) -> (f64, String) {
    let at = clock::System.now() + Duration::from_secs(seconds);
    let (day, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    let text = format!(
        "{}, {:02} {} {} {hour:02}:{minute:02}:{second:02} GMT",
        &day[..3],
        at.day(),
        &month[..3],
        at.year()
    );
    (at.unix_timestamp() as f64, text)
}

/// Milliseconds of a wait as told, in seconds.
fn told_delay(retry: &Value) -> f64 {
    retry["delay_ms"].as_f64().unwrap_or_default() / 1e3
}

/// When the requests of one chat came, in seconds.
fn arrivals(world: &World, message: &str) -> Vec<f64> {
    let completions = world.fake().completions();
    let of_chat = completions
        .iter()
        .filter(|request| request.body["messages"].to_string().contains(message));
    of_chat.map(|request| request.received_ms as f64 / 1e3).collect()
}

/// Begins a chat and reads its stream until `met`; the chat's id and the events.
async fn read_until(world: &World, message: &str, met: impl Fn(&Transcript) -> bool) -> Result<(String, Vec<Value>)> {
    let chat = world.create_chat(message).await?;
    let id = id_of(&chat)?.to_owned();
    let stream = world.stream(&id).await?;
    let events = stream
        .wait_until(LIMIT, |events| met(&Transcript::of(events)))
        .await
        .map_err(|error| error.context(message.to_owned()))?;
    Ok((id, events))
}

/// The chat answers another message.
async fn answers_again(world: &World, id: &str, what: &str) -> Result {
    world.send(id, "Still there?").await?;
    let shown = settled(world, id).await?;
    let last = shown.last().map(String::as_str);
    assert_eq!(last, Some("assistant: You said: Still there?"), "{what}: {shown:?}");
    Ok(())
}

/// One refusal with a wish, then an answer.
async fn is_patient(world: &World, status: u16, header: &str, seconds: u64, round: usize) -> Result {
    let message = format!("{status} with {header} and {seconds} s, round {round}.");
    let (until, date) = http_date(seconds);
    let value = match header {
        "retry-after-ms" => (seconds * 1000).to_string(),
        "date" => date,
        _ => seconds.to_string(),
    };
    let code = match status {
        429 => "rate_limit_exceeded",
        503 | 529 => "overloaded",
        _ => "server_error",
    };
    let name = if header == "date" { "retry-after" } else { header };
    let refusal = Reply::fail(status, code).header(name, value);
    let script = Script::turn([refusal, Reply::text("At last.")]).when_user_says(&message);
    world.fake().script(script);
    let scripted = now();
    let (id, events) = read_until(world, &message, |seen| !seen.retries.is_empty()).await?;
    let seen = now();
    let retry = Transcript::of(&events).retries[0].clone();
    // A reader that comes now sees the same countdown.
    let late = world.stream(&id).await?;
    let events = late
        .wait_until(LIMIT, |events| !Transcript::of(events).retries.is_empty())
        .await?;
    let again = Transcript::of(&events).retries[0].clone();
    assert_eq!(again["retrying_at"], retry["retrying_at"], "{message}");
    let hint = seconds as f64;
    let (least, most) = match header {
        "date" => (until - seen - hint * TOLERANCE, until - scripted + hint * TOLERANCE),
        _ => (hint * (1.0 - TOLERANCE), hint * (1.0 + TOLERANCE)),
    };
    let told = told_delay(&retry);
    assert!(least <= told && told <= most, "{message} {retry}: not {least}..{most}");
    let shown = settled(world, &id).await?;
    assert_eq!(shown, [format!("user: {message}"), "assistant: At last.".to_owned()]);
    let times = arrivals(world, &message);
    let [first, second] = times[..] else {
        anyhow::bail!("{message}: asked at {times:?}");
    };
    let waited = second - first;
    assert!(
        told * (1.0 - TOLERANCE) <= waited && waited <= told * (1.0 + TOLERANCE) + MACHINE,
        "{message}: told {told} s, waited {waited} s"
    );
    Ok(())
}

/// D34: every kind of refusal that waiting helps against, with the wish in each of its forms.
#[tokio::test]
async fn d34_a_vendors_wish_to_wait_is_kept_and_shown_to_everybody() -> Result {
    // Several vendors' worth of refusals at one model: the breaker has its own drill below.
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__FAILURE_THRESHOLD", "1000")
        .start()
        .await?;
    let world = &world;
    for round in 0..rounds() {
        let cases = [429, 500, 502, 503, 529].into_iter().flat_map(|status| {
            let forms = [
                ("retry-after", 2),
                ("retry-after", 4),
                ("retry-after-ms", 3),
                ("date", 5),
            ];
            forms.map(|(header, seconds)| is_patient(world, status, header, seconds, round))
        });
        try_join_all(cases).await?;
    }
    world.fake().check_no_rejections()
}

/// D34: a rate limit is a matter of patience, not of health.
#[tokio::test]
async fn d34_rate_limits_never_open_the_breaker() -> Result {
    const CHATS: usize = 12;
    let world = World::start().await?;
    let limited = || Reply::rate_limited(Duration::from_millis(1200));
    for n in 0..CHATS {
        let replies = [limited(), limited(), Reply::text("Granted.")];
        let script = Script::turn(replies).when_user_says(format!("Limit {n}."));
        world.fake().script(script);
    }
    let turns = (0..CHATS).map(|n| {
        let world = &world;
        async move {
            let message = format!("Limit {n}.");
            let (_, events) = read_until(world, &message, Transcript::is_settled).await?;
            let seen = Transcript::of(&events);
            assert_eq!(
                seen.lines(),
                [format!("user: {message}"), "assistant: Granted.".to_owned()]
            );
            let kinds: Vec<&Value> = seen.retries.iter().map(|retry| &retry["kind"]).collect();
            assert_eq!(kinds, [&json!("rate_limit"); 2]);
            let attempts: Vec<&Value> = seen.retries.iter().map(|retry| &retry["attempt"]).collect();
            assert_eq!(attempts, [&json!(1), &json!(2)]);
            anyhow::Ok(())
        }
    });
    try_join_all(turns).await?;
    // An open breaker would have kept requests from the vendor.
    assert_eq!(world.fake().completions().len(), CHATS * 3);
    Ok(())
}

/// D35: an error in the middle of a stream that began well counts as the same error before it.
#[tokio::test]
async fn d35_an_error_inside_a_stream_counts_like_its_status() -> Result {
    const CHUNKS: usize = 6;
    let world = World::start().await?;
    let world = &world;
    let codes = [
        ("overloaded", "overloaded", true),
        ("rate_limit_exceeded", "rate_limit", true),
        ("server_error", "generic", true),
        ("insufficient_quota", "usage_limit", false),
        ("model_not_found", "config", false),
    ];
    let cases = codes
        .into_iter()
        .flat_map(|code| (0..=CHUNKS).map(move |position| (code, position)));
    let cases = cases.map(|((code, kind, is_retried), position)| async move {
        let message = format!("{code} at {position}.");
        let broken = Reply::text("Said three words.").error_event_at(position, code);
        let script = Script::turn([broken, Reply::text("Said in full.")]);
        world.fake().script(script.when_user_says(&message));
        let (id, events) = read_until(world, &message, |seen| seen.is_settled() || seen.status() == "error").await?;
        let seen = Transcript::of(&events);
        assert_eq!(seen.live_text, "", "{message}");
        if is_retried {
            assert_eq!(
                seen.lines().last().map(String::as_str),
                Some("assistant: Said in full.")
            );
            assert_eq!(seen.retries.len(), 1, "{message}: {:?}", seen.retries);
            assert_eq!(seen.retries[0]["kind"], kind, "{message}");
        } else {
            assert_eq!(seen.errors[0]["kind"], kind, "{message}: {:?}", seen.errors);
        }
        answers_again(world, &id, &message).await
    });
    try_join_all(cases).await?;
    world.fake().check_no_rejections()
}

/// The streams that are cut: words, thoughts with words, a command.
fn recordings() -> [(&'static str, Reply); 3] {
    let command = json!({ "command": "echo once" });
    [
        ("words", Reply::text("Grüße, 終 and some more words.").obfuscated()),
        (
            "thoughts",
            Reply::new().reasoning("Let me think.").and_text("I have thought."),
        ),
        ("command", Reply::text("I run it.").tool_call("execute", command)),
    ]
}

/// D36: the connection breaks at a byte of a recorded stream, in an orderly way or not.
#[tokio::test]
async fn d36_a_stream_cut_at_any_byte_is_told_again_in_full() -> Result {
    const AT_ONCE: usize = 24;
    let world = World::start().await?;
    let world = &world;
    let mut cuts = Vec::new();
    for (name, reply) in recordings() {
        // The whole stream first: its length, and what the chat then looks like.
        let message = format!("Whole {name}.");
        let script = Script::turn([reply.clone(), Reply::text("The end.")]);
        world.fake().script(script.when_user_says(&message));
        let (_, events) = read_until(world, &message, Transcript::is_settled).await?;
        let whole: Vec<String> = Transcript::of(&events).lines().split_off(1);
        let completions = world.fake().completions();
        let first = completions.iter().find(|request| request.conversation == message);
        let bytes = first.map_or(0, |request| usize::try_from(request.bytes_sent).unwrap_or(0));
        assert!(bytes > 500, "{name}: only {bytes} bytes");
        world.fake().reset();
        let step = bytes.div_ceil(16 * rounds()).max(1);
        cuts.extend(
            (0..bytes)
                .step_by(step)
                .map(|at| (name, reply.clone(), at, whole.clone())),
        );
    }
    for batch in cuts.chunks(AT_ONCE) {
        let turns = batch.iter().map(|(name, reply, at, whole)| async move {
            let message = format!("{name} cut at {at}.");
            let cut = match at % 2 {
                0 => reply.clone().reset_at_byte(*at),
                _ => reply.clone().cut_at_byte(*at),
            };
            // What was said before the cut need not be said again if the model had finished; then the next step takes the reply.
            let script = Script::turn([cut, reply.clone(), Reply::text("The end.")]);
            world.fake().script(script.when_user_says(&message));
            let (id, events) = read_until(world, &message, Transcript::is_settled).await?;
            let seen = Transcript::of(&events);
            assert_eq!(seen.repeated, [0_i64; 0], "{message}");
            // A step whose end was all that was lost stands, and the next one took its words; nothing is ever withdrawn in vain.
            let mut expected = whole.clone();
            if seen.retries.is_empty() && whole.len() > 1 {
                expected.splice(0..0, whole[..whole.len() - 1].iter().cloned());
            }
            assert_eq!(seen.lines().split_off(1), expected, "{message}");
            assert_eq!(seen.lines(), settled(world, &id).await?, "{message}");
            anyhow::Ok(())
        });
        try_join_all(turns).await?;
        let completions = world.fake().completions();
        let fired = completions.iter().filter(|request| request.outcome == Outcome::Cut);
        assert_eq!(fired.count(), batch.len(), "{}", world.fake().summary());
        world.fake().check_no_rejections()?;
        world.fake().reset();
    }
    Ok(())
}

/// D37: nonsense in a vendor's answer is told for what it is, or survived; in no case does anything else suffer.
#[tokio::test]
async fn d37_nonsense_is_named_or_survived() -> Result {
    const AT_ONCE: usize = 16;
    let world = World::start().await?;
    let world = &world;
    let lies = corpus::lies();
    assert!(lies.len() >= 60, "only {} lies", lies.len());
    let mut wrong = Vec::new();
    for batch in lies.chunks(AT_ONCE) {
        let heard = try_join_all(batch.iter().map(|lie| hears(world, lie))).await?;
        wrong.extend(heard.into_iter().flatten());
        world.fake().check_no_rejections()?;
        world.fake().reset();
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), lies.len());
    assert!(!world.logs().contains("panicked"), "something panicked");
    Ok(())
}

/// One lie in the place of the first answer; what came of it, unless that was expected.
async fn hears(world: &World, lie: &Lie) -> Result<Option<String>> {
    let message = format!("The lie is {}.", lie.name);
    let script = Script::turn([lie.reply.clone(), Reply::text("The truth.")]);
    world.fake().script(script.when_user_says(&message));
    let (id, events) = read_until(world, &message, |seen| seen.is_settled() || seen.status() == "error").await?;
    let seen = Transcript::of(&events);
    let told = format!("{:?} {:?} {:?}", seen.lines(), seen.retries, seen.errors);
    let is_right = match lie.expected {
        Expected::Named(words) => {
            let error = seen.errors.first().map(Value::to_string).unwrap_or_default();
            ["fake, model fake-model: ", words]
                .iter()
                .all(|word| error.contains(word))
        }
        Expected::TriedAgain => {
            seen.retries.len() == 1 && seen.lines().last().is_some_and(|last| last == "assistant: The truth.")
        }
        Expected::Said(words) => {
            let answer = format!("assistant: {words}");
            seen.errors.is_empty() && seen.retries.is_empty() && seen.lines().last() == Some(&answer)
        }
    };
    assert!(!told.contains(world.fake().api_key()), "{message}");
    answers_again(world, &id, &message).await?;
    Ok((!is_right).then(|| format!("{message} {told}")))
}

/// D37: what the gateway to the models holds afterwards, however much nonsense it was sent.
#[tokio::test]
async fn d37_nonsense_leaves_no_memory_behind() -> Result {
    const MAX_GROWTH_KIB: u64 = 16 * 1024;
    let world = World::builder()
        .separate_processes()
        // Answers are kept a while for whoever attaches; what is looked for here is what outlives that.
        .env("TANDEM_PROVIDER_GATEWAY__COMPLETIONS__RETENTION", "100ms")
        .start()
        .await?;
    let endless = corpus::endless();
    // What an allocator keeps for later goes up and down by tens of MiB; what is lost only goes up.
    let mut held = Vec::new();
    for round in 0..8 {
        for lie in &endless {
            let lie = Lie {
                name: format!("{} {round}", lie.name),
                ..lie.clone()
            };
            assert_eq!(hears(&world, &lie).await?, None);
        }
        held.push(resident_kib(world.process_ids()[1])?);
    }
    crate::tell(&format!("D37 provider-gateway holds {held:?} KiB after each round"));
    let (early, late) = (held[..4].iter().max(), held[4..].iter().min());
    let growth = late.unwrap_or(&0).saturating_sub(*early.unwrap_or(&0));
    assert!(growth <= MAX_GROWTH_KIB, "it grows: {held:?} KiB");
    Ok(())
}

/// Memory of a process that is really there.
pub fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
    Ok(number.parse()?)
}

/// D38: a vendor that stops sending without a word.
#[tokio::test]
async fn d38_silence_ends_at_its_limit_and_the_turn_goes_on() -> Result {
    const LIMIT_SECONDS: f64 = 2.0;
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__GUARDS__LOCAL_STARTUP", "2s")
        .env("TANDEM_PROVIDER_GATEWAY__GUARDS__SILENCE", "2s")
        .start()
        .await?;
    let world = &world;
    let words = || Reply::text("Some words and silence");
    let often = Duration::from_millis(100);
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"Some\"}}]}\n\n";
    let between = |every| Reply::raw("text/event-stream", event).pings_at_byte(event.len(), every);
    let stalls = [
        ("no headers", words().headers_gate("never"), "startup_timeout"),
        ("no first byte", words().stall_at_byte(0), "startup_timeout"),
        ("half a first event", words().stall_at_byte(40), "startup_timeout"),
        ("nothing but pings", words().pings_at_byte(0, often), "startup_timeout"),
        (
            "silence in the middle",
            words().stall_at_byte(900),
            "stream_silence_timeout",
        ),
        ("pings in the middle", between(often), "stream_silence_timeout"),
        (
            "silence in a call",
            Reply::call("execute", json!({ "command": "echo never run" })).stall_at_byte(700),
            "stream_silence_timeout",
        ),
    ];
    let cases = (0..rounds()).flat_map(|round| stalls.iter().map(move |stall| (round, stall)));
    let cases = cases.map(|(round, (name, reply, kind))| async move {
        let message = format!("{name}, round {round}.");
        let script = Script::turn([reply.clone(), Reply::text("Awake.")]);
        world.fake().script(script.when_user_says(&message));
        let begun = now();
        let (id, events) = read_until(world, &message, |seen| !seen.retries.is_empty()).await?;
        let noticed = now() - begun;
        assert!(
            noticed < LIMIT_SECONDS + MACHINE,
            "{message}: noticed after {noticed} s"
        );
        let retry = &Transcript::of(&events).retries[0];
        assert_eq!(retry["kind"], *kind, "{message}: {retry}");
        let shown = settled(world, &id).await?;
        assert_eq!(shown, [format!("user: {message}"), "assistant: Awake.".to_owned()]);
        anyhow::Ok(())
    });
    try_join_all(cases).await?;
    // We hung up on each of them: nobody keeps a connection to a vendor that says nothing.
    world
        .fake()
        .wait_until(LIMIT, |requests| {
            requests.iter().all(|request| request.outcome != Outcome::InProgress)
        })
        .await?;
    Ok(())
}
