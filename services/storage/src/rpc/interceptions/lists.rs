//! What people look at: their own, or as administrators everybody's.

use std::collections::HashSet;

use prost_types::Timestamp;
use sqlx::PgConnection;
use tandem_chassis::status::Fault;
use tandem_chat_core::wire::{self as core, time_to_wire};
use tandem_proto::storage::v1::*;
use time::OffsetDateTime;
use uuid::Uuid;

use super::room::{Room, cut};
use super::{Viewer, convert};
use crate::db::Pool;
use crate::db::interceptions::details;
use crate::db::interceptions::lists::{self, Filter, Page};
use crate::error::Error;

const DEFAULT_LIMIT: i32 = 100;
const MAX_LIMIT: i32 = 1_000;
const DEFAULT_THREADS: i32 = 50;
const MAX_THREADS: i32 = 200;
/// Of the threads of one page together; threads beyond it are on the next one.
const MAX_INTERCEPTIONS: i64 = 10_000;
/// Looked up at once, texts and all.
const CHUNK: usize = 50;
const MAX_FILTER_BYTES: usize = 256;
const LAST_PROMPT_BYTES: usize = 1_024;

pub(super) async fn list_interceptions(
    pool: &Pool,
    viewer: Viewer,
    message: ListInterceptionsRequest,
) -> Result<ListInterceptionsResponse, Error> {
    let filter = filter(viewer, message.filter.unwrap_or_default())?;
    let page = page(message.limit, message.offset)?;
    let after = convert::optional_id(&message.after_id, "after_id")?;
    let mut conn = pool.acquire().await?;
    let count = lists::count(&mut conn, &filter).await?;
    let after = match after {
        None => None,
        Some(id) => match lists::started_at(&mut conn, id, viewer.only()).await? {
            Some(started_at) => Some((started_at, id)),
            // Behind what is not there is nothing.
            None => {
                return Ok(ListInterceptionsResponse {
                    interceptions: Vec::new(),
                    count,
                });
            }
        },
    };
    let ids = lists::recent(&mut conn, &filter, after, page).await?;
    let (interceptions, _) = load(&mut conn, &ids).await?;
    Ok(ListInterceptionsResponse { interceptions, count })
}

pub(super) async fn list_sessions(
    pool: &Pool,
    viewer: Viewer,
    message: ListSessionsRequest,
) -> Result<ListSessionsResponse, Error> {
    let filter = filter(viewer, message.filter.unwrap_or_default())?;
    let page = page(message.limit, message.offset)?;
    let session = message.after_session_id;
    check_text(&session, "after_session_id")?;
    let mut conn = pool.acquire().await?;
    let count = lists::count_sessions(&mut conn, &filter).await?;
    let after = if session.is_empty() {
        None
    } else {
        match lists::session_started_at(&mut conn, &filter, &session).await? {
            Some(started_at) => Some((started_at, session.as_str())),
            None => {
                return Ok(ListSessionsResponse {
                    sessions: Vec::new(),
                    count,
                });
            }
        }
    };
    let keys = lists::session_keys(&mut conn, &filter, after, page).await?;
    let sessions = lists::sessions(&mut conn, &keys).await?;
    Ok(ListSessionsResponse {
        sessions: sessions.into_iter().map(to_wire).collect(),
        count,
    })
}

pub(super) async fn get_session(
    pool: &Pool,
    viewer: Viewer,
    message: GetSessionRequest,
) -> Result<GetSessionResponse, Error> {
    let not_found = || Fault::not_found("SESSION_NOT_FOUND", "There is no such session.");
    check_text(&message.session_id, "session_id")?;
    let asked = convert::optional_id(&message.initiator_id, "initiator_id")?;
    let after = convert::optional_id(&message.after_thread_id, "after_thread_id")?;
    let limit = limit(message.limit, DEFAULT_THREADS, MAX_THREADS)?;
    let mut conn = pool.acquire().await?;
    let session = message.session_id.as_str();
    let initiator = match asked {
        Some(initiator) if viewer.is_admin || initiator == viewer.id => initiator,
        Some(_) => return Err(not_found().into()),
        None => whose(&mut conn, session, viewer).await?.ok_or_else(not_found)?,
    };
    let key = (session.to_owned(), initiator);
    let found = lists::sessions(&mut conn, std::slice::from_ref(&key)).await?.pop();
    let found = found.ok_or_else(not_found)?;
    let mut threads = lists::threads(&mut conn, (session, initiator), after, limit + 1).await?;
    let mut has_more = threads.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    threads.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut shown = lists::of_threads(&mut conn, (session, initiator), &threads, MAX_INTERCEPTIONS + 1).await?;
    cut_between_threads(&mut shown, usize::try_from(MAX_INTERCEPTIONS).unwrap_or(usize::MAX));
    let ids: Vec<Uuid> = shown.iter().map(|(_, id)| *id).collect();
    let (mut interceptions, no_room_for) = load(&mut conn, &ids).await?;
    if let Some(end) = no_room_for.and_then(|left| ids.iter().position(|id| *id == left)) {
        cut_between_threads(&mut shown, end);
        let kept: HashSet<String> = shown.iter().map(|(_, id)| id.to_string()).collect();
        interceptions.retain(|detail| detail.interception.as_ref().is_some_and(|it| kept.contains(&it.id)));
    }
    // Those of the page that were cut off come next, whether or not there are others behind the page.
    has_more |= shown.last().is_some_and(|(thread, _)| Some(thread) != threads.last());
    Ok(GetSessionResponse {
        session: Some(to_wire(found)),
        interceptions,
        has_more,
    })
}

pub(super) async fn list_interception_values(
    pool: &Pool,
    viewer: Viewer,
    message: ListInterceptionValuesRequest,
) -> Result<ListInterceptionValuesResponse, Error> {
    check_text(&message.prefix, "prefix")?;
    let page = page(message.limit, message.offset)?;
    let pattern = format!("{}%", super::super::users::escape_like(&message.prefix));
    let mut conn = pool.acquire().await?;
    let values = match message.field() {
        InterceptionField::Model => lists::models(&mut conn, viewer.only(), &pattern, page).await?,
        InterceptionField::Client => lists::clients(&mut conn, viewer.only(), &pattern, page).await?,
        InterceptionField::Unspecified => return Err(convert::one("field", "must be set")),
    };
    Ok(ListInterceptionValuesResponse { values })
}

/// Whose session of this key is meant by somebody who does not say.
async fn whose(conn: &mut PgConnection, session: &str, viewer: Viewer) -> Result<Option<Uuid>, Error> {
    let owners = lists::session_owners(conn, session, viewer.only(), viewer.id).await?;
    match owners.as_slice() {
        [] => Ok(None),
        [owner] => Ok(Some(*owner)),
        [first, ..] if *first == viewer.id => Ok(Some(*first)),
        _ => Err(convert::one(
            "initiator_id",
            "must be given, since several users have a session of this key",
        )),
    }
}

/// These interceptions, as many as an answer has room for, and the first there was none for.
async fn load(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(Vec<InterceptionDetail>, Option<Uuid>), Error> {
    let mut room = Room::new();
    let mut loaded = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        for mut detail in details::load(conn, some).await? {
            if !room.take(&mut detail) {
                let left = detail.interception.and_then(|it| it.id.parse().ok());
                return Ok((loaded, left));
            }
            loaded.push(detail);
        }
    }
    Ok((loaded, None))
}

/// Keeps the first `max` at most, and of those only threads that are whole: pages go on behind a thread. Where the first one alone is too
/// long, its beginning stays, and its rest is not shown.
///
/// * `interceptions`: each behind its thread, thread by thread.
fn cut_between_threads(interceptions: &mut Vec<(Uuid, Uuid)>, max: usize) {
    let Some((broken, _)) = interceptions.get(max).copied() else {
        return;
    };
    let whole = interceptions.iter().position(|(thread, _)| *thread == broken);
    match whole {
        None | Some(0) => {
            tracing::warn!(thread_id = %broken, "a thread is too long to be shown whole");
            interceptions.truncate(max);
        }
        Some(end) => interceptions.truncate(end),
    }
}

fn filter(viewer: Viewer, wire: InterceptionFilter) -> Result<Filter, Error> {
    let text = |text: String, field: &str| {
        check_text(&text, field)?;
        Ok::<_, Error>(Some(text).filter(|text| !text.is_empty()))
    };
    Ok(Filter {
        viewer: viewer.only(),
        initiator: convert::optional_id(&wire.initiator_id, "initiator")?,
        started_after: time(wire.started_after.as_ref(), "started_after")?,
        started_before: time(wire.started_before.as_ref(), "started_before")?,
        provider_type: text(wire.provider_type, "provider")?,
        provider_name: text(wire.provider_name, "provider_name")?,
        model: text(wire.model, "model")?,
        client: text(wire.client, "client")?,
        session_id: text(wire.session_id, "session_id")?,
    })
}

fn check_text(text: &str, field: &str) -> Result<(), Error> {
    if text.len() > MAX_FILTER_BYTES {
        return Err(convert::one(field, "must have at most 256 bytes"));
    }
    Ok(())
}

fn time(time: Option<&Timestamp>, field: &str) -> Result<Option<OffsetDateTime>, Error> {
    time.map(|time| core::time_from_wire(time).ok_or_else(|| convert::one(field, "must be a time")))
        .transpose()
}

fn page(asked: i32, offset: i32) -> Result<Page, Error> {
    if offset < 0 {
        return Err(convert::one("offset", "must be at least 0"));
    }
    Ok(Page {
        limit: limit(asked, DEFAULT_LIMIT, MAX_LIMIT)?,
        offset: i64::from(offset),
    })
}

fn limit(asked: i32, default: i32, max: i32) -> Result<i64, Error> {
    match asked {
        0 => Ok(i64::from(default)),
        limit if (1..=max).contains(&limit) => Ok(i64::from(limit)),
        _ => Err(convert::one(
            "limit",
            &format!("must be 1 to {max}, or 0 for {default}"),
        )),
    }
}

fn to_wire(session: lists::Session) -> InterceptionSession {
    let mut last_prompt = session.last_prompt;
    cut(&mut last_prompt, LAST_PROMPT_BYTES);
    InterceptionSession {
        id: session.id,
        initiator_id: session.initiator_id.to_string(),
        initiator_username: session.initiator_username,
        initiator_name: session.initiator_name,
        client: session.client,
        provider_names: session.provider_names,
        models: session.models,
        started_at: Some(time_to_wire(session.started_at)),
        ended_at: Some(time_to_wire(session.ended_at)),
        thread_count: i32::try_from(session.thread_count).unwrap_or(i32::MAX),
        input_tokens: session.input_tokens,
        output_tokens: session.output_tokens,
        cache_read_tokens: session.cache_read_tokens,
        cache_write_tokens: session.cache_write_tokens,
        last_prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_between_threads_and_only_a_thread_too_long_for_a_page_within() {
        let all = |threads: &[u128]| -> Vec<(Uuid, Uuid)> {
            let ids = threads.iter().zip(100_u128..);
            ids.map(|(thread, id)| (Uuid::from_u128(*thread), Uuid::from_u128(id)))
                .collect()
        };
        let list = [1, 1, 2, 2, 2, 3];
        for (max, left) in [(7, 6), (6, 6), (5, 5), (4, 2), (3, 2), (2, 2), (1, 1), (0, 0)] {
            let mut cut = all(&list);
            cut_between_threads(&mut cut, max);
            assert_eq!(cut, all(&list)[..left], "{max}");
        }
    }
}
