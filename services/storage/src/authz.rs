//! Who may call what. The rest of authorisation stands in the queries themselves: a row of somebody else is not found.

use tandem_chassis::identity::{Caller, ServiceName};
use tonic::{Request, Status};
use uuid::Uuid;

/// The user in whose name a request comes.
pub(crate) fn user<T>(request: &Request<T>) -> Result<Uuid, Status> {
    Ok(Caller::of(request)?.user()?.id)
}

/// Lets only orchestrators pass: they alone run turns.
pub(crate) fn orchestrator<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?
        .require_service(&[ServiceName::Orchestrator])
        .map(|_| ())
}

/// The organisations that user is a member of.
pub(crate) fn organizations<T>(request: &Request<T>) -> Result<Vec<Uuid>, Status> {
    Ok(Caller::of(request)?.user()?.organization_ids.clone())
}
