//! Files people attach: taken for what they are, given back as what they were taken for.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{CreateFileRequest, GetFileRequest};
use utoipa::ToSchema;

use super::{Path, id, query::Query};
use crate::{
    auth::{Principal, limiter::Subject},
    clients::{Answer, promised},
    json::{self, Reply},
    problem::Problem,
    service::App,
    sniff,
};

/// Largest file, in bytes.
const MAX_FILE_BYTES: usize = 10 * 1024 * 1024;

/// The id of a new file.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadChatFileResponse {
    #[schema(format = Uuid)]
    pub id: String,
}

/// Stores a file: the body is its bytes, its name stands in `Content-Disposition`.
#[utoipa::path(
    post, path = "/chats/files", tag = "files",
    params(("organization" = Uuid, Query)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = UploadChatFileResponse)),
)]
pub async fn upload(
    State(app): State<App>,
    caller: Principal,
    query: Query,
    request: Request,
) -> Result<Reply<UploadChatFileResponse>, Problem> {
    app.uploads.admit(&Subject::User(caller.user().id)).map_err(|pause| {
        app.metrics.rate_limited.inc();
        Problem::from(Fault::rate_limited("RATE_LIMITED", "too many uploads").retry_after(pause))
    })?;
    let organization = query.one("organization")?.unwrap_or_default();
    let organization = id("organization", organization)?;
    if !caller.user().organization_ids.contains(&organization) {
        return Err(Fault::forbidden("NOT_A_MEMBER", "you are not a member of this organisation").into());
    }
    let headers = request.headers();
    let name = headers
        .get(header::CONTENT_DISPOSITION)
        .and_then(|value| sniff::name_of_disposition(value.as_bytes()))
        .map(|name| sniff::normal_name(&name))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Problem::field("Content-Disposition", "must name the file"))?;
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_lowercase())
        .unwrap_or_default();
    let data = json::read(request, MAX_FILE_BYTES, &app).await?.ok_or_else(|| {
        Problem::invalid("FILE_TOO_LARGE", "The file is too large.")
            .detail("At most 10 MiB are accepted.")
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    })?;
    let media_type = sniff::check(&data, &name, &declared).map_err(refused)?;
    let message = CreateFileRequest {
        organization_id: organization.to_string(),
        name,
        media_type: media_type.to_owned(),
        data: data.into(),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.files.clone().create_file(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).references_are_invalid(&[]))?;
    let file = promised(answer.file, "CreateFileResponse.file")?;
    Ok(Reply::created(UploadChatFileResponse { id: file.id }))
}

fn refused(refusal: sniff::Refusal) -> Problem {
    let detail = match refusal {
        sniff::Refusal::Declared(declared) => format!("Files of type {declared} are not accepted."),
        sniff::Refusal::Detected(detected) => format!("The file is of type {detected}, which is not accepted."),
        sniff::Refusal::Mismatch { declared, detected } => {
            format!("The file is said to be {declared}, but it is {detected}.")
        }
    };
    Problem::invalid("FILE_TYPE_REFUSED", "This type of file is not accepted.").detail(detail)
}

/// The bytes of a file.
#[utoipa::path(
    get, path = "/chats/files/{file}", tag = "files",
    params(("file" = Uuid, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")),
)]
pub async fn download(
    State(app): State<App>,
    caller: Principal,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let message = GetFileRequest {
        file_id: id("file", &file)?.to_string(),
        chat_id: String::new(),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.files.clone().get_file(request).await.answer()?;
    let file = promised(answer.file, "GetFileResponse.file")?;
    let text = |value: &str, fallback: &'static str| {
        HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(fallback))
    };
    let media_type = match file.media_type.as_str() {
        textual if textual.starts_with("text/") => format!("{textual}; charset=utf-8"),
        other => other.to_owned(),
    };
    let headers = [
        (header::CONTENT_TYPE, text(&media_type, "application/octet-stream")),
        (
            header::CONTENT_DISPOSITION,
            text(&sniff::disposition(&file.media_type, &file.name), "attachment"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ),
    ];
    Ok((headers, answer.data).into_response())
}
