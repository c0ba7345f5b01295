//! What the model is told beside the conversation: the workspace's instructions and the skills there are.
//!
//! Asked of the workspace's agent once a turn, while the turn loads its history, and never by starting a workspace: one that is away is
//! spoken for by what was stored. What has changed is stored before the model hears of it; what has not costs no statement, and the
//! prompt begins with the same words as before.

use std::time::Duration;

use tandem_chat_core::context::{self, Context, Personal};
use tandem_chat_core::message::{Message, Role};
use tandem_chat_core::part::Part as CorePart;
use tandem_chat_core::tool_policy::BuiltinTool;
use tandem_chat_core::wire;
use tandem_proto::common::v1::{ChatMessage, Part};
use tandem_proto::storage::v1::{GetChatContextRequest, LoadTurnResponse, StoreFoundContextRequest};
use tandem_proto::tool::v1::DiscoverContextRequest;

use super::{Prompt, Turn};
use crate::clients::{STORAGE_DEADLINE, persist};

/// Time for the workspace to say what there is; tool-runner waits 5 s for the agent.
const DISCOVER_DEADLINE: Duration = Duration::from_secs(6);

/// A workspace that takes longer and then says nothing is not asked again in this turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a turn has done about its context.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The workspace has answered, or will not.
    is_asked: bool,
    /// Somebody else has changed the chat since this turn last looked.
    is_stale: bool,
}

impl Progress {
    /// Takes note of the chat's version behind this turn's write, which is one more than `before` unless others wrote too.
    pub(super) fn wrote(&mut self, before: i64, version: i64) {
        self.is_stale |= version != before + 1;
    }
}

/// What counts of the chat's context, with the owner's skills.
#[derive(Debug, Default)]
pub(super) struct Briefing {
    found: Vec<CorePart>,
    added: Vec<CorePart>,
    personal: Vec<Personal>,
    context: Context,
}

impl Briefing {
    pub(super) fn new(loaded: &LoadTurnResponse) -> Self {
        let personal = loaded.personal_skills.iter().map(|skill| Personal {
            name: skill.name.clone(),
            description: skill.description.clone(),
        });
        let mut briefing = Self {
            personal: personal.collect(),
            ..Self::default()
        };
        briefing.learn(&loaded.context);
        briefing
    }

    /// Takes what storage holds; whether that changes what the model is told.
    fn learn(&mut self, messages: &[ChatMessage]) -> bool {
        let before = self.context.clone();
        for message in messages {
            match wire::parts_from_wire(&message.parts) {
                Ok(parts) if context::is_found(&parts) => self.found = parts,
                Ok(parts) if context::is_context(&parts) => self.added = parts,
                Ok(_) => {}
                Err(error) => tracing::error!(message_id = message.id, %error, "stored context cannot be read"),
            }
        }
        self.context = Context::new(&self.found, &self.added);
        self.context != before
    }

    /// Whether this is news. Finding nothing is none where nothing was found before.
    fn is_news(&self, found: &[CorePart]) -> bool {
        let is_nothing = context::is_empty(found) && context::is_empty(&self.found);
        self.found != found && !is_nothing
    }

    fn find(&mut self, found: Vec<CorePart>) {
        self.found = found;
        self.context = Context::new(&self.found, &self.added);
    }

    /// The system messages behind those of the history, in their order. Skills are listed for those who can read them.
    pub(super) fn messages(&self, can_read_skills: bool) -> Vec<Message> {
        let message = |text| Message::new(Role::System, vec![CorePart::text(text)]);
        self.blocks(can_read_skills).map(message).collect()
    }

    /// Bytes of what the model is told.
    pub(super) fn bytes(&self) -> usize {
        self.blocks(true).map(|text| text.len()).sum()
    }

    fn blocks(&self, can_read_skills: bool) -> impl Iterator<Item = String> {
        let index = can_read_skills
            .then(|| self.context.skill_index(&self.personal))
            .flatten();
        [self.context.instructions(), index].into_iter().flatten()
    }

    /// Whether the tool has something to work on. Tools for skills have not, where there is no skill.
    pub(super) fn has_use_for(&self, tool_name: &str) -> bool {
        match tool_name.parse() {
            Ok(BuiltinTool::ReadSkill) => self.context.has_skills() || !self.personal.is_empty(),
            Ok(BuiltinTool::ReadSkillFile) => self.context.has_skills(),
            Ok(_) | Err(_) => true,
        }
    }
}

impl Turn {
    /// What the workspace tells now; `None` where it is away or does not answer in time.
    pub(super) async fn discover(&self) -> Option<Vec<Part>> {
        if self.chat.workspace_id.is_empty() {
            return None;
        }
        let message = DiscoverContextRequest {
            chat_id: self.chat.id.clone(),
            workspace_id: self.chat.workspace_id.clone(),
        };
        let request = self
            .clients
            .outbound
            .request(Some(&self.owner), DISCOVER_DEADLINE, message);
        match self.clients.workspace_contexts.clone().discover_context(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                answer.is_found.then_some(answer.parts)
            }
            Err(status) => {
                tracing::info!(code = ?status.code(), error = status.message(), "the workspace's context cannot be asked for");
                None
            }
        }
    }

    /// Tells the model what was found, after storing it where it is news. A turn goes on without what cannot be stored.
    pub(super) async fn brief(&mut self, prompt: &mut Prompt, found: Option<Vec<Part>>) {
        let Some(found) = found else { return };
        self.progress.is_asked = true;
        let parts = match wire::parts_from_wire(&found) {
            Ok(parts) if context::is_found(&parts) => parts,
            Ok(_) | Err(_) => return tracing::warn!("the workspace's context cannot be read"),
        };
        if !prompt.briefing().is_news(&parts) {
            return;
        }
        self.store_found(found).await;
        prompt.rebrief(|briefing| {
            briefing.find(parts);
            true
        });
    }

    async fn store_found(&self, parts: Vec<Part>) {
        let _writing = self.room.writing();
        let answer = persist(|| {
            let message = StoreFoundContextRequest {
                chat_id: self.chat.id.clone(),
                epoch: self.epoch,
                parts: parts.clone(),
            };
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message);
            let mut contexts = self.clients.contexts.clone();
            async move { contexts.store_found_context(request).await }
        });
        match answer.await {
            Ok(answer) => {
                let answer = answer.into_inner();
                if let Some(change) = answer.change {
                    self.room.learn(change);
                }
                self.room.explain(answer.version);
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), error = status.message(), "the workspace's context cannot be stored");
            }
        }
    }

    /// Looks for what the step that has just ended may have brought: context that a process added, a workspace that is there now.
    pub(super) async fn look_around(&mut self, prompt: &mut Prompt) {
        if std::mem::take(&mut self.progress.is_stale) {
            let message = GetChatContextRequest {
                chat_id: self.chat.id.clone(),
            };
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message);
            match self.clients.contexts.clone().get_chat_context(request).await {
                Ok(answer) => prompt.rebrief(|briefing| briefing.learn(&answer.into_inner().messages)),
                Err(status) => {
                    tracing::warn!(code = ?status.code(), error = status.message(), "the chat's context cannot be read");
                }
            }
        }
        if !self.progress.is_asked && !self.chat.workspace_id.is_empty() {
            let began = self.clock.monotonic();
            let found = self.discover().await;
            self.progress.is_asked = self.clock.monotonic() - began > PATIENCE;
            self.brief(prompt, found).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::common::v1::part::Kind;
    use tandem_proto::common::v1::{ContextFilePart, SkillPart};
    use tandem_proto::storage::v1::PersonalSkill;

    use super::*;

    fn part(kind: Kind) -> Part {
        Part {
            kind: Some(kind),
            provider_metadata_json: String::new(),
        }
    }

    fn file(path: &str, content: &str, agent_id: &str) -> Part {
        part(Kind::ContextFile(ContextFilePart {
            path: path.to_owned(),
            content: content.to_owned(),
            agent_id: agent_id.to_owned(),
            ..ContextFilePart::default()
        }))
    }

    fn skill(name: &str) -> Part {
        part(Kind::Skill(SkillPart {
            name: name.to_owned(),
            ..SkillPart::default()
        }))
    }

    const AGENT: &str = "01890000-0000-7000-8000-000000000000";

    fn loaded(context: Vec<Vec<Part>>) -> LoadTurnResponse {
        let message = |parts| ChatMessage {
            parts,
            ..ChatMessage::default()
        };
        LoadTurnResponse {
            context: context.into_iter().map(message).collect(),
            ..LoadTurnResponse::default()
        }
    }

    fn core(parts: &[Part]) -> Vec<CorePart> {
        wire::parts_from_wire(parts).unwrap()
    }

    #[test]
    fn tools_for_skills_are_offered_where_there_is_one() {
        let mut none = loaded(vec![vec![file("a", "b", AGENT)]]);
        let offered = |loaded: &LoadTurnResponse| {
            let briefing = Briefing::new(loaded);
            ["read_file", "read_skill", "read_skill_file"].map(|name| briefing.has_use_for(name))
        };
        assert_eq!(offered(&none), [true, false, false]);
        none.personal_skills = vec![PersonalSkill::default()];
        assert_eq!(offered(&none), [true, true, false]);
        let workspace = loaded(vec![vec![file("a", "b", AGENT), skill("s")]]);
        assert_eq!(offered(&workspace), [true, true, true]);
    }

    #[test]
    fn the_same_context_is_no_news_and_neither_is_nothing_again() {
        let found = vec![file("a", "b", AGENT)];
        let briefing = Briefing::new(&loaded(vec![found.clone()]));
        assert!(!briefing.is_news(&core(&found)));
        assert!(briefing.is_news(&core(&[file("a", "c", AGENT)])));
        let nothing = core(&[file("", "", AGENT)]);
        assert!(briefing.is_news(&nothing));
        assert!(!Briefing::new(&loaded(Vec::new())).is_news(&nothing));
    }

    #[test]
    fn what_was_added_counts_beside_what_was_found_until_it_is_taken_back() {
        let texts = |context: Vec<Vec<Part>>| {
            let messages = Briefing::new(&loaded(context)).messages(true);
            messages
                .iter()
                .map(|message| tandem_chat_core::part::text_of(&message.parts))
                .collect::<String>()
        };
        let found = vec![file("a", "from a", AGENT)];
        let both = texts(vec![found.clone(), vec![file("b", "from b", "")]]);
        assert!(both.contains("from a") && both.contains("from b"));
        let cleared = texts(vec![found, vec![file("", "", "")]]);
        assert!(cleared.contains("from a") && !cleared.contains("from b"));
    }

    #[test]
    fn a_version_between_two_writes_is_somebody_elses() {
        let mut progress = Progress::default();
        progress.wrote(4, 5);
        assert!(!progress.is_stale);
        progress.wrote(5, 7);
        assert!(progress.is_stale);
    }
}
