//! Which reply answers which request, and what is counted.

use std::time::Duration;

use serde_json::json;
use tandem_e2e::fake_llm::{Counters, Outcome, Reply, Script};

use crate::{fake, post, streamed, text};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn without_a_script_the_last_user_message_is_echoed() {
    let fake = fake().await;
    assert_eq!(
        text(&post(&fake, &streamed("héllo  wörld")).await.1),
        "You said: héllo  wörld"
    );
}

#[tokio::test]
async fn parallel_chats_have_their_own_scripts() {
    let fake = fake().await;
    fake.script(Script::turn([Reply::text("a1"), Reply::text("a2")]).when_user_says("chat A"));
    fake.script(Script::text("b1").when_user_says("chat B").named("bee"));
    fake.script(Script::always(Reply::text("mini")).when_model("gpt-4o-mini"));
    let ask = async |what: &str| text(&post(&fake, &streamed(what)).await.1);
    assert_eq!(ask("chat B please").await, "b1");
    assert_eq!(ask("chat A please").await, "a1");
    assert_eq!(ask("chat A please").await, "a2");
    assert_eq!(ask("chat A please").await, "You said: chat A please");
    let mut mini = streamed("chat B");
    mini["model"] = json!("gpt-4o-mini");
    for _ in 0..3 {
        assert_eq!(text(&post(&fake, &mini).await.1), "mini");
    }
    assert_eq!(fake.scripts_left(), 1);
    assert_eq!(fake.requests()[0].script, "bee");
}

#[tokio::test]
async fn looping_tools_calls_a_tool_each_step_and_ends_with_text() {
    let fake = fake().await;
    fake.script(Script::loop_tools(3));
    let mut reasons = Vec::new();
    for _ in 0..4 {
        let body = post(&fake, &streamed("loop")).await.1;
        let reason = crate::events(&body)
            .iter()
            .find_map(|event| event["choices"][0]["finish_reason"].as_str().map(str::to_owned));
        reasons.push(reason.expect("a finish reason"));
    }
    assert_eq!(reasons, ["tool_calls", "tool_calls", "tool_calls", "stop"]);
}

#[tokio::test]
async fn a_gate_holds_the_rest_until_it_is_opened() {
    let fake = fake().await;
    fake.script(Script::reply(Reply::text("before").gate("g").and_text(" after")));
    let answer = {
        let base_url = fake.base_url();
        let key = fake.api_key();
        tokio::spawn(async move {
            let request = tandem_e2e::http::client()
                .unwrap()
                .post(format!("{base_url}/chat/completions"))
                .bearer_auth(key)
                .json(&streamed("hi"));
            request.send().await.unwrap().text().await.unwrap()
        })
    };
    fake.wait_at_gate("g", LIMIT).await.expect("held");
    assert_eq!(fake.requests()[0].outcome, Outcome::InProgress);
    assert_eq!(fake.requests()[0].tokens_sent, 1);
    assert!(!answer.is_finished());
    fake.open("g");
    assert_eq!(text(&answer.await.unwrap()), "before after");
}

#[tokio::test]
async fn conversations_are_counted_apart() {
    let fake = fake().await;
    post(&fake, &streamed("first")).await;
    post(&fake, &streamed("first")).await;
    post(&fake, &streamed("second one")).await;
    let expected = Counters {
        requests: 2,
        completed: 2,
        // "You", " said:", " first" twice; the prompt is 4 plus two for "first".
        prompt_tokens: 12,
        completion_tokens: 6,
        ..Counters::default()
    };
    fake.wait_until(LIMIT, |r| r.iter().all(|r| r.outcome == Outcome::Completed))
        .await
        .expect("all done");
    assert_eq!(fake.counters("first"), expected);
    assert_eq!(fake.counters("second one").completion_tokens, 4);
    assert_eq!(fake.counters("third"), Counters::default());
}

#[tokio::test]
async fn ids_differ_between_requests_and_calls() {
    let fake = fake().await;
    let reply = Reply::call("a", json!({})).tool_call("b", json!({}));
    fake.script(Script::turn([reply.clone(), reply]));
    let mut ids = Vec::new();
    for _ in 0..2 {
        for event in crate::events(&post(&fake, &streamed("x")).await.1) {
            let id = event["choices"][0]["delta"]["tool_calls"][0]["id"].as_str();
            ids.extend(id.map(str::to_owned));
        }
    }
    assert_eq!(ids.len(), 4);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| id.starts_with("call_") && id.len() == 29));
}
