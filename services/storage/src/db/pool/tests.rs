//! What a borrower finds whose predecessor left in the middle of something.

use sqlx::AssertSqlSafe;

use super::*;
use crate::postgres::testing;

/// A pool of one connection, with an empty table `notes`.
async fn of_one() -> Pool {
    let limits = config::Pool {
        max_connections: 1,
        ..config::Pool::default()
    };
    let pool = Pool::connect(testing::database().await, &limits).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    conn.execute("CREATE TABLE notes (text text)").await.unwrap();
    pool
}

async fn notes(pool: &Pool) -> i64 {
    let mut conn = pool
        .acquire()
        .await
        .expect("the connection, or another one in its place");
    sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&mut *conn)
        .await
        .expect("no transaction of somebody else")
}

/// Polls a statement until it is on its way, and drops it.
async fn abandon(transaction: &mut Transaction, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    let sent = timeout(Duration::from_millis(50), transaction.execute(statement)).await;
    assert!(sent.is_err(), "it takes longer than that");
}

#[tokio::test]
async fn a_transaction_that_failed_is_undone_before_the_next_borrower() {
    let pool = of_one().await;
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("INSERT INTO notes VALUES ('a')").await.unwrap();
    transaction.execute("SELECT 1 / 0").await.unwrap_err();
    drop(transaction);
    assert_eq!(notes(&pool).await, 0);
}

#[tokio::test]
async fn a_transaction_left_in_a_statement_that_fails_is_not_lent_to_the_next() {
    let pool = of_one().await;
    for statement in [
        "SELECT 1 / (random() * 0)::int FROM pg_sleep(0.3)",
        "INSERT INTO notes SELECT 'b' FROM pg_sleep(0.3)",
    ] {
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute("INSERT INTO notes VALUES ('a')").await.unwrap();
        abandon(&mut transaction, statement).await;
        drop(transaction);
        assert_eq!(notes(&pool).await, 0, "{statement}");
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute("INSERT INTO notes VALUES ('c')").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(notes(&pool).await, 1, "what the next one does lasts");
        let mut conn = pool.acquire().await.unwrap();
        conn.execute("DELETE FROM notes").await.unwrap();
    }
}
