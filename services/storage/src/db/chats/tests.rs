//! What lists cost: a search for pull requests looks through the asker's own chats and never through everybody's pull requests.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Page, list};
use crate::postgres::testing;

/// Each with a pull request, of twenty users; every fourth is a subagent's chat of the one before.
const CHATS: i64 = 20_000;
const OWN: i64 = CHATS / 20;

async fn filled() -> (PgConnection, Uuid) {
    let database: PgConnectOptions = testing::database().await;
    let mut conn = PgConnection::connect_with(&database).await.unwrap();
    for statement in [
        "INSERT INTO organizations (id, name, display_name, is_default) SELECT md5('org')::uuid, 'o', 'O', $1 > 0",
        "INSERT INTO users (id, username, email) SELECT md5('user' || n)::uuid, 'user' || n, '' FROM generate_series(0, $1 / 1000 - 1) n",
        "INSERT INTO providers (id, type, name) SELECT md5('provider')::uuid, 'demo', 'p' WHERE $1 > 0",
        "INSERT INTO model_configs (id, provider_id, model, context_limit)
        SELECT md5('model')::uuid, md5('provider')::uuid, 'm', 1000 WHERE $1 > 0",
        "INSERT INTO chats (id, organization_id, owner_id, root_chat_id, parent_chat_id, last_model_config_id, title, client_type,
            updated_at, status)
        SELECT md5('chat' || n)::uuid, md5('org')::uuid, md5('user' || n / 1000)::uuid, md5('chat' || n - (n % 4) / 3)::uuid,
            CASE WHEN n % 4 = 3 THEN md5('chat' || n - 1)::uuid END, md5('model')::uuid, 't', 'ui',
            'epoch'::timestamptz + n * interval '1 minute', 'waiting'
        FROM generate_series(0, $1 - 1) n",
        "INSERT INTO chat_diff_statuses (chat_id, git_branch, git_remote_origin, observed_at, url, pull_request_number,
            pull_request_state)
        SELECT md5('chat' || n)::uuid, 'b', 'https://git.example.com/a/b', now(), 'https://git.example.com/a/b/pull/' || n, 1 + n % 500,
            'open'
        FROM generate_series(0, $1 - 1) n",
    ] {
        sqlx::query(statement).bind(CHATS).execute(&mut conn).await.unwrap();
    }
    for statement in [
        "VACUUM ANALYZE chats",
        "VACUUM ANALYZE chat_diff_statuses",
        "VACUUM ANALYZE users",
    ] {
        sqlx::query(statement).execute(&mut conn).await.unwrap();
    }
    let user = sqlx::query_scalar("SELECT md5('user3')::uuid")
        .fetch_one(&mut conn)
        .await;
    (conn, user.unwrap())
}

/// Passes over the table of pull requests, and rows that were read of it, since nobody knows when.
async fn reads(conn: &mut PgConnection) -> (i64, i64) {
    let statement = "SELECT seq_scan, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'chat_diff_statuses'";
    sqlx::query_as(statement).fetch_one(conn).await.unwrap()
}

/// What a list reads of pull requests, in whole passes over the table and in rows, and how many chats it finds.
async fn cost(conn: &mut PgConnection, page: &Page) -> (i64, i64, usize) {
    // Counts begin anew only between transactions.
    let mut tx = conn.begin().await.unwrap();
    let before = reads(&mut tx).await;
    let found = list(&mut tx, page).await.unwrap().len();
    let after = reads(&mut tx).await;
    tx.rollback().await.unwrap();
    (after.0 - before.0, after.1 - before.1, found)
}

#[tokio::test]
async fn a_search_reads_the_pull_requests_of_the_askers_chats_and_no_others() {
    let (mut conn, user) = filled().await;
    let all = || Page {
        user,
        is_archived: false,
        has_unread: None,
        title: String::new(),
        pull_request_title: String::new(),
        repository: String::new(),
        pull_request_number: 0,
        pull_request_statuses: Vec::new(),
        diff_url: String::new(),
        labels: serde_json::json!({}),
        after: None,
        limit: 25,
        offset: 0,
    };
    let at = |n: i64| Page {
        diff_url: format!("HTTPS://git.example.com/a/b/pull/{n}"),
        ..all()
    };
    // A plan for these values, and one for any.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        sqlx::query("SELECT set_config('plan_cache_mode', $1, false)")
            .bind(mode)
            .execute(&mut conn)
            .await
            .unwrap();
        let (passes, rows, found) = cost(&mut conn, &all()).await;
        assert_eq!((passes, found), (0, 25), "{mode}");
        assert!(rows <= 2 * 25, "{mode}: {rows} for a page of 25");
        let numbered = Page {
            pull_request_number: 2,
            ..all()
        };
        let (passes, rows, found) = cost(&mut conn, &numbered).await;
        assert_eq!((passes, found), (0, 2), "{mode}");
        assert!(rows <= OWN + 10, "{mode}: {rows} of the asker's {OWN}");
        // The asker's own, a subagent's, somebody else's, nobody's.
        for (n, expected) in [(3_000, 1), (3_003, 1), (4_000, 0), (CHATS, 0)] {
            let (passes, rows, found) = cost(&mut conn, &at(n)).await;
            assert_eq!((passes, found), (0, expected), "{mode}: {n}");
            assert!(rows <= 10, "{mode}: {rows} for {n}");
        }
    }
}
