//! Which models name chats: the operator's choice, or else a fast one of the chat's own provider, or else the chat's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_proto::common::v1::ModelConfig;
use tandem_proto::storage::v1::{GetSettingRequest, ListModelConfigsRequest, SettingScope};
use tokio::time::Instant;
use tonic::Status;

use crate::clients::{Clients, STORAGE_DEADLINE};

/// How long what was read counts as current.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// The deployment's setting that names the model for titles: a JSON string, empty or missing for none.
const CHOICE: &str = "model_override:title_generation";

/// Parts of the names of models that are fast and cheap, whichever vendor serves them; the first is preferred.
const FAST: [&str; 4] = [
    "claude-haiku-4-5",
    "gpt-4o-mini",
    "gemini-2-5-flash",
    "claude-3-5-haiku",
];

/// What storage knows of models, as read a moment ago.
pub(super) struct Models {
    clients: Clients,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<(Instant, Arc<Known>)>>,
}

/// The operator's choice and the models that can be used.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The model config's id, or whatever else is stored in its place.
    choice: Option<String>,
    models: Vec<ModelConfig>,
}

impl Models {
    pub(super) fn new(clients: &Clients, clock: &Arc<dyn Clock>) -> Self {
        Self {
            clients: clients.clone(),
            clock: Arc::clone(clock),
            known: Mutex::default(),
        }
    }

    /// What is known, read anew if it is old. The same for every user.
    ///
    /// # Errors
    /// What storage answered.
    pub(super) async fn known(&self, user: &User) -> Result<Arc<Known>, Status> {
        let now = self.clock.monotonic();
        let fresh = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, known)) = fresh
            && now.saturating_duration_since(read_at) < FRESH_FOR
        {
            return Ok(known);
        }
        let setting = GetSettingRequest {
            scope: SettingScope::Deployment.into(),
            key: CHOICE.to_owned(),
        };
        let outbound = &self.clients.outbound;
        let setting = outbound.request(Some(user), STORAGE_DEADLINE, setting);
        let setting = self.clients.settings.clone().get_setting(setting).await?.into_inner();
        let list = outbound.request(Some(user), STORAGE_DEADLINE, ListModelConfigsRequest {});
        let list = self
            .clients
            .settings
            .clone()
            .list_model_configs(list)
            .await?
            .into_inner();
        let known = Arc::new(Known {
            choice: choice(&setting.value_json),
            models: list.model_configs.into_iter().filter(is_usable).collect(),
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&known)));
        Ok(known)
    }
}

impl Known {
    /// Models to ask for a title, best first. Empty if the operator's choice cannot be used: nobody else is asked then.
    pub(super) fn for_title(&self, own: &str) -> Vec<&ModelConfig> {
        self.candidates(own, |_| true)
    }

    /// Models to ask for a label, best first: the chat's own only if it is a fast one, since every turn asks.
    pub(super) fn for_summary(&self, own: &str) -> Vec<&ModelConfig> {
        self.candidates(own, |model| rank(model).is_some())
    }

    fn candidates(&self, own: &str, takes_own: impl Fn(&ModelConfig) -> bool) -> Vec<&ModelConfig> {
        if let Some(choice) = &self.choice {
            return self.models.iter().filter(|model| model.id == *choice).collect();
        }
        let Some(own) = self.models.iter().find(|model| model.id == own) else {
            return Vec::new();
        };
        // Nobody asked another vendor to read this chat.
        let siblings = self.models.iter().filter(|model| model.provider_id == own.provider_id);
        let fast = siblings
            .filter_map(|model| Some((rank(model)?, model)))
            .min_by_key(|(rank, _)| *rank);
        let mut candidates: Vec<&ModelConfig> = fast.map(|(_, model)| model).into_iter().collect();
        if takes_own(own) && candidates.iter().all(|model| model.id != own.id) {
            candidates.push(own);
        }
        candidates
    }
}

fn is_usable(model: &ModelConfig) -> bool {
    model.is_enabled && model.is_provider_enabled && !model.is_deleted
}

fn choice(value_json: &str) -> Option<String> {
    match serde_json::from_str(value_json) {
        Ok(serde_json::Value::String(id)) if id.is_empty() => None,
        Ok(serde_json::Value::String(id)) => Some(id),
        // What cannot be read was meant as a choice, and names no model.
        Ok(other) => Some(other.to_string()),
        Err(_) => None,
    }
}

/// Its place among fast models, if it is one.
fn rank(model: &ModelConfig) -> Option<usize> {
    let name = model.model.to_lowercase().replace('.', "-");
    FAST.iter().position(|known| name.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, provider: &str, name: &str) -> ModelConfig {
        ModelConfig {
            id: id.to_owned(),
            provider_id: provider.to_owned(),
            model: name.to_owned(),
            ..ModelConfig::default()
        }
    }

    fn known(choice: Option<&str>) -> Known {
        Known {
            choice: choice.map(str::to_owned),
            models: vec![
                model("large", "a", "claude-opus"),
                model("mini", "a", "openai/GPT-4o-mini"),
                model("haiku", "a", "us.anthropic.claude-haiku-4.5-20251001-v1:0"),
                model("elsewhere", "b", "gemini-2.5-flash"),
                model("local", "c", "qwen2.5-0.5b"),
            ],
        }
    }

    fn ids(models: &[&ModelConfig]) -> Vec<String> {
        models.iter().map(|model| model.id.clone()).collect()
    }

    #[test]
    fn a_fast_model_of_the_same_provider_comes_before_the_chats_own() {
        let known = known(None);
        assert_eq!(ids(&known.for_title("large")), ["haiku", "large"]);
        assert_eq!(ids(&known.for_title("mini")), ["haiku", "mini"]);
        assert_eq!(ids(&known.for_title("elsewhere")), ["elsewhere"]);
        assert_eq!(ids(&known.for_title("local")), ["local"]);
        assert!(known.for_title("gone").is_empty());
    }

    #[test]
    fn only_fast_models_label_turns() {
        let known = known(None);
        assert_eq!(ids(&known.for_summary("large")), ["haiku"]);
        assert!(known.for_summary("local").is_empty());
    }

    #[test]
    fn the_operators_choice_has_no_substitute() {
        assert_eq!(ids(&known(Some("elsewhere")).for_title("large")), ["elsewhere"]);
        assert!(known(Some("gone")).for_title("large").is_empty());
        assert_eq!(choice(r#""x""#).as_deref(), Some("x"));
        assert_eq!(choice("7").as_deref(), Some("7"));
        assert_eq!((choice(""), choice(r#""""#)), (None, None));
    }
}
