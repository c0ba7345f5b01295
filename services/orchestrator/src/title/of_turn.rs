//! What a turn has done beside itself: the chat's first title, begun with the answer, and the label of a turn that ended well.

use tandem_chassis::identity::User;
use tandem_chat_core::{title, turn_summary, wire};
use tandem_proto::common::v1::{Chat, Role};
use tandem_proto::storage::v1::{
    LoadTurnResponse, NewMessage, SetGeneratedTitleRequest, SetTurnSummaryRequest, SideCost,
};
use tonic::Status;

use super::ask::Subject;
use super::prompt::{Question, is_visible, text_of};
use super::{Job, Titles};
use crate::clients::{STORAGE_DEADLINE, persist};

/// One turn's part in it. Nothing here waits or fails.
pub(crate) struct OfTurn {
    titles: Titles,
    subject: Subject,
    model_config_id: String,
    /// What the turn answers.
    asked: String,
    naming: Option<Naming>,
}

/// A title that is due.
struct Naming {
    expected_title: String,
    words: String,
}

impl OfTurn {
    pub(crate) fn new(titles: &Titles, chat: &Chat, owner: &User) -> Self {
        Self {
            titles: titles.clone(),
            subject: Subject::new(chat, owner),
            model_config_id: String::new(),
            asked: String::new(),
            naming: None,
        }
    }

    /// What the turn begins with. `title` as the claim found it.
    pub(crate) fn learn(&mut self, loaded: &LoadTurnResponse, title: &str) {
        let model = loaded.model_config.as_ref();
        self.model_config_id = model.map(|model| model.id.clone()).unwrap_or_default();
        let asked = loaded
            .messages
            .iter()
            .rev()
            .find(|message| message.role() == Role::User);
        self.asked = asked.map(|message| text_of(&message.parts)).unwrap_or_default();
        self.naming = naming(loaded, title).filter(|_| self.titles.0.config.titles);
    }

    /// The model has begun to answer. Asked only now, whoever names the chat can neither keep the answer waiting nor be asked in vain.
    pub(crate) fn answer_began(&mut self) {
        let Some(naming) = self.naming.take() else { return };
        let (titles, subject, model) = (self.titles.clone(), self.subject.clone(), self.model_config_id.clone());
        self.titles.spawn(Job::AutomaticTitle, async move {
            titles.name(subject, model, naming).await;
        });
    }

    /// The turn has ended well with this answer, and `chat` is what that made.
    pub(crate) fn finished(&self, chat: &Chat, answer: &[NewMessage]) {
        let said = answer
            .iter()
            .filter(|message| message.role() == Role::Assistant && !message.is_compressed);
        let said = said
            .map(|message| text_of(&message.parts))
            .collect::<Vec<_>>()
            .join("\n");
        if !self.titles.0.config.summaries || !chat.parent_chat_id.is_empty() || said.is_empty() {
            return;
        }
        let (titles, subject, model) = (self.titles.clone(), self.subject.clone(), self.model_config_id.clone());
        let (asked, version) = (self.asked.clone(), chat.version);
        self.titles.spawn(Job::TurnSummary, async move {
            titles.label(subject, model, &asked, &said, version).await;
        });
    }
}

/// The title that is due: nothing was said but one message, and nobody has named the chat.
fn naming(loaded: &LoadTurnResponse, title: &str) -> Option<Naming> {
    if loaded.messages.iter().any(|message| message.is_compressed) {
        return None;
    }
    let mut visible = loaded.messages.iter().filter(|message| is_visible(message));
    let first = visible.next().filter(|message| message.role() == Role::User)?;
    if visible.next().is_some() {
        return None;
    }
    let words = text_of(&first.parts);
    let parts = wire::parts_from_wire(&first.parts).ok()?;
    (!words.is_empty() && title::is_fallback(title, &parts)).then(|| Naming {
        expected_title: title.to_owned(),
        words,
    })
}

impl Titles {
    async fn name(&self, subject: Subject, model: String, naming: Naming) {
        let job = Job::AutomaticTitle;
        let known = match self.0.models.known(&subject.owner).await {
            Ok(known) => known,
            Err(status) => return self.unwritten(job, &status),
        };
        let candidates = known.for_title(&model);
        if candidates.is_empty() {
            return self.count(job, "no_model");
        }
        let question = Question::first_title(&naming.words);
        let (asked, costs) = self.ask(&subject, &candidates, &question, title::generated).await;
        let result = asked.as_ref().err().map(super::ask::Failure::label);
        let message = SetGeneratedTitleRequest {
            chat_id: subject.chat_id,
            expected_title: naming.expected_title,
            title: asked.unwrap_or_default(),
            job_id: String::new(),
            costs,
        };
        if message.title.is_empty() && message.costs.is_empty() {
            return self.count(job, result.unwrap_or("failed"));
        }
        match self.set_title(message).await {
            Ok(answer) => self.count(job, result.unwrap_or(applied(answer.is_applied))),
            Err(status) => self.unwritten(job, &status),
        }
    }

    async fn label(&self, subject: Subject, model: String, asked: &str, said: &str, version: i64) {
        let job = Job::TurnSummary;
        let known = match self.0.models.known(&subject.owner).await {
            Ok(known) => known,
            Err(status) => return self.unwritten(job, &status),
        };
        let candidates = known.for_summary(&model);
        if candidates.is_empty() {
            return self.count(job, "no_model");
        }
        let question = Question::turn_summary(asked, said);
        let (asked, costs): (_, Vec<SideCost>) = self
            .ask(&subject, &candidates, &question, turn_summary::generated)
            .await;
        let result = asked.as_ref().err().map(super::ask::Failure::label);
        let message = SetTurnSummaryRequest {
            chat_id: subject.chat_id,
            version,
            summary: asked.unwrap_or_default(),
            costs,
        };
        if message.summary.is_empty() && message.costs.is_empty() {
            return self.count(job, result.unwrap_or("failed"));
        }
        let stored = persist(|| {
            let request = self.0.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut titles = self.0.clients.titles.clone();
            async move { titles.set_turn_summary(request).await }
        });
        match stored.await {
            Ok(answer) => self.count(job, result.unwrap_or(applied(answer.into_inner().is_applied))),
            Err(status) => self.unwritten(job, &status),
        }
    }

    fn unwritten(&self, job: Job, status: &Status) {
        tracing::warn!(job = job.name(), code = ?status.code(), error = status.message(), "storage did not take part in a side job");
        self.count(job, "storage");
    }
}

fn applied(is_applied: bool) -> &'static str {
    if is_applied { "applied" } else { "superseded" }
}

#[cfg(test)]
mod tests {
    use tandem_proto::common::v1::part::Kind;
    use tandem_proto::common::v1::{ChatMessage, MessageVisibility, Part, TextPart};

    use super::*;

    fn message(role: Role, visibility: MessageVisibility, text: &str) -> ChatMessage {
        ChatMessage {
            role: role.into(),
            visibility: visibility.into(),
            parts: vec![Part {
                kind: Some(Kind::Text(TextPart { text: text.to_owned() })),
                provider_metadata_json: String::new(),
            }],
            ..ChatMessage::default()
        }
    }

    fn loaded(messages: &[ChatMessage]) -> LoadTurnResponse {
        LoadTurnResponse {
            messages: messages.to_vec(),
            ..LoadTurnResponse::default()
        }
    }

    #[test]
    fn a_title_is_due_for_a_first_message_under_a_title_nobody_chose() {
        use MessageVisibility::{Both, Model, User};
        let system = message(Role::System, Model, "Be brief");
        let hidden = message(Role::User, Model, "Files: none");
        let first = message(Role::User, Both, "Fix the login test");
        let answer = message(Role::Assistant, Both, "Done");
        let is_due = |messages: &[ChatMessage], title: &str| naming(&loaded(messages), title).is_some();
        assert!(is_due(&[system.clone(), hidden, first.clone()], "Fix the login test"));
        assert!(is_due(std::slice::from_ref(&first), ""));
        assert!(!is_due(std::slice::from_ref(&first), "Mine"));
        assert!(!is_due(&[first.clone(), answer], "Fix the login test"));
        assert!(!is_due(&[first.clone(), first.clone()], "Fix the login test"));
        assert!(!is_due(&[message(Role::Tool, User, "x")], ""));
        assert!(!is_due(&[message(Role::User, Both, " ")], "New Chat"));
        assert!(!is_due(&[system], ""));
        let behind_a_boundary = ChatMessage {
            is_compressed: true,
            ..message(Role::User, Model, "Before: much")
        };
        assert!(!is_due(&[behind_a_boundary, first], "Fix the login test"));
    }
}
