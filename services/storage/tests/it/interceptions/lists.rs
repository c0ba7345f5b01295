//! What people see of it: their own or all, filtered, in pages.

use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use tonic::Code;
use uuid::Uuid;

use super::{Exchange, at};
use crate::harness::{Harness, reason};

/// The seconds at which the interceptions of a page began, and how many there are in all.
async fn page(world: &Harness, user: &User, message: ListInterceptionsRequest) -> (Vec<i64>, i64) {
    let listed = world.list_interceptions(user, message).await.unwrap();
    let started = listed
        .interceptions
        .iter()
        .filter_map(|it| it.interception.as_ref()?.started_at.as_ref())
        .map(|time| time.seconds);
    (started.collect(), listed.count)
}

async fn filtered(world: &Harness, user: &User, filter: InterceptionFilter) -> Vec<i64> {
    let message = ListInterceptionsRequest {
        filter: Some(filter),
        ..ListInterceptionsRequest::default()
    };
    let (started, count) = page(world, user, message).await;
    assert_eq!(started.len(), usize::try_from(count).unwrap());
    started
}

async fn sessions(world: &Harness, user: &User, message: ListSessionsRequest) -> (Vec<String>, i64) {
    let listed = world.list_sessions(user, message).await.unwrap();
    (listed.sessions.into_iter().map(|it| it.id).collect(), listed.count)
}

/// Sets something of a filter.
type Narrow = fn(&mut InterceptionFilter);

struct Crowd {
    world: Harness,
    admin: User,
    mia: User,
    all: Vec<Exchange>,
}

/// Five of the administrator, and two of mia in sessions of their own keys.
async fn crowd() -> Crowd {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let mut all = vec![
        Exchange::new(&admin, 10).in_session("one").asking("first"),
        Exchange::new(&admin, 20).in_session("two"),
        Exchange::new(&admin, 30).in_session("one").asking("second"),
        Exchange::new(&admin, 30).in_session("three"),
        Exchange::new(&admin, 40).in_session("one"),
        Exchange::new(&mia, 50).in_session("hers"),
        Exchange::new(&mia, 15).in_session("also hers"),
    ];
    all[1].model = "claude".to_owned();
    all[2].client.clear();
    all[3].provider = "spare".to_owned();
    all[4].model = "claude".to_owned();
    for (at, exchange) in all.iter_mut().enumerate() {
        exchange.tokens = 10_i64.pow(u32::try_from(at).unwrap());
    }
    let references: Vec<&Exchange> = all.iter().collect();
    world.record(&references).await;
    Crowd { world, admin, mia, all }
}

#[tokio::test]
async fn users_see_their_own_and_administrators_all_the_newest_first() {
    let Crowd { world, admin, mia, all } = crowd().await;
    let everything = ListInterceptionsRequest::default;
    assert_eq!(page(&world, &mia, everything()).await, (vec![50, 15], 2));
    assert_eq!(
        page(&world, &admin, everything()).await,
        (vec![50, 40, 30, 30, 20, 15, 10], 7)
    );
    let of = |user: &User| InterceptionFilter {
        initiator_id: user.id.to_string(),
        ..InterceptionFilter::default()
    };
    assert_eq!(filtered(&world, &admin, of(&mia)).await, [50, 15]);
    assert_eq!(filtered(&world, &mia, of(&mia)).await, [50, 15]);
    assert_eq!(filtered(&world, &mia, of(&admin)).await, [] as [i64; 0]);
    // Behind what they may not see, there is nothing for them.
    let message = ListInterceptionsRequest {
        after_id: all[4].id.to_string(),
        ..everything()
    };
    assert_eq!(page(&world, &mia, message).await, (vec![], 2));
}

#[tokio::test]
async fn every_filter_filters() {
    let Crowd { world, admin, .. } = crowd().await;
    let text = str::to_owned;
    let table: [(Narrow, &[i64]); 10] = [
        (|it| it.model = "claude".to_owned(), &[40, 20]),
        (|it| it.provider_name = "spare".to_owned(), &[30]),
        (|it| it.provider_type = "anthropic".to_owned(), &[]),
        (
            |it| it.provider_type = "openai".to_owned(),
            &[50, 40, 30, 30, 20, 15, 10],
        ),
        (|it| it.client = "Unknown".to_owned(), &[30]),
        (|it| it.client = "Codex".to_owned(), &[50, 40, 30, 20, 15, 10]),
        (|it| it.session_id = "one".to_owned(), &[40, 30, 10]),
        (|it| it.started_after = at(30), &[50, 40, 30, 30]),
        (|it| it.started_before = at(20), &[20, 15, 10]),
        (
            |it| {
                it.started_after = at(15);
                it.model = "gpt-1".to_owned();
                it.started_before = at(40);
            },
            &[30, 30, 15],
        ),
    ];
    for (case, (set, expected)) in table.into_iter().enumerate() {
        let mut filter = InterceptionFilter::default();
        set(&mut filter);
        assert_eq!(filtered(&world, &admin, filter).await, expected, "{case}");
    }
    let long = InterceptionFilter {
        model: "x".repeat(257),
        ..InterceptionFilter::default()
    };
    let message = ListSessionsRequest {
        filter: Some(long),
        ..ListSessionsRequest::default()
    };
    assert_eq!(reason(world.list_sessions(&admin, message).await), "INVALID_REQUEST");
    // A session is listed where one of its interceptions matches.
    for (model, expected) in [
        ("claude", vec!["one", "two"]),
        ("gpt-1", vec!["hers", "three", "also hers", "one"]),
    ] {
        let message = ListSessionsRequest {
            filter: Some(InterceptionFilter {
                model: text(model),
                ..InterceptionFilter::default()
            }),
            ..ListSessionsRequest::default()
        };
        let count = i64::try_from(expected.len()).unwrap();
        assert_eq!(
            sessions(&world, &admin, message).await,
            (expected.into_iter().map(text).collect(), count)
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let Crowd { world, admin, .. } = crowd().await;
    let (all, count) = page(&world, &admin, ListInterceptionsRequest::default()).await;
    let mut turned = Vec::new();
    let mut after_id = String::new();
    loop {
        let message = ListInterceptionsRequest {
            limit: 2,
            after_id: after_id.clone(),
            ..ListInterceptionsRequest::default()
        };
        let listed = world.list_interceptions(&admin, message).await.unwrap();
        assert_eq!(listed.count, count);
        let Some(last) = listed.interceptions.last() else { break };
        after_id.clone_from(&last.interception.as_ref().unwrap().id);
        let started = listed
            .interceptions
            .iter()
            .filter_map(|it| it.interception.as_ref()?.started_at);
        turned.extend(started.map(|time| time.seconds));
    }
    assert_eq!(turned, all);
    let message = ListInterceptionsRequest {
        limit: 2,
        offset: 5,
        ..ListInterceptionsRequest::default()
    };
    assert_eq!(page(&world, &admin, message).await, (vec![15, 10], 7));
    for (limit, offset) in [(1_001, 0), (-1, 0), (1, -1)] {
        let message = ListInterceptionsRequest {
            limit,
            offset,
            ..ListInterceptionsRequest::default()
        };
        let refused = world.list_interceptions(&admin, message).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{limit} {offset}");
    }

    let mut turned = Vec::new();
    let mut after_session_id = String::new();
    loop {
        let message = ListSessionsRequest {
            limit: 2,
            after_session_id: after_session_id.clone(),
            ..ListSessionsRequest::default()
        };
        let (ids, count) = sessions(&world, &admin, message).await;
        assert_eq!(count, 5);
        let Some(last) = ids.last() else { break };
        after_session_id.clone_from(last);
        turned.extend(ids);
    }
    assert_eq!(turned, ["hers", "three", "two", "also hers", "one"]);
}

#[tokio::test]
async fn a_session_is_summed_up() {
    let Crowd { world, admin, mia, .. } = crowd().await;
    let (own, count) = sessions(&world, &mia, ListSessionsRequest::default()).await;
    assert_eq!((own, count), (vec!["hers".to_owned(), "also hers".to_owned()], 2));
    let listed = world
        .list_sessions(&admin, ListSessionsRequest::default())
        .await
        .unwrap();
    let one = listed.sessions.iter().find(|it| it.id == "one").unwrap();
    let expected = InterceptionSession {
        id: "one".to_owned(),
        initiator_id: admin.id.to_string(),
        initiator_username: "admin".to_owned(),
        initiator_name: one.initiator_name.clone(),
        client: "Codex".to_owned(),
        provider_names: vec!["main".to_owned()],
        models: vec!["claude".to_owned(), "gpt-1".to_owned()],
        started_at: at(10),
        ended_at: at(41),
        thread_count: 3,
        input_tokens: 10_101,
        output_tokens: 20_202,
        cache_read_tokens: 30_303,
        cache_write_tokens: 40_404,
        last_prompt: "second".to_owned(),
    };
    assert_eq!(*one, expected);
}

/// What a page of a session's threads shows, by the second each interception began, and whether there is more.
async fn shown(world: &Harness, user: &User, message: GetSessionRequest) -> (Vec<i64>, bool) {
    let got = world.get_session(user, message).await.unwrap();
    let started = got
        .interceptions
        .iter()
        .filter_map(|it| it.interception.as_ref()?.started_at);
    (started.map(|time| time.seconds).collect(), got.has_more)
}

#[tokio::test]
async fn a_session_shows_its_threads_in_pages() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let all = [
        Exchange::new(&admin, 10).in_session("s").calling(&["a"]),
        Exchange::new(&admin, 20).in_session("s").calling(&["b"]),
        Exchange::new(&admin, 30).in_session("s").answering("a"),
        Exchange::new(&admin, 40).in_session("s"),
        Exchange::new(&admin, 25).in_session("elsewhere"),
    ];
    let references: Vec<&Exchange> = all.iter().collect();
    world.record(&references).await;
    let asks = |limit, after: Option<Uuid>| GetSessionRequest {
        session_id: "s".to_owned(),
        limit,
        after_thread_id: after.map(|id| id.to_string()).unwrap_or_default(),
        ..GetSessionRequest::default()
    };
    assert_eq!(
        shown(&world, &admin, asks(0, None)).await,
        (vec![10, 30, 20, 40], false)
    );
    assert_eq!(shown(&world, &admin, asks(2, None)).await, (vec![10, 30, 20], true));
    assert_eq!(shown(&world, &admin, asks(2, Some(all[1].id))).await, (vec![40], false));
    assert_eq!(shown(&world, &admin, asks(2, Some(all[3].id))).await, (vec![], false));
    for limit in [-1, 201] {
        assert_eq!(
            reason(world.get_session(&admin, asks(limit, None)).await),
            "INVALID_REQUEST"
        );
    }
}

#[tokio::test]
async fn the_session_of_somebody_else_is_not_there() {
    let Crowd { world, admin, mia, .. } = crowd().await;
    let asks = |session: &str, initiator: Option<&User>| GetSessionRequest {
        session_id: session.to_owned(),
        initiator_id: initiator.map(|user| user.id.to_string()).unwrap_or_default(),
        ..GetSessionRequest::default()
    };
    for (session, initiator) in [
        ("one", None),
        ("one", Some(&admin)),
        ("hers", Some(&admin)),
        ("none", None),
    ] {
        let refused = world.get_session(&mia, asks(session, initiator)).await;
        assert_eq!(reason(refused), "SESSION_NOT_FOUND", "{session}");
    }
    assert_eq!(shown(&world, &mia, asks("hers", None)).await, (vec![50], false));
    assert_eq!(shown(&world, &admin, asks("hers", None)).await, (vec![50], false));

    // A key that several users have: one's own, or the one that is named.
    let noah = world.member(&admin, "noah").await;
    let shared = [
        Exchange::new(&mia, 60).in_session("shared"),
        Exchange::new(&noah, 61).in_session("shared"),
        Exchange::new(&admin, 62).in_session("one more"),
    ];
    world.record(&[&shared[0], &shared[1], &shared[2]]).await;
    assert_eq!(shown(&world, &noah, asks("shared", None)).await.0, [61]);
    assert_eq!(shown(&world, &admin, asks("shared", Some(&mia))).await.0, [60]);
    let refused = world.get_session(&admin, asks("shared", None)).await;
    assert_eq!(reason(refused), "INVALID_REQUEST");
    let own = Exchange::new(&admin, 63).in_session("shared");
    world.record(&[&own]).await;
    assert_eq!(shown(&world, &admin, asks("shared", None)).await.0, [63]);
}

#[tokio::test]
async fn values_can_be_chosen_from() {
    let Crowd { world, admin, mia, .. } = crowd().await;
    let values = async |user: &User, field: InterceptionField, prefix: &str, limit, offset| {
        let message = ListInterceptionValuesRequest {
            field: field.into(),
            prefix: prefix.to_owned(),
            limit,
            offset,
        };
        let listed = world.list_interception_values(user, message).await;
        listed.map(|listed| listed.values)
    };
    let (model, client) = (InterceptionField::Model, InterceptionField::Client);
    for (user, field, prefix, limit, offset, expected) in [
        (&admin, model, "", 0, 0, &["claude", "gpt-1"][..]),
        (&admin, model, "GPT", 0, 0, &["gpt-1"]),
        (&admin, model, "%", 0, 0, &[]),
        (&admin, model, "", 1, 1, &["gpt-1"]),
        (&mia, model, "", 0, 0, &["gpt-1"]),
        (&admin, client, "", 0, 0, &["Codex", "Unknown"]),
        (&mia, client, "", 0, 0, &["Codex"]),
        (&admin, client, "unk", 0, 0, &["Unknown"]),
    ] {
        assert_eq!(
            values(user, field, prefix, limit, offset).await.unwrap(),
            expected,
            "{prefix} {limit}"
        );
    }
    let unspecified = values(&admin, InterceptionField::Unspecified, "", 0, 0).await;
    assert_eq!(reason(unspecified), "INVALID_REQUEST");
}

#[tokio::test]
async fn a_page_that_is_too_large_for_one_answer_ends_earlier() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let text = "x".repeat(64 * 1024);
    let mut count = 0;
    for started in 0..24 {
        let calls: Vec<String> = (0..12).map(|at| format!("{started}-{at}")).collect();
        let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
        let mut message = Exchange::new(&admin, 100 + started)
            .in_session("s")
            .calling(&calls)
            .record();
        for usage in &mut message.tool_usages {
            usage.arguments_json.clone_from(&text);
        }
        world.try_record(message).await.unwrap();
        count += 1;
    }
    // 18 MiB of texts; an answer carries 12.
    let (started, all) = page(&world, &admin, ListInterceptionsRequest::default()).await;
    assert_eq!(all, count);
    assert_eq!(started, (100..124).rev().collect::<Vec<i64>>(), "with texts cut");
    let session = GetSessionRequest {
        session_id: "s".to_owned(),
        ..GetSessionRequest::default()
    };
    assert_eq!(shown(&world, &admin, session).await.0.len(), 24);
}

/// Ended interceptions of one thread, one each second from `from` on.
async fn fill(world: &Harness, user: &User, root: Uuid, from: i64, count: i64) {
    sqlx::query(
        "INSERT INTO interceptions (id, initiator_id, credential_id, provider_type, provider_name, model, client, user_agent,
            client_session_id, correlating_tool_call_id, credential_kind, credential_hint, session_id, thread_root_id,
            started_at, ended_at, status)
        SELECT CASE WHEN n = 0 THEN $1 ELSE gen_random_uuid() END, $2, 'token', 'openai', 'provider ' || lpad(n::text, 5, '0'),
            'model ' || lpad(n::text, 5, '0'), 'Codex', '', 'long', '', 'centralized', '', 'long', $1,
            'epoch'::timestamptz + ($3 + n) * interval '1 second', 'epoch'::timestamptz + ($3 + n + 1) * interval '1 second', 200
        FROM generate_series(0, $4 - 1) n",
    )
    .bind(root)
    .bind(user.id)
    .bind(from)
    .bind(count)
    .execute(&world.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn threads_behind_one_that_fills_a_page_are_on_the_next() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (long, short) = (Uuid::from_u128(1), Uuid::from_u128(2));
    fill(&world, &admin, long, 0, 9_999).await;
    fill(&world, &admin, short, 20_000, 1).await;
    let asks = |after: Option<Uuid>| GetSessionRequest {
        session_id: "long".to_owned(),
        after_thread_id: after.map(|id| id.to_string()).unwrap_or_default(),
        ..GetSessionRequest::default()
    };
    let (started, has_more) = shown(&world, &admin, asks(None)).await;
    assert_eq!(
        (started.len(), started.last(), has_more),
        (10_000, Some(&20_000), false)
    );
    for more in 1..=2 {
        // A thread that just fills a page, and one that is too long for it.
        fill(&world, &admin, Uuid::from_u128(10 + more), 19_000, 1).await;
        sqlx::query("UPDATE interceptions SET thread_root_id = $1 WHERE id = $2")
            .bind(long)
            .bind(Uuid::from_u128(10 + more))
            .execute(&world.pool)
            .await
            .unwrap();
        let (started, has_more) = shown(&world, &admin, asks(None)).await;
        assert_eq!((started.len(), has_more), (10_000, true), "{more}");
        assert!(!started.contains(&20_000));
        assert_eq!(
            shown(&world, &admin, asks(Some(long))).await,
            (vec![20_000], false),
            "{more}"
        );
    }
}

#[tokio::test]
async fn a_session_is_summed_up_with_sixteen_names_of_each_kind() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let root = Uuid::from_u128(1);
    fill(&world, &admin, root, 0, 16).await;
    fill(&world, &admin, Uuid::from_u128(2), 100, 1).await;
    sqlx::query("UPDATE interceptions SET provider_name = 'z', model = 'z', client = 'Later' WHERE started_at >= to_timestamp(100)")
        .execute(&world.pool)
        .await
        .unwrap();
    let listed = world
        .list_sessions(&admin, ListSessionsRequest::default())
        .await
        .unwrap();
    let numbered = |word: &str| (0..16).map(|n| format!("{word} {n:05}")).collect::<Vec<_>>();
    let session = &listed.sessions[0];
    assert_eq!(
        session.provider_names,
        numbered("provider"),
        "the seventeenth is left out"
    );
    assert_eq!(session.models, numbered("model"));
    assert_eq!((session.client.as_str(), session.thread_count), ("Codex", 2));
}
