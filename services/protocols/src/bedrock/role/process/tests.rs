use std::path::{Path, PathBuf};

use time::{Duration, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// Longest wait for something that happens at once.
const PATIENCE: Limit = Limit::from_secs(60);

/// A program in a folder of its own.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script one"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The script is read, not run: a file that was written a moment ago cannot be run while another thread starts a program.
    fn process(&self, arguments: &str) -> Process {
        let script = self.path("script one");
        Process::new(format!("sh \"{}\" {arguments}", script.display()).into())
    }

    async fn grant(&self) -> Result<Grant, Trouble> {
        self.process("").ask(NOW).await
    }
}

/// A script that prints this.
fn printing(text: &str) -> Script {
    Script::new(&format!("cat <<'END'\n{text}\nEND\n"))
}

/// Waits until it is so.
async fn until<T>(mut is_so: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            match is_so() {
                Some(found) => break found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

fn is_running(id: &str) -> bool {
    // The state stands behind the name, which is in parentheses; nobody may have taken note of its end yet.
    let state = std::fs::read_to_string(Path::new("/proc").join(id).join("stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(Some('Z' | 'X') | None))
}

#[tokio::test]
async fn a_program_prints_credentials_and_when_they_expire() {
    let script = Script::new(
        "test -z \"$(cat)\" || exit 9\nprintf '{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"%s\",' \"$1\" \"$2\"\n\
         echo '\"SessionToken\": \"token\", \"Expiration\": \"2026-01-01T02:00:00+01:00\", \"AccountId\": \"1\"}'\n",
    );
    let grant = script.process("'AKIA 1' \"s e\"").ask(NOW).await.unwrap();
    let expected = Credentials {
        access_key_id: "AKIA 1".to_owned(),
        secret: "s e".into(),
        session_token: Some("token".into()),
    };
    assert!(grant.credentials == expected, "{:?}", grant.credentials);
    assert_eq!(grant.expires_at, NOW + Duration::hours(1));
    let plain = printing(r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"}"#);
    let grant = plain.grant().await.unwrap();
    assert!(grant.credentials.session_token.is_none());
    assert_eq!(grant.expires_at, NOW + Duration::hours(1), "asked again some time");
}

#[tokio::test]
async fn a_program_has_this_services_environment() {
    let printed = r#"{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "s"}"#;
    let script = Script::new(&format!("printf '{printed}' \"$PATH\"\n"));
    let grant = script.grant().await.unwrap();
    assert_eq!(grant.credentials.access_key_id, std::env::var("PATH").unwrap());
}

#[tokio::test]
async fn what_concerns_this_service_alone_is_withheld_from_programs() {
    for (name, is_withheld) in [
        ("TANDEM_PROVIDER_GATEWAY__KEK", true),
        ("TANDEM_BOOTSTRAP_TOKEN", true),
        ("DATABASE_URL", true),
        ("PATH", false),
        ("AWS_PROFILE", false),
    ] {
        assert_eq!(is_ours(OsStr::new(name)), is_withheld, "{name}");
    }
    let count = "env | grep -c '^TANDEM_' | sed 's/^/n/'";
    let script = Script::new(&format!(
        "printf '{{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"s\"}}' \"$({count})\"\n"
    ));
    assert_eq!(script.grant().await.unwrap().credentials.access_key_id, "n0");
}

#[tokio::test]
async fn a_program_that_fails_is_told_by_its_status_alone() {
    let script = Script::new("echo canary-out\necho canary-err >&2\nexit 3\n");
    let trouble = script.grant().await.unwrap_err();
    assert!(matches!(trouble, Trouble::Passing(_)));
    let told = trouble.to_string();
    assert!(
        told.contains("credential_process: the program ended with exit status: 3"),
        "{told}"
    );
    assert!(!told.contains("canary"), "{told}");
    let nowhere = Process::new("/nonexistent/canary --secret canary".to_owned().into());
    let trouble = nowhere.ask(NOW).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Lasting(_)));
    let told = trouble.to_string();
    assert!(told.contains("cannot be started") && !told.contains("canary"), "{told}");
}

#[tokio::test]
async fn what_is_no_answer_is_not_repeated() {
    for (printed, expected) in [
        ("", "no JSON object"),
        ("canary", "no JSON object"),
        (r#"["canary"]"#, "no JSON object"),
        (r#"{"Version": 1, "AccessKeyId": "canary"}"#, "no JSON object"),
        (
            r#"{"AccessKeyId": "canary", "SecretAccessKey": "canary"}"#,
            "no JSON object",
        ),
        (
            r#"{"Version": 1, "AccessKeyId": "", "SecretAccessKey": "canary"}"#,
            "no JSON object",
        ),
        (
            r#"{"Version": 2, "AccessKeyId": "canary", "SecretAccessKey": "canary"}"#,
            "Version other than 1",
        ),
        (
            r#"{"Version": 1, "AccessKeyId": "canary", "SecretAccessKey": "canary", "Expiration": "canary"}"#,
            "Expiration that is no time",
        ),
    ] {
        let told = printing(printed).grant().await.unwrap_err().to_string();
        assert!(told.contains(expected) && !told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_stopped() {
    let script = Script::new("echo $$ > \"$1\"\nyes canary\n");
    let id = script.path("id");
    let told = script
        .process(&id.display().to_string())
        .ask(NOW)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("more than 65536 bytes") && !told.contains("canary"),
        "{told}"
    );
    let id = std::fs::read_to_string(id).unwrap();
    until(|| (!is_running(id.trim())).then_some(())).await;
}

#[tokio::test]
async fn a_program_that_hangs_is_not_waited_for() {
    let script = Script::new("tail -f /dev/null\n");
    let hanging = Process {
        limit: Limit::from_millis(20),
        ..script.process("")
    };
    let trouble = hanging.ask(NOW).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Passing(_)));
    assert!(trouble.to_string().contains("did not end within 20ms"), "{trouble}");
}

#[tokio::test]
async fn a_program_ends_with_who_waits_for_it_and_so_does_what_it_started() {
    let script = Script::new("tail -f /dev/null & echo $! > \"$1\"\necho $$ > \"$2\"\nwait\n");
    let (inner, outer) = (script.path("inner"), script.path("outer"));
    let process = script.process(&format!("{} {}", inner.display(), outer.display()));
    let asking = tokio::spawn(async move { process.ask(NOW).await });
    let id = |path: &Path| std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
    for id in [until(|| id(&inner)).await, until(|| id(&outer)).await] {
        assert!(is_running(id.trim()));
    }
    asking.abort();
    for path in [&inner, &outer] {
        let id = id(path).unwrap();
        until(|| (!is_running(id.trim())).then_some(())).await;
    }
    assert!(asking.await.unwrap_err().is_cancelled());
}

#[test]
fn a_line_is_cut_into_words_and_nothing_in_it_is_replaced() {
    for (line, expected) in [
        ("a  b\tc ", &["a", "b", "c"][..]),
        ("\"/opt/my tool\" --name \"x y\"", &["/opt/my tool", "--name", "x y"]),
        ("a='b c'd \"\" ''", &["a=b cd", "", ""]),
        (r#"a\ b "c\"d\\e\f" 'g\'"#, &["a b", r#"c"d\e\f"#, r"g\"]),
        ("~ $HOME * `id` ; | &", &["~", "$HOME", "*", "`id`", ";", "|", "&"]),
        ("", &[]),
    ] {
        assert_eq!(words(line).unwrap(), expected, "{line}");
    }
    for line in ["\"a", "'a", "a\\", "\"a\\"] {
        assert!(matches!(words(line), Err(Trouble::Lasting(_))), "{line}");
    }
}

#[test]
fn a_line_is_never_printed() {
    let process = Process::new("tool --password canary".to_owned().into());
    assert!(!format!("{process:?}").contains("canary"));
}
