//! Users' own keys of providers. They are sealed at once, for their user and provider; nothing that leaves holds more than their mask.

use std::collections::{HashMap, HashSet};

use tandem_chassis::identity::User;
use tandem_chat_core::id::{KeyId, ProviderId, UserId};
use tandem_proto::{
    provider::v1::UserProviderKey,
    storage::v1::{self as storage, DeleteUserProviderKeyRequest, ListUserProviderKeysRequest},
};
use tandem_protocols::Kind;
use uuid::Uuid;

use super::{super::convert, Admin};
use crate::{
    credentials::{Available, Choice, choose},
    error::Error,
    secret::{
        envelope::{self, Row},
        mask,
    },
};

impl Admin {
    /// Enabled providers, and disabled ones `whose` has a key for; by name.
    pub(super) async fn user_keys(&self, user: &User, whose: UserId) -> Result<Vec<UserProviderKey>, Error> {
        let rows = self.catalog.providers(Some(user)).await?;
        let own = self.keys_of(user, whose).await?;
        let shown = rows.iter().filter(|row| row.is_enabled || own.contains_key(&row.id));
        let mut keys: Vec<UserProviderKey> = shown.map(|row| self.shown(row, own.get(&row.id))).collect();
        keys.sort_by(|a, b| a.provider_name.cmp(&b.provider_name));
        Ok(keys)
    }

    pub(super) async fn set_user_key(
        &self,
        user: &User,
        whose: UserId,
        id_or_name: String,
        api_key: &str,
    ) -> Result<UserProviderKey, Error> {
        self.checker().user_key(api_key).map_err(Error::Storage)?;
        let row = self.row(user, id_or_name).await?;
        if !row.is_enabled {
            return Err(Error::ProviderDisabled { provider: row.name });
        }
        if !self.policy_of(&row).allows_users {
            return Err(Error::UserKeysDisabled { provider: row.name });
        }
        let provider: ProviderId = convert::id(&row.id, "id").map_err(Error::Storage)?;
        let place = Row {
            provider,
            key: KeyId::new(Uuid::now_v7()),
            user: Some(whose),
        };
        let key = storage::UserProviderKey {
            id: place.key.to_string(),
            user_id: whose.to_string(),
            provider_id: row.id.clone(),
            masked: mask(api_key),
            sealed: envelope::seal(self.catalog.keyring(), place, api_key)?,
        };
        let masked = key.masked.clone();
        let request = storage::SetUserProviderKeyRequest { key: Some(key) };
        let request = self.catalog.request(Some(user), request);
        self.catalog.keys().set_user_provider_key(request).await?;
        self.catalog.forget_user_key(whose, provider).await;
        tracing::info!(provider_id = %provider, user_id = %whose, "a user's key was stored");
        Ok(self.shown(&row, Some(&masked)))
    }

    pub(super) async fn delete_user_key(&self, user: &User, whose: UserId, id_or_name: String) -> Result<(), Error> {
        let row = self.row(user, id_or_name).await?;
        let provider: ProviderId = convert::id(&row.id, "id").map_err(Error::Storage)?;
        let request = DeleteUserProviderKeyRequest {
            user_id: whose.to_string(),
            provider_id: row.id,
        };
        let request = self.catalog.request(Some(user), request);
        self.catalog.keys().delete_user_provider_key(request).await?;
        self.catalog.forget_user_key(whose, provider).await;
        tracing::info!(provider_id = %provider, user_id = %whose, "a user's key was removed");
        Ok(())
    }

    /// The providers that `whose` has a key for.
    pub(super) async fn providers_with_key_of(&self, user: &User, whose: UserId) -> Result<HashSet<String>, Error> {
        Ok(self.keys_of(user, whose).await?.into_keys().collect())
    }

    /// Masks by provider.
    async fn keys_of(&self, user: &User, whose: UserId) -> Result<HashMap<String, String>, Error> {
        let request = ListUserProviderKeysRequest {
            user_id: whose.to_string(),
        };
        let request = self.catalog.request(Some(user), request);
        let keys = self.catalog.keys().list_user_provider_keys(request).await?;
        let keys = keys.into_inner().keys.into_iter();
        Ok(keys.map(|key| (key.provider_id, key.masked)).collect())
    }

    fn shown(&self, row: &storage::Provider, masked: Option<&String>) -> UserProviderKey {
        let policy = self.policy_of(row);
        let without_own = Available {
            has_user_key: false,
            has_central_key: !row.keys.is_empty(),
            can_do_without: Kind::find(&row.r#type).is_some_and(|kind| !kind.needs_key()),
        };
        UserProviderKey {
            provider_id: row.id.clone(),
            provider_type: row.r#type.clone(),
            provider_name: row.name.clone(),
            provider_display_name: row.display_name.clone(),
            is_provider_enabled: row.is_enabled,
            has_user_key: masked.is_some(),
            has_central_key: choose(policy, without_own) == Ok(Choice::Central),
            is_allowed: policy.allows_users,
            masked: masked.cloned().unwrap_or_default(),
        }
    }
}
