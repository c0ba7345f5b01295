//! `InterceptionService`: who may call what. What comes in is stored in [`record`], what people look at is in [`lists`].

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_proto::storage::v1::interception_service_server::InterceptionService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::Pool;

mod lists;
mod record;
mod room;

/// Serves [`InterceptionService`].
pub(crate) struct Interceptions {
    pool: Pool,
}

impl Interceptions {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// Who looks.
#[derive(Clone, Copy)]
struct Viewer {
    id: Uuid,
    is_admin: bool,
}

impl Viewer {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let user = Caller::of(request)?.user()?;
        Ok(Self {
            id: user.id,
            is_admin: user.is_admin,
        })
    }

    /// Whose interceptions they see; `None`: everybody's.
    fn only(self) -> Option<Uuid> {
        (!self.is_admin).then_some(self.id)
    }
}

/// Each RPC: a check of the caller, then the function of the same name in its own file.
macro_rules! serve {
    ($(machine $machine:ident($machine_request:ident) -> $machine_response:ident;)*
        $(people $people:ident($people_request:ident) -> $people_response:ident;)*) => {
        #[tonic::async_trait]
        impl InterceptionService for Interceptions {
            $(
                async fn $machine(
                    &self,
                    request: Request<$machine_request>,
                ) -> Result<Response<$machine_response>, Status> {
                    Caller::of(&request)?.require_service(&[ServiceName::ProviderGateway])?;
                    Ok(Response::new(record::$machine(&self.pool, request.into_inner()).await?))
                }
            )*
            $(
                async fn $people(
                    &self,
                    request: Request<$people_request>,
                ) -> Result<Response<$people_response>, Status> {
                    let viewer = Viewer::of(&request)?;
                    Ok(Response::new(lists::$people(&self.pool, viewer, request.into_inner()).await?))
                }
            )*
        }
    };
}

serve! {
    machine record_interceptions(RecordInterceptionsRequest) -> RecordInterceptionsResponse;
    machine prune_interceptions(PruneInterceptionsRequest) -> PruneInterceptionsResponse;
    people list_interceptions(ListInterceptionsRequest) -> ListInterceptionsResponse;
    people list_sessions(ListSessionsRequest) -> ListSessionsResponse;
    people get_session(GetSessionRequest) -> GetSessionResponse;
    people list_interception_values(ListInterceptionValuesRequest) -> ListInterceptionValuesResponse;
}
