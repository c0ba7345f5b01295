//! The rows of `organizations` and `organization_members`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::Organization;
use time::OffsetDateTime;
use uuid::Uuid;

/// An organisation.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) is_default: bool,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

/// All organisations, or those of one user; the default one first.
pub(crate) async fn list(conn: &mut PgConnection, member: Option<Uuid>) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, name, display_name, is_default, created_at, updated_at FROM organizations o
        WHERE $1::uuid IS NULL
            OR EXISTS (SELECT 1 FROM organization_members m WHERE m.organization_id = o.id AND m.user_id = $1)
        ORDER BY is_default DESC, name",
        member
    )
    .fetch_all(conn)
    .await
}

/// Whether there is an organisation of this id.
pub(crate) async fn is_known(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM organizations WHERE id = $1) AS "is_known!""#,
        id
    )
    .fetch_one(conn)
    .await
}

/// Stores a new organisation, with its built-in template.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    name: &str,
    display_name: &str,
    is_default: bool,
) -> Result<Row, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO organizations (id, name, display_name, is_default) VALUES ($1, $2, $3, $4)
        RETURNING id, name, display_name, is_default, created_at, updated_at",
        id,
        name,
        display_name,
        is_default
    )
    .fetch_one(&mut *conn)
    .await?;
    super::templates::local(conn, id).await?;
    Ok(row)
}

/// Makes a user a member; being one already is fine.
pub(crate) async fn add_member(conn: &mut PgConnection, organization: Uuid, user: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO organization_members (organization_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        organization,
        user
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    pub(crate) fn to_wire(&self) -> Organization {
        Organization {
            id: self.id.to_string(),
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            is_default: self.is_default,
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
        }
    }
}
