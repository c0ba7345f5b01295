//! What rounds with injected tools cost, whatever becomes of the next one, and what is recorded of them.

use super::*;

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

#[tokio::test]
async fn a_later_round_waits_a_moment_for_what_the_one_before_had_set_aside() {
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
        let storage = bridged.world.storage.clone();
        storage.ledger.lock().unwrap().is_limited = true;
        let gate = Arc::new(Semaphore::new(0));
        *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
        bridged.upstream.reply(match kind {
            "openai" => Reply::json(&calls("c1", READ)),
            _ => calls_streamed("c1", READ),
        });
        bridged.upstream.reply(last);
        let asking = tokio::spawn(Answer::of(bridged.post(path, &body)));
        bridged.world.tool_runner.called.notified().await;
        storage.ledger.lock().unwrap().refusal = Some(Fault::rate_limited("SPEND_RESERVED", "wait"));
        gate.add_permits(1);
        super::super::until(&storage.told, || storage.ledger.lock().unwrap().reservations.len() == 2).await;
        storage.ledger.lock().unwrap().refusal = None;
        let answer = asking.await.unwrap();
        assert!(
            answer.status == 200 && answer.text.contains("hello"),
            "{kind}: {} {}",
            answer.status,
            answer.text
        );
        let tools = bridged.tools().await;
        assert!(
            tools[0].is_injected && tools[0].invocation_error.is_empty(),
            "{kind}: {tools:?}"
        );
        assert_eq!(bridged.world.tool_runner.ran().len(), 1, "{kind}: the tool runs once");
    }
}

#[tokio::test]
async fn a_later_round_does_not_wait_for_ever() {
    for (kind, path, body) in [
        ("openai", "/openai/v1/chat/completions", chat("m-1")),
        ("openai-compat", "/anthropic/v1/messages", message()),
    ] {
        let bridged = bridged(kind).await;
        let storage = bridged.world.storage.clone();
        storage.ledger.lock().unwrap().is_limited = true;
        let gate = Arc::new(Semaphore::new(0));
        *bridged.world.tool_runner.gate.lock().unwrap() = Some(Arc::clone(&gate));
        bridged.upstream.reply(match kind {
            "openai" => Reply::json(&calls("c1", READ)),
            _ => calls_streamed("c1", READ),
        });
        let asking = tokio::spawn(Answer::of(bridged.post(path, &body)));
        bridged.world.tool_runner.called.notified().await;
        storage.ledger.lock().unwrap().refusal = Some(Fault::rate_limited("SPEND_RESERVED", "wait"));
        gate.add_permits(1);
        assert_eq!(asking.await.unwrap().status, 429, "{kind}");
        assert_eq!(storage.ledger.lock().unwrap().reservations.len(), 4, "{kind}");
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
