use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{Path, State as Shared},
    http::{HeaderMap, StatusCode},
    routing::{get, put},
};
use secrecy::ExposeSecret as _;
use time::macros::datetime;
use tokio::sync::Semaphore;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// An endpoint of AWS's on this machine: a container's at `/creds`, and a machine's.
#[derive(Clone)]
struct Metadata(Arc<Inner>);

struct Inner {
    asked: AtomicUsize,
    /// Answers wait for one of these each.
    turns: Semaphore,
    /// The status of the next answers, and when their credentials expire.
    answer: Mutex<(StatusCode, OffsetDateTime)>,
    has_role: bool,
}

impl Metadata {
    async fn start(has_role: bool) -> (Self, String) {
        let metadata = Self(Arc::new(Inner {
            asked: AtomicUsize::new(0),
            turns: Semaphore::new(1000),
            answer: Mutex::new((StatusCode::OK, NOW + Duration::hours(1))),
            has_role,
        }));
        let router = Router::new()
            .route("/creds", get(Self::container))
            .route("/latest/api/token", put(Self::token))
            .route("/latest/meta-data/iam/security-credentials/", get(Self::roles))
            .route("/latest/meta-data/iam/security-credentials/{role}", get(Self::role))
            .route("/latest/meta-data/placement/region", get(Self::region))
            .with_state(metadata.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (metadata, base)
    }

    fn set(&self, status: StatusCode, expires_at: OffsetDateTime) {
        *self.0.answer.lock().unwrap() = (status, expires_at);
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn give(&self) -> (StatusCode, String) {
        let count = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.turns.acquire().await.unwrap().forget();
        let (status, expires_at) = *self.0.answer.lock().unwrap();
        let expires_at = expires_at
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let body = serde_json::json!({
            "Code": "Success", "AccessKeyId": format!("AKIA{count}"), "SecretAccessKey": "canary-secret",
            "Token": "canary-token", "Expiration": expires_at,
        });
        (status, body.to_string())
    }

    async fn container(Shared(metadata): Shared<Self>, headers: HeaderMap) -> (StatusCode, String) {
        if headers.get("authorization").is_none_or(|token| token != "canary-proof") {
            return (StatusCode::FORBIDDEN, "who are you?".to_owned());
        }
        metadata.give().await
    }

    async fn token(headers: HeaderMap) -> (StatusCode, &'static str) {
        match headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds") {
            true => (StatusCode::OK, "imds-token"),
            false => (StatusCode::BAD_REQUEST, ""),
        }
    }

    fn is_known(headers: &HeaderMap) -> bool {
        headers
            .get("x-aws-ec2-metadata-token")
            .is_some_and(|token| token == "imds-token")
    }

    async fn roles(Shared(metadata): Shared<Self>, headers: HeaderMap) -> (StatusCode, &'static str) {
        match (Self::is_known(&headers), metadata.0.has_role) {
            (false, _) => (StatusCode::UNAUTHORIZED, ""),
            (true, true) => (StatusCode::OK, "my-role\n"),
            (true, false) => (StatusCode::NOT_FOUND, ""),
        }
    }

    async fn role(
        Shared(metadata): Shared<Self>,
        Path(role): Path<String>,
        headers: HeaderMap,
    ) -> (StatusCode, String) {
        match Self::is_known(&headers) && role == "my-role" {
            true => metadata.give().await,
            false => (StatusCode::UNAUTHORIZED, String::new()),
        }
    }

    async fn region(headers: HeaderMap) -> (StatusCode, &'static str) {
        match Self::is_known(&headers) {
            true => (StatusCode::OK, "eu-west-1"),
            false => (StatusCode::UNAUTHORIZED, ""),
        }
    }
}

fn role(variables: &[(&str, String)]) -> Role {
    let variables: HashMap<&str, String> = variables.iter().cloned().collect();
    Role::read(|name| variables.get(name).cloned())
}

fn of_container(base: &str) -> Role {
    role(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{base}/creds")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-proof".to_owned()),
    ])
}

fn id(grant: Answer) -> String {
    grant.unwrap().unwrap().credentials.access_key_id
}

#[tokio::test]
async fn a_container_is_given_credentials_for_its_token() {
    let (_, base) = Metadata::start(true).await;
    let grant = of_container(&base).grant(NOW).await.unwrap().unwrap();
    assert_eq!(grant.credentials.access_key_id, "AKIA1");
    assert_eq!(grant.credentials.secret.expose_secret(), "canary-secret");
    assert_eq!(grant.credentials.session_token.unwrap().expose_secret(), "canary-token");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "canary-proof\n").unwrap();
    let by_file = role(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{base}/creds")),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            path.to_str().unwrap().to_owned(),
        ),
    ]);
    assert_eq!(id(by_file.grant(NOW).await), "AKIA2");
    let without = role(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{base}/creds"))]);
    let trouble = without.grant(NOW).await.unwrap_err().to_string();
    assert!(trouble.contains("403"), "{trouble}");
}

#[tokio::test]
async fn a_machine_is_given_the_credentials_of_its_role_and_its_region() {
    let (_, base) = Metadata::start(true).await;
    let of_machine = |base: String| role(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", base)]);
    let grant = of_machine(base).grant(NOW).await.unwrap().unwrap();
    assert_eq!(
        (grant.credentials.access_key_id.as_str(), grant.region.as_deref()),
        ("AKIA1", Some("eu-west-1"))
    );
    let (_, base) = Metadata::start(false).await;
    assert!(of_machine(base).grant(NOW).await.unwrap().is_none(), "it has no role");
    let nobody = of_machine("http://127.0.0.1:1".to_owned());
    assert!(nobody.grant(NOW).await.unwrap().is_none(), "it is none of AWS's");
}

#[tokio::test]
async fn everybody_who_waits_is_served_by_one_question() {
    let (metadata, base) = Metadata::start(true).await;
    metadata.0.turns.forget_permits(1000);
    let role = of_container(&base);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let role = role.clone();
            tokio::spawn(async move { role.grant(NOW).await })
        })
        .collect();
    metadata.0.turns.add_permits(1);
    for one in waiting {
        assert_eq!(id(one.await.unwrap()), "AKIA1");
    }
    assert_eq!(metadata.asked(), 1);
}

#[tokio::test]
async fn credentials_are_renewed_before_they_expire_and_serve_until_then() {
    let (metadata, base) = Metadata::start(true).await;
    let role = of_container(&base);
    assert_eq!(id(role.grant(NOW).await), "AKIA1");
    let early = NOW + Duration::minutes(54);
    assert_eq!(id(role.grant(early).await), "AKIA1");
    // The endpoint is down when it is time.
    metadata.set(StatusCode::INTERNAL_SERVER_ERROR, NOW);
    let late = NOW + Duration::minutes(56);
    assert_eq!(id(role.grant(late).await), "AKIA1", "they hold for some minutes yet");
    assert_eq!(id(role.grant(late + Duration::seconds(29)).await), "AKIA1");
    assert_eq!(metadata.asked(), 2, "it is left alone for a while");
    metadata.set(StatusCode::OK, NOW + Duration::hours(2));
    assert_eq!(id(role.grant(late + Duration::minutes(1)).await), "AKIA3");
    // Somebody who comes while another asks is not kept waiting.
    metadata.0.turns.forget_permits(1000);
    let later = NOW + Duration::minutes(116);
    let asking = tokio::spawn({
        let role = role.clone();
        async move { role.grant(later).await }
    });
    while metadata.asked() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(id(role.grant(later).await), "AKIA3");
    metadata.0.turns.add_permits(1);
    assert_eq!(id(asking.await.unwrap()), "AKIA4");
}

#[tokio::test]
async fn expired_credentials_are_never_used() {
    let (metadata, base) = Metadata::start(true).await;
    let role = of_container(&base);
    assert_eq!(id(role.grant(NOW).await), "AKIA1");
    metadata.set(StatusCode::INTERNAL_SERVER_ERROR, NOW);
    let after = NOW + Duration::minutes(60);
    for _ in 0..3 {
        let trouble = role.grant(after).await.unwrap_err().to_string();
        assert!(trouble.contains("500"), "{trouble}");
    }
    assert_eq!(metadata.asked(), 2);
    metadata.set(StatusCode::OK, after + Duration::seconds(30));
    let trouble = of_container(&base).grant(after).await.unwrap_err().to_string();
    assert!(trouble.contains("expired already"), "{trouble}");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_trouble_without_their_words() {
    for body in ["", "<html>canary</html>", "{\"AccessKeyId\":\"canary\"}", "[]"] {
        let router = Router::new().route("/creds", get(move || async move { body }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let trouble = of_container(&base).grant(NOW).await.unwrap_err().to_string();
        assert!(
            trouble.contains("no credentials") && !trouble.contains("canary"),
            "{trouble}"
        );
    }
}

#[tokio::test]
async fn an_environment_cannot_send_the_token_anywhere() {
    for address in [
        "http://evil.example/creds",
        "http://169.254.169.254/creds",
        "http://127.0.0.1.evil.example/creds",
        "ftp://127.0.0.1/creds",
        "no address",
    ] {
        let role = role(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.to_owned())]);
        assert!(
            matches!(role.grant(NOW).await, Err(Trouble::Lasting(_))),
            "{address}: somebody has to correct it"
        );
    }
    for address in [
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1",
        "https://creds.example/x",
    ] {
        let role = role(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.to_owned())]);
        let endpoint = role.endpoint.unwrap();
        assert!(matches!(endpoint, Endpoint::Container { .. }), "{address}");
    }
}

#[test]
fn machines_are_not_asked_where_the_environment_forbids_it() {
    assert!(
        role(&[("AWS_EC2_METADATA_DISABLED", "True".to_owned())])
            .endpoint
            .is_none()
    );
    let endpoint = |variables: &[(&str, String)]| match role(variables).endpoint.unwrap() {
        Endpoint::Machine { base } => base.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(endpoint(&[]), "http://169.254.169.254/");
    let v6 = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6".to_owned());
    assert_eq!(endpoint(&[v6]), "http://[fd00:ec2::254]/");
}

#[tokio::test]
async fn nothing_of_it_is_printed() {
    let (_, base) = Metadata::start(true).await;
    let role = of_container(&base);
    let grant = role.grant(NOW).await;
    let printed = format!("{role:?} {grant:?}");
    assert!(!printed.contains("canary"), "{printed}");
}
