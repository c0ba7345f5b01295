//! How much users may spend, how much they have spent, and what is set aside for calls under way. Periods are those of the database's
//! clock, in UTC.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Limits of users, or of organisations, listed at once.
const MAX_LISTED: i64 = 1_000;

/// Where the money is to be spent: in an organisation, in a chat of one, or in neither.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) organization: Option<Uuid>,
    pub(crate) chat: Option<Uuid>,
}

/// Where a user stands in the present period.
pub(crate) struct Standing {
    pub(crate) limit_micros: i64,
    pub(crate) period: String,
    pub(crate) period_start: OffsetDateTime,
    pub(crate) period_end: OffsetDateTime,
    pub(crate) spent_micros: i64,
    pub(crate) reserved_micros: i64,
    /// That of the place.
    pub(crate) organization_id: Option<Uuid>,
}

/// The call that something is to be set aside for.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) completion: Uuid,
    pub(crate) chat: Option<Uuid>,
    pub(crate) purpose: &'a str,
}

/// Where a user stands; `None` while there are no limits. Reservations that one for `call` would take the place of do not count, nor do
/// those of completions that have been paid for.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    user: Uuid,
    place: Place,
    call: Option<Call<'_>>,
) -> Result<Option<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT coalesce(u.limit_micros, o.limit_micros, d.limit_micros) AS "limit_micros!", d.period,
            t.starts AS "period_start!", t.ends AS "period_end!", p.organization_id,
            (SELECT least(coalesce(sum(r.cost_micros), 0), 9223372036854775807)::bigint FROM usage_records r
                WHERE r.owner_id = $1 AND r.ended_at >= t.starts
                    AND (o.organization_id IS NULL OR r.organization_id = o.organization_id)) AS "spent_micros!",
            (SELECT least(coalesce(sum(s.micros), 0), 9223372036854775807)::bigint FROM spend_reservations s
                WHERE s.owner_id = $1 AND s.expires_at > now()
                    AND (s.completion_id = $4 OR (s.chat_id = $3 AND s.purpose = $5)) IS NOT TRUE
                    AND (o.organization_id IS NULL OR s.organization_id = o.organization_id)
                    AND NOT EXISTS (SELECT 1 FROM usage_records r WHERE r.completion_id = s.completion_id))
                AS "reserved_micros!"
        FROM spend_limit d
            CROSS JOIN LATERAL (SELECT date_trunc(d.period, now() AT TIME ZONE 'UTC') AS starts) b
            CROSS JOIN LATERAL (SELECT b.starts AT TIME ZONE 'UTC' AS starts,
                (b.starts + ('1 ' || d.period)::interval) AT TIME ZONE 'UTC' AS ends) t
            CROSS JOIN LATERAL (SELECT coalesce($2, (SELECT c.organization_id FROM chats c WHERE c.id = $3))
                AS organization_id) p
            LEFT JOIN user_spend_limits u ON u.user_id = $1
            LEFT JOIN LATERAL (SELECT l.organization_id, l.limit_micros FROM organization_spend_limits l
                WHERE CASE WHEN p.organization_id IS NOT NULL THEN l.organization_id = p.organization_id
                    ELSE l.organization_id IN (SELECT m.organization_id FROM organization_members m WHERE m.user_id = $1) END
                ORDER BY l.limit_micros, l.organization_id LIMIT 1) o ON u.user_id IS NULL
        WHERE d.limit_micros IS NOT NULL"#,
        user,
        place.organization,
        place.chat,
        call.map(|call| call.completion),
        call.map(|call| call.purpose)
    )
    .fetch_optional(conn)
    .await
}

/// Lets one transaction after the other reserve for this user. Only a statement behind this one sees what the one before it did.
pub(crate) async fn lock(conn: &mut PgConnection, user: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('spend:' || $1::text, 0))",
        user.to_string()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets an amount aside, unless the completion has been paid for; one it has already only grows. Drops the reservations it takes the place of, and
/// those of the user that are over.
pub(crate) async fn reserve(
    conn: &mut PgConnection,
    call: Call<'_>,
    user: Uuid,
    organization: Option<Uuid>,
    micros: i64,
    ttl: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH over AS (
            DELETE FROM spend_reservations WHERE completion_id IN (
                SELECT completion_id FROM spend_reservations
                WHERE owner_id = $2 AND completion_id <> $1
                    AND (expires_at <= now() OR (chat_id = $6 AND purpose = $7))
                FOR UPDATE SKIP LOCKED))
        INSERT INTO spend_reservations (completion_id, owner_id, organization_id, chat_id, purpose, micros, expires_at)
        SELECT $1, $2, $3, $6, $7, $4, now() + make_interval(secs => $5)
        WHERE NOT EXISTS (SELECT 1 FROM usage_records WHERE completion_id = $1)
        ON CONFLICT (completion_id) DO UPDATE SET micros = greatest(spend_reservations.micros, excluded.micros)",
        call.completion,
        user,
        organization,
        micros,
        ttl.as_secs_f64(),
        call.chat,
        call.purpose
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The deployment's limit.
pub(crate) struct Limit {
    pub(crate) limit_micros: Option<i64>,
    pub(crate) period: String,
    pub(crate) updated_at: OffsetDateTime,
}

/// The deployment's limit; `None` as long as nobody has set one.
pub(crate) async fn limit(conn: &mut PgConnection) -> Result<Option<Limit>, sqlx::Error> {
    sqlx::query_as!(Limit, "SELECT limit_micros, period, updated_at FROM spend_limit")
        .fetch_optional(conn)
        .await
}

/// Whether users have limits.
pub(crate) async fn is_limited(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM spend_limit WHERE limit_micros IS NOT NULL) AS "is!""#)
        .fetch_one(conn)
        .await
}

/// Sets the deployment's limit. Without a period the present one stays.
pub(crate) async fn set_limit(
    conn: &mut PgConnection,
    limit_micros: Option<i64>,
    period: Option<&str>,
) -> Result<Limit, sqlx::Error> {
    sqlx::query_as!(
        Limit,
        "INSERT INTO spend_limit AS d (limit_micros, period) VALUES ($1, coalesce($2, 'month'))
        ON CONFLICT (is_present) DO UPDATE
            SET limit_micros = excluded.limit_micros, period = coalesce($2, d.period), updated_at = now()
        RETURNING limit_micros, period, updated_at",
        limit_micros,
        period
    )
    .fetch_one(conn)
    .await
}

/// The limit of a user.
pub(crate) struct UserLimit {
    pub(crate) user_id: Uuid,
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) limit_micros: i64,
}

/// The limits of live users, by username.
pub(crate) async fn user_limits(conn: &mut PgConnection) -> Result<Vec<UserLimit>, sqlx::Error> {
    sqlx::query_as!(
        UserLimit,
        "SELECT l.user_id, u.username, u.name, l.limit_micros
        FROM user_spend_limits l JOIN users u ON u.id = l.user_id
        WHERE u.deleted_at IS NULL
        ORDER BY lower(u.username), u.id LIMIT $1",
        MAX_LISTED
    )
    .fetch_all(conn)
    .await
}

/// Sets the limit of a live user; `None` if there is no such user.
pub(crate) async fn set_user_limit(
    conn: &mut PgConnection,
    user: Uuid,
    limit_micros: i64,
) -> Result<Option<UserLimit>, sqlx::Error> {
    sqlx::query_as!(
        UserLimit,
        "WITH known AS (SELECT id, username, name FROM users WHERE id = $1 AND deleted_at IS NULL),
            stored AS (
                INSERT INTO user_spend_limits (user_id, limit_micros) SELECT id, $2 FROM known
                ON CONFLICT (user_id) DO UPDATE SET limit_micros = excluded.limit_micros, updated_at = now()
                RETURNING user_id, limit_micros)
        SELECT s.user_id, k.username, k.name, s.limit_micros FROM stored s JOIN known k ON k.id = s.user_id",
        user,
        limit_micros
    )
    .fetch_optional(conn)
    .await
}

/// Removes the limit of a user; `false` if there was none.
pub(crate) async fn delete_user_limit(conn: &mut PgConnection, user: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM user_spend_limits WHERE user_id = $1", user)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// The limit of an organisation's members.
pub(crate) struct OrganizationLimit {
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) member_count: i64,
    pub(crate) limit_micros: i64,
}

/// The limits of organisations by name, or of one of them.
pub(crate) async fn organization_limits(
    conn: &mut PgConnection,
    organization: Option<Uuid>,
) -> Result<Vec<OrganizationLimit>, sqlx::Error> {
    sqlx::query_as!(
        OrganizationLimit,
        r#"SELECT l.organization_id, o.name, o.display_name, l.limit_micros,
            (SELECT count(*) FROM organization_members m JOIN users u ON u.id = m.user_id
                WHERE m.organization_id = o.id AND u.deleted_at IS NULL) AS "member_count!"
        FROM organization_spend_limits l JOIN organizations o ON o.id = l.organization_id
        WHERE $1::uuid IS NULL OR o.id = $1
        ORDER BY o.name LIMIT $2"#,
        organization,
        MAX_LISTED
    )
    .fetch_all(conn)
    .await
}

/// Sets the limit of an organisation's members; `false` if there is no such organisation.
pub(crate) async fn set_organization_limit(
    conn: &mut PgConnection,
    organization: Uuid,
    limit_micros: i64,
) -> Result<bool, sqlx::Error> {
    let set = sqlx::query!(
        "INSERT INTO organization_spend_limits (organization_id, limit_micros)
        SELECT id, $2 FROM organizations WHERE id = $1
        ON CONFLICT (organization_id) DO UPDATE SET limit_micros = excluded.limit_micros, updated_at = now()",
        organization,
        limit_micros
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Removes the limit of an organisation's members; `false` if there was none.
pub(crate) async fn delete_organization_limit(
    conn: &mut PgConnection,
    organization: Uuid,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM organization_spend_limits WHERE organization_id = $1",
        organization
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected() == 1)
}
