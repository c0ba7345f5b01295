//! The rows of `personal_skills`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::PersonalSkill;
use time::OffsetDateTime;
use uuid::Uuid;

/// A skill of a user.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Empty in lists.
    pub(crate) body: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

impl Row {
    /// The skill as the contract writes it.
    pub(crate) fn to_wire(&self) -> PersonalSkill {
        PersonalSkill {
            name: self.name.clone(),
            description: self.description.clone(),
            body: self.body.clone(),
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
        }
    }
}

/// A user's skills by name, without their bodies.
pub(crate) async fn list(conn: &mut PgConnection, user: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT name, description, '' AS "body!", created_at, updated_at FROM personal_skills
        WHERE user_id = $1 ORDER BY name COLLATE "C""#,
        user
    )
    .fetch_all(conn)
    .await
}

/// One with its body.
pub(crate) async fn find(conn: &mut PgConnection, user: Uuid, name: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT name, description, body, created_at, updated_at FROM personal_skills WHERE user_id = $1 AND name = $2",
        user,
        name
    )
    .fetch_optional(conn)
    .await
}

/// How many a user has.
pub(crate) async fn count(conn: &mut PgConnection, user: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM personal_skills WHERE user_id = $1"#,
        user
    )
    .fetch_one(conn)
    .await
}

/// Stores a skill in place of the one of its name.
pub(crate) async fn put(
    conn: &mut PgConnection,
    user: Uuid,
    name: &str,
    description: &str,
    body: &str,
) -> Result<Row, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO personal_skills (user_id, name, description, body) VALUES ($1, $2, $3, $4)
        ON CONFLICT (user_id, name) DO UPDATE
            SET description = excluded.description, body = excluded.body, updated_at = now()
        RETURNING name, description, body, created_at, updated_at",
        user,
        name,
        description,
        body
    )
    .fetch_one(conn)
    .await
}

/// Removes a skill; whether there was one.
pub(crate) async fn delete(conn: &mut PgConnection, user: Uuid, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM personal_skills WHERE user_id = $1 AND name = $2",
        user,
        name
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
