use tandem_chassis::clock;
use tandem_chat_core::id::UserId;
use uuid::Uuid;

use super::*;

const PROVIDER: ProviderId = ProviderId::new(Uuid::nil());

fn keys(count: u128) -> Vec<ApiKey> {
    (0..count)
        .map(|number| ApiKey::new(KeyId::new(Uuid::from_u128(number)), format!("key-{number}")))
        .collect()
}

fn pools() -> (Arc<clock::Manual>, KeyPools) {
    let clock = Arc::new(clock::Manual::new(OffsetDateTime::UNIX_EPOCH));
    (clock.clone(), KeyPools::new(clock))
}

fn order(pools: &KeyPools, keys: &[ApiKey]) -> Vec<u128> {
    let keys = pools.in_turn(PROVIDER, keys).unwrap();
    keys.iter().map(|key| key.id.uuid().as_u128()).collect()
}

fn limit(pools: &KeyPools, keys: &[ApiKey], place: usize, seconds: u64) {
    let wish = Duration::from_secs(seconds);
    pools.rest(PROVIDER, keys, keys[place].id, Why::Limited, wish, "slow down");
}

fn refuse(pools: &KeyPools, keys: &[ApiKey], place: usize) {
    pools.rest(
        PROVIDER,
        keys,
        keys[place].id,
        Why::Refused,
        Duration::ZERO,
        "who are you",
    );
}

#[test]
fn the_first_key_comes_first_each_time() {
    let (_, pools) = pools();
    let keys = keys(3);
    assert_eq!(order(&pools, &keys), [0, 1, 2]);
    assert_eq!(order(&pools, &keys), [0, 1, 2]);
    assert_eq!(order(&pools, &[]), [0_u128; 0]);
}

#[test]
fn a_limited_key_is_passed_over_until_its_time_is_over_and_comes_first_again() {
    let (clock, pools) = pools();
    let keys = keys(2);
    limit(&pools, &keys, 0, 5);
    assert_eq!(order(&pools, &keys), [1]);
    assert_eq!(pools.resting_count(PROVIDER, &keys), 1);
    clock.advance(Duration::from_secs(5));
    assert_eq!(order(&pools, &keys), [0, 1]);
    assert_eq!(pools.resting_count(PROVIDER, &keys), 0);
}

#[test]
fn a_shorter_rest_does_not_end_a_longer_one() {
    let (clock, pools) = pools();
    let keys = keys(2);
    refuse(&pools, &keys, 0);
    limit(&pools, &keys, 0, 1);
    clock.advance(Duration::from_secs(59));
    assert_eq!(order(&pools, &keys), [1]);
}

#[test]
fn when_all_rest_the_first_to_be_back_is_told() {
    let (_, pools) = pools();
    let keys = keys(2);
    refuse(&pools, &keys, 0);
    limit(&pools, &keys, 1, 20);
    let expected = AllResting {
        retry_after: Duration::from_secs(20),
        why: Why::Limited,
    };
    assert_eq!(pools.in_turn(PROVIDER, &keys).unwrap_err(), expected);
}

#[test]
fn the_only_key_never_rests_and_its_trouble_is_told_all_the_same() {
    let (clock, pools) = pools();
    let keys = keys(1);
    refuse(&pools, &keys, 0);
    assert_eq!(order(&pools, &keys), [0]);
    let health = pools.health(PROVIDER, keys[0].id);
    assert_eq!((health.why, health.resting_until), (Some(Why::Refused), None));
    limit(&pools, &keys, 0, 90);
    assert_eq!(pools.health(PROVIDER, keys[0].id).why, Some(Why::Limited));
    clock.advance(Duration::from_secs(90));
    assert_eq!(pools.health(PROVIDER, keys[0].id).why, None);
}

#[test]
fn a_replaced_key_starts_healthy_and_the_old_one_is_forgotten() {
    let (_, pools) = pools();
    let all = keys(4);
    refuse(&pools, &all[..2], 0);
    assert_eq!(order(&pools, &all[2..]).len(), 2);
    limit(&pools, &all[2..], 0, 5);
    assert_eq!(pools.health(PROVIDER, all[0].id), Health::default());
}

#[test]
fn a_refused_key_is_healthy_when_the_vendor_accepts_it_again() {
    let (clock, pools) = pools();
    let keys = keys(2);
    refuse(&pools, &keys, 0);
    let at = OffsetDateTime::UNIX_EPOCH;
    let expected = Health {
        why: Some(Why::Refused),
        resting_until: Some(at + REFUSED_REST),
        last_error: Some(("who are you".to_owned(), at)),
    };
    assert_eq!(pools.health(PROVIDER, keys[0].id), expected);
    // An answer to an earlier request says nothing about the refusal after it.
    pools.accepted(PROVIDER, keys[0].id);
    assert_eq!(pools.health(PROVIDER, keys[0].id), expected);
    clock.advance(REFUSED_REST);
    let back = pools.health(PROVIDER, keys[0].id);
    assert_eq!((back.why, back.resting_until), (Some(Why::Refused), None));
    pools.accepted(PROVIDER, keys[0].id);
    let well = pools.health(PROVIDER, keys[0].id);
    assert_eq!((well.why, well.last_error), (None, expected.last_error));
}

#[test]
fn the_last_words_are_kept_up_to_a_limit() {
    let (_, pools) = pools();
    let keys = keys(2);
    pools.rest(
        PROVIDER,
        &keys,
        keys[0].id,
        Why::Limited,
        Duration::ZERO,
        &"ä".repeat(9_000),
    );
    let (said, _) = pools.health(PROVIDER, keys[0].id).last_error.unwrap();
    assert_eq!(said.chars().count(), MAX_ERROR_CHARS);
}

#[test]
fn nothing_of_a_users_own_key_is_remembered() {
    let (_, pools) = pools();
    let keys = keys(2);
    limit(&pools, &keys, 0, 50);
    let own = [keys[1].clone().of_user(UserId::new(Uuid::from_u128(9)))];
    refuse(&pools, &own, 0);
    assert_eq!(order(&pools, &own), [1]);
    assert_eq!(pools.health(PROVIDER, own[0].id), Health::default());
    assert_eq!(order(&pools, &keys), [1], "the pool is as it was");
}
