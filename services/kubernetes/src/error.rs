//! Why a cluster did not do what it was asked. Texts are for people; none has a token in it, because what the library underneath says of
//! credentials (lines of files, what programs print) is never passed on.

use std::path::PathBuf;

/// Most characters of what an API server says.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// What every refusal for quota has in its message; its code and reason are those of any other refusal.
const QUOTA: &str = "exceeded quota";

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be used.
    #[error("kubernetes.{name} {problem}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An id that is none.
    #[error("an id is not valid")]
    Id,
    /// A file could not be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No credentials, or none that work.
    #[error("the cluster's credentials cannot be used: {0}")]
    Credentials(&'static str),
    /// No connection, or it broke.
    #[error("the cluster's API server cannot be reached")]
    Unreachable,
    /// Whether it happened is not known.
    #[error("the cluster's API server did not answer in time")]
    Late,
    /// An answer that is none.
    #[error("the cluster's API server answered what cannot be read")]
    Garbled,
    /// The namespace has no room for it.
    #[error("the cluster refuses it for a quota: {0}")]
    Quota(String),
    /// Any other refusal.
    #[error("the cluster refuses it ({code}): {message}")]
    Refused {
        /// The status of HTTP.
        code: u16,
        /// What the API server says.
        message: String,
    },
    /// A pod that does not go.
    #[error("the cluster has not ended the pod in time")]
    Lingers,
}

impl Error {
    /// A refusal as the API server words it.
    pub(crate) fn refused(code: u16, message: &str) -> Self {
        let mut message: String = message
            .chars()
            .filter(|letter| !letter.is_control())
            .take(MAX_MESSAGE_CHARS)
            .collect();
        if code == 403 && message.contains(QUOTA) {
            return Self::Quota(message);
        }
        if message.is_empty() {
            message.push_str("it does not say why");
        }
        Self::Refused { code, message }
    }

    /// The same without these texts, should the API server have repeated them.
    pub(crate) fn without(self, secrets: &[&str]) -> Self {
        let clean = |text: String| {
            secrets
                .iter()
                .fold(text, |text, secret| text.replace(secret, "[secret]"))
        };
        match self {
            Self::Quota(message) => Self::Quota(clean(message)),
            Self::Refused { code, message } => Self::Refused {
                code,
                message: clean(message),
            },
            other => other,
        }
    }

    /// Whether there is no such object.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether the object is there and may not become another.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Refused { code: 409 | 422, .. })
    }

    /// Whether the same call may have another outcome in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Late | Self::Garbled => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_quota_is_told_from_others() {
        let quota = r#"pods "a" is forbidden: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2"#;
        assert!(matches!(Error::refused(403, quota), Error::Quota(_)));
        assert!(matches!(
            Error::refused(403, "may not"),
            Error::Refused { code: 403, .. }
        ));
    }

    #[test]
    fn what_is_secret_is_taken_out_of_a_refusal_and_long_ones_are_cut() {
        let error = Error::refused(422, &format!("bad value s3cret\n{}", "x".repeat(5_000)));
        let text = error.without(&["s3cret"]).to_string();
        assert!(
            !text.contains("s3cret") && text.contains("[secret]") && text.len() < 1_200,
            "{text}"
        );
    }
}
