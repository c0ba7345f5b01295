//! The files that AWS's own tools share: sections with names and values. Owns their form; what a value means is decided elsewhere.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;

use super::sign::Credentials;

/// How much of a file is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The profile used if nobody names one.
pub(super) const DEFAULT: &str = "default";

/// Both files as they are at the moment. Not printable, since secrets stand in them.
pub(super) struct Files {
    credentials: String,
    config: String,
}

/// What both files say of one name. Empty if neither knows it.
pub(super) struct Profile {
    own: Section,
    shared: Section,
}

/// Names and values of a section.
#[derive(Default)]
pub(super) struct Section(Vec<(String, SecretString)>);

impl Files {
    /// Reads both; one that cannot be read is empty.
    pub(super) async fn read(credentials: Option<&Path>, config: Option<&Path>) -> Self {
        Self {
            credentials: read(credentials).await,
            config: read(config).await,
        }
    }

    /// Files of these texts.
    #[cfg(test)]
    pub(super) fn of(credentials: &str, config: &str) -> Self {
        Self {
            credentials: credentials.to_owned(),
            config: config.to_owned(),
        }
    }

    /// What they say of a profile.
    pub(super) fn profile(&self, name: &str) -> Profile {
        let shared = Section::of(&self.config, &format!("profile {name}"));
        let shared = match name {
            // The one profile whose section may have the bare name.
            DEFAULT if shared.0.is_empty() => Section::of(&self.config, DEFAULT),
            _ => shared,
        };
        Profile {
            own: Section::of(&self.credentials, name),
            shared,
        }
    }

    /// What they say of a session of single sign-on; empty if nothing.
    pub(super) fn session(&self, name: &str) -> Section {
        Section::of(&self.config, &format!("sso-session {name}"))
    }
}

impl Profile {
    /// Its keys. Both halves stand in the same file.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.own.credentials().or_else(|| self.shared.credentials())
    }

    /// Where it is.
    pub(super) fn region(&self) -> Option<String> {
        self.shared.value("region").or_else(|| self.own.value("region"))
    }

    /// A value by its name; the file of credentials wins.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.own.value(name).or_else(|| self.shared.value(name))
    }

    /// As [`Self::value`], for what may hold a secret.
    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.own.secret(name).or_else(|| self.shared.secret(name))
    }
}

impl Section {
    fn of(text: &str, wanted: &str) -> Self {
        let mut is_wanted = false;
        let mut values = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix('[') {
                // A comment may stand behind it. One without an end is nobody's: what follows must not become another's.
                // Names with blanks stand in quotes.
                let words = |name: &str| {
                    name.replace(['"', '\''], "")
                        .split_ascii_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                };
                is_wanted = rest.split_once(']').is_some_and(|(name, _)| words(name) == wanted);
            } else if is_wanted
                && !line.starts_with(['#', ';'])
                && let Some((name, value)) = line.split_once('=')
            {
                values.push((name.trim().to_ascii_lowercase(), value.trim().into()));
            }
        }
        Self(values)
    }

    fn secret(&self, wanted: &str) -> Option<SecretString> {
        let found = self.0.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.expose_secret().is_empty())
    }

    /// A value by its name.
    pub(super) fn value(&self, wanted: &str) -> Option<String> {
        self.secret(wanted).map(|value| value.expose_secret().to_owned())
    }

    fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.value("aws_access_key_id")?,
            secret: self.secret("aws_secret_access_key")?,
            session_token: self.secret("aws_session_token"),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_what_both_files_say_of_it() {
        let files = Files::of(
            "[work]\nregion = a\nsource_profile = mine\n[default]\naws_access_key_id = half\n",
            "[ profile  work ]\nREGION=b\nsource_profile = theirs\nrole_arn = c=d\nexternal_id =\n\
             [default]\nregion = bare\n[profile default]\nregion = named\n[sso-session one two]\nsso_region = e\n",
        );
        let work = files.profile("work");
        assert_eq!(work.region().as_deref(), Some("b"));
        assert_eq!(work.value("source_profile").as_deref(), Some("mine"));
        assert_eq!(work.value("role_arn").as_deref(), Some("c=d"));
        assert_eq!(work.value("external_id"), None, "blank is not set");
        let default = files.profile(DEFAULT);
        assert_eq!(default.region().as_deref(), Some("named"));
        assert!(default.credentials().is_none());
        assert_eq!(files.session("one two").value("sso_region").as_deref(), Some("e"));
        assert!(files.profile("nobody").region().is_none());
    }

    #[test]
    fn a_section_ends_where_another_begins_whatever_stands_behind_its_name() {
        let files = Files::of(
            "[default] ; mine\nregion = a\n[work] # theirs\nregion = b\naws_access_key_id = x\n[half\naws_secret_access_key = y\n",
            "[profile \"my work\"]\nregion = c\n",
        );
        assert_eq!(files.profile(DEFAULT).region().as_deref(), Some("a"));
        assert!(files.profile(DEFAULT).value("aws_access_key_id").is_none());
        assert_eq!(files.profile("work").region().as_deref(), Some("b"));
        assert!(files.profile("work").value("aws_secret_access_key").is_none());
        assert_eq!(files.profile("my work").region().as_deref(), Some("c"));
    }
}
