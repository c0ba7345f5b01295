//! The control endpoints and the program around them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tandem_e2e::fake_llm::{RecordedRequest, Reply, Script};

use crate::{fake, post, streamed, text};

async fn control(root: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let response = tandem_e2e::http::client()
        .unwrap()
        .request(method, format!("{root}/__control/{path}"))
        .body(body.to_string())
        .send()
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

#[tokio::test]
async fn scripts_requests_counters_and_reset_work_over_http() {
    let fake = fake().await;
    let root = format!("http://{}", fake.address());
    let scripts = json!([
        { "replies": [{ "items": [{ "text": { "text": "scripted" } }, { "tool_call": { "name": "f", "arguments": "{}" } }] }],
          "matcher": { "last_user_contains": "one" } },
        Script::reply(Reply::text("gated").headers_gate("door")),
    ]);
    let (status, answer) = control(&root, "POST", "scripts", &scripts).await;
    assert_eq!((status, answer), (200, json!({ "scripts": 2 })));
    assert_eq!(text(&post(&fake, &streamed("one")).await.1), "scripted");
    control(&root, "POST", "gates/door/open", &json!({})).await;
    assert_eq!(text(&post(&fake, &streamed("two")).await.1), "gated");

    let (_, answer) = control(&root, "GET", "requests?limit=1", &json!({})).await;
    assert_eq!(answer["older"], 1);
    let requests: Vec<RecordedRequest> = serde_json::from_value(answer["requests"].clone()).unwrap();
    assert_eq!(requests[0].messages()[0]["content"], "two");
    let (_, counters) = control(&root, "GET", "counters", &json!({})).await;
    assert_eq!(counters["one"]["requests"], 1);

    control(&root, "POST", "reset", &json!({})).await;
    let (_, answer) = control(&root, "GET", "requests", &json!({})).await;
    assert_eq!(answer, json!({ "older": 0, "requests": [] }));
}

#[tokio::test]
async fn mistakes_in_scripts_are_told() {
    let fake = fake().await;
    let root = format!("http://{}", fake.address());
    let (status, answer) = control(&root, "POST", "scripts", &json!({ "replys": [] })).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(control(&root, "POST", "nonsense", &json!({})).await.0, 404);
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_serves() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fake-llm"))
        .args(["--port", "0", "--without-keys", "--any-model"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let base_url = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("base_url="))
        .expect("an address");
    let mut request = streamed("hi");
    request["model"] = json!("llama-of-my-own");
    let response = tandem_e2e::http::client()
        .unwrap()
        .post(format!("{base_url}/chat/completions"))
        .json(&request)
        .send()
        .await;
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(response.expect("an answer").status(), 200);
}
