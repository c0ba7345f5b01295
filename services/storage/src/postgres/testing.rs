//! Throwaway databases for tests: one server for each test process, one database for each test.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Private, Settings};

/// Speed instead of durability: nothing here outlives the test.
const SETTINGS: Settings = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
];

/// A database with the migrations applied, which each test's own is a copy of.
const TEMPLATE: &str = "migrated";

/// Waits for the process that holds its input to end, then clears the server away.
const CLEANER: &str = r#"cat; kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")"; sleep 0.2; rm -rf -- "$0""#;

static SERVER: OnceCell<PgConnectOptions> = OnceCell::const_new();
static MIGRATED: OnceCell<()> = OnceCell::const_new();

/// A database of a test's own, with the schema and no rows. Whoever starts storage on it must allow unsafe settings.
///
/// # Panics
/// When PostgreSQL cannot be started: without it no test here can say anything.
pub async fn database() -> PgConnectOptions {
    let server = SERVER.get_or_init(start).await;
    MIGRATED.get_or_init(|| migrate(server)).await;
    let name = format!("test_{}", Uuid::new_v4().simple());
    create(server, &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
    server.clone().database(&name)
}

async fn migrate(server: &PgConnectOptions) {
    create(server, &format!("CREATE DATABASE {TEMPLATE}")).await;
    let mut conn = PgConnection::connect_with(&server.clone().database(TEMPLATE))
        .await
        .expect("connect to the template");
    sqlx::migrate!("../../migrations")
        .run(&mut conn)
        .await
        .expect("migrate the template");
    conn.close().await.expect("leave the template");
}

async fn create(server: &PgConnectOptions, statement: &str) {
    let mut conn = PgConnection::connect_with(server).await.expect("connect to PostgreSQL");
    conn.execute(sqlx::AssertSqlSafe(statement.to_owned()))
        .await
        .expect("make a database");
}

async fn start() -> PgConnectOptions {
    let directory = tempfile::tempdir().expect("temporary directory").keep();
    clean_up_later(directory.clone());
    let server = Private::start_with(&directory, SETTINGS)
        .await
        .expect("start PostgreSQL");
    let options = server.connect_options();
    // It lasts as long as the process.
    std::mem::forget(server);
    options
}

/// Nothing of ours runs at the end of a test process, so another process does what is left to do.
fn clean_up_later(directory: PathBuf) {
    let cleaner = Command::new("sh")
        .args(["-c", CLEANER])
        .arg(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start a cleaner");
    // Its input stays open exactly as long as this process.
    std::mem::forget(cleaner);
}
