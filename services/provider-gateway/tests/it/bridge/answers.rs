//! Answers handed on as they are.

use serde_json::json;

use super::{Answer, Bridged, KEYS, chat, completion, streamed, upstream::Reply};

const STREAM: &str = concat!(
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":7,\"total_tokens\":27}}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",",
    "\"output\":[],\"usage\":{\"input_tokens\":11,\"output_tokens\":5,\"total_tokens\":16}}}\n\n",
);

#[tokio::test]
async fn an_answer_goes_by_byte_for_byte_and_is_paid() {
    let bridged = Bridged::start("openai").await;
    let body = "{ \"id\":\"x\", \"odd\" : [1.0],  \"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3} }\n";
    let reply = Reply::new(200, "application/json", body).header("x-request-id", "req_1");
    bridged.upstream.reply(reply.header("set-cookie", "a=b"));
    let asked = bridged.post("/openai/v1/chat/completions", &chat("p0/m-1"));
    let asked = asked
        .header("x-coder-chat-id", "1")
        .header("cookie", "tandem_session=x")
        .header("x-forwarded-for", "10.0.0.1")
        .header("user-agent", "probe/1");
    let answer = Answer::of(asked).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, body));
    assert_eq!(answer.headers["x-request-id"], "req_1");
    assert!(!answer.headers.contains_key("set-cookie"));

    let asked = bridged.upstream.last();
    assert_eq!(
        (asked.method.as_str(), asked.path_and_query.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(asked.json(), chat("m-1"), "by the vendor's name");
    assert_eq!(asked.header("authorization"), format!("Bearer {}", KEYS[0]));
    assert_eq!(
        (asked.header("user-agent"), asked.header("content-type")),
        ("probe/1", "application/json")
    );
    bridged.check_nothing_leaked();
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 12, 3, false));
}

#[tokio::test]
async fn a_stream_tells_its_usage_to_us_and_to_clients_that_ask() {
    for asks in [false, true] {
        for bytes in [1, 7, 10_000] {
            let bridged = Bridged::start("openai").await;
            bridged.upstream.reply(Reply::stream(STREAM).cut(bytes));
            let mut body = streamed(chat("m-1"));
            if asks {
                body["stream_options"] = json!({ "include_usage": true });
            }
            let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body)).await;
            let without: String = STREAM
                .split_inclusive("\n\n")
                .filter(|event| !event.contains("\"choices\":[]"))
                .collect();
            let expected = if asks { STREAM } else { without.as_str() };
            assert_eq!((answer.status, answer.text.as_str()), (200, expected), "{bytes}");
            assert_eq!(answer.headers["content-type"], "text/event-stream");
            assert_eq!(
                bridged.upstream.last().json()["stream_options"],
                json!({ "include_usage": true })
            );
            assert_eq!(bridged.paid().await, ("bridge".to_owned(), 20, 7, false));
        }
    }
}

#[tokio::test]
async fn messages_are_handed_to_anthropic_with_its_own_header() {
    let bridged = Bridged::start("anthropic").await;
    bridged.upstream.reply(Reply::stream(MESSAGES).cut(13));
    let body = json!({ "model": "anthropic:m-1", "max_tokens": 9, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let asked = bridged
        .client
        .post(format!("{}/anthropic/v1/messages?beta=true", bridged.base))
        .json(&body);
    let asked = asked
        .header("x-api-key", crate::storage::GOOD_TOKEN)
        .header("anthropic-beta", "b1")
        .header("anthropic-version", "2024-01-01");
    let answer = Answer::of(asked).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, MESSAGES));
    let asked = bridged.upstream.last();
    assert_eq!(asked.path_and_query, "/v1/messages?beta=true");
    assert_eq!(
        (asked.header("anthropic-version"), asked.header("anthropic-beta")),
        ("2024-01-01", "b1")
    );
    assert_eq!(asked.header("x-api-key"), KEYS[0]);
    assert_eq!(asked.json()["model"], "m-1");
    bridged.check_nothing_leaked();
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 9, 4, false));
}

#[tokio::test]
async fn responses_are_handed_to_openai_and_azure() {
    for (kind, path, header) in [
        ("openai", "/v1/responses", "authorization"),
        ("azure", "/v1/responses", "api-key"),
    ] {
        let bridged = Bridged::start(kind).await;
        bridged.upstream.reply(Reply::stream(RESPONSES).cut(5));
        let body = json!({ "model": "m-1", "input": "hi", "stream": true });
        let answer = Answer::of(bridged.post("/openai/v1/responses", &body)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, RESPONSES));
        let asked = bridged.upstream.last();
        assert_eq!((asked.path_and_query.as_str(), asked.json()), (path, body));
        assert!(asked.header(header).ends_with(KEYS[0]));
        assert_eq!(bridged.paid().await, ("bridge".to_owned(), 11, 5, false));
    }
}

#[tokio::test]
async fn a_named_provider_answers_below_its_own_path() {
    let bridged = Bridged::start("openai").await;
    for prefix in ["aibridge", "ai-gateway"] {
        bridged.upstream.reply(Reply::json(&completion()));
        let path = format!("/api/v2/{prefix}/p0/v1/chat/completions");
        let answer = Answer::of(bridged.post(&path, &chat("m-1"))).await;
        assert_eq!((answer.status, answer.json()), (200, completion()));
    }
    let path = "/api/v2/aibridge/nobody/v1/chat/completions";
    assert_eq!(Answer::of(bridged.post(path, &chat("m-1"))).await.error().0, 404);
    let path = "/api/v2/aibridge/p0/v1/messages";
    assert_eq!(
        Answer::of(bridged.post(path, &chat("m-1"))).await.status,
        404,
        "of another family"
    );
}

#[tokio::test]
async fn one_answer_only_is_asked_for() {
    let bridged = Bridged::start("openai-compat").await;
    bridged.upstream.reply(Reply::json(&completion()));
    let mut body = chat("m-1");
    body["n"] = json!(3);
    assert_eq!(
        Answer::of(bridged.post("/openai/v1/chat/completions", &body))
            .await
            .status,
        200
    );
    assert_eq!(bridged.upstream.last().json()["n"], 1);
}

#[tokio::test]
async fn what_is_compressed_goes_by_and_is_estimated() {
    let bridged = Bridged::start("openai").await;
    let bomb = vec![0_u8; 4000];
    let reply = Reply::new(200, "application/json", bomb.clone()).header("content-encoding", "zstd");
    bridged.upstream.reply(reply);
    let asked = bridged.post("/openai/v1/chat/completions", &chat("m-1"));
    let response = asked.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "zstd");
    assert_eq!(response.bytes().await.unwrap(), bomb);
    assert!(!bridged.upstream.last().headers.contains_key("accept-encoding"));
    let (purpose, _, output, is_estimated) = bridged.paid().await;
    assert_eq!((purpose.as_str(), output, is_estimated), ("bridge", 1000, true));
}
