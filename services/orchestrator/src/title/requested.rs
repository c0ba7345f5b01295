//! Titles that a person asked for: one at a time for each chat, and whoever asked waits for it.

use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_chat_core::title;
use tandem_proto::common::v1::Chat;
use tandem_proto::storage::v1::{
    BeginTitleRequest, BeginTitleResponse, SetGeneratedTitleRequest, SetGeneratedTitleResponse, SideCost,
};
use tokio::sync::oneshot;
use tonic::Status;

use super::ask::{Failure, Subject};
use super::prompt::Question;
use super::{Job, Titles};
use crate::clients::{STORAGE_DEADLINE, persist};

/// What became of a title.
pub(crate) struct Named {
    /// Empty if the chat has no messages.
    pub(crate) title: String,
    /// As it is now.
    pub(crate) chat: Option<Chat>,
}

impl Titles {
    /// A title for a chat as it stands; stored if `is_kept` and nobody renamed the chat meanwhile. Goes on to its end when the caller leaves.
    ///
    /// # Errors
    /// `TITLE_PENDING` while another is made, `TITLE_FAILED` when no model gave one, or storage's own.
    pub(crate) async fn requested(&self, user: &User, chat_id: String, is_kept: bool) -> Result<Named, Status> {
        let (answer, answered) = oneshot::channel();
        let (titles, user) = (self.clone(), user.clone());
        let is_begun = self.spawn(Job::RequestedTitle, async move {
            let named = titles.make(&user, chat_id, is_kept).await;
            // Nobody may be waiting any more.
            let _ = answer.send(named);
        });
        if !is_begun {
            return Err(
                Fault::rate_limited("TOO_MANY_TITLES", "Too many titles are being made. Try again soon.").into(),
            );
        }
        answered
            .await
            .unwrap_or_else(|_| Err(Fault::internal("TITLE_LOST", "the task that makes a title is gone").into()))
    }

    async fn make(&self, user: &User, chat_id: String, is_kept: bool) -> Result<Named, Status> {
        let outbound = &self.0.clients.outbound;
        let request = outbound.request(Some(user), STORAGE_DEADLINE, BeginTitleRequest { chat_id });
        let begun = self
            .0
            .clients
            .titles
            .clone()
            .begin_title(request)
            .await
            .map_err(Fault::from)?
            .into_inner();
        let mut costs = Vec::new();
        let made = self.make_from(user, &begun, &mut costs).await;
        let chat = begun.chat.unwrap_or_default();
        let title = made.as_ref().ok().cloned().flatten().filter(|_| is_kept);
        let message = SetGeneratedTitleRequest {
            chat_id: chat.id,
            expected_title: chat.title,
            title: title.unwrap_or_default(),
            job_id: begun.job_id,
            costs,
        };
        let ended = self.set_title(message).await.map_err(Fault::from);
        let title = made?.unwrap_or_default();
        let chat = ended?.chat;
        self.count(Job::RequestedTitle, "applied");
        Ok(Named { title, chat })
    }

    /// `None` if there is nothing to make it from.
    async fn make_from(
        &self,
        user: &User,
        begun: &BeginTitleResponse,
        costs: &mut Vec<SideCost>,
    ) -> Result<Option<String>, Fault> {
        let Some(question) = Question::new_title(&begun.messages) else {
            return Ok(None);
        };
        let chat = begun.chat.clone().unwrap_or_default();
        let known = self.0.models.known(user).await?;
        let candidates = known.for_title(&chat.last_model_config_id);
        if candidates.is_empty() {
            return Err(Fault::unavailable(
                "TITLE_FAILED",
                "The model for titles cannot be used.",
            ));
        }
        let subject = Subject::new(&chat, user);
        let (asked, spent) = self.ask(&subject, &candidates, &question, title::generated).await;
        *costs = spent;
        asked.map(Some).map_err(|failure| {
            self.count(Job::RequestedTitle, failure.label());
            let why = match failure {
                Failure::Model(error) => error.message,
                Failure::Late => "The model did not answer in time.".to_owned(),
                Failure::Draining => "Tandem is restarting. Try again soon.".to_owned(),
            };
            Fault::unavailable("TITLE_FAILED", why)
        })
    }

    /// Stores a title, or that there is none, and what it has cost.
    pub(super) async fn set_title(
        &self,
        message: SetGeneratedTitleRequest,
    ) -> Result<SetGeneratedTitleResponse, Status> {
        let stored = persist(|| {
            let request = self.0.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut titles = self.0.clients.titles.clone();
            async move { titles.set_generated_title(request).await }
        });
        Ok(stored.await?.into_inner())
    }
}
