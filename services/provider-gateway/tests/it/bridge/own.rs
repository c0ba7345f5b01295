//! Providers that are only asked with the credential of the user whose program asks.

use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tandem_proto::{
    provider::v1::{CreateProviderRequest, Provider},
    storage::v1::CredentialKind,
};
use uuid::Uuid;

use super::{
    Answer, Bridged, KEYS,
    byok::{OWN, own},
    chat, completion,
    upstream::Reply,
};
use crate::storage::GOOD_TOKEN;

const COPILOT: &str = "/api/v2/aibridge/p0";

async fn copilot() -> Bridged {
    Bridged::start_with("copilot", &[], |_| {}).await
}

/// A provider of OpenAI's kind called `chatgpt`.
async fn chatgpt(bridged: &Bridged) -> Provider {
    let message = CreateProviderRequest {
        r#type: "openai".to_owned(),
        name: "chatgpt".to_owned(),
        is_enabled: true,
        base_url: bridged.provider.base_url.replace("/v1", "/backend-api/codex"),
        ..CreateProviderRequest::default()
    };
    let mut admin = bridged.world.admin.clone();
    let created = admin.create_provider(bridged.world.as_admin(message)).await.unwrap();
    created.into_inner().provider.unwrap()
}

fn as_editor(request: RequestBuilder) -> RequestBuilder {
    request
        .bearer_auth(OWN)
        .header("user-agent", "GitHubCopilotChat/0.3")
        .header("editor-version", "vscode/1.1")
        .header("copilot-integration-id", "vscode-chat")
        .header("x-interaction-id", "session-7")
}

#[tokio::test]
async fn copilot_answers_each_dialect_for_who_brings_a_bearer() {
    let bridged = copilot().await;
    let prompt = json!([{ "role": "user", "content": "hi" }]);
    for (path, body, at_vendor) in [
        (
            "/chat/completions",
            json!({ "model": "gpt-x", "messages": prompt }),
            "/v1/chat/completions",
        ),
        (
            "/responses",
            json!({ "model": "gpt-x", "input": "hi" }),
            "/v1/responses",
        ),
        (
            "/v1/messages",
            json!({ "model": "gpt-x", "max_tokens": 9, "messages": prompt }),
            "/v1/messages",
        ),
    ] {
        bridged.upstream.reply(Reply::json(&json!({ "odd": 1 })));
        let asked = as_editor(own(&bridged, &format!("{COPILOT}{path}"))).json(&body);
        let answer = Answer::of(asked).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "odd": 1 })), "{path}");
        let asked = bridged.upstream.last();
        assert_eq!(
            (asked.path_and_query.as_str(), &asked.json()["model"]),
            (at_vendor, &json!("gpt-x"))
        );
        for (name, value) in [
            ("authorization", format!("Bearer {OWN}").as_str()),
            ("editor-version", "vscode/1.1"),
            ("copilot-integration-id", "vscode-chat"),
        ] {
            assert_eq!(asked.header(name), value, "{path}");
        }
    }
    bridged.check_nothing_leaked();
}

#[tokio::test]
async fn what_is_asked_with_an_own_bearer_is_recorded_as_such_and_paid_by_nobody_here() {
    let bridged = copilot().await;
    bridged.upstream.reply(Reply::json(&completion()));
    let path = format!("{COPILOT}/chat/completions");
    let answer = Answer::of(as_editor(own(&bridged, &path)).json(&chat("gpt-x"))).await;
    assert_eq!(answer.status, 200);
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let start = &recorded.starts[0];
    assert_eq!(
        (start.provider_type.as_str(), start.provider_name.as_str()),
        ("copilot", "p0")
    );
    assert_eq!(
        (start.credential_kind(), start.credential_hint.as_str()),
        (CredentialKind::Byok, "sk-o...6789")
    );
    assert_eq!(
        (
            start.model.as_str(),
            start.client.as_str(),
            start.client_session_id.as_str()
        ),
        ("gpt-x", "GitHub Copilot (VS Code)", "session-7")
    );
    assert_eq!(recorded.token_usages[0].output_tokens, 3);
    assert!(bridged.world.storage.ledger.lock().unwrap().records.is_empty());
    assert!(
        !bridged.world.metrics().contains("gpt-x"),
        "no label is made up by clients"
    );
}

#[tokio::test]
async fn nobody_is_asked_without_an_own_bearer() {
    let bridged = copilot().await;
    chatgpt(&bridged).await;
    let ours = |request: RequestBuilder| request.bearer_auth(GOOD_TOKEN);
    let key = |request: RequestBuilder| request.header("x-api-key", OWN);
    for (path, body) in [
        (format!("{COPILOT}/chat/completions"), chat("gpt-x")),
        (format!("{COPILOT}/agents/a"), Value::Null),
        ("/api/v2/aibridge/chatgpt/v1/chat/completions".to_owned(), chat("gpt-x")),
        ("/api/v2/aibridge/chatgpt/v1/conversations".to_owned(), Value::Null),
        // By the name of its configured model.
        ("/openai/v1/chat/completions".to_owned(), chat("p0/m-1")),
    ] {
        let plain = ours(bridged.client.post(format!("{}{path}", bridged.base)));
        for (case, asked) in [
            plain,
            own(&bridged, &path),
            key(own(&bridged, &path)),
            ours(own(&bridged, &path)),
        ]
        .into_iter()
        .enumerate()
        {
            let answer = Answer::of(asked.json(&body)).await;
            assert_eq!(answer.error(), (401, "invalid_api_key".to_owned()), "{path} {case}");
            assert!(answer.text.contains("X-Coder-AI-Governance-Token"), "{}", answer.text);
        }
    }
    assert!(bridged.upstream.asked().is_empty());
    assert!(bridged.world.storage.recorded.lock().unwrap().starts.is_empty());
}

#[tokio::test]
async fn what_copilot_has_beside_answers_is_handed_on() {
    let bridged = copilot().await;
    for (method, path) in [
        (Method::GET, "/models"),
        (Method::GET, "/models/gpt-x"),
        (Method::POST, "/models/session"),
        (Method::POST, "/agents/a/b?c=d"),
        (Method::DELETE, "/mcp/x"),
        (Method::GET, "/.well-known/oauth"),
    ] {
        bridged.upstream.reply(Reply::new(200, "text/plain", "as it is"));
        let url = format!("{}{COPILOT}{path}", bridged.base);
        let asked = bridged.client.request(method.clone(), url);
        let asked = as_editor(asked.header("x-coder-ai-governance-token", GOOD_TOKEN));
        assert_eq!(Answer::of(asked).await.text, "as it is", "{path}");
        let asked = bridged.upstream.last();
        assert_eq!(
            (asked.method.as_str(), asked.path_and_query.as_str()),
            (method.as_str(), format!("/v1{path}").as_str())
        );
        assert_eq!(asked.header("authorization"), format!("Bearer {OWN}"));
    }
    bridged.upstream.reply(Reply::new(401, "text/plain", "who are you"));
    let refused = Answer::of(as_editor(own(&bridged, &format!("{COPILOT}/agents/a")))).await;
    assert_eq!(
        (refused.status, refused.text.as_str()),
        (401, "who are you"),
        "it is the user's own"
    );
    bridged.check_nothing_leaked();
}

#[tokio::test]
async fn chatgpt_is_asked_below_its_own_address_for_any_model() {
    let bridged = Bridged::start("openai").await;
    chatgpt(&bridged).await;
    bridged.upstream.reply(Reply::json(&json!({ "object": "response" })));
    let asked = own(&bridged, "/api/v2/aibridge/chatgpt/v1/responses")
        .bearer_auth(OWN)
        .header("chatgpt-account-id", "account-1")
        .json(&json!({ "model": "m-1", "input": "hi" }));
    assert_eq!(Answer::of(asked).await.status, 200);
    let asked = bridged.upstream.last();
    assert_eq!(
        asked.path_and_query, "/backend-api/codex/responses",
        "though another provider has the model"
    );
    assert_eq!(
        (asked.header("authorization"), asked.header("chatgpt-account-id")),
        (format!("Bearer {OWN}").as_str(), "account-1")
    );
    assert!(!format!("{:?}", asked.headers).contains(KEYS[0]));
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let start = &recorded.starts[0];
    assert_eq!(
        (
            start.provider_type.as_str(),
            start.provider_name.as_str(),
            start.credential_kind()
        ),
        ("openai", "chatgpt", CredentialKind::Byok)
    );
}

#[tokio::test]
async fn no_chat_uses_what_has_no_key_of_the_deployment() {
    let bridged = copilot().await;
    let model = bridged
        .world
        .storage
        .models
        .lock()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    assert!(bridged.world.complete(Uuid::new_v4(), &model, "hi").await.is_err());
    assert!(bridged.upstream.asked().is_empty());
}
