//! The private server's life.

use sqlx::{Connection, PgConnection};
use tandem_storage::postgres::{Error, Private};

async fn ask(server: &Private, question: &'static str) -> String {
    let mut conn = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    sqlx::query_scalar(question).fetch_one(&mut conn).await.unwrap()
}

#[tokio::test]
async fn what_is_committed_outlives_the_server_and_one_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let first = Private::start(directory.path()).await.unwrap();
    assert_eq!(ask(&first, "SELECT current_setting('listen_addresses')").await, "");
    assert_eq!(ask(&first, "SELECT current_setting('fsync')").await, "on");
    assert_eq!(ask(&first, "SELECT current_user::text").await, "tandem");
    let mut conn = PgConnection::connect_with(&first.connect_options()).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 'here'::text AS word")
        .execute(&mut conn)
        .await
        .unwrap();
    // The first server is still running: the second stops it and takes over its data.
    let second = Private::start(directory.path()).await.unwrap();
    assert_eq!(ask(&second, "SELECT word FROM kept").await, "here");
    second.stop().await;
    first.stop().await;
    assert!(!directory.path().join("data/postmaster.pid").exists());
}

#[tokio::test]
async fn data_of_another_major_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::fs::write(directory.path().join("data/PG_VERSION"), "9\n").unwrap();
    let refused = Private::start(directory.path()).await.err().unwrap();
    assert!(
        matches!(&refused, Error::OtherVersion { found, .. } if found == "9"),
        "{refused}"
    );
    assert!(refused.to_string().contains("pg_dump"));
}

#[tokio::test]
async fn a_long_path_gets_its_socket_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(120));
    let server = Private::start(&deep).await.unwrap();
    assert_eq!(ask(&server, "SELECT current_database()::text").await, "tandem");
    let sockets = server.connect_options().get_socket().unwrap().clone();
    server.stop().await;
    assert!(!sockets.starts_with(&deep));
    std::fs::remove_dir_all(sockets).unwrap();
}
