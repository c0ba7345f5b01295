//! What the bridge tells of its exchanges. Texts come from clients and vendors: what is too long is cut and what PostgreSQL cannot store is
//! replaced, so that one record never holds up those that come with it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use prost::Message as _;
use tandem_chat_core::wire as core;
use tandem_proto::storage::v1::*;
use time::OffsetDateTime;
use uuid::Uuid;

use super::convert;
use crate::db::Pool;
use crate::db::interceptions::{self, End, Prompt, Start, Thought, Tokens, Tool};
use crate::error::Error;

const MAX_RECORDS: usize = 1_024;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Prompts, arguments, thoughts.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Names, user agents, hints.
const MAX_NAME_BYTES: usize = 256;
const MAX_SESSION_BYTES: usize = 128;
const MAX_ERROR_BYTES: usize = 1024;
const MAX_URL_BYTES: usize = 2048;
const MAX_EXTRA: usize = 16;
const MIN_AGE: Duration = Duration::from_secs(3_600);
const MAX_PRUNED: i32 = 10_000;

pub(super) async fn record_interceptions(
    pool: &Pool,
    message: RecordInterceptionsRequest,
) -> Result<RecordInterceptionsResponse, Error> {
    check_size(&message)?;
    let mut starts = all(message.starts, start)?;
    let mut ends = all(message.ends, end)?;
    let joined = join(&mut starts, &ends);
    let tokens = all(message.token_usages, tokens)?;
    let prompts = all(message.user_prompts, prompt)?;
    let tools = all(message.tool_usages, tool)?;
    let thoughts = all(message.model_thoughts, thought)?;

    let waiting = |start: &&Start| !start.correlating_tool_call_id.is_empty();
    let waiting_ids: Vec<Uuid> = starts.iter().filter(waiting).map(|start| start.id).collect();
    let tool_ids: Vec<Uuid> = tools.iter().map(|tool| tool.id).collect();
    let links_something = !waiting_ids.is_empty() || !tool_ids.is_empty();

    let mut tx = pool.begin().await?;
    interceptions::look_up(&mut tx).await?;
    // Ends too: linking moves whole threads, which may be among those that end. Nobody has seen what begins and ends here.
    if links_something || ends.iter().any(|end| !joined.contains(&end.interception_id)) {
        let initiators: Vec<Uuid> = starts.iter().map(|start| start.initiator_id).collect();
        let changed = tools.iter().map(|tool| tool.interception_id);
        let changed = changed.chain(ends.iter().map(|end| end.interception_id));
        // Whose those are that begin here is known.
        let begun: HashSet<Uuid> = starts.iter().map(|start| start.id).collect();
        let changed: Vec<Uuid> = changed.filter(|id| !begun.contains(id)).collect();
        interceptions::lock(&mut tx, &initiators, &changed).await?;
    }
    let stored = interceptions::insert(&mut tx, &starts).await?;
    if usize::try_from(stored) == Ok(starts.len()) {
        ends.retain(|end| !joined.contains(&end.interception_id));
    }
    interceptions::end(&mut tx, &ends).await?;
    interceptions::insert_tokens(&mut tx, &tokens).await?;
    interceptions::insert_prompts(&mut tx, &prompts).await?;
    interceptions::insert_tools(&mut tx, &tools).await?;
    interceptions::insert_thoughts(&mut tx, &thoughts).await?;
    if links_something {
        interceptions::link(&mut tx, &waiting_ids, &tool_ids).await?;
    }
    tx.commit().await?;
    Ok(RecordInterceptionsResponse {})
}

pub(super) async fn prune_interceptions(
    pool: &Pool,
    message: PruneInterceptionsRequest,
) -> Result<PruneInterceptionsResponse, Error> {
    let age = message.max_age.and_then(|age| Duration::try_from(age).ok());
    let age = age
        .filter(|age| *age >= MIN_AGE)
        .ok_or_else(|| convert::one("max_age", "must be at least 1 h"))?;
    if !(1..=MAX_PRUNED).contains(&message.limit) {
        return Err(convert::one("limit", "must be 1 to 10,000"));
    }
    let limit = i64::from(message.limit);
    let pruned = interceptions::prune(&mut *pool.acquire().await?, age.as_secs_f64(), limit).await?;
    Ok(PruneInterceptionsResponse {
        deleted_rows: pruned.rows,
        has_more: pruned.interceptions == limit,
    })
}

fn check_size(message: &RecordInterceptionsRequest) -> Result<(), Error> {
    let count = message.starts.len()
        + message.ends.len()
        + message.token_usages.len()
        + message.user_prompts.len()
        + message.tool_usages.len()
        + message.model_thoughts.len();
    if count > MAX_RECORDS {
        return Err(convert::one("records", "must not be more than 1,024"));
    }
    if message.encoded_len() > MAX_BYTES {
        return Err(convert::one("records", "must have at most 8 MiB"));
    }
    Ok(())
}

/// Puts the ends of what began and ended meanwhile where their beginnings are; which those are. Such an end is written a second time only
/// where the beginning was stored before.
fn join(starts: &mut [Start], ends: &[End]) -> HashSet<Uuid> {
    let ends: HashMap<Uuid, &End> = ends.iter().map(|end| (end.interception_id, end)).collect();
    let mut joined = HashSet::new();
    for start in starts {
        if let Some(end) = ends.get(&start.id) {
            start.ended_at = Some(end.ended_at);
            start.status = Some(end.status);
            joined.insert(start.id);
        }
    }
    joined
}

fn all<W, R>(records: Vec<W>, read: impl Fn(W) -> Result<R, Error>) -> Result<Vec<R>, Error> {
    records.into_iter().map(read).collect()
}

fn start(wire: Interception) -> Result<Start, Error> {
    Ok(Start {
        id: convert::id(&wire.id, "starts.id")?,
        initiator_id: convert::id(&wire.initiator_id, "starts.initiator_id")?,
        provider_id: convert::optional_id(&wire.provider_id, "starts.provider_id")?,
        credential_kind: match wire.credential_kind() {
            CredentialKind::Byok => "byok",
            CredentialKind::Centralized | CredentialKind::Unspecified => "centralized",
        },
        started_at: time(wire.started_at.as_ref(), "starts.started_at")?,
        ended_at: wire
            .ended_at
            .as_ref()
            .map(|at| time(Some(at), "starts.ended_at"))
            .transpose()?,
        status: None,
        credential_id: text(wire.credential_id, MAX_NAME_BYTES),
        provider_type: text(wire.provider_type, MAX_NAME_BYTES),
        provider_name: text(wire.provider_name, MAX_NAME_BYTES),
        model: text(wire.model, MAX_NAME_BYTES),
        client: text(wire.client, MAX_NAME_BYTES),
        user_agent: text(wire.user_agent, MAX_NAME_BYTES),
        client_session_id: text(wire.client_session_id, MAX_SESSION_BYTES),
        correlating_tool_call_id: text(wire.correlating_tool_call_id, MAX_NAME_BYTES),
        credential_hint: text(wire.credential_hint, MAX_NAME_BYTES),
    })
}

fn end(wire: InterceptionEnd) -> Result<End, Error> {
    Ok(End {
        interception_id: convert::id(&wire.interception_id, "ends.interception_id")?,
        ended_at: time(wire.ended_at.as_ref(), "ends.ended_at")?,
        status: wire.status,
    })
}

fn tokens(wire: TokenUsage) -> Result<Tokens, Error> {
    let extra = wire.extra.into_iter().take(MAX_EXTRA);
    Ok(Tokens {
        id: convert::id(&wire.id, "token_usages.id")?,
        interception_id: convert::id(&wire.interception_id, "token_usages.interception_id")?,
        message_id: text(wire.message_id, MAX_NAME_BYTES),
        input_tokens: wire.input_tokens.max(0),
        output_tokens: wire.output_tokens.max(0),
        cache_read_tokens: wire.cache_read_tokens.max(0),
        cache_write_tokens: wire.cache_write_tokens.max(0),
        extra: extra.map(|(name, count)| (text(name, MAX_NAME_BYTES), count)).collect(),
        created_at: time(wire.created_at.as_ref(), "token_usages.created_at")?,
    })
}

fn prompt(wire: UserPrompt) -> Result<Prompt, Error> {
    Ok(Prompt {
        id: convert::id(&wire.id, "user_prompts.id")?,
        interception_id: convert::id(&wire.interception_id, "user_prompts.interception_id")?,
        message_id: text(wire.message_id, MAX_NAME_BYTES),
        prompt: text(wire.prompt, MAX_TEXT_BYTES),
        created_at: time(wire.created_at.as_ref(), "user_prompts.created_at")?,
    })
}

fn tool(wire: ToolUsage) -> Result<Tool, Error> {
    Ok(Tool {
        id: convert::id(&wire.id, "tool_usages.id")?,
        interception_id: convert::id(&wire.interception_id, "tool_usages.interception_id")?,
        message_id: text(wire.message_id, MAX_NAME_BYTES),
        tool_name: text(wire.tool_name, MAX_NAME_BYTES),
        tool_call_id: text(wire.tool_call_id, MAX_NAME_BYTES),
        server_url: text(wire.server_url, MAX_URL_BYTES),
        arguments_json: text(wire.arguments_json, MAX_TEXT_BYTES),
        is_injected: wire.is_injected,
        invocation_error: text(wire.invocation_error, MAX_ERROR_BYTES),
        created_at: time(wire.created_at.as_ref(), "tool_usages.created_at")?,
    })
}

fn thought(wire: ModelThought) -> Result<Thought, Error> {
    Ok(Thought {
        id: convert::id(&wire.id, "model_thoughts.id")?,
        interception_id: convert::id(&wire.interception_id, "model_thoughts.interception_id")?,
        content: text(wire.content, MAX_TEXT_BYTES),
        source: match wire.source.as_str() {
            "thinking" => "thinking",
            "reasoning_summary" => "reasoning_summary",
            "commentary" => "commentary",
            _ => {
                return Err(convert::one(
                    "model_thoughts.source",
                    "must be thinking, reasoning_summary or commentary",
                ));
            }
        },
        created_at: time(wire.created_at.as_ref(), "model_thoughts.created_at")?,
    })
}

/// Text of at most `max` bytes without NUL characters, cut between two characters.
fn text(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    if text.contains('\0') {
        // One byte becomes three, which may be too long again.
        text = text.replace('\0', "\u{fffd}");
        text.truncate(text.floor_char_boundary(max));
    }
    text
}

fn time(time: Option<&prost_types::Timestamp>, field: &str) -> Result<OffsetDateTime, Error> {
    time.and_then(core::time_from_wire)
        .ok_or_else(|| convert::one(field, "must be a time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_hold_no_nul() {
        assert_eq!(text("abc".to_owned(), 3), "abc");
        assert_eq!(text("abcd".to_owned(), 3), "abc");
        assert_eq!(text("ab\u{e9}".to_owned(), 3), "ab");
        assert_eq!(text("a\0b".to_owned(), 8), "a\u{fffd}b");
        assert_eq!(text("\0\0".to_owned(), 4), "\u{fffd}");
    }
}
