//! `SettingsService`: providers, models, settings.

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::settings_service_server::SettingsService;
use tandem_proto::storage::v1::*;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

mod fallbacks;

use super::convert;
use crate::db::{Pool, models, providers, settings, spend, sqlstate, user_keys};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, respond};

const MAX_SETTING_BYTES: usize = 256 * 1024;
const MAX_KEY_BYTES: usize = 64;

/// Settings listed at once.
const MAX_LISTED: i64 = 1_000;

const MAX_MODEL_BYTES: usize = 256;

/// Serves [`SettingsService`].
pub(crate) struct Settings {
    pool: Pool,
}

impl Settings {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn create(&self, attempt: Option<&Attempt>, provider: Provider) -> Result<CreateProviderResponse, Error> {
        let mut row = providers::Row {
            id: convert::id(&provider.id, "provider.id")?,
            r#type: provider.r#type,
            name: provider.name,
            display_name: provider.display_name,
            is_enabled: provider.is_enabled,
            base_url: provider.base_url,
            settings: json(&provider.settings_json, "provider.settings")?,
            sealed_settings: Some(provider.sealed_settings).filter(|sealed| !sealed.is_empty()),
            uses_central_keys: true,
            allows_user_keys: false,
            allows_central_fallback: false,
            max_concurrent: provider.max_concurrent,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        if let Some(policy) = provider.key_policy {
            row.set_key_policy(policy);
        }
        check_concurrent(row.max_concurrent)?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        providers::insert(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &row.name))?;
        for key in &provider.keys {
            let id = convert::id(&key.id, "provider.keys.id")?;
            providers::insert_key(&mut tx, row.id, id, &key.masked, &key.sealed).await?;
        }
        let stored = stored_provider(&mut tx, &row.id.to_string(), true).await?;
        let answer = |provider| CreateProviderResponse {
            provider: Some(provider),
        };
        tx.answer(&answer(without_ciphertext(stored.clone()))).await?;
        Ok(answer(stored))
    }

    async fn update(
        &self,
        attempt: Option<&Attempt>,
        request: UpdateProviderRequest,
    ) -> Result<UpdateProviderResponse, Error> {
        let id = convert::id(&request.id, "id")?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        providers::lock(&mut tx, id).await?;
        let mut row = providers::find(&mut tx, Some(id), "")
            .await?
            .ok_or_else(provider_not_found)?;
        if let Some(display_name) = request.display_name {
            row.display_name = display_name;
        }
        if let Some(is_enabled) = request.is_enabled {
            row.is_enabled = is_enabled;
        }
        if let Some(base_url) = request.base_url {
            // Users have entered their keys for the server there was, and nobody asked them whether another one may have them.
            if origin(&base_url) != origin(&row.base_url) {
                user_keys::delete_all(&mut tx, id).await?;
            }
            row.base_url = base_url;
        }
        if let Some(text) = &request.settings_json {
            row.settings = json(text, "settings")?;
        }
        if let Some(sealed) = request.sealed_settings {
            row.sealed_settings = Some(sealed).filter(|sealed| !sealed.is_empty());
        }
        if let Some(policy) = request.key_policy {
            row.set_key_policy(policy);
        }
        row.max_concurrent = request.max_concurrent.unwrap_or(row.max_concurrent);
        check_concurrent(row.max_concurrent)?;
        providers::update(&mut tx, &row).await?;
        if let Some(set) = request.keys {
            let ids = set.keys.iter().map(|key| convert::id(&key.id, "keys.id"));
            let ids: Vec<Uuid> = ids.collect::<Result<_, _>>()?;
            providers::keep_keys(&mut tx, id, &ids).await?;
            for (key, key_id) in set.keys.iter().zip(&ids).filter(|(key, _)| !key.sealed.is_empty()) {
                providers::insert_key(&mut tx, id, *key_id, &key.masked, &key.sealed).await?;
            }
            providers::order_keys(&mut tx, id, &ids).await?;
        }
        let stored = stored_provider(&mut tx, &id.to_string(), true).await?;
        let answer = |provider| UpdateProviderResponse {
            provider: Some(provider),
        };
        tx.answer(&answer(without_ciphertext(stored.clone()))).await?;
        Ok(answer(stored))
    }

    async fn create_model(
        &self,
        attempt: Option<&Attempt>,
        config: tandem_proto::common::v1::ModelConfig,
    ) -> Result<CreateModelConfigResponse, Error> {
        let id = Uuid::now_v7();
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        models::lock(&mut tx).await?;
        let is_first = models::find_default(&mut tx).await?.is_none();
        let row = models::Row {
            id,
            provider_id: convert::id(&config.provider_id, "ai_provider_id")?,
            provider_type: String::new(),
            model: config.model.trim().to_owned(),
            display_name: config.display_name.trim().to_owned(),
            is_enabled: config.is_enabled,
            is_default: config.is_default || is_first,
            context_limit: config.context_limit,
            compression_threshold: config.compression_threshold,
            call_config: json(&config.call_config_json, "model_config")?,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            is_deleted: false,
            is_provider_enabled: true,
        };
        check_model(&mut tx, &row).await?;
        fallbacks::check(&mut tx, &row).await?;
        models::insert(&mut tx, &row).await?;
        let stored = models::find(&mut tx, id).await?.ok_or_else(model_not_found)?;
        let answer = CreateModelConfigResponse {
            model_config: Some(stored.to_wire()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn update_model(
        &self,
        attempt: Option<&Attempt>,
        request: UpdateModelConfigRequest,
    ) -> Result<UpdateModelConfigResponse, Error> {
        let id = convert::id(&request.id, "id")?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        models::lock(&mut tx).await?;
        let mut row = models::find(&mut tx, id)
            .await?
            .filter(|row| !row.is_deleted)
            .ok_or_else(model_not_found)?;
        if let Some(provider) = &request.provider_id {
            row.provider_id = convert::id(provider, "ai_provider_id")?;
        }
        // Blank text keeps what is there.
        if let Some(model) = request.model.filter(|model| !model.trim().is_empty()) {
            model.trim().clone_into(&mut row.model);
        }
        if let Some(name) = request.display_name.filter(|name| !name.trim().is_empty()) {
            name.trim().clone_into(&mut row.display_name);
        }
        row.is_enabled = request.is_enabled.unwrap_or(row.is_enabled);
        row.is_default = request.is_default.unwrap_or(row.is_default);
        row.context_limit = request.context_limit.unwrap_or(row.context_limit);
        row.compression_threshold = request.compression_threshold.unwrap_or(row.compression_threshold);
        if let Some(text) = &request.call_config_json {
            row.call_config = json(text, "model_config")?;
            fallbacks::check(&mut tx, &row).await?;
        }
        if request.provider_id.is_some() {
            check_model(&mut tx, &row).await?;
        } else {
            check_numbers(&row)?;
        }
        models::update(&mut tx, &row).await?;
        models::ensure_default(&mut tx, id).await?;
        let stored = models::find(&mut tx, id).await?.ok_or_else(model_not_found)?;
        let answer = UpdateModelConfigResponse {
            model_config: Some(stored.to_wire()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn set(&self, user: Uuid, is_admin: bool, request: SetSettingRequest) -> Result<(), Error> {
        check_key(&request.key)?;
        if request.value_json.len() > MAX_SETTING_BYTES {
            return Err(convert::one("value", "must have at most 256 KiB"));
        }
        let value = json(&request.value_json, "value")?;
        let mut conn = self.pool.acquire().await?;
        match request.scope() {
            SettingScope::User => settings::set_user(&mut conn, user, &request.key, value).await?,
            SettingScope::Deployment if is_admin => settings::set_deployment(&mut conn, &request.key, value).await?,
            SettingScope::Deployment => {
                return Err(Fault::forbidden("ADMIN_ONLY", "Only administrators may change this setting.").into());
            }
            SettingScope::Unspecified => return Err(convert::one("scope", "must be set")),
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl SettingsService for Settings {
    async fn create_provider(
        &self,
        request: Request<CreateProviderRequest>,
    ) -> Result<Response<CreateProviderResponse>, Status> {
        let attempt = Attempt::of(&request, sealer(&request)?, "create_provider")?;
        let provider = request
            .into_inner()
            .provider
            .ok_or_else(|| convert::one("provider", "must be set"))?;
        respond(self.create(attempt.as_ref(), provider).await)
    }

    async fn get_provider(
        &self,
        request: Request<GetProviderRequest>,
    ) -> Result<Response<GetProviderResponse>, Status> {
        let with_sealed = is_provider_gateway(Caller::of(&request)?);
        let get = async {
            let mut conn = self.pool.acquire().await?;
            stored_provider(&mut conn, &request.into_inner().id_or_name, with_sealed).await
        };
        Ok(Response::new(GetProviderResponse {
            provider: Some(get.await?),
        }))
    }

    async fn list_providers(
        &self,
        request: Request<ListProvidersRequest>,
    ) -> Result<Response<ListProvidersResponse>, Status> {
        let with_sealed = is_provider_gateway(Caller::of(&request)?);
        let list = async {
            let mut conn = self.pool.acquire().await?;
            let rows = providers::list(&mut conn).await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            let keys = providers::keys(&mut conn, &ids).await?;
            Ok::<_, Error>(rows.iter().map(|row| row.to_wire(&keys, with_sealed)).collect())
        };
        Ok(Response::new(ListProvidersResponse { providers: list.await? }))
    }

    async fn update_provider(
        &self,
        request: Request<UpdateProviderRequest>,
    ) -> Result<Response<UpdateProviderResponse>, Status> {
        let attempt = Attempt::of(&request, sealer(&request)?, "update_provider")?;
        respond(self.update(attempt.as_ref(), request.into_inner()).await)
    }

    async fn delete_provider(
        &self,
        request: Request<DeleteProviderRequest>,
    ) -> Result<Response<DeleteProviderResponse>, Status> {
        sealer(&request)?;
        let id = convert::id(&request.into_inner().id, "id")?;
        let delete = async {
            let mut tx = self.pool.begin().await?;
            models::lock(&mut tx).await?;
            providers::lock(&mut tx, id).await?;
            providers::find(&mut tx, Some(id), "")
                .await?
                .ok_or_else(provider_not_found)?;
            providers::delete(&mut tx, id).await?;
            models::ensure_default(&mut tx, Uuid::nil()).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        };
        delete.await?;
        Ok(Response::new(DeleteProviderResponse {}))
    }

    async fn create_model_config(
        &self,
        request: Request<CreateModelConfigRequest>,
    ) -> Result<Response<CreateModelConfigResponse>, Status> {
        let caller = Caller::of(&request)?.admin()?.id;
        let attempt = Attempt::of(&request, caller, "create_model_config")?;
        let config = request
            .into_inner()
            .model_config
            .ok_or_else(|| convert::one("model_config", "must be set"))?;
        respond(self.create_model(attempt.as_ref(), config).await)
    }

    async fn get_model_config(
        &self,
        request: Request<GetModelConfigRequest>,
    ) -> Result<Response<GetModelConfigResponse>, Status> {
        let is_provider_gateway = is_provider_gateway(Caller::of(&request)?);
        let id = request.into_inner().id;
        let get = async {
            let mut conn = self.pool.acquire().await?;
            let row = match convert::optional_id(&id, "id")? {
                Some(id) => models::find(&mut conn, id).await?,
                None => models::find_default(&mut conn).await?,
            };
            let row = row.ok_or_else(model_not_found)?;
            // Only provider-gateway goes by it, and remembers it for a while.
            let is_spend_limited = is_provider_gateway && spend::is_limited(&mut conn).await?;
            Ok::<_, Error>(GetModelConfigResponse {
                model_config: Some(row.to_wire()),
                is_spend_limited,
            })
        };
        Ok(Response::new(get.await?))
    }

    async fn list_model_configs(
        &self,
        request: Request<ListModelConfigsRequest>,
    ) -> Result<Response<ListModelConfigsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let sees_all = caller.user.as_ref().is_none_or(|user| user.is_admin);
        let list = async { Ok::<_, Error>(models::list(&mut *self.pool.acquire().await?).await?) };
        let rows = list.await?;
        let visible = rows
            .iter()
            .filter(|row| sees_all || (row.is_enabled && row.is_provider_enabled));
        let model_configs = visible.map(models::Row::to_wire).collect();
        Ok(Response::new(ListModelConfigsResponse { model_configs }))
    }

    async fn update_model_config(
        &self,
        request: Request<UpdateModelConfigRequest>,
    ) -> Result<Response<UpdateModelConfigResponse>, Status> {
        let caller = Caller::of(&request)?.admin()?.id;
        let attempt = Attempt::of(&request, caller, "update_model_config")?;
        respond(self.update_model(attempt.as_ref(), request.into_inner()).await)
    }

    async fn delete_model_config(
        &self,
        request: Request<DeleteModelConfigRequest>,
    ) -> Result<Response<DeleteModelConfigResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let id = convert::id(&request.into_inner().id, "id")?;
        let delete = async {
            let mut tx = self.pool.begin().await?;
            models::lock(&mut tx).await?;
            models::find(&mut tx, id)
                .await?
                .filter(|row| !row.is_deleted)
                .ok_or_else(model_not_found)?;
            models::delete(&mut tx, id).await?;
            models::ensure_default(&mut tx, id).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        };
        delete.await?;
        Ok(Response::new(DeleteModelConfigResponse {}))
    }

    async fn get_setting(&self, request: Request<GetSettingRequest>) -> Result<Response<GetSettingResponse>, Status> {
        let user = Caller::of(&request)?.user()?.id;
        let message = request.into_inner();
        let get = async {
            check_key(&message.key)?;
            let mut conn = self.pool.acquire().await?;
            match message.scope() {
                SettingScope::User => Ok(settings::user(&mut conn, user, &message.key).await?),
                SettingScope::Deployment => Ok(settings::deployment(&mut conn, &message.key).await?),
                SettingScope::Unspecified => Err(convert::one("scope", "must be set")),
            }
        };
        let value_json = get.await?.map(|value| value.to_string()).unwrap_or_default();
        Ok(Response::new(GetSettingResponse { value_json }))
    }

    async fn list_settings(
        &self,
        request: Request<ListSettingsRequest>,
    ) -> Result<Response<ListSettingsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.id;
        let message = request.into_inner();
        let list = async {
            check_key(&message.key_prefix)?;
            let owner = match message.scope() {
                SettingScope::User => Some(user),
                SettingScope::Deployment => None,
                SettingScope::Unspecified => return Err(convert::one("scope", "must be set")),
            };
            let mut conn = self.pool.acquire().await?;
            Ok(settings::list(&mut conn, owner, &message.key_prefix, MAX_LISTED).await?)
        };
        let settings = list.await?.into_iter().map(|(key, value)| Setting {
            key,
            value_json: value.to_string(),
        });
        Ok(Response::new(ListSettingsResponse {
            settings: settings.collect(),
        }))
    }

    async fn set_setting(&self, request: Request<SetSettingRequest>) -> Result<Response<SetSettingResponse>, Status> {
        let user = Caller::of(&request)?.user()?;
        let (id, is_admin) = (user.id, user.is_admin);
        self.set(id, is_admin, request.into_inner()).await?;
        Ok(Response::new(SetSettingResponse {}))
    }
}

/// Keys are sealed and written by provider-gateway, for administrators.
fn sealer<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ProviderGateway])?;
    Ok(caller.admin()?.id)
}

fn is_provider_gateway(caller: &Caller) -> bool {
    caller.service == ServiceName::ProviderGateway
}

async fn stored_provider(
    conn: &mut sqlx::PgConnection,
    id_or_name: &str,
    with_sealed: bool,
) -> Result<Provider, Error> {
    let row = providers::find(conn, Uuid::try_parse(id_or_name).ok(), id_or_name).await?;
    let row = row.ok_or_else(provider_not_found)?;
    let keys = providers::keys(conn, &[row.id]).await?;
    Ok(row.to_wire(&keys, with_sealed))
}

/// A provider as an answer that is kept: ciphertext stays in its own row, and goes with it.
fn without_ciphertext(mut provider: Provider) -> Provider {
    provider.sealed_settings.clear();
    for key in &mut provider.keys {
        key.sealed.clear();
    }
    provider
}

async fn check_model(conn: &mut sqlx::PgConnection, row: &models::Row) -> Result<(), Error> {
    check_numbers(row)?;
    let provider = providers::find(conn, Some(row.provider_id), "")
        .await?
        .filter(|provider| provider.is_enabled);
    if provider.is_none() {
        let text = "The provider does not exist or is disabled.";
        return Err(Fault::wrong_state("PROVIDER_UNAVAILABLE", text).into());
    }
    Ok(())
}

/// Scheme, host and port of an address as provider-gateway writes it: what keys are bound to.
fn origin(address: &str) -> &str {
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find(['/', '?', '#']);
    end.map_or(address, |end| &address[..authority + end])
}

fn check_concurrent(max_concurrent: i32) -> Result<(), Error> {
    if max_concurrent < 0 {
        return Err(convert::one("max_concurrent", "must be at least 0"));
    }
    Ok(())
}

fn check_numbers(row: &models::Row) -> Result<(), Error> {
    if row.model.is_empty() || row.model.len() > MAX_MODEL_BYTES {
        return Err(convert::one("model", "must have 1 to 256 bytes"));
    }
    if row.context_limit <= 0 {
        return Err(convert::one("context_limit", "must be above 0"));
    }
    if !(0..=100).contains(&row.compression_threshold) {
        return Err(convert::one("compression_threshold", "must be 0 to 100"));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(convert::one("key", "must have 1 to 64 bytes"));
    }
    Ok(())
}

fn json(text: &str, field: &str) -> Result<Option<serde_json::Value>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|_| convert::one(field, "must be JSON"))
}

fn name_taken(error: sqlx::Error, name: &str) -> Error {
    if sqlstate::violates(&error, "providers_live_name") {
        let text = format!("A provider named {name:?} exists already.");
        return Fault::exists("PROVIDER_NAME_TAKEN", text).into();
    }
    error.into()
}

fn provider_not_found() -> Error {
    Fault::not_found("PROVIDER_NOT_FOUND", "There is no such provider.").into()
}

fn model_not_found() -> Error {
    Fault::not_found("MODEL_NOT_FOUND", "There is no such model.").into()
}
