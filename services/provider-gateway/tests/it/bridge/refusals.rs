//! Requests that are not answered, and why.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use http::Method;
use serde_json::json;
use tandem_chassis::status::Fault;
use tandem_proto::provider::v1::UpdateProviderRequest;
use tokio::sync::Semaphore;

use super::{Answer, Bridged, KEYS, chat, completion, streamed, upstream::Reply};

#[tokio::test]
async fn nobody_is_answered_without_a_token() {
    let bridged = Bridged::start("openai").await;
    let url = format!("{}/openai/v1/chat/completions", bridged.base);
    let answer = Answer::of(bridged.client.post(&url).json(&chat("m-1"))).await;
    assert_eq!(answer.error(), (401, "invalid_api_key".to_owned()));
    let bad = || bridged.client.post(&url).bearer_auth("tdm_wrong").json(&chat("m-1"));
    for _ in 0..3 {
        assert_eq!(Answer::of(bad()).await.error(), (401, "invalid_api_key".to_owned()));
    }
    let asked = bridged
        .client
        .post(&url)
        .header("cookie", format!("tandem_session={}", crate::storage::GOOD_TOKEN));
    assert_eq!(
        Answer::of(asked.json(&chat("m-1"))).await.status,
        401,
        "cookies are of browsers"
    );
    let anthropic = bridged.client.post(format!("{}/anthropic/v1/messages", bridged.base));
    let answer = Answer::of(anthropic.json(&chat("m-1"))).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert!(bridged.upstream.asked().is_empty());
    let asked = bridged.world.storage.recorded.lock().unwrap().authentications;
    assert!(
        asked <= 2,
        "a bad token is asked for once in a while, not {asked} times"
    );
}

#[tokio::test]
async fn storage_is_asked_for_tokens_that_could_be_ours_and_not_for_longer_ones() {
    let bridged = Bridged::start("openai").await;
    for (bytes, asked) in [(1025, 0), (1024, 1)] {
        let token = "x".repeat(bytes);
        let request = bridged.client.get(format!("{}/openai/v1/models", bridged.base));
        assert_eq!(Answer::of(request.bearer_auth(token)).await.status, 401);
        assert_eq!(
            bridged.world.storage.recorded.lock().unwrap().authentications,
            asked,
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn a_good_token_is_remembered() {
    let bridged = Bridged::start("openai").await;
    for _ in 0..5 {
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.status, 200);
    }
    assert_eq!(bridged.world.storage.recorded.lock().unwrap().authentications, 1);
}

#[tokio::test]
async fn unknown_models_are_told_in_the_words_of_each_family() {
    let bridged = Bridged::start("openai").await;
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-9"))).await;
    assert_eq!(answer.error(), (404, "model_not_found".to_owned()));
    assert!(answer.text.contains("m-9"));
    let body = json!({ "model": "m-9", "max_tokens": 1, "messages": [] });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn a_model_added_meanwhile_is_found() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    bridged.add_model("m-2");
    let added = async {
        loop {
            bridged.upstream.reply(Reply::json(&completion()));
            let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-2"))).await;
            if answer.status == 200 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::LIMIT, added).await.unwrap();
}

#[tokio::test]
async fn paths_that_are_not_served_are_not_handed_on() {
    let bridged = Bridged::start("openai").await;
    for (method, path) in [
        (Method::POST, "/openai/v1/completions"),
        (Method::POST, "/openai/v1/embeddings"),
        (Method::DELETE, "/openai/v1/models/m-1"),
        (Method::GET, "/openai/v1/chat/completions"),
        (Method::DELETE, "/api/v2/aibridge/p0/v1/models/m-1"),
        (Method::POST, "/api/v2/aibridge/p0/v1/models/m-1"),
        (Method::POST, "/api/v2/aibridge/p0/v1/models"),
        (Method::POST, "/api/v2/aibridge/p0/v1/files"),
        (Method::GET, "/api/v2/aibridge/p0/v1/responses/x%2f..%2ffiles"),
        (Method::GET, "/api/v2/aibridge/p0/v1/organization/keys"),
        (Method::GET, "/"),
        (Method::GET, "/api/v2/users/me"),
    ] {
        let asked = bridged
            .client
            .request(method.clone(), format!("{}{path}", bridged.base));
        let answer = Answer::of(asked.bearer_auth(crate::storage::GOOD_TOKEN)).await;
        assert_eq!(answer.error(), (404, "unknown_url".to_owned()), "{method} {path}");
        let said = format!("route not supported: {method} {path}");
        assert_eq!(answer.json()["error"]["message"], said);
    }
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn a_disabled_provider_is_told_apart() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    let change = UpdateProviderRequest {
        id_or_name: bridged.provider.id.clone(),
        is_enabled: Some(false),
        ..UpdateProviderRequest::default()
    };
    let mut admin = bridged.world.admin.clone();
    admin.update_provider(bridged.world.as_admin(change)).await.unwrap();
    assert_eq!(
        bridged.chat().await.error(),
        (503, "provider_disabled".to_owned()),
        "at once"
    );
    let path = "/api/v2/aibridge/p0/v1/chat/completions";
    let answer = Answer::of(bridged.post(path, &chat("m-1"))).await;
    assert_eq!(answer.error(), (503, "provider_disabled".to_owned()));
    assert_eq!(bridged.upstream.asked().len(), 1);
}

#[tokio::test]
async fn bodies_that_make_no_sense_or_have_no_end_are_refused() {
    let bridged = Bridged::start("openai").await;
    let url = format!("{}/openai/v1/chat/completions", bridged.base);
    let send = |body: Vec<u8>| {
        let asked = bridged.client.post(&url).bearer_auth(crate::storage::GOOD_TOKEN);
        Answer::of(asked.body(body))
    };
    for body in [
        "",
        "{",
        "[]",
        "{\"model\":7}",
        "{\"model\":\"m-1\",\"model\":\"m-1\"}",
        "\u{0}",
    ] {
        assert_eq!(send(body.as_bytes().to_vec()).await.status, 400, "{body:?}");
    }
    let nested = format!(
        "{{\"model\":\"m-1\",\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    bridged.upstream.reply(Reply::json(&completion()));
    assert!(
        matches!(send(nested.into_bytes()).await.status, 200 | 400),
        "and nothing falls over"
    );
    let asked = bridged.client.post(&url).bearer_auth(crate::storage::GOOD_TOKEN);
    let asked = asked.header("content-encoding", "gzip").body("x");
    assert_eq!(Answer::of(asked).await.status, 400);
    let long = vec![b' '; 32 * 1024 * 1024 + 1];
    let asked = bridged
        .client
        .post(&url)
        .bearer_auth(crate::storage::GOOD_TOKEN)
        .body(long);
    // It may be refused before all of it was sent.
    if let Ok(response) = asked.send().await {
        assert_eq!(response.status(), 413);
    }
    let body = json!({ "model": "m-1", "input": "x", "background": true });
    assert_eq!(
        Answer::of(bridged.post("/openai/v1/responses", &body)).await.status,
        501
    );
}

#[tokio::test]
async fn who_has_spent_what_they_may_is_refused_before_the_vendor_is_asked() {
    let bridged = Bridged::start("openai").await;
    {
        let mut ledger = bridged.world.storage.ledger.lock().unwrap();
        ledger.is_limited = true;
        ledger.refusal = Some(Fault::wrong_state(
            "USAGE_LIMIT_EXCEEDED",
            "You have reached your spend limit.",
        ));
    }
    let answer = bridged.chat().await;
    assert_eq!(answer.error(), (403, "insufficient_quota".to_owned()));
    assert!(bridged.upstream.asked().is_empty());
    let ledger = bridged.world.storage.ledger.lock().unwrap();
    let [reservation] = ledger.reservations.as_slice() else {
        panic!("one reservation")
    };
    assert_eq!(reservation.purpose, "bridge");
    assert!(
        reservation.micros > 1,
        "prompt and longest answer at the model's prices"
    );
}

#[tokio::test]
async fn only_configured_models_are_asked_unless_any_may_be() {
    for any_model in [false, true] {
        let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.any_model = any_model).await;
        bridged.upstream.reply(Reply::json(&completion()));
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("p0/brand-new"))).await;
        assert_eq!(answer.status, if any_model { 200 } else { 404 });
        if any_model {
            assert_eq!(bridged.upstream.last().json()["model"], "brand-new");
            assert!(
                !bridged.world.metrics().contains("brand-new"),
                "no label is made up by clients"
            );
        }
    }
}

#[tokio::test]
async fn nothing_new_is_taken_while_the_service_stops() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    bridged.world.drain_gateway();
    // The listener is closed, or says so on a connection it still has.
    let refused = async {
        loop {
            match bridged.post("/openai/v1/chat/completions", &chat("m-1")).send().await {
                Ok(response) if response.status() == 200 => tokio::time::sleep(Duration::from_millis(1)).await,
                Ok(response) => return assert_eq!(response.status(), 503),
                Err(_) => return,
            }
        }
    };
    tokio::time::timeout(super::LIMIT, refused).await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_when_the_service_stops_ends_by_itself_or_at_the_deadline_and_is_recorded() {
    for ends_by_itself in [true, false] {
        let bridged = Bridged::start("openai").await;
        let gate = Arc::new(Semaphore::new(0));
        let begun = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"0123456789\"}}]}\n\n";
        bridged.upstream.reply(Reply::stream(begun).held(&gate));
        let asked = bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")));
        let mut pieces = asked.send().await.unwrap().bytes_stream();
        let mut seen = 0;
        while seen < begun.len() {
            seen += pieces.next().await.unwrap().unwrap().len();
        }
        bridged.world.drain_gateway();
        let refused = async {
            while let Ok(response) = bridged.post("/openai/v1/chat/completions", &chat("m-1")).send().await {
                if response.status() == 503 {
                    return;
                }
            }
        };
        tokio::time::timeout(super::LIMIT, refused).await.unwrap();
        assert_eq!(
            bridged.world.storage.recorded.lock().unwrap().ends.len(),
            0,
            "it goes on"
        );
        if ends_by_itself {
            gate.add_permits(1);
            while let Some(piece) = pieces.next().await {
                piece.expect("it is whole");
            }
        } else {
            bridged.world.stop_gateway();
            let gone = tokio::time::timeout(super::LIMIT, bridged.upstream.dropped.notified());
            gone.await.expect("the vendor notices");
            while let Some(Ok(_)) = pieces.next().await {}
        }
        bridged.recorded(|recorded| recorded.ends.len() == 1).await;
        let recorded = bridged.world.storage.recorded.lock().unwrap();
        let [end] = recorded.ends.as_slice() else {
            panic!("once")
        };
        let answered: Vec<_> = recorded
            .starts
            .iter()
            .filter(|start| start.id == end.interception_id)
            .collect();
        assert_eq!((answered.len(), recorded.starts.len(), end.status), (1, 1, 200));
    }
}
