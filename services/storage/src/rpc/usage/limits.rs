//! Limits as administrators set them, and where a user stands.

use tandem_chassis::status::Fault;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use super::super::convert;
use super::{limit_micros, limit_not_found};
use crate::db::spend::{self, Place};
use crate::db::{Pool, models};
use crate::error::Error;

/// What a model's options call its prices, within `cost` or, in old ones, beside it.
const PRICES: [&str; 4] = [
    "input_price_per_million_tokens",
    "output_price_per_million_tokens",
    "cache_read_price_per_million_tokens",
    "cache_write_price_per_million_tokens",
];

pub(super) async fn get_spend_status(pool: &Pool, user: Uuid) -> Result<GetSpendStatusResponse, Error> {
    let mut conn = pool.acquire().await?;
    let standing = spend::standing(&mut conn, user, Place::default(), None).await?;
    Ok(GetSpendStatusResponse {
        status: standing.map(|standing| SpendStatus {
            period: period(&standing.period).into(),
            limit_micros: standing.limit_micros,
            spent_micros: standing.spent_micros,
            reserved_micros: standing.reserved_micros,
            period_start: Some(time_to_wire(standing.period_start)),
            period_end: Some(time_to_wire(standing.period_end)),
        }),
    })
}

pub(super) async fn get_spend_limits(pool: &Pool, _: GetSpendLimitsRequest) -> Result<GetSpendLimitsResponse, Error> {
    let mut conn = pool.acquire().await?;
    let limit = spend::limit(&mut conn).await?;
    let users = spend::user_limits(&mut conn).await?;
    let organizations = spend::organization_limits(&mut conn, None).await?;
    let models = models::list(&mut conn).await?;
    let unpriced = models
        .iter()
        .filter(|model| model.is_enabled && model.is_provider_enabled && !is_priced(model.call_config.as_ref()));
    Ok(GetSpendLimitsResponse {
        limit: limit.map(limit_to_wire),
        unpriced_model_count: i32::try_from(unpriced.count()).unwrap_or(i32::MAX),
        users: users.into_iter().map(user_to_wire).collect(),
        organizations: organizations.into_iter().map(organization_to_wire).collect(),
    })
}

pub(super) async fn set_spend_limit(
    pool: &Pool,
    message: SetSpendLimitRequest,
) -> Result<SetSpendLimitResponse, Error> {
    let limit = message.limit_micros.map(limit_micros).transpose()?;
    let period = match message.period() {
        SpendPeriod::Unspecified => None,
        SpendPeriod::Day => Some("day"),
        SpendPeriod::Week => Some("week"),
        SpendPeriod::Month => Some("month"),
    };
    let stored = spend::set_limit(&mut *pool.acquire().await?, limit, period).await?;
    Ok(SetSpendLimitResponse {
        limit: Some(limit_to_wire(stored)),
    })
}

pub(super) async fn set_user_spend_limit(
    pool: &Pool,
    message: SetUserSpendLimitRequest,
) -> Result<SetUserSpendLimitResponse, Error> {
    let user = convert::id(&message.user_id, "user")?;
    let micros = limit_micros(message.limit_micros)?;
    let stored = spend::set_user_limit(&mut *pool.acquire().await?, user, micros).await?;
    let stored = stored.ok_or_else(|| Fault::not_found("USER_NOT_FOUND", "There is no such user."))?;
    Ok(SetUserSpendLimitResponse {
        limit: Some(user_to_wire(stored)),
    })
}

pub(super) async fn delete_user_spend_limit(
    pool: &Pool,
    message: DeleteUserSpendLimitRequest,
) -> Result<DeleteUserSpendLimitResponse, Error> {
    let user = convert::id(&message.user_id, "user")?;
    if spend::delete_user_limit(&mut *pool.acquire().await?, user).await? {
        Ok(DeleteUserSpendLimitResponse {})
    } else {
        Err(limit_not_found())
    }
}

pub(super) async fn set_organization_spend_limit(
    pool: &Pool,
    message: SetOrganizationSpendLimitRequest,
) -> Result<SetOrganizationSpendLimitResponse, Error> {
    let organization = convert::id(&message.organization_id, "group")?;
    let micros = limit_micros(message.limit_micros)?;
    let not_found = || Fault::not_found("ORGANIZATION_NOT_FOUND", "There is no such organization.");
    let mut conn = pool.acquire().await?;
    if !spend::set_organization_limit(&mut conn, organization, micros).await? {
        return Err(not_found().into());
    }
    let stored = spend::organization_limits(&mut conn, Some(organization)).await?.pop();
    Ok(SetOrganizationSpendLimitResponse {
        limit: Some(organization_to_wire(stored.ok_or_else(not_found)?)),
    })
}

pub(super) async fn delete_organization_spend_limit(
    pool: &Pool,
    message: DeleteOrganizationSpendLimitRequest,
) -> Result<DeleteOrganizationSpendLimitResponse, Error> {
    let organization = convert::id(&message.organization_id, "group")?;
    if spend::delete_organization_limit(&mut *pool.acquire().await?, organization).await? {
        Ok(DeleteOrganizationSpendLimitResponse {})
    } else {
        Err(limit_not_found())
    }
}

fn limit_to_wire(limit: spend::Limit) -> SpendLimit {
    SpendLimit {
        limit_micros: limit.limit_micros,
        period: period(&limit.period).into(),
        updated_at: Some(time_to_wire(limit.updated_at)),
    }
}

fn user_to_wire(limit: spend::UserLimit) -> UserSpendLimit {
    UserSpendLimit {
        user_id: limit.user_id.to_string(),
        username: limit.username,
        name: limit.name,
        limit_micros: limit.limit_micros,
    }
}

fn organization_to_wire(limit: spend::OrganizationLimit) -> OrganizationSpendLimit {
    OrganizationSpendLimit {
        organization_id: limit.organization_id.to_string(),
        name: limit.name,
        display_name: limit.display_name,
        member_count: i32::try_from(limit.member_count).unwrap_or(i32::MAX),
        limit_micros: limit.limit_micros,
    }
}

/// The table knows no other names.
fn period(stored: &str) -> SpendPeriod {
    match stored {
        "day" => SpendPeriod::Day,
        "week" => SpendPeriod::Week,
        _ => SpendPeriod::Month,
    }
}

fn is_priced(options: Option<&serde_json::Value>) -> bool {
    let Some(options) = options else { return false };
    let price = |name: &str| {
        options
            .get("cost")
            .and_then(|cost| cost.get(name))
            .or_else(|| options.get(name))
    };
    PRICES
        .iter()
        .any(|name| price(name).is_some_and(|price| !price.is_null()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_has_a_price_where_one_is_set() {
        for priced in [
            json!({"cost": {"input_price_per_million_tokens": "0"}}),
            json!({"output_price_per_million_tokens": 1.5}),
        ] {
            assert!(is_priced(Some(&priced)), "{priced}");
        }
        for unpriced in [
            json!({}),
            json!({"cost": null}),
            json!({"cost": {"input_price_per_million_tokens": null}}),
            json!({"temperature": 1}),
        ] {
            assert!(!is_priced(Some(&unpriced)), "{unpriced}");
        }
        assert!(!is_priced(None));
    }
}
