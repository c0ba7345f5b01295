//! Throwaway databases for tests: one server for each test process, one database for each test.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::Private;

/// Speed instead of durability: nothing here outlives the test.
const SETTINGS: [(&str, &str); 3] = [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

struct Shared {
    options: PgConnectOptions,
    // Kept for the process's life; both end with it.
    _directory: tempfile::TempDir,
    _server: Private,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// An empty database of a test's own. Whoever starts storage on it must allow unsafe settings.
///
/// # Panics
/// When PostgreSQL cannot be started: without it no test here can say anything.
pub async fn database() -> PgConnectOptions {
    let shared = SHARED
        .get_or_init(|| async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let server = Private::start_with(directory.path(), &SETTINGS).await.expect("start PostgreSQL");
            Shared { options: server.connect_options(), _directory: directory, _server: server }
        })
        .await;
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut conn = PgConnection::connect_with(&shared.options).await.expect("connect to PostgreSQL");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    conn.execute(create).await.expect("make a database");
    shared.options.clone().database(&name)
}
