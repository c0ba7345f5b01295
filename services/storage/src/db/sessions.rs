//! The rows of `sessions`, and the setup code that opens the first one.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Opens a session for thirty days, and forgets the user's sessions that ended long ago.
pub(crate) async fn insert(conn: &mut PgConnection, user: Uuid, hash: &[u8]) -> Result<OffsetDateTime, sqlx::Error> {
    sqlx::query!(
        "DELETE FROM sessions WHERE user_id = $1 AND expires_at < now() - interval '30 days'",
        user
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        "INSERT INTO sessions (id, user_id, secret_hash, expires_at) VALUES ($1, $2, $3, now() + interval '30 days')
        RETURNING expires_at",
        Uuid::now_v7(),
        user,
        hash
    )
    .fetch_one(conn)
    .await
}

/// What a presented secret is.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) user_id: Uuid,
    pub(crate) is_expired: bool,
    pub(crate) is_session: bool,
}

/// The session or token a secret belongs to; at most once a minute this also notes the use.
pub(crate) async fn authenticate(conn: &mut PgConnection, hash: &[u8]) -> Result<Option<Found>, sqlx::Error> {
    let found = sqlx::query_as!(
        Found,
        r#"SELECT id::text AS "id!", user_id AS "user_id!", expires_at <= now() AS "is_expired!", true AS "is_session!"
        FROM sessions WHERE secret_hash = $1
        UNION ALL
        SELECT id, user_id, expires_at <= now(), false FROM api_tokens WHERE secret_hash = $1"#,
        hash
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(found) = &found
        && !found.is_expired
    {
        sqlx::query!(
            "WITH session AS (
                UPDATE sessions SET last_used_at = now(), expires_at = now() + interval '30 days'
                WHERE secret_hash = $1 AND last_used_at < now() - interval '1 minute'),
            token AS (
                UPDATE api_tokens SET last_used_at = now()
                WHERE secret_hash = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute'))
            UPDATE users SET last_seen_at = now()
            WHERE id = $2 AND (last_seen_at IS NULL OR last_seen_at < now() - interval '1 minute')",
            hash,
            found.user_id
        )
        .execute(conn)
        .await?;
    }
    Ok(found)
}

/// Which of these sessions and tokens no longer let anybody in.
pub(crate) async fn ended(
    conn: &mut PgConnection,
    sessions: &[Uuid],
    tokens: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT asked.id::text AS "id!" FROM unnest($1::uuid[]) AS asked (id)
        WHERE NOT EXISTS (SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
            WHERE s.id = asked.id AND s.expires_at > now() AND u.status = 'active')
        UNION ALL
        SELECT asked.id FROM unnest($2::text[]) AS asked (id)
        WHERE NOT EXISTS (SELECT 1 FROM api_tokens t JOIN users u ON u.id = t.user_id
            WHERE t.id = asked.id AND t.expires_at > now() AND u.status = 'active')"#,
        sessions,
        tokens
    )
    .fetch_all(conn)
    .await
}

/// Ends a session.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid, user: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM sessions WHERE id = $1 AND user_id = $2", id, user)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends all sessions of a user, as after a new password.
pub(crate) async fn delete_all(conn: &mut PgConnection, user: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM sessions WHERE user_id = $1", user)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether anybody can get in: by a password, or by a session or token that still counts.
pub(crate) async fn is_anybody_in(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM sessions WHERE expires_at > now())
            OR EXISTS (SELECT 1 FROM api_tokens WHERE expires_at > now())
            OR EXISTS (SELECT 1 FROM users WHERE password_hash IS NOT NULL) AS "is_anybody_in!""#
    )
    .fetch_one(conn)
    .await
}

/// Makes this the one valid setup code.
pub(crate) async fn set_setup_code(conn: &mut PgConnection, hash: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO setup_code (code_hash) VALUES ($1)
        ON CONFLICT (is_present) DO UPDATE SET code_hash = excluded.code_hash, created_at = now()",
        hash
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses the setup code up; says whether it was the valid one.
pub(crate) async fn redeem_setup_code(conn: &mut PgConnection, hash: &[u8]) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM setup_code WHERE code_hash = $1", hash)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
