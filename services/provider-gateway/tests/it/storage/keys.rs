//! The part of the storage that is about keys as such.

use tandem_proto::storage::v1::provider_key_service_server::ProviderKeyService;

use super::*;

fn seal_of(key: &SealedKey, storage: &Storage, change: impl FnOnce(&mut Vec<u8>)) {
    let mut users = storage.user_keys.lock().unwrap();
    let mut providers = storage.providers.lock().unwrap();
    let of_provider = providers.values_mut().flat_map(|row| &mut row.keys);
    let of_provider = of_provider.map(|row| (&row.id, &mut row.sealed));
    let of_users = users.iter_mut().map(|row| (&row.id, &mut row.sealed));
    let mut found = of_provider.chain(of_users).filter(|(id, _)| **id == key.id);
    change(found.next().unwrap().1);
}

#[tonic::async_trait]
impl ProviderKeyService for Storage {
    async fn list_user_provider_keys(
        &self,
        request: Request<ListUserProviderKeysRequest>,
    ) -> Answer<ListUserProviderKeysResponse> {
        Caller::of(&request)?.user()?;
        let user = request.into_inner().user_id;
        let keys = self.user_keys.lock().unwrap();
        let own = keys.iter().filter(|key| key.user_id == user);
        let keys = own.map(|key| UserProviderKey {
            sealed: Vec::new(),
            ..key.clone()
        });
        Ok(Response::new(ListUserProviderKeysResponse { keys: keys.collect() }))
    }

    async fn find_user_provider_key(
        &self,
        request: Request<FindUserProviderKeyRequest>,
    ) -> Answer<FindUserProviderKeyResponse> {
        let wanted = request.into_inner();
        let keys = self.user_keys.lock().unwrap();
        let key = keys
            .iter()
            .find(|key| key.user_id == wanted.user_id && key.provider_id == wanted.provider_id);
        Ok(Response::new(FindUserProviderKeyResponse { key: key.cloned() }))
    }

    async fn set_user_provider_key(
        &self,
        request: Request<SetUserProviderKeyRequest>,
    ) -> Answer<SetUserProviderKeyResponse> {
        let new = request.into_inner().key.unwrap();
        let mut keys = self.user_keys.lock().unwrap();
        keys.retain(|key| key.user_id != new.user_id || key.provider_id != new.provider_id);
        keys.push(new);
        Ok(Response::new(SetUserProviderKeyResponse {}))
    }

    async fn delete_user_provider_key(
        &self,
        request: Request<DeleteUserProviderKeyRequest>,
    ) -> Answer<DeleteUserProviderKeyResponse> {
        let gone = request.into_inner();
        let mut keys = self.user_keys.lock().unwrap();
        keys.retain(|key| key.user_id != gone.user_id || key.provider_id != gone.provider_id);
        Ok(Response::new(DeleteUserProviderKeyResponse {}))
    }

    async fn list_sealed(&self, request: Request<ListSealedRequest>) -> Answer<ListSealedResponse> {
        let page = request.into_inner();
        let providers = self.providers.lock().unwrap().clone();
        let mut keys: Vec<SealedKey> = providers
            .values()
            .flat_map(|row| row.keys.iter().map(move |key| (row, key)))
            .map(|(row, key)| SealedKey {
                id: key.id.clone(),
                provider_id: row.id.clone(),
                user_id: String::new(),
                sealed: key.sealed.clone(),
            })
            .collect();
        keys.extend(self.user_keys.lock().unwrap().iter().map(|key| SealedKey {
            id: key.id.clone(),
            provider_id: key.provider_id.clone(),
            user_id: key.user_id.clone(),
            sealed: key.sealed.clone(),
        }));
        keys.retain(|key| key.id > page.after_id);
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        // Pages of one: more than one has to be asked for.
        keys.truncate(1);
        Ok(Response::new(ListSealedResponse { keys }))
    }

    async fn replace_sealed(&self, request: Request<ReplaceSealedRequest>) -> Answer<ReplaceSealedResponse> {
        Caller::of(&request)?.admin()?;
        let mut replaced = 0;
        for change in request.into_inner().changes {
            let was = change.key.unwrap();
            seal_of(&was, self, |sealed| {
                if *sealed == was.sealed {
                    *sealed = change.sealed;
                    replaced += 1;
                }
            });
        }
        Ok(Response::new(ReplaceSealedResponse { replaced }))
    }
}
