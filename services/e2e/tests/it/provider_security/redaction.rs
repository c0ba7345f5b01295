//! S23: vendors echo keys, people paste them where they do not belong; no error tells one.

use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, Reply, Script},
    world::{Transcript, World, free_address, id_of},
};

use super::{register, sinks, traces::Collector};
use crate::{LIMIT, Result, tell};

/// Looks like no vendor's key, so that only knowing it helps.
const KEY: &str = "kn0canary0s23f3a9c27e5b81d604";
const MARKER: &str = "canary0s23";
/// Looks like one, and is stored nowhere.
const PASTED: &str = "sk-canary0s23-f3a9c27e5b81d604";
/// Chats at once.
const AT_ONCE: usize = 10;

/// Ways in which vendors have echoed a key.
fn echoes() -> [String; 5] {
    [
        format!("Incorrect API key provided: {KEY}. You can find your API key at https://vendor.example/keys."),
        format!("Authorization: Bearer {KEY} was not accepted"),
        format!("GET https://vendor.example/v1/models?api_key={KEY}&beta=1 failed"),
        format!("upstream said {{\"headers\":{{\"x-api-key\":\"{KEY}\"}}}}"),
        format!("https://user:{KEY}@vendor.example/v1 cannot be reached"),
    ]
}

/// Answers of a vendor that echo the key, each where the answer to a chat belongs.
fn answers() -> Vec<(String, Reply)> {
    let statuses = [
        400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 500, 501, 502, 503, 504, 520, 529,
    ];
    let refusals = statuses
        .into_iter()
        .zip(echoes().into_iter().cycle())
        .map(|(status, echo)| {
            let reply = Reply::fail(status, "some_code")
                .message(echo)
                .header("retry-after-ms", "50")
                .header("x-echo", KEY);
            (format!("status {status}"), reply)
        });
    let echo = &echoes()[0];
    let event = |value: Value| format!("data: {value}\n\n");
    let words = event(json!({ "choices": [{ "delta": { "content": "Well," } }] }));
    let error = |code: &str| event(json!({ "error": { "message": echo, "type": code, "code": code } }));
    let streams = [
        ("an error as the first event", error("invalid_api_key")),
        ("an error in the middle", words.clone() + &error("invalid_api_key")),
        ("an error of the server's", words.clone() + &error("server_error")),
        (
            "an error with a name",
            format!("event: error\ndata: {{\"message\": \"{KEY}\"}}\n\n"),
        ),
        ("an error that is a text", event(json!({ "error": echo }))),
        ("an event that is no JSON", format!("{words}data: {{{KEY}\n\n")),
        ("an event of another shape", event(json!({ "detail": [KEY] }))),
        (
            "a reason nobody knows",
            event(json!({ "choices": [{ "delta": {}, "finish_reason": KEY }] })),
        ),
        ("lines that are no events", format!("{KEY}\n{KEY}\n\n")),
        ("another object", event(json!([KEY]))),
    ];
    let streams = streams.map(|(name, body)| (name.to_owned(), Reply::raw("text/event-stream", body)));
    let page = format!("<html><body>proxy: {KEY}</body></html>");
    let bodies = [
        ("a page", Reply::raw("text/html", page)),
        ("a JSON text", Reply::raw("application/json", format!("\"{KEY}\""))),
        (
            "a JSON error with status 200",
            Reply::raw("application/json", json!({ "error": { "message": echo } }).to_string()),
        ),
        ("a type nobody knows", Reply::raw(format!("application/{KEY}"), KEY)),
    ];
    let bodies = bodies.map(|(name, reply)| (name.to_owned(), reply));
    refusals.chain(streams).chain(bodies).collect()
}

/// What a reader sees of a chat whose vendor answers so.
async fn chat(world: &World, name: &str, reply: &Reply) -> Result<String> {
    let message = format!("Path {name}.");
    world
        .fake()
        .script(Script::turn([reply.clone(), Reply::text("Fine.")]).when_user_says(&message));
    let chat = world.create_chat(&message).await?;
    let stream = world.stream(id_of(&chat)?).await?;
    let rests = |seen: &Transcript| seen.is_settled() || seen.status() == "error";
    let events = stream.wait_until(LIMIT, |events| rests(&Transcript::of(events))).await;
    let events = events.map_err(|error| error.context(message))?;
    Ok(Value::from(events).to_string())
}

/// What a program hears at the endpoints made for it, streamed and not.
async fn program(world: &World, bridge: &str, name: &str, reply: &Reply) -> Result<String> {
    let mut heard = String::new();
    for is_streamed in [false, true] {
        for path in ["/openai/v1/chat/completions", "/anthropic/v1/messages"] {
            let message = format!("Program {name} {is_streamed} {path}.");
            world
                .fake()
                .script(Script::reply(reply.clone()).when_user_says(&message));
            let rest = world.rest().at(bridge);
            let body = json!({
                "model": "fake-model", "stream": is_streamed, "max_tokens": 10, "messages": [{ "role": "user", "content": message }],
            });
            let request = rest
                .request(Method::POST, path)
                .header("anthropic-version", "2023-06-01")
                .json(&body);
            let response = request.send().await?;
            heard.push_str(&format!("{:?}", response.headers()));
            // One that broke off has said what it had to say.
            heard.push_str(&response.text().await.unwrap_or_default());
        }
    }
    Ok(heard)
}

/// Requests with a key where none belongs, or with one that cannot be accepted.
fn pasted(provider: &str) -> Vec<(Method, String, String)> {
    let path = format!("/api/v1/ai/providers/{provider}");
    let new = |change: Value| {
        let mut body = json!({ "type": "openai-compat", "name": "new", "enabled": true, "base_url": "https://models.example.com/v1" });
        if let (Some(body), Some(change)) = (body.as_object_mut(), change.as_object()) {
            body.extend(change.clone());
        }
        (Method::POST, "/api/v1/ai/providers".to_owned(), body.to_string())
    };
    let change = |body: Value| (Method::PATCH, path.clone(), body.to_string());
    let own = "/api/v1/users/me/ai-provider-keys/fake".to_owned();
    let test = |body: Value| (Method::POST, "/api/v1/ai/providers/test".to_owned(), body.to_string());
    vec![
        new(json!({ "base_url": format!("https://models.example.com/v1?key={PASTED}") })),
        new(json!({ "base_url": format!("https://{PASTED}@models.example.com/v1") })),
        new(json!({ "base_url": format!("ftp://user:{PASTED}@models.example.com") })),
        new(json!({ "api_keys": PASTED })),
        new(json!({ "api_keys": [PASTED, PASTED] })),
        new(json!({ "api_keys": [format!("{PASTED}\n")] })),
        new(json!({ "api_keys": [format!("{PASTED}{}", "x".repeat(11_000))] })),
        new(json!({ "api_keys": [{ "key": PASTED }] })),
        new(json!({ "settings": { "api_key": PASTED } })),
        new(json!({ "type": PASTED })),
        new(json!({ "enabled": PASTED })),
        change(json!({ "api_keys": [{ "id": PASTED }] })),
        change(json!({ "api_keys": [{ "id": "x", "api_key": PASTED }] })),
        change(json!({ "api_keys": [{ "api_key": [PASTED] }] })),
        change(json!({ "base_url": format!("https://models.example.com/#{PASTED}") })),
        (
            Method::PATCH,
            path.clone(),
            format!("{{\"api_keys\": [{{\"api_key\": \"{PASTED}\""),
        ),
        (Method::PATCH, path.clone(), PASTED.to_owned()),
        (Method::PUT, own.clone(), json!({ "api_key": [PASTED] }).to_string()),
        (
            Method::PUT,
            own.clone(),
            json!({ "api_key": format!(" {PASTED}") }).to_string(),
        ),
        (Method::PUT, own, format!("\"{PASTED}\"")),
        test(json!({ "type": "openai-compat", "base_url": "http://127.0.0.1:1/v1", "api_key": PASTED })),
        test(
            json!({ "type": "openai-compat", "base_url": format!("http://127.0.0.1:1/{PASTED}?{PASTED}"), "api_key": PASTED }),
        ),
        test(
            json!({ "type": "anthropic", "base_url": "http://no-such-host.invalid/v1", "api_key": format!("{PASTED}\u{e9}") }),
        ),
    ]
}

#[tokio::test]
async fn s23_no_error_tells_a_key_wherever_it_is_looked_for() -> Result {
    let (collector, address) = (Collector::start().await?, free_address()?);
    let world = World::builder()
        .database()
        .env("TANDEM_TELEMETRY__LOG", "debug")
        .env("TANDEM_TELEMETRY__OTLP_ENDPOINT", collector.endpoint())
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "0")
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__FAILURE_THRESHOLD", "100000")
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__RECENT_FAILURES", "100000")
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
        .fake(FakeLlm::builder().key(KEY))
        .start()
        .await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    world.rest().patch(&path, &json!({ "api_keys": [{ "api_key": KEY }], "allow_user_api_key": true, "allow_central_api_key_fallback": true }))
        .await?
        .expect(200)?;
    let (answers, bridge) = (answers(), format!("http://{address}"));
    let mut shown: Vec<(String, String)> = Vec::new();
    for batch in answers.chunks(AT_ONCE) {
        let chats = batch.iter().map(|(name, reply)| {
            let world = &world;
            async move { anyhow::Ok((format!("a chat: {name}"), chat(world, name, reply).await?)) }
        });
        shown.extend(try_join_all(chats).await?);
        let programs = batch.iter().map(|(name, reply)| {
            let (world, bridge) = (&world, &bridge);
            async move { anyhow::Ok((format!("a program: {name}"), program(world, bridge, name, reply).await?)) }
        });
        shown.extend(try_join_all(programs).await?);
    }
    let pasted = pasted(world.provider_id());
    for (method, path, body) in &pasted {
        let answer = world.rest().raw(method.clone(), path, body.clone()).await?;
        assert!(
            answer.status < 500,
            "{method} {path}: {} {}",
            answer.status,
            answer.text
        );
        shown.push((format!("{method} {path} {body}"), answer.text));
    }
    // A connection test whose vendor echoes.
    let echoing = register(
        &world,
        "openai-compat",
        "echoing",
        &format!("{}/nowhere", world.fake().base_url()),
        &[KEY],
    )
    .await?;
    let tested = world
        .rest()
        .post("/api/v1/ai/providers/test", &json!({ "provider_id": echoing }))
        .await?
        .expect(200)?;
    shown.push(("a connection test".to_owned(), tested.to_string()));
    shown.push(("answers".to_owned(), sinks::pages(&world).await?));
    shown.push(("the database's dump".to_owned(), sinks::dump(&world).await?));
    // Spans are sent in batches.
    let started = std::time::Instant::now();
    while !collector.taken().contains("gen_ai") && started.elapsed() < LIMIT {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shown.push(("traces".to_owned(), collector.taken()));
    let logs = world.logs();
    assert!(logs.contains("DEBUG"), "logs are at their most talkative");
    shown.push(("logs".to_owned(), logs));
    let paths = answers.len() + pasted.len() + 1;
    assert!(paths >= 40, "only {paths} paths");
    let told: Vec<String> = shown.iter().filter_map(|(place, text)| excerpt(place, text)).collect();
    assert!(told.is_empty(), "{} places tell a key: {told:#?}", told.len());
    tell(&format!(
        "S23 {paths} error paths, of {} also at 4 endpoints for programs: 0 hits in {} texts",
        answers.len(),
        shown.len()
    ));
    Ok(())
}

/// Where the key stands in a text, with what is around it.
fn excerpt(place: &str, text: &str) -> Option<String> {
    let at = text.find(MARKER)?;
    let start = text.floor_char_boundary(at.saturating_sub(200));
    let end = text.floor_char_boundary((at + 100).min(text.len()));
    Some(format!("{place}: …{}…", &text[start..end]))
}

/// The other half: what is not secret is told, or nobody could mend anything.
#[tokio::test]
async fn s23_what_a_vendor_says_beside_the_key_is_told() -> Result {
    let world = World::start().await?;
    let message = format!("Your key {} has no quota for the green model.", world.fake().api_key());
    world
        .fake()
        .script(Script::reply(Reply::fail(400, "no_quota").message(message)));
    let chat = world.create_chat("Hello").await?;
    let failed = world.wait_for_status(id_of(&chat)?, "error", LIMIT).await?;
    let told = failed["last_error"].as_object().context("an error")?;
    let told = Value::from(told.clone()).to_string();
    assert!(
        told.contains("for the green model") && !told.contains(world.fake().api_key()),
        "{told}"
    );
    Ok(())
}
