use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};
use url::form_urlencoded;

use super::*;
use crate::bedrock::role::{Role, endpoint::Endpoint};

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
const ARN: &str = "arn:aws:iam::123456789012:role/models";

/// AWS's token service on this machine.
#[derive(Clone)]
struct Sts(Arc<Inner>);

struct Inner {
    /// What it was asked, in order.
    asked: Mutex<Vec<HashMap<String, String>>>,
    answer: Mutex<(StatusCode, String)>,
}

impl Sts {
    async fn start() -> (Self, String) {
        let sts = Self(Arc::new(Inner {
            asked: Mutex::default(),
            answer: Mutex::new((StatusCode::OK, given("AKIA1", NOW + Duration::hours(1)))),
        }));
        let router = Router::new().route("/", post(Self::assume)).with_state(sts.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (sts, base)
    }

    async fn assume(State(sts): State<Self>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert!(!headers.contains_key("authorization"), "the token is the proof");
        let asked = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        sts.0.asked.lock().unwrap().push(asked);
        sts.0.answer.lock().unwrap().clone()
    }

    fn answer(&self, status: StatusCode, body: impl Into<String>) {
        *self.0.answer.lock().unwrap() = (status, body.into());
    }

    fn asked(&self) -> Vec<HashMap<String, String>> {
        self.0.asked.lock().unwrap().clone()
    }
}

/// An answer as AWS documents it.
fn given(id: &str, expires_at: OffsetDateTime) -> String {
    let expires_at = expires_at.format(&Rfc3339).unwrap();
    format!(
        r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>system:serviceaccount:a:b</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>{ARN}</Arn><AssumedRoleId>AROA:tandem</AssumedRoleId></AssumedRoleUser>
    <Credentials>
      <SessionToken>canary-session/+==</SessionToken>
      <SecretAccessKey>canary-secret</SecretAccessKey>
      <Expiration>{expires_at}</Expiration>
      <AccessKeyId>{id}</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"#
    )
}

fn role(variables: &[(&str, &str)]) -> Role {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Role::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

/// A role of a pod, whose token stands in a file.
struct Pod {
    sts: Sts,
    role: Role,
    token: PathBuf,
    _folder: tempfile::TempDir,
}

impl Pod {
    async fn start() -> Self {
        let (sts, base) = Sts::start().await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "canary.token&=+\n").unwrap();
        let role = role(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", ARN),
            ("AWS_ENDPOINT_URL_STS", &base),
            // Not asked: who shows a token is somebody else than the machine.
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
        ]);
        Self {
            sts,
            role,
            token,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn a_token_is_exchanged_for_the_credentials_of_its_role() {
    let pod = Pod::start().await;
    let grant = pod.role.grant(NOW).await.unwrap().unwrap();
    assert_eq!(grant.credentials.access_key_id, "AKIA1");
    assert_eq!(grant.credentials.secret.expose_secret(), "canary-secret");
    let session = grant.credentials.session_token.unwrap();
    assert_eq!(session.expose_secret(), "canary-session/+==");
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ARN),
        ("RoleSessionName", "tandem"),
        ("WebIdentityToken", "canary.token&=+"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pod.sts.asked(), [HashMap::from(expected)]);
}

#[tokio::test]
async fn they_are_renewed_with_the_token_that_stands_there_then() {
    let pod = Pod::start().await;
    assert!(pod.role.grant(NOW).await.unwrap().is_some());
    assert!(pod.role.grant(NOW + Duration::minutes(54)).await.unwrap().is_some());
    assert_eq!(pod.sts.asked().len(), 1, "they hold for an hour");
    std::fs::write(&pod.token, "canary.newer").unwrap();
    pod.sts.answer(StatusCode::OK, given("AKIA2", NOW + Duration::hours(2)));
    let grant = pod.role.grant(NOW + Duration::minutes(56)).await.unwrap().unwrap();
    assert_eq!(grant.credentials.access_key_id, "AKIA2");
    assert_eq!(pod.sts.asked()[1]["WebIdentityToken"], "canary.newer");
}

#[tokio::test]
async fn what_goes_wrong_is_told_by_its_name_and_without_secrets() {
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>canary</Message></Error></ErrorResponse>";
    for (status, body, expected) in [
        (StatusCode::FORBIDDEN, denied, "403 Forbidden (AccessDenied)"),
        (
            StatusCode::BAD_REQUEST,
            "<Error><Code>canary canary</Code></Error>",
            "400 Bad Request",
        ),
        (StatusCode::OK, "", "no credentials"),
        (
            StatusCode::OK,
            "<Credentials><AccessKeyId>canary</AccessKeyId></Credentials>",
            "no credentials",
        ),
        (
            StatusCode::OK,
            "{\"Credentials\":{\"AccessKeyId\":\"canary\"}}",
            "no credentials",
        ),
    ] {
        let pod = Pod::start().await;
        pod.sts.answer(status, body);
        for _ in 0..3 {
            let trouble = pod.role.grant(NOW).await.unwrap_err().to_string();
            assert!(trouble.ends_with(expected) && !trouble.contains("canary"), "{trouble}");
        }
        assert_eq!(pod.sts.asked().len(), 1, "it is left alone for a while");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_sent() {
    let pod = Pod::start().await;
    std::fs::write(&pod.token, "x".repeat(20_001)).unwrap();
    assert!(
        pod.role
            .grant(NOW)
            .await
            .unwrap_err()
            .to_string()
            .contains("longer than 20000 bytes")
    );
    let pod = Pod::start().await;
    std::fs::remove_file(&pod.token).unwrap();
    let trouble = pod.role.grant(NOW).await.unwrap_err().to_string();
    assert!(trouble.contains("cannot be read"), "{trouble}");
    assert!(pod.sts.asked().is_empty());
}

#[tokio::test]
async fn half_of_what_is_needed_and_what_makes_no_sense_is_said_and_not_asked() {
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/null");
    for more in [
        &[][..],
        &[("AWS_ROLE_ARN", ARN), ("AWS_ROLE_SESSION_NAME", "a b")],
        &[("AWS_ROLE_ARN", ARN), ("AWS_REGION", "evil.example/")],
        &[("AWS_ROLE_ARN", ARN), ("AWS_ENDPOINT_URL_STS", "http://sts.example/")],
        &[("AWS_ROLE_ARN", ARN), ("AWS_ENDPOINT_URL_STS", "ftp://127.0.0.1/")],
        &[("AWS_ROLE_ARN", ARN), ("AWS_ENDPOINT_URL_STS", "nowhere")],
    ] {
        let role = role(&[&[token], more].concat());
        assert!(role.grant(NOW).await.is_err(), "{more:?}");
    }
}

#[test]
fn each_region_has_its_own_service() {
    for (variables, expected) in [
        (&[][..], "https://sts.amazonaws.com/"),
        (&[("AWS_REGION", "eu-west-1")], "https://sts.eu-west-1.amazonaws.com/"),
        (
            &[("AWS_DEFAULT_REGION", "cn-north-1")],
            "https://sts.cn-north-1.amazonaws.com.cn/",
        ),
        (
            &[("AWS_ENDPOINT_URL_STS", "https://vpce.example/x")],
            "https://vpce.example/x",
        ),
    ] {
        let all = [
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "t"), ("AWS_ROLE_ARN", ARN)],
            variables,
        ]
        .concat();
        match role(&all).endpoint.unwrap() {
            Endpoint::WebIdentity(identity) => assert_eq!(identity.sts.url().as_str(), expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_of_it_is_printed() {
    let pod = Pod::start().await;
    let grant = pod.role.grant(NOW).await;
    let printed = format!("{:?} {grant:?}", pod.role);
    assert!(!printed.contains("canary"), "{printed}");
}
