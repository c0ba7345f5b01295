//! What was spent, added up: by whom, on what, and counted once.

use tandem_chassis::identity::User;
use tandem_proto::common::v1::Usage;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use super::record;
use crate::harness::{Harness, reason};
use crate::stage::{Stage, assistant, begins, commits};

/// All of time, as far as tests go.
fn ever() -> (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    (at(0), at(99_999_999_999))
}

fn of(user: &User) -> GetCostSummaryRequest {
    let (start, end) = ever();
    GetCostSummaryRequest {
        user_id: user.id.to_string(),
        start,
        end,
    }
}

impl Harness {
    async fn costs(&self, user: &User) -> GetCostSummaryResponse {
        self.get_cost_summary(user, of(user)).await.unwrap()
    }

    async fn users_like(&self, admin: &User, search: &str, limit: i32, offset: i32) -> (i64, Vec<(String, i64)>) {
        let (start, end) = ever();
        let message = ListUserCostsRequest {
            start,
            end,
            search: search.to_owned(),
            limit,
            offset,
        };
        let listed = self.list_user_costs(admin, message).await.unwrap();
        let users = listed
            .users
            .into_iter()
            .map(|it| (it.username, it.costs.unwrap().cost_micros));
        (listed.count, users.collect())
    }
}

fn measured() -> NewMessage {
    NewMessage {
        usage: Some(Usage {
            input_tokens: Some(100),
            output_tokens: Some(20),
            cache_read_tokens: Some(3),
            cache_creation_tokens: Some(4),
            ..Usage::default()
        }),
        cost_micros: Some(77),
        runtime: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        ..assistant("Done.", &[])
    }
}

#[tokio::test]
async fn an_answer_is_recorded_with_its_message_and_only_once() {
    let stage = Stage::start().await;
    let turn = stage.running("first").await;
    let intent = begins(&turn);
    let completion_id = intent.intent.clone().unwrap().completion_id;
    stage.begin_step(intent).await.unwrap();
    let answer = NewMessage {
        model_config_id: stage.model.clone(),
        ..measured()
    };
    stage
        .commit_step(commits(&turn, vec![answer], StepOutcome::Finish))
        .await
        .unwrap();

    let costs = stage.world.costs(&stage.admin).await;
    let expected = Costs {
        cost_micros: 77,
        call_count: 1,
        priced_call_count: 1,
        input_tokens: 100,
        output_tokens: 20,
        cache_read_tokens: 3,
        cache_creation_tokens: 4,
        runtime: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
    };
    assert_eq!(costs.total, Some(expected));
    let models: Vec<_> = costs
        .models
        .iter()
        .map(|it| (it.model_config_id.as_str(), it.model.as_str(), it.costs))
        .collect();
    assert_eq!(models, [(stage.model.as_str(), "demo", Some(expected))]);
    let chats: Vec<_> = costs
        .chats
        .iter()
        .map(|it| (it.root_chat_id.as_str(), it.title.as_str(), it.costs))
        .collect();
    assert_eq!(chats, [(turn.chat.as_str(), "first", Some(expected))]);

    // Who made the completion tells the same, later or for the second time.
    let told = UsageRecord {
        completion_id,
        chat_id: turn.chat.clone(),
        ..record(&stage.admin, 77)
    };
    stage.world.settle(vec![told.clone()]).await.unwrap();
    stage.world.settle(vec![told]).await.unwrap();
    assert_eq!(stage.world.costs(&stage.admin).await.total, Some(expected));
}

#[tokio::test]
async fn a_record_that_came_before_the_message_is_the_one_that_counts() {
    let stage = Stage::start().await;
    let turn = stage.running("first").await;
    let intent = begins(&turn);
    let told = UsageRecord {
        completion_id: intent.intent.clone().unwrap().completion_id,
        chat_id: turn.chat.clone(),
        root_chat_id: turn.chat.clone(),
        model_config_id: stage.model.clone(),
        ..record(&stage.admin, 78)
    };
    stage.begin_step(intent).await.unwrap();
    stage.world.settle(vec![told]).await.unwrap();
    let answer = NewMessage {
        model_config_id: stage.model.clone(),
        ..measured()
    };
    stage
        .commit_step(commits(&turn, vec![answer], StepOutcome::Finish))
        .await
        .unwrap();
    let total = stage.world.costs(&stage.admin).await.total.unwrap();
    assert_eq!((total.cost_micros, total.call_count), (78, 1));
}

#[tokio::test]
async fn what_has_no_price_is_counted_and_costs_nothing() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let unpriced = UsageRecord {
        cost_micros: None,
        ..record(&admin, 0)
    };
    let other = UsageRecord {
        model_config_id: Uuid::from_u128(8).to_string(),
        ..record(&admin, 5)
    };
    world.settle(vec![record(&admin, 40), unpriced, other]).await.unwrap();
    let costs = world.costs(&admin).await;
    let total = costs.total.unwrap();
    assert_eq!(
        (
            total.cost_micros,
            total.call_count,
            total.priced_call_count,
            total.input_tokens
        ),
        (45, 3, 2, 30)
    );
    let by_model: Vec<_> = costs.models.iter().map(|it| it.costs.unwrap().cost_micros).collect();
    assert_eq!(by_model, [40, 5], "the dearest first");
    let by_chat: Vec<_> = costs
        .chats
        .iter()
        .map(|it| (it.root_chat_id.as_str(), it.costs.unwrap().call_count))
        .collect();
    assert_eq!(by_chat, [("", 3)], "calls outside chats are one line");
}

#[tokio::test]
async fn a_range_begins_with_its_start_and_stops_before_its_end() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let id: Uuid = world.spend(&admin, 9).await.parse().unwrap();
    sqlx::query("UPDATE usage_records SET ended_at = to_timestamp(1000) WHERE completion_id = $1")
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    for (start, end, expected) in [(1_000, 1_001, 9), (999, 1_000, 0), (1_001, 1_002, 0), (0, 2_000, 9)] {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let message = GetCostSummaryRequest {
            start: at(start),
            end: at(end),
            ..of(&admin)
        };
        let total = world.get_cost_summary(&admin, message).await.unwrap().total.unwrap();
        assert_eq!(total.cost_micros, expected, "{start}..{end}");
    }
    let backwards = GetCostSummaryRequest {
        start: of(&admin).end,
        end: of(&admin).start,
        ..of(&admin)
    };
    assert_eq!(
        reason(world.get_cost_summary(&admin, backwards).await),
        "INVALID_REQUEST"
    );
}

#[tokio::test]
async fn administrators_see_what_everybody_spends_and_others_only_their_own() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let mio = world.member(&admin, "mio").await;
    let zoe = world.member(&admin, "z_oe").await;
    world.member(&admin, "thrifty").await;
    for (user, micros) in [(&mia, 5), (&mia, 6), (&mio, 50), (&zoe, 11)] {
        world.spend(user, micros).await;
    }
    let all = [("mio", 50), ("mia", 11), ("z_oe", 11)].map(|(name, micros)| (name.to_owned(), micros));
    assert_eq!(world.users_like(&admin, "", 0, 0).await, (3, all.to_vec()));
    assert_eq!(world.users_like(&admin, "", 1, 1).await, (3, all[1..2].to_vec()));
    assert_eq!(world.users_like(&admin, "MI", 10, 0).await, (2, all[..2].to_vec()));
    assert_eq!(world.users_like(&admin, "_", 10, 0).await, (1, all[2..].to_vec()));
    assert_eq!(world.users_like(&admin, "", 10, 9).await, (3, Vec::new()));

    assert_eq!(
        world
            .get_cost_summary(&admin, of(&mia))
            .await
            .unwrap()
            .total
            .unwrap()
            .cost_micros,
        11
    );
    assert_eq!(world.costs(&mia).await.total.unwrap().cost_micros, 11);
    assert_eq!(reason(world.get_cost_summary(&mia, of(&mio)).await), "ADMIN_ONLY");
    let (start, end) = ever();
    let list = ListUserCostsRequest {
        start,
        end,
        ..ListUserCostsRequest::default()
    };
    assert_eq!(reason(world.list_user_costs(&mia, list).await), "ADMIN_ONLY");
}
