//! How much users may spend, and how much they have spent.

use axum::{extract::State, http::StatusCode};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1 as proto;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Path, id,
    query::Query,
    users,
    wire::usage::{
        ChatCostSummary, ChatCostUsersResponse, ChatUsageLimitConfig, ChatUsageLimitGroupOverride,
        ChatUsageLimitOverride, ChatUsageLimitStatus, ChatUsageLimits, UpdateChatUsageLimitConfigRequest,
        UpsertChatUsageLimitOverrideRequest,
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// What is summed up where nothing is asked for.
const DEFAULT_RANGE: Duration = Duration::days(30);

/// The limits of all; administrators only.
#[utoipa::path(get, path = "/chats/usage-limits", tag = "usage", responses((status = 200, body = ChatUsageLimits)))]
pub async fn limits(State(app): State<App>, who: Principal) -> Result<Reply<ChatUsageLimits>, Problem> {
    who.require_admin()?;
    let request = app.clients.ask(who.user(), proto::GetSpendLimitsRequest {});
    let limits = app.clients.usage.clone().get_spend_limits(request).await.answer()?;
    Ok(Reply::ok(limits.into()))
}

/// Sets the limit of everybody without one of their own, or switches all limits off; administrators only.
#[utoipa::path(put, path = "/chats/usage-limits", tag = "usage", request_body = UpdateChatUsageLimitConfigRequest,
    responses((status = 200, body = ChatUsageLimitConfig)))]
pub async fn put_limit(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<UpdateChatUsageLimitConfigRequest>,
) -> Result<Reply<ChatUsageLimitConfig>, Problem> {
    who.require_admin()?;
    let period = match body.period.as_deref() {
        Some("day") => proto::SpendPeriod::Day,
        Some("week") => proto::SpendPeriod::Week,
        Some("month") => proto::SpendPeriod::Month,
        None | Some("") if body.spend_limit_micros.is_none() => proto::SpendPeriod::Unspecified,
        None | Some(_) => return Err(Problem::field("period", "must be day, week or month")),
    };
    let message = proto::SetSpendLimitRequest {
        limit_micros: body.spend_limit_micros.map(above_zero).transpose()?,
        period: period.into(),
    };
    let request = app.clients.ask(who.user(), message);
    let set = app.clients.usage.clone().set_spend_limit(request).await.answer()?;
    Ok(Reply::ok(set.limit.into()))
}

/// Where the caller stands in the present period.
#[utoipa::path(get, path = "/chats/usage-limits/status", tag = "usage",
    responses((status = 200, body = ChatUsageLimitStatus)))]
pub async fn status(State(app): State<App>, who: Principal) -> Result<Reply<ChatUsageLimitStatus>, Problem> {
    Ok(Reply::ok(standing(&app, &who).await?))
}

/// Sets the limit of one user; administrators only.
#[utoipa::path(put, path = "/chats/usage-limits/overrides/{user}", tag = "usage", params(("user" = Uuid, Path)),
    request_body = UpsertChatUsageLimitOverrideRequest, responses((status = 200, body = ChatUsageLimitOverride)))]
pub async fn put_user(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<UpsertChatUsageLimitOverrideRequest>,
) -> Result<Reply<ChatUsageLimitOverride>, Problem> {
    who.require_admin()?;
    let message = proto::SetUserSpendLimitRequest {
        user_id: id("user", &user)?.to_string(),
        limit_micros: above_zero(body.spend_limit_micros)?,
    };
    let request = app.clients.ask(who.user(), message);
    let set = app.clients.usage.clone().set_user_spend_limit(request).await.answer()?;
    Ok(Reply::ok(
        promised(set.limit, "SetUserSpendLimitResponse.limit")?.into(),
    ))
}

/// Removes the limit of one user, who then has that of others; administrators only.
#[utoipa::path(delete, path = "/chats/usage-limits/overrides/{user}", tag = "usage", params(("user" = Uuid, Path)),
    responses((status = 204)))]
pub async fn delete_user(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let message = proto::DeleteUserSpendLimitRequest {
        user_id: id("user", &user)?.to_string(),
    };
    let request = app.clients.ask(who.user(), message);
    let deleted = app
        .clients
        .usage
        .clone()
        .delete_user_spend_limit(request)
        .await
        .answer();
    deleted.map_err(not_set)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets what each member of an organisation may spend in it; administrators only.
#[utoipa::path(put, path = "/chats/usage-limits/group-overrides/{group}", tag = "usage", params(("group" = Uuid, Path)),
    request_body = UpsertChatUsageLimitOverrideRequest, responses((status = 200, body = ChatUsageLimitGroupOverride)))]
pub async fn put_group(
    State(app): State<App>,
    who: Principal,
    Path(group): Path<String>,
    Body(body): Body<UpsertChatUsageLimitOverrideRequest>,
) -> Result<Reply<ChatUsageLimitGroupOverride>, Problem> {
    who.require_admin()?;
    let message = proto::SetOrganizationSpendLimitRequest {
        organization_id: id("group", &group)?.to_string(),
        limit_micros: above_zero(body.spend_limit_micros)?,
    };
    let request = app.clients.ask(who.user(), message);
    let set = app
        .clients
        .usage
        .clone()
        .set_organization_spend_limit(request)
        .await
        .answer()?;
    let limit = promised(set.limit, "SetOrganizationSpendLimitResponse.limit")?;
    Ok(Reply::ok(limit.into()))
}

/// Removes the limit of an organisation's members; administrators only.
#[utoipa::path(delete, path = "/chats/usage-limits/group-overrides/{group}", tag = "usage",
    params(("group" = Uuid, Path)), responses((status = 204)))]
pub async fn delete_group(
    State(app): State<App>,
    who: Principal,
    Path(group): Path<String>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let message = proto::DeleteOrganizationSpendLimitRequest {
        organization_id: id("group", &group)?.to_string(),
    };
    let request = app.clients.ask(who.user(), message);
    let deleted = app
        .clients
        .usage
        .clone()
        .delete_organization_spend_limit(request)
        .await
        .answer();
    deleted.map_err(not_set)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a user has spent: the caller, or as administrator anybody, by id, name or `me`.
#[utoipa::path(get, path = "/chats/cost/{user}/summary", tag = "usage", params(
    ("user" = String, Path),
    ("start_date" = Option<String>, Query, description = "RFC 3339; the last 30 days where both are absent"),
    ("end_date" = Option<String>, Query, description = "RFC 3339, not included"),
), responses((status = 200, body = ChatCostSummary)))]
pub async fn summary(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    query: Query,
) -> Result<Reply<ChatCostSummary>, Problem> {
    query.only(&["start_date", "end_date"])?;
    let range = Range::read(&query, app.clock.now())?;
    let own = who.user().id.to_string();
    let user_id = match users::resolve(&app, &who, &user).await {
        Ok(user_id) if who.user().is_admin || user_id == own => user_id,
        Err(problem) if who.user().is_admin => return Err(problem),
        // Nobody learns who there is.
        Ok(_) | Err(_) => {
            return Err(Fault::forbidden("ADMIN_ONLY", "only an administrator may see what others spend").into());
        }
    };
    let is_own = user_id == own;
    let message = proto::GetCostSummaryRequest {
        user_id,
        start: Some(range.start()),
        end: Some(range.end()),
    };
    let request = app.clients.ask(who.user(), message);
    let costs = app.clients.usage.clone().get_cost_summary(request).await.answer()?;
    let usage_limit = match is_own {
        true => Some(standing(&app, &who).await?).filter(|status| status.is_limited),
        false => None,
    };
    Ok(Reply::ok(ChatCostSummary::new(range.text()?, costs, usage_limit)))
}

/// What each user has spent; administrators only.
#[utoipa::path(get, path = "/chats/cost/users", tag = "usage", params(
    ("start_date" = Option<String>, Query, description = "RFC 3339; the last 30 days where both are absent"),
    ("end_date" = Option<String>, Query, description = "RFC 3339, not included"),
    ("username" = Option<String>, Query, description = "Part of username or name"),
    ("limit" = Option<i32>, Query, description = "10 where absent or 0; at most 1,000 are given"),
    ("offset" = Option<i32>, Query),
), responses((status = 200, body = ChatCostUsersResponse)))]
pub async fn users(
    State(app): State<App>,
    who: Principal,
    query: Query,
) -> Result<Reply<ChatCostUsersResponse>, Problem> {
    who.require_admin()?;
    query.only(&["start_date", "end_date", "username", "limit", "offset"])?;
    let range = Range::read(&query, app.clock.now())?;
    let message = proto::ListUserCostsRequest {
        start: Some(range.start()),
        end: Some(range.end()),
        search: query.one("username")?.unwrap_or_default().to_owned(),
        limit: query.read::<i32>("limit", "a whole number")?.unwrap_or(0).max(0),
        offset: query.number::<i32>("offset", 0)?.unwrap_or(0),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.usage.clone().list_user_costs(request).await.answer()?;
    let (start_date, end_date) = range.text()?;
    Ok(Reply::ok(ChatCostUsersResponse {
        start_date,
        end_date,
        count: listed.count,
        users: listed.users.into_iter().map(Into::into).collect(),
    }))
}

async fn standing(app: &App, who: &Principal) -> Result<ChatUsageLimitStatus, Problem> {
    let request = app.clients.ask(who.user(), proto::GetSpendStatusRequest {});
    let found = app.clients.usage.clone().get_spend_status(request).await.answer()?;
    Ok(found.status.into())
}

fn above_zero(micros: i64) -> Result<i64, Problem> {
    if micros > 0 {
        Ok(micros)
    } else {
        Err(Problem::field("spend_limit_micros", "must be above 0"))
    }
}

/// What cannot be removed because it is not there is a bad request here, as it has always been.
fn not_set(fault: Fault) -> Problem {
    Problem::from(fault).references_are_invalid(&[])
}

/// From the first time on, before the second.
struct Range(OffsetDateTime, OffsetDateTime);

impl Range {
    fn read(query: &Query, now: OffsetDateTime) -> Result<Self, Problem> {
        let read = |name: &str| {
            query
                .one(name)?
                .map(|text| {
                    OffsetDateTime::parse(text, &Rfc3339)
                        .map_err(|_| Problem::field(name, "must be a time of RFC 3339"))
                })
                .transpose()
        };
        let end = read("end_date")?.unwrap_or(now);
        let start = match read("start_date")? {
            Some(start) => start,
            None => end.checked_sub(DEFAULT_RANGE).unwrap_or(end),
        };
        if start > end {
            return Err(Problem::field("end_date", "must not be before start_date"));
        }
        Ok(Self(start, end))
    }

    fn start(&self) -> prost_types::Timestamp {
        timestamp(self.0)
    }

    fn end(&self) -> prost_types::Timestamp {
        timestamp(self.1)
    }

    fn text(&self) -> Result<(String, String), Fault> {
        let text = |time: OffsetDateTime| {
            time.format(&Rfc3339)
                .map_err(|error| Fault::internal("ENCODE_TIME", error))
        };
        Ok((text(self.0)?, text(self.1)?))
    }
}

fn timestamp(time: OffsetDateTime) -> prost_types::Timestamp {
    tandem_chat_core::wire::time_to_wire(time)
}
