//! A role that is taken with the credentials of somebody who may take it. AWS's token service ([`super::sts`]) gives credentials for it.
//!
//! Source: AWS, "AssumeRole" (request, bounds of its fields).

use time::OffsetDateTime;

use super::{
    super::sign::Credentials,
    Grant, Trouble,
    sts::{Sts, session},
};

/// Longest name of a role that AWS takes.
const MAX_ARN_CHARS: usize = 2048;

/// How long an id that the role's owner asks for may be.
const EXTERNAL_ID_CHARS: std::ops::RangeInclusive<usize> = 2..=1224;

/// How long credentials may hold, in seconds.
const SECONDS: std::ops::RangeInclusive<u32> = 900..=43_200;

/// Which role, and what is said when it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assumed {
    sts: Sts,
    arn: String,
    session: String,
    external_id: Option<String>,
    /// How long its credentials are to hold; AWS decides unless it is said.
    seconds: Option<u32>,
}

impl Assumed {
    /// A role as a profile describes it.
    ///
    /// * `value`: what the profile says, by name.
    ///
    /// # Errors
    /// The name of what AWS would not take.
    pub(super) fn read(sts: Sts, arn: String, value: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if !arn.starts_with("arn:") || arn.len() > MAX_ARN_CHARS || arn.contains(char::is_whitespace) {
            return Err("role_arn is no name of a role".to_owned());
        }
        let external_id = value("external_id");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        let fits = |id: &String| EXTERNAL_ID_CHARS.contains(&id.len()) && id.bytes().all(is_plain);
        if external_id.as_ref().is_some_and(|id| !fits(id)) {
            return Err("external_id has characters, or a length, that AWS does not take".to_owned());
        }
        let seconds = match value("duration_seconds") {
            None => None,
            Some(text) => {
                let seconds = text.parse::<u32>().ok().filter(|seconds| SECONDS.contains(seconds));
                Some(seconds.ok_or("duration_seconds must be a number from 900 to 43200")?)
            }
        };
        Ok(Self {
            sts,
            arn,
            session: session("role_session_name", value("role_session_name"))?,
            external_id,
            seconds,
        })
    }

    /// Asks.
    ///
    /// * `credentials`: of who takes the role.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets.
    pub(super) async fn ask(&self, credentials: &Credentials, now: OffsetDateTime) -> Result<Grant, Trouble> {
        let seconds = self.seconds.map(|seconds| seconds.to_string());
        let mut fields = vec![
            ("Action", "AssumeRole"),
            ("RoleArn", self.arn.as_str()),
            ("RoleSessionName", self.session.as_str()),
        ];
        fields.extend(self.external_id.as_deref().map(|id| ("ExternalId", id)));
        fields.extend(seconds.as_deref().map(|seconds| ("DurationSeconds", seconds)));
        let asked = self.sts.ask(&fields, Some((credentials, now))).await;
        asked.map_err(|trouble| trouble.about("the role could not be taken"))
    }
}
