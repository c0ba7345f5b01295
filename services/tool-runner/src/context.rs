//! What workspaces tell the model: asked of agents for a turn, and changed by processes inside.
//!
//! Nothing here starts a workspace. Where context counts and how it is told is storage's and the orchestrator's business.

mod command;

use std::time::Duration;

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chat_core::context as core;
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{ContextFilePart, Part, SkillPart};
use tandem_proto::tool::v1::context_service_server::ContextService;
use tandem_proto::tool::v1::{DiscoverContextRequest, DiscoverContextResponse};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{DiscoverContext, DiscoverContextResult};
use tonic::{Request, Response, Status};

use crate::agents::Agents;

pub(crate) use command::Commands;

/// Time for an agent to look. A turn waits no longer; what was stored before counts then.
const DISCOVER_TIME: Duration = Duration::from_secs(5);

/// Serves [`ContextService`].
pub(crate) struct ContextRpc {
    agents: Agents,
}

impl ContextRpc {
    pub(crate) fn new(agents: Agents) -> Self {
        Self { agents }
    }

    async fn discover(&self, request: &DiscoverContextRequest) -> Option<DiscoverContextResult> {
        let connection = self.agents.connected(&request.workspace_id)?;
        let operation = Operation::DiscoverContext(DiscoverContext {});
        match connection.call(&request.chat_id, operation, DISCOVER_TIME, None).await {
            Ok(Answer::DiscoverContext(found)) => Some(found),
            Ok(_) => None,
            Err(error) => {
                tracing::info!(workspace_id = request.workspace_id, %error, "a workspace does not tell its context");
                None
            }
        }
    }
}

#[tonic::async_trait]
impl ContextService for ContextRpc {
    async fn discover_context(
        &self,
        request: Request<DiscoverContextRequest>,
    ) -> Result<Response<DiscoverContextResponse>, Status> {
        // The workspace is the caller's word: it must be one who has read it from the user's chat.
        let caller = Caller::of(&request)?;
        caller.require_service(&[ServiceName::Orchestrator])?;
        caller.user()?;
        let request = request.into_inner();
        let found = self.discover(&request).await;
        Ok(Response::new(DiscoverContextResponse {
            is_found: found.is_some(),
            parts: found
                .map(|found| parts(found, &request.workspace_id))
                .unwrap_or_default(),
        }))
    }
}

/// What an agent found as parts of a message. Agents may lie, so all bounds are kept here too.
fn parts(found: DiscoverContextResult, workspace_id: &str) -> Vec<Part> {
    let header = ContextFilePart {
        agent_id: workspace_id.to_owned(),
        os: cut(&found.os, 64),
        directory: cut(&found.working_directory, 4_096),
        ..ContextFilePart::default()
    };
    let mut files: Vec<ContextFilePart> = Vec::new();
    let mut left = core::MAX_TOTAL_BYTES;
    let mut fits = |bytes: usize| {
        let rest = left.checked_sub(bytes);
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    for file in found.files.into_iter().take(core::MAX_FILES) {
        let part = ContextFilePart {
            path: cut(&file.path, 4_096),
            content: cut(&file.content, core::MAX_FILE_BYTES),
            is_truncated: file.is_truncated,
            agent_id: workspace_id.to_owned(),
            ..ContextFilePart::default()
        };
        if !part.path.is_empty() && fits(part.path.len() + part.content.len()) {
            files.push(part);
        }
    }
    // The first part says whose they are, and where.
    match files.first_mut() {
        Some(first) => {
            first.os = header.os;
            first.directory = header.directory;
        }
        None => files.push(header),
    }
    let is_named = |skill: &tandem_proto::workspace::v1::Skill| core::skill::is_name(&skill.name);
    let skills = found.skills.into_iter().filter(is_named).take(core::MAX_SKILLS);
    let mut skills: Vec<SkillPart> = skills
        .map(|skill| SkillPart {
            name: skill.name,
            description: cut(&skill.description, core::skill::MAX_DESCRIPTION_BYTES),
            directory: cut(&skill.directory, 4_096),
            meta_file: cut(&skill.meta_file, 256),
        })
        .filter(|skill| fits(skill.name.len() + skill.description.len() + skill.directory.len()))
        .collect();
    skills.sort_by(|one, other| one.name.cmp(&other.name));
    let part = |kind| Part {
        kind: Some(kind),
        provider_metadata_json: String::new(),
    };
    let files = files.into_iter().map(|file| part(Kind::ContextFile(file)));
    files
        .chain(skills.into_iter().map(|skill| part(Kind::Skill(skill))))
        .collect()
}

/// At most `max_bytes`, and no NUL.
fn cut(text: &str, max_bytes: usize) -> String {
    core::clean::cut(&text.replace('\0', "\u{FFFD}"), max_bytes)
        .0
        .to_owned()
}

#[cfg(test)]
mod tests {
    use tandem_proto::workspace::v1::{ContextFile, Skill};

    use super::*;

    fn file(path: &str, content: &str) -> ContextFile {
        ContextFile {
            path: path.to_owned(),
            content: content.to_owned(),
            is_truncated: false,
        }
    }

    #[test]
    fn nothing_found_is_one_part_that_says_so() {
        let id = uuid::Uuid::nil().to_string();
        let parts = tandem_chat_core::wire::parts_from_wire(&parts(DiscoverContextResult::default(), &id)).unwrap();
        assert!(core::is_found(&parts) && core::is_empty(&parts) && parts.len() == 1);
    }

    #[test]
    fn an_agent_that_lies_is_cut_down() {
        let id = uuid::Uuid::nil().to_string();
        let skill = |name: &str| Skill {
            name: name.to_owned(),
            ..Skill::default()
        };
        let found = DiscoverContextResult {
            files: (0..500)
                .map(|n| file(&format!("f{n}\0"), &"x".repeat(100 * 1024)))
                .collect(),
            skills: vec![skill("b"), skill("../a"), skill("a")],
            ..DiscoverContextResult::default()
        };
        let parts = tandem_chat_core::wire::parts_from_wire(&parts(found, &id)).unwrap();
        let bytes: usize = parts
            .iter()
            .map(|part| match part {
                tandem_chat_core::part::Part::ContextFile(file) => file.content.len(),
                _ => 0,
            })
            .sum();
        assert!(core::is_found(&parts) && bytes <= core::MAX_TOTAL_BYTES);
        let names: Vec<_> = parts
            .iter()
            .filter_map(|part| match part {
                tandem_chat_core::part::Part::Skill(skill) => Some(skill.name.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["a", "b"]);
    }
}
