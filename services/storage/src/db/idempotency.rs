//! The rows of `idempotency_keys`.

use sqlx::PgConnection;
use uuid::Uuid;

/// What an earlier attempt left behind.
pub(crate) struct Row {
    pub(crate) rpc: String,
    pub(crate) fingerprint: String,
    /// The encoded answer, unless it held a secret.
    pub(crate) outcome: Option<Vec<u8>>,
}

/// Takes a user's key; says whether it was free. While another transaction holds it, this waits for that one's end.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    user: Uuid,
    key: &str,
    rpc: &str,
    fingerprint: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO idempotency_keys (user_id, key, rpc, fingerprint)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (user_id, key) DO NOTHING",
        user,
        key,
        rpc,
        fingerprint
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What was done under a user's key.
pub(crate) async fn find(conn: &mut PgConnection, user: Uuid, key: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT rpc, fingerprint, outcome FROM idempotency_keys WHERE user_id = $1 AND key = $2",
        user,
        key
    )
    .fetch_optional(conn)
    .await
}

/// Keeps the answer of a request whose key this transaction has claimed.
pub(crate) async fn store(conn: &mut PgConnection, user: Uuid, key: &str, outcome: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE idempotency_keys SET outcome = $3 WHERE user_id = $1 AND key = $2",
        user,
        key,
        outcome
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops keys older than `hours` by the database's clock, at most `limit` at once, and none that another replica is dropping;
/// says how many.
pub(crate) async fn purge(conn: &mut PgConnection, hours: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency_keys
            WHERE created_at < now() - make_interval(hours => $1)
            ORDER BY created_at
            LIMIT $2
            FOR UPDATE SKIP LOCKED))",
        hours,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
