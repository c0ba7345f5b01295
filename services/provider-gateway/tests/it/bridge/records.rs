//! What is recorded of exchanges.

use std::time::Duration;

use serde_json::json;
use tandem_chassis::{
    Runtime,
    identity::ServiceSecret,
    status::Fault,
    transport::{Address, Listener},
};
use tandem_proto::storage::v1::CredentialKind;
use tandem_provider_gateway::{Config, RunError};
use uuid::Uuid;

use super::{Answer, Bridged, KEYS, LIMIT, chat, completion, upstream::Reply};

#[tokio::test]
async fn who_asked_what_and_what_came_of_it_is_recorded() {
    let bridged = Bridged::start("anthropic").await;
    let answer = json!({
        "id": "msg_1", "type": "message",
        "content": [{ "type": "thinking", "thinking": "Hm." }, { "type": "text", "text": "secret answer" },
            { "type": "tool_use", "id": "toolu_1", "name": "bash", "input": { "command": "ls" } }],
        "usage": { "input_tokens": 5, "output_tokens": 6, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 8 },
    });
    bridged.upstream.reply(Reply::json(&answer));
    let body = json!({
        "model": "m-1", "max_tokens": 100,
        "metadata": { "user_id": "user_x_account__session_s-1" },
        "messages": [{ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_0", "content": "secret result" },
            { "type": "text", "text": "go on" }] }],
    });
    let asked = bridged
        .post("/anthropic/v1/messages", &body)
        .header("user-agent", "claude-cli/2.0");
    assert_eq!(Answer::of(asked).await.status, 200);
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;

    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let start = &recorded.starts[0];
    assert_eq!(
        (start.initiator_id.as_str(), start.initiator_username.as_str()),
        (Uuid::from_u128(1).to_string().as_str(), "ada")
    );
    assert_eq!((start.credential_id.as_str(), start.model.as_str()), ("token-1", "m-1"));
    assert_eq!(
        (start.provider_type.as_str(), start.provider_name.as_str()),
        ("anthropic", "p0")
    );
    assert_eq!(start.provider_id, bridged.provider.id);
    assert_eq!(
        (start.client.as_str(), start.user_agent.as_str()),
        ("Claude Code", "claude-cli/2.0")
    );
    assert_eq!(
        (
            start.client_session_id.as_str(),
            start.correlating_tool_call_id.as_str()
        ),
        ("s-1", "toolu_0")
    );
    assert_eq!(start.credential_kind(), CredentialKind::Centralized);
    assert_eq!(
        start.credential_hint,
        format!("{}...{}", &KEYS[0][..4], &KEYS[0][KEYS[0].len() - 4..])
    );
    assert_eq!(recorded.user_prompts[0].prompt, "go on");
    assert_eq!(
        (&recorded.ends[0].interception_id, recorded.ends[0].status),
        (&start.id, 200)
    );
    let usage = &recorded.token_usages[0];
    assert_eq!(
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens
        ),
        (5, 6, 7, 8)
    );
    assert_eq!(usage.message_id, "msg_1");
    let tool = &recorded.tool_usages[0];
    assert_eq!(
        (tool.tool_name.as_str(), tool.tool_call_id.as_str()),
        ("bash", "toolu_1")
    );
    assert_eq!(
        (tool.arguments_json.as_str(), tool.is_injected),
        ("{\"command\":\"ls\"}", false)
    );
    assert_eq!(
        (
            recorded.model_thoughts[0].content.as_str(),
            recorded.model_thoughts[0].source.as_str()
        ),
        ("Hm.", "thinking")
    );
    let all = format!(
        "{:?}{:?}{:?}",
        recorded.starts, recorded.tool_usages, recorded.user_prompts
    );
    assert!(
        !all.contains("secret") && !all.contains(KEYS[0]),
        "neither answers nor results nor keys"
    );
}

#[tokio::test]
async fn refused_requests_are_recorded_with_their_status() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::new(500, "application/json", "{}"));
    assert_eq!(bridged.chat().await.status, 500);
    bridged.recorded(|recorded| recorded.ends.len() == 1).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    assert_eq!((recorded.ends[0].status, recorded.token_usages.len()), (500, 0));
}

#[tokio::test]
async fn a_storage_that_does_not_record_breaks_no_exchange() {
    let bridged = Bridged::start("openai").await;
    bridged.world.storage.recorded.lock().unwrap().outage = Some(Fault::internal("UNIMPLEMENTED", "not yet"));
    for _ in 0..20 {
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.status, 200);
    }
    bridged.world.storage.noted.notified().await;
    bridged.world.storage.recorded.lock().unwrap().outage = None;
    bridged.recorded(|recorded| recorded.ends.len() == 20).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    assert_eq!(
        (recorded.starts.len(), recorded.token_usages.len()),
        (20, 20),
        "each once"
    );
}

#[tokio::test]
async fn nothing_is_recorded_where_nobody_wants_it() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.record = false).await;
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(
        Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-1")))
            .await
            .status,
        200
    );
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 12, 3, false));
    assert!(bridged.world.storage.recorded.lock().unwrap().starts.is_empty());
    let metrics = bridged.world.metrics();
    for line in [
        "tandem_bridge_interceptions_total{provider=\"p0\",model=\"m-1\",route=\"chat/completions\",client=\"\",status=\"completed\"} 1",
        "tandem_bridge_interceptions_inflight{route=\"chat/completions\"} 0",
        "tandem_bridge_tokens_total{provider=\"p0\",model=\"m-1\",type=\"output\",client=\"\"} 3",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn what_waits_is_told_before_the_service_ends() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    bridged.world.drain_gateway();
    bridged.recorded(|recorded| recorded.ends.len() == 1).await;
}

#[tokio::test]
async fn what_has_been_kept_long_enough_is_deleted_piece_by_piece() {
    let bridged = Bridged::start("anthropic").await;
    bridged.recorded(|recorded| recorded.prunings.len() >= 2).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    for pruning in &recorded.prunings {
        assert_eq!(pruning.max_age.unwrap().seconds, 60 * 24 * 60 * 60);
        assert!((1..=10_000).contains(&pruning.limit), "{}", pruning.limit);
    }
    assert_eq!(recorded.prunings.len(), 2, "nothing was left after the second piece");
}

#[tokio::test]
async fn a_time_nobody_can_keep_to_is_an_error_at_the_start() {
    for retention in [Duration::from_secs(3_599), Duration::MAX] {
        let mut config = Config::default();
        config.bridge.retention = retention;
        let address = Address::Memory(format!("never served {}", retention.as_secs()));
        let listener = Listener::bind(&address).await.unwrap();
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let ended = tokio::time::timeout(LIMIT, tandem_provider_gateway::run(config, listener, runtime)).await;
        assert!(matches!(ended, Ok(Err(RunError::Retention(_)))), "{ended:?}");
    }
}
