//! Personal skills: what a user's agents can read up, in every chat of theirs. Nobody sees another's.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tandem_chat_core::context::skill;
use tandem_proto::storage::v1 as proto;

use super::{
    Path, users,
    wire::skill::{UserSkill, UserSkillMetadata, UserSkillRequest},
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// The user's skills by name.
#[utoipa::path(get, path = "/users/{user}/skills", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Vec<UserSkillMetadata>)))]
pub async fn list(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<Vec<UserSkillMetadata>>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let request = app.clients.ask(who.user(), proto::ListPersonalSkillsRequest {});
    let listed = app
        .clients
        .skills
        .clone()
        .list_personal_skills(request)
        .await
        .answer()?;
    Ok(Reply::ok(
        listed.skills.into_iter().map(UserSkillMetadata::from).collect(),
    ))
}

/// Creates a skill.
#[utoipa::path(post, path = "/users/{user}/skills", tag = "users", params(("user" = String, Path)),
    request_body = UserSkillRequest, responses((status = 201, body = UserSkill),
        (status = 409, description = "There is one of this name, or there are 100 already")))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<UserSkillRequest>,
) -> Result<Reply<UserSkill>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let message = message(body, None, proto::PutMode::Create)?;
    Ok(Reply::created(store(&app, &who, message).await?.0))
}

/// One skill with its text.
#[utoipa::path(get, path = "/users/{user}/skills/{skill}", tag = "users",
    params(("user" = String, Path), ("skill" = String, Path)), responses((status = 200, body = UserSkill)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path((user, skill)): Path<(String, String)>,
) -> Result<Reply<UserSkill>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let request = app
        .clients
        .ask(who.user(), proto::GetPersonalSkillRequest { name: skill });
    let found = app.clients.skills.clone().get_personal_skill(request).await.answer()?;
    Ok(Reply::ok(
        promised(found.skill, "GetPersonalSkillResponse.skill")?.into(),
    ))
}

/// Creates a skill, or replaces the one of its name.
#[utoipa::path(put, path = "/users/{user}/skills/{skill}", tag = "users",
    params(("user" = String, Path), ("skill" = String, Path)), request_body = UserSkillRequest,
    responses((status = 200, body = UserSkill), (status = 201, body = UserSkill),
        (status = 409, description = "There are 100 already")))]
pub async fn put(
    State(app): State<App>,
    who: Principal,
    Path((user, skill)): Path<(String, String)>,
    Body(body): Body<UserSkillRequest>,
) -> Result<Response, Problem> {
    users::require_self(&app, &who, &user).await?;
    let message = message(body, Some(skill), proto::PutMode::Unspecified)?;
    let (skill, is_created) = store(&app, &who, message).await?;
    Ok(match is_created {
        true => Reply::created(skill).into_response(),
        false => Reply::ok(skill).into_response(),
    })
}

/// Changes a skill; its name stays.
#[utoipa::path(patch, path = "/users/{user}/skills/{skill}", tag = "users",
    params(("user" = String, Path), ("skill" = String, Path)), request_body = UserSkillRequest,
    responses((status = 200, body = UserSkill)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path((user, skill)): Path<(String, String)>,
    Body(body): Body<UserSkillRequest>,
) -> Result<Reply<UserSkill>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let message = message(body, Some(skill), proto::PutMode::Update)?;
    Ok(Reply::ok(store(&app, &who, message).await?.0))
}

/// Deletes a skill.
#[utoipa::path(delete, path = "/users/{user}/skills/{skill}", tag = "users",
    params(("user" = String, Path), ("skill" = String, Path)), responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path((user, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    users::require_self(&app, &who, &user).await?;
    let request = app.clients.ask(who.user(), proto::DeletePersonalSkillRequest { name });
    app.clients
        .skills
        .clone()
        .delete_personal_skill(request)
        .await
        .answer()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn store(
    app: &App,
    who: &Principal,
    message: proto::PutPersonalSkillRequest,
) -> Result<(UserSkill, bool), Problem> {
    let request = app.clients.ask(who.user(), message);
    let stored = app.clients.skills.clone().put_personal_skill(request).await.answer()?;
    let skill = promised(stored.skill, "PutPersonalSkillResponse.skill")?;
    Ok((skill.into(), stored.is_created))
}

/// What is to be stored. `named` is the name in the path, which the body must not change.
fn message(
    body: UserSkillRequest,
    named: Option<String>,
    mode: proto::PutMode,
) -> Result<proto::PutPersonalSkillRequest, Problem> {
    let is_given_in_pieces = body.content.is_empty();
    let is_kept = |piece: &Option<String>| mode == proto::PutMode::Update && is_given_in_pieces && piece.is_none();
    let (is_description_kept, is_body_kept) = (is_kept(&body.description), is_kept(&body.body));
    let (name, description, text) = if is_given_in_pieces {
        (
            body.name,
            body.description.unwrap_or_default(),
            body.body.unwrap_or_default(),
        )
    } else {
        if body.content.len() > skill::MAX_BYTES {
            return Err(Problem::field("content", "must not be longer than 65536 bytes"));
        }
        let skill = skill::parse(&body.content).map_err(|error| Problem::field("content", error.to_string()))?;
        (skill.name, skill.description, skill.body)
    };
    let name = match named {
        Some(named) if name.is_empty() || name == named => named,
        Some(_) => {
            return Err(Problem::field(
                "name",
                "must be the one in the address: a skill keeps its name",
            ));
        }
        None => name,
    };
    Ok(proto::PutPersonalSkillRequest {
        name,
        description,
        body: text,
        mode: mode.into(),
        is_description_kept,
        is_body_kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content: &str, name: &str) -> UserSkillRequest {
        UserSkillRequest {
            content: content.to_owned(),
            name: name.to_owned(),
            body: Some("B".to_owned()),
            ..UserSkillRequest::default()
        }
    }

    #[test]
    fn a_text_with_front_matter_is_taken_apart() {
        let text = "---\nname: notes\ndescription: D\n---\nBody";
        let message = message(request(text, "ignored"), None, proto::PutMode::Create).unwrap();
        assert_eq!(
            (
                message.name.as_str(),
                message.description.as_str(),
                message.body.as_str()
            ),
            ("notes", "D", "Body")
        );
    }

    #[test]
    fn a_change_keeps_the_pieces_it_leaves_out() {
        let kept = |body: UserSkillRequest, mode: proto::PutMode| {
            let message = message(body, Some("notes".to_owned()), mode).unwrap();
            (message.is_description_kept, message.is_body_kept)
        };
        let piece = || request("", "");
        assert_eq!(kept(piece(), proto::PutMode::Update), (true, false));
        assert_eq!(kept(UserSkillRequest::default(), proto::PutMode::Update), (true, true));
        assert_eq!(
            kept(piece(), proto::PutMode::Unspecified),
            (false, false),
            "a replacement keeps nothing"
        );
        let whole = UserSkillRequest {
            content: "---\nname: notes\n---\nBody".to_owned(),
            ..UserSkillRequest::default()
        };
        assert_eq!(kept(whole, proto::PutMode::Update), (false, false));
    }

    #[test]
    fn the_name_in_the_address_holds() {
        let named = |content: &str, name: &str| {
            let named = Some("notes".to_owned());
            message(request(content, name), named, proto::PutMode::Update).map(|message| message.name)
        };
        assert_eq!(named("", "").unwrap(), "notes");
        assert_eq!(named("", "notes").unwrap(), "notes");
        assert!(named("", "other").is_err());
        assert!(named("---\nname: other\n---\nBody", "").is_err());
    }
}
