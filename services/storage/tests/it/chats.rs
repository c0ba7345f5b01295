//! What people do with their chats: creation, one version for each change, unread marks, and nobody else's business.

mod family;
mod lists;
mod matrix;
mod queue;

use futures::future::join_all;
use tandem_proto::common::v1::{ChatStatus, DynamicTool, PlanMode, WatchKind};
use tandem_proto::storage::v1::*;
use tonic::Code;
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, assistant, brief, result, says, sends, status, stores};

/// Who writes at once.
const WRITERS: usize = 16;

fn creates(stage: &Stage) -> CreateChatRequest {
    CreateChatRequest {
        organization_id: stage.admin.organization_ids[0].to_string(),
        message: says("Fix the login page of the shop before tonight"),
        ..CreateChatRequest::default()
    }
}

#[tokio::test]
async fn a_chat_begins_pending_with_its_first_message_and_a_title_of_six_words() {
    let stage = Stage::start().await;
    let message = CreateChatRequest {
        system_prompt: "Speak like a pirate.".to_owned(),
        labels: [("team".to_owned(), "web".to_owned())].into(),
        plan_mode: PlanMode::Plan.into(),
        ..creates(&stage)
    };
    let chat = stage.create_chat(&stage.admin, message).await.unwrap().chat.unwrap();
    assert_eq!(chat.status(), ChatStatus::Pending);
    assert_eq!((chat.version, chat.epoch), (1, 0));
    assert_eq!(chat.title, "Fix the login page of the…");
    assert_eq!(chat.root_chat_id, chat.id);
    assert_eq!(chat.last_model_config_id, stage.model);
    assert_eq!(chat.plan_mode(), PlanMode::Plan);
    assert_eq!(chat.labels["team"], "web");

    // People see their own message; the model is told more, in this order.
    let seen = stage.snapshot(&chat.id).await;
    let seen: Vec<_> = seen.messages.iter().map(brief).collect();
    assert_eq!(seen, ["user Fix the login page of the shop before tonight"]);
    let turn = stage.claim_only(&chat.id).await;
    let load = LoadTurnRequest {
        chat_id: turn.chat,
        epoch: turn.epoch,
    };
    let told = stage.load_turn(load).await.unwrap();
    let told: Vec<_> = told.messages.iter().map(brief).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("system ") && told[2].starts_with("system "));
    assert_eq!(told[1], "system Speak like a pirate.");
    assert_eq!(told[3], "user Fix the login page of the shop before tonight");
}

#[tokio::test]
async fn a_chat_that_cannot_be_is_refused_and_leaves_nothing() {
    let stage = Stage::start().await;
    let tool = |name: &str| DynamicTool {
        name: name.to_owned(),
        ..DynamicTool::default()
    };
    let elsewhere = CreateChatRequest {
        organization_id: Uuid::new_v4().to_string(),
        ..creates(&stage)
    };
    let refused = stage.create_chat(&stage.admin, elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let wrong = [
        (
            "no organisation",
            CreateChatRequest {
                organization_id: String::new(),
                ..creates(&stage)
            },
        ),
        (
            "no words",
            CreateChatRequest {
                message: says("  "),
                ..creates(&stage)
            },
        ),
        (
            "no message",
            CreateChatRequest {
                message: None,
                ..creates(&stage)
            },
        ),
        (
            "a long prompt",
            CreateChatRequest {
                system_prompt: "x".repeat(10_001),
                ..creates(&stage)
            },
        ),
        (
            "no such workspace",
            CreateChatRequest {
                workspace_id: Uuid::new_v4().to_string(),
                ..creates(&stage)
            },
        ),
        (
            "no such server",
            CreateChatRequest {
                mcp_server_ids: vec![Uuid::new_v4().to_string()],
                ..creates(&stage)
            },
        ),
        (
            "an empty label",
            CreateChatRequest {
                labels: [("a".to_owned(), String::new())].into(),
                ..creates(&stage)
            },
        ),
        (
            "two tools of a name",
            CreateChatRequest {
                dynamic_tools: vec![tool("a"), tool("a")],
                ..creates(&stage)
            },
        ),
        (
            "a nameless tool",
            CreateChatRequest {
                dynamic_tools: vec![tool("")],
                ..creates(&stage)
            },
        ),
        (
            "251 tools",
            CreateChatRequest {
                dynamic_tools: (0..251).map(|n| tool(&format!("t{n}"))).collect(),
                ..creates(&stage)
            },
        ),
    ];
    for (why, message) in wrong {
        let refused = stage.create_chat(&stage.admin, message).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{why}: {refused:?}");
    }
    assert!(stage.rows().await.is_empty());
}

#[tokio::test]
async fn every_change_of_sixteen_writers_has_a_version_of_its_own() {
    const CHANGES: i64 = 4;
    let stage = Stage::start().await;
    let chat = stage.chat("one").await;
    let writer = async |writer: usize| {
        for change in 0..CHANGES {
            let name = format!("{writer}-{change}");
            let done = stage
                .update(&chat, |message| message.title = Some(name.clone()))
                .await
                .unwrap();
            assert_eq!(done.title, name);
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let all = i64::try_from(WRITERS).unwrap() * CHANGES + 1;
    assert_eq!(stage.get(&chat).await.version, all);
    let versions: Vec<i64> = stage.changes(&chat).await.iter().map(|change| change.version).collect();
    assert_eq!(versions, (1..=all).collect::<Vec<_>>());
}

#[tokio::test]
async fn sixteen_messages_at_once_all_enter_in_some_order_and_none_twice() {
    let stage = Stage::start().await;
    let chat = stage.waiting("one").await;
    let before = stage.get(&chat).await.version;
    let send = async |n: usize| stage.send(&chat, &format!("m{n}")).await.unwrap();
    let answers = join_all((0..WRITERS).map(send)).await;
    let entered = answers.iter().filter(|answer| answer.message.is_some()).count();
    let queued = answers.iter().filter(|answer| answer.queued_message.is_some()).count();
    assert_eq!((entered, queued), (1, WRITERS - 1));
    let mut versions: Vec<i64> = answers
        .iter()
        .map(|answer| answer.chat.as_ref().unwrap().version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (before + 1..=before + 16).collect::<Vec<_>>());

    let now = stage.snapshot(&chat).await;
    let said = now
        .messages
        .iter()
        .skip(2)
        .map(brief)
        .map(|text| text.replace("user ", ""));
    let mut all: Vec<String> = said.chain(crate::stage::waiting_texts(&now.queue)).collect();
    all.sort();
    let mut expected: Vec<String> = (0..WRITERS).map(|n| format!("m{n}")).collect();
    expected.sort();
    assert_eq!(all, expected);
    // The queue is in the order of the versions under which its messages came.
    let by_version = |id: i64| {
        let is_it =
            |answer: &&SendMessageResponse| answer.queued_message.as_ref().is_some_and(|queued| queued.id == id);
        answers.iter().find(is_it).unwrap().chat.as_ref().unwrap().version
    };
    assert!(now.queue.iter().map(|queued| by_version(queued.id)).is_sorted());
}

#[tokio::test]
async fn a_change_of_metadata_is_all_fields_or_none() {
    let stage = Stage::start().await;
    let chat = stage.chat("one").await;
    let before = stage.rows().await;
    let broken = stage
        .update(&chat, |message| {
            message.title = Some("New".to_owned());
            message.plan_mode = Some(PlanMode::Plan.into());
            message.pin_order = Some(1);
            message.workspace_id = Some(Uuid::new_v4().to_string());
        })
        .await;
    assert_eq!(broken.unwrap_err().code(), Code::InvalidArgument);
    for (why, text) in [("empty", " \n".to_owned()), ("too long", "ä".repeat(201))] {
        let broken = stage.update(&chat, |message| message.title = Some(text)).await;
        assert_eq!(broken.unwrap_err().code(), Code::InvalidArgument, "{why}");
    }
    let negative = stage.update(&chat, |message| message.pin_order = Some(-1)).await;
    assert_eq!(negative.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(stage.rows().await, before);

    let all = stage
        .update(&chat, |message| {
            message.title = Some("  New ".to_owned());
            message.plan_mode = Some(PlanMode::Plan.into());
            message.pin_order = Some(1);
        })
        .await
        .unwrap();
    assert_eq!((all.title.as_str(), all.pin_order, all.version), ("New", 1, 2));
    assert_eq!(all.plan_mode(), PlanMode::Plan);
}

#[tokio::test]
async fn a_rename_does_not_move_the_chat_in_its_list_and_the_same_name_is_no_change() {
    let stage = Stage::start().await;
    let chat = stage.waiting("one").await;
    let before = stage.get(&chat).await;
    let renamed = stage
        .update(&chat, |message| message.title = Some("Two".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (renamed.version, renamed.updated_at),
        (before.version + 1, before.updated_at)
    );
    let again = stage
        .update(&chat, |message| message.title = Some(" Two ".to_owned()))
        .await
        .unwrap();
    assert_eq!(again.version, renamed.version);
    let kinds: Vec<i32> = stage.changes(&chat).await.pop().unwrap().watch_kinds;
    assert_eq!(kinds, [i32::from(WatchKind::TitleChange)]);
    let sent = stage.send(&chat, "more").await.unwrap().chat.unwrap();
    let moment = |at: Option<prost_types::Timestamp>| at.map(|at| (at.seconds, at.nanos));
    assert!(moment(sent.updated_at) > moment(before.updated_at));
}

#[tokio::test]
async fn a_chat_is_unread_from_its_answer_until_it_was_read() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let is_unread = async || {
        let got = stage.get(&turn.chat).await.has_unread;
        let listed = stage
            .list_chats(&stage.admin, ListChatsRequest::default())
            .await
            .unwrap();
        assert_eq!(listed.chats[0].has_unread, got, "the list and the chat disagree");
        got
    };
    let read = || MarkChatReadRequest {
        chat_id: turn.chat.clone(),
    };
    assert!(!is_unread().await, "a user's own message is not news");
    stage
        .answer(&turn, vec![assistant("Looking.", &["call"])], StepOutcome::RunTools)
        .await;
    assert!(is_unread().await);
    let before = stage.get(&turn.chat).await.version;
    stage.mark_chat_read(&stage.admin, read()).await.unwrap();
    assert!(!is_unread().await);
    assert_eq!(
        stage.get(&turn.chat).await.version,
        before,
        "reading is nobody else's news"
    );
    stage
        .store_tool_results(stores(&turn, vec![result("call")], StepOutcome::Continue))
        .await
        .unwrap();
    assert!(!is_unread().await, "a result is not an answer");
    stage.finish(&turn, "Done.").await;
    assert!(is_unread().await);
    stage.mark_chat_read(&stage.admin, read()).await.unwrap();
    stage.send(&turn.chat, "again").await.unwrap();
    assert!(!is_unread().await);
}

#[tokio::test]
async fn messages_come_newest_first_unless_polled_behind_one() {
    let stage = Stage::start().await;
    let chat = stage.waiting("one").await;
    stage.send(&chat, "two").await.unwrap();
    stage.send(&chat, "three").await.unwrap();
    let list = async |before_id: i64, after_id: i64, limit: i32| {
        let message = ListMessagesRequest {
            chat_id: chat.clone(),
            before_id,
            after_id,
            limit,
        };
        let page = stage.list_messages(&stage.admin, message).await?;
        let texts: Vec<_> = page.messages.iter().map(brief).collect();
        Ok::<_, tonic::Status>((texts.join("; "), page.queued_messages.len(), page.has_more))
    };
    let ids: Vec<i64> = stage
        .snapshot(&chat)
        .await
        .messages
        .iter()
        .map(|message| message.id)
        .collect();
    let expect = |text: &str, queued: usize, more: bool| (text.to_owned(), queued, more);
    assert_eq!(
        list(0, 0, 0).await.unwrap(),
        expect("user two; assistant Done.; user one", 1, false)
    );
    assert_eq!(
        list(0, 0, 2).await.unwrap(),
        expect("user two; assistant Done.", 1, true)
    );
    assert_eq!(list(ids[1], 0, 200).await.unwrap(), expect("user one", 0, false));
    assert_eq!(list(0, ids[0], 1).await.unwrap(), expect("assistant Done.", 0, true));
    assert_eq!(
        list(ids[2], ids[0], 1).await.unwrap(),
        expect("assistant Done.", 0, false)
    );
    for (before, after, limit) in [
        (0, 0, 201),
        (0, 0, -1),
        (ids[0], ids[0], 1),
        (ids[0], ids[1], 1),
        (-1, 0, 1),
    ] {
        let refused = list(before, after, limit).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{before} {after} {limit}");
    }

    let prompts = async |limit: i32| {
        let message = ListPromptsRequest {
            chat_id: chat.clone(),
            limit,
        };
        let answer = stage.list_prompts(&stage.admin, message).await?;
        Ok::<_, tonic::Status>(answer.prompts.into_iter().map(|prompt| prompt.text).collect::<Vec<_>>())
    };
    assert_eq!(prompts(0).await.unwrap(), ["two", "one"]);
    assert_eq!(prompts(1).await.unwrap(), ["two"]);
    assert_eq!(prompts(2_001).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_message_goes_to_its_model_and_the_chat_remembers_it() {
    let stage = Stage::start().await;
    let chat = stage.waiting("one").await;
    let with = |model: &str| {
        let mut message = sends(&chat, "two", BusyBehavior::Queue);
        message.message.as_mut().unwrap().model_config_id = model.to_owned();
        message
    };
    let before = stage.rows().await;
    let unknown = stage
        .send_message(&stage.admin, with(&Uuid::new_v4().to_string()))
        .await;
    assert!(matches!(
        unknown.unwrap_err().code(),
        Code::NotFound | Code::InvalidArgument
    ));
    let garbage = stage.send_message(&stage.admin, with("gpt")).await;
    assert_eq!(garbage.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(stage.rows().await, before);

    let provider: Uuid = sqlx::query_scalar("SELECT id FROM providers")
        .fetch_one(&stage.world.pool)
        .await
        .unwrap();
    let model_config = Some(tandem_proto::common::v1::ModelConfig {
        provider_id: provider.to_string(),
        model: "other".to_owned(),
        is_enabled: true,
        context_limit: 1_000,
        ..Default::default()
    });
    let request = stage
        .world
        .as_user(&stage.admin, CreateModelConfigRequest { model_config });
    let other = stage.world.settings.clone().create_model_config(request).await.unwrap();
    let other = other.into_inner().model_config.unwrap().id;
    let sent = stage.send_message(&stage.admin, with(&other)).await.unwrap();
    assert_eq!(sent.message.unwrap().model_config_id, other);
    assert_eq!(sent.chat.unwrap().last_model_config_id, other);
}

/// Each RPC on a chat of somebody else's, or on none at all.
async fn refusals(stage: &Stage, user: &tandem_chassis::identity::User, chat: &str) -> Vec<(&'static str, String)> {
    let chat_id = || chat.to_owned();
    let mut heard = Vec::new();
    macro_rules! ask {
        ($method:ident, $message:expr) => {
            heard.push((stringify!($method), reason(stage.$method(user, $message).await)));
        };
    }
    let (message_id, queued_message_id) = (1, 1);
    let message = says("mine now");
    let results = vec![ToolResultInput {
        tool_call_id: "call".to_owned(),
        output_json: "1".to_owned(),
        is_error: false,
    }];
    ask!(get_chat, GetChatRequest { chat_id: chat_id() });
    ask!(
        update_chat,
        UpdateChatRequest {
            chat_id: chat_id(),
            archived: Some(true),
            ..Default::default()
        }
    );
    ask!(
        update_chat,
        UpdateChatRequest {
            chat_id: chat_id(),
            title: Some("Mine".to_owned()),
            ..Default::default()
        }
    );
    ask!(
        update_chat,
        UpdateChatRequest {
            chat_id: chat_id(),
            pin_order: Some(1),
            ..Default::default()
        }
    );
    ask!(send_message, sends(chat, "mine now", BusyBehavior::Interrupt));
    ask!(
        edit_message,
        EditMessageRequest {
            chat_id: chat_id(),
            message_id,
            message
        }
    );
    ask!(
        delete_queued_message,
        DeleteQueuedMessageRequest {
            chat_id: chat_id(),
            queued_message_id
        }
    );
    ask!(
        promote_queued_message,
        PromoteQueuedMessageRequest {
            chat_id: chat_id(),
            queued_message_id
        }
    );
    ask!(
        reorder_queued_message,
        ReorderQueuedMessageRequest {
            chat_id: chat_id(),
            queued_message_id,
            position: 0
        }
    );
    ask!(interrupt_chat, InterruptChatRequest { chat_id: chat_id() });
    ask!(retry_chat, RetryChatRequest { chat_id: chat_id() });
    ask!(compact_chat, CompactChatRequest { chat_id: chat_id() });
    ask!(clear_chat_context, ClearChatContextRequest { chat_id: chat_id() });
    ask!(
        submit_tool_results,
        SubmitToolResultsRequest {
            chat_id: chat_id(),
            results
        }
    );
    ask!(
        decide_tool_calls,
        DecideToolCallsRequest {
            chat_id: chat_id(),
            decisions: Vec::new()
        }
    );
    ask!(mark_chat_read, MarkChatReadRequest { chat_id: chat_id() });
    ask!(
        list_messages,
        ListMessagesRequest {
            chat_id: chat_id(),
            ..Default::default()
        }
    );
    ask!(
        list_prompts,
        ListPromptsRequest {
            chat_id: chat_id(),
            limit: 0
        }
    );
    ask!(
        get_chat_snapshot,
        GetChatSnapshotRequest {
            chat_id: chat_id(),
            after_message_id: 0
        }
    );
    ask!(
        list_chat_changes,
        ListChatChangesRequest {
            chat_id: chat_id(),
            after_version: 0,
            limit: 0
        }
    );
    heard
}

#[tokio::test]
async fn a_chat_of_somebody_else_is_not_found_whatever_is_asked_of_it() {
    let stage = Stage::start().await;
    let mia = stage.world.member(&stage.admin, "mia").await;
    let theirs = [
        stage.waiting("one").await,
        stage.requiring("two", &["call"]).await,
        stage.failed("three").await,
        stage.running("four").await.chat,
    ];
    stage.send(&theirs[3], "waits").await.unwrap();
    let before = stage.rows().await;
    for chat in theirs.iter().chain([&Uuid::new_v4().to_string()]) {
        for (what, why) in refusals(&stage, &mia, chat).await {
            assert_eq!(why, "CHAT_NOT_FOUND", "{what}");
        }
    }
    assert_eq!(stage.rows().await, before, "a refusal wrote something");
    let listed = stage.list_chats(&mia, ListChatsRequest::default()).await.unwrap();
    assert!(listed.chats.is_empty());
    // Being an administrator opens nobody's chats.
    let hers = stage.chat_of(&mia, "private").await;
    for (what, why) in refusals(&stage, &stage.admin, &hers.id).await {
        assert_eq!(why, "CHAT_NOT_FOUND", "{what} by an administrator");
    }
}

#[tokio::test]
async fn a_failed_turn_can_be_tried_again_and_nothing_else_can() {
    let stage = Stage::start().await;
    let retry = async |chat: &str| {
        let message = RetryChatRequest {
            chat_id: chat.to_owned(),
        };
        stage.retry_chat(&stage.admin, message).await
    };
    let chat = stage.failed("one").await;
    let before = stage.snapshot(&chat).await;
    let chat = retry(&chat).await.unwrap().chat.unwrap();
    assert_eq!((status(&chat), chat.last_error.as_ref()), ("pending", None));
    assert_eq!(stage.snapshot(&chat.id).await.messages, before.messages);
    assert_eq!(reason(retry(&chat.id).await), "NOT_FAILED");
    stage.claim_only(&chat.id).await;
    assert_eq!(reason(retry(&chat.id).await), "NOT_FAILED");
    let rested = stage.waiting("two").await;
    assert_eq!(reason(retry(&rested).await), "NOT_FAILED");
    let shelved = stage.failed("three").await;
    stage.archive(&shelved, true).await.unwrap();
    assert_eq!(reason(retry(&shelved).await), "CHAT_ARCHIVED");
}
