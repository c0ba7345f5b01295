//! LiteLLM's proxy as a vendor that nobody here wrote: Chat Completions with its own mock answers, and Anthropic Messages in its rendering of
//! what the fake LLM says. Chats and bridged SDK requests go through Tandem to it.
//!
//! Not part of `make test`, for its installation is heavy: `make litellm-test`.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{World, free_address, id_of, lines, text},
};
use tokio::process::{Child, Command};

type Result<T = ()> = anyhow::Result<T>;

/// Where `.ci/litellm` puts the proxy, below the home directory.
const PROGRAM: &str = ".cache/tandem/litellm/bin/litellm";
const KEY: &str = "sk-proxy-0123456789";
/// Answered by the proxy itself.
const MOCK: &str = "mock-model";
const MOCK_ANSWER: &str = "This is the proxy's mock answer.";
/// Answered by the fake LLM, which the proxy asks in another dialect.
const THROUGH: &str = "through-model";
/// From start to the first answer; it takes about 15 s on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);

/// A running proxy. Dropping it ends the process.
struct Proxy {
    root: String,
    _process: Child,
    directory: tempfile::TempDir,
}

impl Proxy {
    async fn start(fake: &FakeLlm) -> Result<Self> {
        let home = std::env::var_os("HOME").context("HOME is not set")?;
        let program = Path::new(&home).join(PROGRAM);
        ensure!(program.exists(), "{} is missing: run `.ci/litellm`", program.display());
        let directory = tempfile::tempdir()?;
        let config = directory.path().join("config.yaml");
        // JSON is YAML.
        let settings = json!({
            "model_list": [
                {
                    "model_name": MOCK,
                    "litellm_params": { "model": "openai/mock", "api_key": "none", "mock_response": MOCK_ANSWER },
                },
                {
                    "model_name": THROUGH,
                    "litellm_params": { "model": "openai/fake-model", "api_base": fake.base_url(), "api_key": fake.api_key() },
                },
            ],
            "general_settings": { "master_key": KEY },
            "litellm_settings": {
                "telemetry": false,
                "drop_params": true,
                "use_chat_completions_url_for_anthropic_messages": true,
            },
        });
        std::fs::write(&config, settings.to_string())?;
        let address = free_address()?;
        let (host, port) = address.rsplit_once(':').context("an address has a port")?;
        let log = std::fs::File::create(directory.path().join("log"))?;
        let process = Command::new(&program)
            .arg("--config")
            .arg(&config)
            .args(["--host", host, "--port", port])
            // It would fetch prices from elsewhere.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("the proxy could not be started")?;
        let proxy = Self {
            root: format!("http://{address}"),
            _process: process,
            directory,
        };
        proxy.wait().await?;
        Ok(proxy)
    }

    async fn wait(&self) -> Result {
        let client = tandem_e2e::http::client()?;
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            let asked = client.get(format!("{}/health/liveliness", self.root)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        bail!("the proxy was not up after {START_LIMIT:?}\n{log}")
    }
}

/// Registers the proxy as a vendor of that type with one model; the model's id.
async fn register(world: &World, kind: &str, base_url: &str, model: &str) -> Result<String> {
    let body = json!({
        "type": kind,
        "name": format!("proxy-{kind}"),
        "display_name": kind,
        "enabled": true,
        "base_url": base_url,
        "api_keys": [KEY],
    });
    let provider = world.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
    let body = json!({
        "ai_provider_id": provider["id"],
        "model": model,
        "display_name": model,
        "context_limit": 128_000,
    });
    let model = world
        .rest()
        .post("/api/v1/chats/model-configs", &body)
        .await?
        .expect(201)?;
    Ok(id_of(&model)?.to_owned())
}

/// One turn of a new chat with that model; its messages as short lines.
async fn turn(world: &World, model: &str, message: &str) -> Result<Vec<String>> {
    let user = world.admin();
    let body = json!({ "organization_id": user.organization_id, "content": text(message), "model_config_id": model });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    world.wait_for_status(id, "waiting", LIMIT).await?;
    Ok(lines(&world.messages(id).await?))
}

/// All text deltas of an event stream, found by where they are in an event.
fn said(stream: &str, pointer: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events
        .filter_map(|event| Some(event.pointer(pointer)?.as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
#[ignore = "needs LiteLLM's proxy: make litellm-test"]
async fn chats_and_sdks_are_served_by_a_vendor_that_nobody_here_wrote() -> Result {
    let world = World::builder().without_provider().start().await?;
    let proxy = Proxy::start(world.fake()).await?;
    let chat = register(&world, "openai-compat", &format!("{}/v1", proxy.root), MOCK).await?;
    let messages = register(&world, "anthropic", &proxy.root, THROUGH).await?;

    let shown = turn(&world, &chat, "Hello").await?;
    assert_eq!(shown, ["user: Hello", &format!("assistant: {MOCK_ANSWER}")]);
    let shown = turn(&world, &messages, "Hello").await?;
    assert_eq!(shown, ["user: Hello", "assistant: You said: Hello"]);

    // Each endpoint in front of each dialect.
    for (model, answer) in [(MOCK, MOCK_ANSWER), (THROUGH, "You said: Hello again")] {
        let question = json!([{ "role": "user", "content": "Hello again" }]);
        let path = "/openai/v1/chat/completions";
        let mut body = json!({ "model": model, "messages": question });
        let whole = world.rest().post(path, &body).await?.expect(200)?;
        assert_eq!(whole["choices"][0]["message"]["content"], answer, "{whole}");
        body["stream"] = json!(true);
        let stream = world.rest().post(path, &body).await?;
        assert_eq!(
            said(&stream.text, "/choices/0/delta/content"),
            answer,
            "{}",
            stream.text
        );

        let path = "/anthropic/v1/messages";
        let mut body = json!({ "model": model, "max_tokens": 100, "messages": question });
        let whole = world.rest().post(path, &body).await?.expect(200)?;
        assert_eq!(whole["content"][0]["text"], answer, "{whole}");
        body["stream"] = json!(true);
        let stream = world.rest().post(path, &body).await?;
        assert_eq!(said(&stream.text, "/delta/text"), answer, "{}", stream.text);
    }
    world.fake().check_no_rejections()
}
