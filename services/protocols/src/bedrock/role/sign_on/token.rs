//! The file in which AWS's tools keep what somebody has signed on with. They share it, so what is unknown in it stays as it is.
//!
//! Source: AWS, "IAM Identity Center credential provider" (`~/.aws/sso/cache`, named by the SHA-1 of a session's name or address).

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::bedrock::sign::hex;

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Longest time a token is taken to hold; AWS's hold for some days at most.
const MAX_LIFETIME: Duration = Duration::days(90);

/// A token as it is kept, with what renews it. Not printable.
pub(super) struct Cached {
    path: PathBuf,
    fields: Map<String, Value>,
    expires_at: OffsetDateTime,
}

/// A newer token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Renewed {
    access_token: String,
    /// Seconds.
    expires_in: i64,
    /// What renews it, if that changes.
    refresh_token: Option<String>,
}

impl Renewed {
    /// Out of an answer.
    pub(super) fn read(body: &str) -> Option<Self> {
        let renewed: Self = serde_json::from_str(body).ok()?;
        (!renewed.access_token.is_empty()).then_some(renewed)
    }
}

impl Cached {
    /// Reads what is kept for a session.
    ///
    /// # Errors
    /// Why there is none, as the rest of a sentence on the sign-on.
    pub(super) async fn read(folder: &Path, session: &str) -> Result<Self, &'static str> {
        let path = folder.join(format!("{}.json", hex(&Sha1::digest(session.as_bytes()))));
        let file = tokio::fs::File::open(&path)
            .await
            .map_err(|_| "is not on this machine")?;
        let mut text = Vec::new();
        let reading = file.take(MAX_FILE_BYTES).read_to_end(&mut text).await;
        reading.map_err(|_| "cannot be read")?;
        let fields: Map<String, Value> = serde_json::from_slice(&text).map_err(|_| "cannot be understood")?;
        let of = |name| text_of(&fields, name);
        let expires_at = of("accessToken").and(of("expiresAt")).and_then(moment);
        Ok(Self {
            path,
            expires_at: expires_at.ok_or("cannot be understood")?,
            fields,
        })
    }

    /// Until when the token holds.
    pub(super) fn expires_at(&self) -> OffsetDateTime {
        self.expires_at
    }

    /// The token.
    pub(super) fn token(&self) -> SecretString {
        self.text("accessToken").unwrap_or_default().into()
    }

    /// What to ask for a newer token; `None` if nothing here can renew it.
    pub(super) fn question(&self, now: OffsetDateTime) -> Option<Value> {
        let is_registered = |until: &str| moment(until).is_some_and(|until| until > now);
        if self
            .text("registrationExpiresAt")
            .is_some_and(|until| !is_registered(until))
        {
            return None;
        }
        Some(json!({
            "clientId": self.text("clientId")?,
            "clientSecret": self.text("clientSecret")?,
            "grantType": "refresh_token",
            "refreshToken": self.text("refreshToken")?,
        }))
    }

    /// Takes a newer token and keeps it, whether or not anybody waits for that.
    ///
    /// # Errors
    /// It could not be written. It is taken all the same.
    pub(super) async fn renew(&mut self, renewed: Renewed, now: OffsetDateTime) -> std::io::Result<()> {
        let holds = Duration::seconds(renewed.expires_in).clamp(Duration::ZERO, MAX_LIFETIME);
        self.expires_at = (now + holds).to_offset(UtcOffset::UTC);
        let written = self
            .expires_at
            .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"))
            .unwrap_or_default();
        let refresh_token = renewed.refresh_token.map(|token| ("refreshToken", token));
        let changed = [("accessToken", renewed.access_token), ("expiresAt", written)];
        for (name, value) in changed.into_iter().chain(refresh_token) {
            self.fields.insert(name.to_owned(), value.into());
        }
        let text = serde_json::to_vec(&self.fields)?;
        let path = self.path.clone();
        let writing = tokio::task::spawn_blocking(move || replace(&path, &text));
        writing.await.map_err(std::io::Error::other)?
    }

    fn text(&self, name: &str) -> Option<&str> {
        text_of(&self.fields, name)
    }
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A time as one of AWS's tools writes it. Older ones end it with `UTC`.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let text = text
        .strip_suffix("UTC")
        .map_or_else(|| text.to_owned(), |start| format!("{start}Z"));
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

/// Puts a text in the place of a file, for its owner's eyes only. Whoever reads meanwhile sees the one or the other.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // Behind a link it is the file that others share.
    let path = path.canonicalize()?;
    let beside = path.with_extension(format!("{}.tmp", Uuid::new_v4()));
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    };
    write().inspect_err(|_| {
        // What is left of it is of no use to anybody; nor is that it could not be removed.
        let _ = std::fs::remove_file(&beside);
    })
}
