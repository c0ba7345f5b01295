//! `TitleService`: what models wrote beside the turns. A write that comes too late changes nothing but the bill.

use std::time::Duration;

use tandem_chassis::status::Fault;
use tandem_chat_core::chat::Command;
use tandem_chat_core::{title, turn_summary, wire as core};
use tandem_proto::common::v1::WatchKind;
use tandem_proto::storage::v1::title_service_server::TitleService;
use tandem_proto::storage::v1::{
    BeginTitleRequest, BeginTitleResponse, SetGeneratedTitleRequest, SetGeneratedTitleResponse, SetTurnSummaryRequest,
    SetTurnSummaryResponse, SideCost,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::change::{Done, Open, Payload};
use crate::db::{Pool, chats, messages, titles};
use crate::error::Error;
use crate::hints::{Hint, Hints};

/// Messages from each end of a conversation that a title is made from.
const SAMPLE: i64 = 50;

const MAX_COSTS: usize = 16;

/// Serves [`TitleService`].
pub(crate) struct Titles {
    pool: Pool,
    hints: Hints,
}

impl Titles {
    pub(crate) fn new(pool: Pool, hints: Hints) -> Self {
        Self { pool, hints }
    }

    async fn begin(&self, user: Uuid, message: BeginTitleRequest) -> Result<BeginTitleResponse, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let mut tx = self.pool.begin().await?;
        let row = chats::find(&mut tx, chat, user)
            .await?
            .ok_or_else(crate::error::chat_not_found)?;
        crate::spend::check(&mut tx, user, row.organization_id).await?;
        let job = Uuid::now_v7();
        if !titles::begin(&mut tx, chat, job).await? {
            let text = "A title for this chat is being made already. Wait for it.";
            return Err(Fault::wrong_state("TITLE_PENDING", text).into());
        }
        let mut sample = messages::page(&mut tx, chat, 0, i64::MAX, SAMPLE, true).await?;
        let seen = sample.last().map_or(0, |last| last.id);
        let mut newest = messages::page(&mut tx, chat, seen, i64::MAX, SAMPLE, false).await?;
        tx.commit().await?;
        newest.reverse();
        sample.append(&mut newest);
        Ok(BeginTitleResponse {
            job_id: job.to_string(),
            chat: Some(convert::chat(&row)),
            messages: convert::messages(&sample)?,
        })
    }

    async fn set_title(&self, message: SetGeneratedTitleRequest) -> Result<SetGeneratedTitleResponse, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let job = convert::optional_id(&message.job_id, "job_id")?;
        let wanted = match message.title.as_str() {
            "" => None,
            text => Some(title::validate(text).map_err(|error| convert::one("title", &error.to_string()))?),
        };
        let mut open = self.open(chat, &message.costs).await?;
        if let Some(job) = job {
            titles::end(open.conn(), chat, job).await?;
        }
        let is_wanted = |title: &String| open.row.title == message.expected_title && open.row.title != *title;
        let wanted = wanted.filter(is_wanted);
        let is_applied = wanted.is_some();
        if let Some(title) = wanted {
            describe(&mut open, WatchKind::TitleChange).await?;
            open.row.title = title;
        }
        let done = self.commit(open).await?;
        Ok(SetGeneratedTitleResponse {
            is_applied,
            chat: Some(convert::chat(&done.row)),
        })
    }

    async fn set_summary(&self, message: SetTurnSummaryRequest) -> Result<SetTurnSummaryResponse, Error> {
        let chat = convert::id(&message.chat_id, "chat_id")?;
        let wanted = Some(message.summary).filter(|text| !text.is_empty());
        if wanted.as_ref().is_some_and(|text| !turn_summary::is_valid(text)) {
            return Err(convert::one("summary", "must be one line of at most 60 characters"));
        }
        let mut open = self.open(chat, &message.costs).await?;
        let is_news = wanted.is_some() && wanted != open.row.last_turn_summary && open.row.parent_chat_id.is_none();
        let is_applied = is_news && !titles::has_gone_on(open.conn(), chat, message.version).await?;
        if is_applied {
            describe(&mut open, WatchKind::SummaryChange).await?;
            open.row.last_turn_summary = wanted;
        }
        let done = self.commit(open).await?;
        Ok(SetTurnSummaryResponse {
            is_applied,
            chat: Some(convert::chat(&done.row)),
        })
    }

    /// The chat, locked, with what was paid for it kept whatever becomes of the rest.
    async fn open(&self, chat: Uuid, costs: &[SideCost]) -> Result<Open, Error> {
        if costs.len() > MAX_COSTS {
            return Err(convert::one("costs", "must not be more than 16"));
        }
        let costs = costs.iter().map(cost).collect::<Result<Vec<_>, _>>()?;
        let mut open = Open::for_worker(&self.pool, chat).await?;
        for cost in &costs {
            titles::add_cost(open.conn(), chat, cost).await?;
        }
        Ok(open)
    }

    /// Ends the transaction, and tells those who passed the row over while it was held that it is free again.
    async fn commit(&self, open: Open) -> Result<Done, Error> {
        let done = open.commit(&self.hints).await?;
        if done.change.is_none() {
            self.hints.send(Hint::of(&done.row));
        }
        Ok(done)
    }
}

/// A change of what describes the chat, which moves neither its course nor its place in the list.
async fn describe(open: &mut Open, kind: WatchKind) -> Result<(), Error> {
    let command = Command::UpdateMetadata { is_pinning: false };
    open.apply(&[command], Payload::default()).await?;
    open.watch(kind);
    Ok(())
}

fn cost(cost: &SideCost) -> Result<titles::Cost, Error> {
    let runtime = cost.runtime.and_then(|runtime| Duration::try_from(runtime).ok());
    Ok(titles::Cost {
        model: convert::id(&cost.model_config_id, "costs.model_config_id")?,
        usage: core::usage_from_wire(cost.usage.as_ref()),
        cost_micros: cost.cost_micros,
        runtime_ms: runtime.and_then(|runtime| i64::try_from(runtime.as_millis()).ok()),
    })
}

#[tonic::async_trait]
impl TitleService for Titles {
    async fn begin_title(&self, request: Request<BeginTitleRequest>) -> Result<Response<BeginTitleResponse>, Status> {
        authz::orchestrator(&request)?;
        let user = authz::user(&request)?;
        Ok(Response::new(self.begin(user, request.into_inner()).await?))
    }

    async fn set_generated_title(
        &self,
        request: Request<SetGeneratedTitleRequest>,
    ) -> Result<Response<SetGeneratedTitleResponse>, Status> {
        authz::orchestrator(&request)?;
        Ok(Response::new(self.set_title(request.into_inner()).await?))
    }

    async fn set_turn_summary(
        &self,
        request: Request<SetTurnSummaryRequest>,
    ) -> Result<Response<SetTurnSummaryResponse>, Status> {
        authz::orchestrator(&request)?;
        Ok(Response::new(self.set_summary(request.into_inner()).await?))
    }
}
