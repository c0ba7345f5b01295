use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use time::{Duration, format_description::well_known::Rfc3339};

use super::*;
use crate::bedrock::role::fake::{Asked, Aws, NOW};

const PORTAL: &str = "/x/federation/credentials";
const OIDC: &str = "/token";

/// `my-sso`, as AWS's tools name its file.
const FILE: &str = "0ad374308c5a4e22f723adf10145eafad7c4031c";

/// Somebody on a machine.
struct Somebody {
    aws: Aws,
    home: tempfile::TempDir,
    sign_on: SignOn,
}

impl Somebody {
    async fn new() -> Self {
        let aws = Aws::start().await;
        let home = tempfile::tempdir().unwrap();
        let sign_on = SignOn {
            profile: "dev".to_owned(),
            session: "my-sso".to_owned(),
            account: "123456789012".to_owned(),
            role: "Models & more".to_owned(),
            portal: format!("{}x/", aws.base).parse().unwrap(),
            oidc: aws.base.parse().unwrap(),
            folder: home.path().to_owned(),
        };
        aws.answer(PORTAL, StatusCode::OK, given().to_string());
        Self { aws, home, sign_on }
    }

    /// Somebody who has signed on until then, with whatever else is kept.
    async fn signed_on(until: OffsetDateTime, more: &Value) -> Self {
        let somebody = Self::new().await;
        let mut kept =
            json!({"accessToken": "canary-token", "expiresAt": until.format(&Rfc3339).unwrap(), "startUrl": "u"});
        let more = more.as_object().unwrap().clone();
        kept.as_object_mut().unwrap().extend(more);
        somebody.keep(&kept.to_string());
        somebody
    }

    fn path(&self) -> PathBuf {
        self.home.path().join(format!("{FILE}.json"))
    }

    fn keep(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path()).unwrap()).unwrap()
    }

    async fn trouble(&self) -> Trouble {
        let trouble = self.sign_on.ask(NOW).await.unwrap_err();
        assert!(!trouble.to_string().contains("canary"), "{trouble}");
        trouble
    }
}

/// What renews a token.
fn renewable() -> Value {
    json!({
        "clientId": "canary-client", "clientSecret": "canary-secret", "refreshToken": "canary-refresh",
        "registrationExpiresAt": "2026-02-01T00:00:00Z", "unknown": [1],
    })
}

fn given() -> Value {
    let expires_at = (NOW + Duration::hours(1)).unix_timestamp() * 1000;
    json!({"roleCredentials": {
        "accessKeyId": "ASIA", "secretAccessKey": "canary-key", "sessionToken": "canary-session", "expiration": expires_at,
    }})
}

fn shown(asked: &Asked) -> &str {
    asked.headers["x-amz-sso_bearer_token"].to_str().unwrap()
}

#[tokio::test]
async fn a_token_that_is_kept_gives_the_credentials_of_a_role() {
    let somebody = Somebody::signed_on(NOW + Duration::minutes(6), &json!({})).await;
    let grant = somebody.sign_on.ask(NOW).await.unwrap();
    let expected = Credentials {
        access_key_id: "ASIA".to_owned(),
        secret: "canary-key".into(),
        session_token: Some("canary-session".into()),
    };
    assert!(grant.credentials == expected, "{:?}", grant.credentials);
    assert_eq!(grant.expires_at, NOW + Duration::hours(1));
    let asked = somebody.aws.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "GET");
    let expected = format!("{PORTAL}?role_name=Models+%26+more&account_id=123456789012");
    assert_eq!(asked[0].uri.to_string(), expected);
    assert_eq!(shown(&asked[0]), "canary-token");
    assert!(!format!("{grant:?} {:?}", somebody.sign_on).contains("canary"));
}

#[tokio::test]
async fn who_has_not_signed_on_is_told_how() {
    let somebody = Somebody::new().await;
    for (kept, why) in [
        (None, "is not on this machine"),
        (Some("canary"), "cannot be understood"),
        (Some("{\"accessToken\": \"canary\"}"), "cannot be understood"),
        (
            Some("{\"accessToken\": \"\", \"expiresAt\": \"2026-01-02T00:00:00Z\"}"),
            "cannot be understood",
        ),
        (
            Some("{\"accessToken\": \"canary\", \"expiresAt\": \"canary\"}"),
            "cannot be understood",
        ),
        (
            Some("{\"accessToken\": \"canary\", \"expiresAt\": \"2025-12-31T00:00:00UTC\"}"),
            "has expired",
        ),
    ] {
        if let Some(text) = kept {
            somebody.keep(text);
        }
        let expected = format!("the sign-on {why}; sign on with `aws sso login --profile dev`");
        assert_eq!(somebody.trouble().await, Trouble::Lasting(expected));
    }
    assert!(somebody.aws.asked().is_empty());
    somebody.keep("{\"accessToken\": \"new\", \"expiresAt\": \"2026-01-02T00:00:00UTC\"}");
    assert!(somebody.sign_on.ask(NOW).await.is_ok(), "the file is read anew");
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_kept_for_whoever_shares_the_file() {
    let somebody = Somebody::signed_on(NOW - Duration::hours(1), &renewable()).await;
    let renewed =
        json!({"accessToken": "canary-new", "expiresIn": 28800, "refreshToken": "canary-next", "tokenType": "Bearer"});
    somebody.aws.answer(OIDC, StatusCode::OK, renewed.to_string());
    somebody.sign_on.ask(NOW + Duration::nanoseconds(5)).await.unwrap();
    let asked = somebody.aws.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].uri.path()), ("POST", OIDC));
    assert_eq!(asked[0].headers["content-type"], "application/json");
    let question: Value = serde_json::from_str(&asked[0].body).unwrap();
    let expected = json!({
        "clientId": "canary-client", "clientSecret": "canary-secret", "grantType": "refresh_token", "refreshToken": "canary-refresh",
    });
    assert_eq!(question, expected);
    assert_eq!(shown(&asked[1]), "canary-new");
    let mut expected = renewable();
    let changed = json!({
        "accessToken": "canary-new", "refreshToken": "canary-next", "expiresAt": "2026-01-01T08:00:00Z", "startUrl": "u",
    });
    expected
        .as_object_mut()
        .unwrap()
        .extend(changed.as_object().unwrap().clone());
    assert_eq!(somebody.kept(), expected);
    let mode = std::fs::metadata(somebody.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(somebody.home.path()).unwrap().count(),
        1,
        "nothing lies beside it"
    );
    somebody.sign_on.ask(NOW + Duration::hours(7)).await.unwrap();
    assert_eq!(somebody.aws.asked().len(), 3, "it is not renewed before it is time");
}

#[tokio::test]
async fn a_file_behind_a_link_is_the_one_that_is_kept() {
    let somebody = Somebody::signed_on(NOW, &renewable()).await;
    let shared = somebody.home.path().join("shared");
    std::fs::rename(somebody.path(), &shared).unwrap();
    std::os::unix::fs::symlink(&shared, somebody.path()).unwrap();
    let renewed = json!({"accessToken": "canary-new", "expiresIn": 28800});
    somebody.aws.answer(OIDC, StatusCode::OK, renewed.to_string());
    somebody.sign_on.ask(NOW).await.unwrap();
    assert!(somebody.path().is_symlink());
    let kept: Value = serde_json::from_slice(&std::fs::read(shared).unwrap()).unwrap();
    assert_eq!(kept["accessToken"], "canary-new");
    assert_eq!(kept["refreshToken"], "canary-refresh", "what was not given anew stays");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_serves_until_it_expires() {
    let somebody = Somebody::signed_on(NOW + Duration::minutes(4), &renewable()).await;
    somebody.aws.answer(OIDC, StatusCode::INTERNAL_SERVER_ERROR, "canary");
    somebody.sign_on.ask(NOW).await.unwrap();
    assert_eq!(shown(&somebody.aws.asked()[1]), "canary-token");
}

#[tokio::test]
async fn what_cannot_be_renewed_is_said() {
    let refused = "{\"error\": \"invalid_grant\", \"error_description\": \"canary\"}";
    for (status, answer, expected) in [
        (
            StatusCode::BAD_REQUEST,
            refused,
            "the sign-on was not renewed: 400 Bad Request (invalid_grant); sign on with `aws sso login --profile dev`",
        ),
        (
            StatusCode::BAD_REQUEST,
            "{\"error\": \"canary canary\"}",
            "the sign-on was not renewed: 400 Bad Request; sign on with `aws sso login --profile dev`",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "canary",
            "the sign-on was not renewed: 503 Service Unavailable",
        ),
        (
            StatusCode::OK,
            "{\"accessToken\": \"\", \"expiresIn\": 1}",
            "the answer of AWS's sign-on service has no token",
        ),
    ] {
        let somebody = Somebody::signed_on(NOW, &renewable()).await;
        somebody.aws.answer(OIDC, status, answer);
        let trouble = somebody.trouble().await;
        assert_eq!(trouble.to_string(), expected);
        assert_eq!(
            matches!(trouble, Trouble::Lasting(_)),
            status == StatusCode::BAD_REQUEST
        );
        assert_eq!(
            somebody.kept()["accessToken"],
            "canary-token",
            "the file stays as it is"
        );
    }
    let mut late = renewable();
    late["registrationExpiresAt"] = "2025-12-31T00:00:00Z".into();
    let somebody = Somebody::signed_on(NOW, &late).await;
    assert!(somebody.trouble().await.to_string().contains("has expired"));
    assert!(somebody.aws.asked().is_empty());
}

#[tokio::test]
async fn what_the_portal_refuses_is_told_without_its_words() {
    for (status, body, expected, is_lasting) in [
        (
            StatusCode::UNAUTHORIZED,
            "canary",
            "is not accepted any more; sign on",
            true,
        ),
        (
            StatusCode::FORBIDDEN,
            "canary",
            "403 Forbidden; whoever signed on",
            true,
        ),
        (StatusCode::TOO_MANY_REQUESTS, "canary", "answered 429", false),
        (StatusCode::OK, "canary", "has no credentials", false),
        (
            StatusCode::OK,
            "{\"roleCredentials\": {\"accessKeyId\": \"canary\"}}",
            "has no credentials",
            false,
        ),
    ] {
        let somebody = Somebody::signed_on(NOW + Duration::hours(1), &json!({})).await;
        // The first answer is a good one.
        somebody.aws.answer(PORTAL, status, body);
        somebody.sign_on.ask(NOW).await.unwrap();
        let trouble = somebody.trouble().await;
        assert!(trouble.to_string().contains(expected), "{trouble}");
        assert_eq!(matches!(trouble, Trouble::Lasting(_)), is_lasting, "{trouble}");
    }
}
