//! `UsageService`: who may call what. Reservations and records are in [`ledger`], limits in [`limits`], sums in [`costs`].

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::usage_service_server::UsageService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};

use super::convert;
use crate::authz;
use crate::db::Pool;
use crate::error::Error;

mod costs;
mod ledger;
mod limits;

/// Serves [`UsageService`].
pub(crate) struct Usage {
    pool: Pool,
}

impl Usage {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// Each RPC: a check of the caller, then the function of the same name in its own file.
macro_rules! serve {
    ($($check:ident $file:ident::$method:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl UsageService for Usage {
            async fn get_spend_status(
                &self,
                request: Request<GetSpendStatusRequest>,
            ) -> Result<Response<GetSpendStatusResponse>, Status> {
                let user = authz::user(&request)?;
                Ok(Response::new(limits::get_spend_status(&self.pool, user).await?))
            }

            async fn get_cost_summary(
                &self,
                request: Request<GetCostSummaryRequest>,
            ) -> Result<Response<GetCostSummaryResponse>, Status> {
                let caller = Caller::of(&request)?;
                if caller.user()?.id.to_string() != request.get_ref().user_id {
                    caller.admin()?;
                }
                Ok(Response::new(costs::get_cost_summary(&self.pool, request.into_inner()).await?))
            }

            $(
                async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                    $check(&request)?;
                    Ok(Response::new($file::$method(&self.pool, request.into_inner()).await?))
                }
            )*
        }
    };
}

serve! {
    provider_gateway ledger::reserve_spend(ReserveSpendRequest) -> ReserveSpendResponse;
    provider_gateway ledger::settle_spend(SettleSpendRequest) -> SettleSpendResponse;
    admin limits::get_spend_limits(GetSpendLimitsRequest) -> GetSpendLimitsResponse;
    admin limits::set_spend_limit(SetSpendLimitRequest) -> SetSpendLimitResponse;
    admin limits::set_user_spend_limit(SetUserSpendLimitRequest) -> SetUserSpendLimitResponse;
    admin limits::delete_user_spend_limit(DeleteUserSpendLimitRequest) -> DeleteUserSpendLimitResponse;
    admin limits::set_organization_spend_limit(SetOrganizationSpendLimitRequest) -> SetOrganizationSpendLimitResponse;
    admin limits::delete_organization_spend_limit(DeleteOrganizationSpendLimitRequest)
        -> DeleteOrganizationSpendLimitResponse;
    admin costs::list_user_costs(ListUserCostsRequest) -> ListUserCostsResponse;
}

/// Lets only provider-gateway pass: it alone knows what calls use.
fn provider_gateway<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?.require_service(&[ServiceName::ProviderGateway])
}

fn admin<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?.admin().map(|_| ())
}

/// A limit above 0.
fn limit_micros(micros: i64) -> Result<i64, Error> {
    if micros > 0 {
        Ok(micros)
    } else {
        Err(convert::one("spend_limit_micros", "must be above 0"))
    }
}

fn limit_not_found() -> Error {
    Fault::not_found("SPEND_LIMIT_NOT_FOUND", "There is no such limit.").into()
}
