//! A request that comes again: one effect, one answer.

use std::time::Duration;

use futures::future::join_all;
use tandem_chassis::idempotency::{Attempt, is_replayed};
use tandem_chassis::identity::ServiceName::{Gateway, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_chassis::status::{Code, Fault};
use tandem_proto::common::v1::{InputPart, ModelConfig, input_part};
use tandem_proto::storage::v1::*;
use tandem_storage::postgres::testing;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::harness::{Harness, TIME, reason};

/// Duplicates at once; more than storage has connections.
const CROWD: usize = 50;

/// A request of a user's that carries a key, and a fingerprint of what it asks for.
fn keyed<T>(world: &Harness, user: &User, key: &str, asked: &str, message: T) -> Request<T> {
    let mut request = world.as_user(user, message);
    Attempt::new(key, asked).unwrap().attach(&mut request);
    request
}

fn organization(name: &str) -> CreateOrganizationRequest {
    CreateOrganizationRequest {
        name: name.to_owned(),
        ..CreateOrganizationRequest::default()
    }
}

fn file(user: &User) -> CreateFileRequest {
    CreateFileRequest {
        organization_id: user.organization_ids[0].to_string(),
        name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        data: b"abc".to_vec(),
    }
}

fn says(text: &str) -> Option<MessageInput> {
    let part = InputPart {
        kind: Some(input_part::Kind::Text(text.to_owned())),
    };
    Some(MessageInput {
        parts: vec![part],
        model_config_id: String::new(),
    })
}

async fn count(world: &Harness, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(&world.pool).await.unwrap()
}

/// A model, so that chats can begin.
async fn model(world: &Harness, admin: &User) {
    let provider = Provider {
        id: Uuid::now_v7().to_string(),
        r#type: "demo".to_owned(),
        name: "demo".to_owned(),
        is_enabled: true,
        ..Provider::default()
    };
    let provider_id = provider.id.clone();
    let message = CreateProviderRequest {
        provider: Some(provider),
    };
    let mut settings = world.settings.clone();
    settings
        .create_provider(world.by(ProviderGateway, admin, message))
        .await
        .unwrap();
    let model_config = Some(ModelConfig {
        provider_id,
        model: "demo".to_owned(),
        is_enabled: true,
        context_limit: 1_000,
        compression_threshold: 70,
        ..ModelConfig::default()
    });
    let message = CreateModelConfigRequest { model_config };
    settings
        .create_model_config(world.as_user(admin, message))
        .await
        .unwrap();
}

/// Checks that all answers are one, and that all but the first say so.
fn one_answer<T: PartialEq + std::fmt::Debug>(answers: Vec<Result<Response<T>, Status>>) -> T {
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let first_comers = answers.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(first_comers, 1);
    let mut bodies: Vec<T> = answers.into_iter().map(Response::into_inner).collect();
    let one = bodies.pop().unwrap();
    assert!(bodies.iter().all(|body| *body == one), "{bodies:?}\n{one:?}");
    one
}

#[tokio::test]
async fn d44_fifty_duplicates_at_once_start_one_chat_and_send_one_message() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    model(&world, &admin).await;
    let mia = world.member(&admin, "mia").await;
    let create = CreateChatRequest {
        organization_id: mia.organization_ids[0].to_string(),
        message: says("hello"),
        ..CreateChatRequest::default()
    };
    let attempts = (0..CROWD).map(|_| {
        let request = keyed(&world, &mia, "create", "chat", create.clone());
        let mut chats = world.chats.clone();
        async move { chats.create_chat(request).await }
    });
    let chat = one_answer(join_all(attempts).await).chat.unwrap();
    assert_eq!(count(&world, "chats").await, 1);

    let before = count(&world, "chat_messages").await + count(&world, "chat_queued_messages").await;
    let send = SendMessageRequest {
        chat_id: chat.id.clone(),
        message: says("again"),
        ..SendMessageRequest::default()
    };
    let attempts = (0..CROWD).map(|_| {
        let request = keyed(&world, &mia, "send", "message", send.clone());
        let mut chats = world.chats.clone();
        async move { chats.send_message(request).await }
    });
    let sent = one_answer(join_all(attempts).await);
    assert_eq!(sent.chat.unwrap().version, chat.version + 1);
    let after = count(&world, "chat_messages").await + count(&world, "chat_queued_messages").await;
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn the_same_key_of_another_user_is_another_key() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (mia, ben) = (world.member(&admin, "mia").await, world.member(&admin, "ben").await);
    let mut ids = Vec::new();
    for user in [&mia, &ben] {
        let request = keyed(&world, user, "key", "file", file(user));
        let answer = world.files.clone().create_file(request).await.unwrap();
        assert!(!is_replayed(&answer));
        ids.push(answer.into_inner().file.unwrap().id);
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(count(&world, "files").await, 2);
}

#[tokio::test]
async fn a_key_that_comes_with_something_else_is_refused() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let first = keyed(&world, &admin, "key", "file-a", file(&admin));
    world.files.clone().create_file(first).await.unwrap();
    let other_body = keyed(&world, &admin, "key", "file-b", file(&admin));
    let refused = world.files.clone().create_file(other_body).await;
    assert_eq!(reason(refused), "IDEMPOTENCY_KEY_REUSED");
    let other_rpc = keyed(&world, &admin, "key", "file-a", organization("acme"));
    let refused = world.users.clone().create_organization(other_rpc).await;
    assert_eq!(reason(refused), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(count(&world, "files").await, 1);
}

#[tokio::test]
async fn an_attempt_that_failed_leaves_nothing_and_can_be_repeated() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut users = world.users.clone();
    let taken = users
        .create_organization(world.as_user(&admin, organization("acme")))
        .await
        .unwrap()
        .into_inner();
    let attempt = || keyed(&world, &admin, "key", "acme", organization("acme"));
    assert_eq!(reason(users.create_organization(attempt()).await), "ORGANIZATION_TAKEN");
    assert_eq!(count(&world, "idempotency_keys").await, 0);
    sqlx::query("UPDATE organizations SET name = 'other' WHERE id = $1::uuid")
        .bind(taken.organization.unwrap().id)
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(!is_replayed(&users.create_organization(attempt()).await.unwrap()));
    assert!(is_replayed(&users.create_organization(attempt()).await.unwrap()));
}

/// Holds a key as a transaction under way does, until the caller ends it.
async fn hold(world: &Harness, user: &User, key: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO idempotency_keys (user_id, key, rpc, fingerprint) VALUES ($1, $2, 'create_file', 'file')")
        .bind(user.id)
        .bind(key)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

/// Until somebody waits for another transaction of this database.
async fn somebody_waits(world: &Harness) {
    let waiting = async {
        loop {
            let statement = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'transactionid')";
            if sqlx::query_scalar(statement).fetch_one(&world.pool).await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIME, waiting).await.unwrap();
}

#[tokio::test]
async fn a_duplicate_waits_for_the_first_ones_end() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    for is_carried_out in [false, true] {
        let key = format!("key {is_carried_out}").replace(' ', "-");
        let mut first = hold(&world, &admin, &key).await;
        let request = keyed(&world, &admin, &key, "file", file(&admin));
        let mut files = world.files.clone();
        let second = tokio::spawn(async move { files.create_file(request).await });
        somebody_waits(&world).await;
        if is_carried_out {
            sqlx::query("UPDATE idempotency_keys SET outcome = '' WHERE key = $1")
                .bind(&key)
                .execute(&mut *first)
                .await
                .unwrap();
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        let answer = second.await.unwrap().unwrap();
        assert_eq!(is_replayed(&answer), is_carried_out);
        assert_eq!(answer.into_inner().file.is_some(), !is_carried_out);
    }
    assert_eq!(count(&world, "files").await, 1);
}

#[tokio::test]
async fn a_duplicate_that_waits_too_long_is_told_to_come_back() {
    let short = Duration::from_millis(200);
    let world = Harness::start_on(testing::database().await, |config| config.pool.lock_timeout = short).await;
    let admin = world.bootstrap().await;
    let first = hold(&world, &admin, "key").await;
    let request = || keyed(&world, &admin, "key", "file", file(&admin));
    let refused = world.files.clone().create_file(request()).await.unwrap_err();
    let fault = Fault::from(refused);
    assert_eq!(
        (fault.code, &*fault.reason),
        (Code::Conflict, "IDEMPOTENCY_KEY_IN_FLIGHT")
    );
    assert!(fault.retry_after.is_some());
    first.rollback().await.unwrap();
    assert!(!is_replayed(&world.files.clone().create_file(request()).await.unwrap()));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_nowhere() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut users = world.users.clone();
    let token = CreateApiTokenRequest {
        user_id: admin.id.to_string(),
        name: "mine".to_owned(),
        lifetime: None,
    };
    let ask = || keyed(&world, &admin, "token", "token", token.clone());
    let before = count(&world, "api_tokens").await;
    let secret = users.create_api_token(ask()).await.unwrap().into_inner().secret;
    let again = users.create_api_token(ask()).await.unwrap_err();
    let fault = Fault::from(again);
    assert_eq!(
        (fault.code, &*fault.reason),
        (Code::Exists, "IDEMPOTENT_SECRET_SHOWN_ONCE")
    );
    assert_eq!(count(&world, "api_tokens").await, before + 1);
    let kept: Option<Vec<u8>> = sqlx::query_scalar("SELECT outcome FROM idempotency_keys")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, None);
    let row: String = sqlx::query_scalar("SELECT idempotency_keys::text FROM idempotency_keys")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(!row.contains(&secret));
}

#[tokio::test]
async fn signing_in_twice_with_one_key_opens_one_session() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut users = world.users.clone();
    let create = CreateUserRequest {
        username: "mia".to_owned(),
        password: "correct horse".to_owned(),
        ..CreateUserRequest::default()
    };
    users.create_user(world.as_user(&admin, create)).await.unwrap();
    let login = |password: &str| {
        let message = LoginRequest {
            login: "mia".to_owned(),
            password: password.to_owned(),
        };
        let mut request = world.of(Gateway, message);
        Attempt::new("key", "login").unwrap().attach(&mut request);
        request
    };
    assert!(
        users
            .login(login("correct horse"))
            .await
            .unwrap()
            .into_inner()
            .session
            .is_some()
    );
    assert_eq!(
        reason(users.login(login("correct horse")).await),
        "IDEMPOTENT_SECRET_SHOWN_ONCE"
    );
    // Nobody learns what a key was used for without the password.
    assert_eq!(reason(users.login(login("a wrong one")).await), "BAD_CREDENTIALS");
    assert_eq!(count(&world, "sessions").await, 1);
}

#[tokio::test]
async fn the_first_start_says_that_its_code_was_used_by_the_same_request() {
    let world = Harness::start().await;
    let mut users = world.users.clone();
    let code = "the code of the first start";
    let bootstrap = BootstrapRequest {
        api_token: String::new(),
        setup_code_hash: sha256(code),
    };
    users.bootstrap(world.of(Gateway, bootstrap)).await.unwrap();
    let redeem = |key: &str, asked: &str| {
        let mut request = world.of(Gateway, RedeemSetupCodeRequest { code: code.to_owned() });
        Attempt::new(key, asked).unwrap().attach(&mut request);
        request
    };
    assert!(
        users
            .redeem_setup_code(redeem("key", "code"))
            .await
            .unwrap()
            .into_inner()
            .session
            .is_some()
    );
    assert_eq!(
        reason(users.redeem_setup_code(redeem("key", "code")).await),
        "IDEMPOTENT_SECRET_SHOWN_ONCE"
    );
    for other in [redeem("other", "code"), redeem("key", "other")] {
        assert_eq!(reason(users.redeem_setup_code(other).await), "BAD_SETUP_CODE");
    }
    assert_eq!(count(&world, "sessions").await, 1);
}

fn sha256(text: &str) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).to_vec()
}

#[tokio::test]
async fn the_kept_answer_of_a_new_provider_holds_no_ciphertext() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let key = ProviderKey {
        id: Uuid::now_v7().to_string(),
        masked: "sk-…1".to_owned(),
        sealed: vec![7; 40],
        created_at: None,
    };
    let provider = Provider {
        id: Uuid::now_v7().to_string(),
        r#type: "demo".to_owned(),
        name: "demo".to_owned(),
        keys: vec![key],
        sealed_settings: vec![9; 8],
        ..Provider::default()
    };
    let create = CreateProviderRequest {
        provider: Some(provider),
    };
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut request = world.by(ProviderGateway, &admin, create.clone());
        Attempt::new("key", "provider").unwrap().attach(&mut request);
        answers.push(world.settings.clone().create_provider(request).await.unwrap());
    }
    assert!(!is_replayed(&answers[0]) && is_replayed(&answers[1]));
    let mut both = answers.into_iter().map(|answer| answer.into_inner().provider.unwrap());
    let (mut first, again) = (both.next().unwrap(), both.next().unwrap());
    assert_eq!((first.keys[0].sealed.len(), again.keys[0].sealed.len()), (40, 0));
    first.sealed_settings.clear();
    first.keys[0].sealed.clear();
    assert_eq!(first, again);
}

#[tokio::test]
async fn keys_are_dropped_after_a_day_by_the_databases_clock() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let attempt = |key: &'static str| {
        let request = keyed(&world, &admin, key, "file", file(&admin));
        let mut files = world.files.clone();
        async move { is_replayed(&files.create_file(request).await.unwrap()) }
    };
    for key in ["old", "young"] {
        assert!(!attempt(key).await);
    }
    for (key, age) in [("old", "24 hours 1 second"), ("young", "23 hours 59 minutes")] {
        sqlx::query("UPDATE idempotency_keys SET created_at = now() - $2::text::interval WHERE key = $1")
            .bind(key)
            .bind(age)
            .execute(&world.pool)
            .await
            .unwrap();
    }
    // Storage drops old keys when it starts, and from time to time.
    let _another = Harness::start_on(world.database.clone(), |_| ()).await;
    let dropped = async {
        while count(&world, "idempotency_keys").await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIME, dropped).await.unwrap();
    assert!(attempt("young").await);
    assert!(!attempt("old").await, "the key is free again");
}

#[tokio::test]
async fn requests_without_a_key_are_not_remembered() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    for _ in 0..2 {
        let answer = world
            .files
            .clone()
            .create_file(world.as_user(&admin, file(&admin)))
            .await;
        assert!(!is_replayed(&answer.unwrap()));
    }
    assert_eq!(
        (count(&world, "files").await, count(&world, "idempotency_keys").await),
        (2, 0)
    );
}

#[tokio::test]
async fn every_command_of_a_chat_is_carried_out_once() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    model(&world, &admin).await;
    let mut chats = world.chats.clone();
    let create = CreateChatRequest {
        organization_id: admin.organization_ids[0].to_string(),
        message: says("hello"),
        ..CreateChatRequest::default()
    };
    let chat = chats
        .create_chat(world.as_user(&admin, create))
        .await
        .unwrap()
        .into_inner();
    let chat_id = chat.chat.unwrap().id;
    let mut queued = Vec::new();
    for text in ["a", "b"] {
        let send = SendMessageRequest {
            chat_id: chat_id.clone(),
            message: says(text),
            ..SendMessageRequest::default()
        };
        let sent = chats
            .send_message(world.as_user(&admin, send))
            .await
            .unwrap()
            .into_inner();
        queued.extend(sent.queued_message.map(|message| message.id));
    }
    assert_eq!(queued.len(), 2, "a new chat is busy with its first message");
    let version = async || {
        let statement = "SELECT version FROM chats";
        sqlx::query_scalar::<_, i64>(statement)
            .fetch_one(&world.pool)
            .await
            .unwrap()
    };
    macro_rules! once {
        ($method:ident($message:expr)) => {{
            let message = $message;
            let before = version().await;
            let name = stringify!($method);
            let mut attempts = Vec::new();
            for _ in 0..2 {
                let request = keyed(&world, &admin, name, name, message.clone());
                attempts.push(chats.$method(request).await);
            }
            one_answer(attempts);
            assert_eq!(version().await, before + 1, "{name}");
        }};
    }
    once!(update_chat(UpdateChatRequest {
        chat_id: chat_id.clone(),
        title: Some("renamed".to_owned()),
        ..UpdateChatRequest::default()
    }));
    once!(reorder_queued_message(ReorderQueuedMessageRequest {
        chat_id: chat_id.clone(),
        queued_message_id: queued[1],
        position: 0,
    }));
    once!(promote_queued_message(PromoteQueuedMessageRequest {
        chat_id: chat_id.clone(),
        queued_message_id: queued[0],
    }));
    once!(interrupt_chat(InterruptChatRequest {
        chat_id: chat_id.clone(),
    }));
    let first: i64 = sqlx::query_scalar("SELECT min(id) FROM chat_messages WHERE role = 'user'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    once!(edit_message(EditMessageRequest {
        chat_id: chat_id.clone(),
        message_id: first,
        message: says("hello again"),
    }));
}
