//! Organisations: the groups that own chats.

use axum::extract::State;
use tandem_proto::storage::v1 as proto;
use uuid::Uuid;

use super::{
    Path, users,
    wire::{
        ZERO_TIME,
        user::{CreateOrganizationRequest, Organization, OrganizationMember},
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Those the caller belongs to; all, for administrators.
#[utoipa::path(get, path = "/organizations", tag = "organizations",
    responses((status = 200, body = Vec<Organization>)))]
pub async fn list(State(app): State<App>, who: Principal) -> Result<Reply<Vec<Organization>>, Problem> {
    let listed = visible(&app, &who).await?;
    Ok(Reply::ok(listed.into_iter().map(Organization::from).collect()))
}

/// Creates an organisation; administrators only.
#[utoipa::path(post, path = "/organizations", tag = "organizations", request_body = CreateOrganizationRequest,
    responses((status = 201, body = Organization)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateOrganizationRequest>,
) -> Result<Reply<Organization>, Problem> {
    who.require_admin()?;
    let message = proto::CreateOrganizationRequest {
        name: body.name,
        display_name: body.display_name,
    };
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.users.clone().create_organization(request).await.answer()?;
    // Who made it is its first member.
    app.accounts.forget_all();
    let organization = promised(created.organization, "CreateOrganizationResponse.organization")?;
    Ok(Reply::created(organization.into()))
}

/// One organisation, by id or name.
#[utoipa::path(get, path = "/organizations/{organization}", tag = "organizations",
    params(("organization" = String, Path)), responses((status = 200, body = Organization)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path(organization): Path<String>,
) -> Result<Reply<Organization>, Problem> {
    Ok(Reply::ok(find(&app, &who, &organization).await?.into()))
}

/// Adds a user to an organisation; administrators only.
#[utoipa::path(post, path = "/organizations/{organization}/members/{user}", tag = "organizations",
    params(("organization" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = OrganizationMember)))]
pub async fn add_member(
    State(app): State<App>,
    who: Principal,
    Path(path): Path<(String, String)>,
) -> Result<Reply<OrganizationMember>, Problem> {
    let (organization, user) = path;
    who.require_admin()?;
    let organization_id = find(&app, &who, &organization).await?.id;
    let user_id = users::resolve(&app, &who, &user).await?;
    let message = proto::AddMemberRequest {
        organization_id: organization_id.clone(),
        user_id: user_id.clone(),
    };
    let request = app.clients.ask(who.user(), message);
    app.clients.users.clone().add_member(request).await.answer()?;
    app.accounts.forget_all();
    Ok(Reply::ok(OrganizationMember {
        user_id,
        organization_id,
        created_at: ZERO_TIME.to_owned(),
        updated_at: ZERO_TIME.to_owned(),
        roles: Vec::new(),
    }))
}

async fn visible(app: &App, who: &Principal) -> Result<Vec<proto::Organization>, Problem> {
    let request = app.clients.ask(who.user(), proto::ListOrganizationsRequest::default());
    let listed = app.clients.users.clone().list_organizations(request).await.answer()?;
    Ok(listed.organizations)
}

async fn find(app: &App, who: &Principal, wanted: &str) -> Result<proto::Organization, Problem> {
    let id = Uuid::parse_str(wanted).map(|id| id.to_string()).ok();
    visible(app, who)
        .await?
        .into_iter()
        .find(|organization| match &id {
            Some(id) => organization.id == *id,
            None => organization.name == wanted || (wanted == "default" && organization.is_default),
        })
        .ok_or_else(Problem::not_found)
}
