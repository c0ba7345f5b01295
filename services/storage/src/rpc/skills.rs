//! `PersonalSkillService`: skills a user takes along into every chat. Each caller has only their own.

use tandem_chassis::status::{Fault, Violation};
use tandem_chat_core::context::skill;
use tandem_proto::storage::v1::personal_skill_service_server::PersonalSkillService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::authz;
use crate::db::{Pool, skills, users};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, respond};

/// Serves [`PersonalSkillService`].
pub(crate) struct PersonalSkills {
    pool: Pool,
}

impl PersonalSkills {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn get(&self, user: Uuid, name: &str) -> Result<skills::Row, Error> {
        let mut conn = self.pool.acquire().await?;
        skills::find(&mut conn, user, name).await?.ok_or_else(not_found)
    }

    async fn put(
        &self,
        user: Uuid,
        attempt: Option<&Attempt>,
        mut message: PutPersonalSkillRequest,
    ) -> Result<PutPersonalSkillResponse, Error> {
        check(&message)?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        // Two at once must not both be the hundredth, and what one of them keeps is what the other has written.
        users::lock(&mut tx, user).await?.ok_or_else(not_found)?;
        let known = skills::find(&mut tx, user, &message.name).await?;
        let is_known = known.is_some();
        match (message.mode(), known) {
            (PutMode::Create, Some(_)) => {
                return Err(Fault::exists("SKILL_EXISTS", "There is a skill of this name already.").into());
            }
            (PutMode::Update, None) => return Err(not_found()),
            (PutMode::Update, Some(known)) => {
                if message.is_description_kept {
                    message.description = known.description;
                }
                if message.is_body_kept {
                    message.body = known.body;
                }
            }
            (PutMode::Unspecified | PutMode::Create, _) => {}
        }
        let most = i64::try_from(skill::MAX_PERSONAL).unwrap_or(i64::MAX);
        if !is_known && skills::count(&mut tx, user).await? >= most {
            let text = format!("You have {} skills. Delete one first.", skill::MAX_PERSONAL);
            return Err(Fault::wrong_state("TOO_MANY_SKILLS", text).into());
        }
        let row = skills::put(&mut tx, user, &message.name, &message.description, &message.body).await?;
        let answer = PutPersonalSkillResponse {
            skill: Some(row.to_wire()),
            is_created: !is_known,
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn delete(&self, user: Uuid, name: &str) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        match skills::delete(&mut conn, user, name).await? {
            true => Ok(()),
            false => Err(not_found()),
        }
    }
}

#[tonic::async_trait]
impl PersonalSkillService for PersonalSkills {
    async fn list_personal_skills(
        &self,
        request: Request<ListPersonalSkillsRequest>,
    ) -> Result<Response<ListPersonalSkillsResponse>, Status> {
        let user = authz::user(&request)?;
        let list = async { Ok::<_, Error>(skills::list(&mut *self.pool.acquire().await?, user).await?) };
        let skills = list.await?.iter().map(skills::Row::to_wire).collect();
        Ok(Response::new(ListPersonalSkillsResponse { skills }))
    }

    async fn get_personal_skill(
        &self,
        request: Request<GetPersonalSkillRequest>,
    ) -> Result<Response<GetPersonalSkillResponse>, Status> {
        let user = authz::user(&request)?;
        let row = self.get(user, &request.get_ref().name).await?;
        let skill = Some(row.to_wire());
        Ok(Response::new(GetPersonalSkillResponse { skill }))
    }

    async fn put_personal_skill(
        &self,
        request: Request<PutPersonalSkillRequest>,
    ) -> Result<Response<PutPersonalSkillResponse>, Status> {
        let user = authz::user(&request)?;
        let attempt = Attempt::of(&request, user, "PutPersonalSkill")?;
        respond(self.put(user, attempt.as_ref(), request.into_inner()).await)
    }

    async fn delete_personal_skill(
        &self,
        request: Request<DeletePersonalSkillRequest>,
    ) -> Result<Response<DeletePersonalSkillResponse>, Status> {
        let user = authz::user(&request)?;
        self.delete(user, &request.get_ref().name).await?;
        Ok(Response::new(DeletePersonalSkillResponse {}))
    }
}

fn check(skill: &PutPersonalSkillRequest) -> Result<(), Error> {
    let mut violations = Vec::new();
    let mut refuse = |field: &str, rule: String| {
        violations.push(Violation {
            field: field.to_owned(),
            description: rule,
        });
    };
    if !skill::is_name(&skill.name) {
        refuse("name", skill::Invalid::Name.to_string());
    }
    let (most, length) = (skill::MAX_PERSONAL_DESCRIPTION_BYTES, skill.description.len());
    if length > most {
        refuse("description", format!("must not be longer than {most} bytes"));
    }
    let is_stored = skill.mode() == PutMode::Update && skill.is_body_kept;
    if !is_stored && (skill.body.trim().is_empty() || skill.body.len() > skill::MAX_BYTES) {
        refuse("body", format!("must be 1 to {} bytes", skill::MAX_BYTES));
    }
    for (field, text) in [("description", &skill.description), ("body", &skill.body)] {
        if text.contains('\0') {
            refuse(field, "must not contain NUL characters".to_owned());
        }
    }
    if violations.is_empty() {
        return Ok(());
    }
    let mut fault = Fault::invalid("INVALID_SKILL", "The skill is not valid.");
    fault.violations = violations;
    Err(fault.into())
}

fn not_found() -> Error {
    Fault::not_found("SKILL_NOT_FOUND", "There is no such skill.").into()
}
