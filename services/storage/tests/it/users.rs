//! Who may come in, and as whom.

use sha2::{Digest, Sha256};
use tandem_chassis::identity::ServiceName::{Gateway, Orchestrator};
use tandem_proto::storage::v1::*;

use crate::harness::{Harness, TOKEN, reason};

fn code_hash(code: &str) -> Vec<u8> {
    Sha256::digest(code.as_bytes()).to_vec()
}

async fn authenticate(world: &Harness, token: &str) -> Result<AuthenticateResponse, tonic::Status> {
    let message = AuthenticateRequest {
        token: token.to_owned(),
    };
    let answer = world.users.clone().authenticate(world.of(Gateway, message)).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_first_start_makes_one_administrator_however_often_it_is_repeated() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    assert!(admin.is_admin);
    assert_eq!(admin.organization_ids.len(), 1);
    let again = BootstrapRequest {
        api_token: "another-token-of-tests".to_owned(),
        setup_code_hash: vec![1; 32],
    };
    let done = world
        .users
        .clone()
        .bootstrap(world.of(Gateway, again))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.is_created, done.is_setup_code_active), (false, false));
    assert_eq!(reason(authenticate(&world, TOKEN).await), "BAD_TOKEN");
    let found = authenticate(&world, "another-token-of-tests").await.unwrap();
    assert_eq!(found.user.unwrap().id, admin.id.to_string());
}

#[tokio::test]
async fn a_setup_code_opens_one_session_and_never_a_second() {
    let world = Harness::start().await;
    let message = BootstrapRequest {
        api_token: String::new(),
        setup_code_hash: code_hash("open sesame"),
    };
    let done = world
        .users
        .clone()
        .bootstrap(world.of(Gateway, message))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.is_created, done.is_setup_code_active), (true, true));
    let redeem = |code: &str| {
        let message = world.of(Gateway, RedeemSetupCodeRequest { code: code.to_owned() });
        let mut users = world.users.clone();
        async move { users.redeem_setup_code(message).await }
    };
    assert_eq!(reason(redeem("wrong").await), "BAD_SETUP_CODE");
    let session = redeem("open sesame").await.unwrap().into_inner().session.unwrap();
    assert!(session.token.starts_with("tds_") && session.token.len() == 47);
    assert!(authenticate(&world, &session.token).await.unwrap().is_session);
    assert_eq!(reason(redeem("open sesame").await), "BAD_SETUP_CODE");
    let state = world
        .users
        .clone()
        .get_setup_state(world.of(Gateway, GetSetupStateRequest {}))
        .await
        .unwrap();
    assert!(!state.into_inner().needs_setup);
}

#[tokio::test]
async fn passwords_open_sessions_that_end_at_logout() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let password = "correct horse battery".to_owned();
    let message = SetPasswordRequest {
        user_id: admin.id.to_string(),
        password: password.clone(),
        ..Default::default()
    };
    world
        .users
        .clone()
        .set_password(world.as_user(&admin, message))
        .await
        .unwrap();
    let login = |login: &str, password: &str| {
        let message = LoginRequest {
            login: login.to_owned(),
            password: password.to_owned(),
        };
        let message = world.of(Gateway, message);
        let mut users = world.users.clone();
        async move { users.login(message).await }
    };
    assert_eq!(reason(login("admin", "wrong horse").await), "BAD_CREDENTIALS");
    assert_eq!(reason(login("nobody", &password).await), "BAD_CREDENTIALS");
    let session = login("ADMIN@localhost", &password)
        .await
        .unwrap()
        .into_inner()
        .session
        .unwrap();
    let found = authenticate(&world, &session.token).await.unwrap();
    let message = LogoutRequest {
        credential_id: found.credential_id,
    };
    world
        .users
        .clone()
        .logout(world.as_user(&admin, message))
        .await
        .unwrap();
    assert_eq!(reason(authenticate(&world, &session.token).await), "BAD_TOKEN");
}

#[tokio::test]
async fn tokens_end_when_they_expire_when_revoked_and_with_their_user() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let member = world.member(&admin, "mia").await;
    let create = |name: &str| {
        let message = CreateApiTokenRequest {
            user_id: member.id.to_string(),
            name: name.to_owned(),
            lifetime: None,
        };
        let message = world.as_user(&member, message);
        let mut users = world.users.clone();
        async move { users.create_api_token(message).await }
    };
    let one = create("one").await.unwrap().into_inner();
    assert_eq!(one.secret.len(), "tdm_".len() + 10 + 1 + 43);
    assert_eq!(reason(create("one").await), "TOKEN_NAME_TAKEN");
    let two = create("two").await.unwrap().into_inner();
    authenticate(&world, &one.secret).await.unwrap();
    let expire = "UPDATE api_tokens SET expires_at = now() WHERE name = 'one'";
    sqlx::query(expire).execute(&world.pool).await.unwrap();
    assert_eq!(reason(authenticate(&world, &one.secret).await), "EXPIRED_TOKEN");
    let suspend = |status: UserStatus| {
        let status = Some(status.into());
        let message = UpdateUserRequest {
            user_id: member.id.to_string(),
            status,
            ..UpdateUserRequest::default()
        };
        let message = world.as_user(&admin, message);
        let mut users = world.users.clone();
        async move { users.update_user(message).await }
    };
    suspend(UserStatus::Suspended).await.unwrap();
    assert_eq!(reason(authenticate(&world, &two.secret).await), "BAD_TOKEN");
    suspend(UserStatus::Active).await.unwrap();
    authenticate(&world, &two.secret).await.unwrap();
    let message = DeleteUserRequest {
        user_id: member.id.to_string(),
    };
    world
        .users
        .clone()
        .delete_user(world.as_user(&admin, message))
        .await
        .unwrap();
    assert_eq!(reason(authenticate(&world, &two.secret).await), "BAD_TOKEN");
}

#[tokio::test]
async fn members_neither_see_nor_change_others() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (mia, ben) = (world.member(&admin, "mia").await, world.member(&admin, "ben").await);
    let mut users = world.users.clone();
    let listed = users.list_users(world.as_user(&mia, ListUsersRequest::default())).await;
    assert_eq!(reason(listed), "ADMIN_ONLY");
    let got = users
        .get_user(world.as_user(&mia, GetUserRequest { user: "ben".to_owned() }))
        .await;
    assert_eq!(reason(got), "USER_NOT_FOUND");
    let message = SetPasswordRequest {
        user_id: ben.id.to_string(),
        password: "12345678".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        reason(users.set_password(world.as_user(&mia, message)).await),
        "USER_NOT_FOUND"
    );
    let message = UpdateUserRequest {
        user_id: mia.id.to_string(),
        is_admin: Some(true),
        ..Default::default()
    };
    assert_eq!(
        reason(users.update_user(world.as_user(&mia, message)).await),
        "ADMIN_ONLY"
    );
    let message = CreateUserRequest {
        username: "MIA".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        reason(users.create_user(world.as_user(&admin, message)).await),
        "USERNAME_TAKEN"
    );
    let message = AuthenticateRequest {
        token: TOKEN.to_owned(),
    };
    assert_eq!(
        reason(users.authenticate(world.of(Orchestrator, message)).await),
        "SERVICE_NOT_ALLOWED"
    );
}
