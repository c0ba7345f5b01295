//! Which models a user can use, by kind of provider, and why not.

use std::collections::HashSet;

use tandem_chassis::identity::User;
use tandem_chat_core::id::UserId;
use tandem_proto::{
    common::v1::ModelConfig,
    provider::v1::{CatalogModel, CatalogProvider},
    storage::v1 as storage,
};
use tandem_protocols::Kind;

use super::Admin;
use crate::{
    credentials::{Available, Missing, Policy, choose},
    error::Error,
};

impl Admin {
    pub(super) async fn list(&self, user: &User) -> Result<Vec<CatalogProvider>, Error> {
        // Providers as such are none of the user's business; what can be used is.
        let rows = self.catalog.providers(None).await?;
        let models = self.catalog.models(user).await?;
        let allows_user_keys = |row: &storage::Provider| self.policy_of(row).allows_users;
        let own = match rows.iter().any(|row| row.is_enabled && allows_user_keys(row)) {
            true => self.providers_with_key_of(user, UserId::new(user.id)).await?,
            false => HashSet::new(),
        };
        let kinds = Kind::ALL.into_iter().filter_map(|kind| {
            let mut of_kind = rows.iter().filter(|row| row.is_enabled && row.r#type == kind.as_str());
            let first = self.missing(kind, of_kind.next()?, &own);
            // One provider that can be used is enough; otherwise what the user can do about it comes first.
            let missing = of_kind.fold(first, |before, row| match (before, self.missing(kind, row, &own)) {
                (None, _) | (_, None) => None,
                (Some(Missing::UserKey), _) | (_, Some(Missing::UserKey)) => Some(Missing::UserKey),
                (Some(Missing::CentralKey), Some(Missing::CentralKey)) => Some(Missing::CentralKey),
            });
            Some(entry(kind, missing, &models))
        });
        Ok(kinds.collect())
    }

    /// Whose keys a provider may be called with here.
    pub(super) fn policy_of(&self, row: &storage::Provider) -> Policy {
        self.catalog
            .policy(row.key_policy.map(Policy::from).unwrap_or_default())
    }

    /// What is missing for a user who has keys of their own for the providers in `own`.
    fn missing(&self, kind: Kind, row: &storage::Provider, own: &HashSet<String>) -> Option<Missing> {
        let available = Available {
            has_user_key: own.contains(&row.id),
            has_central_key: !row.keys.is_empty(),
            can_do_without: !kind.needs_key(),
        };
        choose(self.policy_of(row), available).err()
    }
}

/// The models of one kind, sorted, each name once.
fn entry(kind: Kind, missing: Option<Missing>, models: &[ModelConfig]) -> CatalogProvider {
    let mut entries: Vec<CatalogModel> = models
        .iter()
        .filter(|model| model.provider_type == kind.as_str() && model.is_enabled && !model.is_deleted)
        .map(|model| CatalogModel {
            id: format!("{}:{}", kind.as_str(), model.model),
            model: model.model.clone(),
            display_name: if model.display_name.is_empty() {
                model.model.clone()
            } else {
                model.display_name.clone()
            },
        })
        .collect();
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    entries.dedup_by(|a, b| a.id.eq_ignore_ascii_case(&b.id));
    CatalogProvider {
        r#type: kind.as_str().to_owned(),
        is_available: missing.is_none(),
        unavailable_reason: missing.map(Missing::as_str).unwrap_or_default().to_owned(),
        models: entries,
    }
}
