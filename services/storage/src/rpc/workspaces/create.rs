//! New workspaces: of a template, or the one a chat gets by itself.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_chat_core::chat::Command;
use tandem_proto::common::v1::WatchKind;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use super::{Workspaces, builds, not_found, read, wire};
use crate::change::{Open, Payload};
use crate::db::{chats, settings, sqlstate, templates, workspaces};
use crate::error::{Error, chat_not_found};
use crate::hints::Hint;
use crate::idempotency::{Attempt, Tx};
use crate::names;
use crate::rpc::{convert, templates as template_rules};
use crate::template_spec::{self, Spec};

/// Most bytes of a name, and of what of a template's name is in one that we make.
const MAX_NAME_BYTES: usize = 64;
const MAX_BASE_BYTES: usize = 27;

/// How long a workspace made for a chat goes unused before it stops, in milliseconds; 0 or unset: as its template says.
const CHAT_TTL: &str = "workspace_ttl_ms";

/// Whether a chat gets a workspace by itself when it needs one; unset: yes.
const CHATS_GET_WORKSPACES: &str = "chats_get_workspaces";

impl Workspaces {
    pub(super) async fn create(
        &self,
        attempt: Option<&Attempt>,
        user: &User,
        request: CreateWorkspaceRequest,
    ) -> Result<CreateWorkspaceResponse, Error> {
        let template = convert::id(&request.template_id, "template_id")?;
        let chat = convert::optional_id(&request.chat_id, "chat_id")?;
        let preset = convert::optional_id(&request.preset_id, "preset_id")?;
        let given: BTreeMap<String, String> = request.parameters.into_iter().collect();
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        // Of two calls at once, the second sees what the first made.
        let bound = match chat {
            Some(chat) => {
                chats::lock(&mut tx, chat, user.id)
                    .await?
                    .ok_or_else(chat_not_found)?
                    .workspace_id
            }
            None => None,
        };
        let existing = of_use(&mut tx, bound, user.id).await?;
        let filter = template_rules::visible(&mut tx, user, chat).await?;
        // Nobody makes another version the active one before the workspace has this one.
        templates::active(&mut tx, template).await?;
        let template = templates::find(&mut tx, template, &filter)
            .await?
            .ok_or_else(template_rules::not_found)?;
        if let Some(existing) = existing {
            let answer = CreateWorkspaceResponse {
                workspace: Some(wire(&mut tx, &existing).await?),
                is_existing: true,
            };
            tx.answer(&answer).await?;
            return Ok(answer);
        }
        if chat.is_some() && template.backend == "external" {
            let text = "Workspaces of this template run on a host of the user's own, which only the user can start. Choose another \
                template, or ask the user to create the workspace, to start it there and to attach it to the chat.";
            return Err(Fault::wrong_state("TEMPLATE_EXTERNAL", text).into());
        }
        let preset = match preset {
            None => template.spec.presets.iter().find(|preset| preset.is_default),
            Some(id) => Some(
                template
                    .spec
                    .presets
                    .iter()
                    .find(|preset| preset.id == id)
                    .ok_or_else(|| convert::one("preset_id", "is no preset of the template"))?,
            ),
        };
        let parameters = template
            .spec
            .resolve(&given, preset)
            .map_err(|broken| template_rules::refused("", broken))?;
        let ttl_ms = match (request.ttl_ms, chat) {
            (Some(ttl_ms), _) => ttl_ms,
            (None, Some(_)) => chat_ttl(&mut tx, &template.spec).await?,
            (None, None) => template.spec.default_ttl_ms,
        };
        check_ttl(ttl_ms)?;
        let id = Uuid::now_v7();
        let name = name(&request.name, &template.name, id, chat.is_some())?;
        let new = workspaces::New {
            id,
            owner_id: user.id,
            organization_id: template.organization_id,
            name: &name,
            template_name: &template.name,
            template_id: template.id,
            template_version_id: template.active_version_id,
            parameters: &parameters,
            ttl_ms,
        };
        let inserted = workspaces::insert(&mut tx, &new).await;
        inserted.map_err(|error| name_taken(error, &name))?;
        let reason = if chat.is_some() {
            BuildReason::Chat
        } else {
            BuildReason::User
        };
        let row = workspaces::lock(&mut tx, id, None).await?.ok_or_else(not_found)?;
        builds::begin(&mut tx, &row, WorkspaceTransition::Start, reason, Some(user.id)).await?;
        let mut told = None;
        if let Some(chat) = chat {
            let mut open = Open::for_user(tx, chat, user.id).await?;
            open.row.workspace_id = Some(id);
            open.touch();
            open.watch(WatchKind::StatusChange);
            let bind = Command::UpdateMetadata { is_pinning: false };
            open.apply(&[bind], Payload::default()).await?;
            let (rest, done) = open.leave_open().await?;
            tx = rest;
            told = Some(Hint::of(&done.row));
        }
        let answer = CreateWorkspaceResponse {
            workspace: Some(read(&mut tx, id).await?),
            is_existing: false,
        };
        tx.answer(&answer).await?;
        if let Some(hint) = told {
            self.hints.send(hint);
        }
        Ok(answer)
    }

    /// The workspace of a chat, made if there is none.
    pub(super) async fn ensure(&self, user: Uuid, chat: Uuid) -> Result<EnsureChatWorkspaceResponse, Error> {
        let mut tx = self.pool.begin().await?;
        let row = chats::find(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
        let mut bound = match row.workspace_id {
            Some(id) => workspaces::find(&mut tx, id, Some(user)).await?,
            None => None,
        };
        if bound.as_ref().is_none_or(|found| found.latest_build_id.is_none()) {
            // Of two calls at once, the second sees what the first made.
            let row = chats::lock(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
            bound = match row.workspace_id {
                Some(id) => workspaces::lock(&mut tx, id, Some(user)).await?,
                None => None,
            };
            if bound.is_none() {
                let id = local(&mut tx, &row).await?;
                let made = workspaces::find(&mut tx, id, None).await?.ok_or_else(not_found)?;
                let answer = answer(&mut tx, &made, true).await?;
                tx.commit().await?;
                return Ok(answer);
            }
        }
        let mut found = bound.ok_or_else(not_found)?;
        if found.latest_build_id.is_none() {
            // Made before there were builds.
            builds::prepare(&mut tx, &mut found, &BTreeMap::new()).await?;
            let transition = WorkspaceTransition::Start;
            builds::begin(&mut tx, &found, transition, BuildReason::Chat, Some(user)).await?;
            found = workspaces::find(&mut tx, found.id, None).await?.ok_or_else(not_found)?;
        }
        let answer = answer(&mut tx, &found, false).await?;
        tx.commit().await?;
        Ok(answer)
    }
}

/// The workspace a chat is bound to, if it can be worked in, or once it is started; its build is waited for by whoever is told of it.
async fn of_use(conn: &mut PgConnection, bound: Option<Uuid>, user: Uuid) -> Result<Option<workspaces::Row>, Error> {
    let Some(bound) = bound else { return Ok(None) };
    let Some(row) = workspaces::lock(&mut *conn, bound, Some(user)).await? else {
        return Ok(None);
    };
    let is_local = row.backend.as_deref().is_none_or(|backend| backend == "local");
    let is_of_use = match row.status.as_str() {
        "stopped" | "starting" | "stopping" => true,
        // Agents of ours start when they are needed; others are there or not.
        "running" => is_local || row.agent_is_connected,
        _ => false,
    };
    Ok(is_of_use.then_some(row))
}

/// Makes a chat's workspace from the built-in template, and binds the chat.
async fn local(tx: &mut PgConnection, chat: &chats::Row) -> Result<Uuid, Error> {
    let is_allowed = settings::deployment(&mut *tx, CHATS_GET_WORKSPACES).await?;
    if chat.workspace_id.is_some() || is_allowed == Some(serde_json::Value::Bool(false)) {
        return Err(none(chat));
    }
    let (template_id, _) = templates::local(&mut *tx, chat.organization_id).await?;
    let active = templates::active(&mut *tx, template_id).await?;
    let template_version_id = active.ok_or_else(template_rules::not_found)?.version_id;
    let (_, spec) = templates::version(&mut *tx, template_version_id)
        .await?
        .ok_or_else(template_rules::not_found)?;
    let preset = spec.presets.iter().find(|preset| preset.is_default);
    let parameters = spec
        .resolve(&BTreeMap::new(), preset)
        .map_err(|broken| template_rules::refused("", broken))?;
    let id = Uuid::now_v7();
    let tail = id.simple().to_string().split_off(20);
    let new = workspaces::New {
        id,
        owner_id: chat.owner_id,
        organization_id: chat.organization_id,
        name: &format!("{}-{tail}", templates::LOCAL),
        template_name: templates::LOCAL,
        template_id,
        template_version_id,
        parameters: &parameters,
        ttl_ms: chat_ttl(&mut *tx, &spec).await?,
    };
    workspaces::insert(&mut *tx, &new).await?;
    let row = workspaces::lock(&mut *tx, id, None).await?.ok_or_else(not_found)?;
    let transition = WorkspaceTransition::Start;
    builds::begin(&mut *tx, &row, transition, BuildReason::Chat, Some(chat.owner_id)).await?;
    workspaces::bind(tx, chat.id, id).await?;
    Ok(id)
}

async fn answer(
    conn: &mut PgConnection,
    row: &workspaces::Row,
    is_created: bool,
) -> Result<EnsureChatWorkspaceResponse, Error> {
    let version = match row.template_version_id {
        Some(version) => templates::version(&mut *conn, version).await?,
        None => None,
    };
    Ok(EnsureChatWorkspaceResponse {
        workspace: Some(wire(conn, row).await?),
        is_created,
        spec: version.map(|(backend, spec)| spec.to_wire(&backend)),
    })
}

/// Why a chat has nothing to work in, in words for the model.
fn none(chat: &chats::Row) -> Error {
    let what = if chat.workspace_id.is_some() {
        "The chat's workspace was deleted."
    } else {
        "The chat has no workspace."
    };
    let then = if chat.parent_chat_id.is_some() {
        "Report to the chat that gave you this task that a workspace is needed."
    } else {
        "Use create_workspace to make one; list_templates shows what there is."
    };
    Fault::wrong_state("NO_WORKSPACE", format!("{what} {then}")).into()
}

async fn chat_ttl(conn: &mut PgConnection, spec: &Spec) -> Result<i64, Error> {
    let stored = settings::deployment(conn, CHAT_TTL).await?;
    let set = stored.and_then(|value| value.as_i64());
    Ok(set
        .filter(|ttl_ms| *ttl_ms > 0 && template_spec::is_ttl(*ttl_ms))
        .unwrap_or(spec.default_ttl_ms))
}

/// Refuses what is no time to live.
pub(super) fn check_ttl(ttl_ms: i64) -> Result<(), Error> {
    if template_spec::is_ttl(ttl_ms) {
        return Ok(());
    }
    let (min, max) = (template_spec::MIN_TTL_MS, template_spec::MAX_TTL_MS);
    Err(convert::one("ttl_ms", &format!("must be 0, or {min} to {max}")))
}

/// The name that was given; what it was meant to be, or one of the template's, when a model gives none that is valid.
fn name(given: &str, template: &str, id: Uuid, is_lenient: bool) -> Result<String, Error> {
    let given = given.trim();
    if is_name(given) {
        return Ok(given.to_owned());
    }
    if !given.is_empty() && !is_lenient {
        return Err(invalid_name());
    }
    let letters = if given.is_empty() { template } else { given };
    let mut base = String::new();
    for letter in letters.to_lowercase().chars() {
        let is_fine = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        match is_fine {
            true => base.push(letter),
            false if !base.is_empty() && !base.ends_with('-') => base.push('-'),
            false => {}
        }
        if base.len() >= MAX_BASE_BYTES {
            break;
        }
    }
    let base = base.trim_matches('-');
    let base = if base.is_empty() { "workspace" } else { base };
    let tail = id.simple().to_string().split_off(28);
    Ok(format!("{base}-{tail}"))
}

pub(super) fn invalid_name() -> Error {
    let rule = "must be letters and digits joined by single hyphens or underscores, at most 64 characters";
    convert::one("name", rule)
}

/// Whether people can name a workspace so.
pub(super) fn is_name(name: &str) -> bool {
    names::is_words(name, MAX_NAME_BYTES, &['-', '_'], |byte| byte.is_ascii_alphanumeric())
}

pub(super) fn name_taken(error: sqlx::Error, name: &str) -> Error {
    if sqlstate::violates(&error, "workspaces_live_name") {
        let text = format!("You have a workspace named {name:?} already.");
        return Fault::exists("WORKSPACE_NAME_TAKEN", text).into();
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_or_made() {
        let id = Uuid::from_u128(0xabcd);
        assert_eq!(name("My-box_2", "rust", id, false).unwrap(), "My-box_2");
        assert!(name("no good", "rust", id, false).is_err());
        assert_eq!(name("", "rust", id, false).unwrap(), "rust-abcd");
        assert_eq!(name("Fix: the bug!", "rust", id, true).unwrap(), "fix-the-bug-abcd");
        assert_eq!(name("ÄÖ", "rust", id, true).unwrap(), "workspace-abcd");
        let long = name(&"long ".repeat(20), "rust", id, true).unwrap();
        assert!(long.len() <= MAX_BASE_BYTES + 5 && is_name(&long), "{long}");
    }
}
