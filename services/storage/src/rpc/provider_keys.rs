//! `ProviderKeyService`: users' own keys of providers, and the envelopes of all keys. Provider-gateway alone may call it.

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::provider_key_service_server::ProviderKeyService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::{Pool, providers, user_keys, users};
use crate::error::Error;

/// Envelopes read or replaced at once.
const MAX_SEALED: i64 = 500;

/// Serves [`ProviderKeyService`].
pub(crate) struct ProviderKeys {
    pool: Pool,
}

impl ProviderKeys {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn list(&self, user: Uuid) -> Result<ListUserProviderKeysResponse, Error> {
        let mut conn = self.pool.acquire().await?;
        let rows = user_keys::list(&mut conn, user).await?;
        Ok(ListUserProviderKeysResponse {
            keys: rows.iter().map(|row| row.to_wire(false)).collect(),
        })
    }

    async fn set(&self, row: user_keys::Row) -> Result<(), Error> {
        let mut tx = self.pool.begin().await?;
        // Nobody deletes the provider meanwhile: that would leave a key behind.
        providers::lock(&mut tx, row.provider_id).await?;
        if providers::find(&mut tx, Some(row.provider_id), "").await?.is_none() {
            return Err(Fault::not_found("PROVIDER_NOT_FOUND", "There is no such provider.").into());
        }
        if users::lock(&mut tx, row.user_id).await?.is_none() {
            return Err(Fault::not_found("USER_NOT_FOUND", "There is no such user.").into());
        }
        user_keys::set(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn replace(&self, changes: &[SealedChange]) -> Result<i32, Error> {
        let mut tx = self.pool.begin().await?;
        let mut replaced = 0;
        for change in changes {
            let key = change.key.as_ref();
            let key = key.ok_or_else(|| convert::one("changes.key", "must be set"))?;
            let was = user_keys::SealedRow {
                id: convert::id(&key.id, "changes.key.id")?,
                provider_id: convert::id(&key.provider_id, "changes.key.provider_id")?,
                user_id: convert::optional_id(&key.user_id, "changes.key.user_id")?,
                sealed: key.sealed.clone(),
            };
            replaced += i32::from(user_keys::replace(&mut tx, &was, &change.sealed).await?);
        }
        tx.commit().await?;
        Ok(replaced)
    }
}

#[tonic::async_trait]
impl ProviderKeyService for ProviderKeys {
    async fn list_user_provider_keys(
        &self,
        request: Request<ListUserProviderKeysRequest>,
    ) -> Result<Response<ListUserProviderKeysResponse>, Status> {
        let user = whose(&request, &request.get_ref().user_id)?;
        Ok(Response::new(self.list(user).await?))
    }

    async fn find_user_provider_key(
        &self,
        request: Request<FindUserProviderKeyRequest>,
    ) -> Result<Response<FindUserProviderKeyResponse>, Status> {
        // In its own name: completions go on when their owner is away.
        provider_gateway(&request)?;
        let message = request.into_inner();
        let find = async {
            let user = convert::id(&message.user_id, "user_id")?;
            let provider = convert::id(&message.provider_id, "provider_id")?;
            let row = user_keys::find(&mut *self.pool.acquire().await?, user, provider).await?;
            Ok::<_, Error>(row.map(|row| row.to_wire(true)))
        };
        Ok(Response::new(FindUserProviderKeyResponse { key: find.await? }))
    }

    async fn set_user_provider_key(
        &self,
        request: Request<SetUserProviderKeyRequest>,
    ) -> Result<Response<SetUserProviderKeyResponse>, Status> {
        let key = request.get_ref().key.clone();
        let key = key.ok_or_else(|| convert::one("key", "must be set"))?;
        let row = user_keys::Row {
            id: convert::id(&key.id, "key.id")?,
            user_id: whose(&request, &key.user_id)?,
            provider_id: convert::id(&key.provider_id, "key.provider_id")?,
            masked: key.masked,
            sealed: key.sealed,
        };
        self.set(row).await?;
        Ok(Response::new(SetUserProviderKeyResponse {}))
    }

    async fn delete_user_provider_key(
        &self,
        request: Request<DeleteUserProviderKeyRequest>,
    ) -> Result<Response<DeleteUserProviderKeyResponse>, Status> {
        let user = whose(&request, &request.get_ref().user_id)?;
        let delete = async {
            let provider = convert::id(&request.get_ref().provider_id, "provider_id")?;
            user_keys::delete(&mut *self.pool.acquire().await?, user, provider).await?;
            Ok::<_, Error>(())
        };
        delete.await?;
        Ok(Response::new(DeleteUserProviderKeyResponse {}))
    }

    async fn list_sealed(&self, request: Request<ListSealedRequest>) -> Result<Response<ListSealedResponse>, Status> {
        administrator(&request)?;
        let message = request.into_inner();
        let list = async {
            let after = convert::optional_id(&message.after_id, "after_id")?;
            let limit = i64::from(message.limit);
            if !(1..=MAX_SEALED).contains(&limit) {
                return Err(convert::one("limit", "must be 1 to 500"));
            }
            let rows = user_keys::sealed(&mut *self.pool.acquire().await?, after, limit).await?;
            Ok::<_, Error>(rows.iter().map(user_keys::SealedRow::to_wire).collect())
        };
        Ok(Response::new(ListSealedResponse { keys: list.await? }))
    }

    async fn replace_sealed(
        &self,
        request: Request<ReplaceSealedRequest>,
    ) -> Result<Response<ReplaceSealedResponse>, Status> {
        administrator(&request)?;
        let changes = request.into_inner().changes;
        if i64::try_from(changes.len()).is_ok_and(|count| count > MAX_SEALED) {
            return Err(convert::one("changes", "must be at most 500").into());
        }
        let replaced = self.replace(&changes).await?;
        Ok(Response::new(ReplaceSealedResponse { replaced }))
    }
}

fn provider_gateway<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ProviderGateway])?;
    Ok(caller)
}

fn administrator<T>(request: &Request<T>) -> Result<(), Status> {
    provider_gateway(request)?.admin().map(|_| ())
}

/// The user whose keys are meant, if the caller may know of them.
fn whose<T>(request: &Request<T>, user_id: &str) -> Result<Uuid, Status> {
    let caller = provider_gateway(request)?.user()?;
    let user = convert::id(user_id, "user_id")?;
    if caller.id == user || caller.is_admin {
        Ok(user)
    } else {
        Err(Fault::not_found("USER_NOT_FOUND", "There is no such user.").into())
    }
}
