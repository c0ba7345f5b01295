//! Callers who bring their own vendor credential.

use serde_json::json;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::CredentialKind;

use super::{
    Answer, Bridged, KEYS, PRICED, chat, completion,
    upstream::{Reply, Upstream},
};
use crate::storage::GOOD_TOKEN;

pub const OWN: &str = "sk-own-canary-0123456789";

pub fn own(bridged: &Bridged, path: &str) -> reqwest::RequestBuilder {
    let asked = bridged.client.post(format!("{}{path}", bridged.base));
    asked.header("x-coder-ai-governance-token", GOOD_TOKEN)
}

#[tokio::test]
async fn an_own_credential_takes_the_place_of_ours_and_costs_nothing_here() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    let asked = own(&bridged, "/openai/v1/chat/completions").bearer_auth(OWN);
    assert_eq!(Answer::of(asked.json(&chat("m-1"))).await.status, 200);
    let asked = bridged.upstream.last();
    assert_eq!(asked.header("authorization"), format!("Bearer {OWN}"));
    assert!(!format!("{:?}", asked.headers).contains(KEYS[0]));
    bridged.check_nothing_leaked();
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    {
        let recorded = bridged.world.storage.recorded.lock().unwrap();
        assert_eq!(recorded.starts[0].credential_kind(), CredentialKind::Byok);
        assert_eq!(recorded.starts[0].credential_hint, "sk-o...6789");
    }
    // What was used is known all the same, at no cost: the caller pays the vendor.
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 12, 3, false));
    assert_eq!(
        bridged.world.storage.ledger.lock().unwrap().records[0].cost_micros,
        Some(0)
    );
}

#[tokio::test]
async fn what_an_own_credential_uses_is_recorded_and_counts_towards_no_limit() {
    // As it is, and by way of the neutral request.
    for (kind, path) in [
        ("openai", "/openai/v1/chat/completions"),
        ("anthropic", "/openai/v1/chat/completions"),
    ] {
        let bridged = Bridged::start(kind).await;
        {
            let mut ledger = bridged.world.storage.ledger.lock().unwrap();
            ledger.is_limited = true;
            ledger.refusal = Some(Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "spent"));
        }
        bridged.upstream.reply(Reply::json(&match kind {
            "openai" => completion(),
            _ => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn",
                "content": [{ "type": "text", "text": "hello" }],
                "usage": { "input_tokens": 12, "output_tokens": 3 },
            }),
        }));
        let asked = own(&bridged, path).bearer_auth(OWN).json(&chat("m-1"));
        assert_eq!(Answer::of(asked).await.status, 200, "{kind}: no limit of ours holds");
        assert_eq!(bridged.paid().await, ("bridge".to_owned(), 12, 3, false), "{kind}");
        let ledger = bridged.world.storage.ledger.lock().unwrap();
        assert_eq!(ledger.records[0].cost_micros, Some(0), "{kind}");
        assert!(ledger.reservations.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn a_refusal_of_an_own_credential_is_the_callers_own() {
    let bridged = Bridged::start("openai").await;
    bridged
        .upstream
        .reply(Reply::new(401, "application/json", "{\"error\":{\"message\":\"no\"}}"));
    let asked = own(&bridged, "/openai/v1/chat/completions").bearer_auth(OWN);
    assert_eq!(Answer::of(asked.json(&chat("m-1"))).await.status, 401);
    assert_eq!(bridged.upstream.asked().len(), 1, "no key of ours is tried instead");
}

#[tokio::test]
async fn an_own_anthropic_key_or_token_goes_where_it_came() {
    let bridged = Bridged::start("anthropic").await;
    let body = json!({ "model": "m-1", "max_tokens": 1, "messages": [{ "role": "user", "content": "x" }] });
    bridged.upstream.reply(Reply::json(&json!({ "type": "message" })));
    let asked = own(&bridged, "/anthropic/v1/messages").header("x-api-key", OWN);
    assert_eq!(Answer::of(asked.json(&body)).await.status, 200);
    let asked = bridged.upstream.last();
    assert_eq!((asked.header("x-api-key"), asked.header("authorization")), (OWN, ""));
    bridged.upstream.reply(Reply::json(&json!({ "type": "message" })));
    let asked = own(&bridged, "/anthropic/v1/messages").bearer_auth(OWN);
    assert_eq!(Answer::of(asked.json(&body)).await.status, 200);
    let asked = bridged.upstream.last();
    assert_eq!(
        (asked.header("x-api-key"), asked.header("authorization")),
        ("", format!("Bearer {OWN}").as_str())
    );
}

#[tokio::test]
async fn nobody_else_is_asked_with_our_keys_for_who_brings_their_own() {
    let bridged = Bridged::start("openai-compat").await;
    let (spare, at) = Upstream::start().await;
    let other = bridged.world.provider("openai", &format!("{at}/v1"), &KEYS).await;
    let fallback = bridged.world.model(&other, PRICED);
    {
        let mut models = bridged.world.storage.models.lock().unwrap();
        for (id, model) in models.iter_mut() {
            if *id == fallback {
                model.model = "spare".to_owned();
            } else {
                model.call_config_json = json!({ "fallbacks": [fallback] }).to_string();
            }
        }
    }
    let body = json!({ "model": "m-1", "max_tokens": 1, "messages": [{ "role": "user", "content": "x" }] });
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    let asked = own(&bridged, "/anthropic/v1/messages").bearer_auth(OWN).json(&body);
    assert_eq!(Answer::of(asked).await.status, 503);
    assert_eq!(bridged.upstream.last().header("authorization"), format!("Bearer {OWN}"));
    assert_eq!(spare.asked().len(), 0);
    // With ours the other one answers.
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(Reply::json(&completion()));
    assert_eq!(
        Answer::of(bridged.post("/anthropic/v1/messages", &body)).await.status,
        200
    );
    assert_eq!(spare.asked().len(), 1);
}

#[tokio::test]
async fn a_token_of_ours_in_a_credentials_place_is_no_credential() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    let asked = own(&bridged, "/openai/v1/chat/completions")
        .bearer_auth(GOOD_TOKEN)
        .header("x-made-up", format!("Token {GOOD_TOKEN}"))
        .header("x-kept", "sk-of-somebody");
    assert_eq!(Answer::of(asked.json(&chat("m-1"))).await.status, 200);
    let asked = bridged.upstream.last();
    assert_eq!(asked.header("authorization"), format!("Bearer {}", KEYS[0]));
    assert_eq!(
        (asked.header("x-made-up"), asked.header("x-kept")),
        ("", "sk-of-somebody")
    );
    bridged.check_nothing_leaked();
}

#[tokio::test]
async fn without_an_own_credential_ours_is_used() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    let asked = own(&bridged, "/openai/v1/chat/completions");
    assert_eq!(Answer::of(asked.json(&chat("m-1"))).await.status, 200);
    assert_eq!(
        bridged.upstream.last().header("authorization"),
        format!("Bearer {}", KEYS[0])
    );
}

#[tokio::test]
async fn own_credentials_can_be_forbidden() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.allow_byok = false).await;
    let asked = own(&bridged, "/openai/v1/chat/completions").bearer_auth(OWN);
    assert_eq!(Answer::of(asked.json(&chat("m-1"))).await.status, 403);
    assert!(bridged.upstream.asked().is_empty());
}
