//! What processes of a workspace ask of their chat, passed on to storage.
//!
//! They may be hostile. Their chats are those of this workspace, which the link has proven and storage checks; how much they may say is
//! bounded there, how often here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tandem_chassis::status::Fault;
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{ContextFilePart, Part, SkillPart};
use tandem_proto::storage::v1::{
    AddWorkspaceContextRequest, ClearWorkspaceContextRequest, ShowWorkspaceContextRequest,
};
use tandem_proto::workspace::v1::context_command::Command;
use tandem_proto::workspace::v1::{AddContext, ContextCommand, ContextCommandResult, ContextFile, Skill};
use tonic::{Code, Status};

use crate::clients::Clients;

/// Commands of one workspace within [`WINDOW`].
const MAX_COMMANDS: usize = 60;

const WINDOW: Duration = Duration::from_secs(60);

/// Commands of one workspace under way at once.
const MAX_AT_ONCE: usize = 16;

/// Carries out the commands of one workspace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commands {
    clients: Clients,
    workspace_id: String,
    begun: Arc<Mutex<VecDeque<Instant>>>,
    places: Arc<tokio::sync::Semaphore>,
}

impl Commands {
    pub(crate) fn new(clients: Clients, workspace_id: String) -> Self {
        Self {
            clients,
            workspace_id,
            begun: Arc::default(),
            places: Arc::new(tokio::sync::Semaphore::new(MAX_AT_ONCE)),
        }
    }

    /// Carries a command out; whatever goes wrong is an answer too.
    pub(crate) async fn run(&self, command: ContextCommand) -> ContextCommandResult {
        let id = command.id;
        let refused = |error: String| ContextCommandResult {
            id,
            error,
            ..ContextCommandResult::default()
        };
        let Ok(_place) = self.places.try_acquire() else {
            return refused("too many processes ask at once; try again later".to_owned());
        };
        if !self.is_allowed() {
            return refused("this workspace changes its context too often; try again in a minute".to_owned());
        }
        match self.carry_out(command).await {
            Ok(result) => ContextCommandResult { id, ..result },
            Err(status) => refused(words(status)),
        }
    }

    fn is_allowed(&self) -> bool {
        let now = Instant::now();
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            begun.pop_front();
        }
        let is_allowed = begun.len() < MAX_COMMANDS;
        if is_allowed {
            begun.push_back(now);
        }
        is_allowed
    }

    async fn carry_out(&self, command: ContextCommand) -> Result<ContextCommandResult, Status> {
        let (workspace_id, chat_id) = (self.workspace_id.clone(), command.chat_id);
        let mut contexts = self.clients.contexts.clone();
        match command.command {
            Some(Command::Add(add)) => {
                let request = AddWorkspaceContextRequest {
                    workspace_id,
                    chat_id,
                    parts: parts(add),
                };
                let answer = contexts
                    .add_workspace_context(self.clients.own_request(request))
                    .await?;
                let answer = answer.into_inner();
                Ok(ContextCommandResult {
                    chat_id: answer.chat_id,
                    count: answer.count,
                    ..ContextCommandResult::default()
                })
            }
            Some(Command::Clear(_)) => {
                let request = ClearWorkspaceContextRequest { workspace_id, chat_id };
                let answer = contexts
                    .clear_workspace_context(self.clients.own_request(request))
                    .await?;
                Ok(ContextCommandResult {
                    chat_id: answer.into_inner().chat_id,
                    ..ContextCommandResult::default()
                })
            }
            Some(Command::Show(_)) => {
                let request = ShowWorkspaceContextRequest { workspace_id, chat_id };
                let answer = contexts
                    .show_workspace_context(self.clients.own_request(request))
                    .await?;
                let answer = answer.into_inner();
                Ok(listed(answer.chat_id, answer.parts))
            }
            None => Err(Status::invalid_argument("the command is missing")),
        }
    }
}

fn parts(add: AddContext) -> Vec<Part> {
    let part = |kind| Part {
        kind: Some(kind),
        provider_metadata_json: String::new(),
    };
    let files = add.files.into_iter().map(|file| {
        part(Kind::ContextFile(ContextFilePart {
            path: file.path,
            content: file.content,
            is_truncated: file.is_truncated,
            ..ContextFilePart::default()
        }))
    });
    let skills = add.skills.into_iter().map(|skill| {
        part(Kind::Skill(SkillPart {
            name: skill.name,
            description: skill.description,
            directory: skill.directory,
            meta_file: skill.meta_file,
        }))
    });
    files.chain(skills).collect()
}

fn listed(chat_id: String, parts: Vec<Part>) -> ContextCommandResult {
    let mut result = ContextCommandResult {
        chat_id,
        ..ContextCommandResult::default()
    };
    for part in parts {
        match part.kind {
            Some(Kind::ContextFile(file)) => result.files.push(ContextFile {
                path: file.path,
                content: String::new(),
                is_truncated: file.is_truncated,
            }),
            Some(Kind::Skill(skill)) => result.skills.push(Skill {
                name: skill.name,
                description: skill.description,
                ..Skill::default()
            }),
            _ => {}
        }
    }
    result
}

/// What a person in the workspace may read of storage's refusal.
fn words(status: Status) -> String {
    match status.code() {
        Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument | Code::Aborted => {
            Fault::from(status).message
        }
        _ => "Tandem's storage did not answer".to_owned(),
    }
}
