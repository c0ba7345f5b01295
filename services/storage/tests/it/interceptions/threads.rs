//! Threads and sessions: the same, in whatever order and company the records come.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use super::{Exchange, together};
use crate::harness::Harness;

/// Where each exchange stands: its parent, its root and its session, by the names given.
type Places = BTreeMap<String, (String, String, String)>;

async fn places(world: &Harness, user: &User, names: &[(&str, &Exchange)]) -> Places {
    let names: BTreeMap<String, String> = names
        .iter()
        .map(|(name, exchange)| (exchange.id.to_string(), (*name).to_owned()))
        .collect();
    let name = |id: &String| names.get(id).cloned().unwrap_or_else(|| id.clone());
    let listed = world.listed(user).await.into_iter().filter_map(|it| it.interception);
    listed
        .map(|it| {
            let place = (
                name(&it.thread_parent_id),
                name(&it.thread_root_id),
                name(&it.session_id),
            );
            (name(&it.id), place)
        })
        .collect()
}

fn expected(places: &[(&str, &str, &str, &str)]) -> Places {
    let owned = |text: &str| text.to_owned();
    places
        .iter()
        .map(|(name, parent, root, session)| (owned(name), (owned(parent), owned(root), owned(session))))
        .collect()
}

/// Four exchanges of one thread, two of which answer the same answer.
fn thread(user: &User) -> [Exchange; 4] {
    [
        Exchange::new(user, 100).calling(&["c1", "c2"]).asking("Hello?"),
        Exchange::new(user, 110).answering("c2").calling(&["c3"]),
        Exchange::new(user, 120).answering("c3").calling(&["c4"]),
        Exchange::new(user, 130).answering("c1"),
    ]
}

#[tokio::test]
async fn a_thread_is_the_same_in_whatever_order_its_exchanges_come() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    // Every order of four, each in one message and in four of them.
    for number in 0..24 {
        for is_together in [true, false] {
            let user = world.member(&admin, &format!("user-{number}-{is_together}")).await;
            let all = thread(&user);
            let mut left: Vec<usize> = (0..4).collect();
            let order = [6, 2, 1, 1].map(|weight| left.remove(number / weight % left.len()));
            let messages = order.map(|at| all[at].record());
            if is_together {
                world.try_record(together(messages)).await.unwrap();
            } else {
                for message in messages {
                    world.try_record(message).await.unwrap();
                }
            }
            let [a, b, c, d] = &all;
            assert_eq!(
                places(&world, &user, &[("a", a), ("b", b), ("c", c), ("d", d)]).await,
                expected(&[
                    ("a", "", "a", "a"),
                    ("b", "a", "a", "a"),
                    ("c", "b", "a", "a"),
                    ("d", "a", "a", "a")
                ]),
                "{order:?} {is_together}"
            );
        }
    }
}

#[tokio::test]
async fn the_pieces_of_exchanges_may_come_one_by_one() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let all = thread(&admin);
    let [a, b, c, d] = &all;
    // All that begins, then all that ends, then what was called, the last first.
    for exchange in &all {
        let starts = RecordInterceptionsRequest {
            starts: vec![exchange.start()],
            ..RecordInterceptionsRequest::default()
        };
        world.try_record(starts).await.unwrap();
    }
    assert_eq!(world.listed(&admin).await.len(), 0, "what runs is not shown");
    let rest = |exchange: &Exchange| RecordInterceptionsRequest {
        starts: Vec::new(),
        tool_usages: Vec::new(),
        ..exchange.record()
    };
    world.try_record(together(all.iter().map(rest))).await.unwrap();
    assert_eq!(world.listed(&admin).await.len(), 4);
    for exchange in [c, b, a] {
        let tools = RecordInterceptionsRequest {
            tool_usages: exchange.tools(),
            ..RecordInterceptionsRequest::default()
        };
        world.try_record(tools).await.unwrap();
    }
    assert_eq!(
        places(&world, &admin, &[("a", a), ("b", b), ("c", c), ("d", d)]).await,
        expected(&[
            ("a", "", "a", "a"),
            ("b", "a", "a", "a"),
            ("c", "b", "a", "a"),
            ("d", "a", "a", "a")
        ])
    );
}

#[tokio::test]
async fn a_session_has_the_key_of_its_client_and_those_without_take_it_from_their_thread() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let root = Exchange::new(&admin, 100).calling(&["c1"]).in_session("key");
    let same = Exchange::new(&admin, 110)
        .answering("c1")
        .calling(&["c2"])
        .in_session("key");
    let silent = Exchange::new(&admin, 120).answering("c2").calling(&["c3"]);
    let other = Exchange::new(&admin, 130).answering("c1").in_session("other");
    let beside = Exchange::new(&admin, 140).in_session("key");
    world.record(&[&silent]).await;
    world.record(&[&root, &same, &other, &beside]).await;
    let names = [
        ("root", &root),
        ("same", &same),
        ("silent", &silent),
        ("other", &other),
        ("beside", &beside),
    ];
    assert_eq!(
        places(&world, &admin, &names).await,
        expected(&[
            ("root", "", "root", "key"),
            ("same", "root", "root", "key"),
            ("silent", "same", "root", "key"),
            ("other", "", "other", "other"),
            ("beside", "", "beside", "key")
        ])
    );
}

#[tokio::test]
async fn calls_link_neither_users_nor_what_began_before() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let hers = Exchange::new(&mia, 100).calling(&["call_0"]);
    let early = Exchange::new(&admin, 90).answering("call_0");
    let first = Exchange::new(&admin, 100).calling(&["call_0"]);
    let second = Exchange::new(&admin, 110).answering("call_0").calling(&["call_0"]);
    let third = Exchange::new(&admin, 120).answering("call_0").calling(&["call_0"]);
    let circle = Exchange::new(&admin, 130).answering("own").calling(&["own"]);
    world.record(&[&hers, &early, &third, &second, &first, &circle]).await;
    let names = [
        ("early", &early),
        ("first", &first),
        ("second", &second),
        ("third", &third),
        ("circle", &circle),
    ];
    // Some vendors number the calls of each answer: the latest one before is meant.
    assert_eq!(
        places(&world, &admin, &[&names[..], &[("hers", &hers)]].concat()).await,
        expected(&[
            ("hers", "", "hers", "hers"),
            ("early", "", "early", "early"),
            ("first", "", "first", "first"),
            ("second", "first", "first", "first"),
            ("third", "second", "first", "first"),
            ("circle", "", "circle", "circle")
        ])
    );
}

#[tokio::test]
async fn a_call_and_its_answer_told_at_once_by_two_find_each_other() {
    let world = Arc::new(Harness::start().await);
    let admin = world.bootstrap().await;
    for _ in 0..40 {
        let call = Uuid::new_v4().to_string();
        let parent = Exchange::new(&admin, 100).calling(&[&call]);
        let child = Exchange::new(&admin, 110).answering(&call);
        let tells = |message| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.try_record(message).await })
        };
        let (one, other) = (tells(parent.record()), tells(child.record()));
        one.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
        let root: Uuid = sqlx::query_scalar("SELECT thread_root_id FROM interceptions WHERE id = $1")
            .bind(child.id)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(root, parent.id);
    }
}
