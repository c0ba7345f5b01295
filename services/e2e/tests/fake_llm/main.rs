//! The fake LLM server itself: golden bytes, validation, faults on the socket, gates and the control endpoints.

mod control;
mod faults;
mod golden;
mod raw;
mod scripts;
mod validation;

use serde_json::{Value, json};
use tandem_e2e::fake_llm::FakeLlm;

/// `created` in every golden answer.
const CREATED: u64 = 1_700_000_000;

async fn fake() -> FakeLlm {
    let builder = FakeLlm::builder().created(CREATED);
    builder.start().await.expect("a free port")
}

/// A streamed request with usage and one user message.
fn streamed(text: &str) -> Value {
    json!({
        "model": "fake-model",
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": text }],
    })
}

/// Posts a completion request; status and whole body.
async fn post(fake: &FakeLlm, body: &Value) -> (u16, String) {
    let response = tandem_e2e::http::client()
        .unwrap()
        .post(format!("{}/chat/completions", fake.base_url()))
        .bearer_auth(fake.api_key())
        .json(body)
        .send()
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    (status, response.text().await.expect("a whole body"))
}

/// The `data:` payloads of a stream but `[DONE]`.
fn events(body: &str) -> Vec<Value> {
    body.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).expect("JSON in every event"))
        .collect()
}

/// The answer text a client would put together.
fn text(body: &str) -> String {
    events(body)
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect()
}
