//! The bridge as programs see it: its own listener in front, a vendor behind that remembers everything it is sent.

mod answers;
mod byok;
mod fallback;
mod forward;
mod inject;
mod limits;
mod own;
mod passing;
#[path = "../../../e2e/src/world/ports.rs"]
mod ports;
mod records;
mod refusals;
mod secured;
mod translated;
mod trouble;
mod upstream;

use std::{sync::Arc, time::Duration};

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tandem_proto::{
    common::v1::ModelConfig,
    provider::v1::{Provider, UpdateProviderRequest},
};
use tandem_provider_gateway::Config;
use tokio::sync::Notify;
use uuid::Uuid;

use self::{
    ports::free_address,
    upstream::{Asked, Upstream},
};
use crate::{
    storage::{GOOD_TOKEN, Recorded},
    world::World,
};

/// For anything that happens by itself, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// The keys of the provider.
const KEYS: [&str; 2] = ["sk-central-canary-one-0123456789", "sk-central-canary-two-0123456789"];

/// Prices, so that what is used costs something.
const PRICED: &str = r#"{"cost":{"input_price_per_million_tokens":"1","output_price_per_million_tokens":"10"}}"#;

/// A bridge with one provider.
struct Bridged {
    world: World,
    upstream: Upstream,
    provider: Provider,
    client: reqwest::Client,
    base: String,
}

impl Bridged {
    /// A provider of that kind with a model `m-1`.
    async fn start(kind: &str) -> Self {
        Self::start_with(kind, &KEYS, |_| {}).await
    }

    async fn start_with(kind: &str, keys: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let (upstream, vendor) = Upstream::start().await;
        let base = format!("http://{}", free_address().unwrap());
        let world = World::start_with(|config| {
            config.bridge.listen = Some(base.parse().unwrap());
            change(config);
        })
        .await;
        let provider = world.provider(kind, &format!("{vendor}/v1"), keys).await;
        world.model(&provider, PRICED);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            world,
            upstream,
            provider,
            client,
            base,
        }
    }

    /// One more model of the provider.
    fn add_model(&self, name: &str) {
        let id = self.world.model(&self.provider, PRICED);
        let mut models = self.world.storage.models.lock().unwrap();
        let model = ModelConfig {
            model: name.to_owned(),
            ..models[&id].clone()
        };
        models.insert(id, model);
    }

    /// Lets the provider run one answer at a time.
    async fn narrow(&self) {
        let change = UpdateProviderRequest {
            id_or_name: self.provider.id.clone(),
            max_concurrent: Some(1),
            ..UpdateProviderRequest::default()
        };
        self.world.update(change).await.unwrap();
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.base));
        request.bearer_auth(GOOD_TOKEN).json(body)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(GOOD_TOKEN)
    }

    /// Asks for an answer of `m-1` by Chat Completions.
    async fn chat(&self) -> Answer {
        Answer::of(self.post("/openai/v1/chat/completions", &chat("m-1"))).await
    }

    /// Waits until what was recorded satisfies `met`.
    async fn recorded(&self, met: impl Fn(&Recorded) -> bool) {
        let storage = &self.world.storage;
        until(&storage.noted, || met(&storage.recorded.lock().unwrap())).await;
    }

    /// Waits until something was told to the ledger; the only record, with its purpose and its tokens.
    async fn paid(&self) -> (String, i64, i64, bool) {
        let storage = &self.world.storage;
        until(&storage.told, || !storage.ledger.lock().unwrap().records.is_empty()).await;
        let ledger = storage.ledger.lock().unwrap();
        let [record] = ledger.records.as_slice() else {
            panic!("one record, not {:?}", ledger.records)
        };
        assert_eq!(record.owner_id, Uuid::from_u128(1).to_string());
        let usage = record.usage.unwrap_or_default();
        let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
        (record.purpose.clone(), input, output, record.is_estimated)
    }

    /// Nothing of ours is in what the vendor was sent.
    fn check_nothing_leaked(&self) {
        for asked in self.upstream.asked() {
            check_nothing_of_ours(&asked);
        }
    }
}

fn check_nothing_of_ours(asked: &Asked) {
    let headers = format!("{:?}", asked.headers);
    let body = String::from_utf8_lossy(&asked.body);
    for text in [
        GOOD_TOKEN,
        "x-coder",
        "x-tandem",
        "coder-session",
        "cookie",
        "x-forwarded",
    ] {
        assert!(
            !headers.contains(text) && !body.contains(text),
            "{text} in {headers} {body}"
        );
    }
}

async fn until(told: &Arc<Notify>, met: impl Fn() -> bool) {
    let waiting = async {
        while !met() {
            // Told or not, it is looked at: a notification may have come before.
            let _ = tokio::time::timeout(Duration::from_millis(50), told.notified()).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("it happens in time");
}

/// A request for an answer.
fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi there" }] })
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

/// A whole answer in Chat Completions.
fn completion() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m-1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15 },
    })
}

/// What a program gets.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    async fn read(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Status and code of an error in OpenAI's shape.
    fn error(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code)
    }
}
