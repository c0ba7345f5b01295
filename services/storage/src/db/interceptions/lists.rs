//! What was recorded, read. A page is cut first, from `interceptions` alone; only then is anything looked up for it.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

/// What clients call the client of those that have none.
pub(crate) const UNKNOWN_CLIENT: &str = "Unknown";

/// What a list is to show: ended interceptions, as far as the viewer may see them.
#[derive(Clone, Default)]
pub(crate) struct Filter {
    /// Sees only their own; `None` sees all.
    pub(crate) viewer: Option<Uuid>,
    pub(crate) initiator: Option<Uuid>,
    pub(crate) started_after: Option<OffsetDateTime>,
    pub(crate) started_before: Option<OffsetDateTime>,
    pub(crate) provider_type: Option<String>,
    pub(crate) provider_name: Option<String>,
    pub(crate) model: Option<String>,
    /// [`UNKNOWN_CLIENT`] for none.
    pub(crate) client: Option<String>,
    pub(crate) session_id: Option<String>,
}

impl Filter {
    /// Adds the conditions on `i` to a statement. Each combination is a statement of its own, so that each is planned for itself.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" WHERE i.ended_at IS NOT NULL");
        for user in [self.viewer, self.initiator].into_iter().flatten() {
            query.push(" AND i.initiator_id = ").push_bind(user);
        }
        if let Some(time) = self.started_after {
            query.push(" AND i.started_at >= ").push_bind(time);
        }
        if let Some(time) = self.started_before {
            query.push(" AND i.started_at <= ").push_bind(time);
        }
        for (column, value) in [
            (" AND i.provider_type = ", &self.provider_type),
            (" AND i.provider_name = ", &self.provider_name),
            (" AND i.model = ", &self.model),
            (" AND i.session_id = ", &self.session_id),
        ] {
            if let Some(value) = value {
                query.push(column).push_bind(value.clone());
            }
        }
        if let Some(client) = &self.client {
            let client = if client == UNKNOWN_CLIENT { "" } else { client };
            query.push(" AND i.client = ").push_bind(client.to_owned());
        }
    }
}

/// Which part of a list.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// Interceptions, the newest first, behind one that began then.
pub(crate) async fn recent(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<(OffsetDateTime, Uuid)>,
    page: Page,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT i.id FROM interceptions i");
    filter.push(&mut query);
    if let Some((started_at, id)) = after {
        query.push(" AND (i.started_at, i.id) < (").push_bind(started_at);
        query.push(", ").push_bind(id).push(")");
    }
    query
        .push(" ORDER BY i.started_at DESC, i.id DESC LIMIT ")
        .push_bind(page.limit);
    query.push(" OFFSET ").push_bind(page.offset);
    query.build_query_scalar().fetch_all(conn).await
}

/// When an interception that the viewer may see began.
pub(crate) async fn started_at(
    conn: &mut PgConnection,
    id: Uuid,
    viewer: Option<Uuid>,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT started_at FROM interceptions
        WHERE id = $1 AND ended_at IS NOT NULL AND ($2::uuid IS NULL OR initiator_id = $2)",
        id,
        viewer
    )
    .fetch_optional(conn)
    .await
}

/// How many interceptions there are.
pub(crate) async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM interceptions i");
    filter.push(&mut query);
    query.build_query_scalar().fetch_one(conn).await
}

/// A session: users may have the same key.
pub(crate) type Key = (String, Uuid);

/// Sessions with a matching interception, the one whose first of these is the newest first, behind one that began then.
pub(crate) async fn session_keys(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<(OffsetDateTime, &str)>,
    page: Page,
) -> Result<Vec<Key>, sqlx::Error> {
    session_keys_query(SESSION_KEYS, filter, after, page)
        .build_query_as()
        .fetch_all(conn)
        .await
}

/// Of [`session_keys`].
pub(super) const SESSION_KEYS: &str = "SELECT i.session_id, i.initiator_id FROM interceptions i";

/// The statement behind `head`, which tests ask for the plan of.
pub(super) fn session_keys_query(
    head: &str,
    filter: &Filter,
    after: Option<(OffsetDateTime, &str)>,
    page: Page,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(head);
    filter.push(&mut query);
    query.push(" GROUP BY i.initiator_id, i.session_id");
    if let Some((started_at, session)) = after {
        query
            .push(" HAVING (min(i.started_at), i.session_id) < (")
            .push_bind(started_at);
        query.push(", ").push_bind(session.to_owned()).push(")");
    }
    query.push(" ORDER BY min(i.started_at) DESC, i.session_id DESC, i.initiator_id DESC LIMIT ");
    query.push_bind(page.limit);
    query.push(" OFFSET ").push_bind(page.offset);
    query
}

/// When the first matching interception of a session began. Where users share the key, the one that began first counts.
pub(crate) async fn session_started_at(
    conn: &mut PgConnection,
    filter: &Filter,
    session: &str,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT min(i.started_at) FROM interceptions i");
    filter.push(&mut query);
    query.push(" AND i.session_id = ").push_bind(session.to_owned());
    query.build_query_scalar().fetch_one(conn).await
}

/// How many sessions there are.
pub(crate) async fn count_sessions(conn: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT 1 FROM interceptions i");
    filter.push(&mut query);
    query.push(" GROUP BY i.initiator_id, i.session_id) s");
    query.build_query_scalar().fetch_one(conn).await
}

/// What a session amounts to.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) initiator_id: Uuid,
    pub(crate) initiator_username: String,
    pub(crate) initiator_name: String,
    pub(crate) client: String,
    pub(crate) provider_names: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) ended_at: OffsetDateTime,
    pub(crate) thread_count: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cache_read_tokens: i64,
    pub(crate) cache_write_tokens: i64,
    /// Its beginning.
    pub(crate) last_prompt: String,
}

/// What these sessions amount to, in this order. Those that have gone meanwhile are left out.
pub(crate) async fn sessions(conn: &mut PgConnection, keys: &[Key]) -> Result<Vec<Session>, sqlx::Error> {
    let (ids, initiators): (Vec<String>, Vec<Uuid>) = keys.iter().cloned().unzip();
    sqlx::query_file_as!(Session, "src/db/interceptions/sessions.sql", &ids, &initiators)
        .fetch_all(conn)
        .await
}

/// Whose sessions have this key, as far as the viewer may see them; at most two, the viewer's own first.
pub(crate) async fn session_owners(
    conn: &mut PgConnection,
    session: &str,
    viewer: Option<Uuid>,
    caller: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT initiator_id FROM interceptions
        WHERE session_id = $1 AND ended_at IS NOT NULL AND ($2::uuid IS NULL OR initiator_id = $2)
        GROUP BY initiator_id ORDER BY initiator_id <> $3, initiator_id LIMIT 2",
        session,
        viewer,
        caller
    )
    .fetch_all(conn)
    .await
}

/// Threads of a session by their roots, the oldest first, behind one of them.
pub(crate) async fn threads(
    conn: &mut PgConnection,
    (session, initiator): (&str, Uuid),
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT i.thread_root_id FROM interceptions i
        WHERE i.initiator_id = $2 AND i.session_id = $1 AND i.ended_at IS NOT NULL
        GROUP BY i.thread_root_id
        HAVING $3::uuid IS NULL OR (min(i.started_at), i.thread_root_id) > (
            SELECT min(a.started_at), $3 FROM interceptions a
            WHERE a.initiator_id = $2 AND a.session_id = $1 AND a.thread_root_id = $3 AND a.ended_at IS NOT NULL)
        ORDER BY min(i.started_at), i.thread_root_id
        LIMIT $4",
        session,
        initiator,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The interceptions of these threads of a session with their threads, the oldest first.
pub(crate) async fn of_threads(
    conn: &mut PgConnection,
    (session, initiator): (&str, Uuid),
    threads: &[Uuid],
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT i.thread_root_id, i.id FROM interceptions i
        WHERE i.initiator_id = $2 AND i.session_id = $1 AND i.thread_root_id = ANY($3) AND i.ended_at IS NOT NULL
        ORDER BY array_position($3, i.thread_root_id), i.started_at, i.id
        LIMIT $4",
        session,
        initiator,
        threads,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.thread_root_id, row.id)).collect())
}

/// Models that occur, by name; `pattern` is an `ILIKE` pattern.
pub(crate) async fn models(
    conn: &mut PgConnection,
    viewer: Option<Uuid>,
    pattern: &str,
    page: Page,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT model FROM interceptions
        WHERE ended_at IS NOT NULL AND ($1::uuid IS NULL OR initiator_id = $1) AND model ILIKE $2
        ORDER BY model LIMIT $3 OFFSET $4",
        viewer,
        pattern,
        page.limit,
        page.offset
    )
    .fetch_all(conn)
    .await
}

/// Clients that occur, by name; `pattern` is an `ILIKE` pattern.
pub(crate) async fn clients(
    conn: &mut PgConnection,
    viewer: Option<Uuid>,
    pattern: &str,
    page: Page,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT coalesce(nullif(client, ''), $5) AS "client!" FROM interceptions
        WHERE ended_at IS NOT NULL AND ($1::uuid IS NULL OR initiator_id = $1)
            AND coalesce(nullif(client, ''), $5) ILIKE $2
        ORDER BY 1 LIMIT $3 OFFSET $4"#,
        viewer,
        pattern,
        page.limit,
        page.offset,
        UNKNOWN_CLIENT
    )
    .fetch_all(conn)
    .await
}
