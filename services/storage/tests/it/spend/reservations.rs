//! What is set aside for calls under way: never more than the limit leaves, however many ask at once.

use tandem_chassis::identity::ServiceName::{Gateway, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use tokio::task::JoinSet;
use tonic::{Response, Status};
use uuid::Uuid;

use super::record;
use crate::harness::{Harness, reason};

const LIMIT: i64 = 1_000;

fn asks(user: &User, completion: Uuid, micros: i64) -> ReserveSpendRequest {
    ReserveSpendRequest {
        completion_id: completion.to_string(),
        owner_id: user.id.to_string(),
        chat_id: String::new(),
        micros,
        ttl: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        purpose: "answer".to_owned(),
    }
}

impl Harness {
    async fn reserve(&self, message: ReserveSpendRequest) -> Result<bool, Status> {
        let request = self.of(ProviderGateway, message);
        self.usage
            .clone()
            .reserve_spend(request)
            .await
            .map(|answer: Response<_>| answer.into_inner().is_limited)
    }

    async fn release(&self, completions: &[Uuid]) {
        let message = SettleSpendRequest {
            records: Vec::new(),
            released_completion_ids: completions.iter().map(Uuid::to_string).collect(),
        };
        self.usage
            .clone()
            .settle_spend(self.of(ProviderGateway, message))
            .await
            .unwrap();
    }

    async fn limited(&self) -> (User, User) {
        let admin = self.bootstrap().await;
        let mia = self.member(&admin, "mia").await;
        self.limit(&admin, LIMIT, SpendPeriod::Month).await;
        (admin, mia)
    }

    async fn reserved(&self, user: &User) -> i64 {
        self.status(user).await.unwrap().reserved_micros
    }

    /// Asks for all of these at once; the amounts that were granted, and why others were refused.
    async fn reserve_at_once(&self, user: &User, amounts: &[i64]) -> (Vec<i64>, Vec<String>) {
        let mut asking = JoinSet::new();
        for micros in amounts.iter().copied() {
            let (mut usage, request) = (
                self.usage.clone(),
                self.of(ProviderGateway, asks(user, Uuid::new_v4(), micros)),
            );
            asking.spawn(async move { usage.reserve_spend(request).await.map(|_| micros) });
        }
        let (granted, refused): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().partition(Result::is_ok);
        (
            granted.into_iter().flatten().collect(),
            refused.into_iter().map(reason).collect(),
        )
    }
}

#[tokio::test]
async fn fifty_calls_at_once_reserve_no_more_than_the_limit() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    world.spend(&mia, 100).await;
    let (granted, refused) = world.reserve_at_once(&mia, &[100; 50]).await;
    assert_eq!(granted, [100; 9]);
    assert_eq!(refused, vec!["SPEND_RESERVED"; 41]);
    let status = world.status(&mia).await.unwrap();
    assert_eq!((status.spent_micros, status.reserved_micros), (100, 900));
}

#[tokio::test]
async fn reservations_of_any_size_overshoot_by_less_than_one_of_them() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    for round in 0..8_i64 {
        // Any numbers will do, as long as they differ.
        let amounts: Vec<i64> = (0..10 + 2 * round)
            .map(|n| 1 + (n * 7_919 + round * 104_729) % 399)
            .collect();
        let (granted, refused) = world.reserve_at_once(&mia, &amounts).await;
        let sum: i64 = granted.iter().sum();
        let dearest = granted.iter().max().copied().unwrap_or(0);
        assert!(sum - dearest < LIMIT, "{granted:?} of {amounts:?}");
        assert!(
            refused.is_empty() || sum >= LIMIT,
            "{refused:?} though {sum} leaves room: {amounts:?}"
        );
        assert_eq!(world.reserved(&mia).await, sum);
        sqlx::query("DELETE FROM spend_reservations")
            .execute(&world.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn calls_that_come_and_go_at_once_overspend_by_less_than_one_of_them() {
    const CALLERS: i64 = 20;
    const DEAREST: i64 = 100;
    let world = std::sync::Arc::new(Harness::start().await);
    let (_, mia) = world.limited().await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (world, mia) = (std::sync::Arc::clone(&world), mia.clone());
        callers.spawn(async move {
            let mut used = 0;
            for call in 1.. {
                let id = Uuid::new_v4();
                let estimate = 1 + (caller * 7_919 + call * 104_729) % DEAREST;
                match world.reserve(asks(&mia, id, estimate)).await {
                    Ok(is_limited) => assert!(is_limited),
                    Err(refused) if reason(Err::<(), _>(refused.clone())) == "SPEND_RESERVED" => continue,
                    Err(refused) => {
                        assert_eq!(reason(Err::<(), _>(refused)), "USAGE_LIMIT_EXCEEDED");
                        break;
                    }
                }
                // Mostly less than what was set aside, and sometimes nothing at all.
                let cost = estimate - estimate % (1 + call % 4);
                match call % 7 {
                    0 => world.release(&[id]).await,
                    _ => {
                        let settled = UsageRecord {
                            completion_id: id.to_string(),
                            ..record(&mia, cost)
                        };
                        world.settle(vec![settled]).await.unwrap();
                        used += cost;
                    }
                }
            }
            used
        });
    }
    let used: i64 = callers.join_all().await.into_iter().sum();
    let status = world.status(&mia).await.unwrap();
    assert_eq!((status.spent_micros, status.reserved_micros), (used, 0));
    assert!((LIMIT..LIMIT + DEAREST).contains(&used), "{used}");
}

#[tokio::test]
async fn a_reservation_asked_for_twice_is_one_and_ends_once() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let completion = Uuid::new_v4();
    for _ in 0..2 {
        assert!(world.reserve(asks(&mia, completion, 999)).await.unwrap());
    }
    assert_eq!(world.reserved(&mia).await, 999);
    assert!(world.reserve(asks(&mia, Uuid::new_v4(), 1)).await.unwrap());
    assert_eq!(
        reason(world.reserve(asks(&mia, Uuid::new_v4(), 1)).await),
        "SPEND_RESERVED"
    );
    world.release(&[completion]).await;
    world.release(&[completion]).await;
    assert_eq!(world.reserved(&mia).await, 1);

    // One that comes behind its own record reserves nothing.
    let settled = UsageRecord {
        completion_id: completion.to_string(),
        ..record(&mia, 5)
    };
    world.settle(vec![settled]).await.unwrap();
    assert!(world.reserve(asks(&mia, completion, 999)).await.unwrap());
    assert_eq!(world.reserved(&mia).await, 1);
}

#[tokio::test]
async fn what_is_settled_counts_as_spent_and_no_longer_as_reserved() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let completion = Uuid::new_v4();
    world.reserve(asks(&mia, completion, 800)).await.unwrap();
    let settled = UsageRecord {
        completion_id: completion.to_string(),
        ..record(&mia, 30)
    };
    for _ in 0..2 {
        world.settle(vec![settled.clone()]).await.unwrap();
        let status = world.status(&mia).await.unwrap();
        assert_eq!((status.spent_micros, status.reserved_micros), (30, 0));
    }
    let unpriced = UsageRecord {
        cost_micros: None,
        ..record(&mia, 0)
    };
    world.settle(vec![unpriced]).await.unwrap();
    assert_eq!(world.numbers(&mia).await, Some((LIMIT, 30)));
}

#[tokio::test]
async fn reservations_of_replicas_that_are_gone_run_out() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let lost = Uuid::new_v4();
    world.reserve(asks(&mia, lost, LIMIT)).await.unwrap();
    assert_eq!(
        reason(world.reserve(asks(&mia, Uuid::new_v4(), 1)).await),
        "SPEND_RESERVED"
    );
    sqlx::query("UPDATE spend_reservations SET expires_at = now() WHERE completion_id = $1")
        .bind(lost)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.reserved(&mia).await, 0);
    world.reserve(asks(&mia, Uuid::new_v4(), 1)).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM spend_reservations")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 1, "what ran out is dropped");
}

#[tokio::test]
async fn a_chat_that_asks_again_has_given_up_what_it_asked_for_before() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let chat = Uuid::new_v4();
    let of_chat = |chat: Uuid, purpose: &str| ReserveSpendRequest {
        chat_id: chat.to_string(),
        purpose: purpose.to_owned(),
        ..asks(&mia, Uuid::new_v4(), LIMIT)
    };
    world.reserve(of_chat(chat, "answer")).await.unwrap();
    world.reserve(of_chat(chat, "answer")).await.unwrap();
    assert_eq!(world.reserved(&mia).await, LIMIT);
    // A title is made beside an answer, and another chat is another one.
    assert_eq!(reason(world.reserve(of_chat(chat, "title")).await), "SPEND_RESERVED");
    let other = of_chat(Uuid::new_v4(), "answer");
    assert_eq!(reason(world.reserve(other).await), "SPEND_RESERVED");
}

#[tokio::test]
async fn who_has_spent_the_limit_reserves_nothing_and_without_limits_nobody_does() {
    let world = Harness::start().await;
    let (admin, mia) = world.limited().await;
    world.spend(&mia, LIMIT).await;
    assert_eq!(
        reason(world.reserve(asks(&mia, Uuid::new_v4(), 1)).await),
        "USAGE_LIMIT_EXCEEDED"
    );
    world
        .set_spend_limit(&admin, SetSpendLimitRequest::default())
        .await
        .unwrap();
    assert!(!world.reserve(asks(&mia, Uuid::new_v4(), 1)).await.unwrap());
    world.limit(&admin, LIMIT * 2, SpendPeriod::Month).await;
    assert_eq!(world.reserved(&mia).await, 0);
}

#[tokio::test]
async fn only_provider_gateway_reserves_and_only_what_makes_sense() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let message = asks(&mia, Uuid::new_v4(), 1);
    let refused = world
        .usage
        .clone()
        .reserve_spend(world.of(Gateway, message.clone()))
        .await;
    assert_eq!(reason(refused), "SERVICE_NOT_ALLOWED");
    let too_long = prost_types::Duration {
        seconds: 7_201,
        nanos: 0,
    };
    for wrong in [
        ReserveSpendRequest {
            micros: 0,
            ..message.clone()
        },
        ReserveSpendRequest {
            ttl: None,
            ..message.clone()
        },
        ReserveSpendRequest {
            ttl: Some(too_long),
            ..message.clone()
        },
        ReserveSpendRequest {
            owner_id: "mia".to_owned(),
            ..message.clone()
        },
    ] {
        assert_eq!(reason(world.reserve(wrong).await), "INVALID_REQUEST");
    }
    assert_eq!(
        reason(world.settle(vec![record(&mia, 1); 513]).await),
        "INVALID_REQUEST"
    );
    let purpose = UsageRecord {
        purpose: "fun".to_owned(),
        ..record(&mia, 1)
    };
    assert_eq!(reason(world.settle(vec![purpose]).await), "INVALID_REQUEST");
}

#[tokio::test]
async fn a_call_that_asks_again_holds_the_greater_amount() {
    let world = Harness::start().await;
    let (_, mia) = world.limited().await;
    let call = Uuid::new_v4();
    for (micros, held) in [(100, 100), (300, 300), (200, 300)] {
        world.reserve(asks(&mia, call, micros)).await.unwrap();
        assert_eq!(world.reserved(&mia).await, held);
    }
}
