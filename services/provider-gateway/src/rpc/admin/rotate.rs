//! Seals every stored key anew under the present key-encryption key, while everything goes on.
//!
//! Each envelope is replaced only if it is still as it was read, so whoever changes a key meanwhile wins. What no known key opens stays.
//! Done in pages, so it may be broken off and asked for again at any time.

use secrecy::ExposeSecret;
use tandem_chassis::identity::User;
use tandem_chat_core::id::UserId;
use tandem_proto::{
    provider::v1::RotateSealingKeyResponse,
    storage::v1::{ListSealedRequest, ReplaceSealedRequest, SealedChange, SealedKey},
};

use super::{super::convert, Admin};
use crate::{
    error::Error,
    secret::envelope::{self, Row},
};

/// Envelopes sealed anew at once.
const PAGE: i32 = 200;

impl Admin {
    pub(super) async fn rotate(&self, user: &User) -> Result<RotateSealingKeyResponse, Error> {
        if self.catalog.keyring().current().is_none() {
            return Err(Error::Seal(envelope::Error::NoKek));
        }
        let mut counts = RotateSealingKeyResponse::default();
        let mut after_id = String::new();
        loop {
            let request = ListSealedRequest {
                after_id: after_id.clone(),
                limit: PAGE,
            };
            let page = self
                .catalog
                .keys()
                .list_sealed(self.catalog.request(Some(user), request))
                .await?;
            let page = page.into_inner().keys;
            let Some(last) = page.last() else { break };
            after_id.clone_from(&last.id);
            let changes = self.sealed_anew(page, &mut counts)?;
            if !changes.is_empty() {
                let request = self.catalog.request(Some(user), ReplaceSealedRequest { changes });
                let replaced = self.catalog.keys().replace_sealed(request).await?;
                counts.resealed += replaced.into_inner().replaced;
            }
        }
        let RotateSealingKeyResponse {
            resealed,
            current,
            unreadable,
        } = counts;
        tracing::info!(resealed, current, unreadable, "stored keys were sealed anew");
        Ok(counts)
    }

    fn sealed_anew(
        &self,
        page: Vec<SealedKey>,
        counts: &mut RotateSealingKeyResponse,
    ) -> Result<Vec<SealedChange>, Error> {
        let keyring = self.catalog.keyring();
        let mut changes = Vec::new();
        for key in page {
            if envelope::is_current(keyring, &key.sealed) {
                counts.current += 1;
                continue;
            }
            let row = row(&key)?;
            match envelope::open(keyring, row, &key.sealed) {
                Ok(secret) => {
                    let sealed = envelope::seal(keyring, row, secret.expose_secret())?;
                    changes.push(SealedChange { key: Some(key), sealed });
                }
                Err(error) => {
                    counts.unreadable += 1;
                    tracing::warn!(key_id = key.id, provider_id = key.provider_id, %error, "a key could not be sealed anew");
                }
            }
        }
        Ok(changes)
    }
}

fn row(key: &SealedKey) -> Result<Row, Error> {
    let user: Option<UserId> = match key.user_id.as_str() {
        "" => None,
        text => Some(convert::id(text, "user_id").map_err(Error::Storage)?),
    };
    Ok(Row {
        provider: convert::id(&key.provider_id, "provider_id").map_err(Error::Storage)?,
        key: convert::id(&key.id, "id").map_err(Error::Storage)?,
        user,
    })
}
