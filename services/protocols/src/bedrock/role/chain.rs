//! What a profile of the shared files means: where its credentials begin, and which roles are taken one after the other from there.
//!
//! Within a profile a role comes first, then its own keys, a web identity, single sign-on, and a program. In a profile that is the source of
//! another one its own keys come before its role. Where AWS's tools differ among themselves, this is what most of them do.
//!
//! Sources: AWS, "Assume role credential provider", "IAM Identity Center credential provider" and "Process credential provider".

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{
    super::{
        profile::{Files, Profile},
        sign::Credentials,
    },
    Answer, Grant, Trouble,
    assumed::Assumed,
    endpoint::Endpoint,
    kept::Kept,
    process::Process,
    services::Services,
    sign_on::SignOn,
    sts::session,
    web_identity::WebIdentity,
};

/// Most profiles that lead from one to the next.
const MAX_PROFILES: usize = 8;

/// What the environment says that profiles build on.
#[derive(Clone, Debug, Default)]
pub(in crate::bedrock) struct Surroundings {
    /// The environment's own.
    pub(in crate::bedrock) credentials: Option<Credentials>,
    /// Where it says that the machine is.
    pub(in crate::bedrock) region: Option<String>,
    home: Option<PathBuf>,
    services: Services,
    container: Option<Endpoint>,
    machine: Option<Endpoint>,
}

/// How a profile's credentials come about.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bedrock) struct Plan {
    profile: String,
    start: Start,
    /// Taken in this order.
    roles: Vec<Assumed>,
}

/// Where credentials begin.
#[derive(Clone, Debug, PartialEq)]
enum Start {
    Keys(Credentials),
    Environment,
    Container,
    Machine,
    WebIdentity(WebIdentity),
    SignOn(SignOn),
    Process(Process),
}

/// What a role is taken with.
enum Source {
    Profile(String),
    Start(Start),
}

/// What the last plan has given. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::bedrock) struct Planned(Arc<Mutex<Option<(Plan, Kept)>>>);

impl Surroundings {
    /// * `variable`: its value by name; blank counts as not set.
    pub(in crate::bedrock) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let credentials = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
        Self {
            credentials: credentials.map(|(access_key_id, secret)| Credentials {
                access_key_id,
                secret: secret.into(),
                session_token: variable("AWS_SESSION_TOKEN").map(Into::into),
            }),
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
            home: variable("HOME").map(PathBuf::from),
            services: Services::read(&variable),
            container: Endpoint::container(&variable),
            machine: Endpoint::machine(&variable),
        }
    }
}

impl Plan {
    /// Reads what a profile means; `None` if it says nothing of credentials.
    ///
    /// # Errors
    /// The profile and the field in it that cannot be followed.
    pub(in crate::bedrock) fn read(
        files: &Files,
        profile: &str,
        surroundings: &Surroundings,
    ) -> Result<Option<Self>, String> {
        let region = surroundings.region.clone();
        let region = region.or_else(|| files.profile(profile).region());
        let mut path: Vec<String> = Vec::new();
        let mut roles = Vec::new();
        let mut name = profile.to_owned();
        let start = loop {
            let about = |why: String| format!("profile {name}: {why}");
            if path.contains(&name) {
                return Err(about("source_profile leads back to it; name another one".to_owned()));
            }
            if path.len() == MAX_PROFILES {
                let why = format!("it is more than {MAX_PROFILES} profiles away by source_profile; shorten the chain");
                return Err(about(why));
            }
            let reader = Reader {
                files,
                name: &name,
                profile: files.profile(&name),
                surroundings,
                region: region.as_deref(),
            };
            let keys = reader.profile.credentials().filter(|_| !path.is_empty());
            if let Some(keys) = keys {
                break Some(Start::Keys(keys));
            }
            let Some((role, source)) = reader.role().map_err(about)? else {
                break reader.start().map_err(about)?;
            };
            roles.push(role);
            let next = match source {
                Source::Start(start) => break Some(start),
                // With what it has beside its role.
                Source::Profile(next) if next == name => break reader.start().map_err(about)?,
                Source::Profile(next) => next,
            };
            path.push(std::mem::replace(&mut name, next));
        };
        roles.reverse();
        match start {
            None if roles.is_empty() => Ok(None),
            None => Err(format!(
                "profile {name}: it is the source of a role, and says nothing of credentials"
            )),
            Some(start) => Ok(Some(Self {
                profile: profile.to_owned(),
                start,
                roles,
            })),
        }
    }

    /// Whether a role is taken with the environment's own credentials.
    pub(in crate::bedrock) fn begins_in_the_environment(&self) -> bool {
        self.start == Start::Environment
    }

    async fn ask(&self, surroundings: &Surroundings, now: OffsetDateTime) -> Answer {
        let about = |trouble: Trouble| trouble.about(&format!("profile {}", self.profile));
        let mut grant = self.start.ask(surroundings, now).await.map_err(about)?;
        for role in &self.roles {
            let taken = role.ask(&grant.credentials, now).await;
            grant = Grant {
                region: grant.region,
                ..taken.map_err(about)?
            };
        }
        Ok(Some(grant))
    }
}

impl Start {
    async fn ask(&self, surroundings: &Surroundings, now: OffsetDateTime) -> Result<Grant, Trouble> {
        let missing = |what: &str| Trouble::Lasting(format!("credential_source names {what}"));
        let of = async |endpoint: &Option<Endpoint>| match endpoint {
            Some(endpoint) => endpoint.ask(now).await,
            None => Ok(None),
        };
        match self {
            Self::Keys(keys) => Ok(Grant::untold(keys.clone(), now)),
            Self::Environment => {
                let own = surroundings.credentials.clone().ok_or_else(|| {
                    missing("the environment, where AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
                })?;
                Ok(Grant::untold(own, now))
            }
            Self::Container => of(&surroundings.container)
                .await?
                .ok_or_else(|| missing("the container, for which the environment has no endpoint")),
            Self::Machine if surroundings.machine.is_none() => {
                Err(missing("the machine, which AWS_EC2_METADATA_DISABLED forbids to ask"))
            }
            // A machine that has a role may be slow to say so.
            Self::Machine => of(&surroundings.machine).await?.ok_or_else(|| {
                Trouble::Passing("credential_source names the machine, which has no role or did not answer".to_owned())
            }),
            Self::WebIdentity(identity) => identity.ask().await,
            Self::SignOn(sign_on) => sign_on.ask(now).await,
            Self::Process(process) => process.ask(now).await,
        }
    }
}

impl Planned {
    /// The plan's credentials, good for 30 seconds at least. What another plan has given is forgotten.
    ///
    /// # Errors
    /// Why there are none.
    pub(in crate::bedrock) async fn grant(
        &self,
        plan: &Plan,
        surroundings: &Surroundings,
        now: OffsetDateTime,
    ) -> Answer {
        match &plan.start {
            // Nobody has to be asked.
            Start::Keys(keys) if plan.roles.is_empty() => Ok(Some(Grant::untold(keys.clone(), now))),
            _ => {
                let (asked, surroundings) = (plan.clone(), surroundings.clone());
                let asking = async move { asked.ask(&surroundings, now).await };
                self.kept(plan).grant(now, asking).await
            }
        }
    }

    fn kept(&self, plan: &Plan) -> Kept {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, kept)) if known == plan => kept.clone(),
            Some(_) | None => {
                let kept = Kept::default();
                *last = Some((plan.clone(), kept.clone()));
                kept
            }
        }
    }
}

/// Reads one profile.
struct Reader<'a> {
    files: &'a Files,
    name: &'a str,
    profile: Profile,
    surroundings: &'a Surroundings,
    /// For AWS's token service.
    region: Option<&'a str>,
}

impl Reader<'_> {
    fn value(&self, name: &str) -> Option<String> {
        self.profile.value(name)
    }

    /// The role that is to be taken, and what with. A role for a web identity is none: it needs no other credentials.
    fn role(&self) -> Result<Option<(Assumed, Source)>, String> {
        let Some(arn) = self.value("role_arn") else {
            return Ok(None);
        };
        if self.value("web_identity_token_file").is_some() {
            return Ok(None);
        }
        let source = match (self.value("source_profile"), self.value("credential_source")) {
            (Some(profile), None) => Source::Profile(profile),
            (None, Some(source)) => Source::Start(named(&source)?),
            (Some(_), Some(_)) => {
                return Err("source_profile and credential_source exclude one another; remove one".to_owned());
            }
            (None, None) => {
                return Err(
                    "role_arn needs source_profile, credential_source or web_identity_token_file beside it".to_owned(),
                );
            }
        };
        if self.value("mfa_serial").is_some() {
            return Err("mfa_serial asks for a code, which nobody is there to type; use a role without it".to_owned());
        }
        let sts = self.surroundings.services.sts(self.region)?;
        let role = Assumed::read(sts, arn, |name| self.value(name))?;
        Ok(Some((role, source)))
    }

    /// Where credentials begin that need no others.
    fn start(&self) -> Result<Option<Start>, String> {
        if let Some(keys) = self.profile.credentials() {
            return Ok(Some(Start::Keys(keys)));
        }
        if let Some(identity) = self.web_identity()? {
            return Ok(Some(Start::WebIdentity(identity)));
        }
        if let Some(sign_on) = self.sign_on()? {
            return Ok(Some(Start::SignOn(sign_on)));
        }
        let line: Option<SecretString> = self.profile.secret("credential_process");
        Ok(line.map(|line| Start::Process(Process::new(line))))
    }

    fn web_identity(&self) -> Result<Option<WebIdentity>, String> {
        let Some(token_file) = self.value("web_identity_token_file") else {
            return Ok(None);
        };
        let role = self.value("role_arn");
        Ok(Some(WebIdentity {
            sts: self.surroundings.services.sts(self.region)?,
            role: role.ok_or("role_arn is missing beside web_identity_token_file")?,
            session: session("role_session_name", self.value("role_session_name"))?,
            token_file: PathBuf::from(token_file),
        }))
    }

    fn sign_on(&self) -> Result<Option<SignOn>, String> {
        let (account, role) = match (self.value("sso_account_id"), self.value("sso_role_name")) {
            (Some(account), Some(role)) => (account, role),
            // Such a profile is for tools that need the token alone.
            (None, None) => return Ok(None),
            (Some(_), None) => return Err("sso_role_name is missing beside sso_account_id".to_owned()),
            (None, Some(_)) => return Err("sso_account_id is missing beside sso_role_name".to_owned()),
        };
        let (session, region) = match self.value("sso_session") {
            Some(session) => {
                let region = self.files.session(&session).value("sso_region");
                let region = region.ok_or_else(|| format!("section [sso-session {session}] has no sso_region"))?;
                (session, region)
            }
            None => {
                let start = self.value("sso_start_url");
                let start = start.ok_or("sso_session or sso_start_url is missing beside sso_account_id")?;
                let region = self.value("sso_region");
                (start, region.ok_or("sso_region is missing beside sso_start_url")?)
            }
        };
        let home = self.surroundings.home.as_ref();
        let home = home.ok_or("HOME is not set, so that nobody knows where the sign-on is kept")?;
        let services = &self.surroundings.services;
        Ok(Some(SignOn {
            profile: self.name.to_owned(),
            session,
            account,
            role,
            portal: services.portal(&region)?,
            oidc: services.oidc(&region)?,
            folder: home.join(".aws/sso/cache"),
        }))
    }
}

/// A source by its name.
fn named(source: &str) -> Result<Start, String> {
    let is = |name: &str| source.eq_ignore_ascii_case(name);
    match source {
        _ if is("Environment") => Ok(Start::Environment),
        _ if is("EcsContainer") => Ok(Start::Container),
        _ if is("Ec2InstanceMetadata") => Ok(Start::Machine),
        _ => Err("credential_source must be Environment, EcsContainer or Ec2InstanceMetadata".to_owned()),
    }
}

#[cfg(test)]
mod tests;
