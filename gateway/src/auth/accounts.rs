//! Whose token it is, remembered for a few seconds. Storage decides; refusals are not remembered.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use tandem_chassis::{identity::User, status::Fault};
use tandem_proto::storage::v1::{AuthenticateRequest, AuthenticateResponse};
use tokio::sync::watch;
use uuid::Uuid;

use super::token::Token;
use crate::clients::{Answer, Clients, promised};

/// Tokens remembered at once; beyond it the least used are asked for again.
const MAX_REMEMBERED: u64 = 20_000;

/// What storage said of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub user: User,
    pub username: String,
    pub credential_id: String,
    pub is_session: bool,
}

/// Looks tokens up. Cheap to clone; clones share what is remembered.
#[derive(Clone)]
pub struct Accounts {
    clients: Clients,
    remembered: Cache<[u8; 32], Arc<Account>>,
    /// Counts revocations made here, so that open streams are looked after at once.
    revocations: Arc<watch::Sender<u64>>,
}

impl Accounts {
    /// Remembers each answer for `keep`.
    pub fn new(clients: Clients, keep: Duration) -> Self {
        Self {
            clients,
            remembered: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(keep).build(),
            revocations: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The account of `token`, as of a moment ago. Requests that ask for the same token at once share one call.
    ///
    /// # Errors
    /// `Unauthenticated` for a bad, expired or revoked token; `Unavailable` when nobody can say.
    pub async fn get(&self, token: &Token) -> Result<Arc<Account>, Fault> {
        self.remembered
            .try_get_with(token.digest(), self.ask(token))
            .await
            .map_err(|fault: Arc<Fault>| Fault::clone(&fault))
    }

    /// Forgets everything, because some credential or right was taken away through this gateway.
    pub fn forget_all(&self) {
        self.remembered.invalidate_all();
        self.revocations.send_modify(|count| *count += 1);
    }

    /// Changes whenever [`Accounts::forget_all`] was called.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    async fn ask(&self, token: &Token) -> Result<Arc<Account>, Fault> {
        let request = self.clients.ask_as_service(AuthenticateRequest {
            token: token.expose().to_owned(),
        });
        let answer = self.clients.users.clone().authenticate(request).await.answer()?;
        account(answer).map(Arc::new)
    }
}

fn account(answer: AuthenticateResponse) -> Result<Account, Fault> {
    let user = promised(answer.user, "AuthenticateResponse.user")?;
    Ok(Account {
        user: User {
            id: id(&user.id)?,
            is_admin: user.is_admin,
            organization_ids: user
                .organization_ids
                .iter()
                .map(|text| id(text))
                .collect::<Result<_, _>>()?,
        },
        username: user.username,
        credential_id: answer.credential_id,
        is_session: answer.is_session,
    })
}

fn id(text: &str) -> Result<Uuid, Fault> {
    Uuid::parse_str(text).map_err(|error| Fault::internal("CONTRACT_BROKEN", error))
}
