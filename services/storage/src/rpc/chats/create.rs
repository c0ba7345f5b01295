//! A chat begins: its row, what the model is told first, and the user's first message, in one transaction.

use std::collections::{BTreeMap, HashSet};

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chassis::status::Fault;
use tandem_chat_core::approval::ApprovalMode;
use tandem_chat_core::chat::{Lineage, State};
use tandem_chat_core::message::{Role, Visibility};
use tandem_chat_core::part::Part;
use tandem_chat_core::prompt::DEFAULT_SYSTEM_PROMPT;
use tandem_chat_core::{label, title};
use tandem_proto::common::v1::{ClientType, DynamicTool, PlanMode, WatchKind};
use tandem_proto::storage::v1::{CreateChatRequest, CreateChatResponse};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Asker, Chats, input};
use crate::db::changes::{self, Change};
use crate::db::{chats, messages, settings};
use crate::error::Error;
use crate::hints::Hint;
use crate::rpc::convert;
use crate::rpc::turns::StoredTool;

const MAX_SYSTEM_PROMPT_BYTES: usize = 10_000;
const MAX_DYNAMIC_TOOLS: usize = 250;

/// What the model must know of its surroundings.
const WORKSPACE_NOTE: &str = "This chat has a workspace: a directory on a machine that belongs to the person's chat. It is \
made at the first tool call that needs it, and stays. Paths are relative to it, or absolute within it.";

impl Chats {
    pub(super) async fn create_chat(
        &self,
        asker: &Asker,
        request: CreateChatRequest,
    ) -> Result<CreateChatResponse, Error> {
        let organization = convert::id(&request.organization_id, "organization_id")?;
        if !asker.organizations.contains(&organization) {
            return Err(Fault::forbidden("NOT_A_MEMBER", "You are not a member of this organization.").into());
        }
        if request.system_prompt.len() > MAX_SYSTEM_PROMPT_BYTES {
            return Err(convert::one("system_prompt", "must have at most 10,000 bytes"));
        }
        let labels: BTreeMap<String, String> = request.labels.clone().into_iter().collect();
        label::validate(&labels).map_err(convert::many)?;
        let tools = dynamic_tools(request.dynamic_tools.clone())?;
        let approval_mode = super::approvals::mode(request.approval_mode(), self.minimum)?;

        let mut tx = asker.begin(&self.pool).await?;
        let input = input::read(&mut tx, request.message.clone(), asker.user).await?;
        let workspace = workspace(&mut tx, &request.workspace_id, asker.user).await?;
        let model = input::model(&mut tx, input.model, None, asker.user, organization).await?;
        let mcp_servers = input::mcp_servers(&mut tx, &request.mcp_server_ids, &[]).await?;
        let row = row(
            &request,
            asker.user,
            organization,
            model,
            workspace,
            title::fallback(&input.parts),
            labels,
            mcp_servers,
            tools,
            approval_mode,
        );
        let change = Change {
            watch_kinds: vec![WatchKind::Created.into()],
            ..Change::default()
        };
        changes::create(&mut tx, &row, &change).await?;
        let system = system_messages(&mut tx, &request.system_prompt).await?;
        let user_message = messages::New {
            created_by: Some(asker.user),
            model_config_id: Some(model),
            ..messages::New::plain(Role::User, Visibility::Both, input.parts)
        };
        let first: Vec<_> = system.into_iter().chain([user_message]).collect();
        messages::insert(&mut tx, row.id, &first).await?;
        let warnings = input::link(&mut tx, row.id, &input.files).await?;
        let stored = chats::find(&mut tx, row.id, asker.user)
            .await?
            .ok_or_else(crate::error::chat_not_found)?;
        let mut chat = convert::chat(&stored);
        chat.files = super::queries::files(&mut tx, row.id).await?;
        let answer = CreateChatResponse {
            chat: Some(chat),
            warnings,
        };
        tx.answer(&answer).await?;
        self.hints.send(Hint::of(&stored));
        Ok(answer)
    }
}

async fn system_messages(conn: &mut PgConnection, chat_prompt: &str) -> Result<Vec<messages::New>, Error> {
    let deployment = settings::deployment_prompt(conn).await?;
    let mut texts = Vec::new();
    let default = if deployment.is_default_included {
        DEFAULT_SYSTEM_PROMPT
    } else {
        ""
    };
    texts.push(
        [default, deployment.custom.as_str()]
            .iter()
            .filter(|text| !text.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("\n\n"),
    );
    texts.push(chat_prompt.trim().to_owned());
    texts.push(WORKSPACE_NOTE.to_owned());
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    Ok(texts
        .map(|text| messages::New::plain(Role::System, Visibility::Model, vec![Part::text(text)]))
        .collect())
}

async fn workspace(conn: &mut PgConnection, id: &str, user: Uuid) -> Result<Option<Uuid>, Error> {
    let Some(id) = convert::optional_id(id, "workspace_id")? else {
        return Ok(None);
    };
    super::metadata::check_workspace(conn, id, user).await?;
    Ok(Some(id))
}

fn dynamic_tools(tools: Vec<DynamicTool>) -> Result<serde_json::Value, Error> {
    if tools.len() > MAX_DYNAMIC_TOOLS {
        return Err(convert::one(
            "unsafe_dynamic_tools",
            "must not hold more than 250 tools",
        ));
    }
    let mut names = HashSet::new();
    for tool in &tools {
        if tool.name.is_empty() || !names.insert(tool.name.as_str()) {
            return Err(convert::one("unsafe_dynamic_tools", "must have names, each once"));
        }
    }
    let stored: Vec<StoredTool> = tools.into_iter().map(Into::into).collect();
    serde_json::to_value(stored).map_err(|error| Error::damaged("chats", error))
}

#[expect(clippy::too_many_arguments, reason = "a row is made of many proven values")]
fn row(
    request: &CreateChatRequest,
    user: Uuid,
    organization: Uuid,
    model: Uuid,
    workspace: Option<Uuid>,
    title: String,
    labels: BTreeMap<String, String>,
    mcp_server_ids: Vec<Uuid>,
    dynamic_tools: serde_json::Value,
    approval_mode: ApprovalMode,
) -> chats::Row {
    let id = Uuid::now_v7();
    let state = State::created(Lineage::Root);
    let mut row = chats::Row {
        id,
        organization_id: organization,
        owner_id: user,
        parent_chat_id: None,
        root_chat_id: id,
        workspace_id: workspace,
        last_model_config_id: model,
        title,
        client_type: if request.client_type() == ClientType::Ui {
            "ui"
        } else {
            "api"
        }
        .to_owned(),
        plan_mode: (request.plan_mode() == PlanMode::Plan).then(|| "plan".to_owned()),
        approval_mode: approval_mode.as_str().to_owned(),
        labels: Json(labels),
        mcp_server_ids,
        dynamic_tools,
        pin_order: 0,
        last_turn_summary: None,
        is_compaction_requested: false,
        crash_count: 0,
        takeover_count: 0,
        status: String::new(),
        progress: String::new(),
        is_archived: false,
        epoch: 0,
        version: 1,
        lease_owner: None,
        lease_expires_at: None,
        lease_address: None,
        action_deadline: None,
        last_error: None,
        diff_status: None,
        pending_tool_calls: Json(Vec::new()),
        intent: None,
        turn_step: 0,
        sealed: None,
        // The database fills in its own times.
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
        owner_username: String::new(),
        owner_name: String::new(),
        queued_count: 0,
        is_parent_archived: false,
        has_unread: false,
        snapshot_version: 1,
        now: OffsetDateTime::UNIX_EPOCH,
    };
    row.set_state(&state);
    row
}
