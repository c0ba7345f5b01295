//! Leases, for many chats at once. Times are the database's; ours are never consulted.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A lease that was extended.
pub(crate) struct Renewed {
    pub(crate) id: Uuid,
    pub(crate) epoch: i64,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) is_interrupting: bool,
}

/// Extends the leases this replica still holds. One statement for all chats; a missing chat belongs to another epoch now.
pub(crate) async fn renew(
    conn: &mut PgConnection,
    owner: Uuid,
    held: &[(Uuid, i64)],
    ttl: Duration,
) -> Result<Vec<Renewed>, sqlx::Error> {
    let (ids, epochs): (Vec<Uuid>, Vec<i64>) = held.iter().copied().unzip();
    sqlx::query_as!(
        Renewed,
        r#"UPDATE chats c SET lease_expires_at = now() + make_interval(secs => $4)
        FROM unnest($1::uuid[], $2::bigint[]) AS held (id, epoch)
        WHERE c.id = held.id AND c.epoch = held.epoch AND c.lease_owner = $3
        RETURNING c.id, c.epoch, c.lease_expires_at AS expires_at, (c.status = 'interrupting') AS "is_interrupting!""#,
        &ids,
        &epochs,
        owner,
        ttl.as_secs_f64()
    )
    .fetch_all(conn)
    .await
}

/// The database's clock.
pub(crate) async fn now(conn: &mut PgConnection) -> Result<OffsetDateTime, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(conn).await
}
