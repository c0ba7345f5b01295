//! What provider-gateway sets aside before a completion and records after it.

use std::time::Duration;

use tandem_chat_core::wire as core;
use tandem_proto::storage::v1::{
    ReserveSpendRequest, ReserveSpendResponse, SettleSpendRequest, SettleSpendResponse, UsageRecord,
};
use uuid::Uuid;

use super::super::convert;
use super::limit_micros;
use crate::db::Pool;
use crate::db::spend::{self, Call, Place};
use crate::db::usage::{self, Record};
use crate::error::Error;

const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(7_200);
const MAX_SETTLED: usize = 512;
const MAX_NAME_BYTES: usize = 256;
const PURPOSES: [&str; 4] = ["answer", "title", "turn_summary", "bridge"];

pub(super) async fn reserve_spend(pool: &Pool, message: ReserveSpendRequest) -> Result<ReserveSpendResponse, Error> {
    let completion = convert::id(&message.completion_id, "completion_id")?;
    let owner = convert::id(&message.owner_id, "owner_id")?;
    let place = Place {
        organization: None,
        chat: convert::optional_id(&message.chat_id, "chat_id")?,
    };
    let call = Call {
        completion,
        chat: place.chat,
        purpose: purpose(&message.purpose, "purpose")?,
    };
    let micros = limit_micros(message.micros)?;
    let ttl = message.ttl.and_then(|ttl| Duration::try_from(ttl).ok());
    let ttl = ttl
        .filter(|ttl| (MIN_TTL..=MAX_TTL).contains(ttl))
        .ok_or_else(|| convert::one("ttl", "must be 1 s to 2 h"))?;
    let mut tx = pool.begin().await?;
    spend::lock(&mut tx, owner).await?;
    let Some(standing) = spend::standing(&mut tx, owner, place, Some(call)).await? else {
        return Ok(ReserveSpendResponse { is_limited: false });
    };
    crate::spend::check_room(&standing)?;
    spend::reserve(&mut tx, call, owner, standing.organization_id, micros, ttl).await?;
    tx.commit().await?;
    Ok(ReserveSpendResponse { is_limited: true })
}

pub(super) async fn settle_spend(pool: &Pool, message: SettleSpendRequest) -> Result<SettleSpendResponse, Error> {
    if message.records.len() + message.released_completion_ids.len() > MAX_SETTLED {
        return Err(convert::one("records", "must not be more than 512"));
    }
    let records = message.records.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
    let released = message.released_completion_ids.iter();
    let released: Vec<Uuid> = released
        .map(|id| convert::id(id, "released_completion_ids"))
        .collect::<Result<_, _>>()?;
    usage::settle(&mut *pool.acquire().await?, &records, &released).await?;
    Ok(SettleSpendResponse {})
}

fn record(wire: UsageRecord) -> Result<Record, Error> {
    purpose(&wire.purpose, "records.purpose")?;
    if wire.model.len() > MAX_NAME_BYTES || wire.provider_type.len() > MAX_NAME_BYTES {
        return Err(convert::one("records.model", "must have at most 256 bytes"));
    }
    let usage = core::usage_from_wire(wire.usage.as_ref());
    let count = |tokens: Option<i64>| tokens.unwrap_or(0).max(0);
    Ok(Record {
        completion_id: convert::id(&wire.completion_id, "records.completion_id")?,
        owner_id: convert::id(&wire.owner_id, "records.owner_id")?,
        chat_id: convert::optional_id(&wire.chat_id, "records.chat_id")?,
        root_chat_id: convert::optional_id(&wire.root_chat_id, "records.root_chat_id")?,
        model_config_id: convert::id(&wire.model_config_id, "records.model_config_id")?,
        provider_type: wire.provider_type,
        model: wire.model,
        purpose: wire.purpose,
        input_tokens: count(usage.input_tokens),
        output_tokens: count(usage.output_tokens),
        cache_read_tokens: count(usage.cache_read_tokens),
        cache_creation_tokens: count(usage.cache_creation_tokens),
        cost_micros: wire.cost_micros.map(|micros| micros.max(0)),
        is_estimated: wire.is_estimated,
        runtime_ms: milliseconds(wire.runtime),
        age_ms: milliseconds(wire.age),
    })
}

fn purpose<'a>(text: &'a str, field: &str) -> Result<&'a str, Error> {
    if PURPOSES.contains(&text) {
        Ok(text)
    } else {
        Err(convert::one(field, "must be answer, title, turn_summary or bridge"))
    }
}

/// A stretch of time; nothing here lasts longer than a day.
fn milliseconds(time: Option<prost_types::Duration>) -> i64 {
    const MAX: i64 = 86_400_000;
    let time = time.and_then(|time| Duration::try_from(time).ok()).unwrap_or_default();
    i64::try_from(time.as_millis()).unwrap_or(MAX).min(MAX)
}
