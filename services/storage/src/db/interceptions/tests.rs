//! What lists cost: with many interceptions, a page is cut from one table and only the page is looked up.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::lists::{self, Filter, Key, Page};
use super::{End, Prompt, Start, Tokens};
use crate::postgres::testing;

const INTERCEPTIONS: i64 = 20_000;
const PAGE: i64 = 25;

/// Of ten users; half of them in a session of two, the others alone; each with tokens and a prompt.
async fn filled() -> PgConnection {
    let database: PgConnectOptions = testing::database().await;
    let mut conn = PgConnection::connect_with(&database).await.unwrap();
    for statement in [
        "INSERT INTO interceptions (id, initiator_id, credential_id, provider_type, provider_name, model, client, user_agent,
            client_session_id, correlating_tool_call_id, credential_kind, credential_hint, session_id, thread_root_id,
            started_at, ended_at, status)
        SELECT g.id, md5('user' || n / 2 % 10)::uuid, 'token', 'openai', 'main', 'gpt-' || n % 7, 'Codex', '', g.session, '',
            'centralized', '', g.session, g.id, 'epoch'::timestamptz + n * interval '1 minute',
            'epoch'::timestamptz + n * interval '1 minute' + interval '5 seconds', 200
        FROM generate_series(1, $1) n CROSS JOIN LATERAL (SELECT md5('call' || n)::uuid AS id,
            CASE WHEN n % 4 < 2 THEN 'pair ' || n / 2 ELSE 'alone ' || n END AS session) g",
        "INSERT INTO token_usages (id, interception_id, message_id, input_tokens, output_tokens, cache_read_tokens,
            cache_write_tokens, extra, created_at)
        SELECT gen_random_uuid(), id, '', 10, 20, 0, 0, '{}', started_at FROM interceptions WHERE $1 > 0",
        "INSERT INTO user_prompts (id, interception_id, message_id, prompt, created_at)
        SELECT gen_random_uuid(), id, '', repeat('words ', 20), started_at FROM interceptions WHERE $1 > 0",
    ] {
        sqlx::query(statement)
            .bind(INTERCEPTIONS)
            .execute(&mut conn)
            .await
            .unwrap();
    }
    for table in ["interceptions", "token_usages", "user_prompts"] {
        sqlx::query(AssertSqlSafe(format!("VACUUM ANALYZE {table}")))
            .execute(&mut conn)
            .await
            .unwrap();
    }
    conn
}

/// One step of a plan that reads a table.
#[derive(Debug)]
struct Scan {
    kind: String,
    table: String,
    /// In all its repetitions.
    rows: f64,
}

fn scans(plan: &Value) -> Vec<Scan> {
    fn walk(node: &Value, found: &mut Vec<Scan>) {
        if let Some(table) = node["Relation Name"].as_str() {
            found.push(Scan {
                kind: node["Node Type"].as_str().unwrap().to_owned(),
                table: table.to_owned(),
                rows: node["Actual Rows"].as_f64().unwrap() * node["Actual Loops"].as_f64().unwrap(),
            });
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            walk(child, found);
        }
    }
    let mut found = Vec::new();
    walk(&plan[0]["Plan"], &mut found);
    assert!(!found.is_empty(), "{plan}");
    found
}

fn tables(scans: &[Scan]) -> BTreeSet<&str> {
    scans.iter().map(|scan| scan.table.as_str()).collect()
}

async fn page_plan(conn: &mut PgConnection, filter: &Filter) -> Vec<Scan> {
    let page = Page { limit: PAGE, offset: 0 };
    let head = format!("EXPLAIN (ANALYZE, FORMAT JSON) {}", lists::SESSION_KEYS);
    let mut query = lists::session_keys_query(&head, filter, None, page);
    scans(&query.build_query_scalar().fetch_one(conn).await.unwrap())
}

async fn page(conn: &mut PgConnection) -> Vec<Key> {
    let page = Page { limit: PAGE, offset: 0 };
    let keys = lists::session_keys(conn, &Filter::default(), None, page).await.unwrap();
    assert_eq!(keys.len(), 25);
    keys
}

#[tokio::test]
async fn a_page_of_sessions_is_cut_from_one_table_and_only_the_page_is_looked_up() {
    let mut conn = filled().await;

    let all = page_plan(&mut conn, &Filter::default()).await;
    assert_eq!(tables(&all), BTreeSet::from(["interceptions"]), "{all:?}");

    let somebody: Uuid = sqlx::query_scalar("SELECT md5('user0')::uuid")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let own = Filter {
        viewer: Some(somebody),
        ..Filter::default()
    };
    let own = page_plan(&mut conn, &own).await;
    assert_eq!(tables(&own), BTreeSet::from(["interceptions"]), "{own:?}");
    assert!(own.iter().all(|scan| scan.kind != "Seq Scan"), "{own:?}");
    assert!(own.iter().all(|scan| scan.rows <= 2_001.0), "one of ten users: {own:?}");

    let (ids, initiators): (Vec<String>, Vec<Uuid>) = page(&mut conn).await.into_iter().unzip();
    let statement = format!("EXPLAIN (ANALYZE, FORMAT JSON) {}", include_str!("sessions.sql"));
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(&ids)
        .bind(&initiators)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let looked_up = scans(&plan);
    let expected = BTreeSet::from(["interceptions", "token_usages", "user_prompts", "users"]);
    assert_eq!(tables(&looked_up), expected, "{plan}");
    for scan in &looked_up {
        // Three lookups of the page's interceptions, which are at most two for each session.
        assert!(scan.rows <= 2.0 * 25.0, "{scan:?} in {plan}");
        assert!(scan.kind != "Seq Scan" || scan.table == "users", "{scan:?} in {plan}");
    }
}

#[tokio::test]
async fn every_session_is_on_one_page_when_all_are_turned() {
    let mut conn = filled().await;
    let filter = Filter::default();
    let mut seen = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let start = match &after {
            Some(session) => lists::session_started_at(&mut conn, &filter, session).await.unwrap(),
            None => None,
        };
        let cursor = start.zip(after.as_deref());
        let page = Page {
            limit: 1_000,
            offset: 0,
        };
        let keys = lists::session_keys(&mut conn, &filter, cursor, page).await.unwrap();
        let Some((last, _)) = keys.last() else { break };
        after = Some(last.clone());
        for key in keys {
            assert!(seen.insert(key.clone()), "{key:?} twice");
        }
    }
    let count = lists::count_sessions(&mut conn, &filter).await.unwrap();
    assert_eq!(i64::try_from(seen.len()).unwrap(), count);
    assert!(count >= 15_000, "{count}");
}

fn start(id: Uuid, at: OffsetDateTime) -> Start {
    Start {
        id,
        initiator_id: Uuid::nil(),
        credential_id: "token".to_owned(),
        provider_id: None,
        provider_type: "openai".to_owned(),
        provider_name: "main".to_owned(),
        model: "gpt".to_owned(),
        client: String::new(),
        user_agent: String::new(),
        client_session_id: String::new(),
        correlating_tool_call_id: String::new(),
        credential_kind: "centralized",
        credential_hint: String::new(),
        started_at: at,
        ended_at: None,
        status: None,
    }
}

#[tokio::test]
async fn what_is_recorded_is_looked_up_although_the_tables_were_empty_when_that_was_planned() {
    let database: PgConnectOptions = testing::database().await;
    let mut conn = PgConnection::connect_with(&database).await.unwrap();
    // A plan is kept from its sixth use on.
    for batch in 0..10_i64 {
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(batch);
        let ids: Vec<Uuid> = (0..50).map(|_| Uuid::now_v7()).collect();
        let starts: Vec<Start> = ids.iter().map(|id| start(*id, at)).collect();
        let ends = ids.iter().map(|id| End {
            interception_id: *id,
            ended_at: at,
            status: 200,
        });
        let tokens = ids.iter().map(|id| Tokens {
            id: *id,
            interception_id: *id,
            message_id: String::new(),
            input_tokens: 1,
            output_tokens: 1,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            extra: std::collections::BTreeMap::new(),
            created_at: at,
        });
        let prompts = ids.iter().map(|id| Prompt {
            id: *id,
            interception_id: *id,
            message_id: String::new(),
            prompt: "words".to_owned(),
            created_at: at,
        });
        let mut tx = conn.begin().await.unwrap();
        super::look_up(&mut tx).await.unwrap();
        super::lock(&mut tx, &[Uuid::nil()], &ids).await.unwrap();
        super::insert(&mut tx, &starts).await.unwrap();
        super::end(&mut tx, &ends.collect::<Vec<_>>()).await.unwrap();
        super::insert_tokens(&mut tx, &tokens.collect::<Vec<_>>())
            .await
            .unwrap();
        super::insert_prompts(&mut tx, &prompts.collect::<Vec<_>>())
            .await
            .unwrap();
        let read: i64 = sqlx::query_scalar("SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(read, 0, "rows read in batch {batch}");
        tx.commit().await.unwrap();
    }
    let ended: i64 = sqlx::query_scalar("SELECT count(*) FROM interceptions WHERE ended_at IS NOT NULL")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(ended, 500);
}
