//! A storage that keeps providers and models in memory. It hides ciphertext from everybody but the provider gateway, as the real one does.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use tandem_chassis::{
    identity::{Caller, ServiceName},
    status::Fault,
};
use tandem_proto::{
    common::v1::ModelConfig,
    storage::v1::{settings_service_server::SettingsService, usage_service_server::UsageService, *},
};
use tokio::sync::{Notify, Semaphore};
use tonic::{Request, Response, Status};

mod bridge;
mod keys;

pub use bridge::{GOOD_TOKEN, Recorded};

type Answer<T> = Result<Response<T>, Status>;

/// The rows.
#[derive(Clone, Default)]
pub struct Storage {
    pub providers: Arc<Mutex<HashMap<String, Provider>>>,
    pub models: Arc<Mutex<HashMap<String, ModelConfig>>>,
    pub user_keys: Arc<Mutex<Vec<UserProviderKey>>>,
    pub ledger: Arc<Mutex<Ledger>>,
    /// Something is told to the ledger, or was.
    pub told: Arc<Notify>,
    /// What is told waits for a permit before it counts.
    pub gate: Arc<Mutex<Option<Arc<Semaphore>>>>,
    /// What went over the bridge.
    pub recorded: Arc<Mutex<Recorded>>,
    /// Something was recorded, or refused.
    pub noted: Arc<Notify>,
}

/// Who has spent what.
#[derive(Default)]
pub struct Ledger {
    /// Users have limits.
    pub is_limited: bool,
    /// The limit leaves room for one reservation at a time.
    pub is_narrow: bool,
    /// Why nothing is set aside.
    pub refusal: Option<Fault>,
    /// Why nothing is recorded.
    pub outage: Option<Fault>,
    /// All that was asked for.
    pub reservations: Vec<ReserveSpendRequest>,
    /// Completions for which something is set aside.
    pub reserved: HashSet<String>,
    pub records: Vec<UsageRecord>,
    pub released: Vec<String>,
    /// How often something was told, whatever came of it.
    pub settlements: usize,
}

impl Storage {
    fn find(&self, id_or_name: &str) -> Result<Provider, Status> {
        let providers = self.providers.lock().unwrap();
        let mut found = providers
            .values()
            .filter(|row| row.id == id_or_name || row.name == id_or_name);
        found
            .next()
            .cloned()
            .ok_or_else(|| Status::not_found("no such provider"))
    }
}

fn seen_by<T>(request: &Request<T>, row: Provider) -> Result<Provider, Status> {
    assert_eq!(Caller::of(request)?.service, ServiceName::ProviderGateway);
    Ok(row)
}

#[tonic::async_trait]
impl SettingsService for Storage {
    async fn create_provider(&self, request: Request<CreateProviderRequest>) -> Answer<CreateProviderResponse> {
        Caller::of(&request)?.admin()?;
        let row = request.into_inner().provider.unwrap();
        self.providers.lock().unwrap().insert(row.id.clone(), row.clone());
        Ok(Response::new(CreateProviderResponse { provider: Some(row) }))
    }

    async fn get_provider(&self, request: Request<GetProviderRequest>) -> Answer<GetProviderResponse> {
        let row = self.find(&request.get_ref().id_or_name)?;
        Ok(Response::new(GetProviderResponse {
            provider: Some(seen_by(&request, row)?),
        }))
    }

    async fn list_providers(&self, _: Request<ListProvidersRequest>) -> Answer<ListProvidersResponse> {
        let providers = self.providers.lock().unwrap().values().cloned().collect();
        Ok(Response::new(ListProvidersResponse { providers }))
    }

    async fn update_provider(&self, request: Request<UpdateProviderRequest>) -> Answer<UpdateProviderResponse> {
        Caller::of(&request)?.admin()?;
        let change = request.into_inner();
        let mut row = self.find(&change.id)?;
        if let Some(keys) = change.keys {
            let kept = |key: ProviderKey| match key.sealed.is_empty() {
                true => row.keys.iter().find(|old| old.id == key.id).cloned(),
                false => Some(key),
            };
            row.keys = keys.keys.into_iter().filter_map(kept).collect();
        }
        row.base_url = change.base_url.unwrap_or(row.base_url);
        row.is_enabled = change.is_enabled.unwrap_or(row.is_enabled);
        row.key_policy = change.key_policy.or(row.key_policy);
        row.max_concurrent = change.max_concurrent.unwrap_or(row.max_concurrent);
        self.providers.lock().unwrap().insert(row.id.clone(), row.clone());
        Ok(Response::new(UpdateProviderResponse { provider: Some(row) }))
    }

    async fn delete_provider(&self, request: Request<DeleteProviderRequest>) -> Answer<DeleteProviderResponse> {
        self.providers.lock().unwrap().remove(&request.get_ref().id);
        Ok(Response::new(DeleteProviderResponse {}))
    }

    async fn get_model_config(&self, request: Request<GetModelConfigRequest>) -> Answer<GetModelConfigResponse> {
        let model = self.models.lock().unwrap().get(&request.get_ref().id).cloned();
        Ok(Response::new(GetModelConfigResponse {
            model_config: Some(model.ok_or_else(|| Status::not_found("no such model"))?),
            is_spend_limited: self.ledger.lock().unwrap().is_limited,
        }))
    }

    async fn list_model_configs(&self, _: Request<ListModelConfigsRequest>) -> Answer<ListModelConfigsResponse> {
        let model_configs = self.models.lock().unwrap().values().cloned().collect();
        Ok(Response::new(ListModelConfigsResponse { model_configs }))
    }

    async fn create_model_config(&self, _: Request<CreateModelConfigRequest>) -> Answer<CreateModelConfigResponse> {
        Err(unused())
    }

    async fn update_model_config(&self, _: Request<UpdateModelConfigRequest>) -> Answer<UpdateModelConfigResponse> {
        Err(unused())
    }

    async fn delete_model_config(&self, _: Request<DeleteModelConfigRequest>) -> Answer<DeleteModelConfigResponse> {
        Err(unused())
    }

    async fn get_setting(&self, _: Request<GetSettingRequest>) -> Answer<GetSettingResponse> {
        Err(unused())
    }

    async fn list_settings(&self, _: Request<ListSettingsRequest>) -> Answer<ListSettingsResponse> {
        Err(unused())
    }

    async fn set_setting(&self, _: Request<SetSettingRequest>) -> Answer<SetSettingResponse> {
        Err(unused())
    }
}

#[tonic::async_trait]
impl UsageService for Storage {
    async fn reserve_spend(&self, request: Request<ReserveSpendRequest>) -> Answer<ReserveSpendResponse> {
        assert_eq!(Caller::of(&request)?.service, ServiceName::ProviderGateway);
        let mut ledger = self.ledger.lock().unwrap();
        let message = request.into_inner();
        ledger.reservations.push(message.clone());
        if let Some(fault) = &ledger.refusal {
            return Err(fault.clone().into());
        }
        if ledger.is_narrow && ledger.reserved.iter().any(|id| *id != message.completion_id) {
            return Err(Fault::rate_limited("SPEND_RESERVED", "Wait for the others.").into());
        }
        ledger.reserved.insert(message.completion_id);
        Ok(Response::new(ReserveSpendResponse { is_limited: true }))
    }

    async fn settle_spend(&self, request: Request<SettleSpendRequest>) -> Answer<SettleSpendResponse> {
        assert_eq!(Caller::of(&request)?.service, ServiceName::ProviderGateway);
        let message = request.into_inner();
        self.ledger.lock().unwrap().settlements += 1;
        self.told.notify_one();
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut ledger = self.ledger.lock().unwrap();
        let outage = ledger.outage.clone();
        if outage.is_none() {
            for record in &message.records {
                ledger.reserved.remove(&record.completion_id);
            }
            for id in &message.released_completion_ids {
                ledger.reserved.remove(id);
            }
            ledger.records.extend(message.records);
            ledger.released.extend(message.released_completion_ids);
        }
        self.told.notify_one();
        match outage {
            Some(fault) => Err(fault.into()),
            None => Ok(Response::new(SettleSpendResponse {})),
        }
    }

    async fn get_spend_status(&self, _: Request<GetSpendStatusRequest>) -> Answer<GetSpendStatusResponse> {
        Err(unused())
    }

    async fn get_spend_limits(&self, _: Request<GetSpendLimitsRequest>) -> Answer<GetSpendLimitsResponse> {
        Err(unused())
    }

    async fn set_spend_limit(&self, _: Request<SetSpendLimitRequest>) -> Answer<SetSpendLimitResponse> {
        Err(unused())
    }

    async fn set_user_spend_limit(&self, _: Request<SetUserSpendLimitRequest>) -> Answer<SetUserSpendLimitResponse> {
        Err(unused())
    }

    async fn delete_user_spend_limit(
        &self,
        _: Request<DeleteUserSpendLimitRequest>,
    ) -> Answer<DeleteUserSpendLimitResponse> {
        Err(unused())
    }

    async fn set_organization_spend_limit(
        &self,
        _: Request<SetOrganizationSpendLimitRequest>,
    ) -> Answer<SetOrganizationSpendLimitResponse> {
        Err(unused())
    }

    async fn delete_organization_spend_limit(
        &self,
        _: Request<DeleteOrganizationSpendLimitRequest>,
    ) -> Answer<DeleteOrganizationSpendLimitResponse> {
        Err(unused())
    }

    async fn get_cost_summary(&self, _: Request<GetCostSummaryRequest>) -> Answer<GetCostSummaryResponse> {
        Err(unused())
    }

    async fn list_user_costs(&self, _: Request<ListUserCostsRequest>) -> Answer<ListUserCostsResponse> {
        Err(unused())
    }
}

fn unused() -> Status {
    Status::unimplemented("no test needs it")
}
