//! `FileService`: what people attach.

use tandem_chassis::identity::{Caller, ServiceName, User};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::file_service_server::FileService;
use tandem_proto::storage::v1::{CreateFileRequest, CreateFileResponse, GetFileRequest, GetFileResponse};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::{Pool, files};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, respond};

const MAX_FILE_BYTES: usize = 10 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 255;

/// Serves [`FileService`].
pub(crate) struct Files {
    pool: Pool,
}

impl Files {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn create(
        &self,
        user: &User,
        attempt: Option<&Attempt>,
        request: CreateFileRequest,
    ) -> Result<CreateFileResponse, Error> {
        let organization = convert::id(&request.organization_id, "organization_id")?;
        if !user.organization_ids.contains(&organization) {
            return Err(Fault::forbidden("NOT_A_MEMBER", "You are not a member of this organization.").into());
        }
        if request.name.is_empty() || request.name.len() > MAX_NAME_BYTES {
            return Err(convert::one("name", "must have 1 to 255 bytes"));
        }
        if request.media_type.len() > MAX_NAME_BYTES {
            return Err(convert::one("media_type", "must have at most 255 bytes"));
        }
        if request.data.len() > MAX_FILE_BYTES {
            return Err(convert::one("data", "must have at most 10 MiB"));
        }
        let mut row = files::Row {
            id: Uuid::now_v7(),
            owner_id: user.id,
            organization_id: organization,
            name: request.name,
            media_type: request.media_type,
            size_bytes: i64::try_from(request.data.len()).unwrap_or(i64::MAX),
            created_at: OffsetDateTime::UNIX_EPOCH,
            data: request.data,
        };
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        row.created_at = files::insert(&mut tx, &row).await?;
        let answer = CreateFileResponse {
            file: Some(row.metadata()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn get(&self, caller: &Caller, request: &GetFileRequest) -> Result<files::Row, Error> {
        let id = convert::id(&request.file_id, "file_id")?;
        let mut conn = self.pool.acquire().await?;
        let row = match &caller.user {
            Some(user) => files::find(&mut conn, id, user.id).await?,
            None if caller.service == ServiceName::Orchestrator => {
                files::find_for_chat(&mut conn, id, convert::id(&request.chat_id, "chat_id")?).await?
            }
            None => None,
        };
        row.ok_or_else(|| Fault::not_found("FILE_NOT_FOUND", "There is no such file.").into())
    }
}

#[tonic::async_trait]
impl FileService for Files {
    async fn create_file(&self, request: Request<CreateFileRequest>) -> Result<Response<CreateFileResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let attempt = Attempt::of(&request, user.id, "create_file")?;
        respond(self.create(&user, attempt.as_ref(), request.into_inner()).await)
    }

    async fn get_file(&self, request: Request<GetFileRequest>) -> Result<Response<GetFileResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let row = self.get(&caller, &request.into_inner()).await?;
        Ok(Response::new(GetFileResponse {
            file: Some(row.metadata()),
            data: row.data,
        }))
    }
}
