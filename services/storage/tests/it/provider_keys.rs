//! Users' own keys of providers, the sealing of all keys anew, and what a provider takes with it when it goes.

use tandem_chassis::identity::ServiceName::{Gateway, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_proto::common::v1::KeyPolicy;
use tandem_proto::storage::v1::*;
use tonic::Status;
use uuid::Uuid;

use crate::harness::{Harness, reason};
use crate::settings::{default, model, provider};

impl Harness {
    async fn set_key(&self, by: &User, whose: &User, provider: &str, sealed: u8) -> Result<String, Status> {
        let id = Uuid::now_v7().to_string();
        let key = UserProviderKey {
            id: id.clone(),
            user_id: whose.id.to_string(),
            provider_id: provider.to_owned(),
            masked: "sk-…1".to_owned(),
            sealed: vec![sealed; 40],
        };
        let message = SetUserProviderKeyRequest { key: Some(key) };
        let set = self
            .keys
            .clone()
            .set_user_provider_key(self.by(ProviderGateway, by, message))
            .await;
        set.map(|_| id)
    }

    /// Of a completion, which comes in nobody's name.
    async fn find_key(&self, whose: &User, provider: &str) -> Option<UserProviderKey> {
        let message = FindUserProviderKeyRequest {
            user_id: whose.id.to_string(),
            provider_id: provider.to_owned(),
        };
        let found = self
            .keys
            .clone()
            .find_user_provider_key(self.of(ProviderGateway, message))
            .await;
        found.unwrap().into_inner().key
    }

    async fn list_keys(&self, by: &User, whose: &User) -> Result<Vec<UserProviderKey>, Status> {
        let message = ListUserProviderKeysRequest {
            user_id: whose.id.to_string(),
        };
        let listed = self
            .keys
            .clone()
            .list_user_provider_keys(self.by(ProviderGateway, by, message))
            .await?;
        Ok(listed.into_inner().keys)
    }

    async fn sealed(&self, admin: &User, after: &str, limit: i32) -> Result<Vec<SealedKey>, Status> {
        let message = ListSealedRequest {
            after_id: after.to_owned(),
            limit,
        };
        let listed = self
            .keys
            .clone()
            .list_sealed(self.by(ProviderGateway, admin, message))
            .await?;
        Ok(listed.into_inner().keys)
    }

    async fn replace(&self, admin: &User, changes: Vec<SealedChange>) -> i32 {
        let message = ReplaceSealedRequest { changes };
        let replaced = self
            .keys
            .clone()
            .replace_sealed(self.by(ProviderGateway, admin, message))
            .await;
        replaced.unwrap().into_inner().replaced
    }

    async fn delete_provider(&self, admin: &User, id: &str) {
        let message = DeleteProviderRequest { id: id.to_owned() };
        let deleted = self
            .settings
            .clone()
            .delete_provider(self.by(ProviderGateway, admin, message))
            .await;
        deleted.unwrap();
    }
}

#[tokio::test]
async fn a_user_has_one_key_for_a_provider_and_sees_no_ciphertext() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let provider = provider(&world, &admin, "demo").await.id;
    assert_eq!(world.find_key(&mia, &provider).await, None);
    world.set_key(&mia, &mia, &provider, 1).await.unwrap();
    let second = world.set_key(&admin, &mia, &provider, 2).await.unwrap();
    let found = world.find_key(&mia, &provider).await.unwrap();
    assert_eq!(
        (found.id.as_str(), found.sealed.as_slice()),
        (second.as_str(), [2; 40].as_slice())
    );
    let listed = world.list_keys(&mia, &mia).await.unwrap();
    let expected = UserProviderKey {
        sealed: Vec::new(),
        ..found
    };
    assert_eq!(listed, [expected]);
    assert_eq!(world.find_key(&admin, &provider).await, None);
    for _ in 0..2 {
        let message = DeleteUserProviderKeyRequest {
            user_id: mia.id.to_string(),
            provider_id: provider.clone(),
        };
        let deleted = world
            .keys
            .clone()
            .delete_user_provider_key(world.by(ProviderGateway, &mia, message))
            .await;
        deleted.unwrap();
    }
    assert_eq!(world.find_key(&mia, &provider).await, None);
}

#[tokio::test]
async fn keys_are_their_users_and_come_only_through_provider_gateway() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let bob = world.member(&admin, "bob").await;
    let provider = provider(&world, &admin, "demo").await.id;
    assert_eq!(reason(world.set_key(&bob, &mia, &provider, 1).await), "USER_NOT_FOUND");
    assert_eq!(reason(world.list_keys(&bob, &mia).await), "USER_NOT_FOUND");
    assert_eq!(reason(world.sealed(&bob, "", 10).await), "ADMIN_ONLY");
    let nowhere = world.set_key(&mia, &mia, &Uuid::new_v4().to_string(), 1).await;
    assert_eq!(reason(nowhere), "PROVIDER_NOT_FOUND");
    let find = FindUserProviderKeyRequest {
        user_id: mia.id.to_string(),
        provider_id: provider.clone(),
    };
    let refused = world.keys.clone().find_user_provider_key(world.of(Gateway, find)).await;
    assert_eq!(reason(refused), "SERVICE_NOT_ALLOWED");
    let message = ListSealedRequest {
        limit: 1,
        ..ListSealedRequest::default()
    };
    let refused = world.keys.clone().list_sealed(world.as_user(&admin, message)).await;
    assert_eq!(reason(refused), "SERVICE_NOT_ALLOWED");
}

#[tokio::test]
async fn envelopes_are_read_in_pages_and_replaced_only_while_they_are_as_read() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let one = provider(&world, &admin, "one").await;
    let two = provider(&world, &admin, "two").await;
    let own = world.set_key(&mia, &mia, &one.id, 3).await.unwrap();
    let mut read = Vec::new();
    loop {
        let after = read.last().map(|key: &SealedKey| key.id.clone()).unwrap_or_default();
        let page = world.sealed(&admin, &after, 2).await.unwrap();
        let is_last = page.len() < 2;
        read.extend(page);
        if is_last {
            break;
        }
    }
    let mut ids: Vec<&str> = read.iter().map(|key| key.id.as_str()).collect();
    assert!(ids.is_sorted());
    let mut expected = [one.keys[0].id.as_str(), two.keys[0].id.as_str(), own.as_str()];
    expected.sort_unstable();
    ids.sort_unstable();
    assert_eq!(ids, expected);
    let users: Vec<&SealedKey> = read.iter().filter(|key| !key.user_id.is_empty()).collect();
    assert_eq!(
        (users.len(), users[0].user_id.as_str()),
        (1, mia.id.to_string().as_str())
    );

    // Mia enters another key before the first is replaced.
    world.set_key(&mia, &mia, &one.id, 4).await.unwrap();
    let changes = read.iter().map(|key| SealedChange {
        key: Some(key.clone()),
        sealed: vec![9; 40],
    });
    assert_eq!(world.replace(&admin, changes.clone().collect()).await, 2);
    assert_eq!(
        world.replace(&admin, changes.collect()).await,
        0,
        "they are not as read any more"
    );
    assert_eq!(world.find_key(&mia, &one.id).await.unwrap().sealed, [4; 40]);
    let sealed = world.sealed(&admin, "", 500).await.unwrap();
    let of_providers = sealed.iter().filter(|key| key.user_id.is_empty());
    assert!(of_providers.map(|key| &key.sealed).all(|sealed| *sealed == [9; 40]));
    for limit in [0, 501] {
        assert_eq!(reason(world.sealed(&admin, "", limit).await), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_provider_takes_its_models_and_all_keys_for_it_along() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let going = provider(&world, &admin, "going").await.id;
    let staying = provider(&world, &admin, "staying").await.id;
    let gone = model(&world, &admin, &going, "gone").await.unwrap();
    assert!(gone.is_default);
    model(&world, &admin, &staying, "stays").await.unwrap();
    world.set_key(&mia, &mia, &going, 1).await.unwrap();
    world.set_key(&mia, &mia, &staying, 2).await.unwrap();
    world.delete_provider(&admin, &going).await;

    assert_eq!(default(&world, &mia).await, "stays");
    let get = GetModelConfigRequest { id: gone.id };
    let got = world
        .settings
        .clone()
        .get_model_config(world.as_user(&admin, get))
        .await;
    let got = got.unwrap().into_inner().model_config.unwrap();
    assert!(got.is_deleted && !got.is_default, "history still finds it");
    let listed = world.list_keys(&mia, &mia).await.unwrap();
    assert_eq!(
        listed.iter().map(|key| &key.provider_id).collect::<Vec<_>>(),
        [&staying]
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM user_provider_keys")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn users_keys_stay_with_the_server_they_were_entered_for() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let stored = provider(&world, &admin, "moving").await;
    let other = provider(&world, &admin, "staying").await;
    let moves = async |base_url: &str| {
        let message = UpdateProviderRequest {
            id: stored.id.clone(),
            base_url: Some(base_url.to_owned()),
            ..UpdateProviderRequest::default()
        };
        let request = world.by(ProviderGateway, &admin, message);
        world.settings.clone().update_provider(request).await.unwrap();
    };
    moves("https://one.example/v1").await;
    for provider in [&stored.id, &other.id] {
        world.set_key(&mia, &mia, provider, 1).await.unwrap();
    }
    for same in ["https://one.example/v2", "https://one.example", "https://one.example/"] {
        moves(same).await;
        assert!(world.find_key(&mia, &stored.id).await.is_some(), "{same}");
    }
    for elsewhere in [
        "https://one.example:444/",
        "http://one.example:444/",
        "http://two.example:444/",
        "http://one.example.evil.example/",
    ] {
        world.set_key(&mia, &mia, &stored.id, 1).await.unwrap();
        moves(elsewhere).await;
        assert_eq!(world.find_key(&mia, &stored.id).await, None, "{elsewhere}");
    }
    assert!(
        world.find_key(&mia, &other.id).await.is_some(),
        "another provider's keys stay"
    );
}

#[tokio::test]
async fn a_policy_and_a_limit_stay_until_they_are_changed_and_default_to_the_providers_keys() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let stored = provider(&world, &admin, "demo").await;
    let central = KeyPolicy {
        uses_central_keys: true,
        ..KeyPolicy::default()
    };
    assert_eq!((stored.key_policy, stored.max_concurrent), (Some(central), 0));
    let update = |message: UpdateProviderRequest| {
        let message = UpdateProviderRequest {
            id: stored.id.clone(),
            ..message
        };
        let message = world.by(ProviderGateway, &admin, message);
        let mut settings = world.settings.clone();
        async move {
            settings
                .update_provider(message)
                .await
                .map(|answer| answer.into_inner().provider.unwrap())
        }
    };
    let users = KeyPolicy {
        allows_user_keys: true,
        ..KeyPolicy::default()
    };
    let changed = update(UpdateProviderRequest {
        key_policy: Some(users),
        max_concurrent: Some(7),
        ..UpdateProviderRequest::default()
    });
    changed.await.unwrap();
    let renamed = update(UpdateProviderRequest {
        display_name: Some("Other".to_owned()),
        ..UpdateProviderRequest::default()
    });
    let renamed = renamed.await.unwrap();
    assert_eq!((renamed.key_policy, renamed.max_concurrent), (Some(users), 7));
    let negative = update(UpdateProviderRequest {
        max_concurrent: Some(-1),
        ..UpdateProviderRequest::default()
    });
    assert_eq!(reason(negative.await), "INVALID_REQUEST");
}

#[tokio::test]
async fn keys_keep_the_order_they_are_given_in() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let stored = provider(&world, &admin, "demo").await;
    let fresh = || ProviderKey {
        id: Uuid::now_v7().to_string(),
        sealed: vec![8; 40],
        ..ProviderKey::default()
    };
    let kept = |id: &str| ProviderKey {
        id: id.to_owned(),
        ..ProviderKey::default()
    };
    let (second, third) = (fresh(), fresh());
    let ids = [stored.keys[0].id.as_str(), second.id.as_str(), third.id.as_str()];
    let orders = [
        (vec![kept(ids[0]), second.clone(), third.clone()], [0, 1, 2]),
        (vec![kept(ids[2]), kept(ids[0]), kept(ids[1])], [2, 0, 1]),
        (vec![kept(ids[1]), kept(ids[2]), kept(ids[0])], [1, 2, 0]),
    ];
    for (keys, order) in orders {
        let message = UpdateProviderRequest {
            id: stored.id.clone(),
            keys: Some(ProviderKeySet { keys }),
            ..UpdateProviderRequest::default()
        };
        let updated = world
            .settings
            .clone()
            .update_provider(world.by(ProviderGateway, &admin, message))
            .await;
        let keys = updated.unwrap().into_inner().provider.unwrap().keys;
        assert_eq!(
            keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
            order.map(|place| ids[place])
        );
    }
}

#[tokio::test]
async fn fallbacks_name_up_to_four_other_models_that_exist() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let provider = provider(&world, &admin, "demo").await.id;
    let one = model(&world, &admin, &provider, "one").await.unwrap().id;
    let two = model(&world, &admin, &provider, "two").await.unwrap().id;
    let name = |fallbacks: &[&str]| {
        let options = format!(r#"{{"fallbacks":{fallbacks:?}}}"#);
        let message = UpdateModelConfigRequest {
            id: one.clone(),
            call_config_json: Some(options),
            ..UpdateModelConfigRequest::default()
        };
        let message = world.as_user(&admin, message);
        let mut settings = world.settings.clone();
        async move { settings.update_model_config(message).await }
    };
    name(&[]).await.unwrap();
    name(&[&two]).await.unwrap();
    let nowhere = Uuid::new_v4().to_string();
    for bad in [vec![one.as_str()], vec![&two, &two], vec!["x"], vec![&nowhere]] {
        assert_eq!(reason(name(&bad).await), "INVALID_REQUEST", "{bad:?}");
    }
    let gone = DeleteModelConfigRequest { id: two.clone() };
    world
        .settings
        .clone()
        .delete_model_config(world.as_user(&admin, gone))
        .await
        .unwrap();
    assert_eq!(reason(name(&[&two]).await), "INVALID_REQUEST");
}
