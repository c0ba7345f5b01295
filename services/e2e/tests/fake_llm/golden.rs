//! The exact bytes of answers.

use insta::assert_snapshot;
use serde_json::json;
use tandem_e2e::fake_llm::{Reply, Script, Usage};

use crate::{fake, post, streamed};

#[tokio::test]
async fn a_plain_answer_streams_role_words_finish_usage_and_done() {
    let fake = fake().await;
    fake.script(Script::text("Hello there!"));
    let (status, body) = post(&fake, &streamed("hi")).await;
    assert_eq!(status, 200);
    assert_snapshot!("plain_answer", body);
}

#[tokio::test]
async fn without_include_usage_no_chunk_speaks_of_usage() {
    let fake = fake().await;
    let mut request = streamed("hi");
    request.as_object_mut().unwrap().remove("stream_options");
    let (_, body) = post(&fake, &request).await;
    assert_snapshot!("without_usage", body);
}

#[tokio::test]
async fn a_single_tool_call_comes_in_the_first_chunk() {
    let fake = fake().await;
    fake.script(Script::reply(Reply::call("read_file", json!({ "path": "a\"b.txt" }))));
    let (_, body) = post(&fake, &streamed("read")).await;
    assert_snapshot!("single_tool_call", body);
}

#[tokio::test]
async fn text_and_three_tool_calls_stream_one_after_another() {
    let fake = fake().await;
    let reply = Reply::text("Let me look.")
        .tool_call_with_id("call_a", "read_file", json!({ "path": "a" }))
        .tool_call_with_id("call_b", "execute", json!({ "command": "ls" }))
        .tool_call_raw(Some("call_c".into()), "execute", "{\"command\": ");
    fake.script(Script::reply(reply));
    let (_, body) = post(&fake, &streamed("go")).await;
    assert_snapshot!("text_and_three_tool_calls", body);
}

#[tokio::test]
async fn parallel_tool_calls_alone_follow_a_role_chunk() {
    let fake = fake().await;
    let reply = Reply::call("a", json!({})).tool_call("b", json!({}));
    fake.script(Script::reply(reply));
    let (_, body) = post(&fake, &streamed("go")).await;
    assert_snapshot!("parallel_tool_calls", body);
}

#[tokio::test]
async fn reasoning_usage_details_finish_and_padding() {
    let fake = fake().await;
    let reply = Reply::new()
        .reasoning("think hard")
        .and_text("42")
        .usage_detailed(Usage {
            prompt_tokens: 100,
            completion_tokens: 20,
            cached_tokens: 64,
            reasoning_tokens: 12,
        })
        .finish("length")
        .obfuscated();
    fake.script(Script::reply(reply));
    let (_, body) = post(&fake, &streamed("why")).await;
    assert_snapshot!("reasoning_padded", body);
}

#[tokio::test]
async fn an_answer_in_one_piece_is_indented_json() {
    let fake = fake().await;
    fake.script(Script::reply(
        Reply::text("Hi.").tool_call("execute", json!({ "command": "ls" })),
    ));
    let request = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hi" }] });
    let (status, body) = post(&fake, &request).await;
    assert_eq!(status, 200);
    assert_snapshot!("in_one_piece", body);
}

#[tokio::test]
async fn the_headers_are_the_vendors() {
    let fake = fake().await;
    let mut stream = crate::raw::send(&fake, &streamed("hi")).await;
    let limit = std::time::Duration::from_millis(200);
    let (head, _, end) = crate::raw::read(&mut stream, limit).await;
    assert_eq!(end, crate::raw::End::Silent, "the connection is kept alive");
    let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("date:")).collect();
    assert_snapshot!("headers", head.join("\n"));
}

#[tokio::test]
async fn models_are_listed_and_found_by_name() {
    let fake = fake().await;
    let get = async |path: &str| {
        let url = format!("{}{path}", fake.base_url());
        let request = tandem_e2e::http::client().unwrap().get(url).bearer_auth(fake.api_key());
        request.send().await.unwrap().text().await.unwrap()
    };
    let answers = [
        get("/models").await,
        get("/models/gpt-4o").await,
        get("/models/nope").await,
        get("/nothing").await,
    ];
    assert_snapshot!("models", answers.join("---\n"));
}
