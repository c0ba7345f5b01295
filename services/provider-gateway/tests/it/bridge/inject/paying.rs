//! What rounds with injected tools cost, whatever becomes of the next one, and what is recorded of them.

use super::*;
use crate::storage::Storage;

#[tokio::test]
async fn what_a_round_has_used_is_paid_though_the_next_one_fails() {
    let bridged = bridged("openai").await;
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    bridged.upstream.reply(Reply::new(
        400,
        "application/json",
        r#"{"error":{"message":"too much"}}"#,
    ));
    let answer = bridged.chat().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["message"]),
        (400, &json!("too much"))
    );
    assert_eq!(bridged.paid_each(1).await, [2]);
    bridged.upstream.reply(calls_streamed("c1", READ));
    bridged.upstream.reply(Reply::new(
        500,
        "application/json",
        r#"{"error":{"message":"too much"}}"#,
    ));
    let body = streamed(chat("m-1"));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body)).await;
    assert_eq!(answer.status, 200);
    let last = events(&answer).pop().unwrap();
    assert!(
        last["error"]["message"].as_str().unwrap().contains("status 500"),
        "{last}"
    );
    assert_eq!(bridged.paid_each(2).await, [2, 2]);
    bridged.recorded(|recorded| recorded.ends.len() == 2).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let used: Vec<i64> = recorded.token_usages.iter().map(|usage| usage.output_tokens).collect();
    assert_eq!(used, [2, 2]);
    assert_eq!(recorded.tool_usages.len(), 2);
}

#[tokio::test]
async fn a_program_that_leaves_while_a_tool_runs_has_used_what_it_has() {
    let bridged = bridged("openai").await;
    *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    bridged.upstream.reply(calls_streamed("c1", READ));
    bridged.upstream.reply(Reply::json(&calls("c2", READ)));
    for (count, body) in [(1, streamed(chat("m-1"))), (2, chat("m-1"))] {
        let asking = tokio::spawn(Answer::of(bridged.post("/openai/v1/chat/completions", &body)));
        bridged.world.tool_runner.called.notified().await;
        asking.abort();
        bridged.recorded(|recorded| recorded.ends.len() == count).await;
    }
    assert_eq!(bridged.paid_each(2).await, [2, 2]);
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let statuses: Vec<i32> = recorded.ends.iter().map(|end| end.status).collect();
    assert_eq!(statuses, [200, 499]);
    assert_eq!(recorded.token_usages.len(), 2);
    assert!(recorded.tool_usages.iter().all(|tool| tool.is_injected));
    assert_eq!(bridged.upstream.asked().len(), 2, "nothing more is asked");
}

#[tokio::test]
async fn the_spend_limit_is_asked_before_each_round() {
    let bridged = bridged("openai").await;
    bridged.world.storage.ledger.lock().unwrap().is_limited = true;
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    assert_eq!(bridged.world.storage.ledger.lock().unwrap().reservations.len(), 2);
}

#[tokio::test]
async fn a_round_is_paid_before_its_tools_have_run() {
    for (kind, path, body) in [
        ("openai", "/openai/v1/chat/completions", chat("m-1")),
        ("openai-compat", "/anthropic/v1/messages", message()),
    ] {
        let bridged = bridged(kind).await;
        bridged.world.storage.ledger.lock().unwrap().is_limited = true;
        *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
        bridged.upstream.reply(calls_streamed("c1", READ));
        let asking = tokio::spawn(Answer::of(bridged.post(path, &streamed(body))));
        bridged.world.tool_runner.called.notified().await;
        assert_eq!(bridged.paid_each(1).await, [2], "{kind}");
        asking.abort();
        let tools = bridged.tools().await;
        assert!(
            tools[0].is_injected && tools[0].invocation_error.starts_with("not run to its end"),
            "{kind}: {tools:?}"
        );
        let ledger = bridged.world.storage.ledger.lock().unwrap();
        let counts = (ledger.reservations.len(), ledger.records.len(), ledger.released.len());
        assert_eq!(
            counts,
            (1, 1, 0),
            "{kind}: nothing more is set aside, paid or given back"
        );
    }
}

/// Turns of the runtime, which is one thread, after which nothing within this process has anything to do but to wait.
const TURNS: usize = 1_000;

/// A ledger of a limit that one reservation uses up.
fn narrow(bridged: &Bridged) -> Storage {
    let storage = bridged.world.storage.clone();
    let mut ledger = storage.ledger.lock().unwrap();
    (ledger.is_limited, ledger.is_narrow) = (true, true);
    drop(ledger);
    storage
}

fn reservation_count(storage: &Storage) -> usize {
    storage.ledger.lock().unwrap().reservations.len()
}

/// Waits until somebody tells the ledger something.
async fn settlement(storage: &Storage) {
    super::super::until(&storage.told, || storage.ledger.lock().unwrap().settlements > 0).await;
}

/// Checks that while storage is held back nothing more is set aside, and lets it go on.
async fn nothing_is_asked_until_told(storage: &Storage, gate: &Semaphore) {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    assert_eq!(reservation_count(storage), 1, "what was set aside before still counts");
    *storage.gate.lock().unwrap() = None;
    gate.add_permits(1);
}

#[tokio::test]
async fn a_later_round_begins_when_storage_knows_what_the_one_before_has_cost() {
    for (kind, path, body, last) in [
        (
            "openai",
            "/openai/v1/chat/completions",
            chat("m-1"),
            Reply::json(&completion()),
        ),
        ("openai-compat", "/anthropic/v1/messages", message(), hello()),
    ] {
        let bridged = bridged(kind).await;
        let storage = narrow(&bridged);
        let gate = Arc::new(Semaphore::new(0));
        *storage.gate.lock().unwrap() = Some(Arc::clone(&gate));
        bridged.upstream.reply(match kind {
            "openai" => Reply::json(&calls("c1", READ)),
            _ => calls_streamed("c1", READ),
        });
        bridged.upstream.reply(last);
        let asking = tokio::spawn(Answer::of(bridged.post(path, &body)));
        bridged.world.tool_runner.called.notified().await;
        settlement(&storage).await;
        nothing_is_asked_until_told(&storage, &gate).await;
        let answer = asking.await.unwrap();
        assert!(
            answer.status == 200 && answer.text.contains("hello"),
            "{kind}: {} {}",
            answer.status,
            answer.text
        );
        assert_eq!(reservation_count(&storage), 2, "{kind}: it is asked for once");
        let tools = bridged.tools().await;
        assert!(
            tools[0].is_injected && tools[0].invocation_error.is_empty(),
            "{kind}: {tools:?}"
        );
        assert_eq!(bridged.world.tool_runner.ran().len(), 1, "{kind}: the tool runs once");
    }
}

#[tokio::test]
async fn a_later_round_begins_when_storage_has_taken_what_it_did_not_take_at_first() {
    let bridged = bridged("openai").await;
    let storage = narrow(&bridged);
    storage.ledger.lock().unwrap().outage = Some(Fault::unavailable("DATABASE_BUSY", "busy"));
    let gate = Arc::new(Semaphore::new(0));
    *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
    bridged.upstream.reply(Reply::json(&calls("c1", READ)));
    bridged.upstream.reply(Reply::json(&completion()));
    let asking = tokio::spawn(Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-1"))));
    settlement(&storage).await;
    storage.ledger.lock().unwrap().outage = None;
    gate.add_permits(1);
    let answer = asking.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(reservation_count(&storage), 2, "it is asked for once");
    assert_eq!(bridged.paid_each(2).await, [2, 3]);
}

#[tokio::test]
async fn a_program_that_leaves_behind_its_tools_has_had_them_run() {
    for (kind, path, body) in [
        ("openai", "/openai/v1/chat/completions", chat("m-1")),
        ("openai-compat", "/anthropic/v1/messages", message()),
    ] {
        let bridged = bridged(kind).await;
        let storage = narrow(&bridged);
        *storage.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
        bridged.upstream.reply(calls_streamed("c1", READ));
        let asking = tokio::spawn(Answer::of(bridged.post(path, &streamed(body))));
        settlement(&storage).await;
        let ran = r#"tandem_bridge_injected_tool_invocations_total{server="files",outcome="ok"} 1"#;
        super::super::until(&storage.told, || bridged.world.metrics().contains(ran)).await;
        asking.abort();
        let tools = bridged.tools().await;
        assert!(
            tools[0].is_injected && tools[0].invocation_error.is_empty(),
            "{kind}: {tools:?}"
        );
        assert_eq!(reservation_count(&storage), 1, "{kind}: nothing more was asked for");
    }
}

#[tokio::test]
async fn a_vendor_is_asked_without_tools_when_storage_knows_that_nothing_was_used() {
    let bridged = bridged("openai-compat").await;
    let storage = narrow(&bridged);
    let gate = Arc::new(Semaphore::new(0));
    *storage.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let refusal = r#"{"error":{"message":"this model does not support tools"}}"#;
    bridged.upstream.reply(Reply::new(400, "application/json", refusal));
    bridged.upstream.reply(hello());
    let asking = tokio::spawn(Answer::of(bridged.post("/anthropic/v1/messages", &message())));
    settlement(&storage).await;
    nothing_is_asked_until_told(&storage, &gate).await;
    let answer = asking.await.unwrap();
    assert!(
        answer.status == 200 && answer.text.contains("hello"),
        "{} {}",
        answer.status,
        answer.text
    );
}

#[tokio::test]
async fn a_later_round_in_whose_way_others_are_is_refused_at_once() {
    for (kind, path, body) in [
        ("openai", "/openai/v1/chat/completions", chat("m-1")),
        ("openai-compat", "/anthropic/v1/messages", message()),
    ] {
        let bridged = bridged(kind).await;
        let storage = narrow(&bridged);
        let gate = Arc::new(Semaphore::new(0));
        *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
        bridged.upstream.reply(match kind {
            "openai" => Reply::json(&calls("c1", READ)),
            _ => calls_streamed("c1", READ),
        });
        let asking = tokio::spawn(Answer::of(bridged.post(path, &body)));
        bridged.world.tool_runner.called.notified().await;
        let other = Uuid::new_v4().to_string();
        storage.ledger.lock().unwrap().reserved.insert(other);
        gate.add_permits(1);
        assert_eq!(asking.await.unwrap().status, 429, "{kind}");
        assert_eq!(reservation_count(&storage), 2, "{kind}");
    }
}

#[tokio::test]
async fn what_has_run_is_recorded_so_though_the_model_cannot_be_asked_again() {
    let bridged = bridged("openai-compat").await;
    let gate = Arc::new(Semaphore::new(0));
    *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
    bridged.upstream.reply(calls_streamed("c1", READ));
    let asking = tokio::spawn(Answer::of(bridged.post("/anthropic/v1/messages", &message())));
    bridged.world.tool_runner.called.notified().await;
    bridged.world.drain_gateway();
    gate.add_permits(1);
    assert!(asking.await.unwrap().status >= 500);
    let tools = bridged.tools().await;
    assert!(
        tools[0].is_injected && tools[0].invocation_error.is_empty(),
        "{tools:?}"
    );
}
