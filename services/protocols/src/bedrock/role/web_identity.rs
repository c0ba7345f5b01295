//! A role that is taken with a token which somebody else has signed: how clusters give their pods roles (IRSA), and federated machines
//! theirs. AWS's token service ([`super::sts`]) gives credentials for it.
//!
//! Source: AWS, "AssumeRoleWithWebIdentity" (request, bounds of tokens).

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::{
    Grant, Trouble,
    endpoint::read_token,
    services::Services,
    sts::{Sts, session},
};

/// Who asks for which role, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebIdentity {
    pub(super) sts: Sts,
    pub(super) role: String,
    pub(super) session: String,
    /// Read anew each time, since it changes.
    pub(super) token_file: PathBuf,
}

impl WebIdentity {
    /// What the environment says; `None` if it names no token.
    ///
    /// * `variable`: its value by name; blank counts as not set.
    ///
    /// # Errors
    /// Words on why it cannot be asked for.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Result<Self, String>> {
        let token_file = PathBuf::from(variable("AWS_WEB_IDENTITY_TOKEN_FILE")?);
        let read = || -> Result<Self, String> {
            let role = variable("AWS_ROLE_ARN");
            let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
            Ok(Self {
                sts: Services::read(&variable).sts(region.as_deref())?,
                role: role.ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN")?,
                session: session("AWS_ROLE_SESSION_NAME", variable("AWS_ROLE_SESSION_NAME"))?,
                token_file,
            })
        };
        Some(read())
    }

    /// Asks.
    ///
    /// # Errors
    /// Words on what went wrong, without secrets.
    pub(super) async fn ask(&self) -> Result<Grant, Trouble> {
        let token = read_token(&self.token_file)
            .await
            .map_err(|trouble| format!("the web identity token {trouble}"))?;
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", self.role.as_str()),
            ("RoleSessionName", self.session.as_str()),
            ("WebIdentityToken", token.expose_secret()),
        ];
        self.sts.ask(&fields, None).await
    }
}

#[cfg(test)]
mod tests;
