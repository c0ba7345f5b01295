use std::collections::HashMap;

use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use time::Duration;

use super::*;
use crate::bedrock::{
    credentials::{Environment, Found},
    role::fake::{Aws, NOW, credentials, of_sts},
};

/// A profile in which everything is set.
const ALL: [&str; 8] = [
    "role_arn = arn:aws:iam::1:role/r",
    "source_profile = keys",
    "aws_access_key_id = AKIA",
    "aws_secret_access_key = canary",
    "web_identity_token_file = /t",
    "sso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1",
    "sso_account_id = 1\nsso_role_name = r",
    "credential_process = tool --password canary",
];

const HOME: (&str, &str) = ("HOME", "/home/somebody");

fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn read(config: &str) -> Result<Option<Plan>, String> {
    Plan::read(&Files::of("", config), "a", &surroundings(&[HOME]))
}

/// A plan in short: where it begins, and the names of its roles.
fn drawn(config: &str) -> String {
    let plan = read(config).unwrap().unwrap();
    let start = match plan.start {
        Start::Keys(keys) => keys.access_key_id,
        Start::Environment => "environment".to_owned(),
        Start::Container => "container".to_owned(),
        Start::Machine => "machine".to_owned(),
        Start::WebIdentity(_) => "web identity".to_owned(),
        Start::SignOn(_) => "sign-on".to_owned(),
        Start::Process(_) => "process".to_owned(),
    };
    let roles = plan.roles.iter().map(|role| format!("{role:?}"));
    let roles = roles.map(|role| {
        role.split("role/")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    });
    std::iter::once(start).chain(roles).collect::<Vec<_>>().join(" > ")
}

/// A role of a profile.
fn role(profile: &str, more: &str) -> String {
    format!("[profile {profile}]\nrole_arn = arn:aws:iam::1:role/{profile}\n{more}\n")
}

#[test]
fn within_a_profile_a_role_comes_first_then_keys_a_token_sign_on_and_a_program() {
    let of = |lines: &[&str]| {
        drawn(&format!(
            "[profile keys]\n{}\n{}\n[profile a]\n{}",
            ALL[2],
            ALL[3],
            lines.join("\n")
        ))
    };
    assert_eq!(of(&[ALL[0], ALL[1], ALL[7]]), "AKIA > r");
    assert_eq!(of(&ALL), "AKIA", "a role for a token is none that is taken with keys");
    assert_eq!(of(&[ALL[0], ALL[4], ALL[5], ALL[6], ALL[7]]), "web identity");
    assert_eq!(of(&ALL[5..]), "sign-on");
    assert_eq!(
        of(&[ALL[5], ALL[7]]),
        "process",
        "a start address alone is for tools that need the token"
    );
    assert_eq!(read("[profile a]\nregion = x").unwrap(), None);
    assert_eq!(read("[profile b]").unwrap(), None);
}

#[test]
fn a_source_is_taken_at_its_keys_before_its_role() {
    let keys = "aws_access_key_id = AKIA\naws_secret_access_key = s\n";
    let chain = [
        role("a", "source_profile = b"),
        role("b", "source_profile = c"),
        role("c", &format!("source_profile = a\n{keys}")),
    ];
    assert_eq!(drawn(&chain.concat()), "AKIA > b > a");
    assert_eq!(
        drawn(&role("a", &format!("source_profile = a\n{keys}"))),
        "AKIA > a",
        "its own source"
    );
    assert_eq!(
        drawn(&role("a", "source_profile = a\ncredential_process = x")),
        "process > a"
    );
    assert_eq!(drawn(&role("a", "credential_source = Environment")), "environment > a");
    assert_eq!(drawn(&role("a", "credential_source = EcsContainer")), "container > a");
    assert_eq!(
        drawn(&role("a", "credential_source = Ec2InstanceMetadata")),
        "machine > a"
    );
}

#[test]
fn chains_that_lead_back_or_too_far_are_refused() {
    let chain = |length: usize| {
        let names: Vec<String> = (0..length)
            .map(|at| if at == 0 { "a".to_owned() } else { format!("p{at}") })
            .collect();
        let links = names
            .windows(2)
            .map(|pair| role(&pair[0], &format!("source_profile = {}", pair[1])));
        let last = format!("[profile {}]\ncredential_process = x\n", names[length - 1]);
        links.collect::<String>() + &last
    };
    assert_eq!(read(&chain(MAX_PROFILES)).unwrap().unwrap().roles.len(), 7);
    let trouble = read(&chain(MAX_PROFILES + 1)).unwrap_err();
    assert_eq!(
        trouble,
        "profile p8: it is more than 8 profiles away by source_profile; shorten the chain"
    );
    let round = [role("a", "source_profile = b"), role("b", "source_profile = a")];
    let trouble = read(&round.concat()).unwrap_err();
    assert_eq!(trouble, "profile a: source_profile leads back to it; name another one");
}

#[test]
fn what_cannot_be_followed_is_said_by_profile_and_field() {
    for (config, expected) in [
        (role("a", ""), "profile a: role_arn needs source_profile"),
        (
            role("a", "source_profile = b"),
            "profile b: it is the source of a role, and says nothing",
        ),
        (
            role("a", "source_profile = a"),
            "profile a: it is the source of a role, and says nothing",
        ),
        (
            role("a", "source_profile = b\ncredential_source = Environment"),
            "profile a: source_profile and credential_source",
        ),
        (
            role("a", "credential_source = canary"),
            "profile a: credential_source must be",
        ),
        (
            role("a", "source_profile = b\nmfa_serial = canary"),
            "profile a: mfa_serial asks for a code",
        ),
        (
            role("a", "source_profile = b\nduration_seconds = 899"),
            "profile a: duration_seconds must be",
        ),
        (
            role("a", "source_profile = b\nduration_seconds = canary"),
            "profile a: duration_seconds must be",
        ),
        (
            role("a", "source_profile = b\nexternal_id = a canary"),
            "profile a: external_id has",
        ),
        (
            role("a", "source_profile = b\nrole_session_name = a canary"),
            "profile a: role_session_name is",
        ),
        (
            "[profile a]\nrole_arn = canary\nsource_profile = b".to_owned(),
            "profile a: role_arn is no name",
        ),
        (
            "[profile a]\nregion = a.b/\nrole_arn = arn:r\nsource_profile = b".to_owned(),
            "profile a: AWS_REGION, or",
        ),
        (
            "[profile a]\nweb_identity_token_file = t".to_owned(),
            "profile a: role_arn is missing",
        ),
        (
            "[profile a]\nsso_account_id = 1".to_owned(),
            "profile a: sso_role_name is missing",
        ),
        (
            "[profile a]\nsso_role_name = 1".to_owned(),
            "profile a: sso_account_id is missing",
        ),
        (
            format!("[profile a]\n{}", ALL[6]),
            "profile a: sso_session or sso_start_url is missing",
        ),
        (
            format!("[profile a]\nsso_start_url = u\n{}", ALL[6]),
            "profile a: sso_region is missing",
        ),
        (
            format!("[profile a]\nsso_session = s\n{}", ALL[6]),
            "profile a: section [sso-session s] has no sso_region",
        ),
        (
            format!(
                "[profile a]\nsso_session = s\n{}\n[sso-session s]\nsso_region = evil.example/",
                ALL[6]
            ),
            "profile a: sso_region is no name of a region",
        ),
    ] {
        let trouble = read(&config).unwrap_err();
        assert!(
            trouble.starts_with(expected) && !trouble.contains("canary"),
            "{trouble}"
        );
    }
    let files = Files::of("", &format!("[default]\nsso_start_url = u\nsso_region = r\n{}", ALL[6]));
    let trouble = Plan::read(&files, "default", &surroundings(&[])).unwrap_err();
    assert!(trouble.starts_with("profile default: HOME is not set"), "{trouble}");
}

#[test]
fn single_sign_on_is_described_in_a_session_or_in_the_profile() {
    let of = |config: &str| match read(config).unwrap().unwrap().start {
        Start::SignOn(sign_on) => sign_on,
        other => panic!("{other:?}"),
    };
    let session = of(
        "[profile a]\nsso_session = my sso\nsso_account_id = 1\nsso_role_name = r\nsso_region = x\n[sso-session my sso]\nsso_region = eu-west-1\n",
    );
    let expected = SignOn {
        profile: "a".to_owned(),
        session: "my sso".to_owned(),
        account: "1".to_owned(),
        role: "r".to_owned(),
        portal: "https://portal.sso.eu-west-1.amazonaws.com/".parse().unwrap(),
        oidc: "https://oidc.eu-west-1.amazonaws.com/".parse().unwrap(),
        folder: "/home/somebody/.aws/sso/cache".into(),
    };
    assert_eq!(session, expected);
    let older = of(&format!("[profile a]\n{}", ALL[5..7].join("\n")));
    let session = "https://x.awsapps.com/start".to_owned();
    assert_eq!(older, SignOn { session, ..expected });
}

#[test]
fn nothing_of_a_plan_is_printed_that_is_secret() {
    for lines in [&ALL[2..4], &ALL[7..]] {
        let plan = read(&format!("[profile a]\n{}", lines.join("\n"))).unwrap();
        assert!(!format!("{plan:?}").contains("canary"), "{plan:?}");
    }
}

/// A machine with a file, and AWS's services for it.
struct Machine {
    aws: Aws,
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Machine {
    async fn new(config: &str, variables: &[(&str, &str)]) -> Self {
        let aws = Aws::start().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let base = aws.base.clone();
        let environment = Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            match name {
                "AWS_CONFIG_FILE" => Some(path.to_str().unwrap().to_owned()),
                "AWS_PROFILE" => Some("a".to_owned()),
                "AWS_ENDPOINT_URL_STS" | "AWS_EC2_METADATA_SERVICE_ENDPOINT" => Some(base.clone()),
                "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some(format!("{base}container")),
                _ => found.map(|(_, value)| (*value).to_owned()),
            }
        });
        let machine = Self {
            aws,
            folder,
            environment,
        };
        machine.configure(config);
        machine
    }

    fn configure(&self, config: &str) {
        std::fs::write(self.folder.path().join("config"), config).unwrap();
    }

    /// What is found now, by the name of its key.
    async fn found(&self) -> Result<String, Trouble> {
        let Found {
            credentials, trouble, ..
        } = self.environment.find(NOW).await;
        credentials
            .map(|found| found.access_key_id)
            .ok_or_else(|| trouble.unwrap())
    }
}

const KEYS: &str = "[profile keys]\naws_access_key_id = KEYS\naws_secret_access_key = canary-secret-KEYS\n\
    aws_session_token = canary-session-KEYS\n";

#[tokio::test]
async fn roles_are_taken_one_after_the_other_each_with_the_one_before() {
    let config = [
        KEYS,
        &role("b", "source_profile = keys\nrole_session_name = bee"),
        &role(
            "a",
            "region = eu-west-1\nsource_profile = b\nexternal_id = its:id\nduration_seconds = 900",
        ),
    ];
    let machine = Machine::new(&config.concat(), &[]).await;
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("FIRST", NOW + Duration::hours(1)));
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("SECOND", NOW + Duration::minutes(15)));
    let found = machine.environment.find(NOW).await;
    assert!(found.credentials.as_ref() == Some(&credentials("SECOND")), "{found:?}");
    assert_eq!(found.region.as_deref(), Some("eu-west-1"));
    let asked = machine.aws.asked();
    assert_eq!(asked.len(), 2);
    for (asked, signer, other) in [(&asked[0], "KEYS", "FIRST"), (&asked[1], "FIRST", "SECOND")] {
        let base = &machine.aws.base;
        assert!(asked.is_signed_by(&credentials(signer), "eu-west-1", base), "{asked:?}");
        assert!(!asked.is_signed_by(&credentials(other), "eu-west-1", base));
        let session = format!("canary-session-{signer}");
        assert_eq!(asked.headers["x-amz-security-token"], session.as_str());
    }
    let form = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        let always = [("Action", "AssumeRole"), ("Version", "2011-06-15")];
        let pairs = always.iter().chain(pairs);
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let bee = [("RoleArn", "arn:aws:iam::1:role/b"), ("RoleSessionName", "bee")];
    assert_eq!(asked[0].form(), form(&bee));
    let own = [
        ("RoleArn", "arn:aws:iam::1:role/a"),
        ("RoleSessionName", "tandem"),
        ("ExternalId", "its:id"),
        ("DurationSeconds", "900"),
    ];
    assert_eq!(asked[1].form(), form(&own));
    assert!(!format!("{found:?} {:?}", machine.environment).contains("canary"));
}

#[tokio::test]
async fn a_role_is_asked_for_once_and_anew_when_its_profile_changes() {
    let chain = |name: &str| {
        [
            KEYS,
            &role("a", &format!("source_profile = keys\nrole_session_name = {name}")),
        ]
        .concat()
    };
    let machine = Machine::new(&chain("one"), &[]).await;
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("FIRST", NOW + Duration::hours(1)));
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("SECOND", NOW + Duration::hours(1)));
    for _ in 0..3 {
        assert_eq!(machine.found().await.unwrap(), "FIRST");
    }
    machine.configure(&(chain("one") + "[profile other]\nregion = x\n"));
    assert_eq!(
        machine.found().await.unwrap(),
        "FIRST",
        "what others say does not matter"
    );
    machine.configure(&chain("two"));
    assert_eq!(machine.found().await.unwrap(), "SECOND");
    assert_eq!(machine.aws.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_passes_and_is_remembered_and_nobody_else_is_asked() {
    let machine = Machine::new(&[KEYS, &role("a", "source_profile = keys")].concat(), &[]).await;
    let denied = "<Error><Code>AccessDenied</Code><Message>canary</Message></Error>";
    machine.aws.answer("/", StatusCode::FORBIDDEN, denied);
    let why = "profile a: the role could not be taken: AWS's token service answered 403 Forbidden (AccessDenied)";
    for _ in 0..3 {
        assert_eq!(machine.found().await, Err(Trouble::Passing(why.to_owned())));
    }
    assert_eq!(machine.aws.asked().len(), 1);
    machine.configure("[profile a]\nrole_arn = arn:x\n");
    assert!(matches!(machine.found().await, Err(Trouble::Lasting(_))));
    assert_eq!(machine.aws.asked().len(), 1, "neither the container nor the machine");
}

#[tokio::test]
async fn what_will_never_be_answered_is_somebodys_to_correct() {
    let config = [KEYS, &role("a", "source_profile = keys\nduration_seconds = 43200")];
    let machine = Machine::new(&config.concat(), &[]).await;
    let refused = "<Error><Code>ValidationError</Code><Message>canary</Message></Error>";
    machine.aws.answer("/", StatusCode::BAD_REQUEST, refused);
    let trouble = machine.found().await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Lasting(why) if why.contains("(ValidationError); correct") && !why.contains("canary")),
        "{trouble}"
    );
    let off = [("AWS_EC2_METADATA_DISABLED", "true")];
    let machine = Machine::new(&role("a", "credential_source = Ec2InstanceMetadata"), &off).await;
    let trouble = machine.found().await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Lasting(why) if why.contains("AWS_EC2_METADATA_DISABLED")),
        "{trouble}"
    );
}

#[tokio::test]
async fn the_environments_own_keys_take_the_role_of_a_profile_that_says_so() {
    let own = [
        ("AWS_ACCESS_KEY_ID", "OWN"),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret-OWN"),
        ("AWS_SESSION_TOKEN", "canary-session-OWN"),
    ];
    let from_environment = role("a", "credential_source = environment");
    let machine = Machine::new(&from_environment, &own).await;
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("TAKEN", NOW + Duration::hours(1)));
    assert_eq!(machine.found().await.unwrap(), "TAKEN");
    assert!(machine.aws.asked()[0].is_signed_by(&credentials("OWN"), "us-east-1", &machine.aws.base));
    for other in [
        "",
        KEYS,
        "[profile a]\nrole_arn = x",
        &[KEYS, &role("a", "source_profile = keys")].concat(),
    ] {
        machine.configure(other);
        assert_eq!(machine.found().await.unwrap(), "OWN", "{other}");
    }
    let without = Machine::new(&from_environment, &[]).await;
    let trouble = without.found().await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Lasting(why) if why.contains("AWS_ACCESS_KEY_ID")),
        "{trouble}"
    );
    assert!(without.aws.asked().is_empty());
}

#[tokio::test]
async fn a_container_or_machine_takes_a_role_with_its_own() {
    let given = serde_json::json!({"AccessKeyId": "OWN", "SecretAccessKey": "canary-secret-OWN", "Token": "canary-session-OWN"});
    let given = given.to_string();
    for (source, is_machine) in [("EcsContainer", false), ("Ec2InstanceMetadata", true)] {
        let machine = Machine::new(&role("a", &format!("credential_source = {source}")), &[]).await;
        let roles = "/latest/meta-data/iam/security-credentials/";
        match is_machine {
            true => {
                machine.aws.answer("/latest/api/token", StatusCode::OK, "t");
                machine.aws.answer(roles, StatusCode::OK, "own");
                machine.aws.answer(&format!("{roles}own"), StatusCode::OK, &given);
                machine
                    .aws
                    .answer("/latest/meta-data/placement/region", StatusCode::OK, "eu-west-3");
            }
            false => machine.aws.answer("/container", StatusCode::OK, &given),
        }
        machine
            .aws
            .answer("/", StatusCode::OK, of_sts("TAKEN", NOW + Duration::hours(1)));
        let found = machine.environment.find(NOW).await;
        assert!(found.credentials == Some(credentials("TAKEN")), "{found:?}");
        assert_eq!(
            found.region.as_deref(),
            is_machine.then_some("eu-west-3"),
            "where the machine is"
        );
        let asked = machine.aws.asked();
        let last = asked.last().unwrap();
        assert!(last.is_signed_by(&credentials("OWN"), "us-east-1", &machine.aws.base));
    }
}

#[tokio::test]
async fn a_profile_has_its_web_identity_its_program_and_its_sign_on() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "canary.token").unwrap();
    let config = role(
        "a",
        &format!("web_identity_token_file = {}\nrole_session_name = me", token.display()),
    );
    let machine = Machine::new(&config, &[("HOME", home)]).await;
    machine
        .aws
        .answer("/", StatusCode::OK, of_sts("TAKEN", NOW + Duration::hours(1)));
    assert_eq!(machine.found().await.unwrap(), "TAKEN");
    let form = machine.aws.asked()[0].form();
    assert_eq!(
        (form["Action"].as_str(), form["RoleSessionName"].as_str()),
        ("AssumeRoleWithWebIdentity", "me")
    );
    assert_eq!(form["WebIdentityToken"], "canary.token");

    let printed = folder.path().join("printed");
    std::fs::write(
        &printed,
        r#"{"Version": 1, "AccessKeyId": "PRINTED", "SecretAccessKey": "s"}"#,
    )
    .unwrap();
    let program = format!("credential_process = cat \"{}\"\n", printed.display());
    machine.configure(&format!("[profile a]\n{program}"));
    assert_eq!(machine.found().await.unwrap(), "PRINTED");
    let printed = r#"{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "s", "Expiration": "2025-12-31T23:59:59Z"}"#;
    std::fs::write(folder.path().join("printed"), printed).unwrap();
    assert_eq!(machine.found().await.unwrap(), "PRINTED", "it is not run again yet");
    machine.configure(&format!("[profile a]\n{}", program.replace("cat ", "cat  ")));
    let trouble = machine.found().await.unwrap_err().to_string();
    assert!(trouble.contains("expired already"), "{trouble}");

    let sign_on = "sso_start_url = u\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r";
    machine.configure(&format!("[profile b]\n{sign_on}\n{}", role("a", "source_profile = b")));
    let trouble = machine.found().await.unwrap_err();
    let why = "profile a: the sign-on is not on this machine; sign on with `aws sso login --profile b`";
    assert_eq!(trouble, Trouble::Lasting(why.to_owned()));
}

#[test]
fn keys_are_the_same_if_all_of_them_is() {
    let keys = credentials("A");
    assert!(keys == keys.clone() && keys.secret.expose_secret() == "canary-secret-A");
    for other in [
        credentials("B"),
        Credentials {
            session_token: None,
            ..keys.clone()
        },
        Credentials {
            secret: "x".into(),
            ..keys.clone()
        },
    ] {
        assert!(keys != other);
    }
}
