//! Lists of chats: their order, their pages, what they can be asked for.

use std::collections::HashMap;

use tandem_proto::storage::v1::*;
use tonic::{Code, Status};
use uuid::Uuid;

use super::family::adopt;
use crate::stage::Stage;

/// Titles of a page.
async fn page(stage: &Stage, message: ListChatsRequest) -> Result<Vec<String>, Status> {
    let listed = stage.list_chats(&stage.admin, message).await?;
    Ok(listed.chats.into_iter().map(|chat| chat.title).collect())
}

async fn filtered(stage: &Stage, filter: ChatFilter) -> Vec<String> {
    let message = ListChatsRequest {
        filter: Some(filter),
        ..ListChatsRequest::default()
    };
    page(stage, message).await.unwrap()
}

/// Chats at rest with these titles, the first one touched longest ago.
async fn chats(stage: &Stage, titles: &[&str]) -> HashMap<String, String> {
    let mut ids = HashMap::new();
    for title in titles {
        ids.insert((*title).to_owned(), stage.waiting(title).await);
    }
    ids
}

#[tokio::test]
async fn pinned_chats_come_first_and_then_the_latest_activity() {
    let stage = Stage::start().await;
    let ids = chats(&stage, &["a", "b", "c", "d"]).await;
    assert_eq!(
        page(&stage, ListChatsRequest::default()).await.unwrap(),
        ["d", "c", "b", "a"]
    );
    stage.send(&ids["a"], "more").await.unwrap();
    stage
        .update(&ids["b"], |message| message.pin_order = Some(1))
        .await
        .unwrap();
    assert_eq!(
        page(&stage, ListChatsRequest::default()).await.unwrap(),
        ["b", "a", "d", "c"]
    );
    let message = ListChatsRequest {
        limit: 2,
        offset: 1,
        ..ListChatsRequest::default()
    };
    assert_eq!(page(&stage, message).await.unwrap(), ["a", "d"]);
    for (limit, offset) in [(1_001, 0), (-1, 0), (1, -1)] {
        let message = ListChatsRequest {
            limit,
            offset,
            ..ListChatsRequest::default()
        };
        assert_eq!(
            page(&stage, message).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{limit} {offset}"
        );
    }
}

#[tokio::test]
async fn of_chats_touched_at_once_the_greater_id_comes_first() {
    let stage = Stage::start().await;
    let ids = chats(&stage, &["a", "b", "c"]).await;
    sqlx::query("UPDATE chats SET updated_at = now()")
        .execute(&stage.world.pool)
        .await
        .unwrap();
    let mut expected: Vec<_> = ids.into_iter().map(|(title, id)| (id, title)).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let expected: Vec<String> = expected.into_iter().map(|(_, title)| title).collect();
    assert_eq!(page(&stage, ListChatsRequest::default()).await.unwrap(), expected);
    // The cursor goes the same way.
    let listed = stage
        .list_chats(
            &stage.admin,
            ListChatsRequest {
                limit: 1,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    let message = ListChatsRequest {
        after_id: listed.chats[0].id.clone(),
        ..ListChatsRequest::default()
    };
    assert_eq!(page(&stage, message).await.unwrap(), expected[1..]);
}

#[tokio::test]
async fn fifty_chats_come_unless_more_are_asked_for() {
    let stage = Stage::start().await;
    for n in 0..51 {
        stage.chat(&format!("c{n}")).await;
    }
    assert_eq!(page(&stage, ListChatsRequest::default()).await.unwrap().len(), 50);
    let all = ListChatsRequest {
        limit: 1_000,
        ..ListChatsRequest::default()
    };
    assert_eq!(page(&stage, all).await.unwrap().len(), 51);
}

#[tokio::test]
async fn pages_behind_a_chat_skip_and_double_nothing_that_stood_still() {
    let stage = Stage::start().await;
    let titles: Vec<String> = (0..12).map(|n| format!("c{n:02}")).collect();
    let ids = chats(&stage, &titles.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for title in ["c00", "c01", "c02"] {
        stage
            .update(&ids[title], |message| message.pin_order = Some(1))
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut after_id = String::new();
    loop {
        let message = ListChatsRequest {
            limit: 3,
            after_id: after_id.clone(),
            ..ListChatsRequest::default()
        };
        let listed = stage.list_chats(&stage.admin, message).await.unwrap().chats;
        let Some(last) = listed.last() else { break };
        after_id = last.id.clone();
        seen.extend(listed.into_iter().map(|chat| chat.title));
        if seen.len() == 3 {
            // One that was shown already is touched, one that was not, and a new one appears.
            stage
                .update(&ids["c00"], |message| message.title = Some("renamed".to_owned()))
                .await
                .unwrap();
            stage.send(&ids["c04"], "more").await.unwrap();
            stage.chat("new").await;
        }
    }
    let still: Vec<&String> = titles.iter().filter(|title| *title != "c04").collect();
    for title in &still {
        assert_eq!(
            seen.iter().filter(|other| other == title).count(),
            1,
            "{title} in {seen:?}"
        );
    }
    assert!(seen.len() >= still.len());
}

#[tokio::test]
async fn every_term_of_a_filter_must_hold() {
    let stage = Stage::start().await;
    let ids = chats(
        &stage,
        &["Blue whale", "green WHALE", r"back\slash", "whale_1", "quiet"],
    )
    .await;
    let label = |key: &str, value: &str| LabelSet {
        labels: [(key.to_owned(), value.to_owned()), ("all".to_owned(), "yes".to_owned())].into(),
    };
    for (title, team) in [("Blue whale", "web"), ("green WHALE", "ops"), ("quiet", "web")] {
        stage
            .update(&ids[title], |message| message.labels = Some(label("team", team)))
            .await
            .unwrap();
    }
    stage
        .mark_chat_read(
            &stage.admin,
            MarkChatReadRequest {
                chat_id: ids["quiet"].clone(),
            },
        )
        .await
        .unwrap();
    stage.archive(&ids["whale_1"], true).await.unwrap();

    let titled = |title: &str| ChatFilter {
        title: title.to_owned(),
        ..ChatFilter::default()
    };
    let labelled = |terms: &[(&str, &str)]| ChatFilter {
        labels: terms
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..ChatFilter::default()
    };
    assert_eq!(filtered(&stage, titled("WhAlE")).await, ["green WHALE", "Blue whale"]);
    assert_eq!(
        filtered(
            &stage,
            ChatFilter {
                archived: Some(true),
                ..titled("whale")
            }
        )
        .await,
        ["whale_1"]
    );
    assert_eq!(
        filtered(
            &stage,
            ChatFilter {
                has_unread: Some(false),
                ..Default::default()
            }
        )
        .await,
        ["quiet"]
    );
    assert_eq!(
        filtered(
            &stage,
            ChatFilter {
                has_unread: Some(true),
                ..titled("i")
            }
        )
        .await,
        Vec::<String>::new()
    );
    assert_eq!(
        filtered(&stage, labelled(&[("team", "web")])).await,
        ["quiet", "Blue whale"]
    );
    assert_eq!(
        filtered(&stage, labelled(&[("team", "web"), ("all", "no")])).await,
        Vec::<String>::new()
    );
    let both = ChatFilter {
        has_unread: Some(true),
        ..labelled(&[("team", "web"), ("all", "yes")])
    };
    assert_eq!(filtered(&stage, both).await, ["Blue whale"]);
    // A backslash is a letter like any other, and no pattern is broken by it.
    assert_eq!(filtered(&stage, titled(r"K\S")).await, [r"back\slash"]);
    assert_eq!(filtered(&stage, titled("\\")).await, [r"back\slash"]);
    assert_eq!(
        filtered(&stage, titled("'; DROP TABLE chats; --")).await,
        Vec::<String>::new()
    );
}

/// Stores what a forge says of a chat.
async fn pull_request(stage: &Stage, chat: &str, origin: &str, number: i32, title: &str, state: &str, is_draft: bool) {
    sqlx::query(
        "INSERT INTO chat_diff_statuses (chat_id, git_branch, git_remote_origin, observed_at, url, pull_request_state,
            pull_request_title, is_draft, pull_request_number)
        VALUES ($1, 'b', $2::text, now(), $2::text || '/pull/' || $3::integer, $4, $5, $6, $3::integer)",
    )
    .bind(chat.parse::<Uuid>().unwrap())
    .bind(origin)
    .bind(number)
    .bind(state)
    .bind(title)
    .bind(is_draft)
    .execute(&stage.world.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn chats_are_found_by_their_repositories_and_pull_requests() {
    let stage = Stage::start().await;
    let ids = chats(&stage, &["door", "window", "roof", "bare"]).await;
    for (title, origin, number, named, state, is_draft) in [
        (
            "door",
            "https://git.example.com/Tandem/house",
            7,
            "Fix the Door",
            "open",
            false,
        ),
        (
            "window",
            "https://git.example.com/tandem/house",
            8,
            "New window",
            "open",
            true,
        ),
        (
            "roof",
            "https://git.example.com/other/roof",
            7,
            "100% tight",
            "merged",
            false,
        ),
    ] {
        pull_request(&stage, &ids[title], origin, number, named, state, is_draft).await;
    }
    let none = ChatFilter::default;
    let repository = |text: &str| ChatFilter {
        repository: text.to_owned(),
        ..none()
    };
    let number = |number| ChatFilter {
        pull_request_number: number,
        ..none()
    };
    let titled = |text: &str| ChatFilter {
        pull_request_title: text.to_owned(),
        ..none()
    };
    let is = |statuses: &[&str]| ChatFilter {
        pull_request_statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
        ..none()
    };
    let at = |url: &str| ChatFilter {
        diff_url: url.to_owned(),
        ..none()
    };
    let table: [(ChatFilter, &[&str]); 15] = [
        (none(), &["bare", "roof", "window", "door"]),
        (repository("TANDEM/house"), &["window", "door"]),
        (repository("roof/pull"), &["roof"]),
        (repository("nowhere"), &[]),
        (number(7), &["roof", "door"]),
        (number(9), &[]),
        (titled("the door"), &["door"]),
        (titled("100% t"), &["roof"]),
        (is(&["open"]), &["door"]),
        (is(&["draft", "merged"]), &["roof", "window"]),
        (is(&["closed"]), &[]),
        (at("HTTPS://git.example.com/tandem/HOUSE/pull/7"), &["door"]),
        (at("https://git.example.com/tandem/house/pull"), &[]),
        (
            ChatFilter {
                pull_request_number: 7,
                ..repository("house")
            },
            &["door"],
        ),
        (
            ChatFilter {
                title: "roof".to_owned(),
                ..number(7)
            },
            &["roof"],
        ),
    ];
    for (filter, expected) in table {
        assert_eq!(filtered(&stage, filter.clone()).await, expected, "{filter:?}");
    }
    // A subagent's pull request is found by its address, and by nothing else.
    let child = stage.waiting("child").await;
    adopt(&stage, &ids["bare"], &child).await;
    pull_request(
        &stage,
        &child,
        "https://git.example.com/sub/way",
        99,
        "Below",
        "open",
        false,
    )
    .await;
    assert_eq!(
        filtered(&stage, at("https://git.example.com/sub/way/pull/99")).await,
        ["bare"]
    );
    assert_eq!(filtered(&stage, number(99)).await, Vec::<String>::new());
    // Nobody else's chats are found.
    let mia = stage.world.member(&stage.admin, "mia").await;
    let message = ListChatsRequest {
        filter: Some(number(7)),
        ..ListChatsRequest::default()
    };
    assert!(stage.list_chats(&mia, message).await.unwrap().chats.is_empty());
}

#[tokio::test]
async fn the_latest_live_chat_of_each_workspace_is_found() {
    let stage = Stage::start().await;
    let ids = chats(&stage, &["old", "new", "gone", "none"]).await;
    let mut workspaces = Vec::new();
    for name in ["first", "second"] {
        let id = Uuid::now_v7();
        sqlx::query("INSERT INTO workspaces (id, owner_id, organization_id, name, template_name) VALUES ($1, $2, $3, $4, 'local')")
            .bind(id)
            .bind(stage.admin.id)
            .bind(stage.admin.organization_ids[0])
            .bind(name)
            .execute(&stage.world.pool)
            .await
            .unwrap();
        workspaces.push(id.to_string());
    }
    for (title, workspace) in [("old", 0), ("new", 0), ("gone", 1)] {
        let bound = stage
            .update(&ids[title], |message| {
                message.workspace_id = Some(workspaces[workspace].clone())
            })
            .await;
        assert_eq!(bound.unwrap().workspace_id, workspaces[workspace]);
    }
    stage.archive(&ids["gone"], true).await.unwrap();
    let ask = |workspace_ids: Vec<String>| {
        stage.list_chats_by_workspace(&stage.admin, ListChatsByWorkspaceRequest { workspace_ids })
    };
    let found = ask(workspaces.clone()).await.unwrap().chat_ids;
    assert_eq!(found, [(workspaces[0].clone(), ids["new"].clone())].into());
    assert_eq!(
        ask(vec![workspaces[0].clone(); 26]).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let unbound = stage
        .update(&ids["new"], |message| message.workspace_id = Some(String::new()))
        .await
        .unwrap();
    assert_eq!(unbound.workspace_id, "");
    assert_eq!(
        ask(workspaces.clone()).await.unwrap().chat_ids[&workspaces[0]],
        ids["old"]
    );
}
