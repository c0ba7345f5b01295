//! The AWS credentials of this machine: from environment variables, else from the files that AWS's own tools share ([`super::profile`]),
//! else those of the role that its container or the machine itself has ([`super::role`]).
//!
//! The environment is read once, when the service starts; files anew for each call, since other programs renew what is in them.

use std::path::PathBuf;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    profile::{self, Files},
    role::{Answer, Plan, Planned, Role, Surroundings, Trouble},
    sign::Credentials,
};

/// What the environment says of AWS.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    bearer: Option<SecretString>,
    profile: String,
    credentials_file: Option<PathBuf>,
    config_file: Option<PathBuf>,
    surroundings: Surroundings,
    planned: Planned,
    role: Role,
}

/// What this machine has.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) credentials: Option<Credentials>,
    pub(super) region: Option<String>,
    /// Why credentials that this machine should have could not be had.
    pub(super) trouble: Option<Trouble>,
}

impl Environment {
    /// Reads the environment.
    ///
    /// * `variable`: its value by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let file = |name: &str, path: &str| {
            let shared = || Some(PathBuf::from(variable("HOME")?).join(".aws").join(path));
            variable(name).map(PathBuf::from).or_else(shared)
        };
        Self {
            bearer: variable("AWS_BEARER_TOKEN_BEDROCK").map(Into::into),
            profile: variable("AWS_PROFILE").unwrap_or_else(|| profile::DEFAULT.to_owned()),
            credentials_file: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config_file: file("AWS_CONFIG_FILE", "config"),
            surroundings: Surroundings::read(variable),
            planned: Planned::default(),
            role: Role::read(variable),
        }
    }

    /// A token for models alone.
    pub(super) fn bearer(&self) -> Option<&SecretString> {
        self.bearer.as_ref()
    }

    /// What this machine has at the moment. Variables win over files, and both over roles.
    pub(super) async fn find(&self, now: OffsetDateTime) -> Found {
        let files = Files::read(self.credentials_file.as_deref(), self.config_file.as_deref()).await;
        let region = self.surroundings.region.clone();
        let mut found = Found {
            region: region.or_else(|| files.profile(&self.profile).region()),
            ..Found::default()
        };
        // A token for models needs no credentials beside it.
        if self.bearer.is_some() {
            return found;
        }
        let plan = Plan::read(&files, &self.profile, &self.surroundings);
        // They are there to take a role with if the profile says so.
        let is_source = matches!(&plan, Ok(Some(plan)) if plan.begins_in_the_environment());
        found.credentials = self.surroundings.credentials.clone().filter(|_| !is_source);
        if found.credentials.is_some() {
            return found;
        }
        match self.granted(plan, now).await {
            Ok(None) => {}
            Ok(Some(grant)) => {
                found.credentials = Some(grant.credentials);
                found.region = found.region.or(grant.region);
            }
            Err(trouble) => found.trouble = Some(trouble),
        }
        found
    }

    async fn granted(&self, plan: Result<Option<Plan>, String>, now: OffsetDateTime) -> Answer {
        match plan.map_err(Trouble::Lasting)? {
            Some(plan) => self.planned.grant(&plan, &self.surroundings, now).await,
            None => self.role.grant(now).await,
        }
    }
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
    async fn a_token_for_models_needs_a_region_at_most() {
        let token = ("AWS_BEARER_TOKEN_BEDROCK", "token");
        let found = found(&[token, ("AWS_PROFILE", "work")]).await;
        assert!(found.credentials.is_none());
        assert_eq!(found.region.as_deref(), Some("eu-west-1"));
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
