//! `TemplateService`: what workspaces are made from.

use sqlx::types::Json;
use tandem_chassis::identity::{Caller, User};
use tandem_chassis::status::{Fault, Violation};
use tandem_proto::storage::v1::template_service_server::TemplateService;
use tandem_proto::storage::v1::*;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::templates::{self, Filter};
use crate::db::{Pool, chats, organizations, settings, sqlstate};
use crate::error::{Error, chat_not_found, violations};
use crate::idempotency::{Attempt, Tx, respond};
use crate::names;
use crate::template_spec::{self, Broken, Spec};

const DEFAULT_LISTED: i32 = 50;
const MAX_LISTED: i32 = 500;
const MAX_ALLOWED: usize = 1_000;
const MAX_NAME_BYTES: usize = 32;
const MAX_DISPLAY_NAME_BYTES: usize = 128;
const MAX_DESCRIPTION_BYTES: usize = 4 * 1024;
const MAX_README_BYTES: usize = 64 * 1024;
const MAX_ICON_BYTES: usize = 2 * 1024;
const MAX_QUERY_BYTES: usize = 256;

/// Serves [`TemplateService`].
pub(crate) struct Templates {
    pool: Pool,
}

impl Templates {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn create(
        &self,
        attempt: Option<&Attempt>,
        admin: &User,
        request: CreateTemplateRequest,
    ) -> Result<CreateTemplateResponse, Error> {
        let organization = convert::optional_id(&request.organization_id, "organization_id")?;
        let (backend, spec) = proven(request.spec)?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        let organization = match organization {
            Some(organization) if organizations::is_known(&mut tx, organization).await? => organization,
            Some(_) => return Err(convert::one("organization_id", "must be that of an organization")),
            None => templates::home(&mut tx, &admin.organization_ids)
                .await?
                .ok_or_else(|| convert::one("organization_id", "must be set"))?,
        };
        // So that its name is taken.
        templates::local(&mut tx, organization).await?;
        let row = templates::Row {
            id: Uuid::now_v7(),
            organization_id: organization,
            name: request.name,
            display_name: request.display_name,
            description: request.description,
            readme: request.readme,
            icon_url: request.icon_url,
            is_deprecated: request.is_deprecated,
            requires_active_version: request.requires_active_version,
            is_builtin: false,
            active_version_id: Uuid::now_v7(),
            number: 1,
            backend: backend.to_owned(),
            spec: Json(spec),
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            active_user_count: 0,
        };
        check(&row)?;
        let inserted = templates::insert(&mut tx, &row).await;
        inserted.map_err(|error| name_taken(error, &row.name))?;
        templates::insert_version(&mut tx, &row, Some(admin.id)).await?;
        let stored = templates::find(&mut tx, row.id, &Filter::default()).await?;
        let answer = CreateTemplateResponse {
            template: Some(stored.ok_or_else(not_found)?.to_wire()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn update(
        &self,
        attempt: Option<&Attempt>,
        admin: Uuid,
        request: UpdateTemplateRequest,
    ) -> Result<UpdateTemplateResponse, Error> {
        let id = convert::id(&request.template_id, "template_id")?;
        let spec = request.spec.map(|spec| proven(Some(spec))).transpose()?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        templates::lock(&mut tx, id).await?;
        let all = Filter::default();
        let mut row = templates::find(&mut tx, id, &all).await?.ok_or_else(not_found)?;
        if let Some(name) = request.name {
            if row.is_builtin && name != row.name {
                return Err(built_in());
            }
            row.name = name;
        }
        row.display_name = request.display_name.unwrap_or(row.display_name);
        row.description = request.description.unwrap_or(row.description);
        row.readme = request.readme.unwrap_or(row.readme);
        row.icon_url = request.icon_url.unwrap_or(row.icon_url);
        row.is_deprecated = request.is_deprecated.unwrap_or(row.is_deprecated);
        row.requires_active_version = request.requires_active_version.unwrap_or(row.requires_active_version);
        check(&row)?;
        if let Some((backend, spec)) = spec
            && (row.backend != backend || row.spec.0 != spec)
        {
            if row.backend != backend {
                return Err(convert::one("spec.backend", "cannot be changed; make another template"));
            }
            row.spec = Json(spec);
            row.active_version_id = Uuid::now_v7();
            templates::insert_version(&mut tx, &row, Some(admin)).await?;
        }
        let updated = templates::update(&mut tx, &row).await;
        updated.map_err(|error| name_taken(error, &row.name))?;
        let stored = templates::find(&mut tx, id, &all).await?.ok_or_else(not_found)?;
        let answer = UpdateTemplateResponse {
            template: Some(stored.to_wire()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn list(&self, user: &User, request: ListTemplatesRequest) -> Result<ListTemplatesResponse, Error> {
        convert::bounded("q", &request.query, MAX_QUERY_BYTES)?;
        let limit = convert::limit(request.limit, DEFAULT_LISTED, MAX_LISTED)?;
        let offset = convert::offset(request.offset)?;
        let mut conn = self.pool.acquire().await?;
        let chat = convert::optional_id(&request.chat_id, "chat_id")?;
        let mut filter = visible(&mut conn, user, chat).await?;
        filter.text = request.query.trim().to_owned();
        let rows = templates::list(&mut conn, &filter, i64::from(limit), offset).await?;
        let total = templates::count(&mut conn, &filter).await?;
        Ok(ListTemplatesResponse {
            templates: convert::that_fit(rows.iter().map(templates::Row::to_wire)),
            total_count: i32::try_from(total).unwrap_or(i32::MAX),
        })
    }

    async fn allow(&self, request: SetTemplateAllowlistRequest) -> Result<(), Error> {
        if request.template_ids.len() > MAX_ALLOWED {
            return Err(convert::one("template_ids", "must be at most 1,000"));
        }
        let mut ids = Vec::new();
        for id in &request.template_ids {
            ids.push(convert::id(id, "template_ids")?);
        }
        ids.sort_unstable();
        ids.dedup();
        let mut tx = self.pool.begin().await?;
        let filter = Filter {
            is_for_chats: true,
            allowed: ids.clone(),
            ..Filter::default()
        };
        let found = templates::count(&mut tx, &filter).await?;
        if !ids.is_empty() && usize::try_from(found) != Ok(ids.len()) {
            let rule = "must name templates that exist and are not deprecated";
            return Err(convert::one("template_ids", rule));
        }
        let value = (!ids.is_empty()).then(|| serde_json::json!(ids));
        settings::set_deployment(&mut tx, templates::ALLOWLIST, value).await?;
        Ok(tx.commit().await?)
    }
}

/// What a user may see: administrators everything, others what is their organisations'. In the name of a chat, what agents may use.
///
/// # Errors
/// A chat that is not the user's; an allow list that cannot be read.
pub(super) async fn visible(conn: &mut sqlx::PgConnection, user: &User, chat: Option<Uuid>) -> Result<Filter, Error> {
    let Some(chat) = chat else {
        return Ok(Filter {
            organizations: (!user.is_admin).then(|| user.organization_ids.clone()),
            ..Filter::default()
        });
    };
    let chat = chats::find(&mut *conn, chat, user.id)
        .await?
        .ok_or_else(chat_not_found)?;
    let stored = settings::deployment(conn, templates::ALLOWLIST).await?;
    let allowed = stored.map(serde_json::from_value::<Vec<Uuid>>).transpose();
    let allowed = allowed.map_err(|error| Error::damaged("deployment_settings", error))?;
    Ok(Filter {
        organizations: Some(vec![chat.organization_id]),
        is_for_chats: true,
        allowed: allowed.unwrap_or_default(),
        ..Filter::default()
    })
}

#[tonic::async_trait]
impl TemplateService for Templates {
    async fn create_template(
        &self,
        request: Request<CreateTemplateRequest>,
    ) -> Result<Response<CreateTemplateResponse>, Status> {
        let admin = Caller::of(&request)?.admin()?.clone();
        let attempt = Attempt::of(&request, admin.id, "create_template")?;
        respond(self.create(attempt.as_ref(), &admin, request.into_inner()).await)
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let message = request.into_inner();
        let get = async {
            let id = convert::id(&message.template_id, "template_id")?;
            let chat = convert::optional_id(&message.chat_id, "chat_id")?;
            let mut conn = self.pool.acquire().await?;
            let filter = visible(&mut conn, &user, chat).await?;
            templates::find(&mut conn, id, &filter).await?.ok_or_else(not_found)
        };
        Ok(Response::new(GetTemplateResponse {
            template: Some(get.await?.to_wire()),
        }))
    }

    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        Ok(Response::new(self.list(&user, request.into_inner()).await?))
    }

    async fn update_template(
        &self,
        request: Request<UpdateTemplateRequest>,
    ) -> Result<Response<UpdateTemplateResponse>, Status> {
        let admin = Caller::of(&request)?.admin()?.id;
        let attempt = Attempt::of(&request, admin, "update_template")?;
        respond(self.update(attempt.as_ref(), admin, request.into_inner()).await)
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let delete = async {
            let id = convert::id(&request.get_ref().template_id, "template_id")?;
            let mut tx = self.pool.begin().await?;
            templates::lock(&mut tx, id).await?;
            let row = templates::find(&mut tx, id, &Filter::default())
                .await?
                .ok_or_else(not_found)?;
            if row.is_builtin {
                return Err(built_in());
            }
            templates::delete(&mut tx, id).await?;
            Ok(tx.commit().await?)
        };
        delete.await?;
        Ok(Response::new(DeleteTemplateResponse {}))
    }

    async fn set_template_allowlist(
        &self,
        request: Request<SetTemplateAllowlistRequest>,
    ) -> Result<Response<SetTemplateAllowlistResponse>, Status> {
        Caller::of(&request)?.admin()?;
        self.allow(request.into_inner()).await?;
        Ok(Response::new(SetTemplateAllowlistResponse {}))
    }
}

fn proven(spec: Option<TemplateSpec>) -> Result<(&'static str, Spec), Error> {
    let spec = spec.ok_or_else(|| convert::one("spec", "must be set"))?;
    template_spec::proven(spec).map_err(|broken| refused("spec.", broken))
}

/// Everything that is wrong, each with its field behind `prefix`.
pub(super) fn refused(prefix: &str, broken: Vec<Broken>) -> Error {
    let broken = named(prefix, broken);
    let text = broken
        .first()
        .map(|first| format!("{} {}", first.field, first.description))
        .unwrap_or_default();
    violations(&text, broken)
}

/// The same for the answer, each with its field behind `prefix`.
pub(super) fn named(prefix: &str, broken: Vec<Broken>) -> Vec<Violation> {
    let named = broken.into_iter().map(|(field, description)| Violation {
        field: match field.as_str() {
            // The whole.
            "" => prefix.trim_end_matches('.').to_owned(),
            field => format!("{prefix}{field}"),
        },
        description,
    });
    named.collect()
}

fn check(row: &templates::Row) -> Result<(), Error> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !names::is_words(&row.name, MAX_NAME_BYTES, &['-'], is_letter) {
        let rule = "must be lower-case letters and digits joined by single hyphens, at most 32 characters";
        return Err(convert::one("name", rule));
    }
    for (field, text, max) in [
        ("display_name", &row.display_name, MAX_DISPLAY_NAME_BYTES),
        ("description", &row.description, MAX_DESCRIPTION_BYTES),
        ("readme", &row.readme, MAX_README_BYTES),
        ("icon_url", &row.icon_url, MAX_ICON_BYTES),
    ] {
        convert::bounded(field, text, max)?;
    }
    Ok(())
}

fn name_taken(error: sqlx::Error, name: &str) -> Error {
    if sqlstate::violates(&error, "templates_live_name") {
        let text = format!("A template named {name:?} exists already in this organization.");
        return Fault::exists("TEMPLATE_NAME_TAKEN", text).into();
    }
    error.into()
}

fn built_in() -> Error {
    let text = "The built-in template can be neither renamed nor deleted.";
    Fault::wrong_state("TEMPLATE_BUILT_IN", text).into()
}

pub(super) fn not_found() -> Error {
    Fault::not_found("TEMPLATE_NOT_FOUND", "There is no such template.").into()
}
