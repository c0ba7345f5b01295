//! What users have spent, added up.

use std::time::Duration;

use tandem_chat_core::wire as core;
use tandem_proto::storage::v1::*;

use super::super::convert;
use crate::db::Pool;
use crate::db::usage::{self, Range};
use crate::error::Error;

const DEFAULT_USERS: i32 = 10;
const MAX_USERS: i32 = 1_000;
const MAX_SEARCH_BYTES: usize = 256;

pub(super) async fn get_cost_summary(
    pool: &Pool,
    message: GetCostSummaryRequest,
) -> Result<GetCostSummaryResponse, Error> {
    let user = convert::id(&message.user_id, "user")?;
    let range = range(message.start.as_ref(), message.end.as_ref())?;
    let mut conn = pool.acquire().await?;
    let total = usage::total(&mut conn, user, range).await?;
    let models = usage::by_model(&mut conn, user, range).await?;
    let chats = usage::by_chat(&mut conn, user, range).await?;
    let models = models.into_iter().map(|(model, costs)| ModelCosts {
        model_config_id: model.id.to_string(),
        display_name: model.display_name,
        provider_type: model.provider_type,
        model: model.model,
        costs: Some(to_wire(costs)),
    });
    let chats = chats.into_iter().map(|(family, costs)| ChatCosts {
        root_chat_id: family.root.map(|id| id.to_string()).unwrap_or_default(),
        title: family.title,
        costs: Some(to_wire(costs)),
    });
    Ok(GetCostSummaryResponse {
        total: Some(to_wire(total)),
        models: models.collect(),
        chats: chats.collect(),
    })
}

pub(super) async fn list_user_costs(
    pool: &Pool,
    message: ListUserCostsRequest,
) -> Result<ListUserCostsResponse, Error> {
    let range = range(message.start.as_ref(), message.end.as_ref())?;
    if message.search.len() > MAX_SEARCH_BYTES {
        return Err(convert::one("username", "must have at most 256 bytes"));
    }
    let limit = match message.limit {
        ..=0 => DEFAULT_USERS,
        limit => limit.min(MAX_USERS),
    };
    let pattern = format!("%{}%", super::super::users::escape_like(&message.search));
    let mut conn = pool.acquire().await?;
    let offset = i64::from(message.offset.max(0));
    let users = usage::by_user(&mut conn, range, &pattern, i64::from(limit), offset).await?;
    let count = usage::count_users(&mut conn, range, &pattern).await?;
    let users = users.into_iter().map(|(spender, costs)| UserCosts {
        user_id: spender.id.to_string(),
        username: spender.username,
        name: spender.name,
        chat_count: spender.chat_count,
        costs: Some(to_wire(costs)),
    });
    Ok(ListUserCostsResponse {
        users: users.collect(),
        count,
    })
}

fn range(start: Option<&prost_types::Timestamp>, end: Option<&prost_types::Timestamp>) -> Result<Range, Error> {
    let read = |time: Option<&prost_types::Timestamp>, field| {
        time.and_then(core::time_from_wire)
            .ok_or_else(|| convert::one(field, "must be a time"))
    };
    let (start, end) = (read(start, "start_date")?, read(end, "end_date")?);
    if start > end {
        return Err(convert::one("end_date", "must not be before start_date"));
    }
    Ok(Range { start, end })
}

fn to_wire(costs: usage::Costs) -> Costs {
    let runtime = Duration::from_millis(costs.runtime_ms.unsigned_abs());
    Costs {
        cost_micros: costs.cost_micros,
        call_count: costs.call_count,
        priced_call_count: costs.priced_call_count,
        input_tokens: costs.input_tokens,
        output_tokens: costs.output_tokens,
        cache_read_tokens: costs.cache_read_tokens,
        cache_creation_tokens: costs.cache_creation_tokens,
        runtime: prost_types::Duration::try_from(runtime).ok(),
    }
}
