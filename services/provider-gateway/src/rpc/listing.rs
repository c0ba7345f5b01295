//! The catalogue people choose models from, put together from rows. Pure.

use std::collections::BTreeMap;

use tandem_proto::{
    common::v1::ModelConfig,
    provider::v1::{CatalogModel, CatalogProvider},
    storage::v1::Provider,
};

use crate::provider::Kind;

/// Why a type cannot be used: it needs a key and no enabled provider of the type has one.
const MISSING_KEY: &str = "missing_api_key";

/// The configured types with their enabled models, sorted by type and model.
pub(super) fn catalog(providers: &[Provider], models: &[ModelConfig]) -> Vec<CatalogProvider> {
    let mut types: BTreeMap<&str, Vec<&Provider>> = BTreeMap::new();
    for provider in providers.iter().filter(|provider| provider.is_enabled) {
        types.entry(&provider.r#type).or_default().push(provider);
    }
    types.into_iter().map(|(name, providers)| entry(name, &providers, models)).collect()
}

fn entry(name: &str, providers: &[&Provider], models: &[ModelConfig]) -> CatalogProvider {
    let needs_key = Kind::find(name).is_none_or(Kind::needs_key);
    let is_available = !needs_key || providers.iter().any(|provider| !provider.keys.is_empty());
    let mut listed: Vec<CatalogModel> = models
        .iter()
        .filter(|model| model.is_enabled && providers.iter().any(|provider| provider.id == model.provider_id))
        .map(|model| CatalogModel {
            id: format!("{name}:{}", model.model),
            model: model.model.clone(),
            display_name: match model.display_name.as_str() {
                "" => model.model.clone(),
                name => name.to_owned(),
            },
        })
        .collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    listed.dedup_by(|a, b| a.id == b.id);
    CatalogProvider {
        r#type: name.to_owned(),
        is_available,
        unavailable_reason: if is_available { String::new() } else { MISSING_KEY.to_owned() },
        models: listed,
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::storage::v1::ProviderKey;

    use super::*;

    fn provider(id: &str, kind: &str, is_enabled: bool, key_count: usize) -> Provider {
        Provider {
            id: id.to_owned(),
            r#type: kind.to_owned(),
            is_enabled,
            keys: vec![ProviderKey::default(); key_count],
            ..Provider::default()
        }
    }

    fn model(provider_id: &str, model: &str, is_enabled: bool) -> ModelConfig {
        ModelConfig {
            provider_id: provider_id.to_owned(),
            model: model.to_owned(),
            is_enabled,
            ..ModelConfig::default()
        }
    }

    #[test]
    fn types_are_listed_once_with_their_enabled_models() {
        let providers = [
            provider("1", "openai", true, 1),
            provider("2", "openai", true, 0),
            provider("3", "demo", true, 0),
            provider("4", "vercel", false, 1),
        ];
        let models = [model("1", "b", true), model("2", "a", true), model("2", "b", true), model("1", "c", false), model("3", "d", true)];
        let listed = catalog(&providers, &models);
        let names: Vec<(&str, Vec<&str>)> = listed
            .iter()
            .map(|entry| (entry.r#type.as_str(), entry.models.iter().map(|model| model.id.as_str()).collect()))
            .collect();
        assert_eq!(names, [("demo", vec!["demo:d"]), ("openai", vec!["openai:a", "openai:b"])]);
        assert!(listed.iter().all(|entry| entry.is_available));
    }

    #[test]
    fn a_type_without_any_key_says_so() {
        let listed = catalog(&[provider("1", "openai", true, 0), provider("2", "openai-compat", true, 0)], &[]);
        assert_eq!(listed[0].unavailable_reason, "missing_api_key");
        assert!(!listed[0].is_available && listed[1].is_available);
    }
}
