//! Who works on a chat and until when, by the database's clock. Nothing here sleeps: leases end by a statement of the test's own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, TTL, Turn, assistant, brief, claims, commits, releases, result, settles, status, stores};

async fn renew(stage: &Stage, replica: &str, held: &[(&str, i64)]) -> Vec<(String, i64, bool)> {
    let lease = |(chat, epoch): &(&str, i64)| Lease {
        chat_id: (*chat).to_owned(),
        epoch: *epoch,
        expires_at: None,
    };
    let message = RenewLeasesRequest {
        replica_id: replica.to_owned(),
        leases: held.iter().map(lease).collect(),
        ttl: Some(TTL),
    };
    let renewed = stage.renew_leases(message).await.unwrap().leases;
    let short = |renewed: RenewedLease| {
        let lease = renewed.lease.unwrap();
        (lease.chat_id, lease.epoch, renewed.is_interrupting)
    };
    let mut renewed: Vec<_> = renewed.into_iter().map(short).collect();
    renewed.sort();
    renewed
}

/// Whether the lease ends within these seconds from now, by the database's clock.
async fn ends_within(stage: &Stage, chat: &str, seconds: f64) -> bool {
    sqlx::query_scalar("SELECT lease_expires_at <= now() + make_interval(secs => $2) FROM chats WHERE id = $1")
        .bind(chat.parse::<Uuid>().unwrap())
        .bind(seconds)
        .fetch_one(&stage.world.pool)
        .await
        .unwrap()
}

async fn load(stage: &Stage, turn: &Turn) -> LoadTurnResponse {
    let message = LoadTurnRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
    };
    stage.load_turn(message).await.unwrap()
}

#[tokio::test]
async fn eight_replicas_at_once_claim_each_chat_once() {
    const REPLICAS: usize = 8;
    const CHATS: usize = 48;
    let stage = Stage::start().await;
    for n in 0..CHATS {
        stage.chat(&format!("c{n}")).await;
    }
    let claimed_count = AtomicUsize::new(0);
    let replica = async |_| {
        let mut mine = Vec::new();
        // Others may hold what this one looked at, so an empty answer is not yet the end.
        while claimed_count.load(Ordering::SeqCst) < CHATS {
            let turns = stage.claim(7).await;
            assert!(turns.len() <= 7);
            claimed_count.fetch_add(turns.len(), Ordering::SeqCst);
            mine.extend(turns);
        }
        mine
    };
    let claimed: Vec<Turn> = join_all((0..REPLICAS).map(replica))
        .await
        .into_iter()
        .flatten()
        .collect();
    let mut owners: HashMap<&str, Vec<&Turn>> = HashMap::new();
    for turn in &claimed {
        owners.entry(&turn.chat).or_default().push(turn);
    }
    assert_eq!((claimed.len(), owners.len()), (CHATS, CHATS));
    for turn in &claimed {
        assert_eq!(turn.epoch, 1);
        let changes = stage.changes(&turn.chat).await;
        assert_eq!(changes.iter().map(|change| change.version).collect::<Vec<_>>(), [1, 2]);
        let owner: Uuid = sqlx::query_scalar("SELECT lease_owner FROM chats WHERE id = $1")
            .bind(turn.chat.parse::<Uuid>().unwrap())
            .fetch_one(&stage.world.pool)
            .await
            .unwrap();
        assert_eq!(owner.to_string(), turn.replica);
    }
    assert!(stage.claim(64).await.is_empty());
}

#[tokio::test]
async fn a_chat_that_somebody_holds_is_passed_over_and_not_waited_for() {
    let stage = Stage::start().await;
    let (held, free) = (stage.chat("held").await, stage.chat("free").await);
    let other = stage.hold(&held).await;
    stage.claim_only(&free).await;
    other.rollback().await.unwrap();
    stage.claim_only(&held).await;
}

#[tokio::test]
async fn the_chat_that_has_waited_longest_is_claimed_first_and_no_more_than_asked_for() {
    let stage = Stage::start().await;
    let chats = [stage.chat("a").await, stage.chat("b").await, stage.chat("c").await];
    stage
        .execute(
            "UPDATE chats SET updated_at = now() - interval '1 hour' WHERE id = $1",
            &chats[1],
        )
        .await;
    let claimed = stage.claim(1).await;
    assert_eq!(claimed.iter().map(|turn| &turn.chat).collect::<Vec<_>>(), [&chats[1]]);
    let claimed = stage.claim(2).await;
    assert_eq!(
        claimed.iter().map(|turn| &turn.chat).collect::<Vec<_>>(),
        [&chats[0], &chats[2]]
    );
}

#[tokio::test]
async fn a_claim_says_what_it_committed_and_how_long_it_holds() {
    let stage = Stage::start().await;
    let chat = stage.chat("one").await;
    let claimed = stage
        .claim_chats(claims(&Uuid::new_v4().to_string(), 1))
        .await
        .unwrap()
        .chats
        .remove(0);
    let (lease, claimed_chat) = (claimed.lease.unwrap(), claimed.chat.unwrap());
    assert_eq!(
        (lease.chat_id.as_str(), lease.epoch, claimed.is_takeover),
        (chat.as_str(), 1, false)
    );
    assert_eq!(
        (status(&claimed_chat), claimed_chat.version, claimed_chat.epoch),
        ("running", 2, 1)
    );
    assert!(ends_within(&stage, &chat, 601.0).await && !ends_within(&stage, &chat, 500.0).await);
    let stored: i64 =
        sqlx::query_scalar("SELECT extract(epoch FROM lease_expires_at)::bigint FROM chats WHERE id = $1")
            .bind(chat.parse::<Uuid>().unwrap())
            .fetch_one(&stage.world.pool)
            .await
            .unwrap();
    assert!((stored - lease.expires_at.unwrap().seconds).abs() <= 1);
}

#[tokio::test]
async fn claims_and_renewals_out_of_their_bounds_are_refused() {
    let stage = Stage::start().await;
    stage.chat("one").await;
    let before = stage.rows().await;
    let replica = Uuid::new_v4().to_string();
    let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let wrong = [
        (
            "no limit",
            ClaimChatsRequest {
                limit: 0,
                ..claims(&replica, 1)
            },
        ),
        (
            "a negative limit",
            ClaimChatsRequest {
                limit: -1,
                ..claims(&replica, 1)
            },
        ),
        (
            "65 chats",
            ClaimChatsRequest {
                limit: 65,
                ..claims(&replica, 1)
            },
        ),
        (
            "no replica",
            ClaimChatsRequest {
                replica_id: String::new(),
                ..claims(&replica, 1)
            },
        ),
        (
            "no ttl",
            ClaimChatsRequest {
                ttl: None,
                ..claims(&replica, 1)
            },
        ),
        (
            "a short ttl",
            ClaimChatsRequest {
                ttl: ttl(0, 999_999_999),
                ..claims(&replica, 1)
            },
        ),
        (
            "a long ttl",
            ClaimChatsRequest {
                ttl: ttl(600, 1),
                ..claims(&replica, 1)
            },
        ),
        (
            "a negative ttl",
            ClaimChatsRequest {
                ttl: ttl(-5, 0),
                ..claims(&replica, 1)
            },
        ),
    ];
    for (why, message) in wrong {
        let refused = stage.claim_chats(message).await.map(drop).expect_err(why);
        assert_eq!(refused.code(), Code::InvalidArgument, "{why}");
    }
    let lease = Lease {
        chat_id: Uuid::new_v4().to_string(),
        epoch: 1,
        expires_at: None,
    };
    let many = RenewLeasesRequest {
        replica_id: replica,
        leases: vec![lease; 10_001],
        ttl: Some(TTL),
    };
    assert_eq!(
        stage.renew_leases(many).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(stage.rows().await, before);
}

#[tokio::test]
async fn a_renewal_extends_what_this_replica_holds_and_nothing_else() {
    let stage = Stage::start().await;
    let (mine, stopping) = (stage.running("mine").await, stage.running("stopping").await);
    let lost = stage.running("lost").await;
    stage.expire(&lost.chat).await;
    stage.claim_only(&lost.chat).await;
    let ended = stage.running("ended").await;
    stage.finish(&ended, "Done.").await;
    stage.interrupt(&stopping.chat).await.unwrap();
    // One replica holds all of these, as it believes.
    let replica = &mine.replica;
    for turn in [&stopping, &ended] {
        sqlx::query("UPDATE chats SET lease_owner = $1 WHERE id = $2 AND lease_owner IS NOT NULL")
            .bind(replica.parse::<Uuid>().unwrap())
            .bind(turn.chat.parse::<Uuid>().unwrap())
            .execute(&stage.world.pool)
            .await
            .unwrap();
    }
    for turn in [&mine, &stopping] {
        stage
            .execute(
                "UPDATE chats SET lease_expires_at = now() + interval '1 second' WHERE id = $1",
                &turn.chat,
            )
            .await;
    }
    let versions = [
        stage.get(&mine.chat).await.version,
        stage.get(&stopping.chat).await.version,
    ];
    let held: Vec<_> = [&mine, &stopping, &lost, &ended]
        .map(|turn| (turn.chat.as_str(), turn.epoch))
        .to_vec();
    let mut expected = vec![(mine.chat.clone(), 1, false), (stopping.chat.clone(), 1, true)];
    expected.sort();
    assert_eq!(renew(&stage, replica, &held).await, expected);
    for turn in [&mine, &stopping] {
        assert!(!ends_within(&stage, &turn.chat, 500.0).await);
    }
    // Nobody need know: no version, no change.
    assert_eq!(
        versions,
        [
            stage.get(&mine.chat).await.version,
            stage.get(&stopping.chat).await.version
        ]
    );
    assert!(
        renew(&stage, &Uuid::new_v4().to_string(), &held).await.is_empty(),
        "leases of another replica"
    );
    assert!(
        renew(&stage, replica, &[(&mine.chat, 2)]).await.is_empty(),
        "another epoch"
    );
    assert!(renew(&stage, replica, &[]).await.is_empty());
}

#[tokio::test]
async fn a_lease_that_ended_still_counts_until_somebody_takes_the_chat() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    stage.begin(&turn).await.unwrap();
    stage.expire(&turn.chat).await;
    stage
        .commit_step(commits(&turn, vec![assistant("Hm.", &[])], StepOutcome::Continue))
        .await
        .unwrap();
    assert_eq!(renew(&stage, &turn.replica, &[(&turn.chat, turn.epoch)]).await.len(), 1);
    assert!(stage.claim(64).await.is_empty(), "a renewed lease holds again");
    stage.finish(&turn, "Done.").await;
}

#[tokio::test]
async fn the_next_owner_finds_the_intent_of_the_one_that_vanished() {
    let stage = Stage::start().await;
    let first = stage.running("one").await;
    let intent = StepIntent {
        completion_id: Uuid::new_v4().to_string(),
        step: 0,
        attempt: 3,
        model_config_id: stage.model.clone(),
        provider_gateway_address: "http://10.0.0.9:7100".to_owned(),
        begun_at: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 5_000,
        }),
        epoch: 77,
        purpose: StepPurpose::Summary.into(),
    };
    let begin = |intent: &StepIntent| BeginStepRequest {
        chat_id: first.chat.clone(),
        epoch: first.epoch,
        intent: Some(intent.clone()),
    };
    let earlier = StepIntent {
        attempt: 2,
        completion_id: Uuid::new_v4().to_string(),
        ..intent.clone()
    };
    stage.begin_step(begin(&earlier)).await.unwrap();
    stage.begin_step(begin(&intent)).await.unwrap();
    assert!(stage.claim(64).await.is_empty(), "the lease still holds");

    let expected = StepIntent {
        epoch: first.epoch,
        ..intent
    };
    let mut owner = first.clone();
    for epoch in 2..5 {
        stage.expire(&owner.chat).await;
        let claimed = stage
            .claim_chats(claims(&Uuid::new_v4().to_string(), 64))
            .await
            .unwrap()
            .chats;
        assert_eq!((claimed.len(), claimed[0].is_takeover), (1, true));
        assert_eq!(status(claimed[0].chat.as_ref().unwrap()), "running");
        owner.epoch = claimed[0].lease.as_ref().unwrap().epoch;
        assert_eq!(owner.epoch, epoch);
        assert_eq!(
            load(&stage, &owner).await.intent.as_ref(),
            Some(&expected),
            "epoch {epoch}"
        );
    }
    // The answer of the completion that went on is stored without beginning it anew.
    stage
        .commit_step(commits(&owner, vec![assistant("", &["a"])], StepOutcome::RunTools))
        .await
        .unwrap();
    stage.expire(&owner.chat).await;
    let last = stage.claim_only(&owner.chat).await;
    let loaded = load(&stage, &last).await;
    assert_eq!((loaded.intent, loaded.step), (None, 1));
    assert_eq!(brief(loaded.messages.last().unwrap()), "assistant ?a");
    stage
        .store_tool_results(stores(&last, vec![result("a")], StepOutcome::Finish))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_chat_that_is_given_back_is_due_at_once_and_goes_on_where_it_stood() {
    let stage = Stage::start().await;
    let first = stage.running("one").await;
    stage.begin(&first).await.unwrap();
    let begun = load(&stage, &first).await.intent;
    let before = stage.get(&first.chat).await.version;
    let released = stage.release_chat(releases(&first)).await.unwrap();
    assert_eq!((released.version, released.is_quarantined), (before + 1, false));
    assert_eq!(status(&stage.get(&first.chat).await), "pending");
    assert_eq!(reason(stage.release_chat(releases(&first)).await), "WRONG_STATE");

    let claimed = stage
        .claim_chats(claims(&Uuid::new_v4().to_string(), 64))
        .await
        .unwrap()
        .chats;
    assert!(!claimed[0].is_takeover, "it was given, not taken");
    let second = Turn { epoch: 2, ..first };
    assert!(begun.is_some());
    assert_eq!(load(&stage, &second).await.intent, begun);
    stage
        .commit_step(commits(&second, vec![assistant("Done.", &[])], StepOutcome::Finish))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stop_outlives_its_worker_released_or_vanished() {
    let stage = Stage::start().await;
    for is_released in [true, false] {
        let turn = stage.running("one").await;
        stage.interrupt(&turn.chat).await.unwrap();
        if is_released {
            stage.release_chat(releases(&turn)).await.unwrap();
        } else {
            assert!(stage.claim(64).await.is_empty());
            stage.expire(&turn.chat).await;
        }
        let owner = stage.claim_only(&turn.chat).await;
        assert_eq!(status(&stage.get(&turn.chat).await), "interrupting");
        stage.finish_interruption(settles(&owner, Vec::new())).await.unwrap();
        assert_eq!(status(&stage.get(&turn.chat).await), "waiting");
    }
    // An archived chat that was being stopped is settled as well.
    let turn = stage.running("two").await;
    stage.archive(&turn.chat, true).await.unwrap();
    stage.expire(&turn.chat).await;
    let owner = stage.claim_only(&turn.chat).await;
    stage.finish_interruption(settles(&owner, Vec::new())).await.unwrap();
    assert!(stage.claim(64).await.is_empty());
}

async fn crash(stage: &Stage, turn: &Turn) -> Result<bool, Status> {
    let message = ReleaseChatRequest {
        has_crashed: true,
        ..releases(turn)
    };
    stage
        .release_chat(message)
        .await
        .map(|released| released.is_quarantined)
}

#[tokio::test]
async fn the_third_crash_without_progress_sets_the_chat_aside() {
    let stage = Stage::start().await;
    let mut turn = stage.running("one").await;
    assert!(!crash(&stage, &turn).await.unwrap());
    turn = stage.claim_only(&turn.chat).await;
    assert!(!crash(&stage, &turn).await.unwrap());
    turn = stage.claim_only(&turn.chat).await;
    // An answer is progress, and a graceful release is no crash.
    stage
        .answer(&turn, vec![assistant("Hm.", &[])], StepOutcome::Continue)
        .await;
    for _ in 0..2 {
        assert!(!crash(&stage, &turn).await.unwrap());
        turn = stage.claim_only(&turn.chat).await;
        stage.release_chat(releases(&turn)).await.unwrap();
        turn = stage.claim_only(&turn.chat).await;
    }
    assert!(crash(&stage, &turn).await.unwrap());
    let now = stage.get(&turn.chat).await;
    assert_eq!(status(&now), "error");
    assert!(now.last_error.unwrap().message.contains("until you try again"));
    assert!(stage.claim(64).await.is_empty());
    // A person starts it over, with a clean record.
    let retry = RetryChatRequest {
        chat_id: turn.chat.clone(),
    };
    stage.retry_chat(&stage.admin, retry).await.unwrap();
    turn = stage.claim_only(&turn.chat).await;
    assert!(!crash(&stage, &turn).await.unwrap());
}

#[tokio::test]
async fn a_chat_whose_owners_keep_vanishing_is_set_aside_after_twenty() {
    let stage = Stage::start().await;
    let chat = stage.running("one").await.chat;
    for _ in 0..20 {
        stage.expire(&chat).await;
        stage.claim_only(&chat).await;
    }
    stage.expire(&chat).await;
    assert!(stage.claim(64).await.is_empty());
    let now = stage.get(&chat).await;
    assert_eq!(status(&now), "error");
    assert!(now.last_error.is_some());
    let versions: Vec<i64> = stage.changes(&chat).await.iter().map(|change| change.version).collect();
    assert_eq!(versions, (1..=now.version).collect::<Vec<_>>());
}

#[tokio::test]
async fn expired_leases_are_taken_even_while_many_new_chats_wait() {
    let stage = Stage::start().await;
    let stuck = stage.running("stuck").await.chat;
    stage
        .execute(
            "UPDATE chats SET lease_expires_at = now() - interval '1 hour' WHERE id = $1",
            &stuck,
        )
        .await;
    for n in 0..4 {
        stage.chat(&format!("new{n}")).await;
    }
    // As long as new chats keep coming, a limit of theirs must not be filled by them alone.
    let mut is_taken = false;
    for round in 0..4 {
        is_taken |= stage.claim(2).await.iter().any(|turn| turn.chat == stuck);
        stage.chat(&format!("another{round}")).await;
        stage.chat(&format!("yet another{round}")).await;
    }
    assert!(is_taken, "a chat whose owner vanished is starved by new ones");
}
