//! The rows of `files`. Links to chats are made with messages.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::common::v1::FileMetadata;
use time::OffsetDateTime;
use uuid::Uuid;

/// Files listed with one chat; more are usable in messages but not listed.
pub(crate) const MAX_LINKED: i64 = 50;

/// A file with its bytes.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) size_bytes: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) data: Vec<u8>,
}

/// Stores a file.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<OffsetDateTime, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO files (id, owner_id, organization_id, name, media_type, size_bytes, data)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING created_at",
        row.id,
        row.owner_id,
        row.organization_id,
        row.name,
        row.media_type,
        row.size_bytes,
        row.data
    )
    .fetch_one(conn)
    .await
}

/// A file its owner, or the owner of a chat that lists it, asks for.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, user: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, owner_id, organization_id, name, media_type, size_bytes, created_at, data FROM files f
        WHERE id = $1 AND (owner_id = $2 OR EXISTS (
            SELECT 1 FROM chat_file_links l JOIN chats c ON c.id = l.chat_id WHERE l.file_id = f.id AND c.owner_id = $2))",
        id,
        user
    )
    .fetch_optional(conn)
    .await
}

/// A file a chat's turn needs: one that the chat's owner may read.
pub(crate) async fn find_for_chat(conn: &mut PgConnection, id: Uuid, chat: Uuid) -> Result<Option<Row>, sqlx::Error> {
    let owner = sqlx::query_scalar!("SELECT owner_id FROM chats WHERE id = $1", chat)
        .fetch_optional(&mut *conn)
        .await?;
    match owner {
        Some(owner) => find(conn, id, owner).await,
        None => Ok(None),
    }
}

impl Row {
    pub(crate) fn metadata(&self) -> FileMetadata {
        FileMetadata {
            id: self.id.to_string(),
            owner_id: self.owner_id.to_string(),
            organization_id: self.organization_id.to_string(),
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            created_at: Some(time_to_wire(self.created_at)),
            size_bytes: self.size_bytes,
        }
    }
}

/// Lists files with a chat: all of them, or none when that would be too many. Files that are listed already stay so.
pub(crate) async fn link(conn: &mut PgConnection, chat: Uuid, files: &[Uuid]) -> Result<bool, sqlx::Error> {
    if files.is_empty() {
        return Ok(true);
    }
    let linked = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM chat_file_links WHERE chat_id = $1 AND NOT file_id = ANY($2)"#,
        chat,
        files
    )
    .fetch_one(&mut *conn)
    .await?;
    if linked + i64::try_from(files.len()).unwrap_or(i64::MAX) > MAX_LINKED {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO chat_file_links (chat_id, file_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
        chat,
        files
    )
    .execute(conn)
    .await?;
    Ok(true)
}
