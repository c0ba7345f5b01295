//! A model as storage has it, from which models are made that can be called.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tandem_chassis::status::Fault;
use tandem_chat_core::id::{ModelConfigId, ProviderId};
use tandem_proto::storage::v1::GetModelConfigResponse;

use super::{Model, Provider, odd_answer};

/// Models that may answer in one's place.
const MAX_FALLBACKS: usize = 4;

/// A model as storage has it.
pub(super) struct ModelRow {
    pub(super) model: String,
    context_limit: Option<i64>,
    options: Map<String, Value>,
    fallbacks: Vec<ModelConfigId>,
    pub(super) provider: ProviderId,
    pub(super) is_usable: bool,
    is_spend_limited: bool,
    /// As it was called last with the keys of its provider.
    last: Mutex<Option<Arc<Model>>>,
}

impl ModelRow {
    /// What storage has answered.
    ///
    /// # Errors
    /// That is not what it promises.
    pub(super) fn of(answer: GetModelConfigResponse) -> Result<Self, Fault> {
        let row = answer.model_config.ok_or_else(|| odd_answer("no model"))?;
        let options = match row.call_config_json.as_str() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|_| odd_answer("call options that are no JSON object"))?,
        };
        Ok(Self {
            fallbacks: fallbacks(&options),
            is_usable: row.is_enabled && !row.is_deleted,
            context_limit: Some(row.context_limit).filter(|limit| *limit > 0),
            provider: row
                .provider_id
                .parse()
                .map_err(|_| odd_answer("a provider id that is none"))?,
            model: row.model,
            options,
            is_spend_limited: answer.is_spend_limited,
            last: Mutex::default(),
        })
    }

    /// The model at its provider as everybody finds it: the same one as the last time, as long as that is the same.
    pub(super) fn shared(&self, id: ModelConfigId, provider: Arc<Provider>) -> Arc<Model> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(model) if Arc::ptr_eq(&model.provider, &provider) => Arc::clone(model),
            Some(_) | None => Arc::clone(last.insert(self.model(id, provider))),
        }
    }

    /// The model at a provider as it is for one caller.
    pub(super) fn model(&self, id: ModelConfigId, provider: Arc<Provider>) -> Arc<Model> {
        Arc::new(Model {
            asked: Arc::new(tandem_protocols::Model {
                id,
                model: self.model.clone(),
                context_limit: self.context_limit,
                options: self.options.clone(),
                provider: Arc::clone(&provider.who),
            }),
            fallbacks: self.fallbacks.clone(),
            provider,
            is_spend_limited: self.is_spend_limited,
        })
    }
}

/// The models that may answer in a model's place, by its options. Storage has checked them when they were written.
fn fallbacks(options: &Map<String, Value>) -> Vec<ModelConfigId> {
    let named = options.get("fallbacks").and_then(Value::as_array);
    let ids = named.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok());
    ids.take(MAX_FALLBACKS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{super::test_support, *};

    #[test]
    fn at_most_four_models_answer_in_a_models_place() {
        let ids: Vec<String> = (1..=5).map(|number| Uuid::from_u128(number).to_string()).collect();
        for (count, expected) in [(3, 3), (4, 4), (5, 4)] {
            let options = json!({ "fallbacks": ids[..count] });
            let found = fallbacks(options.as_object().unwrap());
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, ids[..expected]);
        }
    }

    #[test]
    fn a_model_is_made_anew_when_its_provider_is_another() {
        let config = tandem_proto::common::v1::ModelConfig {
            provider_id: Uuid::from_u128(1).to_string(),
            model: "one".to_owned(),
            is_enabled: true,
            ..Default::default()
        };
        let answer = GetModelConfigResponse {
            model_config: Some(config),
            is_spend_limited: false,
        };
        let row = ModelRow::of(answer).unwrap();
        let id = ModelConfigId::new(Uuid::from_u128(2));
        let provider = || Arc::clone(&test_support::model(tandem_protocols::Kind::OpenAi, json!({})).provider);
        let (old, new) = (provider(), provider());
        let first = row.shared(id, Arc::clone(&old));
        assert!(Arc::ptr_eq(&first, &row.shared(id, Arc::clone(&old))));
        let second = row.shared(id, Arc::clone(&new));
        assert!(Arc::ptr_eq(&second.provider, &new));
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
