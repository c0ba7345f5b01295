//! AWS's token service (STS): how it is asked, and what it answers. Which question it is asked is the caller's.
//!
//! Sources: AWS, "AssumeRole", "AssumeRoleWithWebIdentity" (answers, bounds of names) and "AWS STS Regional endpoints".

use http::{HeaderMap, HeaderValue, header};
use reqwest::StatusCode;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::{Url, form_urlencoded};

use super::{
    super::sign::{self, Credentials, Scope},
    Grant, Trouble,
    endpoint::sent,
    services::client,
};

/// The version of the service's words.
const VERSION: &str = "2011-06-15";

/// What this service calls itself unless somebody says otherwise.
const SESSION: &str = "tandem";

/// Longest name of a session that AWS takes.
const MAX_SESSION_CHARS: usize = 64;

/// What it calls a question that it will never answer, such as one for more time than the role allows.
const NEVER: &str = "ValidationError";

/// Longest name of an error that is repeated.
const MAX_CODE_CHARS: usize = 64;

/// Where the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sts {
    url: Url,
    /// What signatures hold for.
    region: String,
}

impl Sts {
    pub(super) fn new(url: Url, region: &str) -> Self {
        Self {
            url,
            region: region.to_owned(),
        }
    }

    /// Its address.
    #[cfg(test)]
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Asks.
    ///
    /// * `fields`: of the question, without its version.
    /// * `signer`: whose signature the question carries, and when; without one something in it is the proof.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets.
    pub(super) async fn ask(
        &self,
        fields: &[(&str, &str)],
        signer: Option<(&Credentials, OffsetDateTime)>,
    ) -> Result<Grant, Trouble> {
        // In the body, not in the address, so that no log of addresses has a token.
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Version", VERSION)
            .extend_pairs(fields)
            .finish();
        let plain = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, plain),
            (header::ACCEPT, HeaderValue::from_static("application/xml")),
        ]);
        if let Some((credentials, now)) = signer {
            let scope = Scope {
                region: &self.region,
                service: "sts",
                now,
            };
            sign::sign("POST", &self.url, &mut headers, form.as_bytes(), credentials, &scope)
                .map_err(|_| "the credentials to ask with have characters that cannot be sent".to_owned())?;
        }
        let request = client()?.post(self.url.clone()).headers(headers).body(form);
        match sent(request)
            .await
            .map_err(|trouble| format!("AWS's token service: {trouble}"))?
        {
            (StatusCode::OK, body) => Ok(granted(&body)?),
            (status, body) => Err(match code(&body) {
                Some(NEVER) => Trouble::Lasting(format!(
                    "AWS's token service answered {status} ({NEVER}); correct the role's name, or how long it is asked for"
                )),
                Some(code) => Trouble::Passing(format!("AWS's token service answered {status} ({code})")),
                None => Trouble::Passing(format!("AWS's token service answered {status}")),
            }),
        }
    }
}

/// What a session is called.
///
/// * `field`: where the name stands, for the words.
///
/// # Errors
/// A name that AWS does not take.
pub(super) fn session(field: &str, name: Option<String>) -> Result<String, String> {
    let name = name.unwrap_or_else(|| SESSION.to_owned());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    match (2..=MAX_SESSION_CHARS).contains(&name.len()) && name.bytes().all(is_plain) {
        true => Ok(name),
        false => Err(format!("{field} is no name that AWS takes")),
    }
}

/// Credentials out of an answer. Nothing of it is repeated in words.
fn granted(body: &str) -> Result<Grant, String> {
    let unreadable = || "the answer of AWS's token service has no credentials".to_owned();
    let of = |name| element(element(body, "Credentials")?, name).filter(|text| !text.is_empty());
    let credentials = of("AccessKeyId").zip(of("SecretAccessKey")).zip(of("SessionToken"));
    let ((access_key_id, secret), session_token) = credentials.ok_or_else(unreadable)?;
    let expires_at = of("Expiration").ok_or_else(unreadable)?;
    Ok(Grant {
        credentials: Credentials {
            access_key_id: access_key_id.to_owned(),
            secret: secret.into(),
            session_token: Some(session_token.into()),
        },
        region: None,
        expires_at: OffsetDateTime::parse(expires_at, &Rfc3339).map_err(|_| unreadable())?,
    })
}

/// The name of an error.
fn code(body: &str) -> Option<&str> {
    let code = element(element(body, "Error")?, "Code")?;
    let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (is_plain && (1..=MAX_CODE_CHARS).contains(&code.len())).then_some(code)
}

/// What stands in the first element of that name. What is looked for here has neither attributes nor anything to unescape.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = behind.split_once(&format!("</{name}>"))?;
    Some(inside.trim())
}
