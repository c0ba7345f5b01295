//! Usage records are dropped when they have been kept long enough, and never while a limit counts them.

use std::time::Duration;

use sqlx::PgPool;
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::SpendPeriod;

use crate::harness::Harness;

/// More than storage deletes at once.
const OLD: i64 = 12_000;

/// How often a test looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Records of a user, with the times they ended as SQL.
async fn records(pool: &PgPool, user: &User, count: i64, ended_at: &str) {
    let statement = format!(
        "INSERT INTO usage_records (completion_id, owner_id, model_config_id, provider_type, model, purpose, cost_micros, started_at, ended_at)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), 'demo', 'demo', 'answer', 1, {ended_at}, {ended_at} FROM generate_series(1, $2)"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(user.id).bind(count);
    query.execute(pool).await.unwrap();
}

async fn count(pool: &PgPool) -> i64 {
    let query = sqlx::query_scalar("SELECT count(*) FROM usage_records");
    query.fetch_one(pool).await.unwrap()
}

/// Waits until so many are left. The limit ends a test that waits in vain.
async fn until(pool: &PgPool, left: i64) {
    let waiting = async {
        while count(pool).await > left {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(crate::harness::TIME, waiting).await.ok();
    assert_eq!(count(pool).await, left);
}

const PERIOD_BEGINS: &str = "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'";

#[tokio::test]
async fn records_are_dropped_piece_by_piece_when_their_days_are_over_and_younger_ones_stay() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    records(&world.pool, &admin, OLD, "now() - interval '400 days 1 minute'").await;
    records(&world.pool, &admin, 3, "now() - interval '399 days'").await;
    world.spend(&admin, 5).await;
    let _second = Harness::start_on(world.database.clone(), |_| ()).await;
    until(&world.pool, 4).await;
    world.limit(&admin, 1_000, SpendPeriod::Month).await;
    assert_eq!(world.numbers(&admin).await, Some((1_000, 5)));
}

#[tokio::test]
async fn what_a_limit_of_this_period_counts_stays_however_short_the_retention() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    for (ended_at, micros) in [
        (PERIOD_BEGINS.to_owned(), 3),
        (format!("{PERIOD_BEGINS} - interval '6 days 23 hours'"), 2),
        (format!("{PERIOD_BEGINS} - interval '7 days 1 minute'"), 7),
    ] {
        records(&world.pool, &mia, micros, &ended_at).await;
    }
    let sums = async || {
        let mut sums = Vec::new();
        for period in [SpendPeriod::Month, SpendPeriod::Week, SpendPeriod::Day] {
            world.limit(&admin, 1_000, period).await;
            sums.push(world.numbers(&mia).await.unwrap().1);
        }
        sums
    };
    let before = sums().await;
    let _second = Harness::start_on(world.database.clone(), |config| config.usage_retention_days = 1).await;
    until(&world.pool, 5).await;
    assert_eq!(sums().await, before);
    assert_eq!(before[0], 3);
}

#[tokio::test]
async fn zero_days_keep_everything() {
    let world = Harness::start_on(tandem_storage::postgres::testing::database().await, |config| {
        config.usage_retention_days = 0;
    })
    .await;
    let admin = world.bootstrap().await;
    records(&world.pool, &admin, 2, "to_timestamp(1000)").await;
    let forever = Harness::start_on(world.database.clone(), |config| config.usage_retention_days = 0).await;
    // Whoever answers has started what it runs beside.
    forever.spend(&admin, 1).await;
    assert_eq!(count(&world.pool).await, 3);
}
