//! Whose token it is, for the bridge's own listener. Storage decides; its answers are remembered for a few seconds, refusals for fewer.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, header};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tandem_chassis::{
    client::Outbound,
    identity::User,
    status::{Code, Fault},
    with_message_limits,
};
use tandem_chat_core::id::UserId;
use tandem_proto::storage::v1::{AuthenticateRequest, user_service_client::UserServiceClient};
use tonic::transport::Channel;

use super::{
    caller::Caller,
    refusal::{Reason, Refusal},
};

/// Time for storage to say.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long an answer counts. A token that was taken back works for so long.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How long a refusal counts, so that a program with a wrong token does not keep storage busy.
const REFUSAL_REMEMBERED: Duration = Duration::from_secs(2);

/// Tokens remembered, and as many that were refused.
const MAX_REMEMBERED: u64 = 20_000;

/// Longest token looked at; a longer one cannot be ours.
const MAX_TOKEN_BYTES: usize = 1024;

/// Its presence means that the caller's own vendor credential is in the usual places.
const GOVERNANCE: HeaderName = HeaderName::from_static("x-coder-ai-governance-token");

/// What caches know a token by.
type Digested = [u8; 32];

/// Looks tokens up.
pub struct Accounts {
    outbound: Outbound,
    users: UserServiceClient<Channel>,
    known: Cache<(Digested, bool), Arc<Caller>>,
    refused: Cache<Digested, ()>,
}

/// Where a request carries its token, in this order; and whether the caller brings an own vendor credential with it.
fn find(headers: &HeaderMap) -> Option<(&str, bool)> {
    let text = |name: &HeaderName| {
        headers
            .get(name)?
            .to_str()
            .ok()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let bearer = || {
        let (scheme, token) = text(&header::AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    };
    if let Some(token) = text(&GOVERNANCE) {
        return Some((token, true));
    }
    let token = bearer()
        .or_else(|| text(&HeaderName::from_static("x-api-key")))
        .or_else(|| text(&HeaderName::from_static("coder-session-token")))?;
    Some((token, false))
}

/// Takes the token away, and whatever else is one of ours: from here on credentials are the vendor's.
pub fn remove_token(headers: &mut HeaderMap) {
    if let Some((token, _)) = find(headers) {
        let token = SecretString::from(token);
        super::headers::remove_ours(headers, token.expose_secret());
    }
}

impl Accounts {
    /// Asks `storage`.
    pub fn new(outbound: Outbound, storage: Channel) -> Self {
        Self {
            outbound,
            users: with_message_limits!(UserServiceClient::new(storage)),
            known: Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(REMEMBERED)
                .build(),
            refused: Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(REFUSAL_REMEMBERED)
                .build(),
        }
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// No token, a bad one; or storage cannot be asked.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        let Some((token, is_byok)) = find(headers) else {
            let text = "Send an API token of this deployment as the API key: Authorization: Bearer …, or X-Api-Key.";
            return Err(Refusal::new(Reason::Unauthenticated, text));
        };
        let digest: Digested = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.known.get(&(digest, is_byok)).await {
            return Ok(known);
        }
        if token.len() > MAX_TOKEN_BYTES || self.refused.contains_key(&digest) {
            return Err(bad_token());
        }
        let asking = self.known.try_get_with((digest, is_byok), self.ask(token, is_byok));
        match asking.await {
            Ok(caller) => Ok(caller),
            Err(fault) if fault.code == Code::Unauthenticated => {
                self.refused.insert(digest, ()).await;
                Err(bad_token())
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "a token could not be looked at");
                let text = "Whose token it is could not be looked up; try again.";
                Err(Refusal::new(Reason::Unavailable, text).after(Duration::from_secs(1)))
            }
        }
    }

    async fn ask(&self, token: &str, is_byok: bool) -> Result<Arc<Caller>, Fault> {
        let token = token.to_owned();
        let request = self.outbound.request(None, DEADLINE, AuthenticateRequest { token });
        let answer = self.users.clone().authenticate(request).await?.into_inner();
        let odd = || Fault::internal("STORAGE_ANSWER", "storage answered with no user");
        let user = answer.user.ok_or_else(odd)?;
        let id: UserId = user.id.parse().map_err(|_| odd())?;
        let organizations = user.organization_ids.iter().map(|id| id.parse());
        Ok(Arc::new(Caller {
            user: id,
            identity: User {
                id: id.uuid(),
                is_admin: user.is_admin,
                organization_ids: organizations.collect::<Result<_, _>>().map_err(|_| odd())?,
            },
            username: user.username,
            credential_id: answer.credential_id,
            is_byok,
        }))
    }
}

fn bad_token() -> Refusal {
    Refusal::new(
        Reason::Unauthenticated,
        "The API token is not valid, or has expired. Make a new one in the settings of this deployment.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&'static str, &str)]) -> Option<(String, bool)> {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        find(&headers).map(|(token, is_byok)| (token.to_owned(), is_byok))
    }

    #[test]
    fn tokens_are_found_in_the_documented_order() {
        let all = [
            ("x-coder-ai-governance-token", "one"),
            ("authorization", "Bearer two"),
            ("x-api-key", "three"),
            ("coder-session-token", "four"),
        ];
        let token = |text: &str, is_byok| Some((text.to_owned(), is_byok));
        assert_eq!(found(&all), token("one", true));
        assert_eq!(found(&all[1..]), token("two", false));
        assert_eq!(found(&all[2..]), token("three", false));
        assert_eq!(found(&all[3..]), token("four", false));
        assert_eq!(found(&[("cookie", "tandem_session=x")]), None, "never cookies");
        assert_eq!(found(&[("authorization", "Basic x"), ("x-api-key", " ")]), None);
    }
}
