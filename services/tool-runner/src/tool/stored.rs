//! From the workspace into storage: whole files that outlive it.

use tandem_chassis::idempotency::Attempt;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{CreateFileRequest, GetWorkspaceRequest};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{OperationErrorKind, ReadBytes, ReadBytesResult};
use tonic::{Code, Status};

use super::Stop;
use super::read_file::FILE_TIME;
use crate::agents::{Connection, Refusal};
use crate::call::Context;
use crate::clients::{PAUSES, persist};

/// Reads a whole file; `None` when it is larger than asked for.
///
/// # Errors
/// As the workspace says.
pub(super) async fn read_bytes(
    context: &Context<'_>,
    connection: &Connection,
    request: ReadBytes,
) -> Result<Option<ReadBytesResult>, Stop> {
    let chat_id = &context.input().chat_id;
    let again = request.clone();
    let mut answer = connection
        .call(chat_id, Operation::ReadBytes(request), FILE_TIME, None)
        .await;
    if answer == Err(Refusal::Broken) {
        // Reading twice does no harm.
        let ready = context.workspace().await?;
        answer = ready
            .connection
            .call(chat_id, Operation::ReadBytes(again), FILE_TIME, None)
            .await;
    }
    match answer {
        Ok(Answer::ReadBytes(read)) => Ok(Some(read)),
        Ok(other) => Err(Stop::unexpected(other)),
        Err(Refusal::Failed(error)) if error.kind() == OperationErrorKind::TooLarge => Ok(None),
        Err(refusal) => Err(Stop::reading(refusal)),
    }
}

/// Keeps a file for the chat's owner; its id. The same call always keeps the same file, however often it begins again.
///
/// # Errors
/// Storage refused it, or did not answer; it may be kept all the same then, and nothing refers to it.
pub(super) async fn store(
    context: &Context<'_>,
    workspace_id: &str,
    name: &str,
    media_type: &str,
    data: Vec<u8>,
) -> Result<String, Stop> {
    let (clients, user) = (context.clients(), &context.input().user);
    let workspace = persist(&PAUSES, || {
        let message = GetWorkspaceRequest {
            workspace_id: workspace_id.to_owned(),
        };
        let request = clients.request(user, message);
        let mut workspaces = clients.workspaces.clone();
        async move { workspaces.get_workspace(request).await }
    })
    .await
    .map_err(refused)?;
    let organization_id = workspace.into_inner().workspace.unwrap_or_default().organization_id;
    let message = CreateFileRequest {
        organization_id,
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        data,
    };
    // What is asked is told by the call alone: the file in the workspace may have changed since the first attempt.
    let key = format!("tool-call-{}", context.process_id());
    let attempt = Attempt::new(&key, "attachment").map_err(|error| Stop::Failed(error.to_string()))?;
    let answer = persist(&PAUSES, || {
        let mut request = clients.request(user, message.clone());
        attempt.attach(&mut request);
        let mut files = clients.files.clone();
        async move { files.create_file(request).await }
    })
    .await
    .map_err(refused)?;
    let file = answer.into_inner().file.unwrap_or_default();
    Ok(file.id)
}

/// What the model may read of storage's refusal.
fn refused(status: Status) -> Stop {
    let reason = match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::ResourceExhausted
        | Code::PermissionDenied => Fault::from(status).message,
        code => {
            tracing::warn!(?code, error = status.message(), "file of a workspace cannot be kept");
            "storage did not answer; try again".to_owned()
        }
    };
    Stop::Failed(format!("the file could not be kept: {reason}"))
}
