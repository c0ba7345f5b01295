//! Prompts of the deployment and of each user. Their words are stored as they will be read by a model: without
//! invisible characters and with plain line ends.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tandem_chat_core::prompt::DEFAULT_SYSTEM_PROMPT;
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::wire::or_default;
use crate::{
    auth::Principal,
    clients::Answer,
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Longest prompt after cleaning, in bytes.
const MAX_PROMPT_BYTES: usize = 131_072;

/// Names under which other services find these settings.
const SYSTEM_PROMPT: &str = "system_prompt";
const INCLUDE_DEFAULT: &str = "include_default_system_prompt";
const PLAN_MODE_INSTRUCTIONS: &str = "plan_mode_instructions";
const USER_PROMPT: &str = "custom_prompt";

/// What stands before every chat of the deployment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatSystemPrompt {
    pub system_prompt: String,
    /// Whether Tandem's own prompt stands before it.
    pub include_default_system_prompt: bool,
    pub default_system_prompt: String,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateChatSystemPromptRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub system_prompt: String,
    /// Absent: unchanged.
    pub include_default_system_prompt: Option<bool>,
}

/// What planning turns are told.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ChatPlanModeInstructions {
    #[serde(default, deserialize_with = "or_default")]
    pub plan_mode_instructions: String,
}

/// What the caller wants every chat of theirs to know.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct UserChatCustomPrompt {
    #[serde(default, deserialize_with = "or_default")]
    pub custom_prompt: String,
}

/// The deployment's prompt; administrators only, others do not see that there is one.
#[utoipa::path(get, path = "/chats/config/system-prompt", tag = "settings",
    responses((status = 200, body = ChatSystemPrompt)))]
pub async fn get_system_prompt(State(app): State<App>, who: Principal) -> Result<Reply<ChatSystemPrompt>, Problem> {
    require_admin_to_see(&who)?;
    let deployment = Store::deployment(&app, &who);
    Ok(Reply::ok(ChatSystemPrompt {
        system_prompt: deployment.get(SYSTEM_PROMPT).await?.unwrap_or_default(),
        include_default_system_prompt: deployment.get(INCLUDE_DEFAULT).await?.unwrap_or(true),
        default_system_prompt: DEFAULT_SYSTEM_PROMPT.to_owned(),
    }))
}

/// Sets the deployment's prompt; administrators only.
#[utoipa::path(put, path = "/chats/config/system-prompt", tag = "settings",
    request_body = UpdateChatSystemPromptRequest, responses((status = 204)))]
pub async fn put_system_prompt(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<UpdateChatSystemPromptRequest>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let prompt = clean(SYSTEM_PROMPT, &body.system_prompt)?;
    let deployment = Store::deployment(&app, &who);
    deployment.set(SYSTEM_PROMPT, &prompt).await?;
    if let Some(include) = body.include_default_system_prompt {
        deployment.set(INCLUDE_DEFAULT, &include).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What planning turns are told; administrators only.
#[utoipa::path(get, path = "/chats/config/plan-mode-instructions", tag = "settings",
    responses((status = 200, body = ChatPlanModeInstructions)))]
pub async fn get_plan_mode_instructions(
    State(app): State<App>,
    who: Principal,
) -> Result<Reply<ChatPlanModeInstructions>, Problem> {
    require_admin_to_see(&who)?;
    let stored = Store::deployment(&app, &who).get(PLAN_MODE_INSTRUCTIONS).await?;
    Ok(Reply::ok(ChatPlanModeInstructions {
        plan_mode_instructions: stored.unwrap_or_default(),
    }))
}

/// Sets what planning turns are told; administrators only.
#[utoipa::path(put, path = "/chats/config/plan-mode-instructions", tag = "settings",
    request_body = ChatPlanModeInstructions, responses((status = 204)))]
pub async fn put_plan_mode_instructions(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<ChatPlanModeInstructions>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let text = clean(PLAN_MODE_INSTRUCTIONS, &body.plan_mode_instructions)?;
    Store::deployment(&app, &who).set(PLAN_MODE_INSTRUCTIONS, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's own prompt.
#[utoipa::path(get, path = "/chats/config/user-prompt", tag = "settings",
    responses((status = 200, body = UserChatCustomPrompt)))]
pub async fn get_user_prompt(State(app): State<App>, who: Principal) -> Result<Reply<UserChatCustomPrompt>, Problem> {
    let stored = Store::user(&app, &who).get(USER_PROMPT).await?;
    Ok(Reply::ok(UserChatCustomPrompt {
        custom_prompt: stored.unwrap_or_default(),
    }))
}

/// Sets the caller's own prompt.
#[utoipa::path(put, path = "/chats/config/user-prompt", tag = "settings", request_body = UserChatCustomPrompt,
    responses((status = 200, body = UserChatCustomPrompt)))]
pub async fn put_user_prompt(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<UserChatCustomPrompt>,
) -> Result<Reply<UserChatCustomPrompt>, Problem> {
    let custom_prompt = clean(USER_PROMPT, &body.custom_prompt)?;
    Store::user(&app, &who).set(USER_PROMPT, &custom_prompt).await?;
    Ok(Reply::ok(UserChatCustomPrompt { custom_prompt }))
}

fn require_admin_to_see(who: &Principal) -> Result<(), Problem> {
    if who.user().is_admin {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

/// The settings of one owner.
struct Store<'a> {
    app: &'a App,
    who: &'a Principal,
    scope: proto::SettingScope,
}

impl<'a> Store<'a> {
    fn deployment(app: &'a App, who: &'a Principal) -> Self {
        let scope = proto::SettingScope::Deployment;
        Self { app, who, scope }
    }

    fn user(app: &'a App, who: &'a Principal) -> Self {
        let scope = proto::SettingScope::User;
        Self { app, who, scope }
    }

    /// A stored value; one that cannot be read counts as unset.
    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Problem> {
        let message = proto::GetSettingRequest {
            scope: self.scope.into(),
            key: key.to_owned(),
        };
        let request = self.app.clients.ask(self.who.user(), message);
        let found = self.app.clients.settings.clone().get_setting(request).await.answer()?;
        Ok(serde_json::from_str(&found.value_json).ok())
    }

    async fn set<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Problem> {
        let value_json = serde_json::to_string(value)
            .map_err(|error| tandem_chassis::status::Fault::internal("ENCODE_SETTING", error))?;
        let message = proto::SetSettingRequest {
            scope: self.scope.into(),
            key: key.to_owned(),
            value_json,
        };
        let request = self.app.clients.ask(self.who.user(), message);
        self.app.clients.settings.clone().set_setting(request).await.answer()?;
        Ok(())
    }
}

/// Plain line ends, no invisible characters, at most one empty line in a row, no edge white space.
fn clean(field: &str, text: &str) -> Result<String, Problem> {
    let visible: String = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .collect();
    let mut cleaned = String::with_capacity(visible.len());
    let mut line_ends = 0;
    for letter in visible.trim().chars() {
        line_ends = if letter == '\n' { line_ends + 1 } else { 0 };
        if line_ends <= 2 {
            cleaned.push(letter);
        }
    }
    if cleaned.len() > MAX_PROMPT_BYTES {
        let problem = format!("must not be longer than {MAX_PROMPT_BYTES} bytes");
        return Err(Problem::field(field, problem));
    }
    Ok(cleaned)
}

/// Characters that a person does not see and a model reads: zero-width ones, marks of direction, tags.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || (letter.is_control() && !matches!(letter, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_hide_nothing() {
        let text = " a\r\n\r\n\r\n\r\nb\u{200b}\u{e0041}c\td\u{0} ";
        assert_eq!(clean("x", text).unwrap(), "a\n\nbc\td");
        assert!(clean("x", &"a".repeat(MAX_PROMPT_BYTES + 1)).is_err());
    }
}
