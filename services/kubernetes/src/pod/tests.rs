//! Statuses as clusters write them.

use serde_json::{Value, json};

use super::{Pod, State};

fn state(value: Value) -> State {
    serde_json::from_value::<Pod>(value).unwrap().state()
}

fn container(state: Value) -> Value {
    json!({ "name": "workspace", "image": "shell:1", "state": state })
}

#[test]
fn a_pod_without_news_is_waited_for() {
    assert_eq!(state(json!({})), State::Waiting(String::new()));
    let creating = container(json!({ "waiting": { "reason": "ContainerCreating" } }));
    let State::Waiting(why) = state(json!({ "status": { "phase": "Pending", "containerStatuses": [creating] } }))
    else {
        panic!("it may come up");
    };
    assert!(why.contains("ContainerCreating"), "{why}");
}

#[test]
fn a_pod_whose_containers_run_runs_until_it_is_being_deleted() {
    let running = json!({ "phase": "Running", "containerStatuses": [container(json!({ "running": {} }))] });
    assert_eq!(state(json!({ "status": running })), State::Running);
    let leaving = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" });
    assert_eq!(state(json!({ "metadata": leaving, "status": running })), State::Gone);
}

#[test]
fn a_pod_without_a_place_may_still_get_one() {
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    });
    let State::Waiting(why) = state(json!({ "status": { "phase": "Pending", "conditions": [condition] } })) else {
        panic!("the cluster may grow");
    };
    assert!(why.contains("3 Insufficient memory."), "{why}");
}

#[test]
fn images_that_do_not_come_and_agents_that_fall_are_told_with_their_words() {
    let pull = json!({ "reason": "ImagePullBackOff", "message": "Back-off pulling image \"shell:1\"" });
    let falls = json!({ "reason": "CrashLoopBackOff", "message": "back-off 10s" });
    let mut fallen = container(json!({ "waiting": falls }));
    fallen["lastState"] = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
    for (container, expected) in [
        (container(json!({ "waiting": pull })), ["cannot be pulled", "shell:1"]),
        (fallen, ["exit code 137", "OOMKilled"]),
    ] {
        let status = json!({ "phase": "Pending", "containerStatuses": [container] });
        let State::Broken(why) = state(json!({ "status": status })) else {
            panic!("it does not get up");
        };
        assert!(expected.iter().all(|words| why.contains(words)), "{why}");
    }
}

#[test]
fn an_evicted_pod_says_why() {
    let status = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." });
    let expected = "The pod has ended: Evicted: The node was low on resource: memory.";
    assert_eq!(state(json!({ "status": status })), State::Broken(expected.to_owned()));
}

#[test]
fn a_pod_serves_the_build_it_was_made_for() {
    let pod = |build: &str, phase: &str| -> Pod {
        let metadata = json!({ "annotations": { "tandem/build-id": build } });
        serde_json::from_value(json!({ "metadata": metadata, "status": { "phase": phase } })).unwrap()
    };
    assert!(pod("a", "Pending").is_alive_for("a"));
    assert!(!pod("b", "Pending").is_alive_for("a"), "another build's");
    assert!(!pod("a", "Failed").is_alive_for("a"), "ended");
}
