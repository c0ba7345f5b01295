//! Templates: what workspaces are made from. Members of an organisation see its templates, administrators write them.

use axum::{extract::State, http::StatusCode};
use tandem_proto::storage::v1 as proto;

use super::{
    Path, id,
    query::Query,
    wire::{
        id_text,
        workspace::{CreateTemplateRequest, Template, TemplateList, UpdateTemplateRequest},
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// What fields of the contract are called here.
const FIELDS: &[(&str, &str)] = &[("icon_url", "icon"), ("default_value", "default")];

/// The templates the caller can make workspaces of, those most used first.
#[utoipa::path(get, path = "/templates", tag = "workspaces",
    params(("q" = Option<String>, Query, description = "Part of the name or the description"),
        ("limit" = Option<i32>, Query, description = "At most 500, 50 unless given; large templates make shorter pages"), ("offset" = Option<i32>, Query)),
    responses((status = 200, body = TemplateList)))]
pub async fn list(State(app): State<App>, who: Principal, query: Query) -> Result<Reply<TemplateList>, Problem> {
    let message = proto::ListTemplatesRequest {
        query: query.one("q")?.unwrap_or_default().to_owned(),
        chat_id: String::new(),
        limit: query.number("limit", 1)?.unwrap_or_default(),
        offset: query.number("offset", 0)?.unwrap_or_default(),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.templates.clone().list_templates(request).await.answer()?;
    Ok(Reply::ok(TemplateList {
        templates: listed.templates.into_iter().map(Template::from).collect(),
        count: listed.total_count,
    }))
}

/// Adds a template; administrators only.
#[utoipa::path(post, path = "/templates", tag = "workspaces", request_body = CreateTemplateRequest,
    responses((status = 201, body = Template)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateTemplateRequest>,
) -> Result<Reply<Template>, Problem> {
    who.require_admin()?;
    let message = proto::CreateTemplateRequest {
        organization_id: id_text(body.organization_id),
        name: body.name,
        display_name: body.display_name,
        description: body.description,
        readme: body.readme,
        icon_url: body.icon,
        is_deprecated: body.deprecated,
        spec: Some(body.spec.into_wire()?),
        requires_active_version: body.require_active_version,
    };
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.templates.clone().create_template(request).await.answer();
    let created = created.map_err(|fault| Problem::from(fault).fields_are(FIELDS))?;
    let template = promised(created.template, "CreateTemplateResponse.template")?;
    Ok(Reply::created(template.into()))
}

/// One template.
#[utoipa::path(get, path = "/templates/{template}", tag = "workspaces", params(("template" = Uuid, Path)),
    responses((status = 200, body = Template)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path(template): Path<String>,
) -> Result<Reply<Template>, Problem> {
    let message = proto::GetTemplateRequest {
        template_id: id("template", &template)?.to_string(),
        chat_id: String::new(),
    };
    let request = app.clients.ask(who.user(), message);
    let found = app.clients.templates.clone().get_template(request).await.answer()?;
    Ok(Reply::ok(
        promised(found.template, "GetTemplateResponse.template")?.into(),
    ))
}

/// Changes the given fields; administrators only.
///
/// Another spec makes another version; workspaces keep theirs, until their next start where the active one is required.
#[utoipa::path(patch, path = "/templates/{template}", tag = "workspaces", params(("template" = Uuid, Path)),
    request_body = UpdateTemplateRequest, responses((status = 200, body = Template)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path(template): Path<String>,
    Body(body): Body<UpdateTemplateRequest>,
) -> Result<Reply<Template>, Problem> {
    who.require_admin()?;
    let message = proto::UpdateTemplateRequest {
        template_id: id("template", &template)?.to_string(),
        name: body.name,
        display_name: body.display_name,
        description: body.description,
        readme: body.readme,
        icon_url: body.icon,
        is_deprecated: body.deprecated,
        spec: match body.spec {
            Some(spec) => Some(spec.into_wire()?),
            None => None,
        },
        requires_active_version: body.require_active_version,
    };
    let request = app.clients.ask(who.user(), message);
    let updated = app.clients.templates.clone().update_template(request).await.answer();
    let updated = updated.map_err(|fault| Problem::from(fault).fields_are(FIELDS))?;
    let template = promised(updated.template, "UpdateTemplateResponse.template")?;
    Ok(Reply::ok(template.into()))
}

/// Deletes a template; administrators only. Its workspaces go on. The built-in one stays.
#[utoipa::path(delete, path = "/templates/{template}", tag = "workspaces", params(("template" = Uuid, Path)),
    responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(template): Path<String>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let template_id = id("template", &template)?.to_string();
    let request = app
        .clients
        .ask(who.user(), proto::DeleteTemplateRequest { template_id });
    app.clients.templates.clone().delete_template(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}
