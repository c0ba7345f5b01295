//! `ProviderAdminService`: providers and their credentials, for administrators.
//!
//! Keys come in here and are sealed at once; nothing that leaves holds more of a key than its mask.

mod check;
mod health;
mod listing;
mod rotate;
mod user_keys;

use std::sync::Arc;

use tandem_chassis::{
    clock::Clock,
    idempotency,
    identity::{Caller, ServiceName, User},
    status::Fault,
};
use tandem_chat_core::id::{KeyId, ProviderId, UserId};
use tandem_proto::{
    provider::v1::{
        CreateProviderRequest, CreateProviderResponse, DeleteProviderRequest, DeleteProviderResponse,
        DeleteUserProviderKeyRequest, DeleteUserProviderKeyResponse, DetectLocalProvidersRequest,
        DetectLocalProvidersResponse, GetProviderHealthRequest, GetProviderHealthResponse, GetProviderRequest,
        GetProviderResponse, ListCatalogRequest, ListCatalogResponse, ListProvidersRequest, ListProvidersResponse,
        ListUserProviderKeysRequest, ListUserProviderKeysResponse, LocalProvider, MaskedKey, Provider,
        RotateSealingKeyRequest, RotateSealingKeyResponse, SetUserProviderKeyRequest, SetUserProviderKeyResponse,
        TestProviderRequest, TestProviderResponse, UpdateProviderRequest, UpdateProviderResponse,
        provider_admin_service_server::ProviderAdminService,
    },
    storage::v1 as storage,
};
use tandem_protocols::ApiKey;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use self::check::{Checker, KeyChange};
use crate::{
    catalog::{self, Catalog},
    detect,
    error::Error,
    health::Health,
    outbound::Outbound,
    probe::{self, Report},
    secret::{
        envelope::{self, Row},
        mask,
    },
};

/// Who may administer on a user's behalf.
const CALLERS: [ServiceName; 2] = [ServiceName::Gateway, ServiceName::Cli];

/// The handler.
pub struct Admin {
    catalog: Catalog,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    replica: String,
}

impl Admin {
    /// A handler over `catalog` that tests providers through `outbound`.
    ///
    /// * `replica`: the name of this process, for people.
    pub fn new(
        catalog: Catalog,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
        replica: String,
    ) -> Self {
        Self {
            catalog,
            outbound,
            clock,
            health,
            replica,
        }
    }

    fn checker(&self) -> Checker {
        Checker::new(self.outbound.policy())
    }

    async fn row(&self, user: &User, id_or_name: String) -> Result<storage::Provider, Error> {
        let request = self
            .catalog
            .request(Some(user), storage::GetProviderRequest { id_or_name });
        let response = self.catalog.settings().get_provider(request).await?;
        let row = response.into_inner().provider;
        row.ok_or_else(|| Error::Storage(Fault::internal("STORAGE_ANSWER", "no provider")))
    }

    fn seal(&self, provider: ProviderId, key: &str) -> Result<storage::ProviderKey, Error> {
        let id = KeyId::new(Uuid::now_v7());
        let row = Row {
            provider,
            key: id,
            user: None,
        };
        Ok(storage::ProviderKey {
            id: id.to_string(),
            masked: mask(key),
            sealed: envelope::seal(self.catalog.keyring(), row, key)?,
            created_at: None,
        })
    }

    /// The wanted set for storage: kept keys by id, new ones sealed.
    fn key_set(&self, provider: ProviderId, changes: Vec<KeyChange>) -> Result<storage::ProviderKeySet, Error> {
        let key = |change| match change {
            KeyChange::Keep(id) => Ok(storage::ProviderKey {
                id,
                ..storage::ProviderKey::default()
            }),
            KeyChange::Insert(key) => self.seal(provider, &key),
        };
        let keys = changes.into_iter().map(key).collect::<Result<_, Error>>()?;
        Ok(storage::ProviderKeySet { keys })
    }

    async fn forget(&self, id: ProviderId) {
        self.catalog.forget(id).await;
        self.catalog.forget_models();
    }
}

/// Who calls, and the user whose keys are meant.
fn key_owner<T>(request: &Request<T>, user_id: &str) -> Result<(User, UserId), Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&CALLERS)?;
    let user = caller.user()?.clone();
    let whose: UserId = super::convert::id(user_id, "user_id")?;
    if whose.uuid() == user.id || user.is_admin {
        Ok((user, whose))
    } else {
        Err(Fault::not_found("USER_NOT_FOUND", "There is no such user.").into())
    }
}

fn admin<T>(request: &Request<T>) -> Result<User, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&CALLERS)?;
    caller.admin().cloned()
}

#[tonic::async_trait]
impl ProviderAdminService for Admin {
    async fn list_providers(
        &self,
        request: Request<ListProvidersRequest>,
    ) -> Result<Response<ListProvidersResponse>, Status> {
        let user = admin(&request)?;
        let rows = self.catalog.providers(Some(&user)).await?;
        let providers = rows.into_iter().map(masked).collect();
        Ok(Response::new(ListProvidersResponse { providers }))
    }

    async fn get_provider(
        &self,
        request: Request<GetProviderRequest>,
    ) -> Result<Response<GetProviderResponse>, Status> {
        let user = admin(&request)?;
        let row = self.row(&user, request.into_inner().id_or_name).await?;
        Ok(Response::new(GetProviderResponse {
            provider: Some(masked(row)),
        }))
    }

    async fn create_provider(
        &self,
        request: Request<CreateProviderRequest>,
    ) -> Result<Response<CreateProviderResponse>, Status> {
        let user = admin(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let wanted = self.checker().create(request.into_inner())?;
        let id = ProviderId::new(Uuid::now_v7());
        let keys = wanted
            .api_keys
            .iter()
            .map(|key| self.seal(id, key))
            .collect::<Result<_, _>>()?;
        let provider = storage::Provider {
            id: id.to_string(),
            r#type: wanted.kind.as_str().to_owned(),
            name: wanted.name,
            display_name: wanted.display_name,
            is_enabled: wanted.is_enabled,
            base_url: wanted.base_url,
            keys,
            settings_json: wanted.settings_json,
            key_policy: Some(wanted.policy.into()),
            max_concurrent: wanted.max_concurrent,
            ..storage::Provider::default()
        };
        let mut request = self.catalog.request(
            Some(&user),
            storage::CreateProviderRequest {
                provider: Some(provider),
            },
        );
        if let Some(mark) = mark {
            mark.attach(&mut request);
        }
        let response = self
            .catalog
            .settings()
            .create_provider(request)
            .await
            .map_err(Error::from)?;
        self.forget(id).await;
        let is_replayed = idempotency::is_replayed(&response);
        let row = response.into_inner().provider;
        if !is_replayed {
            tracing::info!(provider_id = %id, r#type = wanted.kind.as_str(), "provider created");
        }
        let provider = row.map(masked);
        Ok(idempotency::answer(CreateProviderResponse { provider }, is_replayed))
    }

    async fn update_provider(
        &self,
        request: Request<UpdateProviderRequest>,
    ) -> Result<Response<UpdateProviderResponse>, Status> {
        let user = admin(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let request = request.into_inner();
        let row = self.row(&user, request.id_or_name.clone()).await?;
        let id: ProviderId = super::convert::id(&row.id, "id")?;
        let change = self.checker().update(request, &row)?;
        let keys = change.keys.map(|changes| self.key_set(id, changes)).transpose()?;
        let mut request = self.catalog.request(
            Some(&user),
            storage::UpdateProviderRequest {
                id: row.id,
                display_name: change.display_name,
                is_enabled: change.is_enabled,
                base_url: change.base_url,
                keys,
                settings_json: change.settings_json,
                sealed_settings: None,
                key_policy: change.policy.map(Into::into),
                max_concurrent: change.max_concurrent,
            },
        );
        if let Some(mark) = mark {
            mark.attach(&mut request);
        }
        let response = self
            .catalog
            .settings()
            .update_provider(request)
            .await
            .map_err(Error::from)?;
        self.forget(id).await;
        tracing::info!(provider_id = %id, "provider changed");
        let is_replayed = idempotency::is_replayed(&response);
        let provider = response.into_inner().provider.map(masked);
        Ok(idempotency::answer(UpdateProviderResponse { provider }, is_replayed))
    }

    async fn delete_provider(
        &self,
        request: Request<DeleteProviderRequest>,
    ) -> Result<Response<DeleteProviderResponse>, Status> {
        let user = admin(&request)?;
        let row = self.row(&user, request.into_inner().id_or_name).await?;
        let id: ProviderId = super::convert::id(&row.id, "id")?;
        let request = self
            .catalog
            .request(Some(&user), storage::DeleteProviderRequest { id: row.id });
        self.catalog
            .settings()
            .delete_provider(request)
            .await
            .map_err(Error::from)?;
        self.forget(id).await;
        tracing::info!(provider_id = %id, "provider deleted");
        Ok(Response::new(DeleteProviderResponse {}))
    }

    async fn test_provider(
        &self,
        request: Request<TestProviderRequest>,
    ) -> Result<Response<TestProviderResponse>, Status> {
        let user = admin(&request)?;
        let TestProviderRequest {
            provider_id,
            r#type,
            base_url,
            api_key,
        } = request.into_inner();
        let given_key = (!api_key.is_empty()).then(|| ApiKey::new(KeyId::new(Uuid::nil()), api_key));
        let report = if provider_id.is_empty() {
            let (kind, base_url) = self.checker().address(&r#type, &base_url)?;
            probe::test(&self.outbound, self.clock.as_ref(), kind, &base_url, given_key.as_ref()).await
        } else {
            // Type and address are the stored ones: a stored key goes nowhere else.
            let row = self.row(&user, provider_id).await?;
            let provider = catalog::Provider::open(row, self.catalog.keyring())?;
            match (given_key.as_ref().or(provider.keys.first()), provider.unreadable) {
                (None, Some(source)) => unreadable(provider.name.clone(), source),
                (key, _) => {
                    probe::test(
                        &self.outbound,
                        self.clock.as_ref(),
                        provider.kind,
                        &provider.base_url,
                        key,
                    )
                    .await
                }
            }
        };
        Ok(Response::new(TestProviderResponse {
            is_ok: report.is_ok,
            message: report.message,
            models: report.models,
            latency: prost_types::Duration::try_from(report.latency).ok(),
        }))
    }

    async fn detect_local_providers(
        &self,
        request: Request<DetectLocalProvidersRequest>,
    ) -> Result<Response<DetectLocalProvidersResponse>, Status> {
        admin(&request)?;
        let found = detect::local(&self.outbound, &detect::TARGETS).await;
        let providers = found
            .into_iter()
            .map(|found| LocalProvider {
                kind: found.kind.to_owned(),
                base_url: found.base_url,
                models: found.models,
            })
            .collect();
        Ok(Response::new(DetectLocalProvidersResponse { providers }))
    }

    async fn list_catalog(
        &self,
        request: Request<ListCatalogRequest>,
    ) -> Result<Response<ListCatalogResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let providers = self.list(&user).await?;
        Ok(Response::new(ListCatalogResponse { providers }))
    }

    async fn get_provider_health(
        &self,
        request: Request<GetProviderHealthRequest>,
    ) -> Result<Response<GetProviderHealthResponse>, Status> {
        let user = admin(&request)?;
        let rows = self.catalog.providers(Some(&user)).await?;
        let providers = rows.iter().map(|row| self.health_of(row)).collect::<Result<_, _>>()?;
        Ok(Response::new(GetProviderHealthResponse {
            providers,
            replica: self.replica.clone(),
        }))
    }

    async fn list_user_provider_keys(
        &self,
        request: Request<ListUserProviderKeysRequest>,
    ) -> Result<Response<ListUserProviderKeysResponse>, Status> {
        let (user, whose) = key_owner(&request, &request.get_ref().user_id)?;
        let keys = self.user_keys(&user, whose).await?;
        Ok(Response::new(ListUserProviderKeysResponse { keys }))
    }

    async fn set_user_provider_key(
        &self,
        request: Request<SetUserProviderKeyRequest>,
    ) -> Result<Response<SetUserProviderKeyResponse>, Status> {
        let (user, whose) = key_owner(&request, &request.get_ref().user_id)?;
        let SetUserProviderKeyRequest {
            provider_id_or_name,
            api_key,
            ..
        } = request.into_inner();
        let key = self.set_user_key(&user, whose, provider_id_or_name, &api_key).await?;
        Ok(Response::new(SetUserProviderKeyResponse { key: Some(key) }))
    }

    async fn delete_user_provider_key(
        &self,
        request: Request<DeleteUserProviderKeyRequest>,
    ) -> Result<Response<DeleteUserProviderKeyResponse>, Status> {
        let (user, whose) = key_owner(&request, &request.get_ref().user_id)?;
        let provider = request.into_inner().provider_id_or_name;
        self.delete_user_key(&user, whose, provider).await?;
        Ok(Response::new(DeleteUserProviderKeyResponse {}))
    }

    async fn rotate_sealing_key(
        &self,
        request: Request<RotateSealingKeyRequest>,
    ) -> Result<Response<RotateSealingKeyResponse>, Status> {
        let user = admin(&request)?;
        Ok(Response::new(self.rotate(&user).await?))
    }
}

fn unreadable(provider: String, source: envelope::Error) -> Report {
    Report {
        message: Error::KeysUnreadable { provider, source }.outside().message,
        ..Report::default()
    }
}

/// A row as people see it.
fn masked(row: storage::Provider) -> Provider {
    let key = |key: storage::ProviderKey| MaskedKey {
        id: key.id,
        masked: key.masked,
        created_at: key.created_at,
    };
    Provider {
        id: row.id,
        r#type: row.r#type,
        name: row.name,
        display_name: row.display_name,
        is_enabled: row.is_enabled,
        base_url: row.base_url,
        keys: row.keys.into_iter().map(key).collect(),
        settings_json: row.settings_json,
        key_policy: row.key_policy,
        max_concurrent: row.max_concurrent,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
