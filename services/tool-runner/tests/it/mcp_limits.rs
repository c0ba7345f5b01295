//! Servers that hang, flood, crash and refuse: what they cost, and whom.

use std::time::{Duration, Instant};

use serde_json::json;
use tandem_proto::storage::v1::McpServer;
use tandem_proto::tool::v1::*;

use crate::mcp::{World, text};
use crate::mcp_server::{Fault, McpStub};

/// Far less than a server has to answer in, far more than a turn that does not ask it takes.
const AT_ONCE: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_one_turn_its_time_and_is_back_by_itself() {
    let world = World::start_with(|config| config.mcp.rest = Duration::from_millis(300)).await;
    let scope = world.create(world.server()).await;
    world.stub.set(Fault::HangsAtStart);
    assert!(world.names(&scope).await.is_empty());
    let started = Instant::now();
    for _ in 0..5 {
        assert!(world.names(&scope).await.is_empty());
    }
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    world.stub.set(Fault::None);
    let back = async {
        while world.names(&scope).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    assert_eq!(world.names(&scope).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_servers_failure_takes_nothing_from_another() {
    let world = World::start().await;
    let good = McpStub::start().await;
    let first = world.create(world.server()).await;
    let second = world
        .create(McpServer {
            slug: "good".to_owned(),
            url: good.url.clone(),
            ..world.server()
        })
        .await;
    let both = McpScope {
        server_ids: [first.server_ids, second.server_ids].concat(),
        ..second
    };
    for fault in [
        Fault::HangsAtList,
        Fault::Redirects,
        Fault::SpeaksHtml,
        Fault::Unauthorized,
        Fault::HugeList,
        Fault::CrashesAtList,
        Fault::NoJson,
    ] {
        world.stub.set(fault);
        assert_eq!(
            world.names(&both).await,
            ["good__delete_all", "good__echo"],
            "{fault:?}"
        );
        let answer = world.call("good__echo", json!({}), &both).await;
        assert!(!answer.outcome.is_error, "{fault:?} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tools_are_a_bounded_list_of_which_somebody_is_told() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    world.stub.set(Fault::ManyTools);
    assert_eq!(world.names(&scope).await.len(), 128);
    let health = world.tools(&scope.server_ids[0]).await.health.unwrap();
    assert!(health.error.contains("tools were left out"), "{health:?}");
    assert!(health.estimated_tokens > 0, "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_asks_each_time_and_never_waits() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    world.stub.set(Fault::Unauthorized);
    let started = Instant::now();
    for _ in 0..20 {
        assert!(world.names(&scope).await.is_empty());
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(world.stub.count("initialize"), 20, "a refusal is no silence");
    world.stub.set(Fault::None);
    assert_eq!(world.names(&scope).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_that_has_not_begun_is_said_not_to_have_acted() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    for (fault, is_unknown, words) in [
        (Fault::FailsInside, true, "broke halfway (code -32603)"),
        (Fault::GoesOnAlone, true, "no usable answer"),
        (Fault::Crashes, true, "500"),
        (Fault::RefusesCall, false, "403"),
        (Fault::NoSuchMethod, false, "code -32601"),
    ] {
        world.stub.set(fault);
        let answer = world.call("stub__echo", json!({}), &scope).await;
        assert!(answer.outcome.is_error, "{fault:?} {answer:?}");
        assert_eq!(answer.outcome.is_unknown, is_unknown, "{fault:?} {answer:?}");
        assert!(text(&answer).contains(words), "{fault:?} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_told_which_call_it_runs() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    let call = world
        .harness
        .call_with("chat", "call_7", "stub__echo", json!({}), scope);
    call.await.unwrap();
    let seen = world.stub.seen.lock().unwrap();
    let (_, _, params) = seen.iter().rev().find(|(method, ..)| method == "tools/call").unwrap();
    assert_eq!(params["_meta"]["com.coder/tool_call_id"], "call_7", "{params}");
}
