//! The rows of `templates` and `template_versions`.

use prost::Message as _;
use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::Template;
use time::OffsetDateTime;
use uuid::Uuid;

use super::page::until_full;
use crate::template_spec::Spec;

/// The name of every organisation's built-in template.
pub(crate) const LOCAL: &str = "local";

/// Settings of the deployment that concern templates and workspaces.
pub(crate) const ALLOWLIST: &str = "template_allowlist";

/// A template with its active version.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) readme: String,
    pub(crate) icon_url: String,
    pub(crate) is_deprecated: bool,
    pub(crate) is_builtin: bool,
    pub(crate) requires_active_version: bool,
    pub(crate) active_version_id: Uuid,
    pub(crate) number: i32,
    pub(crate) backend: String,
    pub(crate) spec: Json<Spec>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) active_user_count: i64,
}

/// Which templates are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Of these organisations; `None`: of all.
    pub(crate) organizations: Option<Vec<Uuid>>,
    /// Neither deprecated nor missing on the allow list.
    pub(crate) is_for_chats: bool,
    /// Empty: all; otherwise one of these.
    pub(crate) allowed: Vec<Uuid>,
    pub(crate) id: Option<Uuid>,
    /// Empty: all; otherwise part of the name, the display name or the description.
    pub(crate) text: String,
}

macro_rules! select_templates {
    ($rest:literal, $filter:expr $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT t.id, t.organization_id, t.name, t.display_name, t.description, t.readme, t.icon_url, t.is_deprecated,
                t.is_builtin, t.requires_active_version, t.active_version_id, v.number, v.backend, v.spec AS "spec: Json<Spec>", t.created_at, t.updated_at,
                (SELECT count(DISTINCT w.owner_id) FROM workspaces w WHERE w.template_id = t.id
                    AND w.last_used_at > now() - interval '60 days') AS "active_user_count!"
            FROM templates t JOIN template_versions v ON v.id = t.active_version_id
            WHERE t.deleted_at IS NULL
                AND ($1::uuid[] IS NULL OR t.organization_id = ANY($1))
                AND (NOT $2::bool OR NOT t.is_deprecated)
                AND (cardinality($3::uuid[]) = 0 OR t.id = ANY($3))
                AND ($4::uuid IS NULL OR t.id = $4)
                AND ($5 = '' OR strpos(lower(t.name || ' ' || t.display_name || ' ' || t.description), lower($5)) > 0) "#
                + $rest,
            $filter.organizations.as_deref(),
            $filter.is_for_chats,
            &$filter.allowed[..],
            $filter.id,
            $filter.text,
            $($argument),*
        )
    };
}

/// The template with that id, if the filter lets it through.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, filter: &Filter) -> Result<Option<Row>, sqlx::Error> {
    let filter = Filter {
        id: Some(id),
        ..filter.clone()
    };
    select_templates!("", filter).fetch_optional(conn).await
}

/// Templates, those most used first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let rows = select_templates!(
        r#"ORDER BY "active_user_count!" DESC, t.name, t.id LIMIT $6 OFFSET $7"#,
        filter,
        limit,
        offset
    )
    .fetch(conn);
    until_full(rows, |row| row.to_wire().encoded_len()).await
}

/// How many there are.
pub(crate) async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM templates t
        WHERE t.deleted_at IS NULL
            AND ($1::uuid[] IS NULL OR t.organization_id = ANY($1))
            AND (NOT $2::bool OR NOT t.is_deprecated)
            AND (cardinality($3::uuid[]) = 0 OR t.id = ANY($3))
            AND ($4 = '' OR strpos(lower(t.name || ' ' || t.display_name || ' ' || t.description), lower($4)) > 0)"#,
        filter.organizations.as_deref(),
        filter.is_for_chats,
        &filter.allowed[..],
        filter.text
    )
    .fetch_one(conn)
    .await
}

/// Keeps a template from being changed by others until the transaction ends. Whether it is there.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT 1 AS "there!" FROM templates WHERE id = $1 AND deleted_at IS NULL FOR UPDATE"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// What a template makes of its workspaces now.
pub(crate) struct Active {
    pub(crate) version_id: Uuid,
    /// Starts take it.
    pub(crate) is_required: bool,
}

/// A template's active version, which stays that until the transaction ends; `None` for a deleted template.
pub(crate) async fn active(conn: &mut PgConnection, id: Uuid) -> Result<Option<Active>, sqlx::Error> {
    sqlx::query_as!(
        Active,
        "SELECT active_version_id AS version_id, requires_active_version AS is_required FROM templates
        WHERE id = $1 AND deleted_at IS NULL FOR SHARE",
        id
    )
    .fetch_optional(conn)
    .await
}

/// Stores what describes a template; its active version is to follow in the same transaction.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO templates (id, organization_id, name, display_name, description, readme, icon_url, is_deprecated,
            is_builtin, active_version_id, requires_active_version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        row.id,
        row.organization_id,
        row.name,
        row.display_name,
        row.description,
        row.readme,
        row.icon_url,
        row.is_deprecated,
        row.is_builtin,
        row.active_version_id,
        row.requires_active_version
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the row's active version as the template's next one.
pub(crate) async fn insert_version(conn: &mut PgConnection, row: &Row, user: Option<Uuid>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO template_versions (id, template_id, number, backend, spec, created_by)
        VALUES ($1, $2, coalesce((SELECT max(number) FROM template_versions WHERE template_id = $2), 0) + 1, $3, $4, $5)",
        row.active_version_id,
        row.id,
        row.backend,
        &row.spec as _,
        user
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what describes a template.
pub(crate) async fn update(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE templates SET name = $2, display_name = $3, description = $4, readme = $5, icon_url = $6, is_deprecated = $7,
            active_version_id = $8, requires_active_version = $9, updated_at = now()
        WHERE id = $1",
        row.id,
        row.name,
        row.display_name,
        row.description,
        row.readme,
        row.icon_url,
        row.is_deprecated,
        row.active_version_id,
        row.requires_active_version
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes softly.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE templates SET deleted_at = now() WHERE id = $1", id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The backend and the spec of a version, also of a deleted template's.
pub(crate) async fn version(conn: &mut PgConnection, id: Uuid) -> Result<Option<(String, Spec)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT backend, spec AS "spec: Json<Spec>" FROM template_versions WHERE id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.backend, row.spec.0)))
}

/// An organisation's built-in template and its active version; made where an organisation has none yet.
pub(crate) async fn local(conn: &mut PgConnection, organization: Uuid) -> Result<(Uuid, Uuid), sqlx::Error> {
    for _ in 0..2 {
        let found = sqlx::query!(
            "SELECT id, active_version_id FROM templates WHERE organization_id = $1 AND is_builtin AND deleted_at IS NULL",
            organization
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(found) = found {
            return Ok((found.id, found.active_version_id));
        }
        seed(conn, organization).await?;
    }
    Err(sqlx::Error::RowNotFound)
}

/// Makes the built-in template; nothing happens where there is one of its name.
async fn seed(conn: &mut PgConnection, organization: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH made AS (
            INSERT INTO templates (id, organization_id, name, display_name, description, is_builtin, active_version_id)
            VALUES ($1, $2, $3, 'Local', 'A directory on the machine Tandem runs on.', true, $4)
            ON CONFLICT DO NOTHING RETURNING id)
        INSERT INTO template_versions (id, template_id, number, backend, spec)
        SELECT $4, id, 1, 'local', '{}' FROM made",
        Uuid::now_v7(),
        organization,
        LOCAL,
        Uuid::now_v7()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The organisation new things belong to when none is named: one of these if it is the only one, else the default one.
pub(crate) async fn home(conn: &mut PgConnection, of: &[Uuid]) -> Result<Option<Uuid>, sqlx::Error> {
    if let [only] = of {
        return Ok(Some(*only));
    }
    sqlx::query_scalar!("SELECT id FROM organizations WHERE is_default")
        .fetch_optional(conn)
        .await
}

impl Row {
    pub(crate) fn to_wire(&self) -> Template {
        Template {
            id: self.id.to_string(),
            organization_id: self.organization_id.to_string(),
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            readme: self.readme.clone(),
            icon_url: self.icon_url.clone(),
            is_deprecated: self.is_deprecated,
            is_builtin: self.is_builtin,
            requires_active_version: self.requires_active_version,
            active_version_id: self.active_version_id.to_string(),
            active_version_number: self.number,
            spec: Some(self.spec.to_wire(&self.backend)),
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
            active_user_count: i32::try_from(self.active_user_count).unwrap_or(i32::MAX),
        }
    }
}
