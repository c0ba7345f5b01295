//! The AWS credentials of this machine: from environment variables, else from the files that AWS's own tools share, else those of the
//! role that its container or the machine itself has ([`Role`]).
//!
//! The environment is read once, when the service starts; files anew for each call, since other programs renew what is in them.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::io::AsyncReadExt as _;

use super::{role::Role, sign::Credentials};

/// How much of a file is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The section used if nobody names one.
const DEFAULT_PROFILE: &str = "default";

/// What the environment says of AWS.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    credentials: Option<Credentials>,
    bearer: Option<SecretString>,
    region: Option<String>,
    profile: String,
    credentials_file: Option<PathBuf>,
    config_file: Option<PathBuf>,
    role: Role,
}

/// What this machine has.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) credentials: Option<Credentials>,
    pub(super) region: Option<String>,
    /// Why a role that this machine has could not be asked for its credentials.
    pub(super) trouble: Option<String>,
}

impl Environment {
    /// Reads the environment.
    ///
    /// * `variable`: its value by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = variable("HOME").map(PathBuf::from);
        let file = |name: &str, path: &str| {
            let shared = || home.as_ref().map(|home| home.join(".aws").join(path));
            variable(name).map(PathBuf::from).or_else(shared)
        };
        let credentials = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
        Self {
            credentials: credentials.map(|(access_key_id, secret)| Credentials {
                access_key_id,
                secret: secret.into(),
                session_token: variable("AWS_SESSION_TOKEN").map(Into::into),
            }),
            bearer: variable("AWS_BEARER_TOKEN_BEDROCK").map(Into::into),
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
            profile: variable("AWS_PROFILE").unwrap_or_else(|| DEFAULT_PROFILE.to_owned()),
            credentials_file: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config_file: file("AWS_CONFIG_FILE", "config"),
            role: Role::read(variable),
        }
    }

    /// A token for models alone.
    pub(super) fn bearer(&self) -> Option<&SecretString> {
        self.bearer.as_ref()
    }

    /// What this machine has at the moment. Variables win over files, and both over roles.
    pub(super) async fn find(&self, now: OffsetDateTime) -> Found {
        let mut found = Found {
            credentials: self.credentials.clone(),
            region: self.region.clone(),
            trouble: None,
        };
        if found.credentials.is_none() || found.region.is_none() {
            let own = section(&read(self.credentials_file.as_deref()).await, &self.profile);
            let config = read(self.config_file.as_deref()).await;
            let shared = match self.profile.as_str() {
                DEFAULT_PROFILE => section(&config, DEFAULT_PROFILE),
                profile => section(&config, &format!("profile {profile}")),
            };
            found.credentials = found
                .credentials
                .or_else(|| credentials(&own))
                .or_else(|| credentials(&shared));
            found.region = found
                .region
                .or_else(|| value(&shared, "region"))
                .or_else(|| value(&own, "region"));
        }
        // A token for models needs no credentials beside it.
        if found.credentials.is_none() && self.bearer.is_none() {
            match self.role.grant(now).await {
                Ok(None) => {}
                Ok(Some(grant)) => {
                    found.credentials = Some(grant.credentials);
                    found.region = found.region.or(grant.region);
                }
                Err(trouble) => found.trouble = Some(trouble),
            }
        }
        found
    }
}

/// A file's text; empty if there is none that can be read.
async fn read(path: Option<&Path>) -> String {
    let mut text = String::new();
    if let Some(path) = path
        && let Ok(file) = tokio::fs::File::open(path).await
        && file.take(MAX_FILE_BYTES).read_to_string(&mut text).await.is_err()
    {
        text.clear();
    }
    text
}

/// Names and values in a section of a file.
type Section = Vec<(String, SecretString)>;

fn section(text: &str, wanted: &str) -> Section {
    let mut is_wanted = false;
    let mut section = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let words: Vec<&str> = name.split_ascii_whitespace().collect();
            is_wanted = words.join(" ") == wanted;
        } else if is_wanted
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            section.push((name.trim().to_ascii_lowercase(), value.trim().into()));
        }
    }
    section
}

fn secret(section: &Section, wanted: &str) -> Option<SecretString> {
    use secrecy::ExposeSecret as _;
    let found = section.iter().find(|(name, _)| name == wanted);
    found
        .map(|(_, value)| value.clone())
        .filter(|value| !value.expose_secret().is_empty())
}

fn value(section: &Section, wanted: &str) -> Option<String> {
    use secrecy::ExposeSecret as _;
    secret(section, wanted).map(|value| value.expose_secret().to_owned())
}

fn credentials(section: &Section) -> Option<Credentials> {
    Some(Credentials {
        access_key_id: value(section, "aws_access_key_id")?,
        secret: secret(section, "aws_secret_access_key")?,
        session_token: secret(section, "aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use secrecy::ExposeSecret as _;

    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=secret1\n\n\
        [work]\nAWS_ACCESS_KEY_ID=AKIA2\naws_secret_access_key = sec=ret2 \naws_session_token = token2\n";
    const CONFIG: &str = "[default]\nregion = us-west-2\n[ profile  work ]\nregion=eu-west-1\n; end\n";

    async fn found(variables: &[(&str, &str)]) -> Found {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        std::fs::write(folder.path().join(".aws/config"), CONFIG).unwrap();
        let mut variables: HashMap<&str, String> = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        variables
            .entry("HOME")
            .or_insert_with(|| folder.path().to_str().unwrap().to_owned());
        variables
            .entry("AWS_EC2_METADATA_DISABLED")
            .or_insert_with(|| "true".to_owned());
        let environment = Environment::read(|name| variables.get(name).cloned());
        environment.find(OffsetDateTime::UNIX_EPOCH).await
    }

    fn shown(found: &Found) -> (String, String, String) {
        let token = |credentials: &Credentials| {
            let token = credentials.session_token.as_ref();
            token.map(|token| token.expose_secret().to_owned()).unwrap_or_default()
        };
        let credentials = found.credentials.as_ref().unwrap();
        (
            credentials.access_key_id.clone(),
            credentials.secret.expose_secret().to_owned(),
            token(credentials),
        )
    }

    fn texts(one: &str, two: &str, three: &str) -> (String, String, String) {
        (one.to_owned(), two.to_owned(), three.to_owned())
    }

    #[tokio::test]
    async fn variables_win_over_files_and_files_have_sections() {
        let by_default = found(&[]).await;
        assert_eq!(shown(&by_default), texts("AKIA1", "secret1", ""));
        assert_eq!(by_default.region.as_deref(), Some("us-west-2"));
        let at_work = found(&[("AWS_PROFILE", "work")]).await;
        assert_eq!(shown(&at_work), texts("AKIA2", "sec=ret2", "token2"));
        assert_eq!(at_work.region.as_deref(), Some("eu-west-1"));
        let own = [
            ("AWS_ACCESS_KEY_ID", "AKIA3"),
            ("AWS_SECRET_ACCESS_KEY", "secret3"),
            ("AWS_REGION", "ap-1"),
        ];
        let own = found(&own).await;
        assert_eq!(shown(&own), texts("AKIA3", "secret3", ""));
        assert_eq!(own.region.as_deref(), Some("ap-1"));
    }

    #[tokio::test]
    async fn nothing_is_found_where_nothing_is() {
        for variables in [
            &[("AWS_PROFILE", "nobody")][..],
            &[("HOME", "/nonexistent"), ("AWS_ACCESS_KEY_ID", "half")],
        ] {
            assert!(found(variables).await.credentials.is_none());
        }
    }

    #[tokio::test]
    async fn nothing_of_it_is_printed() {
        let variables = |name: &str| Some(format!("canary-{name}"));
        let environment = Environment::read(variables);
        let printed = format!(
            "{environment:?} {:?}",
            environment.find(OffsetDateTime::UNIX_EPOCH).await
        );
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"] {
            assert!(!printed.contains(&format!("canary-{name}")), "{printed}");
        }
    }
}
